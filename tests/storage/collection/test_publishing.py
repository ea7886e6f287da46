"""A publication that stops anywhere loses nothing, and what it leaves behind goes with the next one."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.embedded.backend import check_folder
from chroma.errors import ChromaError, NotFoundError, WriteFailedError
from chroma.storage import engine as engines
from chroma.storage.catalog import catalog
from chroma.storage.collection import collection, record_store
from chroma.storage.engine import Engine
from chroma.storage.interface.errors import AlreadyExists, StorageError
from chroma.storage.interface.requests import NewCollection
from chroma.storage.interface.values import Records
from chroma.storage.io import disk, libc, memory_map, safe_open

ROWS = 300


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(collection, "QUIET_SECONDS", 3600.0)
    with chroma.PersistentClient(tmp_path / "db") as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=[str(i) for i in range(ROWS)], embeddings=[[i, 1.0] for i in range(ROWS)])
        yield client


@contextmanager
def failing(step: str, ending: str, monkeypatch: pytest.MonkeyPatch, code: int = errno.EIO) -> Iterator[None]:
    """The first such step on such a path fails."""
    failed = []

    def refuse(name: str, path: str) -> None:
        if name == step and path.endswith(ending) and not failed:
            failed.append(path)
            raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "before_step", refuse)
        yield
    assert failed, f"there is no step {step} of {ending}"


def _reads(folder: Path) -> int:
    with chroma.PersistentClient(folder) as client:
        return client.get_collection("things", embedding_function=None).count()


def _folder(client: Any) -> Path:
    return Path(client._backend.engine.folder.path)


@pytest.mark.parametrize(
    ("step", "ending"),
    [
        ("rename", "manifest.copy"),
        ("rename", "manifest.json"),
        ("write aside", ".tmp"),
        ("sync aside", ".tmp"),
    ],
)
def test_a_publication_that_stops_keeps_its_segment(
    filled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, ending: str
) -> None:
    things = filled.get_collection("things", embedding_function=None)
    with failing(step, ending, monkeypatch), pytest.raises(WriteFailedError):
        things.compact()
    for without in ("nothing", "manifest.json", "manifest.copy"):
        copied = tmp_path / f"without-{without}"
        shutil.copytree(_folder(filled), copied)
        for path in copied.rglob(without):
            path.unlink()
        assert check_folder(str(copied), repair=True).ok
        assert _reads(copied) == ROWS, without
    things.compact()
    assert len(list(_folder(filled).rglob("seg-*"))) == 1, "what the attempt left behind goes"
    assert _reads(_folder(filled)) == ROWS


def test_the_sync_after_the_manifest_got_its_name_loses_nothing(
    filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = filled.get_collection("things", embedding_function=None)
    sync, renamed = disk.DiskFolder.sync, []

    def refuse(self: disk.DiskFolder) -> None:
        if renamed and len(renamed) < 2:
            renamed.append("failed")
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(self)

    def step(name: str, path: str) -> None:
        if name == "sync folder" and (Path(path) / "manifest.json").exists() and _names_a_segment(path):
            renamed.append(path)

    monkeypatch.setattr(disk, "before_step", step)
    monkeypatch.setattr(disk.DiskFolder, "sync", refuse)
    with pytest.raises(WriteFailedError):
        things.compact()
    monkeypatch.undo()
    assert check_folder(str(_folder(filled))).ok
    assert _reads(_folder(filled)) == ROWS
    assert things.count() == ROWS


def _names_a_segment(path: str) -> bool:
    return b"seg-" in (Path(path) / "manifest.json").read_bytes()


def test_attempts_on_a_full_disk_do_not_pile_up(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    things = filled.get_collection("things", embedding_function=None)
    for _ in range(4):
        with failing("rename", "manifest.json", monkeypatch, errno.ENOSPC), pytest.raises(WriteFailedError):
            things.compact()
        assert len(list(_folder(filled).rglob("seg-*"))) <= 2


def test_a_big_add_whose_frame_was_written_keeps_its_segment(
    filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system refuses, and the log has the frame all the same."""
    monkeypatch.setattr(record_store, "BULK_ROWS", 50)
    things = filled.get_collection("things", embedding_function=None)
    write = disk.DiskLog.write

    def refuse(self: disk.DiskLog, offset: int, data: bytes) -> None:
        write(self, offset, data)
        if b"seg-" in data:
            monkeypatch.setattr(disk.DiskLog, "write", write)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(disk.DiskLog, "write", _explained(refuse))
    with pytest.raises(WriteFailedError):
        things.add(ids=[f"n{i}" for i in range(60)], embeddings=[[i, 2.0] for i in range(60)])
    assert _reads(_folder(filled)) in (ROWS, ROWS + 60)
    assert check_folder(str(_folder(filled))).ok


