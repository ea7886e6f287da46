"""Copies of collections between databases, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import InvalidArgumentError, InvalidTypeError, NotFoundError, UniqueConstraintError
from chroma.maintenance import copy_collections

from ...support import server
from ...support.tiny_embedding import HashEmbedding

EVERYTHING = ["documents", "metadatas", "embeddings", "uris"]
ODD = {"i": 2**63 - 1, "f": 2.0, "b": True, "s": "2", "ü": "", "l": [1, 2], "fl": [1.0], "t": ["x", ""]}


@pytest.fixture
def remote() -> Iterator[Any]:
    with chroma.HttpClient(server.url()) as client:
        client.reset()
        yield client
        client.reset()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Any]:
    with chroma.PersistentClient(tmp_path / "source") as client:
        yield fill(client)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Any]:
    with chroma.PersistentClient(tmp_path / "target") as client:
        yield client


def fill(client: Any) -> Any:
    """Two collections: one of everything, out of order; one that was never written."""
    made = client.create_collection(
        "things",
        embedding_function=None,
        metadata={"about": "things", "n": 1.0},
        configuration={"hnsw": {"space": "cosine", "max_neighbors": 20}},
    )
    rng = np.random.default_rng(4)
    ids = [f"id {i}" for i in range(300)]
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    made.add(
        ids=ids,
        embeddings=vectors,
        documents=[None if i % 3 else f"text {i}" for i in range(300)],
        metadatas=[None if i % 5 == 4 else {**ODD, "n": i} for i in range(300)],
        uris=[f"file:{i}" if i % 2 else None for i in range(300)],
    )
    made.compact()
    made.update(ids=["id 7"], metadatas=[{"n": -7}])
    made.delete(ids=["id 0"])
    made.add(ids=["id 0"], embeddings=vectors[:1])
    client.create_collection("nothing", embedding_function=HashEmbedding())
    return client


def assert_equal(copy: Any, original: Any) -> None:
    found, wanted = copy.get(include=EVERYTHING), original.get(include=EVERYTHING)
    for part in ("ids", "documents", "metadatas", "uris"):
        assert found[part] == wanted[part], part
    types = [[type(value) for value in (entry or {}).values()] for entry in found["metadatas"]]
    assert types == [[type(value) for value in (entry or {}).values()] for entry in wanted["metadatas"]]
    if len(wanted["ids"]):
        assert np.asarray(found["embeddings"]).tobytes() == np.asarray(wanted["embeddings"]).tobytes()
    assert copy.metadata == original.metadata
    assert copy.configuration_json == original.configuration_json
    assert copy.id != original.id


def names(client: Any) -> list[str]:
    return [each.name for each in client.list_collections()]


def test_between_folders_and_a_server(source: Any, target: Any, remote: Any) -> None:
    """There and back again; memory as well."""
    with chroma.EphemeralClient(private=True) as memory:
        for one, other in ((source, remote), (remote, memory), (memory, target)):
            reports = chroma.copy_collections(one, other)
            assert [(each.name, each.records, each.outcome) for each in reports] == [
                ("things", 300, "copied"),
                ("nothing", 0, "copied"),
            ]
            assert names(other) == ["things", "nothing"]
            for name in names(other):
                assert_equal(other.get_collection(name), source.get_collection(name))


@pytest.mark.parametrize("streams", [False, True])
def test_pages_and_batches(
    source: Any, target: Any, remote: Any, monkeypatch: pytest.MonkeyPatch, streams: bool
) -> None:
    """What is copied does not depend on how, and how much at a time."""
    assert remote._backend.streams
    monkeypatch.setattr(type(remote._backend), "streams", streams)
    monkeypatch.setattr(copy_collections, "_BATCH_BYTES", 1)
    monkeypatch.setattr(copy_collections, "_MOST_ROWS", 7)
    chroma.copy_collections(source, remote, "things")
    chroma.copy_collections(remote, target, ["things"], rename={"things": "copied"})
    assert names(target) == ["copied"]
    assert_equal(target.get_collection("copied"), source.get_collection("things"))


def test_between_databases_of_a_folder_the_files_are_shared(source: Any, tmp_path: Path) -> None:
    admin = chroma.AdminClient(source.get_settings())
    admin.create_tenant("acme")
    admin.create_database("prod", tenant="acme")
    with chroma.PersistentClient(tmp_path / "source", tenant="acme", database="prod") as other:
        chroma.copy_collections(source, other)
        things = other.get_collection("things")
        assert (things.tenant, things.database) == ("acme", "prod")
        assert_equal(things, source.get_collection("things"))
        inodes = [file.stat().st_ino for file in (tmp_path / "source").glob("collections/*/seg-*/*")]
        assert len(inodes) > len(set(inodes))
        things.delete(ids=["id 1"])
        assert source.get_collection("things").count() == 300
    chroma.copy_collections(source, source, "things", rename={"things": "again"})
    assert_equal(source.get_collection("again"), source.get_collection("things"))


def test_the_embedding_function_comes_along(target: Any, tmp_path: Path) -> None:
    function = HashEmbedding()
    with chroma.PersistentClient(tmp_path / "source") as client:
        made = client.create_collection("texts", embedding_function=function)
        made.add(ids=["a", "b"], documents=["one", "two"])
        calls = len(function.calls)
        chroma.copy_collections(client, target)
        assert len(function.calls) == calls, "nothing is embedded anew"
        assert target.get_collection("texts").configuration_json == made.configuration_json


def test_names_that_are_taken(source: Any, target: Any) -> None:
    old = target.create_collection("things", embedding_function=None)
    old.add(ids=["old"], embeddings=[[1.0]])
    with pytest.raises(UniqueConstraintError, match="nothing was copied"):
        chroma.copy_collections(source, target)
    assert names(target) == ["things"]
    skipped = chroma.copy_collections(source, target, on_conflict="skip")
    assert [(each.name, each.outcome) for each in skipped] == [("things", "skipped"), ("nothing", "copied")]
    assert target.get_collection("things").get()["ids"] == ["old"]
    replaced = chroma.copy_collections(source, target, "things", on_conflict="replace")
    assert [(each.records, each.outcome) for each in replaced] == [(300, "replaced")]
    assert_equal(target.get_collection("things"), source.get_collection("things"))
    assert sorted(names(target)) == ["nothing", "things"]


def test_a_collection_is_not_replaced_by_itself(source: Any, remote: Any) -> None:
    chroma.copy_collections(source, remote)
    for client in (source, remote):
        with pytest.raises(InvalidArgumentError, match="by itself"):
            chroma.copy_collections(client, client, "things", on_conflict="replace")
        assert client.get_collection("things").count() == 300


@pytest.mark.parametrize("where", ["target", "remote"])
def test_a_copy_that_fails_leaves_what_was_there(
    source: Any, request: pytest.FixtureRequest, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = request.getfixturevalue(where)
    old = there.create_collection("things", embedding_function=None)
    old.add(ids=["old"], embeddings=[[1.0]])
    monkeypatch.setattr(copy_collections, "_BATCH_BYTES", 1)
    written = []
    write = type(there._backend).write

    def failing(*arguments: Any) -> Any:
        written.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(there._backend), "write", failing)
    with pytest.raises(KeyboardInterrupt):
        chroma.copy_collections(source, there, on_conflict="replace")
    monkeypatch.setattr(type(there._backend), "write", write)
    assert written
    assert names(there) == ["things"]
    assert there.get_collection("things").get()["ids"] == ["old"]


def test_a_copy_that_was_killed_is_begun_anew(source: Any, target: Any) -> None:
    """Its remains have a name of their own, and go with the next copy."""
    left = target.create_collection("things.chroma-copying", embedding_function=None)
    left.add(ids=["half"], embeddings=[[1.0]])
    chroma.copy_collections(source, target, "things")
    assert names(target) == ["things"]
    assert_equal(target.get_collection("things"), source.get_collection("things"))


def test_a_copy_whose_name_is_taken_at_the_last_moment(
    source: Any, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = copy_collections._name

    def late(*arguments: Any) -> None:
        target.create_collection("things", embedding_function=None)
        name(*arguments)

    monkeypatch.setattr(copy_collections, "_name", late)
    with pytest.raises(UniqueConstraintError):
        chroma.copy_collections(source, target, "things")
    assert names(target) == ["things"]
    assert target.get_collection("things").count() == 0


def test_records_written_meanwhile_do_not_move_the_pages(
    source: Any, target: Any, remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server without streams, each record that was there and stays there is copied once."""
    monkeypatch.setattr(type(remote._backend), "streams", False)
    monkeypatch.setattr(copy_collections, "_MOST_ROWS", 50)
    chroma.copy_collections(source, remote, "things")
    things = remote.get_collection("things")
    update = []
    pages = copy_collections._pages

    def slow(*arguments: Any) -> Any:
        for page in pages(*arguments):
            if not update:
                update.append(things.delete(ids=[f"id {i}" for i in range(1, 40)]))
                things.add(ids=["late"], embeddings=[[1.0] * 8])
            yield page

    monkeypatch.setattr(copy_collections, "_pages", slow)
    chroma.copy_collections(remote, target, "things")
    kept = set(source.get_collection("things").get()["ids"]) - {f"id {i}" for i in range(1, 40)}
    assert kept <= set(target.get_collection("things").get()["ids"])


def test_arguments_that_cannot_be_used(source: Any, target: Any) -> None:
    with pytest.raises(InvalidTypeError, match="source"):
        chroma.copy_collections("db", target)  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="target"):
        chroma.copy_collections(source, None)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="on_conflict"):
        chroma.copy_collections(source, target, on_conflict="overwrite")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="missing"):
        chroma.copy_collections(source, target, ["things", "missing"])
    with pytest.raises(NotFoundError, match="missing"):
        chroma.copy_collections(source, target, rename={"missing": "found"})
    with pytest.raises(InvalidArgumentError, match="several"):
        chroma.copy_collections(source, target, rename={"things": "same", "nothing": "same"})
    with pytest.raises(InvalidArgumentError, match="name"):
        chroma.copy_collections(source, target, "things", rename={"things": "?"})
    assert names(target) == []


def test_long_names(source: Any, target: Any) -> None:
    longest = "n" * 512
    chroma.copy_collections(source, target, "things", rename={"things": longest})
    assert names(target) == [longest]
