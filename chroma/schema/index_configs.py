"""The settings of each kind of index.

Owns: the settings, and the check of each by itself. The sizes of numbers are checked when a collection is
created.
"""

from __future__ import annotations

from typing import Any, get_args

from ..embedding.core.sparse import SparseEmbeddingFunction
from ..embedding.registry import same_stored
from ..embedding.resolve import DEFAULT
from ..errors import InvalidArgumentError, InvalidTypeError
from ..search.conditions import Key
from ..storage.interface.schema import DOCUMENT
from ..storage.interface.short_repr import shown
from ..types import Space

# what a spann index of the hosted service can also be told; dropped
_DROPPED_OF_SPANN = frozenset(
    {
        "center_drift_threshold",
        "initial_lambda",
        "nreplica_count",
        "num_centers_to_merge_to",
        "num_samples_kmeans",
        "quantize",
        "search_rng_epsilon",
        "search_rng_factor",
        "write_rng_epsilon",
        "write_rng_factor",
    }
)


class _Config:
    """Settings, which are the attributes of the object in the order of their definition."""

    __hash__ = None  # type: ignore[assignment]

    def _refuse(self, unknown: dict[str, Any]) -> None:
        for name in unknown:
            known = ", ".join(vars(self)) or "none"
            raise InvalidArgumentError(
                f"Extra inputs are not permitted: {name!r} is not a valid field for {type(self).__name__}; "
                f"it has these: {known}"
            )

    def model_dump(self) -> dict[str, Any]:
        """Return the settings by name, as Chroma's own classes do."""
        return dict(vars(self))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = vars(self), vars(other)
        return all(mine[name] == theirs[name] or same_stored(mine[name], theirs[name]) for name in mine)


class FtsIndexConfig(_Config):
    """The full-text index, which documents have: filters on documents use it."""

    def __init__(self, **unknown: Any) -> None:
        self._refuse(unknown)


class StringInvertedIndexConfig(_Config):
    """The index that filters on texts in metadata use."""

    def __init__(self, **unknown: Any) -> None:
        self._refuse(unknown)


class IntInvertedIndexConfig(_Config):
    """The index that filters on integers in metadata use."""

    def __init__(self, **unknown: Any) -> None:
        self._refuse(unknown)


class FloatInvertedIndexConfig(_Config):
    """The index that filters on floats in metadata use."""

    def __init__(self, **unknown: Any) -> None:
        self._refuse(unknown)


class BoolInvertedIndexConfig(_Config):
    """The index that filters on booleans in metadata use."""

    def __init__(self, **unknown: Any) -> None:
        self._refuse(unknown)


class HnswIndexConfig(_Config):
    """Settings of the similarity index, as in `configuration["hnsw"]`. None: the default."""

    def __init__(
        self,
        *,
        ef_construction: int | None = None,
        max_neighbors: int | None = None,
        ef_search: int | None = None,
        num_threads: int | None = None,
        batch_size: int | None = None,
        sync_threshold: int | None = None,
        resize_factor: float | None = None,
        **unknown: Any,
    ) -> None:
        self.ef_construction = _integer(ef_construction, "ef_construction")
        self.max_neighbors = _integer(max_neighbors, "max_neighbors")
        self.ef_search = _integer(ef_search, "ef_search")
        self.num_threads = _integer(num_threads, "num_threads")
        self.batch_size = _integer(batch_size, "batch_size")
        self.sync_threshold = _integer(sync_threshold, "sync_threshold")
        self.resize_factor = _number(resize_factor, "resize_factor")
        self._refuse(unknown)


class SpannIndexConfig(_Config):
    """Settings of an index of the hosted service. They are kept; the collection gets an HNSW index."""

    def __init__(
        self,
        *,
        search_nprobe: int | None = None,
        write_nprobe: int | None = None,
        ef_construction: int | None = None,
        ef_search: int | None = None,
        max_neighbors: int | None = None,
        reassign_neighbor_count: int | None = None,
        split_threshold: int | None = None,
        merge_threshold: int | None = None,
        **unknown: Any,
    ) -> None:
        self.search_nprobe = _integer(search_nprobe, "search_nprobe")
        self.write_nprobe = _integer(write_nprobe, "write_nprobe")
        self.ef_construction = _integer(ef_construction, "ef_construction")
        self.ef_search = _integer(ef_search, "ef_search")
        self.max_neighbors = _integer(max_neighbors, "max_neighbors")
        self.reassign_neighbor_count = _integer(reassign_neighbor_count, "reassign_neighbor_count")
        self.split_threshold = _integer(split_threshold, "split_threshold")
        self.merge_threshold = _integer(merge_threshold, "merge_threshold")
        self._refuse({name: unknown[name] for name in unknown if name not in _DROPPED_OF_SPANN})


