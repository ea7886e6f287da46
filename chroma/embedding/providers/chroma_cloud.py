"""The embedding models of Chroma's hosted service: Qwen for vectors, Splade for sparse vectors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from ...errors import ChromaError, InvalidArgumentError
from ..core.api_keys import Key, check_url
from ..core.config_schema import MAYBE_DICT, MAYBE_TEXT, TEXT, Form
from ..core.configured import Configured
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import checked, in_batches
from ..core.protocol import EmbeddingFunction
from ..core.sparse import SparseEmbeddingFunction, normalize_sparse_vector

if TYPE_CHECKING:
    from ...types import SparseVectors
    from ..core.protocol import Vectors

_QWEN = "ChromaCloudQwenEmbeddingFunction"
_SPLADE = "ChromaCloudSpladeEmbeddingFunction"
_VARIABLES = ("CHROMA_API_KEY",)
_LIMIT = 100  # texts per request; the service does not document a limit
DEFAULT_CHROMA_EMBED_URL = "https://embed.trychroma.com"


class ChromaCloudQwenEmbeddingModel(Enum):
    """The Qwen models of the service."""

    QWEN3_EMBEDDING_0p6B = "Qwen/Qwen3-Embedding-0.6B"


class ChromaCloudQwenEmbeddingTarget(Enum):
    """Whether an instruction is for documents or for queries."""

    DOCUMENTS = "documents"
    QUERY = "query"


class ChromaCloudSpladeEmbeddingModel(Enum):
    """The Splade models of the service."""

    SPLADE_PP_EN_V1 = "prithivida/Splade_PP_en_v1"


# the model's own prompt for this task
CHROMA_CLOUD_QWEN_DEFAULT_INSTRUCTIONS: dict[str, dict[ChromaCloudQwenEmbeddingTarget, str]] = {
    "nl_to_code": {
        ChromaCloudQwenEmbeddingTarget.DOCUMENTS: "",
        ChromaCloudQwenEmbeddingTarget.QUERY: (
            "Given a question about coding, retrieval code or passage that can solve user's question"
        ),
    }
}


class ChromaCloudQwenEmbeddingFunction(Configured, EmbeddingFunction[list[str]]):
    """Qwen models of Chroma's hosted service.

    model            a ChromaCloudQwenEmbeddingModel, or its value
    task             the task whose instructions are sent with the texts; None: no instructions
    instructions     {task: {"documents": …, "query": …}}
    api_key_env_var  the environment variable with the key; its name is stored
    api_key          the key; never stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 100 texts per request, to the address in CHROMA_EMBED_URL if that is set. Raises
    InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form(
        "chroma-cloud-qwen",
        {"api_key_env_var": TEXT, "model": TEXT, "task": MAYBE_TEXT, "instructions": MAYBE_DICT},
        needed=("model",),
        fixed=("model", "task", "instructions"),
    )

    def __init__(
        self,
        model: ChromaCloudQwenEmbeddingModel | str,
        task: str | None,
        instructions: Mapping[str, Mapping[Any, str]] | None = None,
        api_key_env_var: str = _VARIABLES[0],
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        given = CHROMA_CLOUD_QWEN_DEFAULT_INSTRUCTIONS if instructions is None else instructions
        self._set(
            {
                "api_key_env_var": api_key_env_var,
                "model": _member(ChromaCloudQwenEmbeddingModel, model, _QWEN),
                "task": task,
                "instructions": {
                    name: {
                        _member(ChromaCloudQwenEmbeddingTarget, target, _QWEN): text
                        for target, text in texts.items()
                    }
                    for name, texts in given.items()
                },
            }
        )
        key = Key(_QWEN, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = _endpoint(
            _QWEN, "/", key, self._config["model"], timeout=timeout, retries=max_retries
        )

    def __call__(self, input: list[str]) -> Vectors:
        return self._embed(input, ChromaCloudQwenEmbeddingTarget.DOCUMENTS)

    def embed_query(self, input: list[str]) -> Vectors:
        return self._embed(input, ChromaCloudQwenEmbeddingTarget.QUERY)

    def _embed(self, texts: list[str], target: ChromaCloudQwenEmbeddingTarget) -> Vectors:
        task = self._config["task"]
        instruction = self._config["instructions"].get(task, {}).get(target.value, "") if task else ""
        return in_batches(  # type: ignore[return-value]
            texts,
            lambda batch: _embeddings(_QWEN, self._endpoint, {"instructions": instruction, "texts": batch}),
            source=_QWEN,
            limit=_LIMIT,
        )


class ChromaCloudSpladeEmbeddingFunction(Configured, SparseEmbeddingFunction[list[str]]):
    """Splade models of Chroma's hosted service, which give sparse vectors.

    api_key_env_var  the environment variable with the key; its name is stored
    model            a ChromaCloudSpladeEmbeddingModel, or its value
    include_tokens   True: the vectors have the tokens as labels
    api_key          the key; never stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 100 texts per request, to the address in CHROMA_EMBED_URL if that is set. Raises
    InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form(
        "chroma-cloud-splade",
        {"api_key_env_var": TEXT, "model": TEXT, "include_tokens": (bool,)},
        needed=("model",),
        fixed=("model", "include_tokens"),
    )

    def __init__(
        self,
        api_key_env_var: str = _VARIABLES[0],
        model: ChromaCloudSpladeEmbeddingModel | str = ChromaCloudSpladeEmbeddingModel.SPLADE_PP_EN_V1,
        include_tokens: bool = False,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._set(
            {
                "api_key_env_var": api_key_env_var,
                "model": _member(ChromaCloudSpladeEmbeddingModel, model, _SPLADE),
                "include_tokens": include_tokens,
            }
        )
        key = Key(_SPLADE, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = _endpoint(
            _SPLADE, "/embed_sparse", key, self._config["model"], timeout=timeout, retries=max_retries
        )

    def __call__(self, input: list[str]) -> SparseVectors:
        texts = checked(input)
        vectors: SparseVectors = []
        for start in range(0, len(texts), _LIMIT):
            batch = texts[start : start + _LIMIT]
            labels = self._config["include_tokens"]
            body = {"texts": batch, "task": "", "target": "", "fetch_tokens": "true" if labels else "false"}
            rows = _embeddings(_SPLADE, self._endpoint, body)
            if len(rows) != len(batch) or not all(
                isinstance(row, Mapping) and "indices" in row and "values" in row for row in rows
            ):
                raise ChromaError(f"{_SPLADE}: the answer has no `indices` and `values` for each text.")
            vectors += [
                normalize_sparse_vector(
                    row["indices"], row["values"], (row.get("labels") or None) if labels else None
                )
                for row in rows
            ]
        return vectors

    def close(self) -> None:
        """Do nothing: all functions of the process share their connections."""


def get_chroma_embed_url() -> str:
    """Return the address of the service: CHROMA_EMBED_URL, else Chroma's own."""
    url = os.environ.get("CHROMA_EMBED_URL") or DEFAULT_CHROMA_EMBED_URL
    return check_url("the embedding service of Chroma", "CHROMA_EMBED_URL", url)


def _endpoint(source: str, path: str, key: Key, model: str, *, timeout: float, retries: int) -> Endpoint:
    return Endpoint(
        source,
        get_chroma_embed_url() + path,
        key,
        header="x-chroma-token",
        scheme="",
        headers={"x-chroma-embedding-model": model},
        timeout=timeout,
        retries=retries,
    )


def _embeddings(source: str, endpoint: Endpoint, body: Mapping[str, Any]) -> list[Any]:
    answer = endpoint.post(body)
    rows = answer.get("embeddings") if isinstance(answer, Mapping) else None
    if not isinstance(rows, list):
        raise ChromaError(f"{source}: the answer has no `embeddings`.")
    return rows


def _member(kind: type[Enum], value: Any, source: str) -> str:
    """Return the value of a member, given as the member or as its value."""
    for member in kind:
        if value is member or value == member.value:
            return str(member.value)
    known = ", ".join(repr(member.value) for member in kind)
    raise InvalidArgumentError(f"{source}: expected one of {known}, got {value!r}.")
