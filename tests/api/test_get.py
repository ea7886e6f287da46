"""get and peek: selection, paging, order."""

from __future__ import annotations

from typing import Any

import pytest

from chroma.errors import DuplicateIDError

from ..support.checks import fill, refused


@pytest.fixture
def five(collection: Any) -> Any:
    fill(collection, 5)
    return collection


def test_get_returns_everything_in_insertion_order(five: Any) -> None:
    assert five.get()["ids"] == ["r0", "r1", "r2", "r3", "r4"]


def test_get_by_ids_keeps_insertion_order(five: Any) -> None:
    """Edge 4."""
    assert five.get(ids=["r3", "r1"])["ids"] == ["r1", "r3"]


def test_one_id_needs_no_list(five: Any) -> None:
    assert five.get(ids="r3")["documents"] == ["text 3"]


def test_unknown_ids_are_skipped(five: Any) -> None:
    assert five.get(ids=["nobody", "r1"])["ids"] == ["r1"]


def test_an_empty_id_list_is_refused(five: Any) -> None:
    with refused("ids"):
        five.get(ids=[])


def test_duplicate_ids_are_refused(five: Any) -> None:
    with refused("r1", error=DuplicateIDError):
        five.get(ids=["r1", "r1"])


def test_where_selects(five: Any) -> None:
    assert five.get(where={"n": {"$gt": 2}})["ids"] == ["r3", "r4"]


def test_where_document_selects(five: Any) -> None:
    assert five.get(where_document={"$contains": "3"})["ids"] == ["r3"]


def test_all_selectors_must_hold(five: Any) -> None:
    got = five.get(ids=["r1", "r3"], where={"n": {"$gt": 1}}, where_document={"$contains": "text"})
    assert got["ids"] == ["r3"]


def test_an_empty_where_is_no_filter(five: Any) -> None:
    """Edge 23."""
    assert len(five.get(where={})["ids"]) == 5
    assert len(five.get(where_document={})["ids"]) == 5


def test_limit_and_offset_page_through(five: Any) -> None:
    pages = [five.get(limit=2, offset=offset)["ids"] for offset in (0, 2, 4, 6)]
    assert pages == [["r0", "r1"], ["r2", "r3"], ["r4"], []]


def test_limit_applies_after_the_filter(five: Any) -> None:
    assert five.get(where={"n": {"$gte": 1}}, limit=2, offset=1)["ids"] == ["r2", "r3"]


def test_limit_applies_after_ids(five: Any) -> None:
    assert five.get(ids=["r4", "r2", "r0"], limit=1, offset=1)["ids"] == ["r2"]


def test_limit_zero_is_empty(five: Any) -> None:
    assert five.get(limit=0)["ids"] == []


def test_offset_needs_no_limit(five: Any) -> None:
    assert five.get(offset=3)["ids"] == ["r3", "r4"]


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_a_negative_number_is_refused(five: Any, name: str) -> None:
    """Edge 24."""
    with refused(name, "-1"):
        five.get(**{name: -1})


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_a_float_is_a_type_error(five: Any, name: str) -> None:
    with refused(name, error=TypeError):
        five.get(**{name: 1.5})


def test_get_of_an_empty_collection(collection: Any) -> None:
    got = collection.get(include=["embeddings", "metadatas", "documents", "uris"])
    assert (got["ids"], got["metadatas"], got["documents"], got["uris"]) == ([], [], [], [])
    assert len(got["embeddings"]) == 0


def test_results_belong_to_the_caller(five: Any) -> None:
    got = five.get()
    got["ids"].clear()
    got["metadatas"][0]["n"] = "changed"
    assert five.get()["metadatas"][0] == {"n": 0}


def test_peek_returns_the_first_ten(collection: Any) -> None:
    fill(collection, 12)
    got = collection.peek()
    assert got["ids"] == [f"r{i}" for i in range(10)]
    assert got["embeddings"].shape == (10, 2)
    assert (got["documents"][0], got["metadatas"][0]) == ("text 0", {"n": 0})


def test_peek_takes_a_limit(five: Any) -> None:
    assert five.peek(2)["ids"] == ["r0", "r1"]
    assert five.peek(limit=3)["ids"] == ["r0", "r1", "r2"]


def test_peek_zero_is_empty(five: Any) -> None:
    assert five.peek(0)["ids"] == []
