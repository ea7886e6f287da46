"""Frames, torn tails, holes and group commit."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from chroma.storage.interface.errors import Corruption, FormatTooNew
from chroma.storage.io.disk import DiskFolder
from chroma.storage.wal import log as log_module
from chroma.storage.wal.log import CATALOG, ROWS, START, Log


def _log(tmp_path: Path, payloads: list[bytes]) -> tuple[DiskFolder, list[int]]:
    folder = DiskFolder(tmp_path)
    log = Log.create(folder, "l.wal", 1)
    ends = [START, *(log.append(CATALOG, payload) for payload in payloads)]
    log.sync(ends[-1])
    log.close()
    return folder, ends


def _payloads(folder: DiskFolder, writing: bool = False) -> list[bytes]:
    return [frame.payload for frame in Log.open(folder, "l.wal").read_new(writing)]


def _poke(tmp_path: Path, offset: int, data: bytes) -> None:
    with open(tmp_path / "l.wal", "r+b") as file:
        file.seek(offset)
        file.write(data)


def test_frames_come_back_in_order(tmp_path: Path) -> None:
    folder, _ = _log(tmp_path, [b"one", b"", b"three" * 100_000])
    assert _payloads(folder) == [b"one", b"", b"three" * 100_000]


def test_a_frame_that_was_never_synced_is_cut_when_torn(tmp_path: Path) -> None:
    folder, ends = _log(tmp_path, [b"one"])
    log = Log.open(folder, "l.wal")
    list(log.read_new(writing=True))
    log.append(CATALOG, b"torn" * 10)  # not synced: nobody was promised it
    _poke(tmp_path, ends[1] + 50, b"XX")
    assert _payloads(folder) == [b"one"]
    assert _payloads(folder, writing=True) == [b"one"]
    assert (tmp_path / "l.wal").read_bytes()[ends[1] :].strip(b"\0") == b""


@pytest.mark.parametrize("frame", [0, 1, 2])
@pytest.mark.parametrize("at", [0, 5, 9, 17, 25, 33, 41])
def test_a_damaged_acknowledged_frame_is_refused_with_its_place(tmp_path: Path, frame: int, at: int) -> None:
    folder, ends = _log(tmp_path, [b"one-two-three", b"four-five-six", b"seven-eight"])
    byte = (tmp_path / "l.wal").read_bytes()[ends[frame] + at]
    _poke(tmp_path, ends[frame] + at, bytes([byte ^ 0xFF]))
    with pytest.raises(Corruption) as caught:
        _payloads(folder)
    assert caught.value.offset == ends[frame] and caught.value.path.endswith("l.wal")


@pytest.mark.parametrize("size", [0, 10, 63, 70])
def test_a_shortened_log_is_refused(tmp_path: Path, size: int) -> None:
    folder, _ = _log(tmp_path, [b"one" * 10])
    with open(tmp_path / "l.wal", "r+b") as file:
        file.truncate(size)
    with pytest.raises(Corruption, match=r"l\.wal"):
        _payloads(folder)


def test_threads_share_syncs(tmp_path: Path) -> None:
    folder = DiskFolder(tmp_path)
    log = Log.create(folder, "l.wal", 1)
    lock, slow = threading.Lock(), threading.Barrier(8)

    def write() -> None:
        slow.wait()
        with lock:
            end = log.append(CATALOG, b"x")
        log.sync(end)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_payloads(folder)) == 8
    assert 1 <= log.syncs <= 8


def test_bytes_of_an_older_log_do_not_come_alive(tmp_path: Path) -> None:
    folder, ends = _log(tmp_path, [b"one", b"two"])
    old = (tmp_path / "l.wal").read_bytes()
    (tmp_path / "l.wal").unlink()
    Log.create(folder, "l.wal", 1).close()
    _poke(tmp_path, START, old[START : ends[2]])
    assert _payloads(folder) == []


def test_a_burst_tells_the_file_of_its_syncs_when_the_log_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "WATERMARK_SECONDS", 3600.0)
    log = Log.create(DiskFolder(tmp_path), "l.wal", 1)
    log.sync(log.append(CATALOG, b"first"))
    first = log.offset
    log.sync(log.append(CATALOG, b"second"))
    assert log.synced_offset() == first  # the first of a burst at once, those behind it later
    log.record_watermark()
    assert log.synced_offset() == log.offset
    log.sync(log.append(CATALOG, b"third"))
    log.close()
    assert Log.open(DiskFolder(tmp_path), "l.wal").synced_offset() == log.offset


def test_what_was_not_synced_is_never_told(tmp_path: Path) -> None:
    log = Log.create(DiskFolder(tmp_path), "l.wal", 1)
    log.append(CATALOG, b"not synced")
    log.close()
    assert Log.open(DiskFolder(tmp_path), "l.wal").synced_offset() == START


def test_a_log_of_an_older_version_is_marked_before_it_gets_newer_frames(tmp_path: Path) -> None:
    folder = DiskFolder(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "VERSION", 1)
        _log(tmp_path, [b"one"])
    version = slice(8, 12)
    log = Log.open(folder, "l.wal")
    assert [frame.payload for frame in log.read_new(writing=True)] == [b"one"]
    assert (tmp_path / "l.wal").read_bytes()[version] == b"\1\0\0\0"
    log.append(CATALOG, b"two")
    log.sync(log.append(ROWS, b"three"))
    log.close()
    assert (tmp_path / "l.wal").read_bytes()[version] == b"\4\0\0\0"
    assert _payloads(folder) == [b"one", b"two", b"three"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "VERSION", 1)
        with pytest.raises(FormatTooNew, match="log format 4"):
            Log.open(folder, "l.wal")


def test_a_note_that_fails_fails_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_module, "WATERMARK_SECONDS", 3600.0)
    log = Log.create(DiskFolder(tmp_path), "l.wal", 1)
    for payload in (b"first", b"second"):
        log.sync(log.append(CATALOG, payload))
    _poke(tmp_path, 40, b"no such offset..")
    assert log.lacks_watermark()
    log.close()
    assert "could not be told" in caplog.text


def test_a_sync_whose_note_fails_is_a_sync(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = Log.create(DiskFolder(tmp_path), "l.wal", 1)
    _poke(tmp_path, 40, b"no such offset..")
    log.sync(log.append(CATALOG, b"durable"))
    log.sync(log.append(CATALOG, b"as well"))
    assert "could not be told" in caplog.text
