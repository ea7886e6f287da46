"""The seam between the API classes and whatever answers them.

The engine in this process (`chroma.embedded.backend`) and the HTTP backends implement
it; clients and collections know nothing else. Plain values go in, plain values or column lists
come out; everything is already validated and normalised on the way in, except the filters of a selection,
which the engine parses. Errors are those of `chroma.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..requests.scope import Identity, Scope
from ..storage.interface.requests import (
    CollectionChanges,
    DeleteRequest,
    GetRequest,
    NewCollection,
    QueryRequest,
    Selection,
)
from ..storage.interface.values import (
    BackupReport,
    CollectionInfo,
    CollectionRef,
    CollectionStats,
    Hits,
    IndexStatus,
    Mode,
    Records,
    Rows,
    Written,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from ..requests.projection import ScanRequest
    from ..tables.record_batches import AsyncBatches


class AsyncBackend(Protocol):
    """About thirty calls; each may raise the classes of `chroma.errors`."""

    @property
    def streams(self) -> bool:
        """Whether `batches` are a stream of one moment, rather than page after page."""
        ...

    async def heartbeat(self) -> int: ...
    async def version(self) -> str: ...
    async def max_batch_size(self) -> int: ...
    async def identity(self) -> Identity: ...
    async def reset(self) -> None: ...
    async def backup(
        self, path: str, link: bool, verify: bool, progress: Callable[[int, int], None] | None
    ) -> BackupReport:
        """Copy the whole database to a folder. UnsupportedError where there is no folder at hand."""
        ...

    async def journals(self) -> str | None:
        """The folder here where loads note how far they are; None: nowhere, for the records end with the
        process."""
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
        """Raises UniqueConstraintError on a taken name."""
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
        """Raises UniqueConstraintError on a taken name."""
        ...

    async def delete_collection(self, scope: Scope, name: str) -> None: ...
    async def fork_collection(self, collection: CollectionRef, name: str) -> CollectionInfo: ...

    async def write(self, collection: CollectionRef, mode: Mode, records: Records) -> Written: ...
    async def delete(self, collection: CollectionRef, request: DeleteRequest) -> int:
        """How many records there were."""
        ...

    async def known_ids(self, collection: CollectionRef, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that the collection holds."""
        ...

    async def get(self, collection: CollectionRef, request: GetRequest) -> Rows: ...
    async def batches(self, collection: CollectionRef, request: ScanRequest) -> AsyncBatches:
        """The same records as a stream of Arrow record batches over one snapshot."""
        ...

    async def sql(
        self,
        scope: Scope,
        text: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None,
        tables: Mapping[str, pa.Table],
        home: str | None,
    ) -> pa.Table:
        """The answer of a SELECT statement over the collections of a database. `tables` are others that it
        may name; `home` is the id of the collection that it calls "records"."""
        ...

    async def query(self, collection: CollectionRef, request: QueryRequest) -> list[Hits]:
        """One Hits per vector."""
        ...

    async def count(self, collection: CollectionRef, selection: Selection) -> int: ...
    async def index_status(self, collection: CollectionRef) -> IndexStatus: ...
    async def recall(self, collection: CollectionRef, k: int, sample: int) -> float: ...
    async def compact(self, collection: CollectionRef) -> None: ...
    async def compact_all(self, scope: Scope) -> None:
        """Compact every collection of a database."""
        ...

    async def stats(self, collection: CollectionRef) -> CollectionStats: ...
