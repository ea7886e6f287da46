"""Models on Amazon Bedrock. boto3 finds and renews credentials and signs requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import (
    AuthorizationError,
    ChromaError,
    InvalidArgumentError,
    RateLimitError,
    ServerConnectionError,
    ServerTimeoutError,
)
from ...internal.optional_dependencies import is_plain, require
from ..core.api_keys import check_host, is_secret_name
from ..core.config_schema import TEXT, Form
from ..core.http import RETRIES, TIMEOUT
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "AmazonBedrockEmbeddingFunction"
_COHERE_LIMIT = 96  # texts per request; Titan models accept one
_SESSION_ARGUMENTS = ("region_name", "profile_name")
_CLIENT_ARGUMENTS = ("api_version", "endpoint_url", "region_name", "use_ssl")
_ERRORS: tuple[tuple[tuple[str, ...], type[ChromaError]], ...] = (
    (("ThrottlingException", "TooManyRequestsException", "ServiceQuotaExceededException"), RateLimitError),
    (
        (
            "AccessDeniedException",
            "ExpiredTokenException",
            "InvalidSignatureException",
            "UnrecognizedClientException",
        ),
        AuthorizationError,
    ),
    (("ValidationException", "ResourceNotFoundException"), InvalidArgumentError),
    (("ModelTimeoutException",), ServerTimeoutError),
)
_FORM = Form(
    "amazon_bedrock",
    {"session_args": (dict,), "model_name": TEXT, "kwargs": (dict,)},
    needed=("model_name",),
    fixed=("model_name",),
)


class AmazonBedrockEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Titan and Cohere models on Amazon Bedrock. Needs the package boto3: `chroma-arrow[bedrock]`.

    session     a `boto3.Session`; default: a session with the credentials that boto3 finds. Its region and
                profile name are stored, its credentials are not
    model_name  a model id or an inference profile, such as "amazon.titan-embed-text-v2:0"
    kwargs      arguments for `session.client("bedrock-runtime", …)`; credentials in them are not stored
    Cohere models embed documents as `search_document` and queries as `search_query`, 96 per request.
    Titan models accept one text per request. boto3 handles retries and timeouts; the defaults here are
    5 retries and 60 s. Pass `config=botocore.config.Config(…)` to change them.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self, session: Any = None, model_name: str = "amazon.titan-embed-text-v1", **kwargs: Any
    ) -> None:
        boto3 = require("boto3", "bedrock", _SOURCE)
        session = boto3.Session() if session is None else session
        arguments = {name: getattr(session, name, None) for name in _SESSION_ARGUMENTS}
        self._set({"session_args": arguments, "model_name": model_name, "kwargs": kwargs}, session)

    def _set(self, config: dict[str, Any], session: Any) -> None:
        _FORM.check(config)
        self._config = config
        self._session = session
        self._client: Any = None
        self._lock = threading.Lock()

    def __call__(self, input: list[str]) -> Vectors:
        return self._embed(input, "search_document")

    def embed_query(self, input: list[str]) -> Vectors:
        return self._embed(input, "search_query")

    def _embed(self, texts: list[str], kind: str) -> Vectors:
        cohere = "cohere.embed" in self._config["model_name"]

        def send(batch: list[str]) -> list[Any]:
            if cohere:
                answer = self._invoke({"texts": batch, "input_type": kind})
                found = answer.get("embeddings")
                vectors = found.get("float") if isinstance(found, Mapping) else found
            else:
                vector = self._invoke({"inputText": batch[0]}).get("embedding")
                vectors = None if vector is None else [vector]
            if not isinstance(vectors, list):
                raise ChromaError(f"{_SOURCE}: the answer of {self._config['model_name']} has no vectors.")
            return vectors

        return in_batches(  # type: ignore[return-value]
            texts, send, source=_SOURCE, limit=_COHERE_LIMIT if cohere else 1
        )

    def _invoke(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        require("boto3", "bedrock", _SOURCE)
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._connected().invoke_model(
                modelId=self._config["model_name"],
                body=json.dumps(body, ensure_ascii=False).encode(),
                accept="application/json",
                contentType="application/json",
            )
            found = json.loads(answer["body"].read())
        except ClientError as error:
            raise _refused(error.response) from None
        except BotoCoreError as error:
            raise _failed(error) from None
        except ValueError:
            raise ChromaError(f"{_SOURCE}: the answer is not JSON.") from None
        if not isinstance(found, Mapping):
            raise ChromaError(f"{_SOURCE}: the answer is not an object.")
        return found

    def _connected(self) -> Any:
        with self._lock:  # threads may share a client but must not create one concurrently
            if self._client is None:
                import boto3
                from botocore.config import Config

                usual = Config(
                    connect_timeout=10,
                    read_timeout=TIMEOUT,
                    retries={"mode": "standard", "total_max_attempts": RETRIES + 1},
                )
                session = self._session
                if session is None:
                    arguments = self._config["session_args"]
                    session = boto3.Session(**{name: text for name, text in arguments.items() if text})
                self._client = session.client(
                    "bedrock-runtime", **{"config": usual, **self._config["kwargs"]}
                )
            return self._client

    @staticmethod
    def name() -> str:
        return "amazon_bedrock"

    def is_legacy(self) -> bool:
        """Whether `kwargs` contain values that a configuration cannot store, such as a `Config`."""
        return not is_plain(self.get_config())

    def get_config(self) -> dict[str, Any]:
        public = {name: value for name, value in self._config["kwargs"].items() if not is_secret_name(name)}
        return self._config | {"kwargs": public}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> AmazonBedrockEmbeddingFunction:
        arguments, kwargs = config.get("session_args") or {}, config.get("kwargs") or {}
        unknown = sorted((set(arguments) - set(_SESSION_ARGUMENTS)) | (set(kwargs) - set(_CLIENT_ARGUMENTS)))
        if unknown:
            raise InvalidArgumentError(
                f"{_SOURCE}: the stored configuration has the arguments {unknown}, which are taken from a "
                "program only: pass the function as `embedding_function=`."
            )
        if (url := kwargs.get("endpoint_url")) is not None and not _is_amazon(str(url)):
            check_host(_SOURCE, str(url))
        # boto3 reports a missing profile as "default", but finds no profile with that name
        arguments = {
            name: text for name, text in arguments.items() if (name, text) != ("profile_name", "default")
        }
        function = AmazonBedrockEmbeddingFunction.__new__(AmazonBedrockEmbeddingFunction)
        function._set(
            {"session_args": arguments, "model_name": config["model_name"], "kwargs": dict(kwargs)}, None
        )
        return function

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _FORM.check_update(old_config, new_config)


def _is_amazon(url: str) -> bool:
    from urllib.parse import urlsplit

    return (urlsplit(url).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _refused(response: Mapping[str, Any]) -> ChromaError:
    code = str(response.get("Error", {}).get("Code", ""))
    text = f"{_SOURCE}: {code}: {response.get('Error', {}).get('Message', '')}"
    for codes, kind in _ERRORS:
        if code in codes:
            return kind(text)
    return ChromaError(text)


def _failed(error: Exception) -> ChromaError:
    from botocore import exceptions

    text = f"{_SOURCE}: {error}"
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return InvalidArgumentError(
            f"{text}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, or pass `session`."
        )
    if isinstance(error, (exceptions.NoRegionError, exceptions.ProfileNotFound)):
        return InvalidArgumentError(f"{text}. Set AWS_DEFAULT_REGION, or pass boto3.Session(region_name=…).")
    if isinstance(error, exceptions.ReadTimeoutError):
        return ServerTimeoutError(text)
    unreachable = isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError))
    return (ServerConnectionError if unreachable else ChromaError)(text)
