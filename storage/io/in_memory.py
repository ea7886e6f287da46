"""The folder interface of disk.py, implemented in memory, for ephemeral databases.

Owns: bytes by name. The interface is that of disk.py, without durability, so the engine is the same.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from typing import Any

from ..interface.errors import Corruption
from .checksummed_writer import Hashing, Sink
from .disk import Folder, LogFile
from .file_lock import LOCK_TIMEOUT


class _MemorySink(Hashing):
    def __init__(self) -> None:
        super().__init__()
        self.out = io.BytesIO()

    def write(self, data: Any) -> int:
        self.out.write(data)
        return self._add(data)


class MemoryLog:
    """A log in memory. It is removed once its records are flushed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._data = bytearray()

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._data[offset : offset + size])

    peek = read

    def holds(self, offset: int, mark: bytes) -> bool:
        return self._data[offset : offset + len(mark)] == mark

    def write(self, offset: int, data: bytes) -> None:
        self.extend(offset + len(data))
        self._data[offset : offset + len(data)] = data

    def begin_sync(self, offset: int, size: int) -> None:
        """Memory has nothing to sync."""

    def extend(self, size: int) -> None:
        if size > len(self._data):
            self._data.extend(bytes(size - len(self._data)))

    def sync(self) -> None:
        """Memory has nothing to sync."""

    def size(self) -> int:
        return len(self._data)

    def linked(self) -> bool:
        return True

    def close(self) -> None:
        """The folder keeps the log."""


class MemoryFolder:
    """A directory kept in memory, for ephemeral databases."""

    in_memory = True

    def __init__(self, path: str = ":memory:", parent: MemoryFolder | None = None) -> None:
        self.path = path
        self._parent = parent
        self._files: dict[str, memoryview] = {}
        self._folders: dict[str, MemoryFolder] = {}
        self._logs: dict[str, MemoryLog] = {}
        self._locks: dict[str, threading.Lock] = {}

    def child(self, name: str) -> MemoryFolder:
        return self._folders.setdefault(name, MemoryFolder(f"{self.path}/{name}", self))

    def exists(self, name: str = "") -> bool:
        return not name or name in self._files or name in self._folders or name in self._logs

    def create(self, parents: bool = True) -> None:
        """Memory folders always exist."""

    def names(self) -> list[str]:
        return sorted({*self._files, *self._folders, *self._logs})

    def size(self, name: str) -> int:
        return self._logs[name].size() if name in self._logs else len(self._files[name])

    def read(self, name: str) -> bytes:
        return bytes(self._files[name])

    def file_version(self, name: str) -> tuple[int, ...] | None:
        content = self._files.get(name)
        return None if content is None else (id(content),)

    def replace(self, name: str, data: bytes) -> None:
        self._files[name] = memoryview(data)

    @contextlib.contextmanager
    def write_file(self, name: str) -> Iterator[Sink]:
        sink = _MemorySink()
        yield sink
        self._files[name] = sink.out.getbuffer().toreadonly()

    def map(self, name: str, size: int | None = None) -> memoryview:
        found = self._files.get(name)
        if found is None:
            raise Corruption(f"{self.path}/{name}", "the file is missing")
        return found

    def map_at_random(self, name: str, size: int) -> None:
        """Return None, because the file is in memory."""

    def read_at_random(self, mapped: memoryview) -> None:
        """Do nothing, because the file is in memory."""

    def evict(self, mapped: memoryview) -> None:
        """Do nothing, because the bytes exist only in memory."""

    def scratch(self, size: int) -> memoryview:
        return memoryview(bytearray(size))

    def open_log(self, name: str, create: bool = False) -> LogFile:
        if create:
            self._logs[name] = MemoryLog(f"{self.path}/{name}")
        return self._logs[name]

    def lock(
        self, name: str, wait: bool = True, timeout: float | None = LOCK_TIMEOUT
    ) -> contextlib.AbstractContextManager[bool]:
        lock = self._locks.setdefault(name, threading.Lock())
        return lock if wait else _tried(lock)

    def unlock(self) -> None:
        """Release all locks in a forked child, where the threads that held them do not exist."""
        self._locks = {}
        for folder in self._folders.values():
            folder.unlock()

    def remove(self, name: str) -> None:
        self._files.pop(name, None)
        self._logs.pop(name, None)

    def remove_tree(self) -> None:
        self._files.clear()
        self._folders.clear()
        self._logs.clear()
        if self._parent is not None:
            self._parent._folders.pop(self.path.rsplit("/", 1)[-1], None)

    discard = remove_tree

    def link_from(self, source: Folder, name: str) -> None:
        assert isinstance(source, MemoryFolder)
        self._files[name] = source._files[name]

    def sync(self) -> None:
        """Memory has nothing to sync."""

    def sync_name(self) -> None:
        """Memory has nothing to sync."""

    def writable(self) -> bool:
        return True


@contextlib.contextmanager
def _tried(lock: threading.Lock) -> Iterator[bool]:
    locked = lock.acquire(blocking=False)
    try:
        yield locked
    finally:
        if locked:
            lock.release()
