"""Local sparse models (Splade) that the package sentence-transformers runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ...errors import InvalidArgumentError
from ..core.config_schema import MAYBE_DICT, MAYBE_TEXT, TEXT, Form
from ..core.configured import ConfiguredLocally
from ..core.inputs import checked
from ..core.local_models import using
from ..core.sparse import SparseEmbeddingFunction, normalize_sparse_vector
from .sentence_transformers import check_stored_arguments

if TYPE_CHECKING:
    from ...types import SparseVectors

_SOURCE = "HuggingFaceSparseEmbeddingFunction"


class HuggingFaceSparseEmbeddingFunctionQueryConfig(TypedDict):
    """The settings that differ for queries: the task."""

    task: Literal["document", "query"]


class HuggingFaceSparseEmbeddingFunction(ConfiguredLocally, SparseEmbeddingFunction[list[str]]):
    """Local sparse models of sentence-transformers. Needs `chroma-arrow[sentence-transformers]`.

    model_name    for example "prithivida/Splade_PP_en_v1", which the package downloads at first use
    device        "cpu", "cuda", …
    task          "document" or "query": how texts are embedded
    query_config  {"task": …} for queries; None: as `task`
    kwargs        arguments for `SparseEncoder(…)`
    """

    __module__ = "chroma.utils.embedding_functions"

    _package = "sentence_transformers"
    _distribution = "sentence-transformers"
    _form = Form(
        "huggingface_sparse",
        {
            "model_name": TEXT,
            "device": TEXT,
            "task": MAYBE_TEXT,
            "query_config": MAYBE_DICT,
            "kwargs": MAYBE_DICT,
        },
        needed=("model_name", "device"),
        fixed=("task",),
    )

    def __init__(
        self,
        model_name: str,
        device: str,
        task: Literal["document", "query"] | None = "document",
        query_config: HuggingFaceSparseEmbeddingFunctionQueryConfig | None = None,
        **kwargs: Any,
    ) -> None:
        self._need_package()
        self._set(
            {
                "model_name": model_name,
                "device": device,
                "task": task,
                "query_config": query_config,
                "kwargs": kwargs,
            }
        )

    def _set(self, config: dict[str, Any]) -> None:
        super()._set(config)
        for task in (config["task"], (config["query_config"] or {}).get("task", "query")):
            check_task(_SOURCE, task)

    def __call__(self, input: list[str]) -> SparseVectors:
        return self._embed(input, self._config["task"])

    def embed_query(self, input: list[str]) -> SparseVectors:
        return self._embed(input, (self._config["query_config"] or self._config)["task"])

    def _embed(self, texts: list[str], task: str) -> SparseVectors:
        given = checked(texts)
        settings = {name: self._config[name] for name in ("model_name", "device", "kwargs")}
        with using(_SOURCE, settings, self._load) as model:
            encode = model.encode_query if task == "query" else model.encode_document
            return [_sparse(row) for row in encode(given)]

    def _load(self) -> Any:
        return self._import(self._package).SparseEncoder(
            model_name_or_path=self._config["model_name"],
            device=self._config["device"],
            **(self._config["kwargs"] or {}),
        )

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Any:
        check_stored_arguments(_SOURCE, config.get("kwargs") or {})
        return super().build_from_config({"kwargs": {}, **config})


def check_task(source: str, task: Any) -> None:
    """Raise InvalidArgumentError unless `task` is "document" or "query"."""
    if task not in ("document", "query"):
        raise InvalidArgumentError(f"{source}: `task` must be 'document' or 'query', got {task!r}.")


def _sparse(row: Any) -> Any:
    import numpy as np

    dense = row.to_dense() if hasattr(row, "to_dense") else row
    numbers = np.asarray(dense.cpu() if hasattr(dense, "cpu") else dense)
    (indices,) = np.nonzero(numbers)
    return normalize_sparse_vector(indices.tolist(), numbers[indices].tolist())
