"""Mistral's embedding models."""

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

_SOURCE = "MistralEmbeddingFunction"
_URL = "https://api.mistral.ai/v1/embeddings"
_VARIABLES = ("MISTRAL_API_KEY",)
_LIMIT = 512  # texts per request
_TOKENS = 16_384  # tokens per request
_FORM = Form("mistral", {"model": TEXT, "api_key_env_var": TEXT}, needed=("model",), fixed=("model",))


class MistralEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Mistral's models.

    model            for example "mistral-embed"
    api_key_env_var  the environment variable with the key; its name is stored
    api_key          the key; never stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 512 texts and about 16,000 tokens per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        model: str,
        api_key_env_var: str = _VARIABLES[0],
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._config = {"model": model, "api_key_env_var": api_key_env_var}
        _FORM.check(self._config)
        key = Key(_SOURCE, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = Endpoint(_SOURCE, _URL, key, timeout=timeout, retries=max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(  # type: ignore[return-value]
            input, self._send, source=_SOURCE, limit=_LIMIT, tokens=_TOKENS
        )

    def _send(self, texts: list[str]) -> list[Any]:
        return read_data(self._endpoint.post({"model": self._config["model"], "input": texts}), _SOURCE)

    @staticmethod
    def name() -> str:
        return "mistral"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> MistralEmbeddingFunction:
        return MistralEmbeddingFunction(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _FORM.check_update(old_config, new_config)
