"""The life of collections: create, find, list, drop."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from chroma.errors import InternalError, NotFoundError, UniqueConstraintError

from ..support.checks import fill, refused


def test_a_created_collection_can_be_found(client: Any) -> None:
    created = client.create_collection("things", metadata={"a": 1})
    found = client.get_collection("things")
    assert isinstance(created.id, UUID)
    assert (found.id, found.name, found.metadata) == (created.id, "things", {"a": 1})


def test_a_collection_can_be_found_by_id(client: Any) -> None:
    created = client.create_collection("things")
    assert client.get_collection_by_id(created.id).name == "things"
    assert client.get_collection_by_id(str(created.id)).name == "things"


def test_an_unknown_id_is_not_found(client: Any) -> None:
    with refused(error=NotFoundError):
        client.get_collection_by_id(uuid4())


def test_an_id_that_is_no_uuid_is_refused(client: Any) -> None:
    with refused("nonsense"):
        client.get_collection_by_id("nonsense")


def test_an_unknown_name_is_not_found(client: Any) -> None:
    with refused("Collection [nobody] does not exist", error=NotFoundError):
        client.get_collection("nobody")


@pytest.mark.parametrize("error", [UniqueConstraintError, InternalError])
def test_a_taken_name_is_refused(client: Any, error: type[Exception]) -> None:
    """Edge 11."""
    client.create_collection("things")
    with refused("Collection [things] already exists", error=error):
        client.create_collection("things")


def test_names_are_case_sensitive(client: Any) -> None:
    client.create_collection("things")
    assert client.create_collection("Things").name == "Things"


@pytest.mark.parametrize("name", ["abc", "a" * 512, "a_b-c.d", "0a9", "256.1.1.1", "1.2.3"])
def test_valid_names(client: Any, name: str) -> None:
    assert client.create_collection(name).name == name


@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 513, "_abc", "abc-", ".abc", "a..b", "a b c", "naïve", "a/b", "1.2.3.4", "a\x00b"],
)
def test_invalid_names_are_refused(client: Any, name: str) -> None:
    with refused("Expected a name"):
        client.create_collection(name)
    assert client.count_collections() == 0


@pytest.mark.parametrize("name", [None, 5, b"abc", ["abc"]])
def test_a_name_that_is_no_string_is_a_type_error(client: Any, name: Any) -> None:
    with refused("name", error=TypeError):
        client.create_collection(name)


def test_get_or_create_creates_then_gets(client: Any) -> None:
    first = client.get_or_create_collection("things")
    assert client.get_or_create_collection("things").id == first.id
    assert client.create_collection("things", get_or_create=True).id == first.id


def test_get_or_create_keeps_what_is_stored(client: Any) -> None:
    client.create_collection("things", metadata={"a": 1}, configuration={"hnsw": {"ef_search": 50}})
    with (
        pytest.warns(UserWarning, match="ef_search is 50, not 60"),
        pytest.warns(UserWarning, match="keeps its metadata: {'a': 1}, not {'b': 2}"),
    ):
        again = client.get_or_create_collection(
            "things", metadata={"b": 2}, configuration={"hnsw": {"ef_search": 60}}
        )
    assert again.metadata == {"a": 1}
    assert again.configuration_json["hnsw"]["ef_search"] == 50


def test_collections_are_listed_in_creation_order(client: Any) -> None:
    """Edge 27."""
    names = ["delta", "alpha", "charlie", "bravo"]
    for name in names:
        client.create_collection(name)
    assert [c.name for c in client.list_collections()] == names
    assert [c.name for c in client.list_collections(limit=2, offset=1)] == ["alpha", "charlie"]
    assert client.list_collections(limit=0) == []
    assert client.list_collections(offset=9) == []


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_a_negative_page_is_refused(client: Any, name: str) -> None:
    """Edge 24."""
    with refused(name, "-1"):
        client.list_collections(**{name: -1})


def test_listed_collections_are_usable(client: Any) -> None:
    fill(client.create_collection("things", embedding_function=None), 3)
    assert client.list_collections()[0].count() == 3


def test_collections_are_counted(client: Any) -> None:
    assert client.count_collections() == 0
    client.create_collection("one")
    client.create_collection("two")
    assert client.count_collections() == 2


def test_a_dropped_collection_is_gone(client: Any, collection: Any) -> None:
    assert client.delete_collection("things") is None
    assert client.list_collections() == []
    with refused("things", error=NotFoundError):
        client.get_collection("things")


def test_dropping_an_unknown_name_is_not_found(client: Any) -> None:
    with refused("nobody", error=NotFoundError):
        client.delete_collection("nobody")


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.count(),
        lambda c: c.get(),
        lambda c: c.add(ids=["a"], embeddings=[[1, 2]]),
        lambda c: c.query(query_embeddings=[[1, 2]]),
        lambda c: c.delete(ids=["a"]),
        lambda c: c.update(ids=["a"], metadatas=[{"n": 1}]),
    ],
    ids=["count", "get", "add", "query", "delete", "update"],
)
def test_old_handles_of_a_dropped_collection_are_not_found(client: Any, collection: Any, call: Any) -> None:
    fill(collection, 2)
    client.delete_collection("things")
    with refused(error=NotFoundError):
        call(collection)


def test_the_same_name_again_is_another_collection(client: Any, collection: Any) -> None:
    fill(collection, 3)
    client.delete_collection("things")
    again = client.create_collection("things")
    assert again.id != collection.id
    assert again.count() == 0
    with refused(error=NotFoundError):
        collection.count()


def test_collections_do_not_share_records(client: Any) -> None:
    one, two = client.create_collection("one"), client.create_collection("two")
    one.add(ids=["a"], embeddings=[[1, 2]])
    two.add(ids=["a"], embeddings=[[1, 2, 3]])
    assert (one.count(), two.count()) == (1, 1)


@pytest.mark.parametrize(
    "metadata", [{"s": "x", "i": 1, "f": 1.5, "b": True}, {"chroma:document": "x"}, None]
)
def test_collection_metadata_round_trips(client: Any, reopen: Any, metadata: Any) -> None:
    client.create_collection("things", metadata=metadata)
    assert reopen(client).get_collection("things").metadata == metadata


def test_empty_collection_metadata_is_refused(client: Any) -> None:
    with refused("etadata"):
        client.create_collection("things", metadata={})
    assert client.count_collections() == 0


@pytest.mark.parametrize("value", [None, {"nested": 1}, object()])
def test_collection_metadata_of_another_type_is_a_type_error(client: Any, value: Any) -> None:
    with refused("key", error=TypeError):
        client.create_collection("things", metadata={"key": value})
    assert client.count_collections() == 0


def test_list_valued_collection_metadata_is_stored_or_refused(client: Any) -> None:
    """Edge 7."""
    from chroma.errors import InvalidArgumentError

    try:
        client.create_collection("things", metadata={"key": [1, 2]})
    except InvalidArgumentError as error:
        assert "key" in str(error)
    else:
        assert client.get_collection("things").metadata == {"key": [1, 2]}


@pytest.mark.parametrize("name", ["id", "name", "metadata", "tenant", "database"])
def test_handle_properties_are_read_only(collection: Any, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(collection, name, "x")


def test_a_handle_says_what_it_is(collection: Any) -> None:
    assert repr(collection) == "Collection(name=things)"
    assert (collection.tenant, collection.database) == ("default_tenant", "default_database")


def test_handles_of_one_collection_are_equal_and_not_hashable(
    client: Any, collection: Any, embed: Any
) -> None:
    client.create_collection("other")
    assert client.get_collection("things", embedding_function=embed) == collection
    assert client.get_collection("other") != collection
    assert collection != "things"
    with pytest.raises(TypeError):
        hash(collection)


def test_a_handle_has_a_model(collection: Any) -> None:
    model = collection.get_model()
    assert (model.name, model.id, model["name"]) == ("things", collection.id, "things")


def test_the_dimension_is_fixed_by_the_first_write(client: Any, collection: Any) -> None:
    assert client.get_collection("things").get_model().dimension is None
    fill(collection, 1)
    assert client.get_collection("things").get_model().dimension == 2


def test_collections_survive_reopening(client: Any, reopen: Any) -> None:
    ids = [client.create_collection(name).id for name in ("one", "two", "three")]
    client.delete_collection("two")
    assert [c.id for c in reopen(client).list_collections()] == [ids[0], ids[2]]


def test_hundreds_of_collections_stay_usable(client: Any, reopen: Any) -> None:
    for i in range(300):
        client.create_collection(f"col{i}", embedding_function=None)
    client.get_collection("col250").add(ids=["a"], embeddings=[[1, 2]])
    client = reopen(client)
    assert (client.count_collections(), client.get_collection("col250").count()) == (300, 1)
