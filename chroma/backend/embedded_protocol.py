"""What a backend over an engine in this process offers beyond `Backend`.

Owns: what a server is made of, and what only the folder itself can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from ..requests.scope import Scope
from ..storage.interface.requests import Page, QueryRequest, Selection
from ..storage.interface.values import (
    CollectionInfo,
    CollectionRef,
    EngineMetrics,
    Field,
    Floats,
    Hits,
    Rows,
)
from .protocol import Backend

if TYPE_CHECKING:
    import pyarrow as pa


class FoundRecords(Protocol):
    """The records of a scan, of one snapshot; nothing of them is read yet."""

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    def size(self, fields: frozenset[Field]) -> int:
        """Bytes of these columns, about."""
        ...

    def take(self, fields: frozenset[Field]) -> Rows:
        """All of them at once."""
        ...

    @property
    def views(self) -> Sequence[Any]:
        """The parts of the snapshot; `live` of each: how many records it has."""
        ...

    def slots(self, keys: Sequence[str] | None = None) -> Sequence[tuple[str, Any]]:
        """The keys and types of the metadata; of `keys`, where given, all types in the snapshot."""
        ...

    def read(
        self, fields: frozenset[Field], slots: Sequence[tuple[str, Any]] | None = None
    ) -> pa.RecordBatchReader:
        """As a stream: a column for each of `slots`, or without them metadata as texts of JSON."""
        ...


class FoundHits(Protocol):
    """The hits of a query, of one snapshot.

    counts     how many hits each query has
    distances  float32, of one query after the other
    """

    @property
    def counts(self) -> Sequence[int]: ...
    @property
    def distances(self) -> Floats: ...

    def size(self, fields: frozenset[Field]) -> int:
        """Bytes of these columns, about."""
        ...

    def hits(self, fields: frozenset[Field]) -> list[Hits]:
        """All of them at once."""
        ...

    def batches(self, fields: frozenset[Field]) -> Iterator[pa.RecordBatch]:
        """One after the other, in batches; metadata are texts of JSON."""
        ...


class EmbeddedBackend(Backend, Protocol):
    """A backend whose engine is in this process."""

    def metrics(self) -> EngineMetrics:
        """What the engine knows without opening anything."""
        ...

    def list_tenants(self) -> list[str]:
        """All tenants, which only the folder itself tells."""
        ...

    def shares_folder(self, other: Backend) -> bool:
        """Whether both are over one engine."""
        ...

    def fork_into(self, collection: CollectionRef, target: Scope, name: str) -> CollectionInfo:
        """As `fork_collection`, into any database of the folder."""
        ...

    def scan(self, collection: CollectionRef, selection: Selection, page: Page) -> FoundRecords:
        """What `get` would give, to be read as it is wanted."""
        ...

    def ranked(self, collection: CollectionRef, request: QueryRequest) -> FoundHits:
        """What `query` would give, to be read as it is wanted."""
        ...

    def statement(
        self, scope: Scope, text: str, tables: Mapping[str, pa.Table], home: str | None
    ) -> tuple[Callable[[], None], Callable[[Any], pa.RecordBatchReader]]:
        """A function that stops an SQL statement, and one that runs it with parameters."""
        ...


def is_embedded(backend: Backend) -> TypeGuard[EmbeddedBackend]:
    """Whether the engine of a backend is in this process."""
    return hasattr(backend, "shares_folder")
