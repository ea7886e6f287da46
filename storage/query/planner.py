"""The plan of a query over one segment or memtable: brute force, or a graph search and how wide it is.

Owns: the choice, as a value that compares by equality, and the cost model behind it. Pure: no I/O, no clock,
no vectors. executor.py collects what a plan depends on, runs the plan and reports misses to plan_history.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ..vectors.pca import RERANK_LEAST, RERANK_MOST

# Cost model, in nanoseconds, from benchmarks/planner.py: to read one number of an allowed row in a scan; and
# per unit of ef in a graph search, a step and each number of a vector of the graph.
GATHER_NS, STEP_NS, EF_NS = 0.45, 600.0, 4.3
# A scan is always exact; a graph search loses recall when the filter correlates with the vectors. So a graph
# search must be estimated to be this many times cheaper.
GRAPH_ADVANTAGE = 2.0
# From this share of allowed rows on, a batch of queries shares one graph search as if all rows were allowed.
SHARED_SEARCH_SELECTIVITY = 0.75
OVERFETCH = 3  # times k / selectivity: the width of a graph search whose candidates are filtered afterwards
# After a miss, a scan of the allowed rows that is estimated to take longer is left to a graph search with
# hnswlib's filter callback.
SCAN_FALLBACK_NS = 50e6
# A query counts as out of distribution if the kept PCA directions hold less of its squared length than of all
# but one row in a thousand (a text that is searched for among images, say). ef and width are then multiplied.
OUT_OF_DISTRIBUTION = 4
# The same ef finds less in a larger graph, and builds differ: at 1M x 128 an ef of 100 gave recall 0.93 to
# 0.95, 183 gave 0.946 to 0.96, 250 gave 0.968 (benchmarks/million.py). From this number of rows on, ef grows
# by half of `ef_search` with each doubling of the rows.
EF_ROWS = 100_000


class Request(NamedTuple):
    """The parameters of a query. `ef` is the collection's `ef_search`; `exact` forbids the graph."""

    k: int
    ef: int
    exact: bool


class Statistics(NamedTuple):
    """The statistics of a segment or memtable before it is searched.

    rows             with the deleted ones
    dimension        of its vectors
    allowed          live rows that the filter allows; None: there is no filter and nothing is deleted
    graph_dimension  of the vectors in its graph; None: it has no graph that is loaded
    projected        whether PCA has made these shorter than the stored ones
    """

    rows: int
    dimension: int
    allowed: int | None = None
    graph_dimension: int | None = None
    projected: bool = False


@dataclass(frozen=True, slots=True)
class Nothing:
    """No row is allowed."""


@dataclass(frozen=True, slots=True)
class ScanAll:
    """Brute force over all rows."""


@dataclass(frozen=True, slots=True)
class ScanAllowed:
    """Brute force over the allowed rows."""


@dataclass(frozen=True, slots=True)
class GraphSearch:
    """Ask the graph for `width` candidates and rerank them. If it reaches fewer than `minimum`: ScanAll."""

    ef: int
    width: int
    minimum: int


@dataclass(frozen=True, slots=True)
class CallbackGraphSearch:
    """Ask the graph for `width` candidates among the allowed rows, by hnswlib's filter callback, and rerank
    them. If it reaches fewer than `minimum`, scan the allowed rows."""

    ef: int
    width: int
    minimum: int


@dataclass(frozen=True, slots=True)
class PlanEach:
    """Of a batch: each query by a plan of its own, since the miss of one changes the plan of the next."""


@dataclass(frozen=True, slots=True)
class FilteredGraphSearch:
    """Over-fetch: ask the graph for `width` candidates, drop those that the filter does not allow and rerank
    the others. If fewer than `minimum` are left, a miss, run `fallback`."""

    ef: int
    width: int
    minimum: int
    fallback: ScanAll | ScanAllowed | CallbackGraphSearch | PlanEach


Plan: TypeAlias = (
    Nothing | ScanAll | ScanAllowed | GraphSearch | FilteredGraphSearch | CallbackGraphSearch | PlanEach
)

_NOTHING, _SCAN_ALL, _SCAN_ALLOWED, _PLAN_EACH = Nothing(), ScanAll(), ScanAllowed(), PlanEach()


