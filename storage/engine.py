"""A database folder: its catalog, its open collections, its background work.

Owns: opening and closing. One engine per folder and process (see chroma/local.py); any number of
processes per folder.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import housekeeping, kernel, search
from .background import Background, Budget
from .catalog import Catalog
from .collection import Collection, Services
from .errors import AlreadyExists, Closed, NotFound, StorageError
from .files import GONE, DiskFolder, Folder, check_path, syncs
from .filter import Everything, Node
from .filter_tables import FilterDatabase
from .indexing import PATIENCE_BYTES, Graphs, IndexSettings
from .mark import frozen
from .memory import MemoryFolder
from .ranked import Ranked
from .scan import Scan
from .snapshot import Snapshot
from .sorting import sort_places
from .types import (
    BackupReport,
    CollectionInfo,
    CollectionStats,
    EngineFigures,
    Floats,
    IndexStatus,
    Mode,
    Records,
    Written,
)

if TYPE_CHECKING:
    from .copier import Progress
    from .sql import Find, Statement

_log = logging.getLogger("chroma")
# Housekeeping waits for a pause in writing, so that a bulk load is merged and indexed once.
QUIET_SECONDS = 0.5
NOTE_SECONDS = 0.05  # from a write to the note of its sync, if none was made meanwhile
SEARCHED_SECONDS = 60.0  # a collection counts as searched for so long after a query
OPEN_COLLECTIONS = 256  # an open collection holds a file descriptor and some maps
DEFAULT_MEMORY = 4 << 30
SWEEP_AFTER_NS = 3600 * 10**9


class OpenCollection:
    """A collection with its graphs, and what the catalog says of it."""

    def __init__(self, engine: Engine, info: CollectionInfo) -> None:
        self.info = info
        self._engine = engine
        self.records = Collection(
            engine.folder.child("collections").child(info.id),
            info.id,
            engine.services,
            lambda: engine.still_has(info.id),
            lambda: engine.has_records(info.id),
            self._after_write,
            self._after_sync,
        )
        self.graphs = Graphs(self.records)
        self._settings, self._settings_of = self._read_settings(), info
        self._searched = -SEARCHED_SECONDS
        self._outrun = False  # whether writers are ahead of the housekeeper

    @property
    def settings(self) -> IndexSettings:
        """What the catalog's entry says of the index; made once per entry."""
        if self._settings_of is not self.info:
            self._settings, self._settings_of = self._read_settings(), self.info
        return self._settings

    def _read_settings(self) -> IndexSettings:
        hnsw = self.info.configuration.get("hnsw") or {}
        return IndexSettings(
            hnsw.get("space", "l2"),
            hnsw.get("max_neighbors", 16),
            hnsw.get("ef_construction", 100),
            hnsw.get("ef_search", 100),
            hnsw.get("num_threads", 0) or 0,
        )

    # ------------------------------------------------------------------ upkeep

    def _after_write(self) -> None:
        seen = self.records.last_seen()  # what was just written is in it: no need for a look at the disk
        if seen is None:
            return  # closed meanwhile: whoever opens it next sees to it
        snapshot = seen[0]
        background = self.records.services.background
        due = housekeeping.due(snapshot)
        self._outrun = due and sum(tail.rows for tail in snapshot.tails) > 4 * housekeeping.SEAL_ROWS
        if due:
            background.submit("settle", self.info.id, self._settle)
        elif housekeeping.useful(snapshot):
            background.submit("settle", self.info.id, self._settle, QUIET_SECONDS, push=True)
        self._schedule_index(snapshot)

    def _after_sync(self) -> None:
        background = self.records.services.background
        if self.records.unnoted():
            background.submit("note", self.info.id, self.records.note, NOTE_SECONDS)
        if self._outrun:
            background.wait("settle", self.info.id)  # let it catch up

    def _settle(self) -> None:
        if not self._unless_deleted(lambda: housekeeping.settle(self.records, everything=False)):
            return
        self._schedule_index(self.records.snapshot())

    def _schedule_index(self, snapshot: Snapshot) -> None:
        settings = self.settings
        missing = self.graphs.missing(snapshot, settings)
        if not missing:
            return
        waiting = sum(segment.rows * segment.dimension * 4 for segment in missing)
        # A load that nobody searches is indexed once, at its end: neither the processor nor the
        # memory of a graph that is soon merged away is taken from it.
        searched = time.monotonic() - self._searched < SEARCHED_SECONDS
        delay = 0.0 if searched and waiting > PATIENCE_BYTES else QUIET_SECONDS
        background = self.records.services.background
        background.submit("index", self.info.id, lambda: self._index(settings), delay, push=delay > 0)

    def _index(self, settings: IndexSettings) -> None:
        self._unless_deleted(lambda: self.graphs.build(settings, urgent=False))

    def _unless_deleted(self, job: Callable[[], object]) -> bool:
        """Run a background job; what goes wrong because the collection is gone does not matter."""
        try:
            job()
        except (StorageError, OSError):
            if self._engine.closed or self._engine.catalog.collection(self.info.id) is None:
                return False
            raise
        return True

    def compact(self) -> None:
        """Seal, merge into one segment, index, reclaim; return when done."""
        if self.records.snapshot().dimension is None:
            return  # nothing was ever written
        housekeeping.settle(self.records, everything=True)
        self.graphs.build(self.settings, urgent=True)
        for view in self.records.snapshot().views:
            self.graphs.load_now(view, self.settings)

    def check_upkeep(self) -> None:
        """At open: go on with what an earlier process left undone."""
        if self._engine.folder_read_only:
            return
        snapshot = self.records.snapshot()
        if housekeeping.due(snapshot) or housekeeping.useful(snapshot):
            background = self.records.services.background
            background.submit("settle", self.info.id, self._settle, QUIET_SECONDS)
        self._schedule_index(snapshot)

    # ------------------------------------------------------------------ searching

    def ranked(self, vectors: Floats, k: int, ids: Sequence[str] | None, node: Node, exact: bool) -> Ranked:
        """The nearest records of each of the vectors."""
        self._searched = time.monotonic()
        snapshot = self.records.snapshot()
        search.check_dimension(vectors, snapshot.dimension)
        settings = self.settings
        if ids is not None:
            node = search.among(ids, node)
        threads = settings.cores() if len(vectors) > 1 else 1
        wanted = search.Search(settings.space, k, node, settings.ef_search, exact, threads)
        found = search.run(
            wanted, vectors, snapshot, lambda view: self.graphs.get(view, settings), self.records.filters
        )
        return Ranked(found, snapshot.dimension, self.records.columns.for_scan())

    def recall(self, k: int, sample: int) -> float:
        """Mean share of the exact k nearest that the default search finds, over stored vectors as queries."""
        snapshot = self.records.snapshot()
        settings = self.settings
        for view in snapshot.views:
            self.graphs.load_now(view, settings)
        places = snapshot.everything()
        if not places:
            return 1.0
        pool = [(place.view, int(row)) for place in places for row in _spread(place.rows, sample)]
        picks = [pool[index] for index in np.linspace(0, len(pool) - 1, min(sample, len(pool))).astype(int)]
        queries = np.stack([view.vectors[row] for view, row in picks])
        hits = 0.0
        for exact, fast in zip(*(self._nearest(snapshot, queries, k, way) for way in (True, False))):
            hits += len(exact & fast) / max(1, len(exact))
        return hits / len(queries)

    def _nearest(
        self, snapshot: Snapshot, queries: Floats, k: int, exact: bool
    ) -> list[set[tuple[int, int]]]:
        settings = self.settings
        wanted = search.Search(settings.space, k, Everything(), settings.ef_search, exact, settings.cores())
        found = search.run(
            wanted, queries, snapshot, lambda v: self.graphs.get(v, settings), self.records.filters
        )
        part = [0] * len(found.rows) if found.part is None else found.part.tolist()
        hits = list(zip(part, found.rows.tolist()))
        ends = np.cumsum(found.counts or [len(hits)]).tolist()
        return [set(hits[start:end]) for start, end in zip([0, *ends], ends)]

    def close(self) -> None:
        self.records.services.background.cancel(self.info.id)
        self.graphs.release()
        self.records.close()


