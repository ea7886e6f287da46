"""Find the nearest records in a snapshot: run a plan per segment and memtable, then merge and rank.

Owns: how plans are run; planner.py makes them. Every plan ends in the same kernel (distance.exact), so a
record's distance does not depend on the plan. Ties are ordered by position. An answer always has
min(k, matching records) rows, less those beyond a `max_distance`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..filters.evaluator import Filters
from ..filters.parser import Everything, IdOneOf, Node, both
from ..filters.row_set import RowSet
from ..index.graph import Damaged, Graph, Hits, SearchParameters
from ..interface.errors import WrongDimension
from ..interface.requests import QueryRequest
from ..interface.values import Floats
from ..schema.record_columns import Ints
from ..segments.snapshot import SegmentView, Snapshot
from ..vectors import distance
from ..vectors.distance import Space
from .diversity import maximal_marginal_relevance
from .planner import (
    OUT_OF_DISTRIBUTION,
    FilteredGraphSearch,
    GraphSearch,
    Nothing,
    Plan,
    Request,
    ScanAll,
    ScanAllowed,
    ScanCodes,
    Statistics,
    plan,
)
from .trace import Trace


class Search(NamedTuple):
    """A request to one collection. `node` is its parsed filter; `ef` is the collection's `ef_search`.

    trace  records what the search does; None: nothing is recorded
    """

    request: QueryRequest
    node: Node
    space: Space
    ef: int
    threads: int
    trace: Trace | None = None


class Found(NamedTuple):
    """The hits of all queries, concatenated in query order. Each query's hits are in rank order.

    views      the views that contain the hits
    part       the index of each hit's view in `views`; None: all hits are in the first view
    rows       the row of each hit in its view
    distances  float32
    counts     the number of hits per query; None: there is one query
    """

    views: Sequence[SegmentView]
    part: Ints | None
    rows: Ints
    distances: Floats
    counts: list[int] | None


class Candidates(NamedTuple):
    """The best rows in one view for each query, in any order, as matrices with one line per query.

    The line of a query with fewer rows than others is padded: its rows with -1, its distances with NaN.
    """

    rows: Ints
    distances: Floats


class Source(NamedTuple):
    """The parts of a collection that a search needs beside a snapshot. A collection creates it once.

    graph_of       returns the graph of a segment or memtable, or None if none is open
    filters        evaluates filters
    report_damage  called with the view whose graph is damaged, so that it is built again
    """

    graph_of: Callable[[SegmentView], Graph | None]
    filters: Filters
    report_damage: Callable[[SegmentView], None]


class SearchablePart(NamedTuple):
    """A segment or memtable, with everything that a plan needs to run on it.

    graph    its graph; None: no graph is open, or the search is exact
    allowed  the live rows that match; None: all rows
    """

    search: Search
    view: SegmentView
    graph: Graph | None
    allowed: RowSet | None
    report_damage: Callable[[SegmentView], None]

    @property
    def request(self) -> Request:
        return Request(self.search.request.k, self.search.ef, self.search.request.exact)

    @property
    def statistics(self) -> Statistics:
        graph, allowed = self.graph, self.allowed
        return Statistics(
            rows=self.view.rows,
            dimension=self.view.source.dimension,
            allowed=None if allowed is None else allowed.count,
            graph_dimension=None if graph is None else graph.dimension,
            coded=graph is not None and graph.coded,
            projected=graph is not None and graph.projected,
            filterable=graph is None or graph.filterable,
        )


def run(search: Search, queries: Floats, snapshot: Snapshot, source: Source) -> Found:
    """Find the records that a request asks for, for each row of `queries` (n, dim)."""
    request = search.request
    if search.trace is None and request.max_distance is None and not request.diversity:
        return _nearest(search, queries, snapshot, source)
    wider = search
    if request.diversity:
        wider = search._replace(request=request._replace(k=request.considered))
    if search.trace is None:
        return _chosen(_nearest(wider, queries, snapshot, source), request, search.space)
    search.trace.begin()
    with search.trace.step("search"):
        found = _nearest(wider, queries, snapshot, source)
    with search.trace.step("merge"):
        return _chosen(found, request, search.space)


def _chosen(found: Found, request: QueryRequest, space: Space) -> Found:
    """Return the part of a request that concerns the nearest records."""
    if request.max_distance is not None:
        found = _within(found, request.max_distance)
    return _diverse(found, request, space) if request.diversity and len(found.rows) else found


def _nearest(search: Search, queries: Floats, snapshot: Snapshot, source: Source) -> Found:
    """Find the nearest records to each row of `queries` (n, dim)."""
    views = [view for view in snapshot.views if view.live]
    if not views:
        return Found(views, None, np.empty(0, np.int64), np.empty(0, np.float32), [0] * len(queries))
    prepare = searchable if search.trace is None else _traced_searchable
    if len(queries) == 1:
        query = queries[0]
        lines = [_one(prepare(search, view, source), query) for view in views]
        if search.trace is None:
            return _best(search.request.k, views, lines)
        with search.trace.step("merge"):
            return _best(search.request.k, views, lines)
    parts = [prepare(search, view, source) for view in views]
    batches = [execute_batch(plan_of(part), part, queries) for part in parts]
    if search.trace is None:
        return _rank(search.request.k, views, batches)
    with search.trace.step("merge"):
        return _rank(search.request.k, views, batches)


def _within(found: Found, most: float) -> Found:
    """Keep the hits whose distance is at most this. Plans do not know the limit, so it never makes one
    miss."""
    return _kept(found, np.flatnonzero(found.distances.astype(np.float64) <= most))


def _diverse(found: Found, request: QueryRequest, space: Space) -> Found:
    """Keep k hits of each query, chosen and ordered by maximal marginal relevance."""
    chosen = []
    for start, stop in itertools.pairwise(_ends(found)):
        vectors = _vectors_of(found, slice(start, stop))
        distances = found.distances[start:stop]
        picked = maximal_marginal_relevance(space, vectors, distances, request.diversity, request.k)
        chosen.append(start + picked)
    return _kept(found, np.concatenate(chosen))


def _ends(found: Found) -> list[int]:
    """Return 0 and where the hits of each query end."""
    return [0, *np.cumsum([len(found.rows)] if found.counts is None else found.counts).tolist()]


def _kept(found: Found, chosen: Ints) -> Found:
    """Return the hits at some indices, which ascend from query to query."""
    counts = found.counts
    if counts is not None:
        counts = np.diff(np.searchsorted(_queries_of(counts)[chosen], np.arange(len(counts) + 1))).tolist()
    part = None if found.part is None else found.part[chosen]
    return Found(found.views, part, found.rows[chosen], found.distances[chosen], counts)


def _queries_of(counts: Sequence[int]) -> Ints:
    """Return the number of the query of each hit."""
    return np.repeat(np.arange(len(counts)), counts)


def _vectors_of(found: Found, hits: slice) -> Floats:
    """Read the stored vectors of some hits."""
    rows = found.rows[hits]
    if found.part is None:
        vectors: Floats = found.views[0].vectors_to_read(rows)[rows]
        return vectors
    part = found.part[hits]
    out = np.empty((len(rows), found.views[0].source.dimension), np.float32)
    for number in np.unique(part).tolist():
        mine = part == number
        out[mine] = found.views[number].vectors_to_read(rows[mine])[rows[mine]]
    return out


def searchable(search: Search, view: SegmentView, source: Source) -> SearchablePart:
    """Evaluate the filter on a view, and collect what else planning needs to know about the view."""
    allowed = None
    if view.tombstones is not None or not isinstance(search.node, Everything):
        allowed = source.filters.allowed(view, search.node)
        if allowed.count == view.rows:
            allowed = None  # the search among all rows is the faster one
    graph = None
    if not search.request.exact and (allowed is None or allowed.count):
        graph = source.graph_of(view)
    return SearchablePart(search, view, graph, allowed, source.report_damage)


def _traced_searchable(search: Search, view: SegmentView, source: Source) -> SearchablePart:
    assert search.trace is not None
    with search.trace.step("filter"):
        part = searchable(search, view, source)
    matches = view.live if part.allowed is None else part.allowed.count
    search.trace.part(view.source.name, view.live, matches, part.graph is not None)
    return part


def check_dimension(queries: Floats, dimension: int | None) -> None:
    """Raise WrongDimension if the vectors do not have the collection's dimension."""
    if dimension is not None and queries.shape[1] != dimension:
        raise WrongDimension(
            dimension, queries.shape[1], "the vectors in query_embeddings, or those made of the query,"
        )


