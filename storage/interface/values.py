"""The plain values that callers exchange with the engine.

Owns: the shapes of records and answers. Requests are in `requests`. This module does not deal with files or
indexes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .explanation import Explanation
from .report_repr import report_html, report_repr
from .sparse_matrix import SparseMatrix
from .sparse_vector import MARK, restore

Floats: TypeAlias = npt.NDArray[np.float32]
Scalar: TypeAlias = str | int | float | bool
MetadataValue: TypeAlias = Scalar | list[str] | list[int] | list[float] | list[bool]
Metadata: TypeAlias = Mapping[str, MetadataValue]
Mode: TypeAlias = Literal["add", "upsert", "update"]
Field: TypeAlias = Literal["documents", "metadatas", "uris", "embeddings"]


class EncodedMetadata(Sequence["dict[str, Any] | None"]):
    """Metadata of many records in the form in which the engine stores it.

    Code that has the metadata as columns makes an EncodedMetadata itself. The engine then need not encode
    mappings, or parse them again for the filter columns.

    texts     a JSON object per record; None for a record without metadata
    columns   the same values, an Arrow array per key and type ("str", "int", "float", "bool", "str[]", ...)
    mappings  instead of columns: the same values as mappings, without those in `vectors`
    vectors   the sparse vectors of some keys, with the row of each, ascending
    """

    __slots__ = ("columns", "mappings", "texts", "vectors")

    def __init__(
        self,
        texts: list[str | None],
        columns: Mapping[tuple[str, str], Any] | None,
        mappings: Sequence[Mapping[str, Any] | None] | None = None,
        vectors: Mapping[str, tuple[npt.NDArray[np.int64], SparseMatrix]] | None = None,
    ) -> None:
        self.texts, self.columns, self.mappings, self.vectors = texts, columns, mappings, vectors

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: Any) -> Any:
        import orjson

        if isinstance(index, slice):
            columns = self.columns and {slot: array[index] for slot, array in self.columns.items()}
            return EncodedMetadata(self.texts[index], columns)
        text = self.texts[index]
        if text is None:
            return None
        entry = orjson.loads(text)
        if MARK.decode() in text:
            restore([entry])
        return entry


class Records(NamedTuple):
    """A batch to write, already validated. All columns have `len(ids)` entries.

    ids         distinct non-empty strings
    embeddings  float32 (n, dim), finite, C order; None if the batch has no embeddings
    documents   strings; None means "not given"
    metadatas   one mapping per record, None means "not given". Values are exact Python
                str, int (int64), float (finite), bool or non-empty homogeneous lists;
                a None value deletes the key on update/upsert of an existing record and
                is dropped on a new one
    uris        strings; None means "not given"
    has_embedding  boolean (n,), only with `update`: the rows whose embedding is given.
                   None: all rows (or no row if `embeddings` is None)
    """

    ids: Sequence[str]
    embeddings: Floats | None = None
    documents: Sequence[str | None] | None = None
    metadatas: Sequence[Mapping[str, Any] | None] | None = None
    uris: Sequence[str | None] | None = None
    has_embedding: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write, as numbers of records."""

    added: int = 0
    updated: int = 0
    skipped: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(self.added + other.added, self.updated + other.updated, self.skipped + other.skipped)


class Rows(NamedTuple):
    """Records that were read. A column that was not requested is None."""

    ids: list[str]
    documents: list[str | None] | None = None
    metadatas: list[dict[str, Any] | None] | None = None
    uris: list[str | None] | None = None
    embeddings: Floats | None = None


class WordMatches(NamedTuple):
    """How well the words of a text match the records of a query's answer.

    scores        float64 (n,): the sum of BM25 over the words; NaN for a record without any of them
    word_ranks    int64 (n,): the place by words, from 0; -1 for a record that is not among the candidates
    vector_ranks  int64 (n,): the same by distance; None if only words count
    """

    scores: npt.NDArray[np.float64]
    word_ranks: npt.NDArray[np.int64]
    vector_ranks: npt.NDArray[np.int64] | None


class Hits(NamedTuple):
    """The answer to one query vector: rows by ascending distance, with ties in insertion order.

    distances    float32 (len(rows.ids),)
    explanation  what the query did, the same for all vectors of a call; None: it was not asked for
    words        how well the words match; None unless the mode of the query says so. The rows are then in
                 the order of that mode
    """

    rows: Rows
    distances: Floats
    explanation: Explanation | None = None
    words: WordMatches | None = None


