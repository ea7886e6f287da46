"""Graphs of reduced vectors: when there are any, that answers stay right, and what the sidecar keeps."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import xxhash

import chroma
from chroma.storage.index import graph_file, hnsw
from chroma.storage.interface.errors import Corruption
from chroma.storage.io.checksummed_writer import Hashing
from chroma.storage.manifest import FileRef
from chroma.storage.query.plan_history import PlanHistory
from chroma.storage.query.planner import candidates
from chroma.storage.vectors import pca
from chroma.storage.vectors.distance import Space, normalised

ROWS, DIM = 9000, 128


def _patches(rows: int, rank: int, dimension: int = DIM) -> Any:
    """Vectors of a few dozen directions and a little noise, as embeddings are."""
    random = np.random.default_rng(5)
    centres = random.standard_normal((40, rank))
    flat = centres[random.integers(0, 40, rows)] + 0.5 * random.standard_normal((rows, rank))
    turned = flat @ random.standard_normal((rank, dimension))
    return (turned + 0.1 * random.standard_normal((rows, dimension))).astype(np.float32)


VECTORS = _patches(ROWS, 24)


class _Sink(Hashing):
    def __init__(self) -> None:
        super().__init__()
        self.out = io.BytesIO()

    def write(self, data: Any) -> int:
        self.out.write(data)
        return self._add(data)


def _built(space: Space, vectors: Any = VECTORS) -> hnsw.Graph:
    graph = hnsw.build(space, vectors, max_neighbors=8, ef_construction=40, threads=2, stopped=lambda: False)
    assert graph is not None
    return graph


def _ref(data: bytes) -> FileRef:
    return FileRef("graph", len(data), xxhash.xxh3_64_hexdigest(data))


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_vectors_of_few_directions_are_reduced(space: Space) -> None:
    found = pca.choose(space, VECTORS)
    assert found is not None and found.kept in (32, 48)
    assert np.allclose(found.matrix.T @ found.matrix, np.eye(found.kept), atol=0.01)
    assert 0.8 < found.floor < 1


def test_vectors_without_structure_and_small_ones_are_left_whole() -> None:
    random = np.random.default_rng(1)
    assert pca.choose("l2", random.standard_normal((ROWS, DIM)).astype(np.float32)) is None
    assert pca.choose("l2", VECTORS[: pca.LEAST_ROWS - 1]) is None
    assert pca.choose("l2", np.ascontiguousarray(VECTORS[:, :64])) is None
    assert pca.choose("ip", VECTORS * np.float32(1e30)) is None  # beyond float32 when squared
    assert pca.choose("cosine", np.zeros((ROWS, DIM), np.float32)) is not None


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
        assert graph.dimension < DIM and graph.projection is not None
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


def test_all_that_a_walk_finds_is_ranked_within_bounds() -> None:
    assert [candidates(10, ef, projected=True) for ef in (10, 24, 28, 100)] == [20, 24, 28, 30]
    assert candidates(100, 100, projected=True) == 150
    assert candidates(10, 100, projected=False) == 10


def test_a_filter_that_keeps_half_of_the_rows_is_answered_by_walks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    misses: list[int] = []
    missed = PlanHistory.missed
    monkeypatch.setattr(PlanHistory, "missed", lambda *given: misses.append(1) or missed(*given))
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection(
            "few", embedding_function=None, configuration={"hnsw": {"space": "cosine", "ef_search": 28}}
        )
        half = np.random.default_rng(4).integers(0, 2, ROWS).tolist()
        collection.add(
            ids=[str(row) for row in range(ROWS)],
            embeddings=VECTORS,
            metadatas=[{"half": value} for value in half],
        )
        collection.compact()
        plans = []
        for query in VECTORS[::90]:
            found = collection.query(query_embeddings=query, n_results=10, where={"half": 1}, explain=True)
            plans += [part.runs[0].plan["name"] for part in found["explain"].parts]
        searches = plans.count("FilteredGraphSearch")
    assert len(plans) == 100
    assert len(plans) - searches + len(misses) <= 10, (
        "scans: after one miss, and those that then skip the graph"
    )


def test_queries_unlike_the_rows_are_known() -> None:
    graph = _built("cosine")
    random = np.random.default_rng(2).standard_normal((3, DIM)).astype(np.float32)
    for queries, expected in ((VECTORS[:3], False), (random, True)):
        assert graph.prepare(queries)[1] == ([0, 1, 2] if expected else [])
        assert graph.prepare(queries[:1])[1] == ([0] if expected else [])


@pytest.mark.parametrize("batch", [False, True])
def test_queries_unlike_the_rows_get_more_effort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: bool
) -> None:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    asked: list[tuple[int, int, int]] = []
    usual = 10 * pca.RERANK_MOST  # ef is 100
    search = hnsw.Graph.search

    def watched(self: Any, prepared: Any, count: int, ef: int, threads: int) -> Any:
        asked.append((len(prepared), count, ef))
        return search(self, prepared, count, ef, threads)

    monkeypatch.setattr(hnsw.Graph, "search", watched)
    queries = VECTORS[::300].copy()
    queries[3] = np.random.default_rng(2).standard_normal(DIM) * 10
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("few", embedding_function=None)
        collection.add(ids=[str(row) for row in range(ROWS)], embeddings=VECTORS)
        collection.compact()
        exact = collection.query(query_embeddings=queries, n_results=10, exact=True)["ids"]
        assert not asked
        if batch:
            found = collection.query(query_embeddings=queries, n_results=10)["ids"]
            assert asked == [(30, usual, 100), (1, 4 * usual, 400)]
        else:
            found = [collection.query(query_embeddings=q, n_results=10)["ids"][0] for q in queries]
            assert asked == [(1, 4 * usual, 400) if line == 3 else (1, usual, 100) for line in range(30)]
    assert len(set(found[3]) & set(exact[3])) >= 8
    assert found[4] == exact[4]


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
@pytest.mark.parametrize("rows", [200, ROWS])
def test_a_sidecar_gives_the_same_graph_back(space: Space, rows: int) -> None:
    vectors = VECTORS[:rows]
    graph, sink = _built(space, vectors), _Sink()
    graph_file.write(graph, sink)
    data = sink.out.getvalue()
    assert len(data) < rows * (3 * 16 + 16) + 4 * DIM * 64 + 2048  # links that are there, and no vectors
    again = graph_file.read("graph", memoryview(data), _ref(data), space=space, vectors=vectors)
    assert (again.projection is None) == (graph.projection is None) == (rows == 200)
    queries = vectors[::37] + np.float32(0.01)
    for ef in (10, 40):
        prepared, _ = graph.prepare(queries)
        assert np.array_equal(again.prepare(queries)[0], prepared)
        assert np.array_equal(again.search(prepared, 10, ef, 1), graph.search(prepared, 10, ef, 1))


@pytest.mark.parametrize("rows, size", [(2, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 3), (1 << 24, 3)])
def test_links_take_as_many_bytes_as_rows_need(rows: int, size: int) -> None:
    assert graph_file._link_bytes(rows) == size


def test_a_sidecar_of_many_neighbours_is_read() -> None:
    vectors = np.random.default_rng(3).standard_normal((900, 64)).astype(np.float32)
    vectors[0] = 0  # near to all: it gets more links than a byte counts
    graph, sink = (
        hnsw.build("l2", vectors, max_neighbors=200, ef_construction=200, threads=2, stopped=lambda: False),
        _Sink(),
    )
    assert graph is not None
    graph_file.write(graph, sink)
    data = sink.out.getvalue()
    again = graph_file.read("graph", memoryview(data), _ref(data), space="l2", vectors=vectors)
    assert again is not None
    assert np.array_equal(again.search(vectors[:9], 10, 50, 1), graph.search(vectors[:9], 10, 50, 1))


@pytest.mark.parametrize("length", [1e-30, 1e-12, 1e-6, 1e-3, 1, 1e3, 1e12, 1e18])
def test_the_length_of_a_query_does_not_matter_to_angles(length: float) -> None:
    graph = _built("cosine")
    for query in normalised(VECTORS[:20]):
        one, _ = graph.prepare(query[None, :])
        other, _ = graph.prepare((query * np.float32(length))[None, :])
        assert len(np.intersect1d(graph.search(one, 10, 100, 1), graph.search(other, 10, 100, 1))) >= 9


def test_stored_vectors_are_not_unlike_themselves() -> None:
    exact = np.zeros((ROWS, DIM), np.float32)
    exact[:, :24] = np.random.default_rng(4).standard_normal((ROWS, 24))  # nothing is lost by reducing these
    for vectors in (VECTORS, exact):
        found = pca.choose("l2", vectors)
        assert found is not None
        assert len(found.out_of_distribution(vectors, found.apply(vectors))) <= 0.005 * ROWS


def test_choosing_ends_when_it_is_told_to() -> None:
    assert pca.choose("l2", VECTORS, lambda: True) is None
    assert (
        hnsw.build("l2", VECTORS, max_neighbors=8, ef_construction=40, threads=2, stopped=lambda: True)
        is None
    )


def _format_1(graph: hnsw.Graph) -> bytes:
    """The sidecar as the first format had it: hnswlib's link lists and labels, in the order of insertion."""
    state = graph.state()
    ground = state["data_level0"].reshape(-1, state["size_data_per_element"])[: graph.rows]
    labels = np.ascontiguousarray(ground[:, state["label_offset"] :]).view(np.uint64).reshape(-1)
    arrays = {
        "links": np.ascontiguousarray(ground[:, : state["offset_data"]]),
        "labels": labels.astype(np.uint32),
        "levels": state["element_levels"][: graph.rows].astype(np.uint8),
        "upper": state["link_lists"],
    }
    header: dict[str, Any] = {
        "state": {key: value for key, value in state.items() if not isinstance(value, np.ndarray)},
        "rows": graph.rows,
        "space": graph.space,
        "arrays": {},
    }
    body = b""
    for name, array in arrays.items():
        header["arrays"][name] = [array.dtype.str, list(array.shape), len(body)]
        body += array.tobytes() + bytes(-array.nbytes % 64)
    text = orjson.dumps(header)
    text += b" " * (-(16 + len(text)) % 64)
    return struct.pack("<8sII", b"CHROMHNS", len(text), 0) + text + body


