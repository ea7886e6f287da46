"""Named snapshots: kept, read, restored, dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma.errors import InvalidArgumentError, NotFoundError, ReadOnlyError, UniqueConstraintError


@pytest.fixture
def words(client: Any) -> Any:
    collection = client.create_collection("words", metadata={"of": "words"}, embedding_function=None)
    collection.add(
        ids=[f"w{row}" for row in range(40)],
        embeddings=np.random.default_rng(1).random((40, 4)),
        documents=[f"word {row}" for row in range(40)],
        metadatas=[{"n": row} for row in range(40)],
    )
    return collection


def everything(collection: Any) -> dict[str, Any]:
    found = collection.get(include=["embeddings", "documents", "metadatas", "uris"])
    return {**found, "embeddings": found["embeddings"].tolist()}


def changed(words: Any) -> None:
    words.delete(where={"n": {"$lt": 10}})
    words.update(where={"n": {"$gte": 30}}, metadatas={"late": True})
    words.upsert(ids=["w20", "new"], embeddings=np.zeros((2, 4)), documents=["changed", "new"])


@pytest.mark.parametrize("compacted", ["never", "before", "between"])
def test_what_was_kept_comes_back(words: Any, compacted: str) -> None:
    if compacted == "before":
        words.compact()
    before = everything(words)
    kept = words.snapshot("before-cleaning")
    assert (kept.name, kept.records) == ("before-cleaning", 40)
    assert kept.created.startswith("20") and kept.created.endswith("Z")
    changed(words)
    if compacted == "between":
        words.compact()
    assert words.count() == 31
    assert everything(words.at("before-cleaning")) == before
    words.restore("before-cleaning")
    assert everything(words) == before
    assert words.metadata == {"of": "words"}
    near = words.query(query_embeddings=before["embeddings"], n_results=1)
    assert [ids[0] for ids in near["ids"]] == before["ids"]
    words.restore("before-cleaning")  # changes nothing
    assert everything(words) == before
    words.add(ids=["last"], embeddings=[[1, 1, 1, 1]])
    assert words.get(include=[])["ids"] == [*before["ids"], "last"]


def test_back_and_forth(words: Any) -> None:
    words.snapshot("one")
    before = everything(words)
    changed(words)
    words.snapshot("two")
    after = everything(words)
    for _ in range(2):
        words.restore("one")
        assert everything(words) == before
        words.restore("two")
        assert everything(words) == after
    assert [each.name for each in words.snapshots()] == ["one", "two"]
    words.drop_snapshot("one")
    assert [each.name for each in words.snapshots()] == ["two"]
    assert everything(words.at("two")) == after


def test_an_emptied_collection(client: Any, words: Any) -> None:
    words.snapshot("full")
    before = everything(words)
    words.delete(ids=before["ids"])
    words.snapshot("empty")
    words.restore("full")
    assert everything(words) == before
    words.restore("empty")
    assert words.count() == 0
    fresh = client.create_collection("fresh", embedding_function=None)
    fresh.snapshot("nothing")
    fresh.add(ids=["a"], embeddings=[[1, 2]])
    fresh.restore("nothing")
    assert fresh.count() == 0


def test_a_snapshot_is_read_and_never_changed(client: Any, words: Any) -> None:
    words.snapshot("kept")
    version = words.at("kept")
    assert version.name == "words@kept"
    assert version.count(where={"n": {"$lt": 10}}) == 10
    for change in (
        lambda: version.add(ids=["x"], embeddings=[[1, 2, 3, 4]]),
        lambda: version.update(ids=["w1"], metadatas=[{"n": 2}]),
        lambda: version.delete(ids=["w1"]),
        lambda: version.modify(name="other"),
        lambda: version.snapshot("again"),
    ):
        with pytest.raises(ReadOnlyError, match="the snapshot 'kept' can only be read"):
            change()
    copy = version.fork("copy")
    copy.add(ids=["x"], embeddings=[[1, 2, 3, 4]])
    assert (copy.count(), version.count(), words.count()) == (41, 40, 40)


def test_snapshots_are_no_collections_of_the_database(client: Any, words: Any) -> None:
    words.snapshot("kept")
    assert [each.name for each in client.list_collections()] == ["words"]
    assert client.count_collections() == 1
    words.modify(name="renamed")
    assert client.get_collection("renamed", embedding_function=None).at("kept").count() == 40
    version = words.at("kept")
    client.delete_collection("renamed")
    with pytest.raises(NotFoundError):
        version.count()


def test_names(words: Any) -> None:
    for call in (words.at, words.restore, words.drop_snapshot):
        with pytest.raises(NotFoundError, match=r"it has none; collection.snapshot\('kept'\) makes one"):
            call("kept")
    words.snapshot("kept")
    with pytest.raises(UniqueConstraintError, match="has a snapshot 'kept' already"):
        words.snapshot("kept")
    for call in (words.at, words.restore, words.drop_snapshot):
        with pytest.raises(NotFoundError, match="no snapshot 'kepd'; it has 'kept'"):
            call("kepd")
        with pytest.raises(InvalidArgumentError):
            call(None)
    for name in ("", "a/b", "a@b", None, 3):
        with pytest.raises(InvalidArgumentError, match="name"):
            words.snapshot(name)


def test_large_collections_restore_only_what_changed(client: Any, client_kind: str) -> None:
    collection = client.create_collection("large", embedding_function=None)
    collection.add(
        ids=[f"{row}" for row in range(6000)], embeddings=np.random.default_rng(1).random((6000, 4))
    )
    collection.compact()
    collection.snapshot("kept")
    collection.delete(ids=["17", "4000"])
    collection.restore("kept")
    stats = collection.info()
    assert (stats.live, stats.deleted) == (6000, 2)
    assert collection.get(limit=1, offset=17)["ids"] == ["17"]
