"""The plan for a query over one segment or memtable: brute force, or a graph search of a certain width.

Owns: the choice of the plan, and the cost model behind it. A plan is a value that compares by equality. The
functions are pure: no I/O, no clock, no vectors. executor.py collects the inputs of a plan, runs the plan and
reports misses to plan_history.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ..vectors.pca import RERANK_MOST, rerank_least

# Cost model in nanoseconds, measured by benchmarks/planner.py. GATHER_NS is the cost of reading one number of
# an allowed row in a scan. A graph search costs, per unit of ef, STEP_NS plus EF_NS for each number in one of
# the graph's vectors.
GATHER_NS, STEP_NS, EF_NS = 0.45, 600.0, 4.3
# A scan is always exact, while a graph search loses recall when the filter correlates with the vectors. So a
# graph search must be estimated to be this many times cheaper.
GRAPH_ADVANTAGE = 2.0
# Above this share of allowed rows, a batch of queries shares one graph search as if all rows were allowed.
SHARED_SEARCH_SELECTIVITY = 0.75
OVERFETCH = 3  # the width of a graph search is this times k / selectivity if its results are filtered later
# After a miss, the fallback is a scan of the allowed rows. If the scan is estimated to take longer than this,
# the fallback is a graph search with hnswlib's filter callback.
SCAN_FALLBACK_NS = 50e6
# A query is out of distribution if the kept PCA directions hold a smaller share of its squared length than
# they do for 999 of 1,000 rows. An example is a text query against images. ef and width are then multiplied
# by this factor.
OUT_OF_DISTRIBUTION = 4
# The same ef gives a lower recall in a larger graph, and builds differ: at 1M x 128 an ef of 100 gave recall
# 0.93 to 0.95, 183 gave 0.946 to 0.96, 250 gave 0.968 (benchmarks/million.py). Beyond this number of rows, ef
# grows by half of `ef_search` with each doubling of the rows.
EF_ROWS = 100_000


class Request(NamedTuple):
    """The parameters of a query. `ef` is the collection's `ef_search`; `exact` forbids the graph."""

    k: int
    ef: int
    exact: bool


class Statistics(NamedTuple):
    """The statistics of a segment or memtable before it is searched.

    rows             number of rows, including deleted ones
    dimension        dimension of the stored vectors
    allowed          number of live rows that the filter allows; None: no filter, and no row is deleted
    graph_dimension  dimension of the vectors in the graph; None: no graph is loaded
    projected        whether PCA has reduced the dimension of the graph's vectors
    """

    rows: int
    dimension: int
    allowed: int | None = None
    graph_dimension: int | None = None
    projected: bool = False


@dataclass(frozen=True, slots=True)
class Nothing:
    """No row is allowed, so there is nothing to search."""


@dataclass(frozen=True, slots=True)
class ScanAll:
    """Brute force over all rows."""


@dataclass(frozen=True, slots=True)
class ScanAllowed:
    """Brute force over the allowed rows."""


@dataclass(frozen=True, slots=True)
class GraphSearch:
    """Request `width` candidates from the graph and rerank them. With fewer than `minimum` of them, scan."""

    ef: int
    width: int
    minimum: int


@dataclass(frozen=True, slots=True)
class CallbackGraphSearch:
    """Request `width` candidates among the allowed rows, by hnswlib's filter callback, and rerank them.

    If the graph returns fewer than `minimum`, scan the allowed rows.
    """

    ef: int
    width: int
    minimum: int


@dataclass(frozen=True, slots=True)
class PlanEach:
    """Plan each query in a batch separately, because a miss changes the plan of the next query."""


@dataclass(frozen=True, slots=True)
class FilteredGraphSearch:
    """Overfetch: request `width` candidates, drop those that the filter does not allow, rerank the others.

    If fewer than `minimum` are left, the search is a miss, and `fallback` runs.
    """

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
    """Choose how to search a segment or memtable.

    batch                whether the plan is for several queries at once
    backing_off          whether a recent graph search with this filter was a miss, see plan_history.py
    out_of_distribution  whether the query is out of distribution. This is known only after the graph has
                         projected the query. It never turns a scan into a graph search, or the reverse.
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
    """Scale the collection's `ef_search` to a graph with this number of rows."""
    return ef if rows <= EF_ROWS else int(ef * (1 + math.log2(rows / EF_ROWS) / 2))


def candidates(k: int, ef: int, projected: bool) -> int:
    """Return how many candidates to request from a graph.

    After reranking by the stored vectors, the k nearest rows are among them.
    """
    return min(max(rerank_least(k), ef), RERANK_MOST * k) if projected else k


def filtered_graph_search(
    request: Request, part: Statistics, allowed: int, out_of_distribution: bool = False
) -> FilteredGraphSearch:
    """Plan a graph search for one query with a filter, whether or not a scan is cheaper."""
    ef, width = _overfetch(request, part, allowed)
    times = OUT_OF_DISTRIBUTION if out_of_distribution else 1
    fallback: ScanAll | ScanAllowed | CallbackGraphSearch = _scan(part)
    if _scan_ns(part, allowed) > SCAN_FALLBACK_NS:
        # The allowed rows are far from the query. The graph search continues until it finds some of them.
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
    """Return how many candidates must pass the filter."""
    return min(rerank_least(request.k) if part.projected else request.k, allowed)


def _scan(part: Statistics) -> ScanAll | ScanAllowed:
    return _SCAN_ALL if part.allowed is None or part.allowed == part.rows else _SCAN_ALLOWED


def _overfetch(request: Request, part: Statistics, allowed: int) -> tuple[int, int]:
    """Return the ef and width with which a graph search is expected to find enough allowed rows."""
    width = int(request.k * OVERFETCH * part.rows / allowed) + 8
    return scaled_ef(request.ef, part.rows), min(part.rows, width)


def _scan_ns(part: Statistics, allowed: int) -> float:
    return float(allowed * part.dimension) * GATHER_NS


def _scan_is_cheaper(request: Request, part: Statistics, allowed: int, graph_dimension: int) -> bool:
    search_ns = max(_overfetch(request, part, allowed)) * (STEP_NS + graph_dimension * EF_NS)
    return _scan_ns(part, allowed) <= GRAPH_ADVANTAGE * search_ns
