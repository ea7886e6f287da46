"""where_document: substrings and patterns, and each way to get them wrong."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.checks import refused

TEXTS: dict[str, str | None] = {
    "fox": "the quick brown Fox",
    "percent": "50% of a_b",
    "lines": "first\nsecond line",
    "empty": "",
    "unicode": "naïve 日本語 🙂",
    "none": None,
}


@pytest.fixture(params=["log", "sealed"])
def texts(collection: Any, request: pytest.FixtureRequest) -> Any:
    collection.add(ids=list(TEXTS), embeddings=[[1, 2]] * len(TEXTS), documents=list(TEXTS.values()))
    if request.param == "sealed":
        collection.compact()
    return collection


def found(collection: Any, where_document: Any) -> set[str]:
    ids = collection.get(where_document=where_document)["ids"]
    assert collection.count(where_document=where_document) == len(ids)
    return set(ids)


@pytest.mark.parametrize(
    ("needle", "expected"),
    [
        ("Fox", {"fox"}),
        ("fox", set()),
        ("%", {"percent"}),
        ("_", {"percent"}),
        ("0% of a_", {"percent"}),
        ("a%b", set()),
        ("\n", {"lines"}),
        ("日", {"unicode"}),
        ("🙂", {"unicode"}),
        ("o", {"fox", "percent", "lines"}),
        ("'", set()),
    ],
)
def test_contains(texts: Any, needle: str, expected: set[str]) -> None:
    """Edge 42: $not_contains matches records without a document."""
    assert found(texts, {"$contains": needle}) == expected
    assert found(texts, {"$not_contains": needle}) == set(TEXTS) - expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("F.x", {"fox"}),
        ("(?i)fox", {"fox"}),
        ("^the", {"fox"}),
        ("^second", set()),
        ("(?m)^second", {"lines"}),
        ("first.second", set()),
        ("(?s)first.second", {"lines"}),
        ("line$", {"lines"}),
        ("[0-9]{2}%", {"percent"}),
        (r"\d+", {"percent"}),
        (r"\p{Han}+", {"unicode"}),
        ("[[:digit:]]", {"percent"}),
        ("quick|naïve", {"fox", "unicode"}),
        ("^$", {"empty"}),
        (r"\bof\b", {"percent"}),
    ],
)
def test_regex(texts: Any, pattern: str, expected: set[str]) -> None:
    """Edge 42: $not_regex matches records without a document."""
    assert found(texts, {"$regex": pattern}) == expected
    assert found(texts, {"$not_regex": pattern}) == set(TEXTS) - expected


def test_and_or_nest(texts: Any) -> None:
    tree = {"$and": [{"$or": [{"$contains": "o"}, {"$regex": "^$"}]}, {"$not_contains": "Fox"}]}
    assert found(texts, tree) == {"percent", "lines", "empty"}


def test_a_hostile_pattern_is_answered_quickly(collection: Any) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["a" * 50_000])
    assert collection.get(where_document={"$regex": "(a+)+$"})["ids"] == ["a"]
    assert collection.get(where_document={"$regex": "(a|a)*b"})["ids"] == []


def test_both_filters_must_hold(collection: Any) -> None:
    collection.add(
        ids=["a", "b"], embeddings=[[1, 2]] * 2, documents=["red", "red"], metadatas=[{"n": 1}, {"n": 2}]
    )
    result = collection.query(query_embeddings=[[1, 2]], where={"n": 2}, where_document={"$contains": "red"})
    assert result["ids"] == [["b"]]


@pytest.mark.parametrize(
    ("where_document", "fragment"),
    [
        ("red", "where_document"),
        (["red"], "where_document"),
        ({"$contains": "a", "$regex": "b"}, "exactly one operator"),
        ({"$foo": "a"}, "$foo"),
        ({"red": "a"}, "red"),
        ({"$contains": 5}, "$contains"),
        ({"$contains": ""}, "$contains"),
        ({"$contains": ["a"]}, "$contains"),
        ({"$not_contains": None}, "$not_contains"),
        ({"$regex": ""}, "$regex"),
        ({"$regex": 5}, "$regex"),
        ({"$and": [{"$contains": "a"}]}, "$and"),
        ({"$or": []}, "$or"),
        ({"$or": {"$contains": "a"}}, "$or"),
        ({"$regex": "(unclosed"}, "(unclosed"),
        ({"$regex": "(?=look)around"}, "(?=look)around"),
        ({"$regex": r"(a)\1"}, r"(a)\1"),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["get", "query", "delete", "count"])
def test_what_is_not_a_filter_is_refused(
    collection: Any, where_document: Any, fragment: str, verb: str
) -> None:
    arguments = {"query_embeddings": [[1, 2]]} if verb == "query" else {}
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["red"])
    with refused(fragment):
        getattr(collection, verb)(where_document=where_document, **arguments)
    assert collection.count() == 1
