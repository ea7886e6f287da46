"""A query keeps its plan: the next one like it neither plans nor sees anything older than the collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
import chroma.storage.collection.collection
from chroma.errors import InvalidArgumentError
from chroma.storage.index.graph import Damaged
from chroma.storage.native import kernel
from chroma.storage.query import executor, planner

ROWS, DIM = 1200, 12
VECTORS = np.random.default_rng(5).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture(params=["codes", "hnswlib"])
def collection(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    if request.param == "hnswlib":
        monkeypatch.setattr(kernel, "graph", None)
    with chroma.PersistentClient(tmp_path) as client:
        made = client.create_collection("things", embedding_function=None)
        metadatas = [{"n": row} for row in range(ROWS)]
        documents = [f"text {row}" for row in range(ROWS)]
        ids = [str(row) for row in range(ROWS)]
        made.add(ids=ids, embeddings=VECTORS, metadatas=metadatas, documents=documents)
        made.compact()
        yield made


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each call that is planned."""
    made: list[int] = []
    run = executor.run

    def counted(*args: Any) -> Any:
        made.append(1)
        return run(*args)

    monkeypatch.setattr(executor, "run", counted)
    return made


def _held(collection: Any) -> Any:
    return next(iter(collection._backend.engine._open.values()))


def _plain(collection: Any, query: int, n_results: int = 5) -> Any:
    return collection.query(query_embeddings=[VECTORS[query]], n_results=n_results)


_FILTERS = {
    "none": None,
    "few": {"n": {"$lt": 30}},
    "some": {"n": {"$lt": 400}},
    "most": {"n": {"$gte": 50}},
    "all": {"n": {"$gte": 0}},
}


@pytest.mark.parametrize("where", _FILTERS.values(), ids=_FILTERS.keys())
def test_the_third_query_is_not_planned_and_answers_alike(
    collection: Any, plans: list[int], where: Any
) -> None:
    kept = {"where": where, "n_results": 5}
    for _ in range(2):
        collection.query(query_embeddings=[VECTORS[0]], **kept)
    before, scanned = len(plans), _held(collection)._prepared is None
    for query in range(1, 40):
        found = collection.query(query_embeddings=[VECTORS[query]], **kept)
        assert scanned or len(plans) == before
        before = len(plans)
        # Two queries in one call are always planned.
        planned = collection.query(query_embeddings=VECTORS[[query, query]], **kept)
        assert len(plans) == before + 1
        for column in ("ids", "distances", "documents", "metadatas"):
            assert found[column] == planned[column][:1], column
        before = len(plans)


@pytest.mark.parametrize(
    "options",
    [
        {"n_results": 6},
        {"include": ["documents"]},
        {"where": {"n": {"$lt": 100}}},
        {"where_document": {"$contains": "text 1"}},
        {"ids": ["1", "2", "3", "4", "5", "6"]},
        {"exact": True},
        {"max_distance": 500.0},
        {"diversity": 0.5},
        {"explain": True},
        {"offset": 2},
    ],
    ids=lambda options: next(iter(options)),
)
def test_another_request_is_planned_anew(collection: Any, plans: list[int], options: dict[str, Any]) -> None:
    for _ in range(2):
        _plain(collection, 0)
    before = len(plans)
    found = collection.query(**({"query_embeddings": [VECTORS[0]], "n_results": 5} | options))
    assert len(plans) > before
    assert len(found["ids"][0]) == options.get("n_results", 5)


def _added(collection: Any) -> list[str]:
    collection.add(ids=["new"], embeddings=[VECTORS[7]], documents=["a new one"])
    return ["7", "new"]


def _deleted(collection: Any) -> list[str]:
    collection.delete(ids=["7"])
    return []


def _updated(collection: Any) -> list[str]:
    collection.update(ids=["7"], metadatas=[{"n": -7}])
    return ["7"]


def _moved(collection: Any) -> list[str]:
    collection.update(ids=["7"], embeddings=[-VECTORS[7]])
    return []


@pytest.mark.parametrize("change", [_added, _deleted, _updated, _moved])
def test_a_write_is_seen_by_the_next_query(collection: Any, change: Any) -> None:
    for _ in range(2):
        _plain(collection, 7)
    expected = change(collection)
    for _ in range(2):
        found = _plain(collection, 7)
        near = [id for id, far in zip(found["ids"][0], found["distances"][0]) if far < 1e-4]
        assert near == expected
        if change is _updated:
            assert found["metadatas"][0][0] == {"n": -7}


def test_another_ef_search_is_followed(collection: Any, plans: list[int]) -> None:
    for _ in range(2):
        _plain(collection, 0)
    collection.modify(configuration={"hnsw": {"ef_search": 300}})
    before = len(plans)
    _plain(collection, 0)
    assert len(plans) == before + 1
    assert _held(collection)._prepared.ef == 300


def test_another_dimension_is_refused_as_ever(collection: Any) -> None:
    for _ in range(2):
        _plain(collection, 0)
    with pytest.raises(InvalidArgumentError):
        collection.query(query_embeddings=[[1.0, 2.0]], n_results=5)


def _each_vector_twice(client: Any) -> Any:
    made = client.create_collection("things", embedding_function=None)
    twice = np.repeat(VECTORS[:1000], 2, axis=0)
    made.add(ids=[str(row) for row in range(2000)], embeddings=twice)
    made.compact()
    return made


