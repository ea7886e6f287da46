"""One collection: serves requests, and schedules the upkeep that the requests make necessary.

Owns: the decision when compaction and index builds are due. The records are in `record_store`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from collections.abc import Collection as AnyCollection
from functools import partial

import numpy as np

from ..filters import switched_off, unmatched
from ..filters.document_index import DocumentIndex
from ..filters.evaluator import check_patterns
from ..filters.parser import EVERYTHING, Node, parse
from ..index.graph import Graph
from ..index.ngrams import Ngrams
from ..interface import unmatched as reports
from ..interface.errors import InvalidArgument, Missing, StorageError, UnmatchedKey
from ..interface.ranking import SearchRequest, SparseNearest, leaves
from ..interface.requests import (
    ALL_RECORDS,
    DeleteRequest,
    FacetRequest,
    GetRequest,
    OnUnmatched,
    Page,
    QueryRequest,
    Selection,
)
from ..interface.schema import ValueType, full_text_off, sparse_index, sparse_keys, switches_off
from ..interface.values import (
    CollectionInfo,
    CollectionStats,
    EfRecall,
    Facet,
    Field,
    Floats,
    Hits,
    IndexStatus,
    Mode,
    Records,
    Rows,
    Written,
)
from ..interface.version_names import check_current
from ..io.disk import Folder
from ..postings.ranking import SparseQuery
from ..query import executor, hybrid, recall_measure, search, sparse
from ..query.facets import count_values
from ..query.prepared import PreparedSearch, has_options, prepare
from ..query.ranked_hits import Ranked, Traced, WithWords
from ..query.scan import Scan
from ..query.search import SearchHits
from ..query.sort import sort_selected
from ..query.trace import Trace
from ..schema.metadata_columns import Slot
from ..schema.record_columns import Ints
from ..segments.snapshot import SegmentView, Snapshot, in_order, read
from . import compaction
from .found_keys import FoundKeys, left
from .host import CollectionHost
from .index_builds import PATIENCE_BYTES, Graphs, IndexSettings
from .postings_cache import PostingsCache, SparseVectorIndex
from .record_store import RecordStore
from .segment_indexes import IndexBuilder, SegmentIndexes

_log = logging.getLogger("chroma")

# Upkeep waits for a pause in writing, so that a bulk load is merged and indexed only once.
QUIET_SECONDS = 0.5
WATERMARK_SECONDS = 0.05  # delay after a write before its sync is recorded, unless a later sync records it
SEARCHED_SECONDS = 60.0  # time after a query during which a collection is regarded as being searched


class Collection:
    """A collection in a database: its reads, writes and searches, and the upkeep of its files and graphs.

    info     its entry in the catalog
    store    its records
    graphs   the similarity indexes of its segments
    indexes  the other indexes of its segments
    """

    def __init__(self, host: CollectionHost, info: CollectionInfo) -> None:
        self.info = info
        self._host = host
        folder = host.folder.child("collections").child(info.id)
        self.store = RecordStore(folder, info.id, host.services, self)
        self.graphs = Graphs(self.store)
        self._documents = DocumentIndex(folder.scratch)
        self.indexes = SegmentIndexes(
            self.store, self._index_builders, self._unless_deleted, not host.folder_read_only
        )
        self._postings = PostingsCache(self.indexes)
        self._sparse_indexes = [SparseVectorIndex(key) for key in sparse_keys(info.schema)]
        self._found_keys = FoundKeys()
        self._source = executor.Source(self._graph_of, self.store.filters, self._report_damage)
        self._settings, self._settings_of = self._read_settings(), info
        self._switched = info.schema if switches_off(info.schema) else None  # a schema never changes
        # Nearly all schemas switch nothing off. Then filters are parsed without a call in between.
        self._parse: Callable[[Selection], Node] = parse if self._switched is None else self._parse_if_on
        self._searched = -SEARCHED_SECONDS
        self._prepared: PreparedSearch | None = None
        # what a plan is kept for: the filter, `k` and the fields of the latest query of one vector
        self._latest: tuple[Node, int, frozenset[Field]] | None = None
        self._outrun = False  # whether compaction cannot keep up with the writers

    @property
    def settings(self) -> IndexSettings:
        """The index settings of the catalog's entry, read once per entry."""
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

    # ------------------------------------------------------------------ calls from the store

    @property
    def name(self) -> str:
        return self.info.name

    def exists(self) -> bool:
        return self._host.still_has(self.info.id)

    def has_records(self) -> bool:
        return self._host.has_records(self.info.id)

    def before_merge(self, views: Sequence[SegmentView], segment: str, positions: Ints) -> None:
        self.graphs.before_merge(views, segment, positions)

    def after_adoption(self, snapshot: Snapshot) -> None:
        self._prepared = None
        self._found_keys.forget_known()
        self.graphs.forget_gone(snapshot, self.settings)
        self.indexes.forget_gone(snapshot)
        self._postings.adopt(snapshot)

    def ngrams(self, view: SegmentView) -> Ngrams | None:
        found: Ngrams | None = self.indexes.get(view, self._documents)
        return found

    def after_commit(self) -> None:
        seen = self.store.last_seen()  # includes the commit, and needs no access to the disk
        if seen is None:
            return  # the collection was closed meanwhile; the next opening checks the upkeep
        snapshot = seen[0]
        background = self.store.services.background
        due = compaction.due(snapshot)
        self._outrun = due and compaction.outrun(snapshot)
        if due:
            background.submit("compact", self.info.id, self._compact_in_background)
        elif compaction.useful(snapshot):
            background.submit("compact", self.info.id, self._compact_in_background, QUIET_SECONDS, push=True)
        self._schedule_index(snapshot)
        self.indexes.after_commit(QUIET_SECONDS)

    def after_sync(self) -> None:
        background = self.store.services.background
        if self.store.lacks_watermark():
            background.submit("watermark", self.info.id, self.store.record_watermark, WATERMARK_SECONDS)
        if self._outrun:
            background.wait("compact", self.info.id)  # let the compaction catch up

    # ------------------------------------------------------------------ upkeep

    def _compact_in_background(self) -> None:
        if not self._unless_deleted(lambda: self._merge(everything=False)):
            return
        snapshot = self.store.snapshot()
        self._schedule_index(snapshot)
        if self.indexes.missing(snapshot):
            self.indexes.schedule_all(QUIET_SECONDS)

    def _merge(self, everything: bool) -> None:
        compaction.compact(self.store, everything, self.graphs.most_rows(self.settings))

    def _index_builders(self) -> list[IndexBuilder]:
        """Return the kinds of indexes that each segment should have."""
        documents = [] if full_text_off(self.info.schema) else [self._documents]
        words = [] if self._postings.lexical is None else [self._postings.lexical]
        return [*documents, *self._sparse_indexes, *words]

    def _schedule_index(self, snapshot: Snapshot) -> None:
        settings = self.settings
        missing = self.graphs.missing(snapshot, settings)
        if not missing:
            return
        waiting = sum(segment.rows * segment.dimension * 4 for segment in missing)
        # A bulk load is indexed once, at its end, unless the collection is being searched. So the load does
        # not compete with the build of a graph whose segment is soon merged away.
        searched = time.monotonic() - self._searched < SEARCHED_SECONDS
        delay = 0.0 if searched and waiting > PATIENCE_BYTES else QUIET_SECONDS
        background = self.store.services.background
        background.submit("index", self.info.id, lambda: self._index(settings), delay, push=delay > 0)

    def _index(self, settings: IndexSettings) -> None:
        self._unless_deleted(lambda: self.graphs.build(settings, urgent=False))

    def _unless_deleted(self, job: Callable[[], object]) -> bool:
        """Run a background job. Returns False if it failed because the collection was deleted."""
        try:
            job()
        except StorageError:
            if self._host.closed or self._host.catalog.collection(self.info.id) is None:
                return False
            raise
        return True

    def compact(self) -> None:
        """Flush, merge into one segment, build the index and reclaim space. Returns when all is done."""
        if self.store.snapshot().dimension is None:
            return  # no record was ever written
        with self.store.existing():
            self.graphs.try_again()
            self._merge(everything=True)
            self.indexes.build()
            for view in self.store.snapshot().views:
                self.graphs.load_now(view, self.settings)  # finds a damaged graph, which is then built again
            self.graphs.build(self.settings, urgent=True)
            for view in self.store.snapshot().views:
                self.graphs.load_now(view, self.settings)

    def check_upkeep(self) -> None:
        """At opening, schedule the upkeep that an earlier process did not finish."""
        if self._host.folder_read_only:
            return
        snapshot = self.store.snapshot()
        if compaction.due(snapshot) or compaction.useful(snapshot):
            background = self.store.services.background
            background.submit("compact", self.info.id, self._compact_in_background, QUIET_SECONDS)
        self._schedule_index(snapshot)
        if self.indexes.missing(snapshot):
            self.indexes.schedule_all(QUIET_SECONDS)

    # ------------------------------------------------------------------ records

    def _parse_if_on(self, selection: Selection) -> Node:
        """Parse both filters. Raises InvalidArgument if one is invalid or needs an index that is off."""
        node = parse(selection)
        assert self._switched is not None
        switched_off.check(self._switched, selection)
        return node

    def node_of(self, selection: Selection) -> Node:
        """Parse both filters of a read. Reports conditions that no record can match."""
        node = self._parse(selection)
        if selection.where is not None and not unmatched.covered(node, self._found_keys.known):
            reports.report(self._unmatched(selection, node))
        return node

    def node_to_change(self, selection: Selection, on_unmatched: OnUnmatched) -> Node:
        """Parse both filters of a delete, or of another change by filter.

        Raises UnmatchedKey for conditions that no record can match, unless the caller insists: a mistyped key
        in a negation selects every record.
        """
        if on_unmatched == "warn":
            return self.node_of(selection)
        node = self._parse(selection)
        check_patterns(node)
        if on_unmatched == "refuse" and (found := self._unmatched(selection, node)):
            raise UnmatchedKey(f"{'; '.join(found)}. Pass missing_ok=True if this is meant")
        return node

    def _report_keys(self, argument: str, keys: Sequence[str]) -> None:
        """Report keys, given as an argument, that no record has."""
        snapshot = self.store.snapshot()
        if snapshot.live:
            reports.report(unmatched.key_messages(argument, keys, self._slots(snapshot, keys)))

    def _unmatched(self, selection: Selection, node: Node) -> list[str]:
        """Return reports of the conditions that no record can match. An empty collection has none."""
        snapshot = self.store.snapshot()
        if not selection.where or not snapshot.live:
            return []
        if self._found_keys.covers(node, snapshot, partial(self._has, snapshot)):
            return []
        dates = unmatched.with_dates(node, partial(self._has, snapshot))
        return unmatched.messages(selection.where, self._slots(snapshot, unmatched.keys_of(node)), dates)

    def _has(self, snapshot: Snapshot, node: Node) -> bool:
        """Whether a record matches. The filters remember it for each part, which never changes."""
        return any(self.store.filters.allowed(view, node).count for view in snapshot.views if view.live)

    def _slots(self, snapshot: Snapshot, keys: AnyCollection[str]) -> set[Slot]:
        """Return the keys of all records with their types, without those of `keys` that are gone."""
        found = self._found_keys.slots(snapshot)
        there = left(found, keys, snapshot, partial(self._has, snapshot))
        return {slot for slot in found if slot[0] not in keys or slot in there}

    def write(self, mode: Mode, records: Records) -> Written:
        """Commit a batch atomically. The batch is durable on return."""
        check_current(self.info)
        written = self.store.write(mode, records)
        if written.updated:
            self._prepared = None
        self._found_keys.forget_known()
        if self.info.dimension is None:
            self._record_dimension()
        return written

    def _record_dimension(self) -> None:
        """Record the dimension in the catalog after the first records were written."""
        dimension = self.store.snapshot().dimension
        if dimension is None:
            return
        # The records are durable, and their files state the dimension. An error here must not fail the call.
        try:
            self.info = self._host.catalog.change_collection(*self.info.ref, dimension=dimension)
        except StorageError as error:
            _log.warning("the dimension of %s could not be noted in the catalog: %s", self.info.name, error)

    def delete(self, request: DeleteRequest) -> int:
        """Delete records and return how many were deleted. The deletion is durable on return."""
        check_current(self.info)
        node = self.node_to_change(request.selection, request.unmatched)
        deleted = self.store.delete(request.selection.ids, node, request.limit)
        self._prepared = None
        self._found_keys.forget_known()
        return deleted

    def restore(self, version: Collection) -> None:
        """Make the records those of a version of this collection. The change is durable on return."""
        self.store.restore(version.store.snapshot())

    def known(self, ids: Sequence[str]) -> set[str]:
        """Return the subset of `ids` that exists."""
        return self.store.known(ids)

    def get(self, request: GetRequest) -> Rows:
        """Return matching records, in insertion order or in the order that the page requests."""
        if request.page.order_by:
            return self.scan(request.selection, request.page).take(request.fields)
        selection, page = request.selection, request.page
        node = self._parse(selection) if selection.where is None else self.node_of(selection)
        snapshot, selected = self.store.select(selection.ids, node)
        return read(in_order(selected, page.offset, page.limit), request.fields, snapshot.dimension)

    def scan(self, selection: Selection, page: Page) -> Scan:
        """Return matching records as a stream of Arrow record batches from one snapshot."""
        snapshot, selected = self.store.select(selection.ids, self.node_of(selection))
        if page.order_by:
            self._report_keys("order_by", [key for key, _ in page.order_by])
        typed = self.store.columns.for_scan()
        selected = (
            sort_selected(selected, page.order_by, page.offset, page.limit, typed)
            if page.order_by
            else in_order(selected, page.offset, page.limit)
        )
        return Scan(tuple(selected), snapshot.dimension, snapshot.views, typed)

    def count(self, selection: Selection) -> int:
        """Count the matching records."""
        if selection is ALL_RECORDS:
            return self.store.snapshot().live
        if selection.ids is None:
            return self.store.count(self.node_of(selection))
        _, selected = self.store.select(selection.ids, self.node_of(selection))
        return sum(len(run.rows) for run in selected)

    def metadata_keys(self) -> list[tuple[str, ValueType]]:
        """Return the metadata keys of the records, with the types of their values."""
        return self._found_keys.among(self.store.snapshot())

    def facets(self, request: FacetRequest) -> list[Facet]:
        """Count the values of each metadata key of the request in the matching records."""
        selection, typed = request.selection, self.store.columns.for_scan()
        self._report_keys("keys", request.keys)
        _, selected = self.store.select(selection.ids, self.node_of(selection))
        return [count_values(key, selected, typed, request.limit, request.bins) for key in request.keys]

    # ------------------------------------------------------------------ searching

    def query(self, request: QueryRequest) -> list[Hits]:
        """Find the nearest records to each query vector, and read them."""
        if len(request.vectors) != 1 or has_options(request):
            return self.ranked(request).hits(request.fields)
        self._searched = time.monotonic()
        snapshot = self.store.snapshot()
        executor.check_dimension(request.vectors, snapshot.dimension)
        one, prepared = self._search(request), self._prepared
        if prepared is not None and prepared.fits(one, snapshot):
            if (hits := prepared.run(one, self._source)) is not None:
                return [hits]
        latest, self._latest = self._latest, (one.node, request.k, request.fields)
        if self._latest == latest:  # a plan for a query that comes once would be made in vain
            self._prepared = prepare(one, snapshot, self._source)
            seen = self.store.last_seen()
            if seen is None or seen[0] is not snapshot:  # nobody else may drop the plan, which keeps files
                self._prepared = None
        return self._ranked(one, snapshot).hits(request.fields)

    def ranked(self, request: QueryRequest) -> Ranked:
        """Find the nearest records to each query vector."""
        self._searched = time.monotonic()
        snapshot = self.store.snapshot()
        if request.mode != "dense":
            return self._by_words(request, snapshot)
        executor.check_dimension(request.vectors, snapshot.dimension)
        return self._ranked(self._search(request), snapshot)

    def _ranked(self, one: executor.Search, snapshot: Snapshot) -> Ranked:
        found = executor.run(one, one.request.vectors, snapshot, self._source)
        if one.trace is not None:
            return Traced(found, snapshot.dimension, self.store.columns.for_scan(), one.trace)
        return Ranked(found, snapshot.dimension, self.store.columns.for_scan())

    def _by_words(self, request: QueryRequest, snapshot: Snapshot) -> Ranked:
        """Find the records whose documents match the words of texts, perhaps with the nearest vectors."""
        if full_text_off(self.info.schema):
            raise InvalidArgument(
                f"mode={request.mode!r} searches the words of documents, and the collection's schema has "
                "switched their full-text index off: use mode='dense'"
            )
        node = self._filter(request.selection)
        dense = None
        trace = Trace() if request.explain else None
        if request.mode == "hybrid":
            executor.check_dimension(request.vectors, snapshot.dimension)
            considered = hybrid.considered_of(request)
            wider = request._replace(k=considered, max_distance=None, diversity=0.0)
            one = self._search_among(wider, node)._replace(trace=trace)
            dense = executor.run(one, request.vectors, snapshot, self._source)
        self._postings.prepare_words(snapshot)
        counted = [self._postings.count_words(view) for view in snapshot.views if view.live]
        words = hybrid.WordSearch(
            tokenizer=self._postings.tokenizer,
            postings_of=self._postings.of_words,
            filters=self.store.filters,
            node=node,
            snapshot=snapshot,
            bm25=hybrid.bm25_of(sum(each.words for each in counted), sum(each.documents for each in counted)),
        )
        mixed = hybrid.run(request, words, self.settings.space, dense, trace)
        return WithWords(mixed.found, snapshot.dimension, self.store.columns.for_scan(), mixed.words, trace)

    def search(self, requests: Sequence[SearchRequest]) -> list[SearchHits]:
        """Run searches over one snapshot. All of their filters are parsed before the first runs."""
        self._searched = time.monotonic()
        nodes = [self._filter(request.selection) for request in requests]
        for request in requests:
            self._check_sparse(request)
        snapshot = self.store.snapshot()
        searcher = search.Searcher(
            self.store.filters,
            self._search_among,
            self._sparse,
            self._source,
            self.store.columns.for_scan(),
        )
        return [search.run(searcher, request, node, snapshot) for request, node in zip(requests, nodes)]

    def _check_sparse(self, request: SearchRequest) -> None:
        """Raise InvalidArgument for a sparse query on a key that has no sparse index."""
        for leaf in leaves(request.rank):
            if isinstance(leaf, SparseNearest) and not sparse_index(self.info.schema, leaf.key)[0]:
                raise InvalidArgument(
                    f"Cannot filter using metadata key '{leaf.key}' with type 'SparseVector' because "
                    "indexing is disabled: create the collection with a schema that has a "
                    "SparseVectorIndexConfig for this key"
                )

    def _sparse(self, leaf: SparseNearest, node: Node, snapshot: Snapshot) -> sparse.Matches:
        values = np.array(leaf.vector.values, np.float32).astype(np.float64)
        return sparse.best(
            SparseQuery(np.array(leaf.vector.indices, np.uint32), values),
            leaf.limit,
            node,
            snapshot,
            postings_of=partial(self._postings.of_vectors, leaf.key),
            filters=self.store.filters,
            weighted=sparse_index(self.info.schema, leaf.key)[1],
        )

    def _filter(self, selection: Selection) -> Node:
        if selection is ALL_RECORDS:
            return EVERYTHING
        node = self.node_of(selection)
        return node if selection.ids is None else executor.among(selection.ids, node)

    def _search(self, request: QueryRequest) -> executor.Search:
        return self._search_among(request, self._filter(request.selection))

    def _search_among(self, request: QueryRequest, node: Node) -> executor.Search:
        settings = self.settings
        threads = settings.cores() if len(request.vectors) > 1 else 1
        found = executor.Search(request, node, settings.space, settings.ef_search, threads)
        return found._replace(trace=Trace()) if request.explain else found

    def _graph_of(self, view: SegmentView) -> Graph | None:
        return self.graphs.get(view, self.settings)

    def _report_damage(self, view: SegmentView) -> None:
        self.graphs.damaged(view, self.settings)

    def recall(self, k: int, sample: int) -> float:
        """Measure the mean share of the exact k nearest records that the default search finds.

        The queries are a `sample` of the stored vectors.
        """
        run, queries = self._measured(k, sample)
        return 1.0 if queries is None else recall_measure.measure(run, queries)

    def recall_by_ef(self, k: int, sample: int, efs: Sequence[int]) -> list[EfRecall]:
        """Measure the same for each of several `ef_search`, with the times of one search."""
        run, queries = self._measured(k, sample)
        if queries is None:
            return [EfRecall(ef, 1.0, 0.0, 0.0) for ef in efs]
        return recall_measure.measure_by_ef(run, queries, efs)

    def _measured(self, k: int, sample: int) -> tuple[recall_measure.Run, Floats | None]:
        """Return a function that searches the present snapshot, and vectors to search it with."""
        snapshot = self.store.snapshot()
        for view in snapshot.views:
            self.graphs.load_now(view, self.settings)

        def run(queries: Floats, *, exact: bool = False, ef: int | None = None) -> executor.Found:
            one = self._search(QueryRequest(vectors=queries, k=k, exact=exact))
            return executor.run(one if ef is None else one._replace(ef=ef), queries, snapshot, self._source)

        return run, recall_measure.queries_of(snapshot, sample)

    # ------------------------------------------------------------------ metrics

    def index_status(self) -> IndexStatus:
        """Count the indexed records and all live records."""
        snapshot = self.store.snapshot()
        return IndexStatus(self.graphs.indexed_rows(snapshot, self.settings), snapshot.live)

    def stats(self) -> CollectionStats:
        """Count the records and measure the files."""
        snapshot = self.store.snapshot()
        files = _sizes(self.store.folder)
        return CollectionStats(
            live=snapshot.live,
            deleted=sum(view.deleted_rows for view in snapshot.views),
            unsealed=sum(view.live for view in snapshot.views if view.ref is None),
            segments=sum(view.ref is not None for view in snapshot.views),
            indexed=self.graphs.indexed_rows(snapshot, self.settings),
            bytes=sum(files.values()),
            log_bytes=sum(size for name, size in files.items() if name.endswith(".wal")),
            files=files,
        )

    def close(self) -> None:
        self.store.services.background.cancel(self.info.id)
        self._prepared = None
        self.graphs.release()
        self.indexes.release()
        self.store.close()


def _sizes(folder: Folder, prefix: str = "") -> dict[str, int]:
    """Map each file's path, relative to the collection's folder, to its size in bytes."""
    found: dict[str, int] = {}
    for name in folder.names():
        if name.startswith("seg-"):
            found |= _sizes(folder.child(name), f"{name}/")
            continue
        with contextlib.suppress(Missing):  # the file was removed meanwhile
            found[prefix + name] = folder.size(name)
    return found
