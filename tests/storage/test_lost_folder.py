"""A folder that is removed or replaced while a client has it open: every call says so, nothing is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import NotFoundError

HOLDS = {"allow_reset": True}


def _filled(path: Path, compacted: bool = False) -> tuple[Any, Any]:
    client = chroma.PersistentClient(path, settings=chroma.Settings(**HOLDS))
    things = client.create_collection("things", embedding_function=None)
    things.add(
        ids=[str(number) for number in range(5)],
        embeddings=np.ones((5, 2), np.float32),
        documents=["word"] * 5,
        metadatas=[{"n": number} for number in range(5)],
    )
    if compacted:
        things.compact()
    return client, things


def _removed(path: Path) -> None:
    shutil.rmtree(path)


def _moved(path: Path) -> None:
    os.rename(path, path.parent / "elsewhere")


def _another(path: Path) -> None:
    other = chroma.PersistentClient(path.parent / "other")
    other.create_collection("things", embedding_function=None).add(ids=["x"], embeddings=[[1.0, 2.0]])
    other.close()
    os.rename(path, path.parent / "elsewhere")
    os.rename(path.parent / "other", path)


def _its_copy(path: Path) -> None:
    shutil.copytree(path, path.parent / "copy")
    shutil.rmtree(path)
    os.rename(path.parent / "copy", path)


def _calls(client: Any, things: Any, folder: Path) -> dict[str, Callable[[], object]]:
    vector = [[1.0, 2.0]]
    return {
        "heartbeat": client.heartbeat,
        "list_collections": client.list_collections,
        "count_collections": client.count_collections,
        "get_collection": lambda: client.get_collection("things"),
        "get_or_create": lambda: client.get_or_create_collection("things", embedding_function=None),
        "create_collection": lambda: client.create_collection("more", embedding_function=None),
        "delete_collection": lambda: client.delete_collection("things"),
        "reset": client.reset,
        "sql": lambda: client.sql("SELECT count(*) FROM things"),
        "backup": lambda: client.backup(folder / "backup"),
        "count": things.count,
        "count where": lambda: things.count(where={"n": 1}),
        "get": things.get,
        "get ids": lambda: things.get(ids=["1"]),
        "get where": lambda: things.get(where={"n": 1}),
        "get where_document": lambda: things.get(where_document={"$contains": "word"}),
        "get of an order": lambda: things.get(order_by="n"),
        "peek": things.peek,
        "query": lambda: things.query(query_embeddings=vector),
        "query where": lambda: things.query(query_embeddings=vector, where={"n": 1}),
        "add": lambda: things.add(ids=["9"], embeddings=vector),
        "upsert": lambda: things.upsert(ids=["1"], embeddings=vector),
        "update": lambda: things.update(ids=["1"], embeddings=vector),
        "delete": lambda: things.delete(ids=["1"]),
        "modify name": lambda: things.modify(name="other"),
        "modify metadata": lambda: things.modify(metadata={"a": 1}),
        "fork": lambda: things.fork("forked"),
        "compact": things.compact,
        "info": things.info,
        "describe": things.describe,
        "indexing": things.get_indexing_status,
        "to_arrow": things.to_arrow,
        "to_batches": lambda: list(things.to_batches()),
    }


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("lose", [_removed, _moved, _another, _its_copy])
def test_every_call_says_that_the_folder_is_gone(
    tmp_path: Path, lose: Callable[[Path], None], compacted: bool
) -> None:
    client, things = _filled(tmp_path / "db", compacted)
    calls = _calls(client, things, tmp_path)
    assert things.count() == 5
    lose(tmp_path / "db")
    answered = []
    for name, call in calls.items():
        try:
            call()
        except NotFoundError as error:
            assert "was removed or replaced while it was open; open a new client" in str(error), name
        else:
            answered.append(name)
    assert answered == []
    client.close()


@pytest.mark.parametrize("name", ["count", "list_collections", "query", "add", "create_collection"])
def test_the_first_call_says_so(tmp_path: Path, name: str) -> None:
    client, things = _filled(tmp_path / "db")
    call = _calls(client, things, tmp_path)[name]
    things.get(ids=["1"])
    _moved(tmp_path / "db")
    with pytest.raises(NotFoundError, match="removed or replaced"):
        call()
    client.close()


def test_another_folder_in_its_place_is_not_touched(tmp_path: Path) -> None:
    client, things = _filled(tmp_path / "db")
    _another(tmp_path / "db")
    for call in _calls(client, things, tmp_path).values():
        with pytest.raises(NotFoundError):
            call()
    client.close()
    with chroma.PersistentClient(tmp_path / "db") as other:
        assert [each.name for each in other.list_collections()] == ["things"]
        assert other.get_collection("things").get()["ids"] == ["x"]


def test_a_change_that_failed_does_not_adopt_the_folder_in_its_place(tmp_path: Path) -> None:
    """After a failed change the catalog is read anew. It must not be read from another database."""
    client, _ = _filled(tmp_path / "db")
    catalog = client._backend.engine.catalog
    _another(tmp_path / "db")
    catalog._stale = True
    with pytest.raises(NotFoundError, match="removed or replaced"):
        client.list_collections()
    with pytest.raises(NotFoundError, match="removed or replaced"):
        client.create_collection("more", embedding_function=None)
    client.close()


def test_a_new_client_starts_afresh_beside_the_lost_one(tmp_path: Path) -> None:
    """Also with other settings, for the lost client no longer has anything in common with it."""
    lost, things = _filled(tmp_path / "db")
    _removed(tmp_path / "db")
    with chroma.PersistentClient(tmp_path / "db") as client:
        assert client.list_collections() == []
        client.create_collection("new", embedding_function=None).add(ids=["a"], embeddings=[[1.0]])
        with pytest.raises(NotFoundError, match="removed or replaced"):
            things.count()
        assert client.get_collection("new").count() == 1
    lost.close()
