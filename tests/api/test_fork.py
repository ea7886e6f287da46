"""fork: a copy that costs nothing and goes its own way."""

from __future__ import annotations

from typing import Any

import pytest

from chroma.errors import NotFoundError, UniqueConstraintError

from ..support.checks import fill, refused


@pytest.fixture(params=[False, True], ids=["log", "sealed"])
def origin(collection: Any, request: pytest.FixtureRequest) -> Any:
    fill(collection, 5)
    if request.param:
        collection.compact()
    collection.add(ids=["tail"], embeddings=[[50, 0]])
    collection.delete(ids=["r0"])
    return collection


def test_a_fork_holds_the_same_records(origin: Any) -> None:
    fork = origin.fork("copy")
    wish = {"include": ["metadatas", "documents", "uris"]}
    assert fork.get(**wish) == origin.get(**wish)
    assert fork.query(query_embeddings=[[50, 0]], n_results=2)["ids"] == [["tail", "r4"]]
    assert (fork.name, fork.count()) == ("copy", 5)
    assert fork.id != origin.id


def test_writes_to_one_do_not_reach_the_other(origin: Any) -> None:
    fork = origin.fork("copy")
    fork.delete(ids=["r1"])
    fork.update(ids=["r2"], metadatas=[{"n": 99}])
    origin.add(ids=["new"], embeddings=[[1, 1]])
    assert origin.get()["ids"] == ["r1", "r2", "r3", "r4", "tail", "new"]
    assert origin.get(ids=["r2"])["metadatas"] == [{"n": 2}]
    assert fork.get()["ids"] == ["r2", "r3", "r4", "tail"]


def test_a_fork_outlives_its_origin(client: Any, reopen: Any, origin: Any) -> None:
    origin.fork("copy")
    client.delete_collection("things")
    client.compact()
    client = reopen(client)
    copy = client.get_collection("copy")
    assert copy.get()["ids"] == ["r1", "r2", "r3", "r4", "tail"]
    with refused(error=NotFoundError):
        client.get_collection("things")


def test_an_origin_outlives_its_fork(client: Any, reopen: Any, origin: Any) -> None:
    origin.fork("copy")
    client.delete_collection("copy")
    client.compact()
    assert reopen(client).get_collection("things").count() == 5


def test_both_sides_can_be_settled(origin: Any) -> None:
    fork = origin.fork("copy")
    fork.delete(where={"n": {"$gte": 0}})
    fork.compact()
    origin.compact()
    assert (fork.get()["ids"], origin.count()) == (["tail"], 5)


def test_a_fork_can_be_forked(origin: Any) -> None:
    assert origin.fork("copy").fork("copy2").count() == 5


def test_a_fork_keeps_function_metadata_and_configuration(client: Any, embed: Any) -> None:
    origin = client.create_collection(
        "things",
        metadata={"note": "x"},
        configuration={"hnsw": {"space": "cosine", "ef_search": 33}},
        embedding_function=embed,
    )
    fork = origin.fork("copy")
    assert fork.metadata == {"note": "x"}
    assert fork.configuration_json == origin.configuration_json
    fork.add(ids=["a"], documents=["hello"])
    assert fork.count() == 1


def test_a_taken_name_is_refused(client: Any, origin: Any) -> None:
    client.create_collection("taken")
    with refused("taken", error=UniqueConstraintError):
        origin.fork("taken")


def test_an_invalid_name_is_refused(origin: Any) -> None:
    with refused("Expected a name"):
        origin.fork("a b")
