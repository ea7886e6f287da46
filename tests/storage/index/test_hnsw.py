"""Graphs of float32 vectors, which hnswlib builds and searches."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from chroma.storage.filters.row_set import RowSet
from chroma.storage.index import hnsw
from chroma.storage.index.graph import SearchParameters
from chroma.storage.vectors import distance
from chroma.storage.vectors.distance import Space

from .shared import DIM, ROWS, VECTORS, hnsw_data


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_it_finds_the_nearest_rows_with_exact_distances(space: Space) -> None:
    graph = hnsw.opened(hnsw_data(space, VECTORS), VECTORS)
    assert graph is not None and graph.projected and graph.dimension < DIM
    queries, parameters = VECTORS[::450] + np.float32(0.05), SearchParameters(10, 60, 30, 4)
    mask = np.arange(ROWS) % 3 == 0
    for allowed in (None, RowSet(ROWS, mask=mask)):
        rows = np.arange(ROWS) if allowed is None else allowed.rows
        hits = graph.search(queries, VECTORS, parameters, allowed, 1)
        shared = 0
        for line, query in enumerate(queries):
            right, _ = distance.ranked(space, query, VECTORS, rows=rows, k=10)
            shared += len(np.intersect1d(right, hits.rows[line]))
            assert np.array_equal(
                hits.distances[line], distance.exact(space, query, VECTORS, hits.rows[line])
            )
        assert shared >= 0.95 * 10 * len(queries)


def test_queries_unlike_the_rows_get_more_effort() -> None:
    graph = hnsw.opened(hnsw_data("l2", VECTORS), VECTORS)
    assert graph is not None
    queries = VECTORS[:3].copy()
    queries[1] = np.random.default_rng(2).standard_normal(DIM) * 10
    hits = graph.search(queries, VECTORS, SearchParameters(10, 60, 30, 4), None, 1)
    assert hits.counts.tolist() == [[30, 0], [120, 1], [30, 0]]


def test_a_graph_that_reaches_fewer_rows_gives_fewer() -> None:
    vectors = VECTORS[:50]
    graph = hnsw.opened(hnsw_data("l2", vectors), vectors)
    assert graph is not None
    few = RowSet(50, rows=np.array([3, 7]))
    hits = graph.search(vectors[:2], vectors, SearchParameters(10, 60, 30), few, 1)
    assert [sorted(line[:2].tolist()) for line in hits.rows] == [[3, 7]] * 2
    assert (hits.rows[:, 2:] == -1).all() and hits.counts.tolist() == [[2, 0]] * 2


def test_it_has_no_codes() -> None:
    graph = hnsw.opened(hnsw_data("l2", VECTORS[:50]), VECTORS[:50])
    assert graph is not None and not graph.coded
    with pytest.raises(NotImplementedError):
        graph.scan(VECTORS[:1], VECTORS[:50], SearchParameters(1, 1, 1), None, 1)


def test_building_and_loading_end_when_they_are_told_to() -> None:
    made = hnsw.build(
        "l2", VECTORS, projection=None, neighbors=8, ef_construction=40, threads=2, stopped=lambda: True
    )
    assert made is None
    data = hnsw_data("l2", VECTORS[:500])
    assert hnsw.opened(data, VECTORS[:500], stopped=lambda: True) is None
    assert hnsw.opened(data, VECTORS[:500], reserve=lambda size: False) is None


class _Index:
    """An index that says which effort it had during each search. The first search lasts until `go` is set."""

    dim, M = DIM, 8

    def __init__(self) -> None:
        self.ef = 0
        self.begun, self.go = threading.Event(), threading.Event()

    def set_ef(self, ef: int) -> None:
        self.ef = ef

    def knn_query(self, prepared: Any, most: int, threads: int) -> tuple[Any, Any]:
        before = self.ef
        self.begun.set()
        assert self.go.wait(10)
        assert self.ef == before
        return np.full((1, 1), before, np.uint64), None


def test_searches_of_different_efforts_wait_for_each_other() -> None:
    index = _Index()
    graph = hnsw.HnswGraph("l2", index, 1000, None)
    query = VECTORS[:1]

    def search(ef: int) -> int:
        return int(graph._labels(query, 1, ef, 1)[0, 0])

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(search, 100)
        assert index.begun.wait(10)
        shared = graph._shared_ef
        others = []
        for ef in (400, 100, 28, 100):  # the second 100 comes after 400, which must not wait for ever
            others.append(pool.submit(search, ef))
            while len(shared._waiting) < len(others):
                time.sleep(0.001)
        assert index.ef == 100 and shared.inside == 1
        index.go.set()
        assert [each.result(10) for each in (first, *others)] == [100, 400, 100, 28, 100]
    assert (shared.inside, len(shared._waiting)) == (0, 0)


def test_searches_of_one_effort_share_an_index() -> None:
    index = _Index()
    graph = hnsw.HnswGraph("l2", index, 1000, None)
    both = threading.Barrier(2, action=index.go.set)
    with ThreadPoolExecutor(2) as pool:

        def search() -> int:
            graph._shared_ef.enter(100)
            try:
                both.wait(10)  # only if both are inside
            finally:
                graph._shared_ef.leave()
            return int(graph._labels(VECTORS[:1], 1, 100, 1)[0, 0])

        assert [each.result(10) for each in [pool.submit(search) for _ in range(2)]] == [100, 100]


def test_a_forked_child_leaves_a_graph_that_was_searched() -> None:
    graph = hnsw.HnswGraph("l2", _Index(), 1000, None)
    assert graph.at_rest()
    graph._shared_ef.enter(100)
    assert not graph.at_rest()
    assert graph.at_rest()  # what was inside was in the parent
