"""The plan for a query over one segment or memtable: brute force, or a graph search of a certain width.

Owns: the choice of the plan, and the cost model behind it. A plan is a value that compares by equality. The
functions are pure: no I/O, no clock, no vectors. executor.py collects the inputs of a plan and runs the plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ..vectors.pca import RERANK_MOST, rerank_least

# Cost model in nanoseconds, measured by benchmarks/planner.py.
# GATHER_NS: reading one number of an allowed row in an exact scan.
GATHER_NS = 0.45
# CODE_ROW_NS + CODE_NS per number: comparing the code of an allowed row. UNCACHED_NS per number if the codes
# of the segment have more than CACHE_BYTES, because they are then read from memory.
CODE_ROW_NS, CODE_NS, UNCACHED_NS = 6.0, 0.06, 0.2
CACHE_BYTES = 32 << 20
# FILTERED_STEP_NS + FILTERED_NS per number: a unit of ef in a search for allowed rows.
FILTERED_STEP_NS, FILTERED_NS = 2_200.0, 8.0
# The same for hnswlib, whose filter callback is Python code; times rows / allowed rows.
CALLBACK_STEP_NS, CALLBACK_NS = 3_000.0, 4.3
# A scan finds the nearest rows of any filter, while a graph search loses recall when the filter correlates
# with the vectors. So a graph search must be estimated to be this many times cheaper.
GRAPH_ADVANTAGE = 1.5
# Scans that are estimated to take less than this are exact. Longer ones compare codes first.
EXACT_NS = 10_000.0
# Among allowed rows, the same ef finds fewer of the nearest ones if the filter correlates with the vectors.
# 70,000 sentences, one of 26 classes allowed: recall@10 is 0.87 to 0.95 at an ef of 28, 0.94 to 0.98 at 64.
# If most rows are allowed, the filter is no obstacle.
FILTERED_EF, MOST_ALLOWED = 2, 0.75
# A query is out of distribution if the kept PCA directions hold a smaller share of its squared length than
# they do for 999 of 1,000 rows. An example is a text query against images. ef and width are then multiplied
# by this factor.
OUT_OF_DISTRIBUTION = 4
# A search keeps its candidates in a sorted list. If the list is long, an exact scan is faster: it ranks all
# of 60,000 rows of 8 numbers in 0.05 s, and a scan of their codes in 0.29 s.
MOST_WIDTH = 4096
# The same ef gives a lower recall in a larger graph, and builds differ: at 1M x 128 an ef of 100 gave recall
# 0.93 to 0.95, 183 gave 0.946 to 0.96, 250 gave 0.968 (benchmarks/million.py). Beyond this number of rows, ef
# grows by half of `ef_search` with each doubling of the rows.
EF_ROWS = 100_000


class Request(NamedTuple):
    """The parameters of a query. `ef` is the collection's `ef_search`; `exact` forbids graphs and codes."""

    k: int
    ef: int
    exact: bool


class Statistics(NamedTuple):
    """The statistics of a segment or memtable before it is searched.

    rows             number of rows, including deleted ones
    dimension        dimension of the stored vectors
    allowed          number of live rows that the filter allows; None: all rows
    graph_dimension  dimension of the vectors or codes in the graph; None: no graph is open
    coded            whether the graph has codes
    projected        whether PCA has reduced the dimension of the graph's vectors
    filterable       whether a graph search among allowed rows finds the nearest ones
    """

    rows: int
    dimension: int
    allowed: int | None = None
    graph_dimension: int | None = None
    coded: bool = False
    projected: bool = False
    filterable: bool = True


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
class ScanCodes:
    """Compare the query with the codes of the allowed rows, and rerank the best `width` of them.

    If fewer than `minimum` can be compared, `fallback` runs.
    """

    width: int
    minimum: int
    fallback: ScanAll | ScanAllowed


