"""The protocol between the API classes and the backends.

The engine in this process (`chroma.embedded.backend`) and the HTTP backends implement this protocol.
Clients and collections use nothing else. Arguments are plain values; results are plain values or lists
of columns. The API classes validate and normalise all arguments, except the filters of a selection, which
the engine parses. Errors are those of `chroma.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..requests.scope import Identity, Scope
from ..storage.interface.ranking import SearchRequest
from ..storage.interface.requests import (
    CollectionChanges,
    DeleteRequest,
    FacetRequest,
    GetRequest,
    NewCollection,
    QueryRequest,
    Selection,
)
from ..storage.interface.values import (
    BackupReport,
    CollectionInfo,
    CollectionRef,
    CollectionSnapshot,
    CollectionStats,
    EfRecall,
    Facet,
    Hits,
    IndexStatus,
    Mode,
    Records,
    Rows,
    SearchAnswer,
    Written,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from ..requests.projection import ScanRequest
    from ..tables.record_batches import AsyncBatches


class AsyncBackend(Protocol):
    """The calls of a backend. Each may raise the errors of `chroma.errors`."""

    @property
    def streams(self) -> bool:
        """Whether `batches` streams one snapshot. Otherwise it reads page by page."""
        ...

    async def heartbeat(self) -> int: ...
    async def version(self) -> str: ...
    async def max_batch_size(self) -> int: ...
    async def console(self) -> str | None:
        """The address of a server that has a console, or None if the database is in this process."""
        ...

    async def identity(self) -> Identity: ...
    async def reset(self) -> None: ...
    async def backup(
        self, path: str, link: bool, verify: bool, progress: Callable[[int, int], None] | None
    ) -> BackupReport:
        """Copy the whole database to a folder. Raises UnsupportedError if this process cannot access the
        database's folder."""
        ...

    async def journals(self) -> str | None:
        """The local folder in which loads record their progress. None for a database in memory, which
        does not outlive the process."""
        ...

    async def close(self) -> None: ...

    async def create_tenant(self, name: str) -> None: ...
    async def get_tenant(self, name: str) -> str: ...
    async def create_database(self, scope: Scope) -> None: ...
    async def get_database(self, scope: Scope) -> dict[str, Any]: ...
    async def list_databases(
        self, tenant: str, limit: int | None, offset: int | None
    ) -> list[dict[str, Any]]: ...
    async def delete_database(self, scope: Scope) -> None: ...

    async def create_collection(self, scope: Scope, new: NewCollection) -> CollectionInfo:
        """Create a collection. Raises UniqueConstraintError if the name is taken."""
        ...

    async def get_collection(self, scope: Scope, name: str) -> CollectionInfo: ...
    async def get_collection_by_id(self, collection: CollectionRef) -> CollectionInfo: ...
    async def list_collections(
        self, scope: Scope, limit: int | None, offset: int | None
    ) -> list[CollectionInfo]: ...
    async def count_collections(self, scope: Scope) -> int: ...
    async def modify_collection(
        self, collection: CollectionRef, changes: CollectionChanges
    ) -> CollectionInfo:
        """Change a collection. Raises UniqueConstraintError if the name is taken."""
        ...

    async def delete_collection(self, scope: Scope, name: str) -> None: ...
    async def fork_collection(self, collection: CollectionRef, name: str) -> CollectionInfo: ...

    async def create_snapshot(self, collection: CollectionRef, name: str) -> CollectionSnapshot:
        """Keep the records as they are now, under a name. Raises UniqueConstraintError if it is taken."""
        ...

    async def list_snapshots(self, collection: CollectionRef) -> list[CollectionSnapshot]:
        """The snapshots of a collection, the oldest first."""
        ...

    async def restore_snapshot(self, collection: CollectionRef, name: str) -> None:
        """Make the records those of a snapshot. Raises NotFoundError."""
        ...

    async def delete_snapshot(self, collection: CollectionRef, name: str) -> None: ...

    async def write(self, collection: CollectionRef, mode: Mode, records: Records) -> Written: ...
    async def delete(self, collection: CollectionRef, request: DeleteRequest) -> int:
        """Delete records. Returns the number deleted."""
        ...

    async def known_ids(self, collection: CollectionRef, ids: Sequence[str]) -> set[str]:
        """The subset of `ids` that the collection holds."""
        ...

    async def get(self, collection: CollectionRef, request: GetRequest) -> Rows: ...
    async def batches(self, collection: CollectionRef, request: ScanRequest) -> AsyncBatches:
        """The requested records as a stream of Arrow record batches.

        If `streams` is true, all of them are from one snapshot."""
        ...

    async def sql(
        self,
        scope: Scope,
        text: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None,
        tables: Mapping[str, pa.Table],
        home: str | None,
    ) -> pa.Table:
        """The result of a SELECT statement over the collections of a database. The statement may also name
        `tables`. `home` is the id of the collection that the statement calls "records"."""
        ...

    async def query(self, collection: CollectionRef, request: QueryRequest) -> list[Hits]:
        """The nearest records, as one Hits per query vector."""
        ...

    async def search(
        self, collection: CollectionRef, requests: Sequence[SearchRequest]
    ) -> list[SearchAnswer]:
        """The records that each search finds."""
        ...

    async def count(self, collection: CollectionRef, selection: Selection) -> int: ...
    async def facets(self, collection: CollectionRef, request: FacetRequest) -> list[Facet]:
        """The counts of the values of each requested key."""
        ...

    async def index_status(self, collection: CollectionRef) -> IndexStatus: ...
    async def recall(self, collection: CollectionRef, k: int, sample: int) -> float: ...
    async def recall_by_ef(
        self, collection: CollectionRef, k: int, sample: int, efs: Sequence[int]
    ) -> list[EfRecall]: ...
    async def compact(self, collection: CollectionRef) -> None: ...
    async def compact_all(self, scope: Scope) -> None:
        """Compact every collection of a database."""
        ...

    async def stats(self, collection: CollectionRef) -> CollectionStats: ...
