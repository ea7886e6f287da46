"""update: change parts of records that are there, skip the others."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.checks import refused
from ..support.tiny_embedding import HashEmbedding, vector_of


@pytest.fixture
def one(collection: Any) -> Any:
    collection.add(
        ids=["a"], embeddings=[[1, 2, 3, 4]], metadatas=[{"n": 1}], documents=["first"], uris=["u://1"]
    )
    return collection


def everything(collection: Any) -> dict[str, Any]:
    got = collection.get(include=["embeddings", "metadatas", "documents", "uris"])
    return {**got, "embeddings": got["embeddings"].tolist()}


def test_unknown_ids_are_skipped(one: Any) -> None:
    one.update(ids=["nobody", "a"], metadatas=[{"n": 2}, {"n": 3}])
    assert one.get()["ids"] == ["a"]
    assert one.get()["metadatas"] == [{"n": 3}]


def test_metadata_is_merged_per_key(one: Any) -> None:
    one.update(ids=["a"], metadatas=[{"m": "x"}])
    assert one.get()["metadatas"] == [{"n": 1, "m": "x"}]


def test_a_none_value_deletes_the_key(one: Any) -> None:
    one.update(ids=["a"], metadatas=[{"m": 2}])
    one.update(ids=["a"], metadatas=[{"n": None}])
    assert one.get()["metadatas"] == [{"m": 2}]


def test_when_the_last_key_goes_metadata_is_none(one: Any) -> None:
    one.update(ids=["a"], metadatas=[{"n": None}])
    assert one.get()["metadatas"] == [None]


def test_a_deleted_key_no_longer_matches_filters(one: Any) -> None:
    one.update(ids=["a"], metadatas=[{"n": None}])
    assert one.get(where={"n": 1})["ids"] == []
    assert one.get(where={"n": {"$ne": 1}})["ids"] == ["a"]


def test_a_none_entry_leaves_the_record_alone(one: Any) -> None:
    one.update(ids=["a"], metadatas=[None], documents=[None], embeddings=[[5, 6, 7, 8]])
    got = everything(one)
    assert (got["metadatas"], got["documents"], got["embeddings"]) == ([{"n": 1}], ["first"], [[5, 6, 7, 8]])


@pytest.mark.parametrize("value", [2.5, "text", True, [1, 2], ["x"]])
def test_a_value_may_change_its_type(one: Any, value: Any) -> None:
    one.update(ids=["a"], metadatas=[{"n": value}])
    assert one.get()["metadatas"] == [{"n": value}]
    assert type(one.get()["metadatas"][0]["n"]) is type(value)


def test_a_list_is_replaced_whole(one: Any) -> None:
    one.update(ids=["a"], metadatas=[{"n": [1, 2, 3]}])
    one.update(ids=["a"], metadatas=[{"n": [4]}])
    assert one.get()["metadatas"] == [{"n": [4]}]


def test_documents_alone_are_embedded_again(one: Any, embed: HashEmbedding) -> None:
    one.update(ids=["a"], documents=["second"])
    got = everything(one)
    assert (got["documents"], got["embeddings"]) == (["second"], [vector_of("second")])
    assert embed.calls == [["second"]]


def test_documents_with_embeddings_are_not_embedded(one: Any, embed: HashEmbedding) -> None:
    one.update(ids=["a"], documents=["second"], embeddings=[[0, 0, 0, 1]])
    assert everything(one)["embeddings"] == [[0, 0, 0, 1]]
    assert embed.calls == []


def test_uris_alone_touch_nothing_else(one: Any, embed: HashEmbedding) -> None:
    before = everything(one)
    one.update(ids=["a"], uris=["u://2"])
    assert everything(one) == {**before, "uris": ["u://2"]}
    assert embed.calls == []


def test_embeddings_alone_touch_nothing_else(one: Any) -> None:
    before = everything(one)
    one.update(ids=["a"], embeddings=[[4, 3, 2, 1]])
    assert everything(one) == {**before, "embeddings": [[4, 3, 2, 1]]}


def test_ids_alone_change_nothing(one: Any) -> None:
    before = everything(one)
    one.update(ids=["a"])
    assert everything(one) == before


def test_the_place_in_the_order_is_kept(one: Any) -> None:
    one.add(ids=["b"], embeddings=[[0, 0, 0, 0]])
    one.update(ids=["a"], embeddings=[[9, 9, 9, 9]])
    assert one.get()["ids"] == ["a", "b"]


def test_the_new_vector_is_searched_and_the_old_one_is_not(one: Any) -> None:
    one.add(ids=["b"], embeddings=[[0, 0, 0, 0]])
    one.update(ids=["a"], embeddings=[[100, 0, 0, 0]])
    result = one.query(query_embeddings=[[1, 2, 3, 4]], n_results=2)
    assert result["ids"] == [["b", "a"]]


def test_a_wrong_dimension_changes_nothing(one: Any) -> None:
    with refused("Collection expecting embedding with dimension of 4, got 2"):
        one.update(ids=["a"], embeddings=[[1, 2]], metadatas=[{"n": 9}])
    assert one.get()["metadatas"] == [{"n": 1}]


def test_updates_survive_reopening(client: Any, reopen: Any) -> None:
    collection = client.create_collection("things", embedding_function=None)
    collection.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"n": 1}, {"n": 2}])
    collection.update(ids=["a"], metadatas=[{"n": None, "m": 5}], documents=["new"], embeddings=[[7, 8]])
    got = everything(reopen(client).get_collection("things"))
    assert (got["ids"], got["metadatas"]) == (["a", "b"], [{"m": 5}, {"n": 2}])
    assert (got["documents"], got["embeddings"]) == (["new", None], [[7, 8], [3, 4]])
