"""Local sparse models that the package fastembed runs, BM25 among them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict

from ...errors import InvalidArgumentError
from ..core.config_schema import MAYBE_BOOL, MAYBE_DICT, MAYBE_INT, MAYBE_TEXT, TEXT, Form
from ..core.configured import ConfiguredLocally
from ..core.inputs import checked
from ..core.local_models import using
from ..core.sparse import SparseEmbeddingFunction, normalize_sparse_vector
from .huggingface_sparse import check_task

if TYPE_CHECKING:
    from ...types import SparseVectors

_NUMBER: tuple[type, ...] = (int, float, type(None))
_LIST: tuple[type, ...] = (list, type(None))
_OWN_KEYS = ("task", "query_config", "kwargs")
# what a stored configuration may not say: where files are written or read, and arguments of the package
_OF_PROGRAMS = ("cache_dir", "specific_model_path", "kwargs")


class FastembedSparseEmbeddingFunctionQueryConfig(TypedDict):
    """The settings that differ for queries: the task."""

    task: Literal["document", "query"]


class Bm25EmbeddingFunctionQueryConfig(TypedDict):
    """The settings that differ for queries: the task."""

    task: Literal["document", "query"]


class _OfFastembed(ConfiguredLocally):
    """The base of both functions of the package."""

    _package = _distribution = "fastembed"
    _model_class: ClassVar[str]
    _fixed: ClassVar[dict[str, Any]] = {}

    def _set(self, config: dict[str, Any]) -> None:
        super()._set(config)
        for task in (config["task"], (config["query_config"] or {}).get("task", "query")):
            check_task(type(self).__name__, task)

    def _embed(self, texts: list[str], task: str) -> SparseVectors:
        given = checked(texts)
        settings = {
            name: value for name, value in self._config.items() if name not in ("task", "query_config")
        }
        with using(type(self).__name__, settings, self._load) as model:
            rows = list(model.query_embed(given) if task == "query" else model.embed(given))
        return [normalize_sparse_vector(row.indices.tolist(), row.values.tolist()) for row in rows]

    def _query_task(self) -> str:
        task: str = (self._config["query_config"] or self._config)["task"]
        return task

    def _load(self) -> Any:
        module, _, name = self._model_class.rpartition(".")
        given = {key: value for key, value in self._config.items() if key not in _OWN_KEYS}
        arguments = self._fixed | {key: value for key, value in given.items() if value is not None}
        return getattr(self._import(module), name)(**arguments | (self._config["kwargs"] or {}))

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Any:
        if given := [key for key in _OF_PROGRAMS if config.get(key)]:
            raise InvalidArgumentError(
                f"{cls.__name__}: the stored configuration has {given}, which are taken from a program only: "
                "pass the function as `embedding_function=`."
            )
        return super().build_from_config({"kwargs": {}, **config})


class FastembedSparseEmbeddingFunction(_OfFastembed, SparseEmbeddingFunction[list[str]]):
    """Local sparse models of fastembed. Needs the package fastembed.

    model_name    for example "prithivida/Splade_PP_en_v1", which the package downloads at first use
    task          "document" or "query": how texts are embedded
    cache_dir, threads, cuda, device_ids, lazy_load, kwargs  arguments for `SparseTextEmbedding(…)`
    query_config  {"task": …} for queries; None: as `task`
    """

    __module__ = "chroma.utils.embedding_functions"

    _model_class = "fastembed.SparseTextEmbedding"
    _form = Form(
        "fastembed_sparse",
        {
            "model_name": TEXT,
            "task": MAYBE_TEXT,
            "query_config": MAYBE_DICT,
            "cache_dir": MAYBE_TEXT,
            "threads": MAYBE_INT,
            "cuda": MAYBE_BOOL,
            "device_ids": _LIST,
            "lazy_load": MAYBE_BOOL,
            "kwargs": MAYBE_DICT,
        },
        needed=("model_name",),
        fixed=("task",),
    )

    def __init__(
        self,
        model_name: str,
        task: Literal["document", "query"] | None = "document",
        cache_dir: str | None = None,
        threads: int | None = None,
        cuda: bool | None = None,
        device_ids: list[int] | None = None,
        lazy_load: bool | None = None,
        query_config: FastembedSparseEmbeddingFunctionQueryConfig | None = None,
        **kwargs: Any,
    ) -> None:
        self._need_package()
        self._set(
            {
                "model_name": model_name,
                "task": task,
                "query_config": query_config,
                "cache_dir": cache_dir,
                "threads": threads,
                "cuda": cuda,
                "device_ids": device_ids,
                "lazy_load": lazy_load,
                "kwargs": kwargs,
            }
        )

    def __call__(self, input: list[str]) -> SparseVectors:
        return self._embed(input, self._config["task"])

    def embed_query(self, input: list[str]) -> SparseVectors:
        return self._embed(input, self._query_task())


class Bm25EmbeddingFunction(_OfFastembed, SparseEmbeddingFunction[list[str]]):
    """BM25 of fastembed. Needs the package fastembed. ChromaBm25EmbeddingFunction needs no model files.

    avg_len       the average length of a document in words
    task          "document" or "query": how texts are embedded
    k, b          the parameters of BM25: saturation of the frequency, weight of the length
    language, token_max_length, disable_stemmer  how texts are divided into tokens
    cache_dir, specific_model_path, kwargs  arguments for `Bm25(…)`
    query_config  {"task": …} for queries; None: as `task`
    """

    __module__ = "chroma.utils.embedding_functions"

    _model_class = "fastembed.sparse.bm25.Bm25"
    _fixed: ClassVar[dict[str, Any]] = {"model_name": "Qdrant/bm25"}
    _form = Form(
        "bm25",
        {
            "task": MAYBE_TEXT,
            "query_config": MAYBE_DICT,
            "cache_dir": MAYBE_TEXT,
            "k": _NUMBER,
            "b": _NUMBER,
            "avg_len": _NUMBER,
            "language": MAYBE_TEXT,
            "token_max_length": MAYBE_INT,
            "disable_stemmer": MAYBE_BOOL,
            "specific_model_path": MAYBE_TEXT,
            "kwargs": MAYBE_DICT,
        },
        needed=(),
        fixed=("task", "k", "b", "avg_len", "language", "token_max_length", "disable_stemmer"),
    )

    def __init__(
        self,
        avg_len: float | None = None,
        task: Literal["document", "query"] | None = "document",
        cache_dir: str | None = None,
        k: float | None = None,
        b: float | None = None,
        language: str | None = None,
        token_max_length: int | None = None,
        disable_stemmer: bool | None = None,
        specific_model_path: str | None = None,
        query_config: Bm25EmbeddingFunctionQueryConfig | None = None,
        **kwargs: Any,
    ) -> None:
        warnings.warn(
            "Bm25EmbeddingFunction is deprecated: use ChromaBm25EmbeddingFunction",
            DeprecationWarning,
            stacklevel=2,
        )
        self._need_package()
        self._set(
            {
                "task": task,
                "query_config": query_config,
                "cache_dir": cache_dir,
                "k": k,
                "b": b,
                "avg_len": avg_len,
                "language": language,
                "token_max_length": token_max_length,
                "disable_stemmer": disable_stemmer,
                "specific_model_path": specific_model_path,
                "kwargs": kwargs,
            }
        )

    def __call__(self, input: list[str]) -> SparseVectors:
        return self._embed(input, self._config["task"])

    def embed_query(self, input: list[str]) -> SparseVectors:
        return self._embed(input, self._query_task())