def _explained(write: Any) -> Any:
    def explained(self: Any, offset: int, data: bytes) -> None:
        with disk.explained(self.path):
            write(self, offset, data)

    return explained


def test_a_first_write_that_fails_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        with failing("rename", "manifest.json", monkeypatch), pytest.raises(WriteFailedError):
            things.add(ids=["a"], embeddings=[[1, 2]])
        assert things.count() == 0
        assert check_folder(str(tmp_path)).ok
        things.add(ids=["a"], embeddings=[[1, 2]])
    assert _reads(tmp_path) == 1 and check_folder(str(tmp_path)).ok


def test_a_folder_whose_name_was_not_synced_is_not_taken_for_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: disk.DiskFolder) -> None:
        raise disk.refused(self.path, OSError(errno.EIO, "no"))

    with monkeypatch.context() as patch:
        patch.setattr(disk.DiskFolder, "sync", refuse)
        with pytest.raises(Exception, match="cannot write"):
            disk.DiskFolder(tmp_path / "new").create()
    assert not (tmp_path / "new").exists()


def test_two_restores_within_a_second(filled: Any, tmp_path: Path) -> None:
    filled.backup(tmp_path / "backup")
    for _ in range(3):
        chroma.restore(tmp_path / "backup", tmp_path / "target", overwrite=True)
        assert _reads(tmp_path / "target") == ROWS
    assert len(list(tmp_path.glob("target.replaced-*"))) == 2


@pytest.mark.parametrize(
    ("exchanges", "failing_move"), [(True, 1), (True, 2), (False, 3), (False, 4), (False, 5)]
)
def test_a_restore_that_cannot_move_puts_back_what_was_there(
    filled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool, failing_move: int
) -> None:
    filled.backup(tmp_path / "backup")
    chroma.restore(tmp_path / "backup", tmp_path / "target")
    moves: list[str] = []
    sync = disk.DiskFolder.sync

    def step(name: str, path: str) -> None:
        if name in ("move", "exchange"):
            moves.append(path)

    def refuse(self: disk.DiskFolder) -> None:
        if len(moves) == failing_move and self.path == str(tmp_path):
            moves.append("failed")
            raise disk.refused(self.path, OSError(errno.EIO, "no"))
        sync(self)

    if not exchanges:
        monkeypatch.setattr(libc, "_renameat2", None)
    monkeypatch.setattr(disk, "before_step", step)
    monkeypatch.setattr(disk.DiskFolder, "sync", refuse)
    with pytest.raises(WriteFailedError):
        chroma.restore(tmp_path / "backup", tmp_path / "target", overwrite=True)
    monkeypatch.undo()
    assert _reads(tmp_path / "target") == ROWS
    chroma.restore(tmp_path / "backup", tmp_path / "target", overwrite=True)
    assert _reads(tmp_path / "target") == ROWS