def plan(
    request: Request,
    part: Statistics,
    *,
    batch: bool = False,
    backing_off: bool = False,
    out_of_distribution: bool = False,
) -> Plan:
    """How to search a segment or memtable.

    batch                for several queries at once
    backing_off          whether the last graph search with this filter was a miss, see plan_history.py
    out_of_distribution  whether the query is; known once the graph has projected it, and it never turns a
                         scan into a graph search or back
    """
    allowed = part.allowed
    if not (part.rows if allowed is None else allowed):
        return _NOTHING
    if request.exact or part.graph_dimension is None:
        return _scan(part)
    if allowed is None:
        ef = scaled_ef(request.ef, part.rows)
        width = candidates(request.k, ef, part.projected)
        times = OUT_OF_DISTRIBUTION if out_of_distribution else 1
        return GraphSearch(times * ef, times * width, min(request.k, part.rows))
    if _scan_is_cheaper(request, part, allowed, part.graph_dimension):
        return _scan(part)
    if batch:
        return _filtered_batch(request, part, allowed)
    search = filtered_graph_search(request, part, allowed, out_of_distribution)
    return search.fallback if backing_off else search


def scaled_ef(ef: int, rows: int) -> int:
    """The ef for a graph with this number of rows, from the collection's `ef_search`."""
    return ef if rows <= EF_ROWS else int(ef * (1 + math.log2(rows / EF_ROWS) / 2))


def candidates(k: int, ef: int, projected: bool) -> int:
    """How many candidates to ask a graph for, so that the k nearest are among them when they are reranked by
    the stored vectors."""
    return min(max(RERANK_LEAST * k, ef), RERANK_MOST * k) if projected else k


def filtered_graph_search(
    request: Request, part: Statistics, allowed: int, out_of_distribution: bool = False
) -> FilteredGraphSearch:
    """The graph search for one query with a filter, whether or not a scan is cheaper."""
    ef, width = _overfetch(request, part, allowed)
    times = OUT_OF_DISTRIBUTION if out_of_distribution else 1
    fallback: ScanAll | ScanAllowed | CallbackGraphSearch = _scan(part)
    if _scan_ns(part, allowed) > SCAN_FALLBACK_NS:
        # The filter keeps rows far from this query: the graph search goes on until it finds allowed ones.
        wider = 2 * times * candidates(request.k, ef, part.projected)
        fallback = CallbackGraphSearch(2 * times * ef, wider, min(request.k, allowed))
    return FilteredGraphSearch(times * ef, times * width, _minimum(request, part, allowed), fallback)


def _filtered_batch(request: Request, part: Statistics, allowed: int) -> FilteredGraphSearch | PlanEach:
    if allowed <= SHARED_SEARCH_SELECTIVITY * part.rows:
        return _PLAN_EACH
    ef = scaled_ef(request.ef, part.rows)
    width = min(part.rows, 2 * candidates(request.k, ef, part.projected) + 8)
    return FilteredGraphSearch(ef, width, _minimum(request, part, allowed), _PLAN_EACH)


def _minimum(request: Request, part: Statistics, allowed: int) -> int:
    """How many candidates must survive the filter."""
    return min(RERANK_LEAST * request.k if part.projected else request.k, allowed)


def _scan(part: Statistics) -> ScanAll | ScanAllowed:
    return _SCAN_ALL if part.allowed is None or part.allowed == part.rows else _SCAN_ALLOWED


def _overfetch(request: Request, part: Statistics, allowed: int) -> tuple[int, int]:
    """ef and width with which a graph search finds enough rows that are allowed."""
    width = int(request.k * OVERFETCH * part.rows / allowed) + 8
    return scaled_ef(request.ef, part.rows), min(part.rows, width)


def _scan_ns(part: Statistics, allowed: int) -> float:
    return float(allowed * part.dimension) * GATHER_NS


def _scan_is_cheaper(request: Request, part: Statistics, allowed: int, graph_dimension: int) -> bool:
    search_ns = max(_overfetch(request, part, allowed)) * (STEP_NS + graph_dimension * EF_NS)
    return _scan_ns(part, allowed) <= GRAPH_ADVANTAGE * search_ns