def test_ties_are_in_insertion_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    with chroma.PersistentClient(tmp_path) as client:
        made = _each_vector_twice(client)
        for query in range(20):
            found = made.query(query_embeddings=[VECTORS[query]], n_results=2)
            assert found["ids"] == [[str(2 * query), str(2 * query + 1)]]


def test_damage_is_met_and_reported_as_ever(
    collection: Any, plans: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        _plain(collection, 0)
    held = _held(collection)
    graph = held._prepared.graph()

    def damaged(*_: Any) -> Any:
        raise Damaged("a link leads nowhere")

    monkeypatch.setattr(type(graph), "search", damaged)
    before = len(plans)
    assert _plain(collection, 0)["ids"][0][0] == "0"
    assert len(plans) == before + 1
    assert all(loaded is not graph for _, loaded in held.graphs._loaded.values())


def test_a_graph_that_is_released_is_not_kept(collection: Any) -> None:
    for _ in range(2):
        _plain(collection, 0)
    held = _held(collection)
    prepared = held._prepared
    assert prepared.graph() is not None
    held.graphs.release()
    assert prepared.graph() is None
    assert _plain(collection, 3)["ids"][0][0] == "3"


def test_a_filter_that_was_changed_in_its_place_is_another(collection: Any) -> None:
    where = {"n": {"$gte": 100}}
    for bound in (100, 200, 1190):
        where["n"]["$gte"] = bound
        for _ in range(3):
            found = collection.query(query_embeddings=[VECTORS[0]], n_results=5, where=where)
            assert all(metadata["n"] >= bound for metadata in found["metadatas"][0])


def test_equal_values_of_other_types_are_other_filters(collection: Any) -> None:
    collection.update(ids=["1"], metadatas=[{"n": True}])
    for value, expected in ((1, []), (True, ["1"]), (1, [])) * 2:
        for _ in range(3):
            found = collection.query(query_embeddings=[VECTORS[0]], n_results=5, where={"n": value})
            assert found["ids"] == [expected]


def test_a_key_that_no_record_has_is_reported_each_time(collection: Any) -> None:
    for _ in range(4):
        with pytest.warns(UserWarning, match="nn"):
            collection.query(query_embeddings=[VECTORS[0]], n_results=5, where={"nn": {"$ne": 3}})


def test_several_segments_are_planned_each_time(collection: Any, plans: list[int]) -> None:
    collection.add(ids=["new"], embeddings=[VECTORS[7]])
    for _ in range(3):
        before = len(plans)
        _plain(collection, 7)
        assert len(plans) == before + 1
    assert _held(collection)._prepared is None


def test_a_query_with_equal_distances_keeps_its_plan(
    tmp_path: Path, plans: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    with chroma.PersistentClient(tmp_path) as client:
        made = _each_vector_twice(client)
        for query in range(8):
            found = made.query(query_embeddings=[VECTORS[query]], n_results=2)
            assert found["ids"] == [[str(2 * query), str(2 * query + 1)]]
        assert len(plans) == 2


@pytest.mark.parametrize("where", [None, {"n": {"$gte": 50}}], ids=["all", "filtered"])
def test_a_miss_goes_straight_to_the_fallback(
    collection: Any, plans: list[int], monkeypatch: pytest.MonkeyPatch, where: Any
) -> None:
    monkeypatch.setattr(planner, "GRAPH_ADVANTAGE", 0)  # no scan is faster than the graph
    for _ in range(3):
        found = collection.query(query_embeddings=[VECTORS[99]], n_results=5, where=where)
    held, searched = _held(collection), []
    prepared, before = held._prepared, len(plans)
    assert not prepared.codes and before == 2
    graph = prepared.graph()
    search = type(graph).search

    def misses(*args: Any) -> Any:
        hits = search(*args)
        searched.append(1)
        hits.counts[:, 0] = 1
        return hits

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(graph), "search", misses)
        again = collection.query(query_embeddings=[VECTORS[99]], n_results=5, where=where)
    assert again == found
    assert len(plans) == before and len(searched) == 1 and held._prepared is prepared


def test_queries_that_take_turns_are_planned_once_each(
    collection: Any, plans: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    plan_of = executor.plan_of

    def counted(part: Any) -> Any:
        made.append(1)
        return plan_of(part)

    monkeypatch.setattr(executor, "plan_of", counted)
    for turn in range(10):
        before = len(made)
        _plain(collection, turn, n_results=5 + turn % 2)
        assert len(made) == before + 1


def test_a_plan_that_is_made_while_files_change_is_not_kept(
    collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would drop it, and it keeps the maps of files that are gone."""
    held = _held(collection)
    prepare = chroma.storage.collection.collection.prepare

    def meanwhile(*args: Any) -> Any:
        found = prepare(*args)
        collection.add(ids=["new"], embeddings=[VECTORS[7]])
        collection.compact()
        return found

    _plain(collection, 0)
    with monkeypatch.context() as patch:
        patch.setattr("chroma.storage.collection.collection.prepare", meanwhile)
        _plain(collection, 0)
    assert held._prepared is None
    _plain(collection, 0)
    assert held._prepared is not None


def test_a_plan_that_is_made_while_the_collection_is_closed_is_not_kept(
    collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = _held(collection)
    prepare = chroma.storage.collection.collection.prepare

    def meanwhile(*args: Any) -> Any:
        found = prepare(*args)
        held.close()
        return found

    _plain(collection, 0)
    monkeypatch.setattr("chroma.storage.collection.collection.prepare", meanwhile)
    _plain(collection, 0)
    assert held._prepared is None
