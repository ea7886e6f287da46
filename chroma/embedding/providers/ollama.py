"""Models that an Ollama server runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import ChromaError
from ..core.api_keys import check_url
from ..core.config_schema import TEXT, Form
from ..core.http import RETRIES, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction, Space

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "OllamaEmbeddingFunction"
_LIMIT = 64  # texts per request; the server has no limit, but a timeout should not cover thousands of texts
_FORM = Form(
    "ollama",
    {"url": TEXT, "model_name": TEXT, "timeout": (int, float)},
    needed=("url", "model_name"),
    fixed=("model_name",),
)


class OllamaEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Models that an Ollama server runs (0.3 or later, which has `/api/embed`).

    url          URL of the server; the path `/api/embeddings`, which older programs pass, is removed
    model_name   a model installed on the server, for example by `ollama pull nomic-embed-text`
    timeout      seconds to wait for a response; the first call also loads the model
    max_retries  retries per request. Not stored
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        url: str = "http://localhost:11434",
        model_name: str = "chroma/all-minilm-l6-v2-f32",
        timeout: float = 60,
        *,
        max_retries: int = RETRIES,
    ) -> None:
        self._config: dict[str, Any] = {"url": url, "model_name": model_name, "timeout": timeout}
        _FORM.check(self._config)
        base = check_url(_SOURCE, "url", url).removesuffix("/api/embeddings").removesuffix("/api/embed")
        self._endpoint = Endpoint(_SOURCE, f"{base}/api/embed", timeout=timeout, retries=max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(input, self._send, source=_SOURCE, limit=_LIMIT)  # type: ignore[return-value]

    def _send(self, texts: list[str]) -> list[Any]:
        answer = self._endpoint.post({"model": self._config["model_name"], "input": texts})
        vectors = answer.get("embeddings") if isinstance(answer, Mapping) else None
        if not isinstance(vectors, list):
            raise ChromaError(f"{_SOURCE}: the answer has no `embeddings`.")
        return vectors

    @staticmethod
    def name() -> str:
        return "ollama"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> OllamaEmbeddingFunction:
        return OllamaEmbeddingFunction(**config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _FORM.check_update(old_config, new_config)
