"""Graphs of codes: what they find, with and without a filter, and what they are made of."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import xxhash

from chroma.storage.filters.row_set import RowSet
from chroma.storage.index import native_graph
from chroma.storage.index.graph import Damaged, GraphData, SearchParameters, link_bytes
from chroma.storage.index.native_graph import NativeGraph
from chroma.storage.native import kernel
from chroma.storage.vectors import distance, pca
from chroma.storage.vectors.distance import Space

from .shared import DIM, ROWS, VECTORS, built, native_data, scratch, unreachable

SPACES: tuple[Space, ...] = ("l2", "cosine", "ip")
QUERIES = VECTORS[::300] + np.float32(0.05)
PARAMETERS = SearchParameters(10, 60, 30)


def _exact(space: Space, allowed: Any = None, queries: Any = QUERIES) -> list[Any]:
    rows = np.arange(ROWS) if allowed is None else np.flatnonzero(allowed)
    return [distance.ranked(space, query, VECTORS, rows=rows, k=10)[0] for query in queries]


def _recall(found: Any, right: Any) -> float:
    return float(
        np.mean([len(np.intersect1d(a, b)) / max(1, len(b)) for a, b in zip(found, right, strict=True)])
    )


@pytest.mark.parametrize("space", SPACES)
def test_it_finds_the_nearest_rows_with_exact_distances_in_order(space: Space) -> None:
    hits = built(space).search(QUERIES, VECTORS, PARAMETERS, None, 1)
    assert _recall(hits.rows, _exact(space)) >= 0.97
    for line, query in enumerate(QUERIES):
        assert np.array_equal(hits.distances[line], distance.exact(space, query, VECTORS, hits.rows[line]))
        assert np.array_equal(np.lexsort((hits.rows[line], hits.distances[line])), np.arange(10))


FILTERS: dict[str, Any] = {
    "a tenth": np.arange(ROWS) % 10 == 3,
    "half": np.arange(ROWS) % 2 == 0,
    "nearly all": np.arange(ROWS) % 50 != 0,
    "one side": VECTORS[:, 0] > np.quantile(VECTORS[:, 0], 0.7),
    "near to a row": ((VECTORS - VECTORS[7]) ** 2).sum(axis=1).argsort().argsort() < ROWS // 8,
    "far from a row": ((VECTORS - VECTORS[7]) ** 2).sum(axis=1).argsort().argsort() > ROWS * 3 // 4,
}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", FILTERS)
def test_with_a_filter_it_finds_the_nearest_allowed_rows(space: Space, name: str) -> None:
    mask = FILTERS[name]
    right = _exact(space, mask)
    for allowed in (RowSet(ROWS, mask=mask), RowSet(ROWS, rows=np.flatnonzero(mask))):
        walked = built(space).search(QUERIES, VECTORS, PARAMETERS, allowed, 1)
        scanned = built(space).scan(QUERIES, VECTORS, PARAMETERS, allowed, 1)
        assert mask[walked.rows].all() and mask[scanned.rows].all()
        assert space == "ip" or _recall(walked.rows, right) >= 0.97
        assert _recall(scanned.rows, right) >= 0.98


def test_inner_products_are_filtered_by_a_walk_only_among_vectors_of_one_length() -> None:
    assert built("l2").filterable and built("cosine").filterable and not built("ip").filterable
    even = distance.normalised(VECTORS)
    graph = NativeGraph(native_data("ip", even), DIM, mapped=False)
    assert graph.filterable
    mask = FILTERS["near to a row"]
    rows = np.flatnonzero(mask)
    right = [distance.ranked("ip", query, even, rows=rows, k=10)[0] for query in QUERIES]
    assert _recall(graph.search(QUERIES, even, PARAMETERS, RowSet(ROWS, mask=mask), 1).rows, right) >= 0.97


@pytest.mark.parametrize("count", [1, 3, 9])
def test_with_few_allowed_rows_a_scan_finds_them_all(count: int) -> None:
    rows = np.sort(np.random.default_rng(count).choice(ROWS, count, replace=False))
    for allowed in (RowSet(ROWS, rows=rows), RowSet(ROWS, mask=np.isin(np.arange(ROWS), rows))):
        hits = built("l2").scan(QUERIES[:2], VECTORS, PARAMETERS, allowed, 1)
        assert [sorted(line[:count].tolist()) for line in hits.rows] == [rows.tolist()] * 2
        assert (hits.rows[:, count:] == -1).all() and np.isnan(hits.distances[:, count:]).all()
        assert hits.counts.tolist() == [[count, 0]] * 2


def test_a_search_among_no_rows_finds_none() -> None:
    nothing = RowSet(ROWS, mask=np.zeros(ROWS, np.bool_))
    for find in (built("l2").search, built("l2").scan):
        hits = find(QUERIES[:1], VECTORS, PARAMETERS, nothing, 1)
        assert (hits.rows == -1).all() and hits.counts[0, 0] == 0


def test_a_scan_without_a_filter_compares_all_rows() -> None:
    hits = built("cosine").scan(QUERIES, VECTORS, PARAMETERS, None, 1)
    assert _recall(hits.rows, _exact("cosine")) >= 0.98


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_find_what_one_finds(threads: int) -> None:
    queries = VECTORS[:100]
    one = built("l2").search(queries, VECTORS, PARAMETERS, None, 1)
    many = built("l2").search(queries, VECTORS, PARAMETERS, None, threads)
    assert all(np.array_equal(a, b) for a, b in zip(one, many, strict=True))


def test_threads_may_search_one_graph_at_the_same_time() -> None:
    graph, wrong = built("l2"), []
    right = [graph.search(VECTORS[i : i + 1], VECTORS, PARAMETERS, None, 1).rows for i in range(50)]

    def search() -> None:
        for turn in range(4):
            for line in range(50):
                if not np.array_equal(
                    graph.search(VECTORS[line : line + 1], VECTORS, PARAMETERS, None, 1).rows, right[line]
                ):
                    wrong.append((turn, line))

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_one_thread_builds_the_same_graph_each_time() -> None:
    one, other = (native_data("l2", VECTORS[:3000], threads=1) for _ in range(2))
    for name in ("counts", "links", "levels", "upper", "codes"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert one.entry == other.entry


@pytest.mark.parametrize("rows", [1, 2, 5, 300])
def test_a_graph_of_few_rows(rows: int) -> None:
    vectors = VECTORS[:rows]
    graph = NativeGraph(native_data("l2", vectors), DIM, mapped=False)
    hits = graph.search(vectors[:1], vectors, PARAMETERS, None, 1)
    assert hits.rows[0, 0] == 0 and hits.counts[0, 0] == min(30, rows)


def test_equal_vectors_are_found_in_the_order_of_rows() -> None:
    vectors = np.repeat(VECTORS[:3], 300, axis=0)
    graph = NativeGraph(native_data("cosine", vectors), DIM, mapped=False)
    hits = graph.search(vectors[:1], vectors, SearchParameters(5, 400, 400), None, 1)
    assert hits.rows[0].tolist() == sorted(hits.rows[0].tolist()) and (hits.rows[0] < 300).all()


def test_vectors_of_zeros_and_of_any_length_are_compared() -> None:
    vectors = VECTORS[:1000].copy()
    vectors[:500] *= np.float32(1e-38)
    vectors[10:20] = 0
    graph = NativeGraph(native_data("cosine", vectors), DIM, mapped=False)
    for row in (600, 999):
        assert row in graph.search(vectors[row : row + 1], vectors, PARAMETERS, None, 1).rows
    zero = graph.search(np.zeros((1, DIM), np.float32), vectors, PARAMETERS, None, 1)
    assert (zero.distances == 1).all()


def test_a_query_that_overflows_finds_nothing_rather_than_something_wrong() -> None:
    query = np.full((1, DIM), 3e38, np.float32)
    hits = built("l2").search(query, VECTORS, PARAMETERS, None, 1)
    assert hits.counts[0, 0] == 0 or np.isinf(hits.distances[hits.rows >= 0]).all()


def test_a_code_is_the_rounded_vector() -> None:
    assert kernel.graph is not None
    for space in SPACES:
        for dimension in (1, 31, 32, 33):
            vectors = np.random.default_rng(dimension).standard_normal((40, dimension)).astype(np.float32)
            width = kernel.graph.code_bytes(dimension)
            codes = np.empty((40, width), np.uint8)
            kernel.graph.encode(space, vectors, codes)
            offset, scale = codes[:, :8].copy().view(np.float32).T
            numbers = codes[:, 8 : 8 + dimension].view(np.int8)
            step = scale / -2 if space == "l2" else -scale
            rounded = numbers * step[:, None]
            assert np.allclose(rounded, pca.as_coded(vectors), rtol=1e-5)
            assert np.allclose(offset, (rounded**2).sum(axis=1) if space == "l2" else 0, rtol=1e-5)
            assert not codes[:, 8 + dimension :].any() and width % 32 == 8


def _with(data: GraphData, **arrays: Any) -> NativeGraph:
    return NativeGraph(data._replace(**arrays), DIM, mapped=False)


def test_arrays_that_do_not_fit_each_other_are_refused() -> None:
    data = native_data("l2", VECTORS[:500])
    assert data.codes is not None
    for change in (
        {"counts": data.counts[:-1]},
        {"counts": data.counts + np.uint8(1)},
        {"counts": data.counts.astype(np.float32)},
        {"links": data.links[:-1]},
        {"links": data.links.view(np.uint16)},
        {"levels": data.levels[:-1]},
        {"levels": data.levels + np.uint8(1)},
        {"upper": data.upper[:-1]},
        {"codes": data.codes[:-1]},
        {"codes": data.codes[:, :-1]},
        {"entry": 500},
        {"entry": -1},
        {"neighbors": 0},
    ):
        with pytest.raises((ValueError, TypeError)):
            _with(data, **change)


def test_links_that_lead_nowhere_are_damage() -> None:
    data = native_data("l2", VECTORS[:500])
    assert link_bytes(500) == 2
    lost = data.links.copy().view(np.uint16)
    lost[:] = 500
    upper = data.upper.copy()
    upper[:, 1] = 500
    full = data.upper.copy()
    full[:, 0] = 17
    half = RowSet(500, mask=np.arange(500) % 2 == 0)
    for change in ({"links": lost.view(np.uint8)}, {"upper": upper}, {"upper": full}):
        for allowed in (None, half):
            with pytest.raises(Damaged):
                _with(data, **change).search(VECTORS[:20], VECTORS[:500], PARAMETERS, allowed, 1)


def test_arguments_that_do_not_fit_are_refused() -> None:
    graph = built("l2")._graph  # type: ignore[attr-defined]
    rows, distances, counts = (
        np.empty((1, 10), np.int64),
        np.empty((1, 10), np.float32),
        np.empty((1, 2), np.int32),
    )
    right: list[Any] = [VECTORS[:1], VECTORS, 10, 60, 30, 4, None, None, rows, distances, counts]
    graph.search(*right)
    for at, wrong in (
        (0, VECTORS[:1].astype(np.float64)), (0, VECTORS[:1, :9]), (0, VECTORS[0]), (1, VECTORS[:-1]),
        (1, None),
        (2, 0), (2, 11), (3, 0), (4, 0), (4, 1 << 40), (5, 0), (5, 65), (6, b"x"), (6, np.zeros(9)),
        (7, np.array([ROWS])), (7, np.array([-1])), (7, np.array([0.5])), (7, "rows"), (8, rows[:, :9]),
        (8, distances), (9, rows), (10, counts[:, :1]), (10, rows),
    ):  # fmt: skip
        given = [*right]
        given[at] = wrong
        with pytest.raises((ValueError, TypeError, IndexError, BufferError)):
            graph.search(*given)
    with pytest.raises(TypeError):
        graph.search(*right[:-1])


def test_sums_of_blocks_are_those_of_xxhash() -> None:
    assert kernel.graph is not None
    for rows, dimension, block in ((1, 1, 1), (7, 3, 2), (100, DIM, 33), (5, 9, 50), (64, 2, 4), (33, 7, 1)):
        vectors = np.random.default_rng(rows).standard_normal((rows, dimension)).astype(np.float32)
        out = np.empty(-(-rows // block), np.uint64)
        kernel.graph.sums(vectors, block, out)
        right = [
            xxhash.xxh64_intdigest(vectors[start : start + block].tobytes())
            for start in range(0, rows, block)
        ]
        assert out.tolist() == right


def test_vectors_that_were_not_indexed_are_noticed() -> None:
    vectors = VECTORS[:2000].copy()
    graph = NativeGraph(native_data("l2", vectors), DIM, mapped=True)
    assert graph.checks_vectors
    queries = vectors[::100].copy()
    found = graph.search(queries[:5], vectors, PARAMETERS, None, 1).rows
    vectors[1900, 5] += 1  # in a block that was not read yet, or that was intact when it was
    half = RowSet(2000, mask=np.arange(2000) >= 1800)
    fresh = NativeGraph(native_data("l2", VECTORS[:2000]), DIM, mapped=True)
    for find in (fresh.search, fresh.scan):
        with pytest.raises(Damaged, match="not the one that was indexed"):
            find(queries[-1:], vectors, PARAMETERS, half, 1)
    assert np.array_equal(graph.search(queries[:5], vectors, PARAMETERS, None, 1).rows, found)
    whole = NativeGraph(native_data("l2", VECTORS[:2000]), DIM, mapped=False)
    assert not whole.checks_vectors
    whole.search(queries[-1:], vectors, PARAMETERS, half, 1)


@pytest.mark.parametrize("calls", [0, 1, 3, 12])
def test_a_stopped_build_gives_nothing(calls: int) -> None:
    answers = iter([False] * calls)
    made = native_graph.build(
        "l2", VECTORS, projection=None, neighbors=8, ef_construction=40, threads=2,
        stopped=lambda: next(answers, True), scratch=scratch,
    )  # fmt: skip
    assert made is None


def test_threads_that_build_together_lose_no_row() -> None:
    assert unreachable(native_data("l2", VECTORS, threads=8)) == 0


def test_copies_of_vectors_do_not_cut_the_graph_into_pieces() -> None:
    vectors = np.repeat(VECTORS[::45], 40, axis=0)  # 200 vectors, 40 copies of each
    random = np.random.default_rng(5)
    vectors = vectors[random.permutation(len(vectors))]
    graph = NativeGraph(native_data("l2", vectors), DIM, mapped=False)
    queries = VECTORS[::45].copy()
    hits = graph.search(queries, vectors, SearchParameters(10, 100, 30), None, 1)
    assert (hits.distances == 0).mean() >= 0.97


def test_rows_that_are_nearly_equal_are_told_apart_or_codes_are_given_up() -> None:
    """In a sample of them, few of a group are left, and codes seem to suffice."""
    random = np.random.default_rng(6)
    centres = np.repeat(random.standard_normal((1000, 32)).astype(np.float32), 60, axis=0)
    vectors = centres + np.float32(0.006) * random.standard_normal(centres.shape).astype(np.float32)
    choice = pca.choose("l2", vectors, coded=True)
    assert choice is not None
    with pytest.raises(native_graph.CodesDoNotFit):
        native_graph.build(
            "l2", vectors, projection=None, neighbors=16, ef_construction=100, threads=2,
            stopped=lambda: False, scratch=scratch,
        )  # fmt: skip


def test_vectors_too_long_for_float32_get_no_codes() -> None:
    vectors = VECTORS[:1000].copy()
    vectors[500] = 1e20
    with pytest.raises(native_graph.CodesDoNotFit):
        native_graph.build(
            "l2", vectors, projection=None, neighbors=16, ef_construction=100, threads=1,
            stopped=lambda: False, scratch=scratch,
        )  # fmt: skip


def test_an_error_in_one_thread_of_a_build_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fails(done: int, rows: int) -> None:
        calls.append(done)
        raise KeyboardInterrupt

    monkeypatch.setattr(native_graph, "report", fails)
    with pytest.raises(KeyboardInterrupt):
        native_data("l2", VECTORS, threads=2)
    assert len(calls) <= 2


def test_where_no_thread_can_be_started_one_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    right = built("l2").search(VECTORS[:100], VECTORS, PARAMETERS, None, 1)

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    found = built("l2").search(VECTORS[:100], VECTORS, PARAMETERS, None, 2)
    assert np.array_equal(found.rows, right.rows)


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="needs /proc")
def test_every_instruction_set_gives_the_same_scores() -> None:
    """The plain loop and the widest instructions of this machine, in two processes."""
    script = (
        "import numpy as np, hashlib\n"
        "from tests.storage.index.shared import DIM, VECTORS, native_data\n"
        "from chroma.storage.index.native_graph import NativeGraph\n"
        "from chroma.storage.index.graph import SearchParameters\n"
        "graph = NativeGraph(native_data('l2', VECTORS, threads=1), DIM, mapped=False)\n"
        "hits = graph.scan(VECTORS[:40], VECTORS, SearchParameters(10, 10, 10), None, 1)\n"  # by codes alone
        "print(hashlib.sha256(hits.rows.tobytes() + hits.distances.tobytes()).hexdigest())\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "CHROMA_PLAIN_CODES": plain}, check=True,
            capture_output=True, text=True,
        ).stdout
        for plain in ("0", "1", "2")
    }  # fmt: skip
    assert len(found) == 1


def test_searches_leave_little_memory_behind() -> None:
    """What a graph keeps for later searches is bounded: a bit per row and short lists, for eight threads."""
    rows, k = 20_000, 20_000
    vectors = np.random.default_rng(3).standard_normal((rows, 4), np.float32)
    codes = native_graph._encoded("l2", vectors, None, lambda: False, scratch)
    assert codes is not None
    graph = NativeGraph(native_graph._without_links("l2", rows, codes, None), 4, mapped=False)
    kept = graph._graph.kept
    assert kept() == (0, 0)
    narrow, wide = SearchParameters(10, 10, 20), SearchParameters(k, k, k)
    graph.scan(vectors[:3], vectors, narrow, None, 1)
    count, least = kept()
    assert count == 1 and rows // 8 < least < rows // 8 + 10_000
    hits = graph.scan(vectors[:1], vectors, wide, None, 1)
    assert hits.counts[0, 0] == rows  # it needed 24 bytes for each row
    assert kept()[0] == 1 and kept()[1] <= least
    begin = threading.Barrier(12)

    def search() -> None:
        begin.wait(10)
        graph.scan(vectors[:60], vectors, narrow, None, 1)

    threads = [threading.Thread(target=search) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count, size = kept()
    assert 1 <= count <= 8 and size <= count * (rows // 8 + 10_000)
    assert graph.nbytes >= 8 * (rows // 8)
    assert graph.scan(vectors[:3], vectors, narrow, None, 1).rows[:, 0].tolist() == [0, 1, 2]


def test_threads_that_hand_the_lock_to_each_other_find_what_one_finds() -> None:
    """Also with more threads than cores, and beside a thread that computes in Python."""
    graph = built("l2")
    right = [graph.search(VECTORS[[row]], VECTORS, PARAMETERS, None, 1).rows.tolist() for row in range(50)]
    wrong, ended = [], threading.Event()

    def ask() -> None:
        for row in list(range(50)) * 10:
            if graph.search(VECTORS[[row]], VECTORS, PARAMETERS, None, 1).rows.tolist() != right[row]:
                wrong.append(row)

    def compute() -> None:
        while not ended.is_set():
            sum(range(1000))

    busy = threading.Thread(target=compute)
    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in (busy, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    busy.join()
    assert not wrong
