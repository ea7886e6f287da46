"""delete: by ids, by filters, by both; what it reports and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from chroma.errors import DuplicateIDError

from ..support.checks import fill, refused


@pytest.fixture
def five(collection: Any) -> Any:
    fill(collection, 5)
    return collection


def test_ids_are_deleted(five: Any) -> None:
    assert five.delete(ids=["r1", "r3"]) == {"deleted": 2}
    assert five.get()["ids"] == ["r0", "r2", "r4"]


def test_one_id_needs_no_list(five: Any) -> None:
    assert five.delete(ids="r1") == {"deleted": 1}


def test_only_real_removals_are_counted(five: Any) -> None:
    """Edge 3."""
    assert five.delete(ids=["r1", "nobody"]) == {"deleted": 1}
    assert five.delete(ids=["r1"]) == {"deleted": 0}


def test_where_deletes_what_matches(five: Any) -> None:
    assert five.delete(where={"n": {"$gte": 3}}) == {"deleted": 2}
    assert five.get()["ids"] == ["r0", "r1", "r2"]


def test_where_document_deletes_what_matches(five: Any) -> None:
    assert five.delete(where_document={"$contains": "text 4"}) == {"deleted": 1}
    assert five.count() == 4


def test_ids_and_filters_must_both_hold(five: Any) -> None:
    assert five.delete(ids=["r0", "r4"], where={"n": {"$gte": 3}}) == {"deleted": 1}
    assert five.get()["ids"] == ["r0", "r1", "r2", "r3"]


def test_a_filter_that_matches_nothing_deletes_nothing(five: Any) -> None:
    assert five.delete(where={"n": 99}) == {"deleted": 0}


def test_limit_takes_the_first_in_insertion_order(five: Any) -> None:
    assert five.delete(where={"n": {"$gte": 1}}, limit=2) == {"deleted": 2}
    assert five.get()["ids"] == ["r0", "r3", "r4"]


def test_limit_zero_deletes_nothing(five: Any) -> None:
    assert five.delete(where={"n": {"$gte": 1}}, limit=0) == {"deleted": 0}


def test_limit_needs_a_filter(five: Any) -> None:
    with refused("limit"):
        five.delete(ids=["r1"], limit=1)


def test_a_negative_limit_is_refused(five: Any) -> None:
    with refused("limit", "-1"):
        five.delete(where={"n": 1}, limit=-1)


def test_a_limit_that_is_not_an_int_is_a_type_error(five: Any) -> None:
    with refused("limit", error=TypeError):
        five.delete(where={"n": 1}, limit=1.5)


def test_no_selector_is_refused(five: Any) -> None:
    with refused("At least one of ids, where, or where_document must be provided"):
        five.delete()
    assert five.count() == 5


def test_an_empty_id_list_is_refused(five: Any) -> None:
    with refused("ids"):
        five.delete(ids=[])
    assert five.count() == 5


def test_an_empty_where_is_refused(five: Any) -> None:
    """Edge 23."""
    with refused("where"):
        five.delete(where={})
    assert five.count() == 5


def test_duplicate_ids_are_refused(five: Any) -> None:
    with refused("r1", error=DuplicateIDError):
        five.delete(ids=["r1", "r1"])
    assert five.count() == 5


def test_a_deleted_record_is_found_by_no_call(five: Any) -> None:
    five.delete(ids=["r0"])
    assert five.get(ids=["r0"])["ids"] == []
    assert five.get(where={"n": 0})["ids"] == []
    assert five.query(query_embeddings=[[0, 0]], n_results=5)["ids"] == [["r1", "r2", "r3", "r4"]]
    assert five.count() == 4


def test_delete_then_add_moves_to_the_end(five: Any) -> None:
    five.delete(ids=["r0"])
    five.add(ids=["r0"], embeddings=[[7, 7]])
    assert five.get()["ids"] == ["r1", "r2", "r3", "r4", "r0"]
    assert five.get(ids=["r0"])["metadatas"] == [None]


def test_the_dimension_outlives_the_records(five: Any) -> None:
    """Edge 30."""
    five.delete(ids=five.get()["ids"])
    assert five.count() == 0
    with refused("Collection expecting embedding with dimension of 2, got 3"):
        five.add(ids=["a"], embeddings=[[1, 2, 3]])


def test_deletes_survive_reopening(client: Any, reopen: Any) -> None:
    fill(client.create_collection("things", embedding_function=None), 5)
    client.get_collection("things").delete(ids=["r1"])
    client.get_collection("things").delete(where={"n": 3})
    assert reopen(client).get_collection("things").get()["ids"] == ["r0", "r2", "r4"]