def test_sidecars_of_the_first_format_are_read() -> None:
    vectors = VECTORS[:3000]
    graph = _built("l2", vectors)
    data = _format_1(graph)
    again = graph_file.read("graph", memoryview(data), _ref(data), space="l2", vectors=vectors)
    queries = vectors[::37] + np.float32(0.01)
    prepared, _ = graph.prepare(queries)
    assert np.array_equal(again.search(prepared, 10, 30, 1), graph.search(prepared, 10, 30, 1))


def test_a_sidecar_that_does_not_fit_is_refused() -> None:
    vectors, sink = VECTORS[:3000], _Sink()
    graph_file.write(_built("l2", vectors), sink)
    data = sink.out.getvalue()
    for space, others in (("l2", vectors[:-1]), ("l2", vectors[:, :64]), ("ip", vectors)):
        with pytest.raises(Corruption, match="does not belong"):
            graph_file.read(
                "graph", memoryview(data), _ref(data), space=space, vectors=np.ascontiguousarray(others)
            )  # type: ignore[arg-type]
    with pytest.raises(Corruption, match="checksum"):
        graph_file.read("graph", memoryview(data), _ref(data[:-1] + b"x"), space="l2", vectors=vectors)
    with pytest.raises(Corruption, match="not an index file"):
        other = b"CHROMHN9" + data[8:]
        graph_file.read("graph", memoryview(other), _ref(other), space="l2", vectors=vectors)


def test_of_a_large_k_fewer_candidates_are_reranked() -> None:
    assert [pca.rerank_least(k) for k in (1, 10, 25, 40, 50, 51, 100, 1000)] == [
        2, 20, 50, 65, 75, 76, 150, 1500,
    ]  # fmt: skip
