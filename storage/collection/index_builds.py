"""Build, load and publish the graphs of a collection's segments.

Owns: which segment has which graph. A graph is a cache: searches scan exactly if a segment has no graph, or
while its graph is being built. A graph of codes is opened by the first search that needs it. A graph of
float32 vectors is loaded in the background, and searches scan until then. Builds run in the background. A
finished graph is published in the manifest, unless its segment was merged away meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from ..index import graph_extension, graph_file, hnsw, native_graph
from ..index.graph import Damaged, Graph, GraphData, StoredVectors
from ..index.native_graph import NativeGraph
from ..interface.errors import Corruption, StorageError
from ..manifest import FileRef, GraphRef, SegmentRef, random_name
from ..memory_budget import DoesNotFit
from ..native import kernel
from ..native.threads import cores
from ..schema.record_columns import Ints
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView, Snapshot
from ..vectors import pca
from ..vectors.distance import Space
from .cache_files import publish
from .merged_graphs import MergedGraphs, OldGraph
from .record_store import RecordStore

# Below this size a scan is about as fast as a graph search: scanning 10k x 384 takes 0.25 ms.
INDEX_BYTES = 12 << 20
# Builds wait for a pause in writing, unless a collection that is being searched has more unindexed data.
PATIENCE_BYTES = 160 << 20


# Delay before a graph is loaded. So a process that runs one query and exits does not wait for the load.
LOAD_SECONDS = 0.1
FEWEST_ROWS = 1 << 18  # a segment may have so many rows, however low the limit on memory is
_SHARE_OF_LIMIT = 0.9  # that the graph of the largest segment takes while it is built
_AGAIN_SECONDS = 10.0  # how long searches do without a graph that could not be read
_MOST_AGAIN = 2  # how often the graph of a segment is built again, while its collection is open
_ROOM_SECONDS = 0.1  # how often a build that waits for memory looks again
_log = logging.getLogger("chroma")
# Why a graph is not extended: its file is damaged or forged, or codes do not suit the new rows, or the memory
# limit only allows building anew.
_DAMAGE = (Damaged, Corruption)
_NOT_EXTENDED = (graph_extension.NotExtended, native_graph.CodesDoNotFit, DoesNotFit)


class IndexSettings(NamedTuple):
    """Parameters for building and searching graphs. `threads` limits both; 0 uses all cores."""

    space: Space = "l2"
    max_neighbors: int = 16
    ef_construction: int = 100
    ef_search: int = 100
    threads: int = 0

    def cores(self) -> int:
        found = cores()
        return min(self.threads, found) if self.threads else found

    def fits(self, ref: GraphRef) -> bool:
        return (ref.max_neighbors, ref.ef_construction) == (self.max_neighbors, self.ef_construction)


class Graphs:
    """The loaded graphs of one collection."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._loaded: dict[str, tuple[GraphRef | None, Graph]] = {}
        self._broken: set[str] = set()  # graph files that do not match their checksums and must be rebuilt
        self._outdated: set[str] = set()  # graph files that can be searched, but are to be built anew
        self._again: Counter[str] = Counter()  # how often the graph of a segment was to be built anew
        self._slow: set[str] = set()  # segments whose graphs take long to load
        self._next_try: dict[str, float] = {}  # when a graph that could not be read is tried again
        self._too_large: set[str] = set()  # segments whose graph needs more memory than the limit allows
        self._given_up: set[str] = set()  # segments whose graph was built again too often, see `try_again`
        self._opening = threading.Lock()  # held while a graph is opened within a search
        self._lock = threading.Lock()
        self._released = False  # whether the collection was closed, perhaps while a load or build was running
        self._merged = MergedGraphs(store.services.budget, f"merged {store.id}")
        self._urgent = 0  # number of running foreground builds, for which background builds stop

    # ------------------------------------------------------------------ searching

    def get(self, view: SegmentView, settings: IndexSettings) -> Graph | None:
        """Return the graph of a view.

        A graph of codes is opened now. Another is loaded in the background; the result is None until then.
        """
        loaded = self._loaded.get(view.source.name)
        if loaded is not None:
            self._store.services.budget.touch(self._key(view.source.name))
            return loaded[1]
        source = view.source
        if not isinstance(source, Segment) or not (ref := self._loadable(view)):
            return None
        if source.name not in self._slow and time.monotonic() >= self._next_try.get(source.name, 0.0):
            with self._opening:
                self._open(source, ref, settings)
            if (loaded := self._loaded.get(source.name)) is not None:
                return loaded[1]
        if source.name in self._slow and hnsw.available():
            key = f"{self._store.id}/{source.name}"
            background = self._store.services.background
            background.submit("load", key, lambda: self.load(source, ref, settings), LOAD_SECONDS)
        return None

    def _open(self, segment: Segment, ref: GraphRef, settings: IndexSettings) -> None:
        """Open a graph if that takes no time. If its file cannot be read, the search does without."""
        try:
            self.load(segment, ref, settings, at_once=True)
        except (StorageError, MemoryError) as error:
            self._next_try[segment.name] = time.monotonic() + _AGAIN_SECONDS
            _log.warning(
                f"searches compare all records of {segment.name}: {ref.file.name} cannot be read: {error!r}"
            )

    def load_now(self, view: SegmentView, settings: IndexSettings) -> None:
        """Load the graph of a view in this thread."""
        if isinstance(view.source, Segment) and (ref := self._loadable(view)):
            self.load(view.source, ref, settings)

    def damaged(self, view: SegmentView, settings: IndexSettings) -> None:
        """Forget a graph whose links lead nowhere, and build it again. `check` reports the file."""
        name = view.source.name
        with self._lock:
            loaded = self._loaded.pop(name, None)
        if loaded is None:
            return
        self._store.services.budget.forget(self._key(name))
        if loaded[0] is not None:
            self._build_again(name, loaded[0], self._broken, settings)

    def _reference(self, view: SegmentView) -> GraphRef | None:
        graph = view.ref.graph if view.ref else None
        return None if graph is None or graph.file.name in self._broken else graph

    def _loadable(self, view: SegmentView) -> GraphRef | None:
        """Return the reference to a view's graph if it has a file, as graphs in memory have not, and fits."""
        graph = self._reference(view)
        if graph is None or not graph.file.bytes or self._does_without(view.source.name):
            return None
        return graph

    def load(
        self, segment: Segment, ref: GraphRef, settings: IndexSettings, *, at_once: bool = False
    ) -> None:
        """Open a graph. `at_once`: only if that takes no time."""
        if segment.name in self._loaded or self._released:
            return
        home = self._store.folder.child(segment.name)
        path = f"{home.path}/{ref.file.name}"
        budget, key = self._store.services.budget, self._key(segment.name)
        graph: Graph | None = None
        try:
            data = home.map(ref.file.name, ref.file.bytes)
            if at_once and not graph_file.opens_at_once(data):
                self._slow.add(segment.name)
                return
            loaded = graph_file.load(
                path,
                data,
                ref.file,
                space=settings.space,
                vectors=StoredVectors(segment.rows, segment.dimension, lambda: segment.vectors),
                stopped=self._store.services.background.stopping,
                passed=segment.evict_vectors,
                reserve=partial(budget.reserve, key),
            )
            home.read_at_random(data)  # its checksum was compared; a search reads single rows
            if loaded is not None:
                graph = loaded.graph
            unusable = loaded is None and kernel.graph is not None and not hnsw.available()
            if (unusable or (loaded is not None and not loaded.current)) and self._store.folder.writable():
                self._build_again(segment.name, ref, self._outdated if loaded else self._broken, settings)
        except DoesNotFit as error:
            self._leave_out(segment, error)
        except Corruption:
            # The graph is only a cache, so a new one is built. `check` reports the damaged file.
            self._build_again(segment.name, ref, self._broken, settings)
        finally:
            if graph is None:  # failed, was stopped, or other builds and loads leave no room
                budget.forget(key)
        if graph is not None:
            self._keep(segment.name, ref, graph)

    def _build_again(self, name: str, ref: GraphRef, reason: set[str], settings: IndexSettings) -> None:
        """Build the graph of a segment again, but not for ever.

        A program of another version may not know the graphs of this one, and build them again, too.

        reason  `_broken` or `_outdated`; notes the graph's file
        """
        if ref.file.name in reason:
            return
        self._again[name] += 1
        if self._again[name] <= _MOST_AGAIN:
            reason.add(ref.file.name)
            self.schedule(settings)
            return
        if reason is self._broken:
            self._given_up.add(name)
        if self._again[name] == _MOST_AGAIN + 1:
            form = "damaged or unknown" if reason is self._broken else "of an older form"
            _log.warning(
                f"the index of {name} in {self._store.folder.path} was replaced {_MOST_AGAIN + 1} times by "
                f"one that is {form}, and is no longer built anew: searches are slower. If programs of two "
                "versions have the database open, upgrade the older one and open the database again"
            )

    def try_again(self) -> None:
        """Load and build also the graphs that were built again too often. The cause may be mended."""
        self._given_up.clear()
        self._again.clear()

    def _does_without(self, name: str) -> bool:
        """Whether a segment is searched without a graph."""
        return name in self._too_large or name in self._given_up

    def _leave_out(self, segment: Segment, error: DoesNotFit) -> None:
        """Search the segment without a graph from now on, and say so."""
        self._too_large.add(segment.name)
        self._merged.take(segment.name)  # no build will
        limit = self._store.services.budget.limit >> 20
        kept = f", of which indexes without a file hold {error.kept >> 20} MB" if error.kept else ""
        _log.warning(
            f"the index of {segment.rows} records in {self._store.folder.path} needs {error.size >> 20} MB "
            f"of memory, and the limit is {limit} MB{kept}: searches compare all of these records. Raise "
            "chroma_memory_limit_bytes, or give the process more memory"
        )

    def _keep(self, name: str, ref: GraphRef | None, graph: Graph) -> None:
        with self._lock:
            self._loaded[name] = ref, graph
        # A graph without a reference exists only in memory and must not be evicted.
        release = None if ref is None else lambda: self._drop(name)
        self._store.services.budget.hold(self._key(name), graph.nbytes, release)
        if self._released:
            self._drop(name)
            self._store.services.budget.forget(self._key(name))

    def _key(self, name: str) -> str:
        return f"graph {self._store.id}/{name}"

    def _drop(self, name: str) -> None:
        with self._lock:
            self._loaded.pop(name, None)

    def inherit(self, parent: Graphs) -> None:
        """In a forked child, take over the parent's graphs that no thread was searching.

        Used for a database in memory.
        """
        for name, (ref, graph) in list(parent._loaded.items()):
            if graph.at_rest():
                self._keep(name, ref, graph)

    def release(self) -> None:
        """Free the graphs that can be loaded again, and load no more. The others no longer count for the
        budget."""
        self._released = True
        self._merged.release()
        for name, (ref, _) in list(self._loaded.items()):
            if ref is not None:
                self._drop(name)
            self._store.services.budget.forget(self._key(name))

    # ------------------------------------------------------------------ building

    def missing(self, snapshot: Snapshot, settings: IndexSettings) -> list[Segment]:
        """Return the manifest's segments that still need a graph with these settings, largest first."""
        found = [
            view.source
            for view in snapshot.views
            if isinstance(view.source, Segment)
            and view.named
            and view.source.name not in self._given_up
            and (not self._served(view, settings) or self._is_outdated(view))
        ]
        return sorted(found, key=lambda segment: -segment.rows)

    def _served(self, view: SegmentView, settings: IndexSettings) -> bool:
        """Whether a segment or memtable has a current graph, or needs none because it is too small or too
        large."""
        if view.rows * view.source.dimension * 4 < INDEX_BYTES or view.source.name in self._too_large:
            return True
        graph = self._reference(view)
        if graph is None or not settings.fits(graph) or view.source.name in self._given_up:
            return False
        return (
            bool(graph.file.bytes) or view.source.name in self._loaded
        )  # a fork may lose a graph that is only in memory

    def _is_outdated(self, view: SegmentView) -> bool:
        graph = self._reference(view)
        return (
            graph is not None
            and graph.file.name in self._outdated
            and view.source.name not in self._too_large
        )

    def indexed_rows(self, snapshot: Snapshot, settings: IndexSettings) -> int:
        """Count the live rows in views that have a current graph or need none; see `_served`."""
        return sum(view.live for view in snapshot.views if self._served(view, settings))

    def schedule(self, settings: IndexSettings, delay: float = 0.0) -> None:
        """Build the missing graphs in the background."""
        self._store.services.background.submit(
            "index", self._store.id, lambda: self.build(settings, urgent=False), delay
        )

    def build(self, settings: IndexSettings, urgent: bool) -> bool:
        """Build all missing graphs. Returns False if the build was stopped or another process is building."""
        if kernel.graph is None and not hnsw.available():
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
        budget, key = self._store.services.budget, f"build {self._store.id}/{segment.name}"

        def reserve(size: int) -> bool:
            while not budget.reserve(key, size):  # until other builds and loads have ended
                if stopped():
                    return False
                time.sleep(_ROOM_SECONDS)
            return True

        try:
            data = self._extended(segment, settings, threads, stopped, reserve)
            if data is None and not stopped():
                data = self._built(segment, settings, threads, stopped, reserve)
            segment.evict_vectors()
            if data is None:
                return self._does_without(segment.name)
            built = self._publish(segment, data, settings)
        except DoesNotFit as error:
            self._leave_out(segment, error)
            return True
        finally:
            budget.forget(key)
        if built is None:
            return True
        with self._lock:
            self._loaded.pop(segment.name, None)  # an outdated graph
        self._slow.discard(segment.name)
        if data.codes is not None and not self._store.folder.in_memory:
            self.load(segment, built, settings)  # from the file, so that the arrays need not stay in memory
            return self._released or segment.name in self._loaded or self._does_without(segment.name)
        self._keep(segment.name, built if built.file.bytes else None, _in_memory(data, segment))
        return True

    def _extended(
        self,
        segment: Segment,
        settings: IndexSettings,
        threads: int,
        stopped: Callable[[], bool],
        reserve: Callable[[int], bool],
    ) -> GraphData | None:
        """Extend the graph of a segment that was merged into this one. Returns None if there is none, if it
        has to be built anew, or if it was stopped."""
        merged = self._merged.take(segment.name)
        if merged is None or kernel.graph is None or not settings.fits(merged.graph.ref):
            return None
        rows, neighbors = segment.rows, settings.max_neighbors
        needed = graph_extension.extending_bytes(rows, merged.graph.rows, neighbors)
        needed = max(needed, pca.choosing_bytes(*segment.vectors.shape)) + merged.nbytes
        data = None
        try:
            if reserve(needed):
                data = graph_extension.extend(
                    merged.source(settings.space),
                    segment.vectors,
                    neighbors=neighbors,
                    ef_construction=settings.ef_construction,
                    threads=threads,
                    stopped=stopped,
                    scratch=self._store.folder.scratch,
                )
        except (*_DAMAGE, *_NOT_EXTENDED) as error:
            _log.log(
                logging.WARNING if isinstance(error, _DAMAGE) else logging.INFO,
                f"the index of {rows} records in {self._store.folder.path} is built anew, because that of "
                f"{merged.graph.rows} records cannot be extended: {error!r}",
            )
            return None
        if data is None and stopped():
            self._merged.put(segment.name, merged)
        return data

    def most_rows(self, settings: IndexSettings) -> int:
        """The most rows of a segment whose graph can be built within the limit on memory.

        Its codes count, too, although the system may take their pages back: a build reads them at random.
        """
        row = native_graph.building_bytes(FEWEST_ROWS, settings.max_neighbors) / FEWEST_ROWS
        row += self._store.snapshot().dimension or 0
        return max(FEWEST_ROWS, int(_SHARE_OF_LIMIT * self._store.services.budget.limit / row))

    def before_merge(self, views: Sequence[SegmentView], segment: str, positions: Ints) -> None:
        """See `StoreOwner`. An error does not stop the merge: what is kept only makes a build faster."""
        if kernel.graph is None:
            return
        try:
            self._merged.merge(views, segment, positions, self._old_graph)
        except Exception as error:
            _log.warning(f"the index of {segment} in {self._store.folder.path} is built anew: {error!r}")

    def _old_graph(self, view: SegmentView) -> OldGraph | None:
        """Return the graph of a view, if it has codes and can be read after its segment is gone."""
        graph, name = self._reference(view), view.source.name
        if graph is None or not isinstance(view.source, Segment):
            return None
        rows, dimension = view.source.rows, view.source.dimension
        if graph.file.bytes:
            home = self._store.folder.child(name)
            path = f"{home.path}/{graph.file.name}"
            try:
                content = home.map(graph.file.name, graph.file.bytes)
            except StorageError as error:
                _log.warning(f"{path} cannot be read, so it is not extended: {error!r}")
                return None
            if not graph_file.opens_at_once(content):
                return None
            file = graph.file
            read = lambda space: graph_file.read(  # noqa: E731
                path, content, file, space=space, rows=rows, dimension=dimension
            )
            return OldGraph(graph, rows, read, 0)
        loaded = self._loaded.get(name)
        if loaded is None or not isinstance(loaded[1], NativeGraph) or loaded[1].data is None:
            return None
        data = loaded[1].data
        return OldGraph(graph, rows, lambda space: data, loaded[1].nbytes)

    def _built(
        self,
        segment: Segment,
        settings: IndexSettings,
        threads: int,
        stopped: Callable[[], bool],
        reserve: Callable[[int], bool],
    ) -> GraphData | None:
        """Build the graph of a segment. Returns None if it was stopped, or if it cannot be built here."""
        vectors, neighbors = segment.vectors, settings.max_neighbors
        if not reserve(pca.choosing_bytes(*vectors.shape)):
            return None
        choice = pca.choose(settings.space, vectors, coded=kernel.graph is not None, stopped=stopped)
        if choice is None or stopped():
            return None
        projection, rows = choice.projection, segment.rows
        if choice.coded:
            if not reserve(native_graph.building_bytes(rows, neighbors)):
                return None
            for attempt in (None,) if projection is None else (projection, None):
                with contextlib.suppress(native_graph.CodesDoNotFit):
                    return native_graph.build(
                        settings.space,
                        vectors,
                        projection=attempt,
                        neighbors=neighbors,
                        ef_construction=settings.ef_construction,
                        threads=threads,
                        stopped=stopped,
                        scratch=self._store.folder.scratch,
                    )
        if not hnsw.available():
            self._too_large.add(segment.name)
            return None
        dimension = vectors.shape[1] if projection is None else projection.kept
        if not reserve(2 * hnsw.nbytes(rows, dimension, neighbors)):  # hnswlib copies its state
            return None
        return hnsw.build(
            settings.space,
            vectors,
            projection=projection,
            neighbors=neighbors,
            ef_construction=settings.ef_construction,
            threads=threads,
            stopped=stopped,
        )

    def _publish(self, segment: Segment, data: GraphData, settings: IndexSettings) -> GraphRef | None:
        """Write the graph file and name it in the manifest. Returns None if the segment is gone."""

        def reference(file: FileRef) -> GraphRef:
            return GraphRef(file, settings.max_neighbors, settings.ef_construction)

        def replaced(ref: SegmentRef, file: FileRef) -> tuple[SegmentRef, FileRef | None]:
            return ref._replace(graph=reference(file)), None if ref.graph is None else ref.graph.file

        write = None if self._store.folder.in_memory else partial(graph_file.write, data)
        file = publish(self._store, segment.name, f"graph-{random_name()}.hnsw", write, replaced)
        return None if file is None else reference(file)

    def forget_gone(self, snapshot: Snapshot, settings: IndexSettings) -> None:
        """Drop the graphs of segments that were merged away or have a different graph now.

        Drop also those that were kept for the build of segments that need none.
        """
        refs = {view.source.name: view.ref for view in snapshot.views if view.ref is not None}
        for name, (graph_ref, _) in list(self._loaded.items()):
            if name not in refs or (graph_ref is not None and refs[name].graph != graph_ref):
                self._drop(name)
                self._store.services.budget.forget(self._key(name))
        self._too_large &= refs.keys()
        self._given_up &= refs.keys()
        missing = {segment.name for segment in self.missing(snapshot, settings)}
        self._merged.keep_only(missing, refs.keys())


def _in_memory(data: GraphData, segment: Segment) -> Graph:
    """Open a graph that has no file."""
    if data.codes is not None:
        return NativeGraph(data, segment.dimension, mapped=False)
    graph = hnsw.opened(data, segment.vectors)
    assert graph is not None  # nothing stops it
    return graph
