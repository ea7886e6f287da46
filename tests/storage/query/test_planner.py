"""The plan of a query, by equality: each kind of plan, and each border between two of them."""

from __future__ import annotations

import itertools
from dataclasses import FrozenInstanceError

import pytest

from chroma.storage.query import planner
from chroma.storage.query.planner import (
    CallbackGraphSearch,
    FilteredGraphSearch,
    GraphSearch,
    Nothing,
    PlanEach,
    Request,
    ScanAll,
    ScanAllowed,
    Statistics,
    plan,
)

REQUEST = Request(k=10, ef=100, exact=False)
EXACT = Request(k=10, ef=100, exact=True)
ROWS, DIM = 50_000, 384
MEMTABLE = Statistics(ROWS, DIM)
SEGMENT = Statistics(ROWS, DIM, graph_dimension=DIM)
PROJECTED = Statistics(ROWS, DIM, graph_dimension=192, projected=True)


def _allowing(rows: int, part: Statistics = SEGMENT) -> Statistics:
    return part._replace(allowed=rows)


@pytest.mark.parametrize("request_, part", [(REQUEST, MEMTABLE), (EXACT, MEMTABLE), (EXACT, SEGMENT)])
@pytest.mark.parametrize("batch", [False, True])
def test_without_a_graph_and_when_exact_all_allowed_rows_are_scanned(
    request_: Request, part: Statistics, batch: bool
) -> None:
    assert plan(request_, part, batch=batch) == ScanAll()
    assert plan(request_, _allowing(ROWS, part), batch=batch) == ScanAll()
    assert plan(request_, _allowing(ROWS - 1, part), batch=batch) == ScanAllowed()
    assert plan(request_, _allowing(1, part), batch=batch) == ScanAllowed()
    assert plan(request_, _allowing(0, part), batch=batch) == Nothing()


@pytest.mark.parametrize("batch", [False, True])
def test_where_no_row_is_allowed_nothing_is_done(batch: bool) -> None:
    for part in (_allowing(0), _allowing(0, MEMTABLE), _allowing(0, PROJECTED), Statistics(0, DIM)):
        assert plan(REQUEST, part, batch=batch) == Nothing()
        assert plan(EXACT, part, batch=batch) == Nothing()


@pytest.mark.parametrize("batch", [False, True])
def test_without_a_filter_the_graph_is_asked(batch: bool) -> None:
    assert plan(REQUEST, SEGMENT, batch=batch) == GraphSearch(ef=100, width=10, minimum=10)
    assert plan(REQUEST, PROJECTED, batch=batch) == GraphSearch(ef=100, width=30, minimum=10)
    assert plan(Request(10, 24, False), PROJECTED, batch=batch) == GraphSearch(24, 24, 10)


def test_a_graph_of_few_rows_need_not_reach_k() -> None:
    few = Statistics(7, DIM, graph_dimension=DIM)
    assert plan(REQUEST, few) == GraphSearch(ef=100, width=10, minimum=7)
    assert plan(Request(7, 100, False), few) == GraphSearch(ef=100, width=7, minimum=7)


def test_ef_grows_with_the_rows_beyond_a_size() -> None:
    at = Statistics(planner.EF_ROWS, DIM, graph_dimension=DIM)
    assert plan(REQUEST, at) == GraphSearch(100, 10, 10)
    assert plan(REQUEST, at._replace(rows=2 * planner.EF_ROWS)) == GraphSearch(150, 10, 10)
    assert plan(REQUEST, at._replace(rows=4 * planner.EF_ROWS)) == GraphSearch(200, 10, 10)


def test_the_border_between_a_scan_and_a_graph_search_is_where_the_scan_costs_twice_as_much() -> None:
    # The scan of 6,356 rows: 384 numbers of 0.45 ns each, 1.098 ms. The graph search: 30 * 50,000 / 6,356 + 8
    # candidates, each 600 + 384 * 4.3 ns, 0.547 ms.
    border = next(rows for rows in itertools.count(1) if plan(REQUEST, _allowing(rows)) != ScanAllowed())
    assert border == 6356
    assert plan(REQUEST, _allowing(border)) == FilteredGraphSearch(100, 243, 10, ScanAllowed())
    for rows in (1, 10, 500, border - 1):
        assert plan(REQUEST, _allowing(rows)) == plan(REQUEST, _allowing(rows), batch=True) == ScanAllowed()


def test_with_a_filter_the_graph_is_asked_for_more() -> None:
    assert plan(REQUEST, _allowing(25_000)) == FilteredGraphSearch(
        ef=100, width=68, minimum=10, fallback=ScanAllowed()
    )
    assert plan(REQUEST, _allowing(25_000, PROJECTED)) == FilteredGraphSearch(
        ef=100, width=68, minimum=20, fallback=ScanAllowed()
    )
    assert plan(REQUEST, _allowing(ROWS - 1)) == FilteredGraphSearch(100, 38, 10, ScanAllowed())
    assert plan(REQUEST, _allowing(ROWS)) == FilteredGraphSearch(100, 38, 10, ScanAll())


