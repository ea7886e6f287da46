"""Projections and codes: when vectors are reduced, and that answers stay right."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import chroma
from chroma.storage.index.graph import SearchParameters
from chroma.storage.vectors import pca
from chroma.storage.vectors.distance import Space

from ..index.shared import DIM, ROWS, VECTORS, built


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_vectors_of_few_directions_are_reduced(space: Space, coded: bool) -> None:
    found = pca.choose(space, VECTORS, coded=coded)
    assert found is not None and found.coded == coded
    projection = found.projection
    assert projection is not None and projection.kept in (32, 48)
    assert np.allclose(projection.matrix.T @ projection.matrix, np.eye(projection.kept), atol=0.01)
    assert 0.8 < projection.floor < 1


def test_vectors_without_structure_and_small_ones_are_left_whole() -> None:
    random = np.random.default_rng(1).standard_normal((ROWS, DIM)).astype(np.float32)
    whole = pca.Choice(None, False)
    assert pca.choose("l2", random, coded=False) == whole
    assert pca.choose("l2", VECTORS[: pca.LEAST_ROWS - 1], coded=False) == whole
    assert pca.choose("l2", np.ascontiguousarray(VECTORS[:, :64]), coded=False) == whole
    beyond = VECTORS * np.float32(1e30)  # beyond float32 when squared
    assert pca.choose("ip", beyond, coded=False) == pca.choose("ip", beyond, coded=True) == whole
    zero = pca.choose("cosine", np.zeros((ROWS, DIM), np.float32), coded=True)
    assert zero is not None and zero.projection is not None and zero.coded


def test_codes_are_used_only_where_they_keep_the_neighbours() -> None:
    random = np.random.default_rng(1).standard_normal((2000, DIM)).astype(np.float32)
    assert pca.choose("l2", random, coded=True) == pca.Choice(None, True)
    # One number of each vector is so large that the others are lost in a 127th of it, and they alone differ.
    random[:, 0] = 1e5
    assert pca.choose("l2", random, coded=True) == pca.Choice(None, False)
    many = np.repeat(random[:20], 100, axis=0)  # at one distance, one row is as good as another
    many[:, 0] = 1
    assert pca.choose("l2", many, coded=True) == pca.Choice(None, True)


def test_a_code_rounds_to_a_127th_of_the_largest_number() -> None:
    vectors = np.array([[0, 0], [127, -1], [1, 0.3], [-5, 5]], np.float32)
    expected = [[0, 0], [127, -1], [1, 38 / 127], [-5, 5]]
    assert np.allclose(pca.as_coded(vectors), expected, rtol=1e-6)


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_answers_are_those_of_whole_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    queries = VECTORS[::200] + np.float32(0.05)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection(
            "few", embedding_function=None, configuration={"hnsw": {"space": space}}
        )
        collection.add(
            ids=[str(row) for row in range(ROWS)],
            embeddings=VECTORS,
            metadatas=[{"n": row} for row in range(ROWS)],
        )
        collection.compact()
        (held,) = collection._backend.engine._open.values()
        (graph,) = [graph for _, graph in held.graphs._loaded.values()]
        assert graph.dimension < DIM and graph.projected and graph.coded
        for where in (None, {"n": {"$gte": ROWS // 2}}, {"n": {"$lt": ROWS * 9 // 10}}):
            exact = collection.query(query_embeddings=queries, n_results=10, exact=True, where=where)
            fast = collection.query(query_embeddings=queries, n_results=10, where=where)
            shared = 0
            for line in range(len(queries)):
                right = dict(zip(exact["ids"][line], exact["distances"][line], strict=True))
                got = dict(zip(fast["ids"][line], fast["distances"][line], strict=True))
                assert len(got) == 10 and list(got.values()) == sorted(got.values())
                assert all(right[id] == got[id] for id in got if id in right)
                shared += len(set(right) & set(got))
            assert shared >= 0.95 * 10 * len(queries)
            one = collection.query(query_embeddings=queries[3], n_results=10, where=where)
            assert one["distances"][0] == pytest.approx(fast["distances"][3])


def test_queries_unlike_the_rows_are_known() -> None:
    graph = built("cosine")
    random = np.random.default_rng(2).standard_normal((3, DIM)).astype(np.float32)
    parameters = SearchParameters(5, 20, 20)
    for queries, expected in ((VECTORS[:3], False), (random, True)):
        assert graph.search(queries, VECTORS, parameters, None, 1).counts[:, 1].tolist() == 3 * [expected]
        assert graph.search(queries[:1], VECTORS, parameters, None, 1).counts[:, 1].tolist() == [expected]


@pytest.mark.parametrize("batch", [False, True])
def test_queries_unlike_the_rows_get_more_effort(batch: bool) -> None:
    graph = built("l2")
    queries = VECTORS[::300].copy()
    queries[3] = np.random.default_rng(2).standard_normal(DIM) * 10
    parameters = SearchParameters(10, 100, 30, 4)
    found = graph.search(queries, VECTORS, parameters, None, 2) if batch else None
    for line, query in enumerate(queries):
        hits = graph.search(query[None, :], VECTORS, parameters, None, 1)
        assert hits.counts.tolist() == [[120, 1] if line == 3 else [30, 0]]
        if found is not None:
            assert np.array_equal(found.rows[line], hits.rows[0])
            assert np.array_equal(found.counts[line], hits.counts[0])
    exact = np.argsort(((VECTORS - queries[3]) ** 2).sum(axis=1))[:10]
    assert len(np.intersect1d(graph.search(queries[3:4], VECTORS, parameters, None, 1).rows, exact)) >= 8


@pytest.mark.parametrize("length", [1e-30, 1e-12, 1e-6, 1e-3, 1, 1e3, 1e12, 1e18])
def test_the_length_of_a_query_does_not_matter_to_angles(length: float) -> None:
    graph, parameters = built("cosine"), SearchParameters(10, 100, 20)
    for query in VECTORS[:20]:
        one = graph.search(query[None, :], VECTORS, parameters, None, 1).rows
        other = graph.search((query * np.float32(length))[None, :], VECTORS, parameters, None, 1).rows
        assert len(np.intersect1d(one, other)) >= 9


def test_stored_vectors_are_not_unlike_themselves() -> None:
    exact = np.zeros((ROWS, DIM), np.float32)
    exact[:, :24] = np.random.default_rng(4).standard_normal((ROWS, 24))  # nothing is lost by reducing these
    for vectors in (VECTORS, exact):
        found = pca.choose("l2", vectors, coded=True)
        assert found is not None and found.projection is not None
        projection = found.projection
        assert len(projection.out_of_distribution(vectors, projection.apply(vectors))) <= 0.005 * ROWS


def test_choosing_ends_when_it_is_told_to() -> None:
    assert pca.choose("l2", VECTORS, coded=True, stopped=lambda: True) is None


def test_of_a_large_k_fewer_candidates_are_reranked() -> None:
    assert [pca.rerank_least(k) for k in (1, 10, 25, 40, 50, 51, 100, 1000)] == [
        2, 20, 50, 65, 75, 76, 150, 1500,
    ]  # fmt: skip


@pytest.mark.parametrize("space", ["cosine", "l2"])
def test_choosing_takes_no_more_memory_than_it_says(space: Space) -> None:
    rows, dimension = 9000, 384
    vectors = np.random.default_rng(5).normal(size=(rows, dimension)).astype(np.float32)
    pca.choose(space, vectors[:200], coded=True)  # what the libraries load is not counted
    tracemalloc.start()
    try:
        pca.choose(space, vectors, coded=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 4 * rows * dimension < peak <= pca.choosing_bytes(rows, dimension)
