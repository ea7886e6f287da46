"""Results in notebooks: what the table says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chroma
from chroma.results.types import GetResult, QueryResult

from ...support.checks import fill
from .reading import page, rows, words

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&amp;</td></table>"


def test_a_get(collection: Any) -> None:
    fill(collection, 2)
    assert rows(collection.get(include=["documents", "metadatas", "embeddings"])._repr_html_()) == [
        ["id", "document", "n", "embedding"],
        ["r0", "text 0", "0", "2 numbers [0, 0]"],
        ["r1", "text 1", "1", "2 numbers [1, 0]"],
    ]


def test_a_query(collection: Any) -> None:
    fill(collection, 3)
    found = collection.query(query_embeddings=[[0, 0], [2, 0]], n_results=2)
    assert words(found._repr_html_()).startswith("QueryResult: 2 queries, 4 hits")
    assert rows(found._repr_html_()) == [
        ["query", "rank", "id", "distance", "document", "n"],
        ["0", "1", "r0", "0.0000", "text 0", "0"],
        ["2", "r1", "1.0000", "text 1", "1"],
        ["1", "1", "r2", "0.0000", "text 2", "2"],
        ["2", "r1", "1.0000", "text 1", "1"],
    ]


def test_many_keys_have_one_column_for_those_that_few_records_have() -> None:
    metadatas: list[Any] = [{f"k{n}": n for n in range(7)}, {f"k{n}": "x" for n in range(1, 7)}, None]
    assert rows(GetResult(ids=["a", "b", "c"], metadatas=metadatas)._repr_html_()) == [
        ["id", "k1", "k2", "k3", "k4", "k5", "k6", "more"],
        ["a", "1", "2", "3", "4", "5", "6", "k0 0"],
        ["b", "x", "x", "x", "x", "x", "x", ""],
        ["c", "", "", "", "", "", "", ""],
    ]


def test_keys_called_like_columns() -> None:
    metadata = {"id": 1, "document": "m", "rank": 2, HOSTILE: HOSTILE}
    html = GetResult(ids=["a"], documents=["d"], metadatas=[metadata])._repr_html_()
    assert rows(html)[0][:-1] == ["id", "document", "metadata.id", "metadata.document", "rank"]
    assert rows(html)[1][:-1] == ["a", "d", "1", "m", "2"]
    found = QueryResult(ids=[["a"]], metadatas=[[metadata]])
    assert rows(found._repr_html_())[0][3:6] == ["metadata.id", "document", "metadata.rank"]


def test_the_question_is_shown(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(collection, 2)
    monkeypatch.setattr(
        "chroma.embedding.resolve.embed_queries",
        lambda function, stored, argument, inputs: np.zeros((len(inputs), 2), np.float32),
    )
    found = collection.query(query_texts=["what is it?", "who " * 100], n_results=1)
    assert rows(found._repr_html_())[1][0] == "0what is it?"
    assert rows(found._repr_html_())[2][0].endswith("who…")
    assert found.copy().questions == found.questions == ["what is it?", "who " * 100]
    assert found == dict(found) and "questions" not in found
    one = collection.query(query_texts="alone")
    assert one.questions == ["alone"]
    assert list(collection.query(query_embeddings=[0, 0]).questions) == []
    assert collection.query(query_ids=["r1"]).questions == ["like r1"]
    chosen = chroma.Search().rank(chroma.Knn("near this")).select(chroma.K.DOCUMENT, "n")
    answer = collection.search([chosen, chroma.Search()])
    assert rows(answer._repr_html_())[1][0] == "0near this" and answer.questions == ["near this", ""]


def test_only_what_is_included() -> None:
    found = QueryResult(ids=[["a"]], distances=None, uris=[["u"]], data=None, included=["uris"])
    assert rows(found._repr_html_()) == [["query", "rank", "id", "uri"], ["0", "1", "a", "u"]]
    assert rows(GetResult(ids=["a"], documents=[None])._repr_html_()) == [["id", "document"], ["a", ""]]


def test_large_results_are_cut() -> None:
    many = [str(i) for i in range(1000)]
    html = GetResult(ids=many, documents=many)._repr_html_()
    assert len(rows(html)) == 21
    assert "… and 980 more records" in words(html)
    html = QueryResult(ids=[many] * 12)._repr_html_()
    assert len(rows(html)) == 1 + 10 * 11
    assert words(html).count("… and 990 more hits") == 10
    assert "… and 2 more queries" in words(html)


def test_nothing_found() -> None:
    assert words(GetResult(ids=[])._repr_html_()) == "GetResult: 0 records"
    assert words(QueryResult(ids=[])._repr_html_()) == "QueryResult: 0 queries, 0 hits"
    assert rows(QueryResult(ids=[[], ["a"]])._repr_html_())[1:] == [["0", "", "no hit"], ["1", "1", "a"]]


def test_no_text_becomes_markup() -> None:
    columns = {
        "ids": [HOSTILE],
        "documents": [HOSTILE],
        "uris": [HOSTILE],
        "metadatas": [{HOSTILE: HOSTILE, "list": [HOSTILE]}],
        "data": [HOSTILE],
        "embeddings": np.zeros((1, 2), np.float32),
    }
    got = GetResult(columns)
    found = QueryResult({name: [column] for name, column in columns.items()}, distances=[[0.5]])
    for result in (got, found):
        html = result._repr_html_()
        page(html)  # knows no script, no img
        assert "alert('x')</script>" in words(html)


def test_long_texts_stay_short() -> None:
    result = GetResult(ids=["a" * 10**6], documents=["b" * 10**6], metadatas=[{"c" * 10**6: "d" * 10**6}])
    assert len(result._repr_html_()) < 3000


@pytest.mark.parametrize(
    "result",
    [
        GetResult(),
        GetResult(ids=None),
        GetResult(ids=["a", "b"], documents=["only one"]),
        GetResult(ids=[1], metadatas=["none"], embeddings=[5]),
        QueryResult(ids=[["a"]], distances=[[]]),
        QueryResult(ids=[["a"]], distances=[["far"]]),
    ],
)
def test_a_result_that_was_changed_is_still_shown_somehow(result: Any) -> None:
    assert "cannot be shown as a table" in words(result._repr_html_())
