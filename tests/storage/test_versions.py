"""Versions of a collection that are made while other threads and processes work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import NotFoundError, UniqueConstraintError
from chroma.storage.collection import compaction
from chroma.storage.interface import version_names


@pytest.fixture
def words(tmp_path: Path) -> Any:
    with chroma.PersistentClient(tmp_path / "db") as client:
        collection = client.create_collection("words", embedding_function=None)
        collection.add(ids=["a", "b"], embeddings=np.eye(2))
        yield collection


def _meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Any) -> None:
    """Do something once the files of a version are shared, before the catalog has it."""
    share = compaction.share

    def shared(*arguments: Any) -> None:
        share(*arguments)
        monkeypatch.setattr(compaction, "share", share)
        happens()

    monkeypatch.setattr(compaction, "share", shared)


def test_a_version_of_a_collection_that_is_deleted_meanwhile(
    words: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stay for ever: only its collection lists it."""
    with chroma.PersistentClient(tmp_path / "db") as other:
        _meanwhile(monkeypatch, lambda: other.delete_collection("words"))
        with pytest.raises(NotFoundError, match="was deleted"):
            words.snapshot("late")
    assert list((tmp_path / "db" / "collections").iterdir()) == []


def test_two_versions_of_one_name(words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their names in the catalog differ, because the second is made a second later."""
    times = iter(["one", "two"])
    monkeypatch.setattr(version_names, "entry_name", lambda id, name: f"{id}@{next(times)}@{name}")
    _meanwhile(monkeypatch, lambda: words.snapshot("same"))
    with pytest.raises(UniqueConstraintError, match="has a snapshot 'same' already"):
        words.snapshot("same")
    assert [each.name for each in words.snapshots()] == ["same"]


def test_a_version_that_is_dropped_while_all_are_listed(words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words.snapshot("one-of-two")
    words.snapshot("two-of-two")
    versions_of = version_names.versions_of

    def listed(*arguments: Any) -> Any:
        found = versions_of(*arguments)
        monkeypatch.setattr(version_names, "versions_of", versions_of)
        words.drop_snapshot("one-of-two")
        return found

    monkeypatch.setattr(version_names, "versions_of", listed)
    assert [each.name for each in words.snapshots()] == ["two-of-two"]


def test_versions_are_no_collections_of_a_report(words: Any, tmp_path: Path) -> None:
    words.snapshot("before")
    with chroma.PersistentClient(tmp_path / "db") as client:
        assert client.backup(tmp_path / "backup").collections == 1
        assert client.count_collections() == 1
    assert chroma.restore(tmp_path / "backup", tmp_path / "restored").collections == 1
    with chroma.PersistentClient(tmp_path / "restored") as client:
        restored = client.get_collection("words", embedding_function=None)
        assert [each.name for each in restored.snapshots()] == ["before"]
        assert restored.at("before").get()["ids"] == ["a", "b"]
