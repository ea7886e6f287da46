"""The backend that calls the engine in this process.

Owns: the translation of the backend's calls to calls of the engine, and of the engine's errors to those of
the backend. `engines` decides which engine a client uses.
"""

from __future__ import annotations

import os
import shlex
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import errors
from ..collection.schemas import without_spann
from ..config import DEFAULT_DATABASE, DEFAULT_PATH, DEFAULT_TENANT, Settings
from ..requests.scope import Identity, Scope
from ..storage.collection.collection import Collection
from ..storage.engine import Engine
from ..storage.interface import errors as storage_errors
from ..storage.interface import fork_safety
from ..storage.interface.ranking import SearchRequest
from ..storage.interface.requests import (
    CollectionChanges,
    DeleteRequest,
    FacetRequest,
    GetRequest,
    NewCollection,
    Page,
    QueryRequest,
    Selection,
)
from ..storage.interface.schema import ValueType
from ..storage.interface.values import (
    BackupReport,
    CollectionInfo,
    CollectionRef,
    CollectionSnapshot,
    CollectionStats,
    EfRecall,
    EngineMetrics,
    Facet,
    Hits,
    IndexStatus,
    Mode,
    Records,
    Rows,
    SearchAnswer,
    Written,
)
from ..storage.memory_budget import default_limit
from ..storage.query.ranked_hits import Ranked
from ..storage.query.scan import Scan
from ..storage.query.search import SearchHits
from . import engines
from .error_translation import cause, counterpart, translated

if TYPE_CHECKING:
    import pyarrow as pa

    from ..backend.protocol import Backend
    from ..requests.projection import ScanRequest
    from ..storage.check import CheckReport

MAX_BATCH_SIZE = 10_000_000  # advertised to clients that split batches; the engine has no limit