def test_beyond_what_is_allowed_k_counts_only_as_far_as_there_are_rows() -> None:
    many = Request(k=9_000, ef=100, exact=False)
    assert plan(many, _allowing(8_000, MEMTABLE)) == ScanAllowed()
    assert plan(many, _allowing(8_000)) == ScanAllowed()  # all rows would be asked for: a scan costs less
    wide = Statistics(8_000, 8192, allowed=7_000, graph_dimension=64, projected=True)
    assert plan(many, wide) == FilteredGraphSearch(ef=100, width=8_000, minimum=7_000, fallback=ScanAllowed())
    assert plan(many, wide._replace(allowed=None)) == GraphSearch(ef=100, width=13_500, minimum=8_000)


def test_a_query_out_of_distribution_gets_four_times_the_ef_and_candidates() -> None:
    for part, width in ((SEGMENT, 10), (PROJECTED, 30)):
        assert plan(REQUEST, part, out_of_distribution=True) == GraphSearch(400, 4 * width, 10)
    assert plan(REQUEST, _allowing(25_000, PROJECTED), out_of_distribution=True) == FilteredGraphSearch(
        ef=400, width=272, minimum=20, fallback=ScanAllowed()
    )


def test_out_of_distribution_never_turns_a_scan_into_a_graph_search_or_back() -> None:
    parts = [_allowing(rows, part) for rows in range(0, ROWS, 500) for part in (SEGMENT, PROJECTED)]
    for part in [*parts, SEGMENT, PROJECTED, MEMTABLE]:
        assert type(plan(REQUEST, part)) is type(plan(REQUEST, part, out_of_distribution=True))


# A scan of the allowed rows takes longer than the fallback may: 300,000 x 384 x 0.45 ns is 52 ms.
LARGE = Statistics(400_000, DIM, allowed=300_000, graph_dimension=192, projected=True)


def test_after_a_miss_a_scan_of_many_rows_is_left_to_the_filter_callback() -> None:
    callback = CallbackGraphSearch(ef=400, width=60, minimum=10)
    assert plan(REQUEST, LARGE) == FilteredGraphSearch(ef=200, width=48, minimum=20, fallback=callback)
    fewer = LARGE._replace(allowed=289_351)  # 49.9999 ms
    assert plan(REQUEST, fewer) == FilteredGraphSearch(200, 49, 20, ScanAllowed())
    more = LARGE._replace(allowed=289_352)
    assert plan(REQUEST, more) == FilteredGraphSearch(200, 49, 20, callback)
    assert plan(REQUEST, LARGE, out_of_distribution=True) == FilteredGraphSearch(
        ef=800, width=192, minimum=20, fallback=CallbackGraphSearch(ef=1600, width=240, minimum=10)
    )


def test_after_misses_the_plan_is_the_fallback() -> None:
    assert plan(REQUEST, _allowing(25_000), backing_off=True) == ScanAllowed()
    assert plan(REQUEST, _allowing(ROWS), backing_off=True) == ScanAll()
    assert plan(REQUEST, LARGE, backing_off=True) == CallbackGraphSearch(400, 60, 10)
    assert plan(REQUEST, LARGE, backing_off=True, out_of_distribution=True) == CallbackGraphSearch(
        1600, 240, 10
    )


def test_misses_do_not_matter_where_no_filtered_graph_search_would_be_made() -> None:
    for part in (SEGMENT, MEMTABLE, _allowing(0), _allowing(100)):
        assert plan(REQUEST, part, backing_off=True) == plan(REQUEST, part)


def test_a_batch_shares_a_graph_search_where_most_rows_are_allowed() -> None:
    each = ROWS * 3 // 4
    assert plan(REQUEST, _allowing(each), batch=True) == PlanEach()
    assert plan(REQUEST, _allowing(each + 1), batch=True) == FilteredGraphSearch(100, 28, 10, PlanEach())
    assert plan(REQUEST, _allowing(ROWS, PROJECTED), batch=True) == FilteredGraphSearch(
        ef=100, width=68, minimum=20, fallback=PlanEach()
    )


def test_plans_compare_by_kind_and_cannot_be_changed() -> None:
    assert len({Nothing(), ScanAll(), ScanAllowed(), PlanEach()}) == 4
    assert GraphSearch(100, 10, 10) != CallbackGraphSearch(100, 10, 10)
    with pytest.raises(FrozenInstanceError):
        plan(REQUEST, SEGMENT).ef = 1  # type: ignore[misc,union-attr]
