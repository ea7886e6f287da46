"""A collection that is open: its records, its graphs, and what the catalog says of it.

Owns: searches, and when housekeeping and index builds are due.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..catalog.catalog import Catalog
from ..filters.parser import Everything, Node
from ..interface.errors import StorageError
from ..interface.values import CollectionInfo, Floats
from ..io.disk import Folder
from ..query import executor
from ..query.ranked_hits import Ranked
from ..segments.snapshot import Snapshot
from . import compaction
from .collection import Collection, Services
from .index_builds import PATIENCE_BYTES, Graphs, IndexSettings

# Housekeeping waits for a pause in writing, so that a bulk load is merged and indexed once.
QUIET_SECONDS = 0.5
NOTE_SECONDS = 0.05  # from a write to the note of its sync, if none was made meanwhile
SEARCHED_SECONDS = 60.0  # a collection counts as searched for so long after a query


class CollectionHost(Protocol):
    """What a collection asks of the database that it is in."""

    folder: Folder
    services: Services
    folder_read_only: bool

    @property
    def catalog(self) -> Catalog: ...
    @property
    def closed(self) -> bool: ...
    def still_has(self, id: str) -> bool: ...
    def has_records(self, id: str) -> bool: ...


class OpenCollection:
    """A collection with its graphs, and what the catalog says of it."""

    def __init__(self, host: CollectionHost, info: CollectionInfo) -> None:
        self.info = info
        self._host = host
        self.records = Collection(
            host.folder.child("collections").child(info.id),
            info.id,
            host.services,
            lambda: host.still_has(info.id),
            lambda: host.has_records(info.id),
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
        due = compaction.due(snapshot)
        self._outrun = due and sum(tail.rows for tail in snapshot.tails) > 4 * compaction.SEAL_ROWS
        if due:
            background.submit("settle", self.info.id, self._settle)
        elif compaction.useful(snapshot):
            background.submit("settle", self.info.id, self._settle, QUIET_SECONDS, push=True)
        self._schedule_index(snapshot)

    def _after_sync(self) -> None:
        background = self.records.services.background
        if self.records.unnoted():
            background.submit("note", self.info.id, self.records.note, NOTE_SECONDS)
        if self._outrun:
            background.wait("settle", self.info.id)  # let it catch up

    def _settle(self) -> None:
        if not self._unless_deleted(lambda: compaction.settle(self.records, everything=False)):
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
        except StorageError:
            if self._host.closed or self._host.catalog.collection(self.info.id) is None:
                return False
            raise
        return True

    def compact(self) -> None:
        """Seal, merge into one segment, index, reclaim; return when done."""
        if self.records.snapshot().dimension is None:
            return  # nothing was ever written
        with self.records.existing():
            compaction.settle(self.records, everything=True)
            self.graphs.build(self.settings, urgent=True)
            for view in self.records.snapshot().views:
                self.graphs.load_now(view, self.settings)

    def check_upkeep(self) -> None:
        """At open: go on with what an earlier process left undone."""
        if self._host.folder_read_only:
            return
        snapshot = self.records.snapshot()
        if compaction.due(snapshot) or compaction.useful(snapshot):
            background = self.records.services.background
            background.submit("settle", self.info.id, self._settle, QUIET_SECONDS)
        self._schedule_index(snapshot)

    # ------------------------------------------------------------------ searching

    def ranked(self, vectors: Floats, k: int, ids: Sequence[str] | None, node: Node, exact: bool) -> Ranked:
        """The nearest records of each of the vectors."""
        self._searched = time.monotonic()
        snapshot = self.records.snapshot()
        executor.check_dimension(vectors, snapshot.dimension)
        settings = self.settings
        if ids is not None:
            node = executor.among(ids, node)
        threads = settings.cores() if len(vectors) > 1 else 1
        wanted = executor.Search(settings.space, k, node, settings.ef_search, exact, threads)
        found = executor.run(
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
        wanted = executor.Search(settings.space, k, Everything(), settings.ef_search, exact, settings.cores())
        found = executor.run(
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
