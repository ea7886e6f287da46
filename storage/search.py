"""Nearest records over a snapshot: choose a way per part, merge, rank.

Owns: the plan. Every way ends in the same kernel (distance.exact), so a record has one distance whatever
found it, and ties fall by position. An answer has min(k, matching records) rows, always.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from . import distance
from .columns import Ints
from .distance import Space
from .errors import InvalidArgument
from .filter import Everything, IdOneOf, Node, both
from .filters import Allowed, Filters
from .hnsw import Graph
from .snapshot import Place, Snapshot, View
from .types import Floats

# Cost model, in nanoseconds per dimension, from benchmarks/planner.py on 384 and 128 dimensions:
# reading one allowed row exactly, and one unit of search effort in a graph.
GATHER_NS, EFFORT_NS = 0.8, 10.0
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


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for. `node` filters; `ef` is the search effort; `exact` forbids the index."""

    space: Space
    k: int
    node: Node
    ef: int
    exact: bool
    threads: int


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to one query vector: rows in rank order and their distances."""

    places: list[Place]
    distances: Floats


def run(
    search: Search,
    queries: Floats,
    snapshot: Snapshot,
    graph_of: Callable[[View], Graph | None],
    filters: Filters,
) -> list[Found]:
    """One Found per row of `queries` (n, dim)."""
    views = [view for view in snapshot.views if view.live]
    per_view = [_candidates(search, queries, view, graph_of, filters) for view in views]
    return [_rank(search.k, views, [rows[number] for rows in per_view]) for number in range(len(queries))]


def check_dimension(queries: Floats, dimension: int | None) -> None:
    """Raises InvalidArgument when the vectors do not fit the collection's."""
    if dimension is not None and queries.shape[1] != dimension:
        raise InvalidArgument(
            f"Collection expecting embedding with dimension of {dimension}, got {queries.shape[1]}"
        )


def among(ids: Sequence[str], node: Node) -> Node:
    """The filter, for records with one of these ids only."""
    return both(IdOneOf(tuple(dict.fromkeys(ids))), node)


_FEW = 32  # up to here Python sorts faster than numpy is called
Candidates = tuple[Ints, Floats]
_NONE: Candidates = (np.empty(0, np.int64), np.empty(0, np.float32))


def _candidates(
    search: Search,
    queries: Floats,
    view: View,
    graph_of: Callable[[View], Graph | None],
    filters: Filters,
) -> Sequence[Candidates]:
    """For each query the best k rows of a view (or a few more), ascending, with exact distances."""
    free = isinstance(search.node, Everything) and view.dead is None
    allowed = None if free else filters.allowed(view, search.node)
    if allowed is not None and not allowed.count:
        return [_NONE] * len(queries)
    graph = None if search.exact else graph_of(view)
    if graph is None:
        return [_scan(search, query, view, allowed) for query in queries]
    if allowed is None:
        found = graph.search(
            queries, search.k, effort(search.ef, view.rows), search.threads if len(queries) > 1 else 1
        )
        return [_settled(search, query, view, rows, None) for query, rows in zip(queries, found)]
    if allowed.count > MOSTLY * view.rows and len(queries) > 1:
        return _mostly(search, queries, view, graph, allowed)
    return [_filtered(search, query, view, graph, allowed) for query in queries]


def _mostly(
    search: Search, queries: Floats, view: View, graph: Graph, allowed: Allowed
) -> Sequence[Candidates]:
    """Many queries where few rows are dead or filtered out: one search, and a second look where needed."""
    fetch = min(view.rows, 2 * search.k + 8)
    found = graph.search(queries, fetch, effort(search.ef, view.rows), search.threads)
    wanted = min(search.k, allowed.count)
    out = []
    for query, rows in zip(queries, found):
        kept = rows[allowed.mask[rows]]
        enough = len(kept) >= wanted
        out.append(
            _settled(search, query, view, kept, allowed)
            if enough
            else _filtered(search, query, view, graph, allowed)
        )
    return out


def _scan(search: Search, query: Floats, view: View, allowed: Allowed | None) -> Candidates:
    rows = None if allowed is None or allowed.count == view.rows else allowed.rows
    return distance.nearest(search.space, query, view.vectors, view.norms, rows, search.k)


def _settled(search: Search, query: Floats, view: View, rows: Ints, allowed: Allowed | None) -> Candidates:
    """Rows the graph found, or an exact scan when it could not find enough."""
    wanted = min(search.k, view.rows if allowed is None else allowed.count)
    if len(rows) < wanted:
        return _scan(search, query, view, allowed)
    return rows, distance.exact(search.space, query, view.vectors[rows])


def _filtered(search: Search, query: Floats, view: View, graph: Graph, allowed: Allowed) -> Candidates:
    dimension = view.vectors.shape[1]
    fetch = min(view.rows, int(search.k * OVERFETCH * view.rows / allowed.count) + 8)
    ef = effort(search.ef, view.rows)
    exact_ns = allowed.count * dimension * GATHER_NS
    if exact_ns <= max(ef, fetch) * dimension * EFFORT_NS:
        return _scan(search, query, view, allowed)
    rows = graph.search(query[None, :], fetch, ef, 1)[0]
    rows = rows[allowed.mask[rows]]
    if len(rows) < min(search.k, allowed.count) and exact_ns > PATIENCE_NS:
        # The filter keeps rows far from this query: let the graph walk on until it finds allowed ones.
        rows = graph.search_allowed(query, 2 * search.k, 2 * ef, allowed.bytes, allowed.count)
    return _settled(search, query, view, rows, allowed)


def _rank(k: int, views: Sequence[View], found: Sequence[Candidates]) -> Found:
    """The k best over all views, by distance, then position."""
    parts = [(view, rows, distances) for view, (rows, distances) in zip(views, found) if len(rows)]
    if not parts:
        return Found([], np.empty(0, np.float32))
    if len(parts) == 1:
        view, rows, distances = parts[0]
        order = _by_distance(distances, lambda: view.source.positions[rows])[:k]
        return Found([Place(view, rows[order])], distances[order])
    distances = np.concatenate([part[2] for part in parts])
    order = _by_distance(
        distances, lambda: np.concatenate([view.source.positions[rows] for view, rows, _ in parts])
    )[:k]
    rows = np.concatenate([part[1] for part in parts])
    owner = np.concatenate([np.full(len(part[1]), number) for number, part in enumerate(parts)])
    return Found(_runs([part[0] for part in parts], owner[order], rows[order]), distances[order])


def _by_distance(distances: Floats, positions: Callable[[], Ints]) -> Ints:
    """The order by distance, then position; positions are looked up only where distances tie."""
    if len(distances) <= _FEW:
        values = distances.tolist()
        if len(set(values)) == len(values):
            return np.array(sorted(range(len(values)), key=values.__getitem__), np.int64)
        return np.lexsort((positions(), distances))
    order = np.argsort(distances)
    ranked = distances[order]
    if (ranked[1:] == ranked[:-1]).any():
        return np.lexsort((positions(), distances))
    return order


def _runs(views: Sequence[View], owner: Ints, rows: Ints) -> list[Place]:
    """Rows in rank order as runs of one view each."""
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]]).tolist()
    ends = [*starts[1:], len(owner)]
    return [Place(views[owner[a]], rows[a:b]) for a, b in zip(starts, ends)]
