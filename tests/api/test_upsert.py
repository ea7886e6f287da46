"""upsert: insert what is new, merge into what is there."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.checks import refused
from ..support.tiny_embedding import HashEmbedding, vector_of


@pytest.fixture
def one(collection: Any) -> Any:
    collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"n": 1, "keep": "x"}], documents=["first"])
    return collection


def test_a_new_id_is_inserted(one: Any) -> None:
    one.upsert(ids=["b"], embeddings=[[3, 4]])
    assert one.get()["ids"] == ["a", "b"]


def test_metadata_is_merged_per_key(one: Any) -> None:
    one.upsert(ids=["a"], embeddings=[[5, 6]], metadatas=[{"n": 2, "new": True}])
    assert one.get()["metadatas"] == [{"n": 2, "keep": "x", "new": True}]


def test_a_none_value_deletes_the_key(one: Any) -> None:
    one.upsert(ids=["a"], embeddings=[[5, 6]], metadatas=[{"n": None}])
    assert one.get()["metadatas"] == [{"keep": "x"}]


def test_the_document_stays_when_not_given(one: Any) -> None:
    one.upsert(ids=["a"], embeddings=[[5, 6]])
    got = one.get(include=["documents", "embeddings"])
    assert (got["documents"], got["embeddings"].tolist()) == (["first"], [[5, 6]])


def test_the_place_in_the_order_is_kept(one: Any) -> None:
    one.add(ids=["b"], embeddings=[[3, 4]])
    one.upsert(ids=["a"], embeddings=[[9, 9]])
    assert one.get()["ids"] == ["a", "b"]


def test_none_values_of_a_new_record_are_dropped(one: Any) -> None:
    one.upsert(ids=["b"], embeddings=[[3, 4]], metadatas=[{"n": None, "m": 1}])
    assert one.get(ids=["b"])["metadatas"] == [{"m": 1}]


def test_a_new_record_with_only_none_values_has_no_metadata(one: Any) -> None:
    """Edge 16."""
    one.upsert(ids=["b"], embeddings=[[3, 4]], metadatas=[{"n": None}])
    assert one.get(ids=["b"])["metadatas"] == [None]


def test_new_and_known_ids_mix_in_one_call(one: Any) -> None:
    one.upsert(ids=["b", "a"], embeddings=[[3, 4], [5, 6]], documents=["new", "changed"])
    assert one.get()["documents"] == ["changed", "new"]


def test_documents_are_embedded(collection: Any, embed: HashEmbedding) -> None:
    collection.upsert(ids=["a"], documents=["one"])
    collection.upsert(ids=["a"], documents=["two"])
    assert collection.get(include=["embeddings"])["embeddings"].tolist() == [vector_of("two")]
    assert embed.calls == [["one"], ["two"]]


def test_metadata_alone_is_enough_for_known_ids(one: Any) -> None:
    """Edge 32."""
    one.upsert(ids=["a"], metadatas=[{"n": 7}])
    got = one.get(include=["metadatas", "embeddings", "documents"])
    assert (got["metadatas"], got["documents"]) == ([{"n": 7, "keep": "x"}], ["first"])
    assert got["embeddings"].tolist() == [[1, 2]]


def test_metadata_alone_is_refused_when_an_id_is_new(one: Any) -> None:
    """Edge 32."""
    with refused():
        one.upsert(ids=["a", "b"], metadatas=[{"n": 7}, {"n": 8}])
    assert one.get()["metadatas"] == [{"n": 1, "keep": "x"}]


def test_an_upsert_twice_is_an_upsert_once(one: Any) -> None:
    for _ in range(2):
        one.upsert(ids=["a", "b"], embeddings=[[1, 1], [2, 2]], metadatas=[{"n": 5}, {"n": 6}])
    assert one.get()["metadatas"] == [{"n": 5, "keep": "x"}, {"n": 6}]


def test_upserts_survive_reopening(client: Any, reopen: Any) -> None:
    collection = client.create_collection("things", embedding_function=None)
    collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"n": 1}])
    collection.upsert(ids=["a"], embeddings=[[3, 4]], metadatas=[{"m": 2}])
    got = reopen(client).get_collection("things").get(include=["embeddings", "metadatas"])
    assert (got["embeddings"].tolist(), got["metadatas"]) == ([[3, 4]], [{"n": 1, "m": 2}])
