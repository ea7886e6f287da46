"""Nearest records over a snapshot: choose a way per part, merge, rank.

Owns: the plan. Every way ends in the same kernel (distance.exact), so a record has one distance whatever
found it, and ties fall by position. An answer has min(k, matching records) rows, always.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..filters.evaluator import Filters
from ..filters.parser import Everything, IdOneOf, Node, both
from ..filters.row_set import RowSet
from ..index.hnsw import Graph
from ..interface.errors import InvalidArgument
from ..interface.values import Floats
from ..schema.record_columns import Ints
from ..segments.snapshot import Snapshot, View
from ..vectors import distance
from ..vectors.distance import Space
from ..vectors.pca import UNLIKE

# Cost model, in nanoseconds, from benchmarks/planner.py: to read one number of an allowed row exactly; and
# per unit of effort in a graph, a step and each number of a vector.
GATHER_NS, STEP_NS, EFFORT_NS = 0.45, 600.0, 4.3
# An exact scan is always right, and a walk fails where the filter goes with the vectors: a walk must be so
# many times quicker.
CAUTION = 2.0
FAR = 8  # after a walk that found too little, so many queries with the same filter do without one
MOSTLY = 0.75  # from this share of allowed rows on, batches are searched as if all were
OVERFETCH = 3  # how many times k/selectivity a graph is asked for under a filter
PATIENCE_NS = 50e6  # an exact scan of the allowed rows beyond this is left to hnswlib's filter callback


# The same effort finds less in a larger graph, and builds differ: at 1M x 128 an effort of 100 gave recall
# 0.93 to 0.95, 183 gave 0.946 to 0.96, 250 gave 0.968 (benchmarks/million.py). From here on effort grows by
# half of `ef_search` with each doubling of the rows.
EFFORT_ROWS = 100_000


def effort(ef: int, rows: int) -> int:
    """The search effort for a graph of so many rows, from the collection's `ef_search`."""
    return ef if rows <= EFFORT_ROWS else int(ef * (1 + math.log2(rows / EFFORT_ROWS) / 2))


class Search(NamedTuple):
    """What to look for. `node` filters; `ef` is the search effort; `exact` forbids the index."""

    space: Space
    k: int
    node: Node
    ef: int
    exact: bool
    threads: int


class Found(NamedTuple):
    """The answers to all query vectors, one below the other, each in rank order.

    views      where the hits are
    part       the number of each hit's view; None: all are in the first
    rows       its row there
    distances  float32
    counts     how many hits each query has; None: one query, which has them all
    """

    views: Sequence[View]
    part: Ints | None
    rows: Ints
    distances: Floats
    counts: list[int] | None


class Candidates(NamedTuple):
    """The best rows of one view for each query, in any order: matrices with a line per query.

    Where a query has fewer than others, rows end in -1 and the distances there are NaN.
    """

    rows: Ints
    distances: Floats


def run(
    search: Search,
    queries: Floats,
    snapshot: Snapshot,
    graph_of: Callable[[View], Graph | None],
    filters: Filters,
) -> Found:
    """The nearest records of each row of `queries` (n, dim)."""
    views = [view for view in snapshot.views if view.live]
    if not views:
        return Found(views, None, np.empty(0, np.int64), np.empty(0, np.float32), [0] * len(queries))
    if len(queries) == 1:
        return _best(search.k, views, [_one(search, queries[0], view, graph_of, filters) for view in views])
    return _rank(search.k, views, [_many(search, queries, view, graph_of, filters) for view in views])


def check_dimension(queries: Floats, dimension: int | None) -> None:
    """Raises InvalidArgument when the vectors do not fit the collection's."""
    if dimension is not None and queries.shape[1] != dimension:
        raise InvalidArgument(
            f"Collection expecting embedding with dimension of {dimension}, got {queries.shape[1]}"
        )


def among(ids: Sequence[str], node: Node) -> Node:
    """The filter, for records with one of these ids only."""
    return both(IdOneOf(tuple(dict.fromkeys(ids))), node)


Line: TypeAlias = tuple[Ints, Floats]
_NONE: Line = (np.empty(0, np.int64), np.empty(0, np.float32))


def _one(
    search: Search, query: Floats, view: View, graph_of: Callable[[View], Graph | None], filters: Filters
) -> Line:
    """The best k rows of a view for one query, ascending, with exact distances."""
    allowed = None
    if view.dead is not None or not isinstance(search.node, Everything):
        allowed = filters.allowed(view, search.node)
        if not allowed.count:
            return _NONE
    graph = None if search.exact else graph_of(view)
    if graph is None:
        return _scan(search, query, view, allowed)
    if allowed is not None:
        return _filtered(search, query, view, graph, allowed)
    prepared, unlike = graph.prepare(query[None, :])
    return _walk(search, query, prepared, view, graph, UNLIKE if unlike else 1)