def among(ids: Sequence[str], node: Node) -> Node:
    """Restrict a filter to records with one of these ids."""
    return both(IdOneOf(tuple(dict.fromkeys(ids))), node)


# The best k rows in one view for one query, and their distances: by distance, then by position.
Line: TypeAlias = tuple[Ints, Floats]
_NONE: Line = (np.empty(0, np.int64), np.empty(0, np.float32))


_EXACT_SCANS = (ScanAll, ScanAllowed)


@lru_cache(256)
def _remembered_plan(k: int, ef: int, exact: bool, statistics: Statistics) -> Plan:
    """Cached `plan`. Making a plan takes 1.1 µs and a look-up 0.3 µs, while a small query takes 60 µs."""
    return plan(Request(k, ef, exact), statistics)


def plan_of(part: SearchablePart) -> Plan:
    if part.allowed is None:
        search = part.search
        return _remembered_plan(search.request.k, search.ef, search.request.exact, part.statistics)
    # Not cached, because the number of allowed rows differs from filter to filter.
    return plan(part.request, part.statistics)


def _one(part: SearchablePart, query: Floats) -> Line:
    """Find the best k rows for one query, with exact distances in ascending order."""
    if part.graph is None:  # then `plan` says scan, or nothing; asking it takes 2 µs of a small query's 45
        return _nothing(part) if part.allowed is not None and not part.allowed.count else _scan(part, query)
    return execute(plan_of(part), part, query)


