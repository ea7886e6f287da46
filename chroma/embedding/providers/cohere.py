"""Cohere: models that embed documents and queries differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import ChromaError
from ..core.api_keys import LATER, Key
from ..core.config_schema import TEXT, Form
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction, Space

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "CohereEmbeddingFunction"
_URL = "https://api.cohere.com/v2/embed"
_VARIABLES = ("CHROMA_COHERE_API_KEY", "COHERE_API_KEY", "CO_API_KEY")
_LIMIT = 96  # texts per request
_FORM = Form(
    "cohere",
    {"api_key_env_var": TEXT, "model_name": TEXT},
    needed=("model_name",),
    fixed=("model_name",),
)


class CohereEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Cohere's models. Documents are embedded as `search_document`, queries as `search_query`.

    api_key          never stored; default: CHROMA_COHERE_API_KEY, else COHERE_API_KEY, else CO_API_KEY
    model_name       for example "embed-v4.0" or "embed-multilingual-v3.0"
    api_key_env_var  the environment variable with the key; its name is stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 96 texts per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "large",
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
        return self._embed(input, "search_document")

    def embed_query(self, input: list[str]) -> Vectors:
        return self._embed(input, "search_query")

    def _embed(self, texts: list[str], kind: str) -> Vectors:
        def send(batch: list[str]) -> list[Any]:
            answer = self._endpoint.post(
                {
                    "model": self._config["model_name"],
                    "texts": batch,
                    "input_type": kind,
                    "embedding_types": ["float"],
                }
            )
            found = answer.get("embeddings") if isinstance(answer, Mapping) else None
            vectors = found.get("float") if isinstance(found, Mapping) else None
            if not isinstance(vectors, list):
                raise ChromaError(f"{_SOURCE}: the answer has no `embeddings` with `float`.")
            return vectors

        return in_batches(texts, send, source=_SOURCE, limit=_LIMIT)  # type: ignore[return-value]

    @staticmethod
    def name() -> str:
        return "cohere"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> CohereEmbeddingFunction:
        return CohereEmbeddingFunction(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "ip" if self._config["model_name"] == "embed-multilingual-v2.0" else "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _FORM.check_update(old_config, new_config)
