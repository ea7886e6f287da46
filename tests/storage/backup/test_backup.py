"""Backups and restoring: what is kept, shared, refused, found damaged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.embedded.backend import check_folder
from chroma.storage.backup import copy as copier
from chroma.storage.io import disk

from ...support import server


@pytest.fixture
def client(folder: Path) -> Iterator[Any]:
    """Two tenants, three collections: with a segment and a log, with a log only, empty."""
    with chroma.PersistentClient(folder) as made:
        things = made.create_collection("things", embedding_function=None, metadata={"a": 1})
        things.add(
            ids=[f"t{i}" for i in range(50)],
            embeddings=[[i, 1.0] for i in range(50)],
            metadatas=[{"n": i} for i in range(50)],
        )
        things.compact()
        things.delete(ids=["t0"])
        made.create_collection("empty", embedding_function=None)
        admin = chroma.AdminClient(made.get_settings())
        admin.create_tenant("acme")
        admin.create_database("prod", tenant="acme")
        with chroma.PersistentClient(folder, tenant="acme", database="prod") as other:
            other.create_collection("few", embedding_function=None).add(ids=["f"], embeddings=[[1.0]])
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def segment_files(folder: Path) -> dict[str, os.stat_result]:
    return {str(file.relative_to(folder)): file.stat() for file in folder.glob("collections/*/seg-*/*")}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_backup_is_a_database_of_all_tenants(client: Any, target: Path) -> None:
    report = client.backup(target)
    assert (report.path, report.collections, report.linked, report.reused) == (str(target), 3, 0, 0)
    assert report.copied > 0 and report.seconds > 0
    assert report.files == len(tree(target)) - 2  # the mark of the backup, and the lock
    assert check_folder(str(target)).ok
    with chroma.PersistentClient(target) as copy:
        assert [each.name for each in copy.list_collections()] == ["things", "empty"]
        things, original = copy.get_collection("things"), client.get_collection("things")
        everything = ["metadatas", "embeddings", "documents"]
        found, wanted = things.get(include=everything), original.get(include=everything)
        assert found["ids"] == wanted["ids"] and found["metadatas"] == wanted["metadatas"]
        assert (found["embeddings"] == wanted["embeddings"]).all()
        assert things.metadata == {"a": 1} and things.id == original.id
        assert things.query(query_embeddings=[[7.0, 1.0]], n_results=1)["ids"] == [["t7"]]
    with chroma.PersistentClient(target, tenant="acme", database="prod") as copy:
        assert copy.get_collection("few").get()["ids"] == ["f"]


def test_the_source_is_only_read(client: Any, folder: Path, target: Path) -> None:
    before = tree(folder)
    client.backup(target)
    assert tree(folder) == before


def test_a_second_backup_copies_what_is_new_and_removes_what_is_gone(client: Any, target: Path) -> None:
    first = client.backup(target)
    before = segment_files(target)
    second = client.backup(target)
    assert (second.copied, second.removed, second.reused) == (0, 0, first.copied)
    assert segment_files(target) == before
    things = client.get_collection("things")
    things.add(ids=["late"], embeddings=[[0.0, 0.0]])
    client.delete_collection("empty")
    third = client.backup(target)
    assert segment_files(target) == before and 0 < third.copied < first.copied
    things.compact()
    fourth = client.backup(target)
    assert fourth.removed > 0 and not segment_files(target).keys() & before.keys()
    with chroma.PersistentClient(target) as copy:
        assert [each.name for each in copy.list_collections()] == ["things"]
        assert copy.get_collection("things").count() == 50
    assert check_folder(str(target)).ok


def test_links_share_files_and_copies_do_not(client: Any, folder: Path, target: Path) -> None:
    report = client.backup(target, link=True)
    mine, theirs = segment_files(folder), segment_files(target)
    assert mine.keys() == theirs.keys()
    assert all(mine[name].st_ino == theirs[name].st_ino for name in mine)
    assert report.linked == sum(found.st_size for found in mine.values())
    again = client.backup(target, link=True)
    assert (again.linked, again.reused) == (0, report.linked + report.copied)
    client.backup(target)
    theirs = segment_files(target)
    assert all(mine[name].st_ino != theirs[name].st_ino for name in mine), "a shared file is no copy"
    assert client.backup(target, link=True).linked == 0, "a copy need not be given up for a link"
    assert check_folder(str(target)).ok


def test_links_fall_back_to_copies(
    client: Any, folder: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(disk.os, "link", refuse)
    report = client.backup(target, link=True)
    assert report.linked == 0 and report.copied > 0
    assert check_folder(str(target)).ok


@pytest.mark.parametrize("link", [False, True])
def test_files_that_go_while_they_are_looked_for(
    client: Any, target: Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    """Housekeeping moves on between reading a manifest and opening its files."""
    things, passed = client.get_collection("things"), []
    look = copier._look

    def slow(*arguments: Any) -> Any:
        seen = look(*arguments)
        if len(passed) < 3:
            passed.append(things.add(ids=[f"late {len(passed)}"], embeddings=[[1.0, 1.0]]))
            things.compact()
        return seen

    monkeypatch.setattr(copier, "_look", slow)
    client.backup(target, link=link)
    assert len(passed) == 3
    assert check_folder(str(target)).ok
    with chroma.PersistentClient(target) as copy:
        assert copy.get_collection("things").get()["ids"] == things.get()["ids"]


def test_a_collection_that_is_deleted_meanwhile_is_left_out(
    client: Any, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = copier._look

    def slow(*arguments: Any) -> Any:
        seen = look(*arguments)
        if "things" in [each.name for each in client.list_collections()]:
            client.delete_collection("things")
        return seen

    monkeypatch.setattr(copier, "_look", slow)
    assert client.backup(target).collections == 2
    assert check_folder(str(target)).ok
    with chroma.PersistentClient(target) as copy:
        assert [each.name for each in copy.list_collections()] == ["empty"]


def test_a_backup_is_only_read(client: Any, target: Path) -> None:
    client.backup(target)
    before = tree(target)
    with chroma.PersistentClient(target) as copy:
        things, empty = copy.get_collection("things"), copy.get_collection("empty", embedding_function=None)
        for write in (
            lambda: things.add(ids=["x"], embeddings=[[1.0, 1.0]]),
            lambda: things.delete(ids=["t1"]),
            lambda: things.modify(name="other"),
            lambda: things.fork("forked"),
            things.compact,
            lambda: empty.add(ids=["x"], embeddings=[[1.0]]),
            lambda: copy.create_collection("new"),
            lambda: copy.delete_collection("things"),
            copy.reset,
        ):
            with pytest.raises(chroma.errors.ReadOnlyError, match="chroma restore"):
                write()
        assert things.count() == 49
    assert tree(target) == before


def test_a_database_that_cannot_be_written_can_be_backed_up(
    client: Any, target: Path, tmp_path: Path
) -> None:
    """As the backup itself: a backup of a backup."""
    client.backup(target)
    with chroma.PersistentClient(target) as copy:
        copy.backup(tmp_path / "second")
    assert check_folder(str(tmp_path / "second")).ok


@pytest.mark.parametrize("link", [False, True])
def test_damage_of_the_source_is_found(client: Any, folder: Path, target: Path, link: bool) -> None:
    """By a copy, which reads everything; the earlier backup stays what it was."""
    client.backup(target)
    earlier = tree(target)
    things = client.get_collection("things")
    things.add(ids=["late"], embeddings=[[0.0, 0.0]])
    things.compact()
    (file,) = folder.glob("collections/*/seg-*/vectors.arrow")
    data = bytearray(file.read_bytes())
    data[-300] ^= 1
    file.write_bytes(data)
    with pytest.raises(chroma.errors.CorruptionError, match=r"vectors\.arrow"):
        client.backup(target, link=link, verify=link)
    kept = tree(target)
    assert {name: kept[name] for name in earlier} == earlier


def test_a_missing_file_of_the_source_is_damage(client: Any, folder: Path, target: Path) -> None:
    (file,) = folder.glob("collections/*/seg-*/vectors.arrow")
    file.unlink()
    with pytest.raises(chroma.errors.CorruptionError, match="the file is missing"):
        client.backup(target)


def test_damage_of_a_backup_is_found_and_mended(client: Any, target: Path, tmp_path: Path) -> None:
    client.backup(target)
    (file,) = target.glob("collections/*/seg-*/vectors.arrow")
    data = bytearray(file.read_bytes())
    data[-300] ^= 1
    file.write_bytes(data)
    assert not check_folder(str(target)).ok
    with pytest.raises(chroma.errors.CorruptionError, match=r"vectors\.arrow"):
        chroma.restore(target, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
    assert client.backup(target).copied == 0, "names and sizes are all that is looked at"
    assert client.backup(target, verify=True).copied == len(data)
    assert check_folder(str(target)).ok


def test_progress_comes_to_its_end(client: Any, target: Path) -> None:
    told: list[tuple[int, int]] = []
    client.backup(target, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1][0] == told[-1][1] > 0


def test_a_folder_that_was_removed_while_it_was_open(client: Any, folder: Path, target: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    with pytest.raises(chroma.errors.NotFoundError, match="removed or replaced"):
        client.backup(target)


def test_a_database_that_was_lost_does_not_empty_its_backup(client: Any, folder: Path, target: Path) -> None:
    client.backup(target)
    for collection in client.list_collections():
        client.delete_collection(collection.name)
    chroma.AdminClient(client.get_settings()).delete_database("prod", tenant="acme")
    before = tree(target)
    with pytest.raises(chroma.errors.InvalidArgumentError, match="none of which is in .* any more"):
        client.backup(target)
    assert tree(target) == before
    client.create_collection("different", embedding_function=None)
    with pytest.raises(chroma.errors.InvalidArgumentError, match="back up to a new folder"):
        client.backup(target)
    client.create_collection("things", embedding_function=None)  # made anew
    assert client.backup(target).collections == 2


def test_folders_that_are_no_place_for_a_backup(client: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    with chroma.PersistentClient(tmp_path / "other") as other:
        made = other.create_collection("another", embedding_function=None)
        made.add(ids=["o"], embeddings=[[1.0]])
        other.backup(tmp_path / "of another")
    for path, said in (
        (folder, "two folders"),
        (folder / "inside", "two folders"),
        (tmp_path, "two folders"),
        (tmp_path / "mine", "something else"),
        (tmp_path / "other", "a database, but no backup"),
        (tmp_path / "of another", "a backup of another database"),
    ):
        before = tree(tmp_path)
        with pytest.raises(chroma.errors.InvalidArgumentError, match=said):
            client.backup(path)
        assert tree(tmp_path) == before
    with pytest.raises(chroma.errors.NotADatabaseError, match="is a file"):
        client.backup(tmp_path / "file")
    with pytest.raises(chroma.errors.InvalidArgumentError, match="path"):
        client.backup("")
    with pytest.raises(chroma.errors.InvalidTypeError, match="link"):
        client.backup(tmp_path / "new", link="yes")


def test_one_backup_at_a_time(client: Any, target: Path) -> None:
    client.backup(target)
    with disk.DiskFolder(target).lock("backup.lock"):
        with pytest.raises(chroma.errors.WriteFailedError, match="another process"):
            client.backup(target)


def test_a_moved_database_goes_on_with_its_backup(client: Any, folder: Path, target: Path) -> None:
    client.backup(target)
    client.close()
    moved = shutil.move(folder, folder.parent / "moved")
    with chroma.PersistentClient(moved) as again:
        assert again.backup(target).copied == 0
    assert json.loads((target / "backup.json").read_text())["source"] == str(moved)


def test_clients_without_a_folder_say_what_to_do(target: Path) -> None:
    with chroma.EphemeralClient(private=True) as client:
        with pytest.raises(chroma.errors.UnsupportedError, match="copy_collections"):
            client.backup(target)
    with chroma.HttpClient(server.url()) as client:
        with pytest.raises(chroma.errors.UnsupportedError, match="chroma backup DIR TARGET"):
            client.backup(target)
    assert not target.exists()


def test_restoring(client: Any, folder: Path, target: Path, tmp_path: Path) -> None:
    client.backup(target)
    (tmp_path / "empty").mkdir()
    for place, link in (("new", False), ("empty", True)):
        report = chroma.restore(target, tmp_path / place, link=link)
        assert report.collections == 3 and (report.linked > 0) == link
        assert check_folder(str(tmp_path / place)).ok
        assert not (tmp_path / place / "backup.json").exists()
        with chroma.PersistentClient(tmp_path / place) as restored:
            things = restored.get_collection("things")
            assert things.get()["ids"] == client.get_collection("things").get()["ids"]
            things.add(ids=["after"], embeddings=[[1.0, 1.0]])
            things.compact()
            assert things.count() == 50
    assert check_folder(str(target)).ok, "what a restored database does leaves the backup alone"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "db", "empty", "new"]


def test_restoring_over_a_database(client: Any, folder: Path, target: Path, tmp_path: Path) -> None:
    client.backup(target)
    client.get_collection("things").delete(where={"n": {"$gte": 0}})
    before = client.get_collection("empty").id
    with pytest.raises(chroma.errors.InvalidArgumentError, match="--overwrite"):
        chroma.restore(target, folder)
    assert client.get_collection("things").count() == 0
    chroma.restore(target, folder, overwrite=True)
    with pytest.raises(chroma.errors.NotFoundError, match="removed or replaced"):
        client.get_collection("empty", embedding_function=None).add(ids=["x"], embeddings=[[1.0]])
    with chroma.PersistentClient(folder) as restored:
        assert restored.get_collection("things").count() == 49
        assert restored.get_collection("empty").id == before
    (aside,) = tmp_path.glob("db.replaced-*")
    with chroma.PersistentClient(aside) as old:
        assert old.get_collection("things").count() == 0


def test_what_cannot_be_restored(client: Any, folder: Path, target: Path, tmp_path: Path) -> None:
    client.backup(target)
    with pytest.raises(chroma.errors.NotADatabaseError, match="is no backup"):
        chroma.restore(folder, tmp_path / "new")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(chroma.errors.NotADatabaseError, match="holds no database"):
        chroma.restore(target, tmp_path / "mine", overwrite=True)
    with pytest.raises(chroma.errors.InvalidArgumentError, match="two folders"):
        chroma.restore(target, target / "inside")
    (target / "backup.json").write_text('{"source": "x", "finished": null}')
    with pytest.raises(chroma.errors.NotADatabaseError, match="was not finished"):
        chroma.restore(target, tmp_path / "new")
    (target / "backup.json").write_text("no JSON")
    with pytest.raises(chroma.errors.CorruptionError, match=r"backup\.json"):
        chroma.restore(target, tmp_path / "new")
    assert not (tmp_path / "new").exists()