def execute(chosen: Plan, part: SearchablePart, query: Floats) -> Line:
    """Run a plan for one query."""
    if isinstance(chosen, Nothing):
        return _nothing(part)
    if isinstance(chosen, _EXACT_SCANS):
        return _scan(part, query)
    hits = _search_graph(chosen, part, query[None, :])
    candidates = int(hits.counts[0, 0])
    missed = candidates < chosen.minimum
    if part.search.trace is not None:
        _trace(part, chosen, 1, _compared(chosen, part, candidates), missed)
    if missed:
        return execute(chosen.fallback, part, query)
    rows, distances = hits.rows[0], hits.distances[0]
    return (rows, distances) if candidates >= len(rows) else (rows[:candidates], distances[:candidates])


def execute_batch(chosen: Plan, part: SearchablePart, queries: Floats) -> Candidates:
    """Run a plan for many queries. Those for which it finds too few rows run its fallback."""
    if isinstance(chosen, Nothing):
        return _stacked([_nothing(part, len(queries))] * len(queries))
    if isinstance(chosen, _EXACT_SCANS):
        return _stacked(_scan_lines(part, queries))
    hits = _search_graph(chosen, part, queries)
    found = hits.counts[:, 0]
    missed = np.flatnonzero(found < chosen.minimum)
    if part.search.trace is not None:
        compared = sum(_compared(chosen, part, count) for count in found.tolist())
        _trace(part, chosen, len(queries), compared, len(missed))
    if not len(missed):
        return Candidates(hits.rows, hits.distances)
    lines = [(hits.rows[line, :count], hits.distances[line, :count]) for line, count in enumerate(found)]
    again = execute_batch(chosen.fallback, part, queries[missed])
    for line, rows, distances in zip(missed.tolist(), again.rows, again.distances):
        real = int((rows >= 0).sum())
        lines[line] = rows[:real], distances[:real]
    return _stacked(lines)


def _search_graph(
    chosen: GraphSearch | FilteredGraphSearch | ScanCodes, part: SearchablePart, queries: Floats
) -> Hits:
    """Ask the graph, or its codes. A damaged graph has no hits, and is not asked again."""
    graph, search = part.graph, part.search
    assert graph is not None, chosen
    parameters = parameters_of(chosen, part)
    ask = graph.scan if isinstance(chosen, ScanCodes) else graph.search
    try:
        return ask(queries, vectors_for(graph, part.view), parameters, part.allowed, search.threads)
    except Damaged:
        part.report_damage(part.view)
        return Hits.none(len(queries), parameters.k)


def parameters_of(
    chosen: GraphSearch | FilteredGraphSearch | ScanCodes, part: SearchablePart
) -> SearchParameters:
    """Return what a plan passes to the graph."""
    rows, allowed = part.view.rows, part.allowed
    ef = chosen.width if isinstance(chosen, ScanCodes) else chosen.ef
    k = min(part.search.request.k, rows if allowed is None else allowed.count)
    return SearchParameters(k, min(ef, rows), min(chosen.width, rows), OUT_OF_DISTRIBUTION)


def vectors_for(graph: Graph, view: SegmentView) -> Floats:
    """Return the stored vectors, checked unless the graph checks those that it reads."""
    return view.unchecked_vectors if graph.checks_vectors else view.vectors


def _compared(chosen: GraphSearch | FilteredGraphSearch | ScanCodes, part: SearchablePart, found: int) -> int:
    """Return how many records a plan compared with a query."""
    if not isinstance(chosen, ScanCodes):
        return found
    return part.view.rows if part.allowed is None else part.allowed.count


def _stacked(lines: Sequence[Line]) -> Candidates:
    """Pad lines of different lengths to matrices."""
    width = max(len(rows) for rows, _ in lines)
    found = Candidates(
        np.full((len(lines), width), -1, np.int64), np.full((len(lines), width), np.nan, np.float32)
    )
    for number, (rows, distances) in enumerate(lines):
        found.rows[number, : len(rows)] = rows
        found.distances[number, : len(rows)] = distances
    return found