def test_a_restore_that_may_be_undone_says_what_to_do(
    filled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.backup(tmp_path / "backup")
    sync = disk.DiskFolder.sync

    def refuse(self: disk.DiskFolder) -> None:
        if (tmp_path / "target").exists() and self.path == str(tmp_path):
            raise disk.refused(self.path, OSError(errno.EIO, "no"))
        sync(self)

    monkeypatch.setattr(disk.DiskFolder, "sync", refuse)
    with pytest.raises(WriteFailedError, match=r"is restored, but .*[^.]\. Run `sync`.*--overwrite"):
        chroma.restore(tmp_path / "backup", tmp_path / "target")
    monkeypatch.undo()
    assert _reads(tmp_path / "target") == ROWS
    chroma.restore(tmp_path / "backup", tmp_path / "target", overwrite=True)
    assert _reads(tmp_path / "target") == ROWS


def test_a_moved_folder_takes_no_changes(tmp_path: Path) -> None:
    client = chroma.PersistentClient(tmp_path / "db")
    things = client.create_collection("things", embedding_function=None)
    os.rename(tmp_path / "db", tmp_path / "elsewhere")
    for call in (
        lambda: client.create_collection("more", embedding_function=None),
        lambda: client.delete_collection("things"),
        lambda: things.modify(name="other"),
        lambda: things.add(ids=["a"], embeddings=[[1, 2]]),
        client.reset,
    ):
        with pytest.raises(NotFoundError, match="removed or replaced"):
            call()
    client.close()


@pytest.mark.parametrize("removal", ["reset", "delete"])
def test_writers_and_housekeepers_of_what_is_deleted_hear_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removal: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Eight threads write, merge and look, while another one takes everything away from under them."""
    monkeypatch.setattr(record_store, "BULK_ROWS", 30)
    monkeypatch.setattr(collection, "QUIET_SECONDS", 0.0)
    client = chroma.PersistentClient(tmp_path)
    foreign: list[str] = []
    done = time.monotonic() + 3.0

    def work(number: int) -> None:
        while time.monotonic() < done:
            try:
                things = client.get_or_create_collection(f"things{number % 3}", embedding_function=None)
                things.upsert(ids=[str(i) for i in range(40)], embeddings=[[i, 1.0] for i in range(40)])
                things.delete(ids=["1", "2"])
                if number % 2:
                    things.compact()
                else:
                    things.info(), things.get(limit=2)
            except ChromaError:
                pass
            except BaseException as error:
                foreign.append(repr(error))

    def remove() -> None:
        number = 0
        while time.monotonic() < done:
            number += 1
            try:
                if removal == "reset":
                    client.reset()
                else:
                    client.delete_collection(f"things{number % 3}")
            except ChromaError:
                pass
            except BaseException as error:
                foreign.append(repr(error))
            time.sleep(0.005)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    threads.append(threading.Thread(target=remove))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    client.close()
    assert not foreign, f"{len(foreign)}, as {foreign[:3]}"
    assert "Traceback" not in caplog.text
    with chroma.PersistentClient(tmp_path) as again:
        again.get_or_create_collection("things0", embedding_function=None).count()
    assert check_folder(str(tmp_path)).ok


def test_a_reset_keeps_what_is_made_after_it(tmp_path: Path) -> None:
    """Its change of the catalog is the moment; only what was there then is removed."""
    one, other = chroma.PersistentClient(tmp_path), chroma.PersistentClient(tmp_path)
    one.create_collection("old", embedding_function=None).add(ids=["a"], embeddings=[[1, 2]])
    remove = type(one._backend.engine)._remove

    def first(engine: Any, id: str) -> None:
        made = other.create_collection("new", embedding_function=None)
        made.add(ids=["b"], embeddings=[[1, 2]])
        remove(engine, id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(one._backend.engine), "_remove", first)
        one.reset()
    assert other.get_collection("new", embedding_function=None).get()["ids"] == ["b"]
    one.close()
    other.close()


def test_what_was_closed_writes_into_no_other_file(tmp_path: Path) -> None:
    """The number of a descriptor that was closed is the next file's."""
    folder = disk.DiskFolder(tmp_path)
    with folder.write_file("one") as sink:
        sink.write(b"all of it")
    log, held = folder.open_log("log", create=True), folder.hold("one")
    log.close()
    held.close()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    more = [os.dup(other) for _ in range(4)]  # whatever numbers were given back
    with pytest.raises(OSError, match="descriptor"):
        sink.write(b"once more")
    for call in (
        lambda: log.write(0, b"x"),
        log.sync,
        log.size,
        lambda: log.read(0, 4),
        lambda: log.extend(9),
    ):
        with pytest.raises(StorageError, match="was closed"):
            call()
    with pytest.raises(StorageError, match="was closed"):
        list(held.blocks())
    assert (tmp_path / "other").read_bytes() == b""
    for fd in (other, *more):
        os.close(fd)


def test_a_file_that_could_not_be_written_touches_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrow's writer of the file that failed is let go of when the number is the catalog's."""
    monkeypatch.setattr(record_store, "BULK_ROWS", 30)
    write, failing_once = os.write, []

    def refuse(fd: int, data: Any) -> int:
        if failing_once and len(data) > 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    client = chroma.PersistentClient(tmp_path)
    things = client.create_collection("things", embedding_function=None)
    monkeypatch.setattr(os, "write", refuse)
    for number in range(12):
        failing_once.append(number)
        with pytest.raises(WriteFailedError):
            things.add(ids=[str(i) for i in range(60)], embeddings=[[i, 1.0] for i in range(60)])
        failing_once.clear()
        client.create_collection(f"more{number}", embedding_function=None).add(ids=["a"], embeddings=[[1, 2]])
        gc.collect()
    client.close()
    with chroma.PersistentClient(tmp_path) as again:
        assert len(again.list_collections()) == 13
    assert check_folder(str(tmp_path)).ok


def test_a_repair_takes_no_failed_read_for_damage(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    things = filled.get_collection("things", embedding_function=None)
    things.compact()
    things.delete(ids=["1", "2"])
    things.compact()
    folder = _folder(filled)
    filled.close()
    for code in (errno.EIO, errno.EMFILE):
        for number in range(60):
            calls: list[str] = []
            refuse = _refusing(memory_map.map_file, code, number, calls)
            with monkeypatch.context() as patch, contextlib.suppress(StorageError):
                patch.setattr(memory_map, "map_file", refuse)
                report = check_folder(str(folder), repair=True)
                assert all(finding.severity == "ok" for finding in report.findings)
            if len(calls) < number:
                break
        assert not (folder / "quarantine").exists()
        assert _reads(folder) == ROWS - 2


def _refusing(true: Any, code: int, number: int, calls: list[str]) -> Any:
    """A function whose call of this number the system refuses."""

    def refuse(path: str, *arguments: Any) -> Any:
        calls.append(path)
        if len(calls) == number:
            raise OSError(code, os.strerror(code))
        return true(path, *arguments)

    return refuse


def test_what_is_made_anew_by_its_id_is_not_removed(tmp_path: Path) -> None:
    """A deletion and a creation of the same id, by two processes."""
    one, other = Engine(str(tmp_path)), Engine(str(tmp_path))
    id, place = str(uuid.uuid4()), ("default_tenant", "default_database")
    one.create_collection(*place, NewCollection(name="first", id=id))
    one.collection(*place, id).write("add", _record("a"))
    remove = one._remove

    def late(gone: str) -> None:
        other.create_collection(*place, NewCollection(name="second", id=id))
        other.collection(*place, id).write("add", _record("b"))
        remove(gone)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one, "_remove", late)
        one.delete_collection(*place, "first")
    with pytest.raises(AlreadyExists):
        one.create_collection(*place, NewCollection(name="third", id=id))
    fresh = Engine(str(tmp_path))
    assert fresh.collection(*place, id).store.known(["a", "b"]) == {"b"}
    for engine in (one, other, fresh):
        engine.close()


def _record(id: str) -> Records:
    return Records([id], np.ones((1, 2), np.float32), None, None, None)


def test_a_catalog_that_is_read_anew_is_whole_to_everybody(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-5)
    engine = Engine(str(tmp_path))
    place = ("default_tenant", "default_database")
    info = engine.create_collection(*place, NewCollection(name="things"))
    done, missed = threading.Event(), []

    def look() -> None:
        while not done.is_set():
            if engine.catalog.collection(info.id) is None:
                missed.append(1)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        with engine.catalog._lock:
            engine.catalog._load()
    done.set()
    for reader in readers:
        reader.join()
    assert not missed
    engine.close()


def test_a_catalog_that_could_not_be_followed_is_followed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_REWRITE_FRAMES", 4)
    one, other = Engine(str(tmp_path)), Engine(str(tmp_path))
    place = ("default_tenant", "default_database")
    for number in range(12):
        one.create_collection(*place, NewCollection(name=f"number{number}"))
        refuse = _refusing(safe_open.open_file, errno.EMFILE, 1, [])
        with monkeypatch.context() as patch, contextlib.suppress(StorageError):
            patch.setattr(safe_open, "open_file", refuse)
            other.catalog.list_collections(*place)
        assert len(other.catalog.list_collections(*place)) == number + 1
    other.create_collection(*place, NewCollection(name="last"))
    assert len(one.catalog.list_collections(*place)) == 13
    one.close()
    other.close()


def test_a_file_that_could_not_be_written_takes_no_room(tmp_path: Path) -> None:
    folder = disk.DiskFolder(tmp_path)
    with pytest.raises(ZeroDivisionError), folder.write_file("half") as sink:
        sink.write(b"x" * 1000)
        _ = 1 / 0
    assert not (tmp_path / "half").exists()


def test_strangers_in_the_folder_of_collections_are_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "SWEEP_AFTER_NS", -1)
    with chroma.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=["a"], embeddings=[[1, 2]])
        home = tmp_path / "collections"
        left = home / str(uuid.uuid4())
        left.mkdir()
        (home / ".DS_Store").write_text("x")
        (home / str(uuid.uuid4())).symlink_to(tmp_path)
        client._backend.engine.sweep()
        assert not left.exists() and (home / ".DS_Store").exists()
        client.delete_collection("things")
        assert client.list_collections() == []
    assert (tmp_path / "catalog.json").exists()


def test_an_interruption_between_two_logs_of_the_catalog_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_REWRITE_FRAMES", 4)
    place = ("default_tenant", "default_database")
    one, other = Engine(str(tmp_path)), Engine(str(tmp_path))
    one.catalog.list_collections(*place)
    for number in range(6):
        other.create_collection(*place, NewCollection(name=f"number{number}"))

    class Interrupted(list[Any]):
        def append(self, log: Any) -> None:
            raise KeyboardInterrupt

    one.catalog._passed = Interrupted()  # the next log is open by then, and not the catalog's yet
    with pytest.raises(KeyboardInterrupt):
        one.catalog.list_collections(*place)
    made = one.create_collection(*place, NewCollection(name="late"))
    assert [each.name for each in other.catalog.list_collections(*place)][-1] == made.name
    assert len(one.catalog.list_collections(*place)) == 7
    one.close()
    other.close()
