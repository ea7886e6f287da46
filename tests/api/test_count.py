"""count: all records, or those a filter matches."""

from __future__ import annotations

from typing import Any

from ..support.checks import fill, refused


def test_a_new_collection_counts_zero(collection: Any) -> None:
    assert collection.count() == 0


def test_count_follows_every_write(collection: Any) -> None:
    fill(collection, 5)
    collection.upsert(ids=["r0", "new"], embeddings=[[1, 1], [2, 2]])
    collection.update(ids=["nobody"], metadatas=[{"n": 1}])
    collection.delete(ids=["r1"])
    assert collection.count() == 5


def test_count_takes_a_where(collection: Any) -> None:
    fill(collection, 5)
    assert collection.count(where={"n": {"$lt": 2}}) == 2


def test_count_takes_a_where_document(collection: Any) -> None:
    fill(collection, 5)
    assert collection.count(where_document={"$contains": "text"}) == 5
    assert collection.count(where={"n": 1}, where_document={"$contains": "2"}) == 0


def test_every_read_level_counts_everything(collection: Any) -> None:
    from chroma import ReadLevel

    fill(collection, 3)
    assert [collection.count(level) for level in ReadLevel] == [3] * len(ReadLevel)


def test_a_bad_filter_is_refused(collection: Any) -> None:
    with refused("Expected where operator to be one of"):
        collection.count(where={"n": {"$foo": 1}})