def is_database(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a database, intact or damaged. Opens and creates nothing."""
    return any(
        os.path.exists(os.path.join(path, name)) for name in ("catalog.json", "catalog.copy", "collections")
    )


def check_folder(path: str, repair: bool = False) -> CheckReport:
    """Check a database. See storage/check.py, which is imported only here."""
    from ..storage.check import check_folder

    return check_folder(path, repair)


def restore_folder(
    source: str, target: str, link: bool, overwrite: bool, progress: Callable[[int, int], None] | None
) -> BackupReport:
    """Make a database from a backup. See storage/backup/backup.py."""
    from ..storage.backup.backup import restore

    return restore(source, target, link, overwrite, progress)


class LocalBackend:
    """One client's reference to an engine. Implements `chroma.backend.protocol.Backend`."""

    streams = True

    def __init__(self, location: str | None, shared: engines.Shared, settings: Settings) -> None:
        self._location = location  # None for a private store
        self._shared = shared
        self._settings = settings
        self._forks = fork_safety.forks
        self._closed = False
        self._release = weakref.finalize(self, engines.let_go, location, shared)

    @classmethod
    def open(cls, path: str | None, settings: Settings, private: bool = False) -> LocalBackend:
        """Open a folder, or a store in memory if `path` is None. No other client shares a `private` store."""
        location = None if private else ""
        if path is not None:
            location = os.path.realpath(path)
        with translated():
            return cls(location, engines.hold(location, settings), settings)

    def another(self) -> LocalBackend:
        """Another reference to the same engine, which keeps it open until it is closed, too."""
        self.engine  # noqa: B018 - raises ClosedError; opens the folder again in a forked child
        engines.share(self._shared)
        return LocalBackend(self._location, self._shared, self._settings)

    @staticmethod
    def preload() -> None:
        """Import the modules that SQL needs before the first statement arrives."""
        from ..storage.sql import statement
        from . import table_scans

        statement.load()
        del table_scans

    @classmethod
    def reader(cls, path: str, memory: int) -> LocalBackend:
        """Open a folder read-only, with an engine that no other client shares. `memory` is in bytes."""
        with translated():
            threads = min(4, os.cpu_count() or 1)  # few, because each thread's stack takes memory
            shared = engines.Shared(Engine(path, memory=memory, threads=threads, read_only=True))
        return cls(None, shared, Settings())

    @staticmethod
    def default_memory() -> int:
        """The default of `chroma_memory_limit_bytes`: half of the memory that the process may use."""
        return default_limit()

    @staticmethod
    def overlooked(path: str) -> str | None:
        """Return a message if chromadb has its data beside the default folder, which does not exist yet.

        By default that package keeps them in ./chroma, and this one in ./.chroma.
        """
        old = os.path.join(os.path.dirname(os.path.abspath(path)), "chroma")
        if os.path.abspath(path) != os.path.abspath(DEFAULT_PATH) or is_database(path):
            return None
        if not os.path.exists(os.path.join(old, "chroma.sqlite3")):
            return None
        return (
            f"{DEFAULT_PATH} is a new, empty database, and chroma beside it holds a database of chromadb "
            "(chroma.sqlite3). Bring it over, without changing it, with: chroma migrate --from "
            f"{shlex.quote(old)} --to {shlex.quote(os.path.abspath(path))}"
        )

    @staticmethod
    def forget_memory() -> None:
        """Forget the shared store in memory, so that the next client in memory starts empty."""
        engines.forget_memory()

    def lost(self) -> bool:
        """Whether the folder was removed or replaced since it was opened, or the client was closed."""
        if self._closed:
            return True
        with translated():
            return self.engine.lost()

    @property
    def engine(self) -> Engine:
        if self._closed:
            raise errors.ClosedError("this client was closed; open a new one")
        if self._forks != fork_safety.forks:
            self._reopen()
        return self._shared.engine

    @property
    def folder(self) -> str | None:
        """The folder of the database, or None for one in memory."""
        folder = self.engine.folder
        return None if folder.in_memory else folder.path

    def console(self) -> str | None:
        """None, as there is no server, unless the client was closed."""
        self.engine  # noqa: B018 - raises ClosedError
        return None

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written, as in a backup."""
        return self.engine.folder_read_only

    def _reopen(self) -> None:
        """After a fork, open the same folder again in the child process."""
        with translated():
            if not self._location:
                engines.renew(self._shared)
            else:
                shared = self._shared = engines.hold(self._location, self._settings)
                self._release = weakref.finalize(self, engines.let_go, self._location, shared)
        self._forks = fork_safety.forks

    def _open(self, collection: CollectionRef) -> Collection:
        return self.engine.collection(*collection)

    # ------------------------------------------------------------------ system

    def heartbeat(self) -> int:
        with translated():
            self.engine.check_there()
        return time.time_ns()

    def version(self) -> str:
        from .._version import __version__

        return __version__

    def max_batch_size(self) -> int:
        return MAX_BATCH_SIZE

    def identity(self) -> Identity:
        return Identity("", DEFAULT_TENANT, [DEFAULT_DATABASE])

    def journals(self) -> str | None:
        return None if self.folder is None else os.path.join(self.folder, "loads")

    def metrics(self) -> EngineMetrics:
        """The engine's metrics. Reading them opens no collection."""
        with translated():
            return self.engine.metrics()

    def reset(self) -> None:
        with translated():
            self.engine.reset()

    def backup(
        self, path: str, link: bool, verify: bool, progress: Callable[[int, int], None] | None
    ) -> BackupReport:
        if self.engine.folder.in_memory:
            raise errors.UnsupportedError(
                "an ephemeral database is in memory and has no files to back up: "
                "chroma.copy_collections(client, chroma.PersistentClient(path)) writes it to a folder"
            )
        with translated():
            return self.engine.backup(path, link, verify, progress)

    def close(self) -> None:
        """Release the engine, which closes with its last client; the shared store in memory stays open.
        Idempotent."""
        self._closed = True
        if self._release.detach() is not None:
            engines.release(self._location, self._shared)

    # ------------------------------------------------------------------ tenants and databases

    def create_tenant(self, name: str) -> None:
        with translated():
            self.engine.catalog.create_tenant(name)

    def open_collections(self) -> set[str]:
        """The ids of the collections whose files are open, which can be measured at once."""
        return self.engine.open_ids()

    def list_tenants(self) -> list[str]:
        """All tenants. Only a backend with access to the folder can list them."""
        with translated():
            return self.engine.catalog.list_tenants()

    def get_tenant(self, name: str) -> str:
        with translated():
            self.engine.catalog.check_tenant(name)
            return name

    def create_database(self, scope: Scope) -> None:
        with translated():
            self.engine.catalog.create_database(scope.tenant, scope.database)

    def get_database(self, scope: Scope) -> dict[str, Any]:
        with translated():
            id = self.engine.catalog.database_id(scope.tenant, scope.database)
            return {"id": id, "name": scope.database, "tenant": scope.tenant}

    def list_databases(self, tenant: str, limit: int | None, offset: int | None) -> list[dict[str, Any]]:
        with translated():
            found = self.engine.catalog.list_databases(tenant)
        return [{"id": id, "name": name, "tenant": tenant} for name, id in _page(found, limit, offset)]

    def delete_database(self, scope: Scope) -> None:
        with translated():
            self.engine.delete_database(scope.tenant, scope.database)

    # ------------------------------------------------------------------ collections

    def create_collection(self, scope: Scope, new: NewCollection) -> CollectionInfo:
        if new.schema is not None:
            new = new._replace(schema=without_spann(new.schema))
        with translated():
            return self.engine.with_dimension(
                self.engine.create_collection(scope.tenant, scope.database, new)
            )

    def get_collection(self, scope: Scope, name: str) -> CollectionInfo:
        with translated():
            return self.engine.with_dimension(self.engine.catalog.named(scope.tenant, scope.database, name))

    def get_collection_by_id(self, collection: CollectionRef) -> CollectionInfo:
        with translated():
            return self.engine.with_dimension(self.engine.catalog.scoped(*collection))

    def list_collections(self, scope: Scope, limit: int | None, offset: int | None) -> list[CollectionInfo]:
        with translated():
            return _page(self.engine.catalog.list_collections(scope.tenant, scope.database), limit, offset)

    def count_collections(self, scope: Scope) -> int:
        with translated():
            return len(self.engine.catalog.list_collections(scope.tenant, scope.database))

    def modify_collection(self, collection: CollectionRef, changes: CollectionChanges) -> CollectionInfo:
        parts: dict[str, Any] = {}
        if changes.name is not None:
            parts["name"] = changes.name
        if changes.metadata is not None:
            parts["metadata"] = dict(changes.metadata) or None
        if changes.configuration is not None:
            parts["configuration"] = dict(changes.configuration)
        with translated():
            info = self.engine.catalog.change_collection(*collection, **parts)
            if changes.configuration is not None:
                self._open(collection).check_upkeep()
            return self.engine.with_dimension(info)

    def delete_collection(self, scope: Scope, name: str) -> None:
        with translated():
            self.engine.delete_collection(scope.tenant, scope.database, name)

    def fork_collection(self, collection: CollectionRef, name: str) -> CollectionInfo:
        with translated():
            return self.engine.fork_collection(*collection, name)

    def fork_into(self, collection: CollectionRef, target: Scope, name: str) -> CollectionInfo:
        with translated():
            self.engine.catalog.database_id(target.tenant, target.database)
            return self.engine.fork_collection(*collection, name, target)

    def create_snapshot(self, collection: CollectionRef, name: str) -> CollectionSnapshot:
        with translated():
            return self.engine.create_version(*collection, name)

    def list_snapshots(self, collection: CollectionRef) -> list[CollectionSnapshot]:
        with translated():
            return self.engine.list_versions(*collection)

    def restore_snapshot(self, collection: CollectionRef, name: str) -> None:
        with translated():
            self.engine.restore_version(*collection, name)

    def delete_snapshot(self, collection: CollectionRef, name: str) -> None:
        with translated():
            self.engine.delete_version(*collection, name)

    def shares_folder(self, other: Backend) -> bool:
        return isinstance(other, LocalBackend) and self.engine is other.engine

    # ------------------------------------------------------------------ records

    def write(self, collection: CollectionRef, mode: Mode, records: Records) -> Written:
        try:  # not `translated`, for the reason given in `query`
            return self._open(collection).write(mode, records)
        except storage_errors.StorageError as error:
            raise counterpart(error) from cause(error)

    def delete(self, collection: CollectionRef, request: DeleteRequest) -> int:
        with translated():
            return self._open(collection).delete(request)

    def known_ids(self, collection: CollectionRef, ids: Sequence[str]) -> set[str]:
        with translated():
            return self._open(collection).known(ids)

    def get(self, collection: CollectionRef, request: GetRequest) -> Rows:
        try:  # not `translated`, for the reason given in `query`
            return self._open(collection).get(request)
        except storage_errors.StorageError as error:
            raise counterpart(error) from cause(error)

    def scan(self, collection: CollectionRef, selection: Selection, page: Page) -> Scan:
        with translated():
            return self._open(collection).scan(selection, page)

    def batches(self, collection: CollectionRef, request: ScanRequest) -> pa.RecordBatchReader:
        from . import table_scans

        with translated():
            found = self.scan(collection, request.selection, request.page)
            return table_scans.batches(found, request.projection, translated, request.whole)

    def sql(
        self,
        scope: Scope,
        text: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None,
        tables: Mapping[str, pa.Table],
        home: str | None,
    ) -> pa.Table:
        return self.statement(scope, text, tables, home)[1](parameters).read_all()

    def statement(
        self, scope: Scope, text: str, tables: Mapping[str, pa.Table], home: str | None
    ) -> tuple[Callable[[], None], Callable[[Any], pa.RecordBatchReader]]:
        """Prepare an SQL statement. Returns a function that interrupts it, and a function that runs it with
        parameters."""
        from . import table_scans

        with translated():
            self.engine.catalog.database_id(scope.tenant, scope.database)
            catalog = self.engine.catalog
            found = self.engine.statement(
                text,
                partial(table_scans.table, self, scope=scope, given=tables, home=home),
                lambda: [*tables, *(info.name for info in catalog.list_collections(*scope))],
            )

        def run(parameters: Any) -> pa.RecordBatchReader:
            with translated():
                reader = found.run(parameters)
            return table_scans.translating(reader, translated)

        return found.stop, run

    def query(self, collection: CollectionRef, request: QueryRequest) -> list[Hits]:
        try:  # not `translated`, whose overhead is noticeable in a single query
            return self._open(collection).query(request)
        except storage_errors.StorageError as error:
            raise counterpart(error) from cause(error)

    def ranked(self, collection: CollectionRef, request: QueryRequest) -> Ranked:
        with translated():
            return self._open(collection).ranked(request)

    def search(self, collection: CollectionRef, requests: Sequence[SearchRequest]) -> list[SearchAnswer]:
        with translated():
            found = self._open(collection).search(requests)
            return [hits.answer() for hits in found]

    def searched(self, collection: CollectionRef, requests: Sequence[SearchRequest]) -> list[SearchHits]:
        """Run searches. The records are read later, so that their size can be checked first."""
        with translated():
            return self._open(collection).search(requests)

    def count(self, collection: CollectionRef, selection: Selection) -> int:
        try:  # not `translated`, for the reason given in `query`
            return self._open(collection).count(selection)
        except storage_errors.StorageError as error:
            raise counterpart(error) from cause(error)

    def facets(self, collection: CollectionRef, request: FacetRequest) -> list[Facet]:
        with translated():
            return self._open(collection).facets(request)

    def index_status(self, collection: CollectionRef) -> IndexStatus:
        with translated():
            return self._open(collection).index_status()

    def recall(self, collection: CollectionRef, k: int, sample: int) -> float:
        with translated():
            return self._open(collection).recall(k, sample)

    def recall_by_ef(
        self, collection: CollectionRef, k: int, sample: int, efs: Sequence[int]
    ) -> list[EfRecall]:
        with translated():
            return self._open(collection).recall_by_ef(k, sample, efs)

    def compact(self, collection: CollectionRef) -> None:
        with translated():
            self._open(collection).compact()

    def compact_all(self, scope: Scope) -> None:
        with translated():
            for info in self.engine.catalog.list_collections(scope.tenant, scope.database):
                self._open(info.ref).compact()

    def metadata_keys(self, collection: CollectionRef) -> list[tuple[str, ValueType]]:
        with translated():
            return self._open(collection).metadata_keys()

    def stats(self, collection: CollectionRef) -> CollectionStats:
        with translated():
            return self._open(collection).stats()


def _page(found: list[Any], limit: int | None, offset: int | None) -> list[Any]:
    return found[offset or 0 :][: len(found) if limit is None else limit]


__all__ = ["LocalBackend", "check_folder", "is_database", "restore_folder"]
