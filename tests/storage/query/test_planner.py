"""The plan of a query, by equality: each kind of plan, and each border between two of them."""

from __future__ import annotations

import itertools
from dataclasses import FrozenInstanceError

import pytest

from chroma.storage.query import planner
from chroma.storage.query.planner import (
    FilteredGraphSearch,
    GraphSearch,
    Nothing,
    Request,
    ScanAll,
    ScanAllowed,
    ScanCodes,
    Statistics,
    candidates,
    plan,
)

REQUEST = Request(k=10, ef=100, exact=False)
EXACT = Request(k=10, ef=100, exact=True)
ROWS, DIM = 50_000, 384
MEMTABLE = Statistics(ROWS, DIM)
FLOATS = Statistics(ROWS, DIM, graph_dimension=DIM)  # hnswlib's graph
PROJECTED = Statistics(ROWS, DIM, graph_dimension=192, projected=True)
CODED = Statistics(ROWS, DIM, graph_dimension=DIM, coded=True)
BOTH = Statistics(ROWS, DIM, graph_dimension=192, coded=True, projected=True)
ALL = (MEMTABLE, FLOATS, PROJECTED, CODED, BOTH)


def _allowing(rows: int, part: Statistics = BOTH) -> Statistics:
    return part._replace(allowed=rows)


@pytest.mark.parametrize("request_, part", [(REQUEST, MEMTABLE), *((EXACT, part) for part in ALL)])
def test_without_a_graph_and_when_exact_all_allowed_rows_are_scanned(
    request_: Request, part: Statistics
) -> None:
    assert plan(request_, part) == ScanAll()
    assert plan(request_, _allowing(ROWS, part)) == ScanAll()
    assert plan(request_, _allowing(ROWS - 1, part)) == ScanAllowed()
    assert plan(request_, _allowing(1, part)) == ScanAllowed()
    assert plan(request_, _allowing(0, part)) == Nothing()


@pytest.mark.parametrize("part", ALL)
def test_where_no_row_is_allowed_nothing_is_done(part: Statistics) -> None:
    for request in (REQUEST, EXACT):
        assert plan(request, _allowing(0, part)) == plan(request, part._replace(rows=0)) == Nothing()


def test_without_a_filter_the_graph_is_asked() -> None:
    assert plan(REQUEST, FLOATS) == GraphSearch(ef=100, width=10, minimum=10, fallback=ScanAll())
    assert plan(REQUEST, PROJECTED) == GraphSearch(ef=100, width=30, minimum=10, fallback=ScanAll())
    codes = ScanCodes(width=30, minimum=10, fallback=ScanAll())
    assert plan(REQUEST, CODED) == plan(REQUEST, BOTH) == GraphSearch(100, 30, 10, codes)
    narrow = Request(10, 24, False)
    assert plan(narrow, BOTH) == GraphSearch(24, 24, 10, ScanCodes(24, 10, ScanAll()))


def test_a_graph_of_few_rows_need_not_reach_k() -> None:
    few = Statistics(7, DIM, graph_dimension=DIM)
    assert plan(REQUEST, few) == GraphSearch(ef=100, width=10, minimum=7, fallback=ScanAll())
    coded = few._replace(coded=True)
    assert plan(REQUEST, coded) == GraphSearch(100, 30, 7, ScanCodes(30, 7, ScanAll()))


def test_a_large_k_widens_the_search() -> None:
    wide = plan(Request(1000, 100, False), BOTH)
    assert wide == GraphSearch(1500, 1500, 1000, ScanCodes(1500, 1000, ScanAll()))


def test_ef_is_as_configured_up_to_a_size_and_grows_with_it() -> None:
    assert planner.scaled_ef(100, 1000) == planner.scaled_ef(100, planner.EF_ROWS) == 100
    assert planner.scaled_ef(100, 2 * planner.EF_ROWS) == 150
    assert planner.scaled_ef(20, 4 * planner.EF_ROWS) == 40
    large = plan(REQUEST, BOTH._replace(rows=4 * planner.EF_ROWS))
    assert isinstance(large, GraphSearch) and large.ef == 200


def test_scans_that_take_next_to_no_time_are_exact() -> None:
    # 10 us are 57 rows of 384 numbers of 0.45 ns each.
    assert plan(REQUEST, _allowing(57)) == ScanAllowed()
    assert plan(REQUEST, _allowing(58)) == ScanCodes(30, 10, ScanAllowed())


