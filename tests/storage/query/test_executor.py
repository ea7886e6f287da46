"""Plans are run: each gives a full and good answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.storage.filters.parser import parse
from chroma.storage.interface.requests import QueryRequest, Selection
from chroma.storage.query import planner
from chroma.storage.query.executor import (
    Candidates,
    SearchablePart,
    execute,
    execute_batch,
    searchable,
)
from chroma.storage.query.plan_history import PlanHistory
from chroma.storage.query.planner import (
    CallbackGraphSearch,
    FilteredGraphSearch,
    GraphSearch,
    Nothing,
    Plan,
    PlanEach,
    ScanAll,
    ScanAllowed,
)
from chroma.storage.query.trace import described

ROWS, DIM = 4000, 16
VECTORS = np.random.default_rng(3).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture()
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    with chroma.PersistentClient(tmp_path) as client:
        made = client.create_collection("things", embedding_function=None)
        metadatas = [{"n": row, "low": bool(VECTORS[row, 0] < 0)} for row in range(ROWS)]
        made.add(ids=[str(row) for row in range(ROWS)], embeddings=VECTORS, metadatas=metadatas)
        made.compact()
        yield made


def _part(collection: Any, where: Any) -> SearchablePart:
    """The only segment, as a query for the ten nearest with this filter sees it."""
    (held,) = collection._backend.engine._open.values()
    snapshot = held.store.snapshot()
    (view,) = snapshot.views
    request = QueryRequest(vectors=VECTORS[:1], k=10, selection=Selection(where=where))
    source = held._source._replace(history=PlanHistory())
    return searchable(held._search(request), view, source)


def _rows(part: SearchablePart, chosen: Plan, queries: Any, batch: bool) -> list[list[int]]:
    """What one plan finds for all queries at once, or for each of them."""
    if batch:
        return [[row for row in rows if row >= 0] for rows in _ranked(execute_batch(chosen, part, queries))]
    assert part.graph is not None
    return [
        execute(chosen, part, query, part.graph.prepare(query[None, :])[0])[0].tolist() for query in queries
    ]


def _ranked(found: Candidates) -> Any:
    order = np.argsort(found.distances, axis=1)[:, :10]  # in a batch, only the merge ranks
    return np.take_along_axis(found.rows, order, axis=1).tolist()


# Queries on the far side of what the filter keeps: the graph's first candidates are all filtered out.
QUERIES = VECTORS[VECTORS[:, 0] > 1][:30] + np.eye(1, DIM, dtype=np.float32) * 2
OVERFETCH = FilteredGraphSearch(100, 200, 10, PlanEach())


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("where", [{"low": True}, {"n": {"$gte": 300}}, {"n": {"$lt": 400}}])
@pytest.mark.parametrize(
    "chosen",
    [
        None,  # the planner's choice
        replace(OVERFETCH, fallback=ScanAllowed()),
        replace(OVERFETCH, fallback=CallbackGraphSearch(200, 20, 10)),
        CallbackGraphSearch(200, 20, 10),
        ScanAllowed(),
    ],
    ids=["chosen", "over-fetch, then scan", "over-fetch, then callback", "callback", "scan"],
)
def test_every_plan_finds_what_matches(collection: Any, chosen: Plan | None, where: Any, batch: bool) -> None:
    exact = collection.query(query_embeddings=QUERIES, n_results=10, where=where, exact=True)["ids"]
    if chosen is not None:
        found = [
            [str(row) for row in rows] for rows in _rows(_part(collection, where), chosen, QUERIES, batch)
        ]
    elif batch:
        found = collection.query(query_embeddings=QUERIES, n_results=10, where=where)["ids"]
    else:
        found = [
            collection.query(query_embeddings=[query], n_results=10, where=where)["ids"][0]
            for query in QUERIES
        ]
    assert all(len(ids) == 10 for ids in found)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)]) >= 0.95


@pytest.mark.parametrize("batch", [False, True])
def test_a_plan_without_a_filter_finds_what_is_near(collection: Any, batch: bool) -> None:
    exact = collection.query(query_embeddings=QUERIES, n_results=10, exact=True)["ids"]
    for chosen, recall in ((GraphSearch(100, 10, 10), 0.95), (ScanAll(), 1)):
        found = _rows(_part(collection, None), chosen, QUERIES, batch)
        shared = [len({*map(str, rows)} & set(ids)) / 10 for rows, ids in zip(found, exact, strict=True)]
        assert np.mean(shared) >= recall


def test_a_graph_that_reaches_too_few_rows_is_answered_by_a_scan(collection: Any) -> None:
    part = _part(collection, {"low": True})
    assert part.allowed is not None and part.graph is not None
    query, projected = QUERIES[0], part.graph.prepare(QUERIES[:1])[0]
    scanned, distances = execute(ScanAllowed(), part, query, None)
    narrow = CallbackGraphSearch(10, 4, 10)  # four candidates are fewer than ten
    for chosen in (
        narrow,
        FilteredGraphSearch(10, 4, 10, narrow),
        FilteredGraphSearch(10, 4, 10, PlanEach()),
    ):
        found = execute(chosen, part, query, projected)
        assert (found[0].tolist(), found[1].tolist()) == (scanned.tolist(), distances.tolist())
    whole = _part(collection, None)
    found = execute(GraphSearch(10, 4, 10), whole, query, projected)
    assert found[0].tolist() == execute(ScanAll(), whole, query, None)[0].tolist()


def test_explain_states_the_plans_of_a_query(collection: Any) -> None:
    (held,) = collection._backend.engine._open.values()

    def plans(where: Any, queries: int = 1, exact: bool = False) -> list[Any]:
        explained = collection.query(
            query_embeddings=VECTORS[:queries], where=where, exact=exact, explain=True
        )["explain"]
        assert [part.name for part in explained.parts] == [v.source.name for v in held.store.snapshot().views]
        return [part.runs[0].plan for part in explained.parts]

    scan_all, scan_allowed, nothing = map(described, (ScanAll(), ScanAllowed(), Nothing()))
    assert plans(None) == plans(None, 2) == [described(GraphSearch(100, 10, 10))]
    assert plans(None, exact=True) == [scan_all]
    assert plans({"n": -1}) == plans({"n": -1}, 2) == [nothing]
    assert plans({"n": {"$lt": 400}}) == [scan_allowed]
    collection.delete(ids=["7"])
    collection.add(ids=["new"], embeddings=VECTORS[:1])
    after = plans(None)
    assert after[-1] == scan_all  # the memtable
    assert after[0] in (scan_allowed, described(FilteredGraphSearch(100, 38, 10, ScanAllowed())))
    assert plans({"n": 3})[-1] == nothing


def test_a_miss_has_the_next_queries_with_the_same_filter_skip_the_graph(collection: Any) -> None:
    part = _part(collection, {"low": True})
    assert part.graph is not None
    chosen = FilteredGraphSearch(10, 10, 11, ScanAllowed())  # ten candidates are never enough
    execute(chosen, part, QUERIES[0], part.graph.prepare(QUERIES[:1])[0])
    segment, node = part.view.source.name, part.search.node
    assert part.history.backs_off(segment, node)
    assert not part.history.backs_off(segment, parse(Selection(where={"n": 1})))
    assert not part.history.backs_off("another", node)


def test_effort_is_as_configured_up_to_a_size_and_grows_with_it() -> None:
    assert planner.scaled_ef(100, 1000) == planner.scaled_ef(100, 100_000) == 100
    assert planner.scaled_ef(100, 200_000) == 150
    assert planner.scaled_ef(20, 400_000) == 40


def test_a_batch_over_a_segment_with_a_few_dead_rows_is_whole(collection: Any) -> None:
    collection.delete(ids=[str(row) for row in range(200)])
    found = collection.query(query_embeddings=VECTORS[:100], n_results=10)["ids"]
    assert all(len(ids) == 10 for ids in found)
    assert not {id for ids in found for id in ids} & {str(row) for row in range(200)}
