"""Inverted indexes of segments: written with them, and made again when their files are damaged or gone."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma import Knn, Schema, Search, SparseVector, SparseVectorIndexConfig
from chroma.storage.check import check_folder
from chroma.storage.collection import postings_cache, segment_indexes
from chroma.storage.interface.errors import WriteFailed

COUNT = 5_000  # a bulk load, which becomes a segment at once


def made(client: Any) -> Any:
    schema = Schema().create_index(SparseVectorIndexConfig(), key="sp")
    schema = schema.create_index(SparseVectorIndexConfig(), key="other")
    collection = client.create_collection("things", schema=schema, embedding_function=None)
    collection.add(
        ids=[str(number) for number in range(COUNT)],
        embeddings=[[0.0, 1.0]] * COUNT,
        metadatas=[
            {"sp": SparseVector([number % 50, 100 + number], [1.0, number])} if number % 2 else {"n": 1}
            for number in range(COUNT)
        ],
    )
    return collection


def best(collection: Any, index: int) -> list[str]:
    found = collection.search(Search().rank(Knn(SparseVector([index], [1.0]), key="sp", limit=2)))
    return list(found["ids"][0])


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("collections/*/seg-*/index-*.idx"))


@pytest.mark.parametrize("damage", ["a byte", "gone", "empty"])
def test_a_damaged_file_changes_no_answer(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "db"
    with chroma.PersistentClient(folder) as client:
        collection = made(client)
        assert best(collection, 100 + 77) == ["77"]
    (file,) = files(folder)
    if damage == "gone":
        file.unlink()
    else:
        data = bytearray(file.read_bytes())
        data[-100] ^= 1
        file.write_bytes(data if damage == "a byte" else b"")
    with chroma.PersistentClient(folder) as client:
        collection = client.get_collection("things")
        assert best(collection, 100 + 77) == ["77"]
        assert best(collection, 7) == ["7", "57"]
        collection.compact()  # builds what is missing
        assert best(collection, 7) == ["7", "57"]
    (new,) = files(folder)
    assert new.name != file.name


def test_a_key_without_vectors_has_no_file_and_finds_nothing(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path / "db") as client:
        collection = made(client)
        nothing = Search().rank(Knn(SparseVector([1], [1.0]), key="other"))
        assert collection.search(nothing)["ids"] == [[]]
        collection.compact()
        assert collection.search(nothing)["ids"] == [[]]
    assert len(files(tmp_path / "db")) == 1


def test_compaction_carries_the_vectors_over(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path / "db") as client:
        collection = made(client)
        collection.delete(ids=["77"])
        collection.update(ids=["79"], metadatas=[{"sp": SparseVector([177], [1.0])}])
        assert best(collection, 177) == ["79"]
        collection.compact()
        assert best(collection, 177) == ["79"]
    assert len(files(tmp_path / "db")) == 1


def test_a_memtable_grows_its_postings(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    entries = postings_cache.SparseVectorIndex.entries

    def counted(self: Any, source: Any, start: int, stop: int, *others: Any) -> Any:
        read.append((start, stop))
        return entries(self, source, start, stop, *others)

    monkeypatch.setattr(postings_cache.SparseVectorIndex, "entries", counted)
    with chroma.EphemeralClient(private=True) as client:
        schema = Schema().create_index(SparseVectorIndexConfig(), key="sp")
        collection = client.create_collection("things", schema=schema, embedding_function=None)
        for number in range(20):
            collection.add(
                ids=[str(number)],
                embeddings=[[0.0, 1.0]],
                metadatas=[{"sp": SparseVector([7], [float(number)])}],
            )
            assert best(collection, 7)[0] == str(number)
    assert read == [(number, number + 1) for number in range(20)]  # no row is read twice


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("named_by", ["the log", "the manifest"])
def test_a_repair_builds_them_again(tmp_path: Path, gone: bool, named_by: str) -> None:
    folder = tmp_path / "db"
    with chroma.PersistentClient(folder) as client:
        collection = made(client)
        if named_by == "the manifest":
            collection.compact()
        collection.add(ids=["later"], embeddings=[[0.0, 1.0]], metadatas=[{"sp": SparseVector([3], [9.0])}])
    (file,) = files(folder)
    if gone:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert any(each.severity == "repaired" for each in check_folder(str(folder), repair=True).findings)
    assert all(each.severity == "ok" for each in check_folder(str(folder)).findings)
    with chroma.PersistentClient(folder) as client:
        collection = client.get_collection("things")
        assert best(collection, 7) == ["7", "57"]
        assert best(collection, 3)[0] == "later"
        collection.compact()
        assert best(collection, 7) == ["7", "57"]


def of_words(collection: Any) -> list[str]:
    return list(collection.query(query_texts="only77", mode="lexical")["ids"][0])


def with_words(client: Any) -> Any:
    collection = client.create_collection("texts", embedding_function=None)
    ids = [str(number) for number in range(postings_cache.FEW_DOCUMENTS)]
    collection.add(ids=ids, embeddings=[[0.0]] * len(ids), documents=[f"the only{id}" for id in ids])
    collection.compact()
    return collection


def test_words_are_found_if_their_index_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*given: Any, **named: Any) -> None:
        raise WriteFailed("cannot write: No space left on device")

    with chroma.PersistentClient(tmp_path / "db") as client:
        collection = with_words(client)
        with monkeypatch.context() as patch:
            patch.setattr(segment_indexes, "publish", full)
            assert of_words(collection) == ["77"]
        assert "No space left on device" in caplog.text
        assert not files(tmp_path / "db")
        collection.compact()  # tries again
        assert of_words(collection) == ["77"]
    assert len(files(tmp_path / "db")) == 1


def test_postings_in_memory_go_once_there_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take as much as the file, for as long as the segment lives."""
    kept: list[weakref.ref[Any]] = []
    init = postings_cache._InMemory.__init__

    def noted(self: Any) -> None:
        init(self)
        kept.append(weakref.ref(self))

    monkeypatch.setattr(postings_cache._InMemory, "__init__", noted)
    with chroma.PersistentClient(tmp_path / "db") as client:
        collection = with_words(client)
        with monkeypatch.context() as patch:
            patch.setattr(segment_indexes.SegmentIndexes, "build", lambda *given, **options: False)
            assert of_words(collection) == ["77"]
        assert kept and kept[0]() is not None
        collection.compact()
        assert of_words(collection) == ["77"]
        gc.collect()
        assert [each() for each in kept] == [None] * len(kept)


def test_a_query_does_not_wait_for_a_compaction(tmp_path: Path) -> None:
    found: list[Any] = []
    with chroma.PersistentClient(tmp_path / "db") as client:
        collection = with_words(client)
        folder = client._backend._open(collection._ref).store.folder
        with folder.lock("maintain.lock"):
            query = threading.Thread(target=lambda: found.append(of_words(collection)), daemon=True)
            query.start()
            query.join(10)
            assert found == [["77"]]
        collection.compact()
        assert of_words(collection) == ["77"]
    assert len(files(tmp_path / "db")) == 1
