"""What fails half way leaves memory and disk agreeing, and costs nobody else anything."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.errors import ChromaError, CorruptionError, WriteFailedError
from chroma.storage.catalog import catalog
from chroma.storage.collection import compaction
from chroma.storage.engine import Engine
from chroma.storage.interface.errors import Corruption, WriteFailed
from chroma.storage.io import disk, writeback
from chroma.storage.segments.memtable import Memtable
from chroma.storage.segments.segment import Segment
from chroma.storage.wal import log


def _made(folder: Path) -> tuple[Any, Any]:
    client = chroma.PersistentClient(folder)
    collection = client.create_collection("things", embedding_function=None)
    collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"n": 1}])
    return client, collection


def _elsewhere(folder: Path, script: str) -> str:
    head = f"import chroma\nclient = chroma.PersistentClient({str(folder)!r})\n"
    tail = "\nclient.close()"
    done = subprocess.run(
        [sys.executable, "-c", head + script + tail], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_a_read_that_fails_skips_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, collection = _made(tmp_path)
    _elsewhere(
        tmp_path,
        "client.get_collection('things').add(ids=[f'x{i}' for i in range(9000)], embeddings=[[0, 0]] * 9000)",
    )

    def refuse(self: Segment, *arguments: Any) -> None:
        monkeypatch.undo()
        raise MemoryError

    monkeypatch.setattr(Segment, "__init__", refuse)
    with pytest.raises(MemoryError):
        collection.count()
    assert collection.count() == 9001
    collection.add(ids=["x5"], embeddings=[[9, 9]])
    assert collection.count() == 9001
    client.close()


def test_an_interrupt_while_a_log_ends_loses_no_later_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, collection = _made(tmp_path)

    def interrupt(self: Any, offset: int) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(compaction.Log, "sync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        collection.compact()
    collection.add(ids=["b"], embeddings=[[3, 4]])
    client.close()
    assert _elsewhere(tmp_path, "print(client.get_collection('things').get()['ids'])") == "['a', 'b']"


def test_a_catalog_rewrite_that_fails_splits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_REWRITE_FRAMES", 3)
    client, _ = _made(tmp_path)

    def refuse(*arguments: Any) -> None:
        raise WriteFailedOnce("no space")

    monkeypatch.setattr(catalog, "put_both", refuse)
    for number in range(4):
        client.create_collection(f"more{number}", embedding_function=None)
    monkeypatch.undo()
    client.create_collection("last", embedding_function=None)
    names = [collection.name for collection in client.list_collections()]
    assert names == ["things", "more0", "more1", "more2", "more3", "last"]
    assert _elsewhere(tmp_path, "print([c.name for c in client.list_collections()])") == str(names)
    client.close()


def test_an_end_of_a_catalogs_log_that_was_not_synced_is_before_more_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the next log is found by way of that end alone."""
    monkeypatch.setattr(catalog, "_REWRITE_FRAMES", 3)
    client, _ = _made(tmp_path)
    client.create_collection("more", embedding_function=None)
    first = client._backend.engine.catalog._log.path
    synced: list[str] = []
    sync = disk.DiskLog.sync

    def spy(self: Any) -> None:
        if self.path == first and not refused:
            with open(first, "rb") as file:
                if b"catalog-" in file.read():  # its end, which names the next one
                    refused.append(True)
                    raise WriteFailed("no space")
        sync(self)
        synced.append(self.path)

    refused: list[bool] = []
    monkeypatch.setattr(disk.DiskLog, "sync", spy)
    while not refused:
        client.create_collection(f"more{len(synced)}", embedding_function=None)
    synced.clear()
    client.create_collection("last", embedding_function=None)
    assert synced[0] == first and synced[-1] != first
    client.close()


class WriteFailedOnce(WriteFailed):
    """Stands for a full disk."""


def test_a_catalog_is_rewritten_while_others_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_REWRITE_FRAMES", 3)
    client, _ = _made(tmp_path)
    follower = Engine(str(tmp_path))  # on the same folder, as another process would have it
    for number in range(20):
        client.create_collection(f"more{number}", embedding_function=None)
        listed = follower.catalog.list_collections("default_tenant", "default_database")
        assert [info.name for info in listed][-1] == f"more{number}"
    assert len(list(tmp_path.glob("catalog-*.wal"))) == 1
    follower.close()
    client.close()