def _scanned_rows(part: SearchablePart) -> Ints | None:
    """Return the rows to scan; None means all rows."""
    allowed = part.allowed
    return None if allowed is None or allowed.count == part.view.rows else allowed.rows


def _scan(part: SearchablePart, query: Floats) -> Line:
    rows, space = _scanned_rows(part), part.search.space
    if part.search.trace is not None:
        _trace_scan(part, rows, 1)
    view, k = part.view, part.search.request.k
    vectors, norms, lengths = view.vectors_to_read(rows), view.norms, _known_lengths(part)
    if view.ordered:
        return distance.nearest(space, query, vectors, norms=norms, rows=rows, k=k, lengths=lengths)
    # Among rows that tie for the last place, the lowest positions win, and these may be in later rows.
    while True:
        k *= 2
        found, distances = distance.nearest(
            space, query, vectors, norms=norms, rows=rows, k=k, lengths=lengths
        )
        if len(found) < k or distances[-1] > distances[part.search.request.k - 1]:
            order = np.lexsort((view.positions[found], distances))[: part.search.request.k]
            return found[order], distances[order]


def _scan_lines(part: SearchablePart, queries: Floats) -> list[Line]:
    """Do `_scan` for many queries, reading the vectors once for all of them."""
    view, search = part.view, part.search
    if not view.ordered:
        return [_scan(part, query) for query in queries]
    rows = _scanned_rows(part)
    if search.trace is not None:
        _trace_scan(part, rows, len(queries))
    return distance.nearest_lines(
        search.space,
        queries,
        view.vectors_to_read(rows),
        norms=view.norms,
        rows=rows,
        k=search.request.k,
        lengths=_known_lengths(part),
    )


def _nothing(part: SearchablePart, queries: int = 1) -> Line:
    _trace(part, Nothing(), queries, 0, 0)
    return _NONE


def _trace(part: SearchablePart, chosen: Plan, queries: int, candidates: int, misses: int) -> None:
    """Record that a plan ran, if the search is to be explained."""
    if part.search.trace is not None:
        part.search.trace.ran(part.view.source.name, chosen, queries, candidates, misses)


def _trace_scan(part: SearchablePart, rows: Ints | None, queries: int) -> None:
    chosen = ScanAll() if rows is None else ScanAllowed()
    _trace(part, chosen, queries, queries * (part.view.rows if rows is None else len(rows)), 0)


def _known_lengths(part: SearchablePart) -> npt.NDArray[np.float64] | None:
    """Return the lengths of the vectors if the space needs them and they are known or take no time."""
    return part.view.known_lengths() if part.search.space == "cosine" else None


def _best(k: int, views: Sequence[SegmentView], lines: Sequence[Line]) -> Found:
    """Merge the hits of all views for one query. Keeps the k best, by distance, then by position."""
    if len(lines) == 1:  # which has this order, see `Line`
        return Found(views, None, *lines[0], None)
    part = np.repeat(np.arange(len(lines)), [len(rows) for rows, _ in lines])
    rows = np.concatenate([rows for rows, _ in lines])
    distances = np.concatenate([distances for _, distances in lines])
    order = np.lexsort((positions_of(views, part, rows), distances))[:k]
    return Found(views, part[order], rows[order], distances[order], None)


def _rank(k: int, views: Sequence[SegmentView], found: Sequence[Candidates]) -> Found:
    """Do `_best` for many queries."""
    part: Ints | None = None
    rows, distances = found[0]
    if len(found) > 1:
        widths = [each.rows.shape[1] for each in found]
        rows = np.concatenate([each.rows for each in found], axis=1)
        distances = np.concatenate([each.distances for each in found], axis=1)
        part = np.repeat(np.arange(len(found)), widths)
    lines, width = rows.shape
    starts = width * np.arange(lines)[:, None]
    order = distances.argsort(axis=1, kind="stable")  # NaN marks padding and is sorted last
    ranked = distances.ravel()[order + starts]
    if (ranked[:, 1:] == ranked[:, :-1]).any():
        order = np.lexsort((positions_of(views, part, rows), distances), axis=1)
    order = order[:, :k]
    at = order + starts
    hits = rows.ravel()[at]
    real = hits >= 0
    counts = real.sum(axis=1).tolist()
    return Found(
        views, None if part is None else part[order[real]], hits[real], distances.ravel()[at][real], counts
    )


def positions_of(views: Sequence[SegmentView], part: Ints | None, rows: Ints) -> Ints:
    """Look up the positions of candidates, in one line or a matrix. Padding rows (-1) get any value."""
    if part is None:
        return views[0].source.positions[rows]
    out = np.empty(rows.shape, np.int64)
    for number, view in enumerate(views):
        mine = part == number
        out[..., mine] = view.source.positions[rows[..., mine]]
    return out
