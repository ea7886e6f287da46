"""What the objects of a search refuse when they are made or read from dictionaries, in Chroma's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chroma import GroupBy, K, Knn, Limit, Rrf, Search, SearchResult, Select, Val
from chroma.execution.expression import Aggregate, Contains, NotContains, Rank, Where

SCORE = {"$min_k": {"keys": ["#score"], "k": 3}}
KNN = Knn([0.1, 0.2], return_rank=True)


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: Where.from_dict("text"), TypeError, "Expected dict for a filter, got 'text'"),
        (lambda: Where.from_dict({}), ValueError, "A filter cannot be empty"),
        (lambda: Where.from_dict({"$and": []}), ValueError, r"\$and requires at least one condition"),
        (lambda: Where.from_dict({"tags": {"$contains": [1, 2]}}), TypeError, r"\$contains requires a str"),
        (
            lambda: Where.from_dict({"$or": [{"tags": {"$not_contains": {"a": 1}}}]}),
            TypeError,
            r"\$not_contains requires a str",
        ),
        (lambda: K.DOCUMENT.contains(42), TypeError, r"\$contains on #document requires a string, got 42"),
        (lambda: K.DOCUMENT.not_contains(True), TypeError, r"\$not_contains on #document requires a string"),
        (lambda: Rank.from_dict(1), TypeError, "Expected dict for a rank, got 1"),
        (lambda: Rank.from_dict({}), ValueError, "A rank cannot be empty"),
        (lambda: Rank.from_dict({"$val": 1, "$abs": 1}), ValueError, "exactly one operator"),
        (lambda: Rank.from_dict({"$val": "1"}), TypeError, r"\$val requires a number, got '1'"),
        (lambda: Limit.from_dict("text"), TypeError, "Expected dict for a limit"),
        (lambda: Limit.from_dict({"limit": 0}), ValueError, "limit must be positive, got 0"),
        (lambda: Limit.from_dict({"offset": -1}), ValueError, "offset must be non-negative, got -1"),
        (lambda: Limit.from_dict({"offset": 1.5}), TypeError, "offset must be an integer, got 1.5"),
        (lambda: Limit.from_dict({"limit": 1, "k": 2}), ValueError, r"Unexpected keys \['k'\] in a limit"),
        (lambda: Select.from_dict("text"), TypeError, "Expected dict for a selection"),
        (lambda: Select.from_dict({"keys": "a"}), TypeError, "keys of a selection must be a list/tuple/set"),
        (lambda: Select.from_dict({"keys": [1]}), TypeError, "a selected key must be a string or a Key"),
        (lambda: Select.from_dict({"k": []}), ValueError, r"Unexpected keys \['k'\] in a selection"),
        (lambda: GroupBy.from_dict([]), TypeError, "Expected dict for group_by"),
        (lambda: GroupBy.from_dict({"aggregate": SCORE}), ValueError, "group_by requires 'keys' field"),
        (lambda: GroupBy.from_dict({"keys": ["a"]}), ValueError, "group_by requires 'aggregate' field"),
        (lambda: GroupBy.from_dict({"keys": [], "aggregate": SCORE}), ValueError, "keys cannot be empty"),
        (lambda: Aggregate.from_dict({"$x": {}}), ValueError, "Unknown aggregate operator"),
        (lambda: Aggregate.from_dict({"$max_k": {"keys": ["a"]}}), ValueError, r"\$max_k requires 'k' field"),
        (lambda: Aggregate.from_dict({"$min_k": {"keys": ["a"], "k": 0}}), ValueError, "k must be positive"),
        (lambda: Rrf([]).to_dict(), ValueError, "RRF requires at least one rank"),
        (lambda: Rrf([Val(1)], k=0).to_dict(), ValueError, "k must be positive in Rrf, got 0"),
        (
            lambda: Rrf([KNN, KNN], weights=[1]).to_dict(),
            ValueError,
            r"Number of weights \(1\) must match number of ranks \(2\)",
        ),
        (lambda: Rrf([KNN], weights=[-1]).to_dict(), ValueError, "All weights must be non-negative"),
        (
            lambda: Rrf([KNN], weights=[0], normalize=True).to_dict(),
            ValueError,
            "Sum of weights must be positive",
        ),
        (lambda: Search(where=3), TypeError, "where must be a Where"),
        (lambda: Search(where="year >"), ValueError, "where is no SQL condition"),
        (lambda: Search(rank=0.5), TypeError, "rank must be a Rank"),
        (lambda: Search(group_by="text"), TypeError, "group_by must be a GroupBy"),
        (lambda: Search(limit="10"), TypeError, "limit must be a Limit"),
        (lambda: Search(select=123), TypeError, "select must be a Select"),
        (lambda: Search().where({"a": {"$contains": [1]}}), TypeError, r"\$contains requires a str"),
    ],
)
def test_what_is_refused(make: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        make()


def test_membership_takes_one_value() -> None:
    for operator, made in (("$contains", Contains), ("$not_contains", NotContains)):
        for value in ("a", 1, 4.5, True):
            assert Where.from_dict({"tags": {operator: value}}) == made("tags", value)


def test_rows_leave_out_columns_that_are_not_there() -> None:
    ids = {"ids": [["a", "b"], []]}
    assert SearchResult(ids).rows() == [[{"id": "a"}, {"id": "b"}], []]
    found = SearchResult(ids, documents=None, metadatas=[[{"n": 1}, None], []], scores=[[0.5, None], None])
    assert found.rows() == [[{"id": "a", "metadata": {"n": 1}, "score": 0.5}, {"id": "b"}], []]
    reranked = SearchResult(ids, rerank_scores=[[2.0, 1.0], []])
    assert reranked.rows()[0][1] == {"id": "b", "rerank_score": 1.0}
