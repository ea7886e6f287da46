"""Folders and backups that an enemy made, with right checksums: an error, and nothing outside is touched."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

import chroma
from chroma.embedded.backend import check_folder
from chroma.errors import ChromaError, CorruptionError

from . import hostile
from .rounds import SCALE, run, scaled


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "db"
    hostile.make(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return hostile.copied(made, tmp_path / "db")


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the database, which is the same afterwards."""
    place = tmp_path / "outside"
    (place / "seg-00").mkdir(parents=True)
    for name in ("authorized_keys", "seg-00/vectors.arrow", "manifest.json"):
        (place / name).write_text("precious")
    before = hostile.contents(place)
    yield place
    assert hostile.contents(place) == before


def use(folder: Path) -> None:
    """All that can be done with a database. Errors of the package are right."""
    steps: list[Callable[[], Any]] = [
        lambda: check_folder(str(folder)),
        lambda: chroma.restore(folder, f"{folder}-restored"),
        lambda: check_folder(str(folder), repair=True),
    ]
    with suppress(ChromaError), chroma.PersistentClient(folder) as client:
        for collection in client.list_collections():
            for step in (
                collection.get,
                lambda held=collection: held.add(ids=["new"], embeddings=[[1.0] * 8]),
                collection.compact,
                lambda held=collection: held.fork("forked"),
                lambda: client.backup(f"{folder}-backup"),
                lambda name=collection.name: client.delete_collection(name),
            ):
                with suppress(ChromaError):
                    step()  # type: ignore[operator]
    for last in steps:
        with suppress(ChromaError):
            last()


def backup_of(folder: Path) -> Path:
    with chroma.PersistentClient(folder) as client:
        client.backup(f"{folder}.backup")
    return Path(f"{folder}.backup")


def manifest_with(home: Path, change: Callable[[dict[str, Any]], None]) -> None:
    state = hostile.sealed(home / "manifest.json")
    change(state)
    hostile.seal(home / "manifest.json", state)


# ------------------------------------------------------------------ names

ESCAPES = [
    "../../../outside/seg-00",
    "/outside",
    "..",
    ".",
    "",
    "seg-00/../../../../outside",
    "seg-0\0",
    "seg-\n",
]


@pytest.mark.parametrize("escape", ESCAPES if SCALE else ESCAPES[:2])
@pytest.mark.parametrize("field", ["segment", "file", "dead", "graph", "index", "log"])
def test_names_in_a_manifest_lead_nowhere(folder: Path, outside: Path, field: str, escape: str) -> None:
    name = escape.replace("/outside", str(outside)) if escape.startswith("/") else escape

    def change(state: dict[str, Any]) -> None:
        ref = state["segments"][0]
        if field == "segment":
            ref["name"] = name
        elif field == "file":
            ref["files"][0]["name"] = name
        elif field == "dead":
            ref["dead"]["name"] = name
        elif field == "graph":
            file = {"name": name, "bytes": 8, "xxh3": "0" * 16}
            ref["graph"] = {"file": file, "max_neighbors": 16, "ef_construction": 100}
        elif field == "index":
            file = {"name": name, "bytes": 8, "xxh3": "0" * 16}
            ref["indexes"] = [{"kind": "ngrams", "key": "#document", "settings": "", "file": file}]
        else:
            state["log"] = name

    home = hostile.named(folder, "whole")
    backup = backup_of(folder)
    for place in (folder, backup):
        manifest_with(place / "collections" / home.name, change)
    with (
        chroma.PersistentClient(folder) as client,
        pytest.raises(CorruptionError, match=r"manifest\.json.* name"),
    ):
        client.get_collection("whole", embedding_function=None)
        client.get_collection("whole").get()
    with pytest.raises(CorruptionError, match=r"manifest\.json.* name"):
        chroma.restore(backup, folder.parent / "restored")
    use(folder)
    use(backup)


@pytest.mark.parametrize("escape", ["../../outside", "/outside", "..", "", "x"])
def test_ids_of_collections_lead_nowhere(folder: Path, outside: Path, escape: str) -> None:
    id = str(outside) if escape == "/outside" else escape
    backup = backup_of(folder)
    for place in (folder, backup):
        state = hostile.sealed(place / "catalog.json")
        (log,) = place.glob("catalog-*.wal")
        for _, payload in hostile.frames(log):
            change = json.loads(payload)
            if change["do"] == "put collection" and change["collection"]["name"] == "whole":
                change["collection"]["id"] = id
                state["collections"] = [change["collection"]]
        for entry in state["collections"]:
            if entry["name"] == "whole":
                entry["id"] = id
        hostile.write_log(log, [])
        hostile.seal(place / "catalog.json", state)
    with pytest.raises(CorruptionError, match=r"catalog\.json.*id is .* not the name of a collection"):
        chroma.PersistentClient(folder)
    with pytest.raises(CorruptionError, match=r"catalog\.json.*id is"):
        chroma.restore(backup, folder.parent / "restored")
    use(folder)
    use(backup)


