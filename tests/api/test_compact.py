"""compact: the same answers from less disk; the index says how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import chroma

from ..support.checks import fill


def test_compact_changes_no_answer(collection: Any) -> None:
    fill(collection, 200)
    collection.update(ids=["r5"], metadatas=[{"n": -1}])
    collection.delete(ids=["r7"])
    wish = {"include": ["metadatas", "documents", "uris"]}
    before = collection.get(**wish), collection.query(query_embeddings=[[5, 0]], n_results=50)
    assert collection.compact() is None
    assert (collection.get(**wish), collection.query(query_embeddings=[[5, 0]], n_results=50)) == before


def test_compact_can_be_repeated_and_done_on_nothing(client: Any, collection: Any) -> None:
    collection.compact()
    fill(collection, 3)
    collection.compact()
    collection.compact()
    assert client.compact() is None
    assert collection.count() == 3


def test_writes_go_on_after_compact(collection: Any, client: Any, reopen: Any) -> None:
    fill(collection, 3)
    collection.compact()
    collection.upsert(ids=["r1", "new"], embeddings=[[9, 9], [8, 8]])
    collection.delete(ids=["r0"])
    assert reopen(client).get_collection("things").get()["ids"] == ["r1", "r2", "new"]


def test_a_collection_can_be_emptied_and_filled_again(collection: Any) -> None:
    for _ in range(3):
        fill(collection, 50)
        collection.compact()
        collection.delete(where={"n": {"$gte": 0}})
        collection.compact()
        assert (collection.count(), collection.get()["ids"]) == (0, [])
        assert collection.query(query_embeddings=[[1, 2]])["ids"] == [[]]


def test_the_index_status_counts_records(collection: Any) -> None:
    """Edge 37."""
    fill(collection, 10)
    collection.compact()
    status = collection.get_indexing_status()
    assert status.total_ops == 10
    assert status.num_indexed_ops + status.num_unindexed_ops == 10
    assert status.op_indexing_progress == 1.0


def test_the_index_status_of_an_empty_collection_is_done(collection: Any) -> None:
    """Edge 37."""
    status = collection.get_indexing_status()
    assert (status.total_ops, status.num_unindexed_ops, status.op_indexing_progress) == (0, 0, 1.0)


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def holding(folder: Path, text: bytes) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file() and text in file.read_bytes()]


def test_deleted_data_leave_the_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(20_000, 32)).astype(np.float32)

    def add(client: Any, rows: range) -> Any:
        collection = client.create_collection("things", embedding_function=None)
        collection.add(
            ids=[f"r{i}" for i in rows],
            embeddings=vectors[rows.start : rows.stop],
            documents=[f"the secret of number {i}" for i in rows],
            metadatas=[{"n": i} for i in rows],
        )
        return collection

    with chroma.PersistentClient(tmp_path / "full") as client:
        collection = add(client, range(20_000))
        collection.compact()
        assert collection.delete(where={"n": {"$lt": 18_000}}) == {"deleted": 18_000}
        collection.compact()
        assert collection.count() == 2000
    with chroma.PersistentClient(tmp_path / "fresh") as client:
        add(client, range(18_000, 20_000)).compact()
    assert holding(tmp_path / "full", b"the secret of number 17123") == []
    assert size(tmp_path / "full") <= 1.2 * size(tmp_path / "fresh")


def test_a_dropped_collection_leaves_the_disk(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        client.create_collection("things", embedding_function=None).add(
            ids=["a"], embeddings=[[1, 2]], documents=["a very secret text"]
        )
        client.delete_collection("things")
        client.compact()
        assert holding(tmp_path, b"a very secret text") == []
