"""Jina AI: models with separate tasks for documents and queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ..core.api_keys import LATER, Key
from ..core.config_schema import MAYBE_BOOL, MAYBE_DICT, MAYBE_INT, MAYBE_TEXT, TEXT, Form
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction, Space
from .openai import read_data

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "JinaEmbeddingFunction"
_URL = "https://api.jina.ai/v1/embeddings"
_VARIABLES = ("CHROMA_JINA_API_KEY", "JINA_API_KEY")
_LIMIT = 512  # texts per request
_OPTIONS = ("task", "late_chunking", "truncate", "dimensions", "embedding_type", "normalized")
_FORM = Form(
    "jina",
    {
        "api_key_env_var": TEXT,
        "model_name": TEXT,
        "task": MAYBE_TEXT,
        "late_chunking": MAYBE_BOOL,
        "truncate": MAYBE_BOOL,
        "dimensions": MAYBE_INT,
        "embedding_type": MAYBE_TEXT,
        "normalized": MAYBE_BOOL,
        "query_config": MAYBE_DICT,
    },
    needed=("model_name",),
    fixed=("model_name", "task", "late_chunking", "dimensions", "embedding_type", "normalized"),
)


class JinaQueryConfig(TypedDict):
    """The settings that differ for queries: the task."""

    task: str


class JinaEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Jina AI's models.

    api_key          never stored; default: CHROMA_JINA_API_KEY, else JINA_API_KEY
    model_name       for example "jina-embeddings-v3"
    api_key_env_var  the environment variable with the key; its name is stored
    task             the task for documents, for example "retrieval.passage"
    late_chunking    True: the texts of a call are parts of one document and are sent in one request
    truncate, dimensions, embedding_type, normalized  options of the provider's API; None: its defaults
    query_config     {"task": …} for queries; default: `….query` if the task is `….passage`, else `task`
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 512 texts per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "jina-embeddings-v2-base-en",
        api_key_env_var: str = _VARIABLES[0],
        task: str | None = None,
        late_chunking: bool | None = None,
        truncate: bool | None = None,
        dimensions: int | None = None,
        embedding_type: str | None = None,
        normalized: bool | None = None,
        query_config: JinaQueryConfig | None = None,
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._config: dict[str, Any] = {
            "api_key_env_var": api_key_env_var,
            "model_name": model_name,
            "task": task,
            "late_chunking": late_chunking,
            "truncate": truncate,
            "dimensions": dimensions,
            "embedding_type": embedding_type,
            "normalized": normalized,
            "query_config": query_config,
        }
        _FORM.check(self._config)
        key = Key(_SOURCE, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = Endpoint(_SOURCE, _URL, key, timeout=timeout, retries=max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return self._embed(input, self._config["task"])

    def embed_query(self, input: list[str]) -> Vectors:
        task: str | None = self._config["task"]
        query = (self._config["query_config"] or {}).get("task")
        if query is None and task is not None and task.endswith(".passage"):
            query = task.removesuffix("passage") + "query"
        return self._embed(input, query or task)

    def _embed(self, texts: list[str], task: str | None) -> Vectors:
        common = {name: value for name in _OPTIONS if (value := self._config[name]) is not None}
        common["model"] = self._config["model_name"]
        if task is not None:
            common["task"] = task
        return in_batches(  # type: ignore[return-value]
            texts,
            lambda batch: read_data(self._endpoint.post({**common, "input": batch}), _SOURCE),
            source=_SOURCE,
            limit=None if self._config["late_chunking"] else _LIMIT,
        )

    @staticmethod
    def name() -> str:
        return "jina"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> JinaEmbeddingFunction:
        return JinaEmbeddingFunction(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _FORM.check_update(old_config, new_config)
