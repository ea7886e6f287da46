"""Results in notebooks: what the table says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma.results.types import GetResult, QueryResult

from ...support.checks import fill
from .reading import page, rows, words

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&amp;</td></table>"


def test_a_get(collection: Any) -> None:
    fill(collection, 2)
    assert rows(collection.get(include=["documents", "metadatas", "embeddings"])._repr_html_()) == [
        ["id", "document", "metadata", "embedding"],
        ["r0", "text 0", "n 0", "2 numbers [0, 0]"],
        ["r1", "text 1", "n 1", "2 numbers [1, 0]"],
    ]


def test_a_query(collection: Any) -> None:
    fill(collection, 3)
    found = collection.query(query_embeddings=[[0, 0], [2, 0]], n_results=2)
    assert words(found._repr_html_()).startswith("QueryResult: 2 queries, 4 hits")
    assert rows(found._repr_html_()) == [
        ["query", "rank", "id", "distance", "document", "metadata"],
        ["0", "1", "r0", "0.0000", "text 0", "n 0"],
        ["2", "r1", "1.0000", "text 1", "n 1"],
        ["1", "1", "r2", "0.0000", "text 2", "n 2"],
        ["2", "r1", "1.0000", "text 1", "n 1"],
    ]


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