def test_the_border_between_a_scan_and_a_graph_search() -> None:
    # A search for allowed rows at an ef of 2 * 28, each 2,200 + 192 * 8 ns, takes 0.209 ms. In one and a half
    # times that, 17,912 rows of 6 + 192 * 0.06 ns are scanned.
    assert plan(REQUEST, _allowing(ROWS // 2)) == ScanCodes(30, 10, ScanAllowed())
    narrow = Request(10, 28, False)
    border = next(
        rows for rows in itertools.count(1) if isinstance(plan(narrow, _allowing(rows)), FilteredGraphSearch)
    )
    assert border == 17_913
    assert plan(narrow, _allowing(border)) == FilteredGraphSearch(
        ef=56, width=28, minimum=20, fallback=ScanCodes(28, 10, ScanAllowed())
    )
    assert plan(narrow, _allowing(border - 1)) == ScanCodes(28, 10, ScanAllowed())


def test_codes_that_do_not_fit_into_the_cache_are_scanned_less_often() -> None:
    narrow = Request(10, 28, False)
    many = planner.CACHE_BYTES // BOTH.graph_dimension  # type: ignore[operator]
    part = BOTH._replace(rows=many, allowed=12_000)
    assert isinstance(plan(narrow, part), ScanCodes)
    assert isinstance(plan(narrow, part._replace(rows=many + 1)), FilteredGraphSearch)


def test_where_most_rows_are_allowed_the_effort_is_the_usual_one() -> None:
    narrow = Request(10, 28, False)
    for rows, ef in ((ROWS * 3 // 4 - 1, 56), (ROWS * 3 // 4, 28), (ROWS - 1, 28)):
        assert plan(narrow, _allowing(rows)) == FilteredGraphSearch(
            ef, 28, 20, ScanCodes(28, 10, ScanAllowed())
        )
    assert plan(narrow, _allowing(ROWS)) == FilteredGraphSearch(28, 28, 20, ScanCodes(28, 10, ScanAll()))


def test_where_a_search_among_allowed_rows_would_lose_some_codes_are_scanned() -> None:
    uneven = BOTH._replace(filterable=False)
    scan = ScanCodes(30, 10, ScanAllowed())
    assert plan(REQUEST, _allowing(ROWS // 2, uneven)) == plan(REQUEST, _allowing(1000, uneven)) == scan
    assert plan(REQUEST, _allowing(ROWS - 1, uneven)) == plan(REQUEST, _allowing(ROWS - 1))
    assert plan(REQUEST, uneven) == plan(REQUEST, BOTH)


def test_without_codes_hnswlib_filters_by_a_callback_or_all_allowed_rows_are_scanned() -> None:
    assert plan(REQUEST, _allowing(ROWS // 5, FLOATS)) == ScanAllowed()
    half = FilteredGraphSearch(200, 10, 10, ScanAllowed())
    assert plan(REQUEST, _allowing(ROWS // 2, FLOATS)) == half
    wide = Statistics(8_000_000, 768, allowed=6_500_000, graph_dimension=384, projected=True)
    assert plan(REQUEST, wide) == FilteredGraphSearch(416, 30, 20, ScanAllowed())


def test_beyond_what_is_allowed_k_counts_only_as_far_as_there_are_rows() -> None:
    many = Request(k=2_000, ef=100, exact=False)
    assert plan(many, _allowing(1_500, MEMTABLE)) == ScanAllowed()
    assert plan(many, _allowing(1_500)) == ScanCodes(3_000, 1_500, ScanAllowed())
    assert plan(many, Statistics(1_500, DIM, graph_dimension=192, coded=True)) == GraphSearch(
        3_000, 3_000, 1_500, ScanCodes(3_000, 1_500, ScanAll())
    )


def test_a_very_large_k_is_answered_by_an_exact_scan() -> None:
    limit = planner.MOST_WIDTH * 2 // 3  # half as many candidates again are ranked
    for part, scan in ((BOTH, ScanAll()), (_allowing(ROWS // 2), ScanAllowed())):
        assert plan(Request(limit, 100, False), part) != scan
        assert plan(Request(limit + 2, 100, False), part) == scan


def test_candidates_are_ranked_within_bounds() -> None:
    assert [candidates(10, ef, approximate=True) for ef in (10, 24, 28, 100)] == [20, 24, 28, 30]
    assert candidates(100, 100, approximate=True) == 150
    assert candidates(10, 100, approximate=False) == 10


def test_plans_are_values() -> None:
    one, other = plan(REQUEST, BOTH), plan(REQUEST, BOTH)
    assert one == other and hash(one) == hash(other)
    with pytest.raises(FrozenInstanceError):
        one.width = 1  # type: ignore[misc, union-attr]