def test_ids_in_changes_of_the_catalog_lead_nowhere(folder: Path, outside: Path) -> None:
    (log,) = folder.glob("catalog-*.wal")
    found = hostile.frames(log)
    info = json.loads(found[-1][1])["collection"]
    for change in (
        {"do": "put collection", "collection": {**info, "id": f"../../{outside.name}", "name": "new"}},
        {"do": "delete collection", "id": f"../../{outside.name}"},
        {"do": "put collection", "collection": {**info, "color": "red"}},
        {"do": "put collection", "collection": {**info, "schema": 3}},
        {"do": "put collection", "collection": {**info, "schema": {"defaults": {}}}},
        {
            "do": "put collection",
            "collection": {**info, "schema": {"defaults": {}, "keys": {"a": {"int": 3}}}},
        },
        {"do": "put collection", "collection": {**info, "tenant": "nobody"}},
        {"do": "create database", "tenant": "nobody", "database": "x", "id": "x"},
        {"do": "delete database", "tenant": "default_tenant", "database": "nothing"},
        {"do": "dance"},
        {},
    ):
        hostile.write_log(log, [*found, (4, orjson.dumps(change))])
        with pytest.raises(CorruptionError, match=r"catalog-.*\.wal"):
            chroma.PersistentClient(folder)
        assert not check_folder(str(folder)).ok
    assert check_folder(str(folder), repair=True).findings
    assert check_folder(str(folder)).ok


def test_a_change_that_cannot_be_is_told_to_every_call(folder: Path) -> None:
    with chroma.PersistentClient(folder) as client:
        (log,) = folder.glob("catalog-*.wal")
        hostile.write_log(log, [*hostile.frames(log), (4, b'{"do": "dance"}')])
        for _ in range(3):
            with pytest.raises(CorruptionError, match="dance"):
                client.list_collections()
        with pytest.raises(CorruptionError, match="dance"):
            client.create_collection("more")


# ------------------------------------------------------------------ links


@pytest.mark.parametrize(
    "what", ["collections", "collection", "segment", "manifest.json", "catalog.json", "log"]
)
def test_links_are_refused(folder: Path, outside: Path, what: str) -> None:
    home = hostile.named(folder, "whole")
    place = {
        "collections": folder / "collections",
        "collection": home,
        "segment": next(home.glob("seg-*")),
        "manifest.json": home / "manifest.json",
        "catalog.json": folder / "catalog.json",
        "log": next(home.glob("log-*")),
    }[what]
    moved = outside.parent / "moved"
    place.rename(moved)
    place.symlink_to(moved)
    before = hostile.contents(outside.parent / "moved") if moved.is_dir() else moved.read_bytes()
    with pytest.raises(CorruptionError, match="symbolic link"), chroma.PersistentClient(folder) as client:
        client.get_collection("whole").get()
        client.get_collection("whole").compact()
    assert any("symbolic link" in finding.message for finding in check_folder(str(folder)).findings)
    use(folder)
    assert (hostile.contents(moved) if moved.is_dir() else moved.read_bytes()) == before


def test_a_link_in_place_of_quarantine_or_of_a_lock_is_not_followed(folder: Path, outside: Path) -> None:
    (folder / "quarantine").symlink_to(outside)
    home = hostile.named(folder, "whole")
    (home / "write.lock").unlink()
    (home / "write.lock").symlink_to(outside / "made")
    shutil.rmtree(next(home.glob("seg-*")))
    use(folder)
    assert (folder / "quarantine").is_symlink()


def test_the_folder_itself_may_be_reached_through_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    with chroma.PersistentClient(link) as client:
        assert client.get_collection("whole").count() == 68
    assert check_folder(str(link)).ok


@pytest.mark.parametrize("name", ["manifest.json", "manifest.copy", "catalog.json", "catalog.copy"])
def test_a_folder_in_place_of_a_file_is_an_error_and_repaired(folder: Path, name: str) -> None:
    place = (folder if name.startswith("catalog") else hostile.named(folder, "whole")) / name
    place.unlink()
    place.mkdir()
    (place / "in it").write_text("x")
    assert not check_folder(str(folder)).ok
    with suppress(CorruptionError), chroma.PersistentClient(folder) as client:
        whole = client.get_collection("whole")
        whole.add(**hostile.records(300, 310))
        whole.compact()
    check_folder(str(folder), repair=True)
    assert check_folder(str(folder)).ok
    with chroma.PersistentClient(folder) as client:
        assert client.get_collection("whole").count() >= 68
    assert list((folder / "quarantine").rglob("in it"))


# ------------------------------------------------------------------ logs


@pytest.mark.parametrize("which", ["collection", "catalog"])
@pytest.mark.parametrize("target", ["itself", "../x", "earlier", "not UTF-8"])
def test_a_log_that_leads_back_is_an_error(folder: Path, which: str, target: str) -> None:
    log = next((hostile.named(folder, "tail") if which == "collection" else folder).glob("*.wal"))
    found = hostile.frames(log)
    later = log.with_name(f"{log.name[:-20]}{int(log.name[-20:-4]) + len(found) + 1:016d}.wal")
    name = {"itself": log.name, "../x": "../x", "not UTF-8": b"\xff"}.get(target, later.name)
    end = name if isinstance(name, bytes) else str(name).encode()
    if target == "earlier":
        shutil.copy(log, later)
        hostile.write_log(later, [(3, log.name.encode())], first=int(later.name[-20:-4]))
    hostile.write_log(log, [*found, (3, end)])
    with pytest.raises(CorruptionError, match="leads back|not the name of a log"):
        with chroma.PersistentClient(folder) as client:
            client.get_collection("tail").get()
    use(folder)


# ------------------------------------------------------------------ all of it


# What `make test` has of each: a round of a database with more collections takes longer.
FEW = {
    "made": 20,
    "graph": 40,
    "backup": 40,
    "format-1": 10,
    "format-1-logs-2": 10,
    "format-2": 10,
    "format-3": 10,
}


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: a round syncs a hundred times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("sample", FEW)
def test_mutated_folders(scratch: Path, sample: str) -> None:
    rounds = scaled(FEW[sample], 2000)
    seconds = 60 + 2 * rounds
    assert run("tests.attack.hostile_rounds", rounds, sample, scratch, memory=4 << 30, seconds=seconds) == []
