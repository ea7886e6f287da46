"""Google's models in the Gemini API, under the two names that stored collections use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import ChromaError, UnsupportedError
from ..core.api_keys import LATER, Key, as_path
from ..core.config_schema import MAYBE_BOOL, MAYBE_INT, MAYBE_TEXT, TEXT, Form
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction, Space

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..core.protocol import Vectors

_GENERATIVE = "GoogleGenerativeAiEmbeddingFunction"
_GEMINI = "GoogleGeminiEmbeddingFunction"
_BASE = "https://generativelanguage.googleapis.com/v1beta"
_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_LIMIT = 100  # texts per request
_QUERY_TASKS = {"RETRIEVAL_DOCUMENT": "RETRIEVAL_QUERY"}
_GENERATIVE_FORM = Form(
    "google_generative_ai",
    {"api_key_env_var": TEXT, "model_name": TEXT, "task_type": MAYBE_TEXT, "dimension": MAYBE_INT},
    needed=("model_name",),
    fixed=("model_name", "task_type", "dimension"),
)
_GEMINI_FORM = Form(
    "google_gemini",
    {
        "model_name": TEXT,
        "api_key_env_var": MAYBE_TEXT,
        "task_type": MAYBE_TEXT,
        "dimension": MAYBE_INT,
        "vertexai": MAYBE_BOOL,
        "project": MAYBE_TEXT,
        "location": MAYBE_TEXT,
    },
    needed=("model_name",),
    fixed=("model_name", "task_type", "dimension"),
)


class GoogleGenerativeAiEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Google's models, as in `GoogleGeminiEmbeddingFunction`, under the name that older collections store.

    api_key          never stored; default: GEMINI_API_KEY, else GOOGLE_API_KEY
    model_name       for example "gemini-embedding-001"
    task_type        the task for documents; for RETRIEVAL_DOCUMENT, queries are embedded as RETRIEVAL_QUERY
    api_key_env_var  the environment variable with the key; its name is stored
    dimension        length of the vectors, for models that offer shorter ones
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 100 texts per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "gemini-embedding-001",
        task_type: str = "RETRIEVAL_DOCUMENT",
        api_key_env_var: str = _VARIABLES[0],
        dimension: int | None = None,
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._config: dict[str, Any] = _present(
            api_key_env_var=api_key_env_var, model_name=model_name, task_type=task_type, dimension=dimension
        )
        _GENERATIVE_FORM.check(self._config)
        key = Key(_GENERATIVE, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = _endpoint(_GENERATIVE, model_name, key, timeout, max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return _embed(self._endpoint, self._config, input, False)  # type: ignore[return-value]

    def embed_query(self, input: list[str]) -> Vectors:
        return _embed(self._endpoint, self._config, input, True)  # type: ignore[return-value]

    @staticmethod
    def name() -> str:
        return "google_generative_ai"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> GoogleGenerativeAiEmbeddingFunction:
        return GoogleGenerativeAiEmbeddingFunction(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _GENERATIVE_FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _GENERATIVE_FORM.check_update(old_config, new_config)


class GoogleGeminiEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Google's models in the Gemini API. Also stored as "google_genai".

    model_name       for example "gemini-embedding-001"
    task_type        the task for documents. For "RETRIEVAL_DOCUMENT", queries are embedded as
                     RETRIEVAL_QUERY. None (default): the model's default for both
    dimension        length of the vectors, for models that offer shorter ones
    api_key_env_var  the environment variable with the key, else GOOGLE_API_KEY; its name is stored
    vertexai, project, location  accepted because stored configurations have them. Vertex AI is not supported,
                     since it needs an access token that is renewed. Embedding raises UnsupportedError
    api_key          the key; never stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 100 texts per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        model_name: str = "gemini-embedding-001",
        task_type: str | None = None,
        dimension: int | None = None,
        api_key_env_var: str | None = _VARIABLES[0],
        vertexai: bool | None = None,
        project: str | None = None,
        location: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._config: dict[str, Any] = _present(task_type=task_type, dimension=dimension) | {
            "model_name": model_name,
            "api_key_env_var": api_key_env_var,
            "vertexai": vertexai,
            "project": project,
            "location": location,
        }
        _GEMINI_FORM.check(self._config)
        if vertexai and api_key is not LATER:
            raise _no_vertex()
        key = Key(_GEMINI, api_key, _VARIABLES[0] if api_key_env_var is None else api_key_env_var, _VARIABLES)
        self._endpoint = _endpoint(_GEMINI, model_name, key, timeout, max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return self._embed(input, False)  # type: ignore[return-value]

    def embed_query(self, input: list[str]) -> Vectors:
        return self._embed(input, True)  # type: ignore[return-value]

    def _embed(self, texts: list[str], queries: bool) -> npt.NDArray[np.float32]:
        if self._config["vertexai"]:
            raise _no_vertex()
        return _embed(self._endpoint, self._config, texts, queries)

    @staticmethod
    def name() -> str:
        return "google_gemini"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> GoogleGeminiEmbeddingFunction:
        return GoogleGeminiEmbeddingFunction(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _GEMINI_FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _GEMINI_FORM.check_update(old_config, new_config)


GoogleGenaiEmbeddingFunction = GoogleGeminiEmbeddingFunction


def _present(**config: Any) -> dict[str, Any]:
    """Drop keys whose value is None, because stored configurations omit these keys."""
    return {name: value for name, value in config.items() if value is not None}


def _endpoint(source: str, model: str, key: Key, timeout: float, retries: int) -> Endpoint:
    path = as_path(source, "model_name", model.removeprefix("models/"))
    return Endpoint(
        source,
        f"{_BASE}/models/{path}:batchEmbedContents",
        key,
        header="x-goog-api-key",
        scheme="",
        timeout=timeout,
        retries=retries,
    )


def _embed(
    endpoint: Endpoint, config: Mapping[str, Any], texts: list[str], queries: bool
) -> npt.NDArray[np.float32]:
    task = config.get("task_type")
    options = _present(
        taskType=_QUERY_TASKS.get(task, task) if queries and task is not None else task,
        outputDimensionality=config.get("dimension"),
    )
    model = "models/" + config["model_name"].removeprefix("models/")

    def send(batch: list[str]) -> list[Any]:
        requests = [{"model": model, "content": {"parts": [{"text": text}]}, **options} for text in batch]
        answer = endpoint.post({"requests": requests})
        rows = answer.get("embeddings") if isinstance(answer, Mapping) else None
        if not isinstance(rows, list) or not all(
            isinstance(row, Mapping) and "values" in row for row in rows
        ):
            raise ChromaError(f"{endpoint.source}: the answer has no `embeddings` with `values` each.")
        return [row["values"] for row in rows]

    return in_batches(texts, send, source=endpoint.source, limit=_LIMIT)


def _no_vertex() -> UnsupportedError:
    return UnsupportedError(
        f"{_GEMINI}: vertexai=True is not offered. Use the Gemini API with a key, or embed with Google's own "
        "library in a function of yours (CallableEmbeddingFunction)."
    )
