"""Nomic's embedding models, with separate tasks for documents and queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from ...errors import ChromaError
from ..core.api_keys import Key
from ..core.config_schema import MAYBE_DICT, TEXT, Form
from ..core.configured import Configured
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "NomicEmbeddingFunction"
_URL = "https://api-atlas.nomic.ai/v1/embedding/text"
_VARIABLES = ("NOMIC_API_KEY",)
_LIMIT = 256  # texts per request


class NomicQueryConfig(TypedDict):
    """The settings that differ for queries: the task."""

    task_type: str


class NomicEmbeddingFunction(Configured, EmbeddingFunction[list[str]]):
    """Nomic's models.

    model            for example "nomic-embed-text-v1.5"
    task_type        the task for documents: "search_document", "classification", "clustering", …
    query_config     {"task_type": …} for queries, usually "search_query"; None: as for documents
    api_key_env_var  the environment variable with the key; its name is stored
    api_key          the key; never stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 256 texts per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form(
        "nomic",
        {"model": TEXT, "api_key_env_var": TEXT, "task_type": TEXT, "query_config": MAYBE_DICT},
        needed=("model", "task_type"),
        fixed=("model", "task_type"),
    )

    def __init__(
        self,
        model: str,
        task_type: str,
        query_config: NomicQueryConfig | None = None,
        api_key_env_var: str = _VARIABLES[0],
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._set(
            {
                "model": model,
                "api_key_env_var": api_key_env_var,
                "task_type": task_type,
                "query_config": query_config,
            }
        )
        key = Key(_SOURCE, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = Endpoint(_SOURCE, _URL, key, timeout=timeout, retries=max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return self._embed(input, self._config["task_type"])

    def embed_query(self, input: list[str]) -> Vectors:
        query = self._config["query_config"] or {}
        return self._embed(input, query.get("task_type", self._config["task_type"]))

    def _embed(self, texts: list[str], task: str) -> Vectors:
        def send(batch: list[str]) -> list[Any]:
            body = {"model": self._config["model"], "texts": batch, "task_type": task}
            answer = self._endpoint.post(body)
            vectors = answer.get("embeddings") if isinstance(answer, Mapping) else None
            if not isinstance(vectors, list):
                raise ChromaError(f"{_SOURCE}: the answer has no `embeddings`.")
            return vectors

        return in_batches(texts, send, source=_SOURCE, limit=_LIMIT)  # type: ignore[return-value]
