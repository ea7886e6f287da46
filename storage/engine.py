"""The engine of a database folder: its catalog, open collections and background work.

Owns: opening and closing. A process has one engine per folder (see chroma/embedded/backend.py). Any number
of processes may open the same folder.
"""

from __future__ import annotations

import contextlib
import logging
import resource
import threading
import time
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .backup.marker import frozen
from .catalog.catalog import Catalog, CatalogState
from .collection import compaction
from .collection.collection import Collection
from .collection.host import Services
from .collection.index_builds import Graphs, IndexSettings
from .filters.duckdb_tables import FilterDatabase
from .interface import version_names as versions
from .interface.errors import AlreadyExists, Closed, Missing, NotFound, StorageError
from .interface.requests import NewCollection
from .interface.values import (
    BackupReport,
    CollectionInfo,
    CollectionSnapshot,
    EngineMetrics,
)
from .interface.version_names import check_current
from .io.disk import GONE, DiskFolder, Folder, syncs
from .io.in_memory import MemoryFolder
from .io.safe_open import check_path
from .memory_budget import MemoryBudget, default_limit, duckdb_limit
from .native import kernel
from .scheduler import Scheduler
from .validation.file_names import COLLECTION

if TYPE_CHECKING:
    from .backup.copy import Progress
    from .sql.statement import Find, Names, Statement

_log = logging.getLogger("chroma")
OPEN_COLLECTIONS = 256  # per process; an open collection holds a file descriptor and some memory maps
_SHARE = 4  # the part of the process's descriptors that open collections may hold: a quarter
SWEEP_AFTER_NS = 3600 * 10**9


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()  # the open ones that have a folder on disk


