"""Models that Together AI hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.api_keys import LATER, Key
from ..core.config_schema import TEXT, Form
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction, Space
from .openai import read_data

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "TogetherAIEmbeddingFunction"
_URL = "https://api.together.xyz/v1/embeddings"
_VARIABLES = ("CHROMA_TOGETHER_AI_API_KEY", "TOGETHER_API_KEY")
_LIMIT = 256  # texts per request; the provider does not document a limit
_FORM = Form(
    "together_ai",
    {"api_key_env_var": TEXT, "model_name": TEXT},
    needed=("model_name",),
    fixed=("model_name",),
)


class TogetherAIEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Models that Together AI hosts.

    model_name       for example "BAAI/bge-large-en-v1.5"
    api_key          never stored; default: CHROMA_TOGETHER_AI_API_KEY, else TOGETHER_API_KEY
    api_key_env_var  the environment variable with the key; its name is stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 256 texts per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        model_name: str,
        api_key: str | None = None,
        api_key_env_var: str = _VARIABLES[0],
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._config = {"api_key_env_var": api_key_env_var, "model_name": model_name}
        _FORM.check(self._config)
        key = Key(_SOURCE, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = Endpoint(_SOURCE, _URL, key, timeout=timeout, retries=max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(input, self._send, source=_SOURCE, limit=_LIMIT)  # type: ignore[return-value]

    def _send(self, texts: list[str]) -> list[Any]:
        return read_data(self._endpoint.post({"model": self._config["model_name"], "input": texts}), _SOURCE)

    @staticmethod
    def name() -> str:
        return "together_ai"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> TogetherAIEmbeddingFunction:
        return TogetherAIEmbeddingFunction(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _FORM.check_update(old_config, new_config)
