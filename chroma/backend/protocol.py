# Made from chroma/backend/async_protocol.py by scripts/twins.py: change that file, and run `make fix`.
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
    from ..tables.record_batches import Batches


class Backend(Protocol):
    """The calls of a backend. Each may raise the errors of `chroma.errors`."""

    @property
    def streams(self) -> bool:
        """Whether `batches` streams one snapshot. Otherwise it reads page by page."""
        ...

    def heartbeat(self) -> int: ...
    def version(self) -> str: ...
    def max_batch_size(self) -> int: ...
    def console(self) -> str | None:
        """The address of a server that has a console, or None if the database is in this process."""
        ...

    def identity(self) -> Identity: ...
    def reset(self) -> None: ...
    def backup(
        self, path: str, link: bool, verify: bool, progress: Callable[[int, int], None] | None
    ) -> BackupReport:
        """Copy the whole database to a folder. Raises UnsupportedError if this process cannot access the
        database's folder."""
        ...

    def journals(self) -> str | None:
        """The local folder in which loads record their progress. None for a database in memory, which
        does not outlive the process."""
        ...

    def close(self) -> None: ...

    def create_tenant(self, name: str) -> None: ...
    def get_tenant(self, name: str) -> str: ...
    def create_database(self, scope: Scope) -> None: ...
    def get_database(self, scope: Scope) -> dict[str, Any]: ...
    def list_databases(
        self, tenant: str, limit: int | None, offset: int | None
    ) -> list[dict[str, Any]]: ...
    def delete_database(self, scope: Scope) -> None: ...

    def create_collection(self, scope: Scope, new: NewCollection) -> CollectionInfo:
        """Create a collection. Raises UniqueConstraintError if the name is taken."""
        ...

    def get_collection(self, scope: Scope, name: str) -> CollectionInfo: ...
    def get_collection_by_id(self, collection: CollectionRef) -> CollectionInfo: ...
    def list_collections(
        self, scope: Scope, limit: int | None, offset: int | None
    ) -> list[CollectionInfo]: ...
    def count_collections(self, scope: Scope) -> int: ...
    def modify_collection(
        self, collection: CollectionRef, changes: CollectionChanges
    ) -> CollectionInfo:
        """Change a collection. Raises UniqueConstraintError if the name is taken."""
        ...

    def delete_collection(self, scope: Scope, name: str) -> None: ...
    def fork_collection(self, collection: CollectionRef, name: str) -> CollectionInfo: ...

    def create_snapshot(self, collection: CollectionRef, name: str) -> CollectionSnapshot:
        """Keep the records as they are now, under a name. Raises UniqueConstraintError if it is taken."""
        ...

    def list_snapshots(self, collection: CollectionRef) -> list[CollectionSnapshot]:
        """The snapshots of a collection, the oldest first."""
        ...

    def restore_snapshot(self, collection: CollectionRef, name: str) -> None:
        """Make the records those of a snapshot. Raises NotFoundError."""
        ...

    def delete_snapshot(self, collection: CollectionRef, name: str) -> None: ...

    def write(self, collection: CollectionRef, mode: Mode, records: Records) -> Written: ...
    def delete(self, collection: CollectionRef, request: DeleteRequest) -> int:
        """Delete records. Returns the number deleted."""
        ...

    def known_ids(self, collection: CollectionRef, ids: Sequence[str]) -> set[str]:
        """The subset of `ids` that the collection holds."""
        ...

    def get(self, collection: CollectionRef, request: GetRequest) -> Rows: ...
    def batches(self, collection: CollectionRef, request: ScanRequest) -> Batches:
        """The requested records as a stream of Arrow record batches.

        If `streams` is true, all of them are from one snapshot."""
        ...

    def sql(
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

    def query(self, collection: CollectionRef, request: QueryRequest) -> list[Hits]:
        """The nearest records, as one Hits per query vector."""
        ...

    def search(
        self, collection: CollectionRef, requests: Sequence[SearchRequest]
    ) -> list[SearchAnswer]:
        """The records that each search finds."""
        ...

    def count(self, collection: CollectionRef, selection: Selection) -> int: ...
    def facets(self, collection: CollectionRef, request: FacetRequest) -> list[Facet]:
        """The counts of the values of each requested key."""
        ...

    def index_status(self, collection: CollectionRef) -> IndexStatus: ...
    def recall(self, collection: CollectionRef, k: int, sample: int) -> float: ...
    def recall_by_ef(
        self, collection: CollectionRef, k: int, sample: int, efs: Sequence[int]
    ) -> list[EfRecall]: ...
    def compact(self, collection: CollectionRef) -> None: ...
    def compact_all(self, scope: Scope) -> None:
        """Compact every collection of a database."""
        ...

    def stats(self, collection: CollectionRef) -> CollectionStats: ...
