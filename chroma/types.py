"""The public type aliases and value types. The module has no functions and no state.

`OneOrMany[X]` means `X | list[X]`. The aliases describe the canonical form of a value.
`chroma/validation` defines the other forms that calls accept (numpy, pandas, Arrow).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar
from uuid import UUID

import numpy.typing as npt

from .storage.interface.report_repr import report_html, report_repr
from .storage.interface.sparse_vector import SPARSE_VECTOR_TYPE_VALUE as SPARSE_VECTOR_TYPE_VALUE
from .storage.interface.sparse_vector import TYPE_KEY as TYPE_KEY
from .storage.interface.sparse_vector import SparseVector as SparseVector

T = TypeVar("T")
OneOrMany: TypeAlias = T | list[T]

ID: TypeAlias = str
IDs: TypeAlias = list[ID]
URI: TypeAlias = str
URIs: TypeAlias = list[URI]
Document: TypeAlias = str
Documents: TypeAlias = list[Document]
Vector: TypeAlias = npt.NDArray[Any]
PyVector: TypeAlias = Sequence[float] | Sequence[int]
Embedding: TypeAlias = Vector
Embeddings: TypeAlias = list[Embedding]
PyEmbedding: TypeAlias = PyVector
PyEmbeddings: TypeAlias = list[PyEmbedding]
Image: TypeAlias = npt.NDArray[Any]
Images: TypeAlias = list[Image]
Embeddable: TypeAlias = Documents | Images

Scalar: TypeAlias = str | int | float | bool
MetadataListValue: TypeAlias = list[str] | list[int] | list[float] | list[bool]
MetadataValue: TypeAlias = Scalar | MetadataListValue | SparseVector | None
Metadata: TypeAlias = Mapping[str, MetadataValue]
Metadatas: TypeAlias = list[Metadata]
UpdateMetadata: TypeAlias = Mapping[str, MetadataValue]
CollectionMetadata: TypeAlias = dict[str, Any]
UpdateCollectionMetadata: TypeAlias = dict[str, Any]

LiteralValue: TypeAlias = Scalar
OperatorExpression: TypeAlias = dict[str, Any]
Where: TypeAlias = dict[str, Any]
WhereDocument: TypeAlias = dict[str, Any]
WhereDocumentOperator: TypeAlias = Literal[
    "$contains", "$not_contains", "$regex", "$not_regex", "$and", "$or"
]
WhereOperator: TypeAlias = Literal["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"]
InclusionExclusionOperator: TypeAlias = Literal["$in", "$nin"]
LogicalOperator: TypeAlias = Literal["$and", "$or"]


class SupportsArray(Protocol):
    """An object that numpy converts to an array: a numpy or Arrow array, a pandas or polars series."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


class SupportsArrow(Protocol):
    """A table that gives its rows as an Arrow stream: dataframes of pandas and polars, Arrow tables and
    readers, DuckDB relations."""

    def __arrow_c_stream__(self, *args: Any, **kwargs: Any) -> Any: ...


# What the arguments of calls accept. Whole numbers are ids, as their digits.
GivenIDs: TypeAlias = str | int | Sequence[str] | Sequence[int] | SupportsArray
GivenTable: TypeAlias = SupportsArrow | Mapping[str, Any]
GivenTexts: TypeAlias = str | Sequence[str | None] | SupportsArray
GivenEmbeddings: TypeAlias = (
    Sequence[float] | Sequence[Sequence[float]] | Sequence[SupportsArray] | SupportsArray
)
GivenMetadatas: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | SupportsArray
GivenImages: TypeAlias = SupportsArray | Sequence[SupportsArray]

IncludeField: TypeAlias = Literal["documents", "embeddings", "metadatas", "distances", "uris", "data"]
Include: TypeAlias = list[IncludeField]
Loadable: TypeAlias = list[Any]
L_co = TypeVar("L_co", covariant=True)
Space: TypeAlias = Literal["l2", "cosine", "ip"]


class DataLoader(Protocol[L_co]):
    """Loads the content that each uri points to, one entry per uri."""

    def __call__(self, uris: Sequence[str | None]) -> L_co: ...


class DeleteResult(TypedDict):
    """deleted: the number of deleted records."""

    deleted: int


class Tenant(TypedDict):
    """A tenant, as returned by `AdminClient.get_tenant`."""

    name: str


class Database(TypedDict):
    """A database, as returned by `AdminClient.get_database`."""

    id: UUID
    name: str
    tenant: str


class ReadLevel(str, Enum):
    """How up to date a count must be. An embedded client counts all acknowledged records at every level."""

    INDEX_AND_WAL = "index_and_wal"
    INDEX_ONLY = "index_only"
    INDEX_AND_BOUNDED_WAL = "index_and_bounded_wal"


class TokenTransportHeader(str, Enum):
    """The HTTP header that carries an access token."""

    AUTHORIZATION = "Authorization"
    X_CHROMA_TOKEN = "X-Chroma-Token"  # noqa: S105 - a header's name


@dataclass(frozen=True, slots=True)
class IndexingStatus:
    """The progress of the similarity index. `op_indexing_progress` is between 0 and 1."""

    num_indexed_ops: int
    num_unindexed_ops: int
    total_ops: int
    op_indexing_progress: float

    __repr__ = report_repr
    _repr_html_ = report_html


@dataclass(frozen=True, slots=True)
class CollectionModel:
    """A collection's catalog entry, as of the time its handle was created or last modified.

    Fields are also available as `model["name"]`. An unknown field name gives None.
    """

    id: UUID
    name: str
    configuration_json: dict[str, Any]
    metadata: CollectionMetadata | None
    dimension: int | None
    tenant: str
    database: str
    schema: None = None

    def __getitem__(self, field: str) -> Any:
        return getattr(self, field, None) if field in self.__slots__ else None


SparseVectors: TypeAlias = list[SparseVector]