@dataclass(frozen=True, slots=True)
class GraphSearch:
    """Request `width` candidates from the graph and rerank them.

    If the graph finds fewer than `minimum`, `fallback` runs.
    """

    ef: int
    width: int
    minimum: int
    fallback: ScanAll | ScanAllowed | ScanCodes


@dataclass(frozen=True, slots=True)
class FilteredGraphSearch:
    """Do a GraphSearch in which only allowed rows are candidates."""

    ef: int
    width: int
    minimum: int
    fallback: ScanAll | ScanAllowed | ScanCodes


Plan: TypeAlias = Nothing | ScanAll | ScanAllowed | ScanCodes | GraphSearch | FilteredGraphSearch

_NOTHING, _SCAN_ALL, _SCAN_ALLOWED = Nothing(), ScanAll(), ScanAllowed()


def plan(request: Request, part: Statistics) -> Plan:
    """Choose how to search a segment or memtable, for one query or for a batch."""
    allowed = part.allowed
    if not (part.rows if allowed is None else allowed):
        return _NOTHING
    if request.exact or part.graph_dimension is None:
        return _scan(part)
    approximate = part.coded or part.projected
    ef = scaled_ef(request.ef, part.rows)
    width = candidates(request.k, ef, approximate)
    if part.coded and width > MOST_WIDTH:
        return _scan(part)
    if allowed is None:
        ef = max(ef, width)
        return GraphSearch(ef, width, min(request.k, part.rows), _fallback(request, part, width))
    if allowed < MOST_ALLOWED * part.rows:
        ef *= FILTERED_EF
    minimum = min(rerank_least(request.k) if approximate else request.k, allowed)
    scan, scan_ns = _cheapest_scan(request, part, allowed, width)
    if not (
        part.filterable or allowed >= MOST_ALLOWED * part.rows
    ) or scan_ns <= GRAPH_ADVANTAGE * _search_ns(part, allowed, part.graph_dimension, ef):
        return scan
    return FilteredGraphSearch(max(ef, width), width, minimum, _fallback(request, part, width))


def scaled_ef(ef: int, rows: int) -> int:
    """Scale the collection's `ef_search` to a graph with this number of rows."""
    return ef if rows <= EF_ROWS else int(ef * (1 + math.log2(rows / EF_ROWS) / 2))


def candidates(k: int, ef: int, approximate: bool) -> int:
    """Return how many candidates to request from a graph.

    After reranking by the stored vectors, the k nearest rows are among them.

    approximate  whether the graph has codes or projected vectors
    """
    return min(max(rerank_least(k), ef), RERANK_MOST * k) if approximate else k


def _scan(part: Statistics) -> ScanAll | ScanAllowed:
    return _SCAN_ALL if part.allowed is None or part.allowed == part.rows else _SCAN_ALLOWED


def _fallback(request: Request, part: Statistics, width: int) -> ScanAll | ScanAllowed | ScanCodes:
    """Return the plan after a graph search that found too few rows."""
    if not part.coded:
        return _scan(part)
    count = part.rows if part.allowed is None else part.allowed
    return ScanCodes(width, min(request.k, count), _scan(part))


def _cheapest_scan(
    request: Request, part: Statistics, allowed: int, width: int
) -> tuple[ScanAll | ScanAllowed | ScanCodes, float]:
    """Return the plan of a scan of the allowed rows, and its time."""
    exact = allowed * part.dimension * GATHER_NS
    if not part.coded or exact <= EXACT_NS or part.graph_dimension is None:
        return _scan(part), exact
    dimension = part.graph_dimension
    number_ns = CODE_NS if part.rows * dimension <= CACHE_BYTES else UNCACHED_NS
    return _fallback(request, part, width), allowed * (CODE_ROW_NS + dimension * number_ns)


def _search_ns(part: Statistics, allowed: int, dimension: int, ef: int) -> float:
    if part.coded:
        return ef * (FILTERED_STEP_NS + dimension * FILTERED_NS)
    return ef * (CALLBACK_STEP_NS + dimension * CALLBACK_NS) * part.rows / allowed