class CollectionRef(NamedTuple):
    """The id of a collection, with the tenant and database that it must be in."""

    tenant: str
    database: str
    id: str


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection's entry in the catalog. `configuration` is plain JSON data:
    {"hnsw": {"space", "ef_construction", "ef_search", "max_neighbors", "num_threads",
    "resize_factor", "sync_threshold", "batch_size"}, "embedding_function": any JSON}.
    The engine uses "hnsw" and does not interpret "embedding_function".

    `schema` has the form of `interface.schema`. The space, "hnsw" and the function of its vector index are in
    `configuration` only. None: every filter has its index, and there is no sparse index."""

    id: str
    name: str
    tenant: str
    database: str
    metadata: dict[str, Any] | None
    configuration: dict[str, Any]
    dimension: int | None = None
    schema: dict[str, Any] | None = None

    @property
    def ref(self) -> CollectionRef:
        """The reference to the collection in requests."""
        return CollectionRef(self.tenant, self.database, self.id)


class IndexStatus(NamedTuple):
    """The progress of the similarity index, in records."""

    indexed: int
    total: int


class EngineMetrics(NamedTuple):
    """The metrics that a process has for its database without opening any collection.

    collections  the number of all collections; the other numbers are sums over the open collections
    log_bytes    the size of the logs that are being written
    syncs        how often the process has synced a file or folder since it started
    """

    collections: int
    open: int
    rows: int
    deleted: int
    segments: int
    not_indexed: int
    log_bytes: int
    syncs: int


class SearchAnswer(NamedTuple):
    """The records of one search, in the order of the result.

    scores       float64 (n,); None if the search has no rank
    explanation  what the search did; None: it was not asked for
    """

    rows: Rows
    scores: npt.NDArray[np.float64] | None
    explanation: Explanation | None = None


class FacetRange(NamedTuple):
    """Where the values of a metadata key lie.

    types    the types of the values, as `metadata_keys` names them
    minimum, maximum  of the numbers; if there are none, of the texts; None: there are neither
    edges    the ends of the parts of the histogram, one more than `counts`; empty: there are no numbers
    counts   how many values each part has; a record counts once for each different value
    """

    types: list[str]
    minimum: Scalar | None
    maximum: Scalar | None
    edges: list[float]
    counts: list[int]


class Facet(NamedTuple):
    """The values of a metadata key in some records.

    values    the values and how many records have them, the most frequent first. Equally frequent ones
              ascend: bools, then numbers, then strings
    distinct  the number of different values, also of those that are not in `values`
    records   the number of records that have the key
    range     only if the request has `bins`
    """

    values: list[tuple[Scalar, int]]
    distinct: int
    records: int
    range: FacetRange | None = None


class BackupReport(NamedTuple):
    """The outcome of a backup or a restore.

    copied   bytes that were read, compared with their checksums, written and synced
    linked   bytes that are shared with the source as hard links
    reused   bytes that an earlier backup already had
    removed  number of files of the earlier backup that were no longer needed

    The bytes do not include manifests and the catalog, which are small.
    """

    path: str
    collections: int
    files: int
    copied: int
    linked: int
    reused: int
    removed: int
    seconds: float

    def __repr__(self) -> str:
        return report_repr(self)

    def _repr_html_(self) -> str:
        return report_html(self)


BackupReport.__module__ = "chroma"  # a NamedTuple's body holds fields only


@dataclass(frozen=True, slots=True)
class CollectionSnapshot:
    """A snapshot of a collection that was given a name.

    created  when, in UTC, as ISO 8601
    records  how many it has
    id       of the collection that reads it
    """

    __module__ = "chroma"

    name: str
    created: str
    records: int
    id: str


@dataclass(frozen=True, slots=True)
class EfRecall:
    """What searches with one `ef_search` find.

    recall    the mean share of the exact nearest records
    ms        the median time of a search for one vector, in milliseconds
    exact_ms  that of an exact search
    """

    __module__ = "chroma"

    ef_search: int
    recall: float
    ms: float
    exact_ms: float

    __repr__ = report_repr
    _repr_html_ = report_html


@dataclass(frozen=True, slots=True)
class CollectionStats:
    """Sizes of one collection; `chroma info` prints them."""

    __module__ = "chroma"

    live: int
    deleted: int
    unsealed: int
    segments: int
    indexed: int
    bytes: int
    log_bytes: int
    files: dict[str, int] = field(default_factory=dict)

    __repr__ = report_repr
    _repr_html_ = report_html
