"""Hugging Face's inference API, and servers that run text-embeddings-inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ChromaError
from ..core.api_keys import LATER, Key, as_path, check_url
from ..core.config_schema import MAYBE_TEXT, TEXT, Form
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction, Space

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_API = "HuggingFaceEmbeddingFunction"
_SERVER = "HuggingFaceEmbeddingServer"
_ROUTER = "https://router.huggingface.co/hf-inference/models"
_VARIABLES = ("CHROMA_HUGGINGFACE_API_KEY", "HUGGINGFACE_API_KEY", "HF_TOKEN")
_LIMIT = 32  # texts per request, the default limit of text-embeddings-inference
_API_FORM = Form(
    "huggingface",
    {"api_key_env_var": TEXT, "model_name": TEXT},
    needed=("model_name",),
    fixed=("model_name",),
)
# the configuration does not name the server's model, so no stored key determines the vectors
_SERVER_FORM = Form("huggingface_server", {"url": TEXT, "api_key_env_var": MAYBE_TEXT}, ("url",), ())


class HuggingFaceEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Sentence models in Hugging Face's inference API.

    api_key          never stored; default: CHROMA_HUGGINGFACE_API_KEY, HUGGINGFACE_API_KEY or HF_TOKEN
    model_name       a model for the task feature-extraction that returns one vector per text
    api_key_env_var  the environment variable with the key; its name is stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 32 texts per request. Waits while the model loads. Raises InvalidArgumentError without a
    key.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "sentence-transformers/all-MiniLM-L6-v2",
        api_key_env_var: str = _VARIABLES[0],
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._config = {"api_key_env_var": api_key_env_var, "model_name": model_name}
        _API_FORM.check(self._config)
        self._endpoint = Endpoint(
            _API,
            f"{_ROUTER}/{as_path(_API, 'model_name', model_name)}/pipeline/feature-extraction",
            Key(_API, api_key, api_key_env_var, _VARIABLES),
            timeout=timeout,
            retries=max_retries,
        )

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(  # type: ignore[return-value]
            input, lambda texts: _send(self._endpoint, texts), source=_API, limit=_LIMIT
        )

    @staticmethod
    def name() -> str:
        return "huggingface"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> HuggingFaceEmbeddingFunction:
        return HuggingFaceEmbeddingFunction(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _API_FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _API_FORM.check_update(old_config, new_config)


class HuggingFaceEmbeddingServer(EmbeddingFunction[list[str]]):
    """A server that runs text-embeddings-inference. The server determines the model.

    url              URL of the server's route, such as "http://localhost:8080/embed"
    api_key_env_var  the environment variable with the key, if the server needs one; its name is stored
    api_key          the key; never stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 32 texts per request.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        url: str,
        api_key_env_var: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._config = {"url": url, "api_key_env_var": api_key_env_var}
        _SERVER_FORM.check(self._config)
        self._endpoint = Endpoint(
            _SERVER,
            check_url(_SERVER, "url", url, whole=True),
            Key(_SERVER, api_key, api_key_env_var, _VARIABLES),
            custom=True,
            timeout=timeout,
            retries=max_retries,
        )

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(  # type: ignore[return-value]
            input, lambda texts: _send(self._endpoint, texts), source=_SERVER, limit=_LIMIT
        )

    @staticmethod
    def name() -> str:
        return "huggingface_server"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> HuggingFaceEmbeddingServer:
        return HuggingFaceEmbeddingServer(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _SERVER_FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _SERVER_FORM.check_update(old_config, new_config)


def _send(endpoint: Endpoint, texts: list[str]) -> list[Any]:
    answer = endpoint.post({"inputs": texts})
    if not isinstance(answer, list):
        raise ChromaError(f"{endpoint.source}: the answer is not a list of vectors.")
    return answer
