"""The seam between the API classes and whatever answers them.

The engine in this process (`chroma.embedded.backend`) and the HTTP backends implement
it; clients and collections know nothing else. Plain values go in, plain values or column lists
come out; everything is already validated and normalised on the way in, except `where` and
`where_document`, which the engine parses. Errors are those of `chroma.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..requests.scope import Identity, Scope
from ..storage.interface.values import (
    BackupReport,
    CollectionInfo,
    CollectionStats,
    Field,
    Floats,
    Hits,
    IndexStatus,
    Mode,
    Records,
    Rows,
    Written,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from ..tables.from_rows import Wanted
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

    async def create_collection(
        self,
        scope: Scope,
        name: str,
        metadata: Mapping[str, Any] | None,
        configuration: dict[str, Any],
        get_or_create: bool,
    ) -> CollectionInfo: ...
    async def get_collection(self, scope: Scope, name: str) -> CollectionInfo: ...
    async def get_collection_by_id(self, scope: Scope, id: str) -> CollectionInfo: ...
    async def list_collections(
        self, scope: Scope, limit: int | None, offset: int | None
    ) -> list[CollectionInfo]: ...
    async def count_collections(self, scope: Scope) -> int: ...
    async def modify_collection(
        self,
        scope: Scope,
        id: str,
        name: str | None,
        metadata: Mapping[str, Any] | None,
        configuration: Mapping[str, Any] | None,
    ) -> CollectionInfo:
        """None leaves a part alone. `metadata` replaces the whole mapping; `configuration`
        is the complete new configuration. Raises UniqueConstraintError on a taken name."""
        ...

    async def delete_collection(self, scope: Scope, name: str) -> None: ...
    async def fork_collection(self, scope: Scope, id: str, name: str) -> CollectionInfo: ...

    async def write(self, scope: Scope, id: str, mode: Mode, records: Records) -> Written: ...
    async def delete(
        self,
        scope: Scope,
        id: str,
        ids: Sequence[str] | None,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        limit: int | None,
    ) -> int: ...
    async def known_ids(self, scope: Scope, id: str, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that the collection holds."""
        ...

    async def get(
        self,
        scope: Scope,
        id: str,
        ids: Sequence[str] | None,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        limit: int | None,
        offset: int,
        order_by: Sequence[tuple[str, bool]] | None,
        fields: frozenset[Field],
    ) -> Rows:
        """`order_by` is a list of (metadata key, descending); `fields` names the columns wanted."""
        ...

    async def batches(
        self,
        scope: Scope,
        id: str,
        ids: Sequence[str] | None,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        limit: int | None,
        offset: int,
        order_by: Sequence[tuple[str, bool]] | None,
        want: Wanted,
        whole: bool,
    ) -> AsyncBatches:
        """What `get` gives, as a stream of Arrow record batches over one snapshot; `whole`: of few and large
        ones, as all of them are wanted at once."""
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

    async def query(
        self,
        scope: Scope,
        id: str,
        vectors: Floats,
        k: int,
        ids: Sequence[str] | None,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        fields: frozenset[Field],
        exact: bool,
    ) -> list[Hits]:
        """`vectors` is float32 (n, dim); one Hits per row. Unknown `ids` are ignored."""
        ...

    async def count(
        self,
        scope: Scope,
        id: str,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
    ) -> int: ...
    async def index_status(self, scope: Scope, id: str) -> IndexStatus: ...
    async def recall(self, scope: Scope, id: str, k: int, sample: int) -> float: ...
    async def compact(self, scope: Scope, id: str | None) -> None:
        """Settle one collection, or all of the scope when `id` is None."""
        ...

    async def stats(self, scope: Scope, id: str) -> CollectionStats: ...