def _walk(search: Search, query: Floats, prepared: Floats, view: View, graph: Graph, times: int) -> Line:
    """What the graph finds where each row is allowed, with so many times the usual effort."""
    ef = effort(search.ef, view.rows)
    rows = graph.search(prepared, times * graph.width(search.k, ef), times * ef, 1)[0]
    if len(rows) < min(search.k, view.rows):  # the graph does not reach so many
        return _scan(search, query, view, None)
    return _ranked(search, query, view, rows)


def _many(
    search: Search, queries: Floats, view: View, graph_of: Callable[[View], Graph | None], filters: Filters
) -> Candidates:
    """As `_one`, for many queries: one search of the graph where that answers them all."""
    graph = None if search.exact else graph_of(view)
    allowed = None
    if view.dead is not None or not isinstance(search.node, Everything):
        allowed = filters.allowed(view, search.node)
    if allowed is not None and not allowed.count:
        return _stacked([_NONE] * len(queries))
    if not view.ordered:
        return _stacked([_scan(search, query, view, allowed) for query in queries])
    if graph is None or (allowed is not None and _scanned(search, view, graph, allowed)):
        rows = None if allowed is None or allowed.count == view.rows else allowed.rows
        found = distance.nearest_lines(search.space, queries, view.vectors, view.norms, rows, search.k)
        return _stacked(found)
    if allowed is not None and allowed.count <= MOSTLY * view.rows:
        return _stacked([_filtered(search, query, view, graph, allowed) for query in queries])
    if allowed is not None:
        return _stacked(_mostly(search, queries, view, graph, allowed))
    prepared, unlike = graph.prepare(queries)
    ef = effort(search.ef, view.rows)
    rows = graph.search(prepared, graph.width(search.k, ef), ef, search.threads)
    if rows.shape[1] < min(search.k, view.rows):  # the graph does not reach so many
        return _stacked([_scan(search, query, view, None) for query in queries])
    lengths = view.lengths if search.space == "cosine" else None
    distances = distance.exact_lines(search.space, queries, view.vectors, rows, lengths)
    if not unlike:
        return Candidates(rows, distances)
    lines = list(zip(rows, distances))
    for number in unlike:
        lines[number] = _walk(search, queries[number], prepared[number : number + 1], view, graph, UNLIKE)
    return _stacked(lines)


def _stacked(lines: Sequence[Line]) -> Candidates:
    """Lines of different lengths as matrices."""
    width = max(len(rows) for rows, _ in lines)
    found = Candidates(
        np.full((len(lines), width), -1, np.int64), np.full((len(lines), width), np.nan, np.float32)
    )
    for number, (rows, distances) in enumerate(lines):
        found.rows[number, : len(rows)] = rows
        found.distances[number, : len(rows)] = distances
    return found


def _mostly(search: Search, queries: Floats, view: View, graph: Graph, allowed: RowSet) -> list[Line]:
    """Many queries where few rows are dead or filtered out: one search, and a second look where needed."""
    ef = effort(search.ef, view.rows)
    fetch = min(view.rows, 2 * graph.width(search.k, ef) + 8)
    prepared, unlike = graph.prepare(queries)
    found = graph.search(prepared, fetch, ef, search.threads)
    wanted = min(graph.enough(search.k), allowed.count)
    out = []
    for number, (query, rows) in enumerate(zip(queries, found)):
        kept = rows[allowed.mask[rows]]
        enough = len(kept) >= wanted and number not in unlike
        out.append(
            _settled(search, query, view, kept, allowed)
            if enough
            else _filtered(search, query, view, graph, allowed)
        )
    return out


def _scan(search: Search, query: Floats, view: View, allowed: RowSet | None) -> Line:
    among = None if allowed is None or allowed.count == view.rows else allowed.rows
    vectors, norms, k = view.vectors, view.norms, search.k
    if view.ordered:
        return distance.nearest(search.space, query, vectors, norms, among, k)
    # Of rows as near as the last one, those count whose positions come first, and they may stand further on.
    while True:
        k *= 2
        rows, distances = distance.nearest(search.space, query, vectors, norms, among, k)
        if len(rows) < k or distances[-1] > distances[search.k - 1]:
            order = np.lexsort((view.positions[rows], distances))[: search.k]
            return rows[order], distances[order]


