"""Which plans an explanation names: those of the planner, with misses and fallbacks, per segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.storage.index.graph import Hits
from chroma.storage.index.native_graph import NativeGraph
from chroma.storage.query.planner import FilteredGraphSearch, ScanAllowed
from chroma.storage.query.trace import Trace

ROWS, DIM = 4000, 16
VECTORS = np.random.default_rng(3).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
        with chroma.PersistentClient(tmp_path_factory.mktemp("db")) as client:
            made = client.create_collection("things", embedding_function=None)
            metadatas = [{"n": row, "low": bool(VECTORS[row, 0] < 0)} for row in range(ROWS)]
            made.add(ids=[str(row) for row in range(ROWS)], embeddings=VECTORS, metadatas=metadatas)
            made.compact()
            made.add(ids=["last"], embeddings=VECTORS[:1])
            yield made


def _runs(collection: Any, queries: Any, **arguments: Any) -> list[tuple[bool, list[Any]]]:
    explained = collection.query(query_embeddings=queries, explain=True, **arguments)["explain"]
    for part in explained.parts:
        for run in part.runs:
            assert f"{run.plan['name']}(" in repr(explained)
    return [
        (part.indexed, [(run.plan["name"], run.queries, run.misses) for run in part.runs])
        for part in explained.parts
    ]


def test_graph_and_memtable(collection: Any) -> None:
    for count in (1, 20):
        assert _runs(collection, VECTORS[:count]) == [
            (True, [("GraphSearch", count, 0)]),
            (False, [("ScanAll", count, 0)]),
        ]
        assert _runs(collection, VECTORS[:count], exact=True) == [
            (False, [("ScanAll", count, 0)]),
            (False, [("ScanAll", count, 0)]),
        ]


def test_misses_and_fallbacks(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma.storage.query.planner.GRAPH_ADVANTAGE", 0.0)  # never scan first
    (runs, _) = _runs(collection, VECTORS[:1], where={"low": True})
    assert runs == (True, [("FilteredGraphSearch", 1, 0)])
    # a limit on the distance is no reason for a graph to miss
    assert _runs(collection, VECTORS[:1], max_distance=0) == _runs(collection, VECTORS[:1])
    (runs, _) = _runs(collection, VECTORS[:4], where={"n": {"$gte": 100}})
    assert runs == (True, [("FilteredGraphSearch", 4, 0)])

    def finds_nothing(self: Any, queries: Any, vectors: Any, parameters: Any, *_: Any) -> Hits:
        return Hits.none(len(queries), parameters.k)

    monkeypatch.setattr(NativeGraph, "search", finds_nothing)
    for count in (1, 4):
        (runs, _) = _runs(collection, VECTORS[:count], where={"low": True})
        assert runs == (True, [("FilteredGraphSearch", count, count), ("ScanCodes", count, 0)])


def test_steps_within_steps_are_counted_once() -> None:
    trace = Trace()
    trace.begin()
    trace.part("seg", 9, 3, True)
    trace.ran("seg", FilteredGraphSearch(1, 2, 3, ScanAllowed()), 1, 5, 1)
    trace.ran("seg", FilteredGraphSearch(1, 2, 3, ScanAllowed()), 1, 4, 0)
    with trace.step("search"), trace.step("filter"):
        sum(range(10_000))
    explained = trace.explanation(streamed=True)
    assert explained.seconds["filter"] > 10 * explained.seconds["search"]  # type: ignore[operator]
    assert explained.seconds["read"] is None
    (run,) = explained.parts[0].runs
    assert run.plan == {
        "name": "FilteredGraphSearch", "ef": 1, "width": 2, "minimum": 3, "fallback": {"name": "ScanAllowed"},
    }  # fmt: skip
    assert (run.queries, run.candidates, run.misses) == (2, 9, 1)
    assert "fallback=ScanAllowed()): 9 candidates of 2 queries, 1 missed" in repr(explained)


def test_a_sparse_search_ran_where_it_found_nothing() -> None:
    schema = chroma.Schema().create_index(chroma.SparseVectorIndexConfig(), "lex")
    with chroma.EphemeralClient(private=True) as client:
        made = client.create_collection("things", schema=schema, embedding_function=None)
        for term in (1, 2):
            vector = chroma.SparseVector([term], [1.0])
            made.add(ids=[str(term)], embeddings=[[1.0]], metadatas=[{"lex": vector}])
            if term == 1:
                made.compact()
        search = chroma.Search().rank(chroma.Knn(chroma.SparseVector([1], [1.0]), key="lex"))
        (explained,) = made.search(search, explain=True)["explain"]
    assert [[run.candidates for run in part.runs] for part in explained.parts] == [[1], [0]]