def _spread(rows: Any, sample: int) -> Any:
    return rows[:: max(1, len(rows) // max(1, sample))]


class Engine:
    """`path` None keeps everything in memory. `memory` bounds indexes and filter columns, in bytes."""

    def __init__(
        self,
        path: str | None,
        memory: int | None = None,
        threads: int | None = None,
        read_only: bool = False,
    ) -> None:
        """`read_only`: change nothing in the folder, as if it could not be written."""
        kernel.expect()
        if path is not None:
            check_path(path)
        self.folder: Folder = MemoryFolder() if path is None else DiskFolder(path, frozen(DiskFolder(path)))
        self.catalog = Catalog(self.folder)
        self.folder_read_only = read_only or not self.folder.writable()
        budget = Budget(memory or DEFAULT_MEMORY)
        cores = self.threads = threads or IndexSettings().cores()
        self.services = Services(FilterDatabase(max(2 * budget.limit, 1 << 30), cores), Background(), budget)
        self._open: OrderedDict[str, OpenCollection] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False
        if not self.folder.in_memory and not self.folder_read_only:
            self.services.background.submit("settle", "sweep", self.sweep, 2.0)

    def __repr__(self) -> str:
        return f"Engine({self.folder.path}, open={len(self._open)}, closed={self._closed})"

    def has_records(self, id: str) -> bool:
        """Whether the catalog knows that a collection has had records."""
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
        self._check_there()
        return self.catalog.collection(id) is not None

    def _check_there(self) -> None:
        if self.lost():
            raise NotFound(
                f"{self.folder.path} was removed or replaced while it was open; "
                "open a new client to start afresh"
            )

    def check_open(self) -> None:
        if self._closed:
            raise Closed(f"the client for {self.folder.path} was closed; open a new one")

    def collection(self, tenant: str, database: str, id: str) -> OpenCollection:
        """An open collection, opened if need be."""
        self.check_open()
        info = self.catalog.scoped(tenant, database, id)
        held = self._open.get(id)
        if held is None:
            held = self._open_collection(info)
        held.info = info
        try:  # noqa: SIM105 - costs nothing, which `suppress` does not
            self._open.move_to_end(id)
        except KeyError:
            pass  # closed as idle by another thread just now
        return held

    def _open_collection(self, info: CollectionInfo) -> OpenCollection:
        with self._lock:
            held = self._open.get(info.id)
            if held is None:
                held = self._open[info.id] = OpenCollection(self, info)
                held.records.snapshot()
                held.check_upkeep()
                if not self.folder.in_memory:
                    self._close_idle()
            return held

    def _close_idle(self) -> None:
        while len(self._open) > OPEN_COLLECTIONS:
            _, idle = self._open.popitem(last=False)
            idle.close()

    # ------------------------------------------------------------------ catalog

    def create_collection(
        self,
        tenant: str,
        database: str,
        name: str,
        metadata: Mapping[str, Any] | None,
        configuration: dict[str, Any],
        get_or_create: bool,
        id: str | None = None,
    ) -> CollectionInfo:
        """`id` is a UUID that the collection had elsewhere; without it, it gets a new one."""
        self.check_open()
        if id is not None and self.catalog.collection(id := str(uuid.UUID(id))) is None:
            self.folder.child("collections").child(id).remove_tree()  # of a deletion that was killed
        info = CollectionInfo(
            id or str(uuid.uuid4()),
            name,
            tenant,
            database,
            dict(metadata) if metadata else None,
            configuration,
        )
        return self.catalog.create_collection(info, get_or_create)[0]

    def with_dimension(self, info: CollectionInfo) -> CollectionInfo:
        """The catalog's entry with the dimension of an open collection."""
        held = self._open.get(info.id)
        if info.dimension is not None or held is None:
            return info
        return replace(info, dimension=held.records.snapshot().dimension)

    def delete_collection(self, tenant: str, database: str, name: str) -> None:
        self.check_open()
        info = self.catalog.named(tenant, database, name)
        self._drop([info], {"do": "delete collection", "id": info.id})

    def delete_database(self, tenant: str, database: str) -> None:
        self.check_open()
        infos = self.catalog.list_collections(tenant, database)
        self._drop(infos, {"do": "delete database", "tenant": tenant, "database": database})

    def reset(self) -> None:
        self.check_open()
        with self.catalog.changing() as (_, commit):
            commit({"do": "reset"})
        with self._lock:
            for held in list(self._open.values()):
                held.close()
            self._open.clear()
        self.folder.child("collections").remove_tree()

    def _drop(self, infos: Sequence[CollectionInfo], change: dict[str, Any]) -> None:
        """Take it out of the catalog, then remove the files; a crash between leaves files for `sweep`."""
        with self.catalog.changing() as (state, commit):
            if change["do"] == "delete collection" and change["id"] not in state.collections:
                raise NotFound(f"Collection [{infos[0].name}] does not exist")
            if change["do"] == "delete database":
                infos = [
                    state.collections[id] for id in state.names[change["tenant"], change["database"]].values()
                ]
            commit(change)
        for info in infos:
            with self._lock:
                held = self._open.pop(info.id, None)
            if held is not None:
                held.close()
            home = self.folder.child("collections").child(info.id)
            if home.exists():
                with home.lock("write.lock"):
                    home.remove_tree()

    def sweep(self) -> None:
        """Remove the folders of collections that the catalog no longer has."""
        for name in self.folder.names():
            if GONE in name:  # a removal that was killed
                self.folder.child(name).remove_tree()
        home = self.folder.child("collections")
        for name in home.names():
            made = home.child(name).stamp("")
            # A fork is linked before the catalog names it; it does not take that long.
            old = made is not None and time.time_ns() - made[1] > SWEEP_AFTER_NS
            if old and self.catalog.collection(name) is None:
                home.child(name).remove_tree()

    def fork_collection(
        self, tenant: str, database: str, id: str, name: str, into: tuple[str, str] | None = None
    ) -> CollectionInfo:
        """A copy that shares the immutable files: quick, and independent from then on.

        into  tenant and database of the copy; those of the collection if None
        """
        source = self.collection(tenant, database, id)
        tenant, database = into or (tenant, database)
        metadata, configuration = source.info.metadata, source.info.configuration
        dimension = source.records.snapshot().dimension
        info = CollectionInfo(str(uuid.uuid4()), name, tenant, database, metadata, configuration, dimension)
        if name in {held.name for held in self.catalog.list_collections(tenant, database)}:
            raise AlreadyExists(f"Collection [{name}] already exists; choose another name")
        target = self.folder.child("collections").child(info.id)
        if dimension is not None:
            housekeeping.share(source.records, target)
        try:
            return self.catalog.create_collection(info, get_or_create=False)[0]
        except AlreadyExists:
            target.remove_tree()
            raise

    def backup(self, path: str, link: bool, verify: bool, progress: Progress | None = None) -> BackupReport:
        """Copy all of it to a folder on disk; see backup.py."""
        self.check_open()
        self._check_there()
        assert isinstance(self.folder, DiskFolder)  # what is in memory has no files to copy
        from .backup import backup  # with what it needs, a tenth of the time to open a database

        return backup(self.folder, self.catalog, path, link, verify, progress)

    # ------------------------------------------------------------------ records

    def write(self, tenant: str, database: str, id: str, mode: Mode, records: Records) -> Written:
        held = self.collection(tenant, database, id)
        written = held.records.write(mode, records)
        if held.info.dimension is None:
            self._note_dimension(held)
        return written

    def _note_dimension(self, held: OpenCollection) -> None:
        """Tell the catalog of a collection's first records."""
        info, dimension = held.info, held.records.snapshot().dimension
        if dimension is None:
            return
        # The records are durable and their own files tell it too, so this must not fail the call.
        try:
            held.info = self.catalog.change_collection(
                info.tenant, info.database, info.id, dimension=dimension
            )
        except StorageError as error:
            _log.warning("the dimension of %s could not be noted in the catalog: %s", info.name, error)

    def scan_sorted(
        self,
        held: OpenCollection,
        ids: Sequence[str] | None,
        node: Node,
        order_by: Sequence[tuple[str, bool]],
        offset: int,
        limit: int | None,
    ) -> Scan:
        """Matching records by metadata values; see sorting.py."""
        snapshot, places = held.records.select(ids, node)
        places = sort_places(places, order_by, offset, limit)
        return Scan(tuple(places), snapshot.dimension, snapshot.views, held.records.columns.for_scan())

    def statement(self, text: str, find: Find) -> Statement:
        """An SQL statement over the tables that `find` gives."""
        self.check_open()
        from .sql import Statement

        return Statement(text, find, max(2 * self.services.budget.limit, 1 << 30), self.threads)

    def index_status(self, held: OpenCollection) -> IndexStatus:
        snapshot = held.records.snapshot()
        return IndexStatus(held.graphs.indexed_rows(snapshot, held.settings), snapshot.live)

    def figures(self) -> EngineFigures:
        """Sums over the collections that are open; none is opened or brought up to date for it."""
        opened = list(self._open.values())
        rows = deleted = segments = not_indexed = log_bytes = 0
        for held in opened:
            seen = held.records.last_seen()
            if seen is None:
                continue
            snapshot, size = seen
            rows += snapshot.live
            deleted += sum(view.dead_rows for view in snapshot.views)
            segments += sum(view.ref is not None for view in snapshot.views)
            not_indexed += snapshot.live - held.graphs.indexed_rows(snapshot, held.settings)
            log_bytes += size
        return EngineFigures(
            self.catalog.count_all(), len(opened), rows, deleted, segments, not_indexed, log_bytes, syncs()
        )

    def stats(self, held: OpenCollection) -> CollectionStats:
        snapshot = held.records.snapshot()
        files = _sizes(held.records.folder)
        return CollectionStats(
            live=snapshot.live,
            deleted=sum(view.dead_rows for view in snapshot.views),
            unsealed=sum(view.live for view in snapshot.views if view.ref is None),
            segments=sum(view.ref is not None for view in snapshot.views),
            indexed=held.graphs.indexed_rows(snapshot, held.settings),
            bytes=sum(files.values()),
            log_bytes=sum(size for name, size in files.items() if name.endswith(".wal")),
            files=files,
        )

    def after_fork(self) -> None:
        """In a forked child: go on without the parent's threads. For databases in memory."""
        self._lock = threading.Lock()
        self.services.background.after_fork()
        self.services.database.after_fork()
        for held in list(self._open.values()):
            held.records.filters.release()

    def close(self) -> None:
        """Stop background work and free everything. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.services.background.close()
        for held in list(self._open.values()):
            held.close()
        self._open.clear()
        self.services.database.close()
        self.catalog.close()


def _sizes(folder: Folder, prefix: str = "") -> dict[str, int]:
    """Bytes of each file, by path below the collection's folder."""
    found: dict[str, int] = {}
    for name in folder.names() if folder.exists() else []:
        if name.startswith("seg-"):
            found |= _sizes(folder.child(name), f"{name}/")
        else:
            found[prefix + name] = folder.size(name)
    return found
