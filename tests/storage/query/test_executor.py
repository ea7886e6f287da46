"""Plans are run: each gives a full and good answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.storage.index.graph import Damaged
from chroma.storage.interface.requests import QueryRequest, Selection
from chroma.storage.native import kernel
from chroma.storage.query.executor import (
    Candidates,
    SearchablePart,
    execute,
    execute_batch,
    searchable,
)
from chroma.storage.query.planner import (
    FilteredGraphSearch,
    GraphSearch,
    Nothing,
    Plan,
    ScanAll,
    ScanAllowed,
    ScanCodes,
)
from chroma.storage.query.trace import described

ROWS, DIM = 4000, 16
VECTORS = np.random.default_rng(3).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture(params=["codes", "hnswlib"])
def collection(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    if request.param == "hnswlib":
        monkeypatch.setattr(kernel, "graph", None)
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
    return searchable(held._search(request), view, held._source)


def _rows(part: SearchablePart, chosen: Plan, queries: Any, batch: bool) -> list[list[int]]:
    """What one plan finds for all queries at once, or for each of them."""
    if batch:
        return [[row for row in rows if row >= 0] for rows in _ranked(execute_batch(chosen, part, queries))]
    return [execute(chosen, part, query)[0].tolist() for query in queries]


def _ranked(found: Candidates) -> Any:
    order = np.argsort(found.distances, axis=1)[:, :10]  # in a batch, only the merge ranks
    return np.take_along_axis(found.rows, order, axis=1).tolist()


# Queries on the far side of what the filter keeps: the graph's first candidates are all filtered out.
QUERIES = VECTORS[VECTORS[:, 0] > 1][:30] + np.eye(1, DIM, dtype=np.float32) * 2
CODES = ScanCodes(30, 10, ScanAllowed())


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("where", [{"low": True}, {"n": {"$gte": 300}}, {"n": {"$lt": 400}}])
@pytest.mark.parametrize(
    "chosen",
    [
        None,  # the planner's choice
        FilteredGraphSearch(200, 30, 10, ScanAllowed()),
        CODES,
        ScanAllowed(),
    ],
    ids=["chosen", "graph", "codes", "scan"],
)
def test_every_plan_finds_what_matches(collection: Any, chosen: Plan | None, where: Any, batch: bool) -> None:
    if isinstance(chosen, ScanCodes) and kernel.graph is None:
        return  # hnswlib has none
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
    for chosen, recall in ((GraphSearch(100, 30, 10, ScanAll()), 0.95), (ScanAll(), 1)):
        found = _rows(_part(collection, None), chosen, QUERIES, batch)
        shared = [len({*map(str, rows)} & set(ids)) / 10 for rows, ids in zip(found, exact, strict=True)]
        assert np.mean(shared) >= recall


@pytest.mark.parametrize("batch", [False, True])
def test_a_search_that_finds_too_few_rows_is_answered_by_its_fallback(collection: Any, batch: bool) -> None:
    part, whole = _part(collection, {"low": True}), _part(collection, None)
    scanned, all_scanned = (_rows(each, ScanAll(), QUERIES[:3], batch) for each in (part, whole))
    narrow = FilteredGraphSearch(4, 4, 10, ScanAllowed())  # four candidates are fewer than ten
    assert _rows(part, narrow, QUERIES[:3], batch) == scanned
    assert _rows(whole, GraphSearch(4, 4, 10, ScanAll()), QUERIES[:3], batch) == all_scanned
    if kernel.graph is not None:
        codes = ScanCodes(4, 10, ScanAllowed())
        assert _rows(part, FilteredGraphSearch(4, 4, 10, codes), QUERIES[:3], batch) == scanned


@pytest.mark.parametrize("batch", [False, True])
def test_a_damaged_graph_is_answered_by_a_scan_and_reported(
    collection: Any, monkeypatch: pytest.MonkeyPatch, batch: bool
) -> None:
    def fails(*_: Any) -> None:
        raise Damaged("a link leads nowhere")

    part = _part(collection, None)
    reported: list[Any] = []
    part = part._replace(report_damage=reported.append)
    monkeypatch.setattr(type(part.graph), "search", fails)
    scanned = _rows(part, ScanAll(), QUERIES[:3], batch)
    assert _rows(part, GraphSearch(100, 30, 10, ScanAll()), QUERIES[:3], batch) == scanned
    assert reported and set(reported) == {part.view}


def test_explain_states_the_plans_of_a_query(collection: Any) -> None:
    (held,) = collection._backend.engine._open.values()

    def plans(where: Any, queries: int = 1, exact: bool = False) -> list[Any]:
        explained = collection.query(
            query_embeddings=VECTORS[:queries], where=where, exact=exact, explain=True
        )["explain"]
        assert [part.name for part in explained.parts] == [v.source.name for v in held.store.snapshot().views]
        return [part.runs[0].plan for part in explained.parts]

    scan_all, scan_allowed, nothing = map(described, (ScanAll(), ScanAllowed(), Nothing()))
    coded = kernel.graph is not None
    graph = (
        GraphSearch(100, 30, 10, ScanCodes(30, 10, ScanAll()))
        if coded
        else GraphSearch(100, 10, 10, ScanAll())
    )
    assert plans(None) == plans(None, 2) == [described(graph)]
    assert plans(None, exact=True) == [scan_all]
    assert plans({"n": -1}) == plans({"n": -1}, 2) == [nothing]
    assert plans({"n": {"$lt": 400}}) == [scan_allowed]
    collection.delete(ids=["7"])
    collection.add(ids=["new"], embeddings=VECTORS[:1])
    after = plans(None)
    assert after[-1] == scan_all  # the memtable
    assert after[0] == (described(ScanCodes(30, 10, ScanAllowed())) if coded else scan_allowed)
    assert plans({"n": 3})[-1] == nothing


def test_a_batch_over_a_segment_with_a_few_dead_rows_is_whole(collection: Any) -> None:
    collection.delete(ids=[str(row) for row in range(200)])
    found = collection.query(query_embeddings=VECTORS[:100], n_results=10)["ids"]
    assert all(len(ids) == 10 for ids in found)
    assert not {id for ids in found for id in ids} & {str(row) for row in range(200)}
