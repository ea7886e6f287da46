"""The calls that a backend over an engine in this process offers beyond `Backend`.

Owns: the calls that a server is built on, and those that only direct access to the folder can answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from ..requests.scope import Scope
from ..storage.interface.explanation import Explanation
from ..storage.interface.ranking import SearchRequest
from ..storage.interface.requests import Page, QueryRequest, Selection
from ..storage.interface.schema import ValueType
from ..storage.interface.values import (
    CollectionInfo,
    CollectionRef,
    EngineMetrics,
    Field,
    Floats,
    Hits,
    Rows,
    SearchAnswer,
    WordMatches,
)
from .protocol import Backend

if TYPE_CHECKING:
    import pyarrow as pa


class FoundRecords(Protocol):
    """The records that a scan found in one snapshot. Their values are read only on demand."""

    @property
    def rows(self) -> int:
        """The number of records."""
        ...

    def size(self, fields: frozenset[Field]) -> int:
        """The approximate size of these columns in bytes."""
        ...

    def take(self, fields: frozenset[Field]) -> Rows:
        """All records at once."""
        ...

    @property
    def views(self) -> Sequence[Any]:
        """The parts of the snapshot. Each has `live`, the number of its records."""
        ...

    @property
    def state(self) -> Any:
        """A value that equals that of a later scan only if the collection has not changed meanwhile."""
        ...

    def slots(self, keys: Sequence[str] | None = None) -> Sequence[tuple[str, Any]]:
        """The keys and types of the metadata. If `keys` is given: only these keys, with every type that they
        have in the snapshot."""
        ...

    def read(
        self, fields: frozenset[Field], slots: Sequence[tuple[str, Any]] | None = None
    ) -> pa.RecordBatchReader:
        """The records as a stream with one column per slot. Without `slots`, one column holds the metadata
        as JSON text."""
        ...


class FoundHits(Protocol):
    """The hits of one or more queries in one snapshot.

    counts     the number of hits of each query
    distances  float32, query by query
    """

    @property
    def counts(self) -> Sequence[int]: ...
    @property
    def distances(self) -> Floats: ...

    def explanation(self) -> Explanation | None:
        """The explanation, for records that are read in batches. None: it was not asked for."""
        ...

    def word_matches(self) -> Sequence[WordMatches]:
        """How well the words of each query match. Empty: only distances counted."""
        ...

    def size(self, fields: frozenset[Field]) -> int:
        """The approximate size of these columns in bytes."""
        ...

    def hits(self, fields: frozenset[Field]) -> list[Hits]:
        """All hits at once."""
        ...

    def batches(self, fields: frozenset[Field]) -> Iterator[pa.RecordBatch]:
        """The hits in record batches, query by query. Metadata is JSON text."""
        ...


class FoundBySearch(Protocol):
    """The records that one search found in one snapshot. Their values are read only on demand."""

    def __len__(self) -> int: ...
    def size(self) -> int:
        """The approximate size of the requested columns in bytes."""
        ...

    def answer(self) -> SearchAnswer:
        """All records at once."""
        ...


class EmbeddedBackend(Backend, Protocol):
    """A backend whose engine is in this process."""

    @property
    def folder(self) -> str | None:
        """The folder of the database, or None for one in memory."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written, as in a backup."""
        ...

    def metrics(self) -> EngineMetrics:
        """The engine's metrics. Reading them opens no collection."""
        ...

    def open_collections(self) -> set[str]:
        """The ids of the collections whose files are open, which can be measured at once."""
        ...

    def list_tenants(self) -> list[str]:
        """All tenants. Only a backend with access to the folder can list them."""
        ...

    def shares_folder(self, other: Backend) -> bool:
        """Whether both backends use the same engine."""
        ...

    def fork_into(self, collection: CollectionRef, target: Scope, name: str) -> CollectionInfo:
        """Like `fork_collection`, but into any database of the folder."""
        ...

    def metadata_keys(self, collection: CollectionRef) -> list[tuple[str, ValueType]]:
        """The metadata keys of the records, with the types of their values."""
        ...

    def scan(self, collection: CollectionRef, selection: Selection, page: Page) -> FoundRecords:
        """The records that `get` would return, to be read on demand."""
        ...

    def ranked(self, collection: CollectionRef, request: QueryRequest) -> FoundHits:
        """The hits that `query` would return, to be read on demand."""
        ...

    def searched(
        self, collection: CollectionRef, requests: Sequence[SearchRequest]
    ) -> Sequence[FoundBySearch]:
        """The result of `search`, to be read on demand."""
        ...

    def statement(
        self, scope: Scope, text: str, tables: Mapping[str, pa.Table], home: str | None
    ) -> tuple[Callable[[], None], Callable[[Any], pa.RecordBatchReader]]:
        """Prepare an SQL statement. Returns a function that interrupts it, and a function that runs it with
        parameters."""
        ...


def is_embedded(backend: Backend) -> TypeGuard[EmbeddedBackend]:
    """Whether the engine of a backend is in this process."""
    return hasattr(backend, "shares_folder")