def _settled(search: Search, query: Floats, view: View, rows: Ints, allowed: RowSet) -> Line:
    """Rows the graph found, or an exact scan when it could not find enough."""
    if len(rows) < min(search.k, allowed.count):
        return _scan(search, query, view, allowed)
    return _ranked(search, query, view, rows)


def _ranked(search: Search, query: Floats, view: View, rows: Ints) -> Line:
    lengths = view.lengths if search.space == "cosine" else None
    return distance.ranked(search.space, query, view.vectors, rows, search.k, lengths)


def _walk_for(search: Search, view: View, allowed: RowSet) -> tuple[int, int]:
    """The effort, and how many rows to ask a graph for, to find enough that are allowed."""
    fetch = int(search.k * OVERFETCH * view.rows / allowed.count) + 8
    return effort(search.ef, view.rows), min(view.rows, fetch)


def _exact_ns(view: View, allowed: RowSet) -> float:
    return float(allowed.count * view.vectors.shape[1]) * GATHER_NS


def _scanned(search: Search, view: View, graph: Graph, allowed: RowSet) -> bool:
    """Whether the allowed rows are read exactly rather than looked for in the graph."""
    walk_ns = max(_walk_for(search, view, allowed)) * (STEP_NS + graph.dimension * EFFORT_NS)
    return _exact_ns(view, allowed) <= CAUTION * walk_ns


def _filtered(search: Search, query: Floats, view: View, graph: Graph, allowed: RowSet) -> Line:
    if _scanned(search, view, graph, allowed):
        return _scan(search, query, view, allowed)
    ef, fetch = _walk_for(search, view, allowed)
    wanted = min(graph.enough(search.k), allowed.count)
    prepared, unlike = graph.prepare(query[None, :])
    times = UNLIKE if unlike else 1
    if allowed.far > 0:
        allowed.far -= 1
    else:
        rows = graph.search(prepared, times * fetch, times * ef, 1)[0]
        rows = rows[allowed.mask[rows]]
        if len(rows) >= wanted:
            return _settled(search, query, view, rows, allowed)
        allowed.far = FAR
    if _exact_ns(view, allowed) <= PATIENCE_NS:
        return _scan(search, query, view, allowed)
    # The filter keeps rows far from this query: let the graph walk on until it finds allowed ones.
    count = 2 * times * graph.width(search.k, ef)
    rows = graph.search_allowed(prepared, count, 2 * times * ef, allowed.bytes, allowed.count)
    return _settled(search, query, view, rows, allowed)


def _best(k: int, views: Sequence[View], lines: Sequence[Line]) -> Found:
    """The k best over all views for one query, by distance, then position."""
    part: Ints | None = None
    rows, distances = lines[0]
    if len(lines) > 1:
        part = np.repeat(np.arange(len(lines)), [len(rows) for rows, _ in lines])
        rows = np.concatenate([rows for rows, _ in lines])
        distances = np.concatenate([distances for _, distances in lines])
    elif len(set(distances.tolist())) == len(rows):
        return Found(views, None, rows, distances, None)
    order = np.lexsort((_positions(views, part, rows), distances))[:k]
    return Found(views, None if part is None else part[order], rows[order], distances[order], None)


def _rank(k: int, views: Sequence[View], found: Sequence[Candidates]) -> Found:
    """The same for many queries."""
    part: Ints | None = None
    rows, distances = found[0]
    if len(found) > 1:
        widths = [each.rows.shape[1] for each in found]
        rows = np.concatenate([each.rows for each in found], axis=1)
        distances = np.concatenate([each.distances for each in found], axis=1)
        part = np.repeat(np.arange(len(found)), widths)
    lines, width = rows.shape
    starts = width * np.arange(lines)[:, None]
    order = distances.argsort(axis=1, kind="stable")  # NaN, which stands for no row, comes last
    ranked = distances.ravel()[order + starts]
    if (ranked[:, 1:] == ranked[:, :-1]).any():
        order = np.lexsort((_positions(views, part, rows), distances), axis=1)
    order = order[:, :k]
    at = order + starts
    hits = rows.ravel()[at]
    real = hits >= 0
    counts = real.sum(axis=1).tolist()
    return Found(
        views, None if part is None else part[order[real]], hits[real], distances.ravel()[at][real], counts
    )


def _positions(views: Sequence[View], part: Ints | None, rows: Ints) -> Ints:
    """The positions of candidates, a line of them or several; those of -1 do not matter."""
    if part is None:
        return views[0].source.positions[rows]
    out = np.empty(rows.shape, np.int64)
    for number, view in enumerate(views):
        mine = part == number
        out[..., mine] = view.source.positions[rows[..., mine]]
    return out
