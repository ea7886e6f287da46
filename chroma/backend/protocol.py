# Made from chroma/backend/async_protocol.py by scripts/twins.py: change that file, and run `make fix`.
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
    from ..tables.record_batches import Batches


class Backend(Protocol):
    """About thirty calls; each may raise the classes of `chroma.errors`."""

    @property
    def streams(self) -> bool:
        """Whether `batches` are a stream of one moment, rather than page after page."""
        ...

    def heartbeat(self) -> int: ...
    def version(self) -> str: ...
    def max_batch_size(self) -> int: ...
    def identity(self) -> Identity: ...
    def reset(self) -> None: ...
    def backup(
        self, path: str, link: bool, verify: bool, progress: Callable[[int, int], None] | None
    ) -> BackupReport:
        """Copy the whole database to a folder. UnsupportedError where there is no folder at hand."""
        ...

    def journals(self) -> str | None:
        """The folder here where loads note how far they are; None: nowhere, for the records end with the
        process."""
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
        """Raises UniqueConstraintError on a taken name."""
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
        """Raises UniqueConstraintError on a taken name."""
        ...

    def delete_collection(self, scope: Scope, name: str) -> None: ...
    def fork_collection(self, collection: CollectionRef, name: str) -> CollectionInfo: ...

    def write(self, collection: CollectionRef, mode: Mode, records: Records) -> Written: ...
    def delete(self, collection: CollectionRef, request: DeleteRequest) -> int:
        """How many records there were."""
        ...

    def known_ids(self, collection: CollectionRef, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that the collection holds."""
        ...

    def get(self, collection: CollectionRef, request: GetRequest) -> Rows: ...
    def batches(self, collection: CollectionRef, request: ScanRequest) -> Batches:
        """The same records as a stream of Arrow record batches over one snapshot."""
        ...

    def sql(
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

    def query(self, collection: CollectionRef, request: QueryRequest) -> list[Hits]:
        """One Hits per vector."""
        ...

    def count(self, collection: CollectionRef, selection: Selection) -> int: ...
    def index_status(self, collection: CollectionRef) -> IndexStatus: ...
    def recall(self, collection: CollectionRef, k: int, sample: int) -> float: ...
    def compact(self, collection: CollectionRef) -> None: ...
    def compact_all(self, scope: Scope) -> None:
        """Compact every collection of a database."""
        ...

    def stats(self, collection: CollectionRef) -> CollectionStats: ...
