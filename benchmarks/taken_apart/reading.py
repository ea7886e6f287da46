"""The steps of a query, plain and with filters that are new in each call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import conditions
import data
import hnswlib
import numpy as np
import orjson
from chroma_reads import FIELDS
from systems.base import KNOBS
from systems.chroma import Driver

from chroma.results import build
from chroma.storage.filters import parser as filters
from chroma.storage.interface.requests import QueryRequest, Selection
from chroma.storage.query import executor
from chroma.storage.query.planner import GraphSearch, plan
from chroma.validation import read_arguments

from .steps import Case, Step, measure

K, RECALL, M, EF_CONSTRUCTION = 10, 0.95, 16, 100


class Opened:
    """A collection that is loaded and indexed, and what is behind its handle."""

    def __init__(self, folder: str, rows: data.Rows) -> None:
        self.rows = rows
        self.driver = Driver(folder, rows.vectors.shape[1])
        self.driver.open()
        for start in range(0, len(rows), 10_000):
            self.driver.add(rows.part(start, start + 10_000))
        self.driver.settle()
        self.collection: Any = self.driver.collection
        self.backend, self.ref = self.collection._backend, self.collection._ref
        self.id = str(self.collection.id)
        self.held = self.backend._open(self.ref)
        views = self.held.store.snapshot().views
        if len(views) != 1 or self.held.graphs.get(views[0], self.held.settings) is None:
            raise AssertionError(f"after compact() there is one segment with a graph, not {views}")
        self.view = views[0]
        self.graph = self.held.graphs.get(self.view, self.held.settings)

    def close(self) -> None:
        self.driver.close()


class Bare:
    """hnswlib alone, over whole vectors."""

    def __init__(self, vectors: Any) -> None:
        self.index = hnswlib.Index("ip", vectors.shape[1])
        self.index.init_index(len(vectors), ef_construction=EF_CONSTRUCTION, M=M)
        self.index.add_items(vectors, num_threads=-1)

    def query(self, vector: Any) -> Any:
        return self.index.knn_query(vector, k=K, num_threads=1)


def enough(
    found: Callable[[Any], Sequence[Any]], set_effort: Callable[[int], None], queries: Any, truth: Any
) -> tuple[int, float]:
    """The first effort that reaches the recall, and the recall."""
    for ef in KNOBS:
        set_effort(ef)
        recall = data.recall([list(found(query)) for query in queries], truth)
        if recall >= RECALL:
            return ef, recall
    raise AssertionError(f"no effort up to {KNOBS[-1]} reaches recall {RECALL}")


def _same(answer: Any, case: Case) -> bool:
    return all(answer[name] == case.result[name] for name in ("ids", "distances", "documents", "metadatas"))


def _whole(opened: Opened, case: Case) -> Any:
    return opened.collection.query(
        query_embeddings=[case.vector], n_results=K, where=case.where, include=FIELDS
    )


def _arguments(opened: Opened, case: Case) -> Any:
    parts = read_arguments.check_include(FIELDS, query=True)
    case.vectors = opened.collection._query_vectors([case.vector], None, None, None)
    read_arguments.check_n_results(K)
    read_arguments.check_bool(False, "exact")
    read_arguments.given_filter(case.where), read_arguments.given_filter(None)
    read_arguments.fields_of(parts)
    return parts


def _plan(opened: Opened, case: Case) -> Any:
    executor.check_dimension(case.vectors, case.snapshot.dimension)
    settings = case.held.settings
    case.search = executor.Search(
        QueryRequest(vectors=case.vectors, k=K), case.node, settings.space, settings.ef_search, 1
    )
    case.views = [view for view in case.snapshot.views if view.live]
    return case.held.graphs.get(case.views[0], settings)


def _part(case: Case) -> Any:
    """The segment as the executor sees it; the filter, if there is one, was answered just now."""
    source = executor.Source(lambda _: case.graph, case.held.store.filters, lambda _: None)
    return executor.searchable(case.search, case.views[0], source)


def _searched(case: Case) -> Any:
    """Project the query, find rows by their codes, and rank them by their vectors."""
    chosen = plan(case.part.request, case.part.statistics)
    assert isinstance(chosen, GraphSearch), chosen
    return executor._best(K, case.views, [executor.execute(chosen, case.part, case.vectors[0])])


def _cells(case: Case, field: str) -> list[bytes]:
    texts = case.views[0].source.texts(field, case.found.rows)
    return [text.encode() for text in texts if text is not None]


def _first(opened: Opened) -> list[Step]:
    """What comes before the search."""
    mark = memoryview(bytes(1 << 16))
    return [
        Step(
            "the arguments: shape, type, finite",
            "parts",
            partial(_arguments, opened),
            lambda case: np.isfinite(case.vector).all(),
            "one look at each number",
        ),
        Step(
            "is there anything new in the catalog? is it the collection's tenant?",
            "held",
            lambda case: opened.backend._open(opened.ref),
            lambda case: mark[512:516] == b"FRM1",
            "four bytes of a map compared",
        ),
        Step("the filter as a tree", "node", lambda case: filters.parse(Selection(where=case.where))),
        Step(
            "is there anything new in the collection?",
            "snapshot",
            lambda case: case.held.store.snapshot(),
            lambda case: mark[512:516] == b"FRM1",
            "four bytes of a map compared",
        ),
        Step("settings, parts, the graph that is held", "graph", partial(_plan, opened)),
    ]


def _last() -> list[Step]:
    """What is read of the hits."""

    def texts(field: str, case: Case) -> Any:
        return case.views[0].source.texts(field, case.found.rows)

    def decode(field: str) -> Callable[[Case], Any]:
        return lambda case: [str(cell, "utf-8") for cell in _kept(case, field)]

    return [
        Step("ids of the hits", "ids", partial(texts, "id"), decode("id"), "ten pieces of bytes to str"),
        Step("documents", "documents", partial(texts, "document"), decode("document"), "the same"),
        Step(
            "metadata",
            "metadatas",
            lambda case: case.views[0].source.mappings(case.found.rows),
            lambda case: orjson.loads(_kept(case, "json")),
            "orjson.loads of the same, joined",
        ),
        Step("the dictionary of lists", "result", _result),
    ]


def _kept(case: Case, field: str) -> Any:
    """Bytes that floors read, made with the case."""
    return case.cells[field]


def _keep(case: Case) -> None:
    if not hasattr(case, "result"):
        return  # it was asked as a whole
    case.cells = {field: _cells(case, field) for field in ("id", "document")}
    case.cells["json"] = orjson.dumps(case.metadatas)


def _result(case: Case) -> Any:
    from chroma.storage.interface.values import Hits, Rows

    rows = Rows(case.ids, case.documents, case.metadatas, None, None)
    return build.query_result([Hits(rows, case.found.distances)], case.parts, None)


def plain(opened: Opened, bare: Bare, queries: Any, truth: list[set[str]]) -> tuple[str, list[str]]:
    """The table of a query without a filter, and what was reached."""
    ids = opened.rows.ids
    ef, recall = enough(opened.driver.query, opened.driver.set_knob, queries, truth)
    bare_ef, bare_recall = enough(
        lambda query: [ids[row] for row in bare.query(query)[0][0].tolist()],
        bare.index.set_ef,
        queries,
        truth,
    )
    reduced = f", over {opened.graph.dimension} numbers" if opened.graph.projected else ""
    steps = [
        *_first(opened),
        Step("what the plan depends on", "part", _part),
        Step(
            "the graph search: projection, codes, exact distances",
            "found",
            _searched,
            lambda case: bare.query(case.vector),
            "hnswlib alone on whole vectors, same recall",
        ),
        *_last(),
    ]
    table = measure(
        "a query",
        partial(_whole, opened),
        steps,
        [partial(Case, vector=vector, where=None) for vector in queries],
        _same,
        lambda case: bare.query(case.vector),
        "hnswlib alone on whole vectors, same recall, labels only",
        _keep,
    )
    notes = [f"recall@{K} {recall:.3f} at ef {ef}{reduced}; hnswlib alone {bare_recall:.3f} at ef {bare_ef}"]
    return table, notes


def filtered(opened: Opened, name: str, correlated: str | None, queries: Any) -> tuple[str, list[str]]:
    """The table of a query with a filter of its own."""
    walks: list[int] = []
    index = opened.graph

    def allowed_rows(case: Case) -> Any:
        """Answered before, so what is left is the look-up, the budget and the remembering."""
        return case.held.store.filters.allowed(case.views[0], case.node)

    def answer(case: Case) -> Any:
        part = case.held.store.filters.part(case.views[0].source)
        return part.answer(case.node, case.views[0].rows)

    def searched(case: Case) -> Any:
        return executor._one(_part(case), case.vectors[0])

    def gather(case: Case) -> Any:
        vectors, rows = case.views[0].vectors, case.allowed.rows
        buffer = np.empty((512, vectors.shape[1]), np.float32)
        for start in range(0, len(rows), 512):
            part = rows[start : start + 512]
            np.take(vectors, part, axis=0, out=buffer[: len(part)], mode="clip")

    asked = [conditions.fresh(name, correlated, number) for number in range(len(queries))]
    columns = _columns(opened.rows, correlated)
    order, ordered = np.argsort(columns["u"]), np.sort(columns["u"])
    same_value = np.flatnonzero(columns["lexname"] == correlated) if correlated else order[:0]

    def picked(case: Case) -> Any:
        """What an index that is there anyway must do: find the ends, and sort or copy the rows between."""
        terms = asked[case.number].terms
        if name == conditions.CORRELATED:
            return same_value.copy()
        first, last = ordered.searchsorted([terms[0][2], terms[1][2]])
        return np.sort(order[first:last])

    steps = [
        *_first(opened),
        Step(
            "which rows match",
            "answer",
            answer,
            picked,
            "the same rows out of a sorted column, or a list",
        ),
        Step("remembering that", "allowed", allowed_rows),
        Step(
            "the nearest of these rows, with distances",
            "line",
            searched,
            gather,
            "a copy of all allowed rows, 512 at a time",
        ),
        Step(
            "rank",
            "found",
            lambda case: executor._best(K, case.views, [case.line]),
        ),
        *_last(),
    ]

    def whole(case: Case) -> Any:
        return _whole(opened, case)

    cases = [
        partial(Case, vector=vector, where=asked[number].where(), number=number)
        for number, vector in enumerate(queries)
    ]
    ask = index.search

    def counted(*arguments: Any) -> Any:
        walks.append(1)
        return ask(*arguments)

    index.search = counted  # type: ignore[method-assign]
    for case in cases[:50]:
        whole(case())
    del index.search
    table = measure(
        f"a query, {name}, new filter",
        whole,
        steps,
        cases,
        _same,
        lambda case: (picked(case), gather(case)),
        "the rows out of an index, and a copy of their vectors",
        _keep,
    )
    share = float(np.mean([each.mask(columns).mean() for each in asked[:20]]))
    return table, [f"{share:.2%} of the rows match; {len(walks)} of 50 queries asked the graph"]


def _columns(rows: data.Rows, correlated: str | None) -> dict[str, Any]:
    columns = {"u": np.array([each["u"] for each in rows.metadatas])}
    if correlated is not None:
        columns["lexname"] = np.array([each["lexname"] for each in rows.metadatas])
    return columns