def test_records_whose_manifests_are_gone_are_missed(tmp_path: Path) -> None:
    client, _ = _made(tmp_path)
    client.close()
    for name in ("manifest.json", "manifest.copy"):
        next(tmp_path.rglob(name)).unlink()
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things")
        for call in (collection.count, lambda: collection.add(ids=["b"], embeddings=[[1, 2]])):
            with pytest.raises(CorruptionError, match=r"manifest\.json"):
                call()
    assert list(tmp_path.rglob("log-*"))


def test_housekeeping_that_fails_leaves_no_segment_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, collection = _made(tmp_path)

    def full(step: str, path: str) -> None:
        if step == "sync file" and path.endswith("ids.arrow"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "before_step", full)
    for _ in range(3):
        with pytest.raises(WriteFailedError):
            collection.compact()
        assert not list(tmp_path.rglob("seg-*"))
    monkeypatch.undo()
    collection.compact()
    assert collection.get()["ids"] == ["a"]
    client.close()


@pytest.mark.parametrize("failing", ["kept graph", "another step"])
def test_a_merge_that_fails_after_its_segment_was_written_leaves_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    """The graph that is kept for an extension is only a cache, so it stops no compaction."""

    def fails(*_: Any) -> None:
        raise MemoryError

    client, collection = _made(tmp_path)
    owner = (
        "merged_graphs.MergedGraphs.merge" if failing == "kept graph" else "index_builds.Graphs.before_merge"
    )
    monkeypatch.setattr(f"chroma.storage.collection.{owner}", fails)
    for _ in range(3):
        collection.update(ids=["a"], embeddings=[[3.0, 4.0]])
        if failing == "kept graph":
            collection.compact()
        else:
            with pytest.raises(MemoryError):
                collection.compact()
        assert len(list(tmp_path.rglob("seg-*"))) == 1
    monkeypatch.undo()
    collection.compact()
    assert collection.get()["ids"] == ["a"] and len(list(tmp_path.rglob("seg-*"))) == 1
    assert ("is built anew: MemoryError()" in caplog.text) == (failing == "kept graph")
    client.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.parametrize("place", ["disk", "memory"])
@pytest.mark.parametrize(
    "child", ["pass", "things.add(ids=['b'], embeddings=[[1, 2]], metadatas=[{'n': 1}])"]
)
def test_a_forked_child_uses_the_database_and_ends_well(tmp_path: Path, place: str, child: str) -> None:
    opened = f"chroma.PersistentClient({str(tmp_path)!r})" if place == "disk" else "chroma.EphemeralClient()"
    script = f"""
import os, sys, warnings, chroma
warnings.simplefilter("ignore")
client = {opened}
things = client.create_collection("things", embedding_function=None)
things.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{{"n": 1}}])
assert things.count(where={{"n": 1}}) == 1
pid = os.fork()
if pid == 0:
    {child}
    assert things.count(where={{"n": 1}}) >= 1
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert things.count(where={{"n": 1}}) >= 1
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_an_open_collection_holds_one_file(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        before = len(os.listdir("/proc/self/fd"))
        for number in range(20):
            collection = client.create_collection(f"number{number}", embedding_function=None)
            collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"n": 1}])
            collection.compact()
            collection.get()
        assert len(os.listdir("/proc/self/fd")) - before <= 30


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", "/".join(["deep"] * 1200)])
def test_a_path_that_cannot_be_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises((ChromaError, ValueError)):
        chroma.PersistentClient(f"{tmp_path}/{path}")


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_frame_that_cannot_be_begun_to_be_written_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    client, collection = _made(tmp_path)

    def refuse(fd: int, offset: int, size: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(writeback, "begin", refuse)
    with pytest.raises(WriteFailedError, match=os.strerror(code)):
        collection.add(ids=["b"], embeddings=[[3, 4]])
    monkeypatch.undo()
    collection.add(ids=["c"], embeddings=[[3, 4]])
    client.close()
    with chroma.PersistentClient(tmp_path) as again:
        things = again.get_collection("things")
        assert {"a", "c"} <= set(things.get()["ids"]) <= {"a", "b", "c"}


def test_a_frame_is_begun_to_be_written_and_then_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the sync makes it durable; memory learns of it in between."""
    client, collection = _made(tmp_path)
    steps: list[str] = []

    def spy(owner: Any, name: str) -> None:
        true = getattr(owner, name)

        def then(*arguments: Any) -> Any:
            steps.append(name)
            return true(*arguments)

        monkeypatch.setattr(owner, name, then)

    spy(writeback, "begin")
    spy(Memtable, "append")
    spy(disk, "full_sync")
    collection.add(ids=["b"], embeddings=[[3, 4]])
    assert steps[:3] == ["begin", "append", "full_sync"]
    client.close()