class VectorIndexConfig(_Config):
    """The similarity index of a collection.

    space               l2, cosine or ip; None: the space that the function prefers, else l2
    embedding_function  embeds documents and queries; None: the collection takes vectors only
    source_key          must be "#document": documents are embedded
    hnsw, spann         settings of the index, of at most one kind
    """

    def __init__(
        self,
        *,
        space: Space | None = None,
        embedding_function: Any = DEFAULT,
        source_key: str | Key | None = None,
        hnsw: HnswIndexConfig | None = None,
        spann: SpannIndexConfig | None = None,
        **unknown: Any,
    ) -> None:
        if space is not None and space not in get_args(Space):
            raise InvalidArgumentError(
                f"space is {shown(space)}: expected one of {', '.join(get_args(Space))}"
            )
        if embedding_function is not None and not callable(embedding_function):
            raise InvalidArgumentError(
                f"embedding_function must be callable or None, got {shown(embedding_function)}"
            )
        self.space = space
        self.embedding_function = embedding_function
        self.source_key = _source_key(source_key)
        self.hnsw = _instance(hnsw, HnswIndexConfig, "hnsw")
        self.spann = _instance(spann, SpannIndexConfig, "spann")
        self._refuse(unknown)


class SparseVectorIndexConfig(_Config):
    """The index of the sparse vectors under a key.

    embedding_function  converts texts to sparse vectors; None: the application gives the vectors
    source_key          the key of the texts that are embedded when records are written: "#document" or a
                        metadata key; None: only the texts of queries are
    bm25                True: the numbers of a query are weighted by how few records have their indices
    """

    def __init__(
        self,
        *,
        embedding_function: SparseEmbeddingFunction[Any] | None = None,
        source_key: str | Key | None = None,
        bm25: bool | None = None,
        **unknown: Any,
    ) -> None:
        if embedding_function is not None and not callable(embedding_function):
            raise InvalidArgumentError(
                "embedding_function must be a callable SparseEmbeddingFunction or None, got "
                f"{shown(embedding_function)}"
            )
        if bm25 is not None and not isinstance(bm25, bool):
            raise InvalidTypeError(f"Expected bm25 to be a bool, got {shown(bm25)}")
        self.embedding_function = embedding_function
        self.source_key = _source_key(source_key)
        self.bm25 = bm25
        self._refuse({name: unknown[name] for name in unknown if name != "algorithm"})


def _integer(value: Any, name: str) -> int | None:
    found = _plain(value)
    if found is not None and (isinstance(found, bool) or not isinstance(found, int)):
        raise InvalidTypeError(f"Expected {name} to be an int, got {shown(value)}")
    return found


def _number(value: Any, name: str) -> float | None:
    found = _plain(value)
    if found is not None and (isinstance(found, bool) or not isinstance(found, (int, float))):
        raise InvalidTypeError(f"Expected {name} to be a number, got {shown(value)}")
    return found


def _plain(value: Any) -> Any:
    is_scalar = getattr(value, "shape", None) == () and hasattr(value, "item")
    return value.item() if is_scalar else value


def _source_key(key: Any) -> str | None:
    if key is None:
        return None
    name = key.name if isinstance(key, Key) else key
    if not isinstance(name, str):
        raise InvalidTypeError(f"source_key must be str or Key, got {shown(key)}")
    if name.startswith("#") and name != DOCUMENT:
        raise InvalidArgumentError(
            f"source_key cannot begin with '#', got {name!r}. The only valid key starting with '#' is "
            f"Key.DOCUMENT or {DOCUMENT!r}"
        )
    return str.__str__(name)


def _instance(value: Any, kind: type, name: str) -> Any:
    if value is not None and not isinstance(value, kind):
        raise InvalidTypeError(f"Expected {name} to be a {kind.__name__}, got {shown(value)}")
    return value


for _name in (
    "FtsIndexConfig", "StringInvertedIndexConfig", "IntInvertedIndexConfig", "FloatInvertedIndexConfig",
    "BoolInvertedIndexConfig", "HnswIndexConfig", "SpannIndexConfig", "VectorIndexConfig",
    "SparseVectorIndexConfig",
):  # fmt: skip
    globals()[_name].__module__ = "chroma.api.types"
