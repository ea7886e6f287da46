"""Morph's embedding models for code, which speak OpenAI's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.api_keys import Key, check_url
from ..core.config_schema import TEXT, Form
from ..core.configured import Configured
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction
from .openai import read_data

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "MorphEmbeddingFunction"
_BASE = "https://api.morphllm.com/v1"
_VARIABLES = ("MORPH_API_KEY",)
_LIMIT = 128  # texts per request; the provider does not document a limit


class MorphEmbeddingFunction(Configured, EmbeddingFunction[list[str]]):
    """Morph's models.

    api_key          never stored; default: MORPH_API_KEY
    model_name       for example "morph-embedding-v2"
    api_base         URL of the API
    encoding_format  how the provider sends vectors: "float" or "base64"; the vectors are the same
    api_key_env_var  the environment variable with the key; its name is stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 128 texts per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form(
        "morph",
        {"api_key_env_var": TEXT, "model_name": TEXT, "api_base": TEXT, "encoding_format": TEXT},
        needed=("model_name",),
        fixed=("model_name",),
    )

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "morph-embedding-v2",
        api_base: str = _BASE,
        encoding_format: str = "float",
        api_key_env_var: str = _VARIABLES[0],
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        base = check_url(_SOURCE, "api_base", api_base)
        self._set(
            {
                "api_key_env_var": api_key_env_var,
                "model_name": model_name,
                "api_base": base,
                "encoding_format": encoding_format,
            }
        )
        self._endpoint = Endpoint(
            _SOURCE,
            f"{base}/embeddings",
            Key(_SOURCE, api_key, api_key_env_var, _VARIABLES),
            custom=base != _BASE,
            timeout=timeout,
            retries=max_retries,
        )

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(input, self._send, source=_SOURCE, limit=_LIMIT)  # type: ignore[return-value]

    def _send(self, texts: list[str]) -> list[Any]:
        return read_data(
            self._endpoint.post(
                {
                    "model": self._config["model_name"],
                    "input": texts,
                    "encoding_format": self._config["encoding_format"],
                }
            ),
            _SOURCE,
        )
