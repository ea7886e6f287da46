"""An append-only log of checksummed frames, shared by processes and synced in groups.

Owns: framing, checksums, torn ends, shared syncs, the durable watermark. This module does not interpret
payloads.

A log file has a 64-byte header, then frames, each aligned to 8 bytes, then zeros.

    header  magic "CHROMLOG" | version u32 | 0 u32 | salt u64 | first sequence u64 | xxh3 of these 32 bytes
            | synced offset u64 | its complement u64 | 0 u64
    frame   magic "FRM1" | kind u16 | 0 u16 | payload length u32 | 0 u32 | sequence u64 | xxh3 u64 | payload

A frame's checksum covers its header fields and payload. The checksum is seeded with the file's salt, so that
bytes left by an older log are never taken for a frame. Sequence numbers rise by one.

The synced offset is the durable watermark: all frames before it are synced. The watermark is written (not
synced) after a sync, at most every 10 ms, and shortly after a burst of syncs. A damaged frame before the
watermark was acknowledged, so it raises Corruption. A torn frame after the watermark was not acknowledged and
is cleared.

Writers hold the folder's write lock around `append`, which starts the write-back of the frame. They release
the lock before they sync. A process that opens a log rewrites the frames after the watermark before it
appends, because a sync in another process may have failed.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import xxhash

from ..interface.errors import Corruption, FormatTooNew, StorageError, WriteFailed
from ..io.disk import Folder, LogFile
from ..validation import file_names

_HEADER = struct.Struct("<8sIIQQ")
_SYNCED = struct.Struct("<QQ")
_FRAME = struct.Struct("<4sHHIIQQ")
# Version 1 has no ROWS frames, 2 no sparse vectors, 3 no PATCH frames.
_MAGIC, _FRAME_MAGIC, VERSION = b"CHROMLOG", b"FRM1", 4
_SYNCED_AT, START = 40, 64
_MASK = (1 << 64) - 1
# The file is extended with zeros in advance, so that a sync need not journal a new file size. The first size
# is small, because a database may have ten thousand small collections. The file then doubles, by up to 4 MiB
# per step.
_FIRST_SIZE, _MAX_STEP = 1 << 15, 1 << 22
MAX_PAYLOAD = 1 << 31
_MOST_FRAMES = 10**15  # a sequence number below this fits into the name of a log
_SMALL = 1 << 20  # a payload of at most this size is read without checking that the file is long enough
_log = logging.getLogger("chroma")
# In a burst of syncs, the watermark is recorded at this interval and once at the end. Recording it with each
# sync would cost one more call and one more page to write.
WATERMARK_SECONDS = 0.01
_WAIT_SECONDS = 1.0  # the interval at which a waiting thread checks whether another one is still syncing

COMMIT, SEGMENT, END, CATALOG, ROWS, PATCH = 1, 2, 3, 4, 5, 6  # frame kinds


class Frame(NamedTuple):
    """A frame as read. `end` is the offset just after it."""

    kind: int
    sequence: int
    payload: bytes
    end: int


def _align(offset: int) -> int:
    return (offset + 7) & ~7


def _header(salt: int, first: int) -> bytes:
    """Encode the start of a header with the current version."""
    header = _HEADER.pack(_MAGIC, VERSION, 0, salt, first)
    return header + struct.pack("<Q", xxhash.xxh3_64_intdigest(header))


def _not_synced(path: str, why: str) -> str:
    return (
        f"{path} could not be synced ({why}), so this write is not acknowledged and may or may not be kept: "
        "when the disk is well again, look, or write the same again"
    )


def has_frames(folder: Folder, name: str) -> bool:
    """Whether anything was ever appended to a log, even a damaged or unfinished frame."""
    file = folder.open_log(name)
    try:
        return file.read(START, 4) == _FRAME_MAGIC
    finally:
        file.close()


class Log:
    """An open log file. `offset` and `sequence` are where this process will read or write the next frame."""

    def __init__(self, file: LogFile, salt: int, first: int, version: int = VERSION) -> None:
        self._file = file
        self._salt, self._first, self._version = salt, first, version
        self.offset = START
        self.sequence = first
        self._size = file.size()
        self._synced = self._watermark = START
        self._syncing = False
        self.broken: str | None = None  # why the log must be opened again before an append
        self._ended = False  # whether an END frame was read or written
        self._watermark_due = 0.0  # when the watermark is next recorded
        self._cleared = False  # whether all bytes after the last frame are known to be zero
        # The code enters the lock and not the condition. A condition takes its lock in Python code, which an
        # interrupt may stop halfway.
        self._mutex, self._recording = threading.RLock(), threading.Lock()
        self._group = threading.Condition(self._mutex)  # threads that wait for another thread's sync
        self.syncs = 0

    @property
    def path(self) -> str:
        return self._file.path

    @classmethod
    def create(cls, folder: Folder, name: str, first: int) -> Log:
        """Create and sync a new log in `folder`. Its name is durable once the folder is synced."""
        file = folder.open_log(name, create=True)
        salt = int.from_bytes(os.urandom(8), "little")
        header = _header(salt, first) + _SYNCED.pack(START, START ^ _MASK)
        file.extend(_FIRST_SIZE)
        file.write(0, header.ljust(START, b"\0"))
        file.sync()
        return cls(file, salt, first)

    @classmethod
    def open(cls, folder: Folder, name: str) -> Log:
        file = folder.open_log(name)
        for _ in range(8):  # another process may be raising the version in the header just now
            header = file.read(0, START)
            if len(header) < START:
                raise Corruption(file.path, f"it has only {len(header)} bytes", 0)
            magic, version, _, salt, first = _HEADER.unpack_from(header)
            (check,) = struct.unpack_from("<Q", header, _HEADER.size)
            if magic == _MAGIC and check == xxhash.xxh3_64_intdigest(header[: _HEADER.size]):
                break
        else:
            raise Corruption(file.path, "its header does not match its checksum", 0)
        if first >= _MOST_FRAMES:
            raise Corruption(file.path, f"its first frame has the number {first}", 24)
        if version > VERSION:
            raise FormatTooNew(f"{file.path} has log format {version}, this version reads up to {VERSION}")
        return cls(file, salt, first, version)

    def linked(self) -> bool:
        """Whether the log's name still refers to this file."""
        return self._file.linked()

    def lacks_watermark(self) -> bool:
        """Whether the watermark in the file is behind the last sync."""
        return self._synced > self._watermark

    def record_watermark(self) -> None:
        """Write the durable watermark into the file.

        An error is only logged. The watermark serves only to detect damage, and the next read or write of the
        file will report the error.
        """
        with self._mutex:
            synced = self._synced
        if synced > self._watermark and not self.broken:
            try:
                self._write_watermark(synced)
            except (StorageError, OSError) as error:
                _log.warning("%s could not be told up to where it was synced: %s", self.path, error)

    def close(self) -> None:
        self.record_watermark()
        self._file.close()

    # ------------------------------------------------------------------ reading

    def has_more(self) -> bool:
        """Whether another process may have written a frame since the last read."""
        return self._file.holds(self.offset, _FRAME_MAGIC)

    def at_end(self, writing: bool) -> bool:
        """Whether all frames were read. Then check the bytes after the last frame as `read_new` does."""
        if self.has_more():
            return False
        self._check_end(writing)
        return True

    def read_new(self, writing: bool = False) -> Iterator[Frame]:
        """Yield the frames after `offset`, and advance it.

        With `writing` (under the write lock), clear a torn end.
        """
        while True:
            frame = self._frame_at(self.offset)
            if frame is None:
                break
            self.offset, self.sequence = frame.end, frame.sequence + 1
            yield frame
            if frame.kind == END:
                self._ended = True
                return
        self._check_end(writing)

    def unread(self, frame: Frame) -> None:
        """Move back to before this frame, because it could not be applied."""
        self.offset, self.sequence = frame.end - _align(_FRAME.size + len(frame.payload)), frame.sequence

    def following(self, folder: Folder, end: Frame) -> Log:
        """Open the log that `end`, the last frame of this log, names.

        Raises Corruption if that log cannot be opened, or is this log or an earlier one.
        """
        log = Log.open(folder, file_names.following(self.path, end.payload))
        if log._first < self.sequence:
            raise Corruption(log.path, f"it begins with frame {log._first}, not after the log before it")
        return log

    def image(self) -> Iterator[bytes]:
        """Yield the first `offset` bytes of the file, block by block. The header's watermark is `offset`."""
        head = bytearray(self._file.read(0, START))
        _SYNCED.pack_into(head, _SYNCED_AT, self.offset, self.offset ^ _MASK)
        yield bytes(head)
        for start in range(START, self.offset, 1 << 20):
            yield self._file.read(start, min(1 << 20, self.offset - start))

    def salvage(self) -> Iterator[Frame]:
        """After Corruption, yield the intact frames after the damage. There may be several damaged places.

        Salt, sequence number and checksum together ensure that no other bytes are taken for a frame.
        """
        size = self._file.size()
        offset = self.offset + 8
        while offset < size:
            window = self._file.read(offset, 1 << 20)
            at = window.find(_FRAME_MAGIC)
            if at < 0:
                offset += max(8, len(window) - 8 & ~7)
                continue
            offset += at
            later = range(self.sequence, 1 << 64)
            frame = self._frame_at(offset, later) if offset % 8 == 0 else None
            if frame is None:
                offset = _align(offset + 1)
                continue
            self.offset, self.sequence = frame.end, frame.sequence + 1
            yield frame
            offset = frame.end

    def _frame_at(self, offset: int, sequences: range | None = None) -> Frame | None:
        """Read the frame at `offset` if it is intact and its sequence number is in `sequences`.

        The default for `sequences` is the next sequence number only.
        """
        if not self._file.holds(offset, _FRAME_MAGIC):
            return None
        head = self._file.read(offset, _FRAME.size)
        if len(head) < _FRAME.size:
            return None
        magic, kind, _, length, _, sequence, check = _FRAME.unpack(head)
        expected = sequence == self.sequence if sequences is None else sequence in sequences
        if magic != _FRAME_MAGIC or not expected or length > MAX_PAYLOAD:
            return None
        if length > _SMALL and length > self._file.size() - offset:  # checked before memory is allocated
            return None
        payload = self._file.read(offset + _FRAME.size, length)
        if len(payload) < length or check != self._checksum(head[: _FRAME.size - 8], payload):
            return None
        return Frame(kind, sequence, payload, _align(offset + _FRAME.size + length))

    def _checksum(self, head: bytes, payload: bytes) -> int:
        state = xxhash.xxh3_64(head, seed=self._salt)
        state.update(payload)
        return state.intdigest()

    def synced_offset(self) -> int:
        """Read the durable watermark from the file."""
        for _ in range(8):  # another process may be writing the pair just now
            data = self._file.peek(_SYNCED_AT, _SYNCED.size)
            if len(data) == _SYNCED.size:
                synced, complement = _SYNCED.unpack(data)
                if synced ^ complement == _MASK:
                    return int(synced)
        raise Corruption(self.path, "its synced offset does not match its complement", _SYNCED_AT)

    def _check_end(self, writing: bool) -> None:
        """At the end of the frames, check that no frame is missing. When writing, clear a torn end."""
        self._check_torn_end()
        if writing:
            self._clear_torn_end()

    def _check_torn_end(self) -> None:
        if self.synced_offset() > self.offset:
            # Another process may have appended and synced a frame since this process read the end.
            if self._frame_at(self.offset) is not None:
                return
            raise Corruption(self.path, "an acknowledged frame does not match its checksum", self.offset)

    def _clear_torn_end(self) -> None:
        """Zero the bytes that an interrupted writer left. Its write was not acknowledged."""
        if self._cleared and self._file.peek(self.offset, 1) in (b"", b"\0"):
            return
        self._write_again()
        # The rest of the file is read once after opening. In a power cut, a later page may reach the disk
        # without an earlier one. Old frames in that page would be read after the next frame.
        size = self._file.size()
        for start in range(self.offset, size, 1 << 20):
            part = self._file.read(start, min(1 << 20, size - start))
            if part.count(0) < len(part):
                self._file.write(start, bytes(len(part)))
        self._cleared = True

    # ------------------------------------------------------------------ writing

    def append(self, kind: int, payload: bytes) -> int:
        """Write a frame at `offset` and return the offset to pass to `sync`.

        The caller holds the write lock and has called `at_end(writing=True)`. The frame is not durable until
        it is synced.
        """
        if self.broken:
            raise WriteFailed(f"{self.path} has to be opened again: {self.broken}; try again")
        if self._ended:
            raise WriteFailed(f"{self.path} has ended; open the collection again")
        if len(payload) > MAX_PAYLOAD:
            raise WriteFailed(
                f"one call changes {len(payload)} bytes, more than {self.path} can hold; split it"
            )
        head = _FRAME.pack(_FRAME_MAGIC, kind, 0, len(payload), 0, self.sequence, 0)[:-8]
        frame = head + struct.pack("<Q", self._checksum(head, payload)) + payload
        end = _align(self.offset + len(frame))
        if end > self._size:
            self._size = self._file.size()
            if end > self._size:
                step = min(max(self._size, _FIRST_SIZE), _MAX_STEP)
                self._file.extend(-(-end // step) * step)
                self._size = self._file.size()
        try:
            if self._version < VERSION:  # makes an older program report that it is too old
                self._file.write(0, _header(self._salt, self._first))
                self._version = VERSION
            self._file.write(self.offset, frame)
        except BaseException:
            self.broken = "an earlier write failed"
            raise
        try:
            self._file.begin_sync(self.offset, len(frame))
        except OSError as error:  # `sync` reports the failure
            self.broken = error.strerror or str(error)
        self.offset, self.sequence, self._ended = end, self.sequence + 1, kind == END
        return end

    def sync(self, offset: int) -> None:
        """Wait until everything before `offset` is durable. Threads that wait together share one sync."""
        mine, synced = False, 0
        try:
            with self._mutex:
                while self._synced < offset:
                    if self.broken:
                        raise WriteFailed(_not_synced(self.path, self.broken))
                    if not self._syncing:
                        mine = self._syncing = True
                        target = self.offset
                        break
                    self._group.wait(_WAIT_SECONDS)
                else:
                    return
            self._file.sync()
            synced = target
        except BaseException as error:
            # After a failed sync the kernel may have dropped the pages, so no later write is safe. This holds
            # even if an interrupt came on top of the failure. An interrupt alone breaks nothing.
            failed = isinstance(error, Exception) or isinstance(error.__context__, (OSError, StorageError))
            if mine and failed:
                self.broken = str(error) or str(error.__context__ or "") or type(error).__name__
            if mine and isinstance(error, StorageError):
                raise WriteFailed(_not_synced(self.path, str(error))) from error
            raise
        finally:  # even after an interrupt, another thread must be able to sync
            if mine:
                self._syncing = False  # before taking the lock, because the wait for it can be interrupted
                with self._mutex:
                    if synced > self._synced:
                        self._synced = synced
                    self.syncs += synced > 0
                    self._group.notify_all()
        if time.monotonic() >= self._watermark_due:
            self.record_watermark()

    def sync_all(self) -> None:
        """Make the whole file durable, including frames from other processes.

        The caller holds the write lock.
        """
        self._write_again()
        self._file.sync()

    def _write_again(self) -> None:
        """Rewrite the frames that may not be on the disk, so that the next sync writes them.

        After a failed sync in this or another process, the system may regard unwritten pages as clean.
        """
        at = self.synced_offset()
        while at < self.offset:
            frame = self._frame_at(at, range(self._first, self.sequence))
            if frame is None:  # the system has dropped its pages since it was read
                raise Corruption(self.path, "a frame that was read is not there any more", at)
            self._file.write(at, self._file.read(at, frame.end - at))
            at = frame.end

    def _write_watermark(self, target: int) -> None:
        with self._recording:  # so that no older watermark from this process overwrites a newer one
            if target > self.synced_offset():
                self._file.write(_SYNCED_AT, _SYNCED.pack(target, target ^ _MASK))
            self._watermark = max(self._watermark, target)
            self._watermark_due = time.monotonic() + WATERMARK_SECONDS
