"""Building, loading and publishing the graphs of a collection's segments.

Owns: which segment has which graph. A graph is a cache: without one, or while it loads or builds, searches
scan exactly. Builds run in the background. The manifest publishes a graph, unless its segment was merged away
meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from ..index import graph_file, hnsw
from ..index.hnsw import Graph
from ..interface.errors import Corruption
from ..manifest import FileRef, GraphRef, Manifest, random_name
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView, Snapshot
from ..vectors.distance import Space
from .record_store import RecordStore

# Below this a scan is about as fast as a graph: 10k x 384 takes 0.25 ms.
INDEX_BYTES = 12 << 20
# While writes keep coming, building waits for a pause, but not beyond this much unindexed data.
PATIENCE_BYTES = 160 << 20


# Delay before a graph is loaded, so that a process that runs one query and exits does not wait for it.
LOAD_SECONDS = 0.1


class IndexSettings(NamedTuple):
    """How graphs are built and searched; `threads` bounds both (0: as many as there are cores)."""

    space: Space = "l2"
    max_neighbors: int = 16
    ef_construction: int = 100
    ef_search: int = 100
    threads: int = 0

    def cores(self) -> int:
        found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(self.threads, found) if self.threads else found

    def fits(self, ref: GraphRef) -> bool:
        return (ref.max_neighbors, ref.ef_construction) == (self.max_neighbors, self.ef_construction)


class Graphs:
    """The loaded graphs of one collection."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._loaded: dict[str, tuple[GraphRef | None, Graph]] = {}
        self._broken: set[str] = set()  # index files that do not match their checksum: rebuilt
        self._lock = threading.Lock()
        self._urgent = 0  # running foreground builds; background builds stop for them

    # ------------------------------------------------------------------ searching

    def get(self, view: SegmentView, settings: IndexSettings) -> Graph | None:
        """The graph of a view, if it is loaded; else it is loaded in the background."""
        loaded = self._loaded.get(view.source.name)
        if loaded is not None:
            self._store.services.budget.touch(self._key(view.source.name))
            return loaded[1]
        if isinstance(view.source, Segment) and (ref := self._stored(view)) and hnsw.available():
            source = view.source
            key = f"{self._store.id}/{source.name}"
            background = self._store.services.background
            background.submit("load", key, lambda: self.load(source, ref, settings), LOAD_SECONDS)
        return None

    def load_now(self, view: SegmentView, settings: IndexSettings) -> None:
        """Load the graph of a view in this thread, and return when it is loaded."""
        if isinstance(view.source, Segment) and (ref := self._stored(view)) and hnsw.available():
            self.load(view.source, ref, settings)

    def _reference(self, view: SegmentView) -> GraphRef | None:
        graph = view.ref.graph if view.ref else None
        return None if graph is None or graph.file.name in self._broken else graph

    def _stored(self, view: SegmentView) -> GraphRef | None:
        """The graph of a view that has a file; in memory there is none to load."""
        graph = self._reference(view)
        return graph if graph is not None and graph.file.bytes else None

    def load(self, segment: Segment, ref: GraphRef, settings: IndexSettings) -> None:
        """Bring a graph into memory."""
        if segment.name in self._loaded:
            return
        home = self._store.folder.child(segment.name)
        path = f"{home.path}/{ref.file.name}"
        try:
            data = home.map(ref.file.name, ref.file.bytes)
            if settings.space == "cosine":
                _ = segment.lengths  # computed here, so that the first query need not
            stopping, evict = self._store.services.background.stopping, segment.evict_vectors
            graph = graph_file.read(
                path,
                data,
                ref.file,
                space=settings.space,
                vectors=segment.vectors,
                stopped=stopping,
                passed=evict,
            )
        except Corruption:
            # The graph is only a cache: a new one is built, and `check` reports the file.
            self._broken.add(ref.file.name)
            self.schedule(settings)
            return
        if graph is not None:
            self._keep(segment.name, ref, graph)

    def _keep(self, name: str, ref: GraphRef | None, graph: Graph) -> None:
        with self._lock:
            self._loaded[name] = ref, graph
        if ref is not None:  # kept in memory only, it could not be loaded again
            self._store.services.budget.hold(self._key(name), graph.nbytes, lambda: self._drop(name))

    def _key(self, name: str) -> str:
        return f"graph {self._store.id}/{name}"

    def _drop(self, name: str) -> None:
        with self._lock:
            self._loaded.pop(name, None)

    def inherit(self, parent: Graphs) -> None:
        """In a forked child, of a database in memory: take over the graphs that no thread was searching."""
        for name, (ref, graph) in list(parent._loaded.items()):
            if graph.at_rest():
                self._keep(name, ref, graph)

    def release(self) -> None:
        """Free all graphs that can be loaded again."""
        for name, (ref, _) in list(self._loaded.items()):
            if ref is not None:
                self._drop(name)
                self._store.services.budget.forget(self._key(name))

    # ------------------------------------------------------------------ building

    def missing(self, snapshot: Snapshot, settings: IndexSettings) -> list[Segment]:
        """Segments of the manifest that should have a graph with these settings, largest first."""
        found = [
            view.source
            for view in snapshot.views
            if isinstance(view.source, Segment) and view.named and not self._served(view, settings)
        ]
        return sorted(found, key=lambda segment: -segment.rows)

    def _served(self, view: SegmentView, settings: IndexSettings) -> bool:
        """Whether a part has its graph, or is too small for one."""
        if view.rows * view.source.dimension * 4 < INDEX_BYTES:
            return True
        graph = self._reference(view)
        if graph is None or not settings.fits(graph):
            return False
        return (
            bool(graph.file.bytes) or view.source.name in self._loaded
        )  # a graph in memory may be lost by a fork

    def indexed_rows(self, snapshot: Snapshot, settings: IndexSettings) -> int:
        """Rows in parts that have a current graph, or are too small to need one."""
        return sum(view.live for view in snapshot.views if self._served(view, settings))

    def schedule(self, settings: IndexSettings, delay: float = 0.0) -> None:
        """Build what is missing in the background."""
        self._store.services.background.submit(
            "index", self._store.id, lambda: self.build(settings, urgent=False), delay
        )

    def build(self, settings: IndexSettings, urgent: bool) -> bool:
        """Build all missing graphs. False when stopped, or when another process is building."""
        if not hnsw.available():
            return False
        with self._lock:
            self._urgent += urgent
        try:
            with self._store.folder.lock("index.lock", wait=urgent, timeout=None) as locked:
                if not locked:
                    return False
                while pending := self.missing(self._store.refresh(), settings):
                    if not self._build_one(pending[0], settings, urgent):
                        return False
                return True
        finally:
            with self._lock:
                self._urgent -= urgent

    def _build_one(self, segment: Segment, settings: IndexSettings, urgent: bool) -> bool:
        background = self._store.services.background
        stopped: Callable[[], bool] = lambda: background.stopping() or (not urgent and self._urgent > 0)  # noqa: E731
        threads = settings.cores() if urgent else max(1, settings.cores() - 1)
        graph = hnsw.build(
            settings.space,
            segment.vectors,
            max_neighbors=settings.max_neighbors,
            ef_construction=settings.ef_construction,
            threads=threads,
            stopped=stopped,
        )
        if graph is not None and settings.space == "cosine":
            _ = segment.lengths
        segment.evict_vectors()
        if graph is None:
            return False
        built = self._publish(segment, graph, settings)
        if built is not None:
            self._keep(segment.name, None if self._store.folder.in_memory else built, graph)
        return True

    def _publish(self, segment: Segment, graph: Graph, settings: IndexSettings) -> GraphRef | None:
        """Write the graph file and name it in the manifest. None when the segment is gone."""
        folder = self._store.folder
        with folder.lock("maintain.lock", timeout=None):
            manifest = Manifest.load(folder)
            if segment.name not in {ref.name for ref in manifest.segments}:
                self._store.refresh()
                return None
            name = f"graph-{random_name()}.hnsw"
            home = folder.child(segment.name)
            if folder.in_memory:
                file = FileRef(name, 0, "")
            else:
                with home.write_file(name) as sink:
                    graph_file.write(graph, sink)
                home.sync()
                file = FileRef(name, sink.size, sink.digest())
            built = GraphRef(file, settings.max_neighbors, settings.ef_construction)
            segments, old = [], None
            for ref in manifest.segments:
                if ref.name == segment.name:
                    old, ref = ref.graph, ref._replace(graph=built)
                segments.append(ref)
            try:
                manifest._replace(version=manifest.version + 1, segments=tuple(segments)).publish(folder)
            except BaseException:
                self._store.unclean = True  # the manifest or its copy may name the file by now
                raise
            if old is not None:
                home.remove(old.file.name)
        self._store.refresh()
        return built

    def forget_gone(self, snapshot: Snapshot) -> None:
        """Drop the graphs of segments that were merged away, or that got another graph."""
        refs = {view.source.name: view.ref for view in snapshot.views if view.ref is not None}
        for name, (graph_ref, _) in list(self._loaded.items()):
            if name not in refs or (graph_ref is not None and refs[name].graph != graph_ref):
                self._drop(name)
                self._store.services.budget.forget(self._key(name))