@pytest.mark.parametrize("code", [None, errno.ENOSYS, errno.EPERM, errno.ENOMEM])
def test_where_writing_cannot_be_begun_the_sync_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    client, collection = _made(tmp_path)

    def refuse(*_: int) -> int:
        ctypes.set_errno(code or 0)
        return -1

    monkeypatch.setattr(writeback, "_call", refuse if code else None)
    before = disk.syncs()
    collection.add(ids=["b"], embeddings=[[3, 4]])
    assert disk.syncs() == before + 1
    client.close()


def test_a_log_whose_sync_failed_is_written_again_before_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may have dropped what it could not write, and take the pages for clean: what is acknowledged
    later must not lie behind such a hole."""
    client, collection = _made(tmp_path)
    held = client._backend.engine.collection("default_tenant", "default_database", str(collection.id))
    held.store.record_watermark()
    synced = held.store._state.log.offset

    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "full_sync", refuse)
        with pytest.raises(WriteFailedError, match="check the disk.*may or may not be kept"):
            collection.add(ids=["b"], embeddings=[[3, 4]])
    written: list[tuple[int, int]] = []
    write = disk.DiskLog.write

    def spy(self: Any, offset: int, data: bytes) -> None:
        written.append((offset, len(data)))
        write(self, offset, data)

    monkeypatch.setattr(disk.DiskLog, "write", spy)
    collection.add(ids=["d"], embeddings=[[3, 4]])
    (again, size), (new, _) = written[:2]
    assert again == synced and again + size == new
    assert collection.get()["ids"] == ["a", "b", "d"]
    client.close()


def test_an_interrupt_on_top_of_a_sync_that_failed_hides_it_from_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, collection = _made(tmp_path)

    def interrupted(fd: int) -> None:
        try:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        finally:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(disk, "full_sync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collection.add(ids=["b"], embeddings=[[3, 4]])
    opened: list[str] = []
    monkeypatch.setattr(log.Log, "open", _told(opened))
    collection.add(ids=["c"], embeddings=[[3, 4]])
    assert opened, "the log is opened again, which writes again what may not be on the disk"
    assert collection.get()["ids"] == ["a", "b", "c"]
    client.close()


def _told(opened: list[str]) -> Any:
    """`Log.open`, which says what it opened."""
    true = log.Log.open

    def open(folder: Any, name: str) -> log.Log:
        opened.append(name)
        return true(folder, name)

    return open


def test_a_frame_that_was_read_and_is_gone_is_not_written_behind(tmp_path: Path) -> None:
    """Another process failed to sync it, and the system dropped its pages."""
    folder = disk.DiskFolder(tmp_path)
    writer = log.Log.create(folder, "l.wal", 1)
    writer.append(log.CATALOG, b"one")
    opened = log.Log.open(folder, "l.wal")
    assert [frame.payload for frame in opened.read_new()] == [b"one"]
    with (tmp_path / "l.wal").open("r+b") as file:
        file.seek(log.START)
        file.write(bytes(64))
    with pytest.raises(Corruption, match="not there any more"):
        list(opened.read_new(writing=True))


def test_a_write_is_noted_though_the_next_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "WATERMARK_SECONDS", 3600.0)
    client, collection = _made(tmp_path)
    collection.add(ids=["b"], embeddings=[[3, 4]])
    (path,) = tmp_path.glob("collections/*/log-*.wal")
    opened = log.Log.open(disk.DiskFolder(path.parent), path.name)
    end = max(frame.end for frame in opened.read_new())

    def refuse(self: log.Log, kind: int, payload: bytes) -> int:
        raise WriteFailed("no space")

    monkeypatch.setattr(log.Log, "append", refuse)
    with pytest.raises(WriteFailedError):
        collection.add(ids=["c"], embeddings=[[5, 6]])
    client.close()
    assert opened.synced_offset() == end


def test_a_write_is_one_where_no_thread_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(log, "WATERMARK_SECONDS", 3600.0)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    client, collection = _made(tmp_path)
    for id in "bcd":
        collection.add(ids=[id], embeddings=[[3, 4]])
    assert collection.count() == 4 and "can't start new thread" in caplog.text
    client.close()
    monkeypatch.undo()
    with chroma.PersistentClient(tmp_path) as again:
        assert again.get_collection("things").count() == 4
