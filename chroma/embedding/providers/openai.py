"""Embedding functions for OpenAI, for servers with the same API, and for Azure OpenAI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from ...errors import ChromaError, InvalidArgumentError
from ..core.api_keys import LATER, Key, as_path, check_url, is_secret_name
from ..core.config_schema import MAYBE_DICT, MAYBE_INT, MAYBE_TEXT, TEXT, Form
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction, Space

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "OpenAIEmbeddingFunction"
_BASE = "https://api.openai.com/v1"
_VARIABLES = ("CHROMA_OPENAI_API_KEY", "OPENAI_API_KEY")
_AZURE_VARIABLES = (*_VARIABLES, "AZURE_OPENAI_API_KEY")
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com")
_LIMIT = 2048  # texts per request
_TOKENS = 300_000  # tokens per request
_FORM = Form(
    "openai",
    {
        "api_key_env_var": TEXT,
        "model_name": TEXT,
        "organization_id": MAYBE_TEXT,
        "api_base": MAYBE_TEXT,
        "api_type": MAYBE_TEXT,
        "api_version": MAYBE_TEXT,
        "deployment_id": MAYBE_TEXT,
        "default_headers": MAYBE_DICT,
        "dimensions": MAYBE_INT,
    },
    needed=("model_name",),
    fixed=("model_name", "dimensions"),
)


class OpenAIEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Models of OpenAI, of any server with the same API, or of Azure OpenAI.

    api_key          never stored; default: CHROMA_OPENAI_API_KEY, else OPENAI_API_KEY
    model_name       for example "text-embedding-3-small"
    organization_id  the organisation that is billed
    api_base         URL of a compatible server, such as "http://localhost:8000/v1", or of the Azure
                     resource; default: the environment variable OPENAI_BASE_URL, else OpenAI's own URL
    api_type         "azure" for Azure OpenAI, which also needs `api_base` and `api_version`
    deployment_id    the Azure deployment; default: `model_name`
    default_headers  headers sent with each request; headers that may hold secrets (`Authorization`, …) are
                     not stored
    dimensions       length of the vectors, for models that offer shorter ones
    api_key_env_var  the environment variable with the key; its name is stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 2048 texts and about 300,000 tokens per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "text-embedding-ada-002",
        organization_id: str | None = None,
        api_base: str | None = None,
        api_type: str | None = None,
        api_version: str | None = None,
        deployment_id: str | None = None,
        default_headers: dict[str, str] | None = None,
        dimensions: int | None = None,
        api_key_env_var: str = _VARIABLES[0],
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._config: dict[str, Any] = {
            "api_key_env_var": api_key_env_var,
            "model_name": model_name,
            "organization_id": organization_id,
            "api_base": None if api_base is None else check_url(_SOURCE, "api_base", api_base),
            "api_type": api_type,
            "api_version": api_version,
            "deployment_id": deployment_id,
            "default_headers": default_headers,
            "dimensions": dimensions,
        }
        _FORM.check(self._config)
        azure = api_type == "azure"
        if api_type not in (None, "azure", "openai", "open_ai"):
            raise InvalidArgumentError(f"{_SOURCE}: `api_type` must be 'azure' or None, got {api_type!r}.")
        if azure and not (api_base and api_version):
            raise InvalidArgumentError(
                f"{_SOURCE}: api_type='azure' needs `api_base`, the address of the resource, and "
                "`api_version`."
            )
        for header, text in (default_headers or {}).items():
            # on a server with several virtual hosts, a `Host` header would send the key to another host
            if not isinstance(header, str) or not isinstance(text, str) or header.lower() == "host":
                raise InvalidArgumentError(
                    f"{_SOURCE}: `default_headers` cannot have {header!r} with this value."
                )
        base = self._config["api_base"] or check_url(
            _SOURCE, "OPENAI_BASE_URL", os.environ.get("OPENAI_BASE_URL") or _BASE
        )
        self._endpoint = Endpoint(
            _SOURCE,
            _azure_url(base, deployment_id or model_name, api_version) if azure else f"{base}/embeddings",
            Key(_SOURCE, api_key, api_key_env_var, _AZURE_VARIABLES if azure else _VARIABLES),
            header="api-key" if azure else "Authorization",
            scheme="" if azure else "Bearer ",
            headers=({"OpenAI-Organization": organization_id} if organization_id else {})
            | (default_headers or {}),
            custom=api_base is not None and not _own(base, azure),
            timeout=timeout,
            retries=max_retries,
        )

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(  # type: ignore[return-value]
            input, self._send, source=_SOURCE, limit=_LIMIT, tokens=_TOKENS
        )

    def _send(self, texts: list[str]) -> list[Any]:
        body = {"model": self._config["model_name"], "input": texts, "encoding_format": "float"}
        if self._config["dimensions"] is not None:
            body["dimensions"] = self._config["dimensions"]
        return read_data(self._endpoint.post(body), _SOURCE)

    @staticmethod
    def name() -> str:
        return "openai"

    def get_config(self) -> dict[str, Any]:
        headers = self._config["default_headers"]
        public = headers and {name: text for name, text in headers.items() if not is_secret_name(name)}
        return self._config | {"default_headers": public or None}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> OpenAIEmbeddingFunction:
        return OpenAIEmbeddingFunction(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _FORM.check_update(old_config, new_config)


def read_data(answer: Any, source: str) -> list[Any]:
    """Return the vectors in `{"data": [{"index", "embedding"}, …]}`, sorted into the order of the texts.
    A vector may be a list, or float32 values in base64."""
    rows = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "embedding" in row for row in rows):
        raise ChromaError(f"{source}: the answer has no `data` with an `embedding` each.")
    if any("index" in row for row in rows):
        if sorted(str(row.get("index")) for row in rows) != sorted(str(index) for index in range(len(rows))):
            raise ChromaError(f"{source}: the answer numbers its vectors wrongly or twice.")
        rows = sorted(rows, key=lambda row: int(row["index"]))
    return [_numbers(row["embedding"], source) for row in rows]


def _numbers(vector: Any, source: str) -> Any:
    if not isinstance(vector, str):
        return vector
    import base64
    import binascii

    import numpy as np

    try:
        return np.frombuffer(base64.b64decode(vector, validate=True), "<f4")
    except (binascii.Error, ValueError) as error:
        raise ChromaError(f"{source}: a vector of the answer is not base64 of float32: {error}.") from error


def _azure_url(base: str, deployment: str, version: str | None) -> str:
    path = as_path(_SOURCE, "deployment_id", deployment)
    return f"{base}/openai/deployments/{path}/embeddings?api-version={quote(version or '')}"


def _own(base: str, azure: bool) -> bool:
    return (urlsplit(base).hostname or "").endswith(_AZURE_HOSTS) if azure else base == _BASE
