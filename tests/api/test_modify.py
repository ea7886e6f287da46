"""modify: rename, replace metadata, change configuration."""

from __future__ import annotations

from typing import Any

import pytest

from chroma.errors import InternalError, UniqueConstraintError

from ..support.checks import fill, refused


def test_modify_returns_none(collection: Any) -> None:
    assert collection.modify(name="other") is None


def test_rename(client: Any, collection: Any) -> None:
    collection.modify(name="renamed")
    assert collection.name == "renamed"
    assert [c.name for c in client.list_collections()] == ["renamed"]


def test_records_stay_through_a_rename(client: Any, collection: Any) -> None:
    fill(collection, 3)
    collection.modify(name="renamed")
    assert client.get_collection("renamed").count() == 3
    assert collection.count() == 3


def test_other_handles_keep_working_under_the_old_name(client: Any, collection: Any) -> None:
    other = client.get_collection("things")
    collection.modify(name="renamed")
    other.add(ids=["a"], embeddings=[[1, 2]])
    assert (other.name, collection.count()) == ("things", 1)


def test_the_old_name_is_free_again(client: Any, collection: Any) -> None:
    collection.modify(name="renamed")
    assert client.create_collection("things").id != collection.id


def test_a_taken_name_is_refused(client: Any, collection: Any) -> None:
    """Edge 10."""
    client.create_collection("taken")
    with refused("taken", "already exists", error=UniqueConstraintError):
        collection.modify(name="taken")
    assert collection.name == "things"
    assert client.get_collection("things").id == collection.id


def test_a_taken_name_may_be_caught_as_an_internal_error(client: Any, collection: Any) -> None:
    """Edges 10 and 11."""
    client.create_collection("taken")
    with pytest.raises(InternalError):
        collection.modify(name="taken")


@pytest.mark.parametrize("name", ["ab", "a..b", "-ab", "1.2.3.4"])
def test_an_invalid_name_is_refused(collection: Any, name: str) -> None:
    with refused("Expected a name", name):
        collection.modify(name=name)


def test_renaming_to_its_own_name_is_fine(client: Any, collection: Any) -> None:
    collection.modify(name="things")
    assert client.get_collection("things").id == collection.id


def test_metadata_is_replaced_not_merged(client: Any) -> None:
    collection = client.create_collection("things", metadata={"a": 1, "b": 2})
    collection.modify(metadata={"b": 3})
    assert collection.metadata == {"b": 3}
    assert client.get_collection("things").metadata == {"b": 3}


def test_none_keys_are_not_stored_and_not_shown(client: Any) -> None:
    """Edge 43."""
    collection = client.create_collection("things", metadata={"a": 1})
    collection.modify(metadata={"a": None, "b": 2})
    assert collection.metadata == {"b": 2}
    assert client.get_collection("things").metadata == {"b": 2}


def test_metadata_of_only_none_keys_becomes_none(client: Any) -> None:
    """Edge 43."""
    collection = client.create_collection("things", metadata={"a": 1})
    collection.modify(metadata={"a": None})
    assert collection.metadata is None
    assert client.get_collection("things").metadata is None


def test_empty_metadata_is_refused(collection: Any) -> None:
    with refused("metadata"):
        collection.modify(metadata={})


def test_the_space_cannot_be_changed_through_metadata(collection: Any) -> None:
    with refused("hnsw:space"):
        collection.modify(metadata={"hnsw:space": "cosine"})


def test_no_arguments_change_nothing(client: Any) -> None:
    collection = client.create_collection("things", metadata={"a": 1})
    collection.modify()
    assert (collection.name, collection.metadata) == ("things", {"a": 1})


def test_modifying_a_dropped_collection_is_not_found(client: Any, collection: Any) -> None:
    from chroma.errors import NotFoundError

    client.delete_collection("things")
    with refused(error=NotFoundError):
        collection.modify(name="other")


def test_changes_survive_reopening(client: Any, reopen: Any) -> None:
    collection = client.create_collection("things", metadata={"a": 1})
    collection.modify(name="renamed", metadata={"b": 2}, configuration={"hnsw": {"ef_search": 77}})
    again = reopen(client).get_collection("renamed")
    assert again.metadata == {"b": 2}
    assert again.configuration_json["hnsw"]["ef_search"] == 77
