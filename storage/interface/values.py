"""The plain values that cross the engine's border.

Owns: the shapes of records and answers; those of requests are in `requests`. Knows no files, no indexes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Scalar: TypeAlias = str | int | float | bool
MetadataValue: TypeAlias = Scalar | list[str] | list[int] | list[float] | list[bool]
Metadata: TypeAlias = Mapping[str, MetadataValue]
Mode: TypeAlias = Literal["add", "upsert", "update"]
Field: TypeAlias = Literal["documents", "metadatas", "uris", "embeddings"]


class EncodedMetadata(Sequence["dict[str, Any] | None"]):
    """Metadata of many records as the engine stores them, made where whole columns are at hand: that spares
    it to encode mappings, and to parse them again for the filter columns.

    texts    a JSON object per record, None for none
    columns  the same values, an Arrow array per key and type ("str", "int", "float", "bool", "str[]", ...)
    """

    __slots__ = ("columns", "texts")

    def __init__(self, texts: list[str | None], columns: Mapping[tuple[str, str], Any] | None) -> None:
        self.texts, self.columns = texts, columns

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: Any) -> Any:
        import orjson

        if isinstance(index, slice):
            columns = self.columns and {slot: array[index] for slot, array in self.columns.items()}
            return EncodedMetadata(self.texts[index], columns)
        text = self.texts[index]
        return None if text is None else orjson.loads(text)


class Records(NamedTuple):
    """A batch to write, already checked: all columns have `len(ids)` entries.

    ids         distinct non-empty strings
    embeddings  float32 (n, dim), finite, C order; None where the batch carries none
    documents   strings; None means "not given"
    metadatas   one mapping per record, None means "not given". Values are exact Python
                str, int (int64), float (finite), bool or non-empty homogeneous lists;
                a None value deletes the key on update/upsert of an existing record and
                is dropped on a new one
    uris        strings; None means "not given"
    has_embedding  boolean (n,), only with `update`: rows whose embedding is given.
                   None: all of them (or none when `embeddings` is None)
    """

    ids: Sequence[str]
    embeddings: Floats | None = None
    documents: Sequence[str | None] | None = None
    metadatas: Sequence[Mapping[str, Any] | None] | None = None
    uris: Sequence[str | None] | None = None
    has_embedding: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What one write did, in numbers of records."""

    added: int = 0
    updated: int = 0
    skipped: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(self.added + other.added, self.updated + other.updated, self.skipped + other.skipped)


class Rows(NamedTuple):
    """Records read back, in insertion order. A column not asked for is None."""

    ids: list[str]
    documents: list[str | None] | None = None
    metadatas: list[dict[str, Any] | None] | None = None
    uris: list[str | None] | None = None
    embeddings: Floats | None = None


class Hits(NamedTuple):
    """The answer to one query vector: rows by ascending distance, ties by insertion order.

    distances  float32 (len(rows.ids),)
    """

    rows: Rows
    distances: Floats


class CollectionRef(NamedTuple):
    """A collection by its id, and the tenant and database that it must be in."""

    tenant: str
    database: str
    id: str


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection as the catalog knows it. `configuration` is plain JSON data:
    {"hnsw": {"space", "ef_construction", "ef_search", "max_neighbors", "num_threads",
    "resize_factor", "sync_threshold", "batch_size"}, "embedding_function": any JSON}.
    The engine acts on "hnsw" and never interprets "embedding_function"."""

    id: str
    name: str
    tenant: str
    database: str
    metadata: dict[str, Any] | None
    configuration: dict[str, Any]
    dimension: int | None = None

    @property
    def ref(self) -> CollectionRef:
        """What names it in requests."""
        return CollectionRef(self.tenant, self.database, self.id)


class IndexStatus(NamedTuple):
    """How far the similarity index has come, in records."""

    indexed: int
    total: int


class EngineMetrics(NamedTuple):
    """What a process knows of its database without opening anything.

    collections  all of them; the other counts are those of the collections that are open
    log_bytes    of the logs that are being written
    syncs        how often the process has waited for the disk since it started
    """

    collections: int
    open: int
    rows: int
    deleted: int
    segments: int
    not_indexed: int
    log_bytes: int
    syncs: int


class BackupReport(NamedTuple):
    """What a backup, or a restore, did. In bytes, but for the few of manifests and the catalog:

    copied   read, compared with their checksums, written and synced
    linked   shared with the source by hard links
    reused   there already, from an earlier backup
    removed  files of the earlier backup that are needed no more
    """

    path: str
    collections: int
    files: int
    copied: int
    linked: int
    reused: int
    removed: int
    seconds: float


BackupReport.__module__ = "chroma"  # a NamedTuple's body holds fields only


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