def _most_open(engines: int) -> int:
    """Return how many collections an engine may keep open if the process has `engines` engines."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = OPEN_COLLECTIONS if limit == resource.RLIM_INFINITY else min(OPEN_COLLECTIONS, limit // _SHARE)
    return max(1, most // max(1, engines))


class Engine:
    """A database in the folder `path`, or in memory if `path` is None.

    `memory` limits the bytes that indexes and filter columns hold. By default it is half of the memory that
    the process may use.
    """

    def __init__(
        self,
        path: str | None,
        memory: int | None = None,
        threads: int | None = None,
        read_only: bool = False,
    ) -> None:
        """`read_only` changes nothing in the folder, as if the process had no permission to write there."""
        kernel.expect()
        if path is not None:
            check_path(path)
        self._set_up(
            MemoryFolder() if path is None else DiskFolder(path, frozen(DiskFolder(path))),
            memory or default_limit(),
            threads or IndexSettings().cores(),
            read_only,
        )

    def _set_up(self, folder: Folder, memory: int, threads: int, read_only: bool) -> None:
        self.folder = folder
        if isinstance(folder, DiskFolder):
            folder.child("collections").check_real()
        self.catalog = Catalog(self.folder)
        self.folder_read_only = read_only or not self.folder.writable()
        budget = MemoryBudget(memory)
        self.threads = threads
        database = FilterDatabase(duckdb_limit(budget.limit), threads)
        self.services = Services(database, Scheduler(), budget)
        self._graphs: dict[str, Graphs] = {}  # in a forked child, the graphs of the parent's collections
        self._open: OrderedDict[str, Collection] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False
        if not self.folder.in_memory:
            _engines.add(self)
        if not self.folder.in_memory and not self.folder_read_only:
            self.services.background.submit("compact", "sweep", self.sweep, 2.0)

    def __repr__(self) -> str:
        return f"Engine({self.folder.path}, open={len(self._open)}, closed={self._closed})"

    def has_records(self, id: str) -> bool:
        """Whether the catalog records that a collection is not empty."""
        info = self.catalog.collection(id)
        return info is not None and info.dimension is not None

    @property
    def closed(self) -> bool:
        return self._closed

    def lost(self) -> bool:
        """Whether the folder was removed or replaced since it was opened."""
        return self.catalog.lost()

    def still_has(self, id: str) -> bool:
        """Whether a collection may be written to."""
        self.catalog.check_there()
        return self.catalog.collection(id) is not None

    def check_open(self) -> None:
        if self._closed:
            raise Closed(f"the client for {self.folder.path} was closed; open a new one")

    def check_there(self) -> None:
        """Raise Closed if the engine was closed, and NotFound if its folder was removed or replaced."""
        self.check_open()
        self.catalog.check_there()

    def collection(self, tenant: str, database: str, id: str) -> Collection:
        """Return the collection, opening it first if it is not open."""
        self.check_open()
        info = self.catalog.scoped(tenant, database, id)
        collection = self._open.get(id)
        if collection is None:
            collection = self._open_collection(info)
        collection.info = info
        try:  # noqa: SIM105 - `suppress` takes time, `try` takes none
            self._open.move_to_end(id)
        except KeyError:
            pass  # another thread has just closed it as idle
        return collection

    def _open_collection(self, info: CollectionInfo) -> Collection:
        with self._lock:
            collection = self._open.get(info.id)
            if collection is None:
                collection = self._open[info.id] = Collection(self, info)
                if (inherited := self._graphs.pop(info.id, None)) is not None:
                    collection.graphs.inherit(inherited)
                collection.store.snapshot()
                collection.check_upkeep()
                if not self.folder.in_memory:
                    self._close_idle()
            return collection

    def _close_idle(self) -> None:
        most = _most_open(len(_engines))
        while len(self._open) > most:
            _, idle = self._open.popitem(last=False)
            idle.close()

    def open_ids(self) -> set[str]:
        """Return the ids of the collections that are open."""
        return set(self._open.copy())

    # ------------------------------------------------------------------ catalog

    def create_collection(self, tenant: str, database: str, new: NewCollection) -> CollectionInfo:
        """Create a collection. Raises AlreadyExists if its name is taken, unless `new.get_or_create`."""
        self.check_open()
        id = str(uuid.uuid4() if new.id is None else uuid.UUID(new.id))
        metadata = dict(new.metadata) if new.metadata else None
        info = CollectionInfo(
            id=id,
            name=new.name,
            tenant=tenant,
            database=database,
            metadata=metadata,
            configuration=dict(new.configuration),
            schema=None if new.schema is None else dict(new.schema),
        )
        clear = None if new.id is None else self.folder.child("collections").child(id).remove_tree
        return self.catalog.create_collection(info, new.get_or_create, clear)[0]

    def with_dimension(self, info: CollectionInfo) -> CollectionInfo:
        """Return the catalog entry, with the dimension of the open collection if the entry has none."""
        collection = self._open.get(info.id)
        if info.dimension is not None or collection is None:
            return info
        return replace(info, dimension=collection.store.snapshot().dimension)

    def delete_collection(self, tenant: str, database: str, name: str) -> None:
        self.check_open()
        info = self.catalog.named(tenant, database, name)

        def dropped(state: CatalogState) -> list[CollectionInfo]:
            if info.id not in state.collections:
                raise self.catalog.unknown(tenant, database, name)
            return [*versions.versions_of(info.id, list(state.collections.values())), info]

        self._drop(dropped)

    def delete_database(self, tenant: str, database: str) -> None:
        self.check_open()
        self.catalog.database_id(tenant, database)

        def dropped(state: CatalogState) -> list[CollectionInfo]:
            names = state.names.get((tenant, database))
            if names is None:
                raise self.catalog.unknown_database(tenant, database)
            return [state.collections[id] for id in names.values()]

        self._drop(dropped, {"do": "delete database", "tenant": tenant, "database": database})

    def reset(self) -> None:
        self.check_open()
        self._drop(lambda state: list(state.collections.values()), {"do": "reset"})

    def _drop(
        self,
        dropped: Callable[[CatalogState], Sequence[CollectionInfo]],
        change: dict[str, Any] | None = None,
    ) -> None:
        """Remove collections from the catalog, then remove their files.

        The collections are deleted once the catalog has changed. After a crash or a disk error, `sweep`
        removes the files that are left.

        change  the change of the catalog that removes all of them; None: each is removed by itself
        """
        with self.catalog.changing() as (state, commit):
            infos = dropped(state)
            each = [{"do": "delete collection", "id": info.id} for info in infos]
            for entry in each if change is None else [change]:
                commit(entry)
        for info in infos:
            with self._lock:
                collection = self._open.pop(info.id, None)
            if collection is not None:
                collection.close()
            self._remove(info.id)

    def _remove(self, id: str) -> None:
        """Remove the files of a deleted collection, unless a collection with its id was created meanwhile.

        Waits until the current writer has finished.
        """
        home = self.folder.child("collections").child(id)
        try:
            if home.exists():
                with home.lock("write.lock"):
                    self._discard(id)
        except Missing:  # another process removed it
            return
        except StorageError as error:
            _log.warning("%s was deleted, and its files could not be removed: %s", home.path, error)

    def _discard(self, id: str) -> None:
        """Remove the folder of a collection if the catalog does not have it. Locks the catalog meanwhile."""
        with self.catalog.changing() as (state, _):
            if id not in state.collections:
                self.folder.child("collections").child(id).discard()

    def sweep(self) -> None:
        """Remove the folders of collections that the catalog no longer has."""
        home = self.folder.child("collections")
        for folder in (self.folder, home):
            for name in folder.names():
                if GONE in name:  # the process that was removing it was killed
                    folder.child(name).discard()
        for name in filter(COLLECTION.fits, home.names()):  # the engine did not create any other names
            try:
                made = home.child(name).file_version("")
                # A fork links its files before the catalog has the new collection. That takes less time.
                if made is not None and time.time_ns() - made[1] > SWEEP_AFTER_NS:
                    self._discard(name)
            except StorageError as error:
                _log.warning("%s/%s could not be looked at: %s", home.path, name, error)

    def fork_collection(
        self, tenant: str, database: str, id: str, name: str, into: tuple[str, str] | None = None
    ) -> CollectionInfo:
        """Create a copy that shares the collection's immutable files.

        Copying takes little time. Later changes to one of the two do not affect the other.

        into  tenant and database of the copy; if None, the tenant and database of the collection
        """
        source = self.collection(tenant, database, id)
        tenant, database = into or (tenant, database)
        metadata, configuration = source.info.metadata, source.info.configuration
        dimension = source.store.snapshot().dimension
        info = CollectionInfo(
            id=str(uuid.uuid4()),
            name=name,
            tenant=tenant,
            database=database,
            metadata=metadata,
            configuration=configuration,
            dimension=dimension,
            schema=source.info.schema,
        )
        if name in {other.name for other in self.catalog.list_collections(tenant, database, versions=True)}:
            raise AlreadyExists(f"Collection [{name}] already exists; choose another name")
        target = self.folder.child("collections").child(info.id)
        try:
            if dimension is not None:
                with source.store.existing():
                    compaction.share(source.store, target)
            return self.catalog.create_collection(info, get_or_create=False)[0]
        except BaseException:
            # A failed write may still have reached the catalog's log. In that case the fork is complete, and
            # `_discard` keeps it.
            with contextlib.suppress(StorageError):
                self._discard(info.id)
            raise

    # ------------------------------------------------------------------ versions

    def create_version(self, tenant: str, database: str, id: str, name: str) -> CollectionSnapshot:
        """Keep the records of a collection as they are now, under a name. Raises AlreadyExists."""
        source = self.catalog.scoped(tenant, database, id)
        check_current(source)
        entry = versions.entry_name(id, name)
        # The catalog checks again, once the files are shared; this saves the work.
        versions.check_new(replace(source, name=entry), [source, *self._versions(tenant, database, id)])
        return self._version(self.fork_collection(tenant, database, id, entry))

    def list_versions(self, tenant: str, database: str, id: str) -> list[CollectionSnapshot]:
        """Return the versions of a collection, the oldest first."""
        found = []
        for info in self._versions(tenant, database, id):
            with contextlib.suppress(NotFound):  # it was deleted meanwhile
                found.append(self._version(info))
        return found

    def restore_version(self, tenant: str, database: str, id: str, name: str) -> None:
        """Make the records of a collection those of a version. Raises NotFound."""
        info = versions.named(name, self._versions(tenant, database, id))
        version = self.collection(tenant, database, info.id)
        self.collection(tenant, database, id).restore(version)

    def delete_version(self, tenant: str, database: str, id: str, name: str) -> None:
        """Delete a version. Files that another collection or version shares stay. Raises NotFound."""
        info = versions.named(name, self._versions(tenant, database, id))

        def dropped(state: CatalogState) -> list[CollectionInfo]:
            return [info] if info.id in state.collections else []

        self._drop(dropped)

    def _versions(self, tenant: str, database: str, id: str) -> list[CollectionInfo]:
        self.check_open()
        self.catalog.scoped(tenant, database, id)
        return versions.versions_of(id, self.catalog.list_collections(tenant, database, versions=True))

    def _version(self, info: CollectionInfo) -> CollectionSnapshot:
        records = self.collection(info.tenant, info.database, info.id).store.snapshot().live
        return CollectionSnapshot(
            name=versions.given_name(info), created=versions.created(info), records=records, id=info.id
        )

    def backup(self, path: str, link: bool, verify: bool, progress: Progress | None = None) -> BackupReport:
        """Copy the whole database to a folder on disk; see backup/backup.py."""
        self.check_there()
        assert isinstance(self.folder, DiskFolder)  # a database in memory has no files to copy
        from .backup.backup import backup  # importing it takes a tenth of the time to open a database

        return backup(self.folder, self.catalog, path, link=link, verify=verify, progress=progress)

    # ------------------------------------------------------------------ statements

    def statement(self, text: str, find: Find, names: Names) -> Statement:
        """Prepare an SQL statement over the tables that `find` returns. `names` returns the names that it
        knows."""
        self.check_open()
        from .sql.statement import Statement

        return Statement(text, find, names, duckdb_limit(self.services.budget.limit), self.threads)

    def metrics(self) -> EngineMetrics:
        """Sum the metrics of the open collections. Uses their latest snapshots and does not refresh them."""
        opened = list(self._open.values())
        rows = deleted = segments = not_indexed = log_bytes = 0
        for collection in opened:
            seen = collection.store.last_seen()
            if seen is None:
                continue
            snapshot, size = seen
            rows += snapshot.live
            deleted += sum(view.deleted_rows for view in snapshot.views)
            segments += sum(view.ref is not None for view in snapshot.views)
            not_indexed += snapshot.live - collection.graphs.indexed_rows(snapshot, collection.settings)
            log_bytes += size
        return EngineMetrics(
            collections=self.catalog.count_all(),
            open=len(opened),
            rows=rows,
            deleted=deleted,
            segments=segments,
            not_indexed=not_indexed,
            log_bytes=log_bytes,
            syncs=syncs(),
        )

    def after_fork(self) -> None:
        """Make the parent's engine safe to keep in a forked child, which works with `reopened` instead."""
        _engines.discard(self)
        self.services.background.after_fork()
        self.services.database.after_fork()

    def reopened(self) -> Engine:
        """Create the forked child's own engine over the same in-memory database.

        The locks and the unfinished work of the parent's threads stay with the old engine. The child reads
        the records from the logs, as after a crash.
        """
        assert isinstance(self.folder, MemoryFolder)
        self.folder.unlock()
        child = Engine.__new__(Engine)
        child._set_up(self.folder, self.services.budget.limit, self.threads, False)
        child._graphs = self._graphs | {id: collection.graphs for id, collection in self._open.items()}
        return child

    def close(self) -> None:
        """Stop background work and free everything. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            _engines.discard(self)
        self.services.background.close()
        for collection in list(self._open.values()):
            collection.close()
        self._open.clear()
        self.services.database.close()
        self.catalog.close()
