"""The interface of a folder, and its implementation on disk.

Owns: atomic and durable writes, memory maps, append files. This module does not interpret the bytes.
Invariant: once a method documented as "synced" has returned, the bytes and the name survive a power cut.
`MemoryFolder` implements the same interface without durability, so ephemeral databases run on exactly the
same engine.

`before_step` is called before every step that changes the disk, with the step's name and path. Crash tests
replace it to end the process between any two steps.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from ..interface.errors import Corruption, Missing, NotADatabase, ReadOnly, StorageError
from ..interface.fork_safety import let_go_in_children, opening
from . import libc, machine_memory, memory_map, safe_open, writeback
from .checksummed_writer import Hashing, Sink
from .file_lock import LOCK_TIMEOUT, FileLock
from .open_file import OpenFile, finalized
from .os_errors import explained, readable, refused

_log = logging.getLogger("chroma")
GONE = ".gone-"  # marks the name of a folder that is being removed
_SCRATCH_BYTES = 64 << 20  # smaller scratch space is ordinary memory
_ROOM = 2  # a file is too large for memory if so many of it do not fit


def _no_step(step: str, path: str) -> None:
    """Do nothing: the default of `before_step`."""


before_step: Callable[[str, str], None] = _no_step


_syncs, _counting = 0, threading.Lock()


def _count_anew() -> None:
    """Replace the lock in a forked child, because the parent may have held it."""
    global _counting
    _counting = threading.Lock()


os.register_at_fork(after_in_child=_count_anew)


def syncs() -> int:
    """Return how many times this process has synced a file or folder."""
    return _syncs


def _count_sync() -> None:
    global _syncs
    with _counting:
        _syncs += 1


def full_sync(fd: int) -> None:
    """Make the bytes of an open file durable."""
    _count_sync()
    if hasattr(fcntl, "F_FULLFSYNC"):  # on macOS, fsync alone does not flush the drive's cache
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


class _DiskSink(Hashing):
    """Writes to a descriptor until `end` is called.

    After a failed write, Arrow's writers may write once more when they are freed. By then the descriptor's
    number may belong to another file.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def end(self) -> None:
        """Stop writing. Called before the descriptor is closed."""
        self._fd, self.closed = -1, True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while written < view.nbytes:
            written += os.write(self._fd, view[written:])
        return self._add(view)


class LogFile(Protocol):
    """A file that is written at given offsets. `read` returns fewer bytes at the end of the file."""

    path: str

    def read(self, offset: int, size: int) -> bytes: ...
    def holds(self, offset: int, mark: bytes) -> bool: ...
    def peek(self, offset: int, size: int) -> bytes | memoryview: ...
    def write(self, offset: int, data: bytes) -> None: ...
    def begin_sync(self, offset: int, size: int) -> None: ...
    def extend(self, size: int) -> None: ...
    def sync(self) -> None: ...
    def size(self) -> int: ...
    def linked(self) -> bool: ...
    def close(self) -> None: ...


class Folder(Protocol):
    """A directory of the database."""

    path: str
    in_memory: bool

    def child(self, name: str) -> Folder: ...
    def exists(self, name: str = "") -> bool: ...
    def create(self, parents: bool = True) -> None: ...
    def names(self) -> list[str]: ...
    def size(self, name: str) -> int: ...
    def read(self, name: str) -> bytes: ...
    def file_version(self, name: str) -> tuple[int, ...] | None: ...
    def replace(self, name: str, data: bytes) -> None: ...
    def write_file(self, name: str) -> contextlib.AbstractContextManager[Sink]: ...
    def map(self, name: str, size: int | None = None) -> memoryview: ...
    def map_at_random(self, name: str, size: int) -> memoryview | None: ...
    def read_at_random(self, mapped: memoryview) -> None: ...
    def evict(self, mapped: memoryview) -> None: ...
    def scratch(self, size: int) -> memoryview: ...
    def open_log(self, name: str, create: bool = False) -> LogFile: ...
    def lock(
        self, name: str, wait: bool = True, timeout: float | None = LOCK_TIMEOUT
    ) -> contextlib.AbstractContextManager[bool]: ...
    def remove(self, name: str) -> None: ...
    def remove_tree(self) -> None: ...
    def discard(self) -> None: ...
    def link_from(self, source: Folder, name: str) -> None: ...
    def sync(self) -> None: ...
    def sync_name(self) -> None: ...
    def writable(self) -> bool: ...


class DiskLog:
    """An open log file. It is read-only if the process has no permission to write it."""

    def __init__(self, path: str, create: bool) -> None:
        self.path = path
        with opening(path):
            self._fd = _created(path) if create else _opened(path)
            self._closer = finalized(self, self._fd)
            let_go_in_children(self)
        self._name = os.fsencode(path)
        with readable(path):
            found = os.fstat(self._fd)
        self._device, self._inode = found.st_dev, found.st_ino
        self._view = memoryview(b"")

    def holds(self, offset: int, mark: bytes) -> bool:
        """Whether the file has these bytes at `offset`, including bytes that another process wrote."""
        end = offset + len(mark)
        if end <= len(self._view):  # `peek` without its call, because every call asks
            return self._view[offset:end] == mark
        return self.peek(offset, len(mark)) == mark

    def peek(self, offset: int, size: int) -> bytes | memoryview:
        """Read from a memory map if possible, otherwise like `read`.

        Every query calls this. A map needs no system call, so the thread does not release the GIL and wait to
        get it back.
        """
        end = offset + size
        if end > len(self._view):
            self._map()
            if end > len(self._view):
                return self.read(offset, size)
        return self._view[offset:end]

    def _map(self) -> None:
        """Map the file at its current length. Does nothing if the log's name now refers to another file."""
        if self.size() <= len(self._view):
            return
        try:
            view = memory_map.map_file(self.path)
            if self.linked():
                self._view = view
        except (OSError, StorageError):  # no free descriptor or map, or the name is gone: `peek` then reads
            return

    def read(self, offset: int, size: int) -> bytes:
        try:
            data = os.pread(self._fd, size, offset)
            if len(data) < size:  # because of a signal or the end of the file
                while more := os.pread(self._fd, size - len(data), offset + len(data)):
                    data += more
        except OSError as error:
            if self._fd < 0:
                raise refused(self.path, error, reading=True) from error
            raise Corruption(self.path, f"it cannot be read: {error.strerror}", offset) from error
        return data

    def write(self, offset: int, data: bytes) -> None:
        before_step("log write", self.path)
        with explained(self.path):
            try:
                done = os.pwrite(self._fd, data, offset)
                while done < len(data):
                    done += os.pwrite(self._fd, memoryview(data)[done:], offset + done)
            except OSError as error:
                if error.errno == errno.EBADF and self._fd >= 0:  # the file was opened read-only
                    raise ReadOnly(f"cannot write {self.path}: the folder is read-only") from error
                raise

    def begin_sync(self, offset: int, size: int) -> None:
        """Ask the operating system to start writing these bytes to the disk. Raises OSError.

        The caller can do other work before it calls `sync`.
        """
        writeback.begin(self._fd, offset, size)

    def extend(self, size: int) -> None:
        """Extend the file to `size` bytes with zeros.

        Writes into existing blocks sync several times faster than writes that extend the file.
        """
        start = self.size()
        before_step("log extend", self.path)
        with explained(self.path):
            zeros = bytes(min(1 << 20, max(0, size - start)))
            try:
                while start < size:
                    start += os.pwrite(self._fd, memoryview(zeros)[: size - start], start)
            except OSError as error:
                if error.errno == errno.EBADF and self._fd >= 0:
                    raise ReadOnly(f"cannot write {self.path}: the folder is read-only") from error
                raise

    def sync(self) -> None:
        before_step("log sync", self.path)
        with explained(self.path):
            if self._fd < 0:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            full_sync(self._fd)

    def size(self) -> int:
        with readable(self.path):
            return os.fstat(self._fd).st_size

    def linked(self) -> bool:
        """Whether the name still refers to this file."""
        try:
            return safe_open.same_file(self._name, self._device, self._inode)
        except OSError as error:
            raise refused(self.path, error, reading=True) from error

    def close(self) -> None:
        """Close the file. The descriptor is forgotten, because its number may soon belong to another file."""
        self._fd = -1
        self._closer()

    let_go = close


def _has_room(size: int) -> bool:
    """Whether memory has room for a file of so many bytes."""
    return size * _ROOM < machine_memory.usable()


def _created(path: str) -> int:
    with explained(path):
        before_step("create", path)
        return safe_open.open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)


def _opened(path: str) -> int:
    with readable(path):
        try:
            return safe_open.open_file(path, os.O_RDWR)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EROFS, errno.EPERM):
                raise
            return safe_open.open_file(path, os.O_RDONLY)


class DiskFolder:
    """A directory on disk.

    frozen  why nothing may be written in or below it; None if writing is allowed
    """

    in_memory = False

    def __init__(self, path: str | Path, frozen: str | None = None) -> None:
        self.path = str(path)
        self._frozen = frozen
        self._within: tuple[str, ...] = ()  # the path from the database's folder down to this folder
        self._real = True

    def _check_writable(self) -> None:
        if self._frozen is not None:
            raise ReadOnly(self._frozen)

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path

    def child(self, name: str) -> DiskFolder:
        made = DiskFolder(self._at(name), self._frozen)
        made._within, made._real = (*self._within, made.path), False
        return made

    def check_real(self) -> None:
        """Raise Corruption unless every path from the database's folder down to this one is a real folder.

        Symbolic links are not accepted. The check is repeated until the folder exists, and then skipped.
        """
        if not self._real:
            with readable(self.path):
                self._real = all(safe_open.check_folder(path) for path in self._within)

    def exists(self, name: str = "") -> bool:
        return self.file_version(name) is not None

    def create(self, parents: bool = True) -> None:
        """Create the folder (and its parents), durably. It may already exist."""
        self.check_real()
        if os.path.isdir(self.path):
            return
        if self.exists():
            raise NotADatabase(f"path {self.path} is a file, not a folder; pass the path of a folder")
        self._check_writable()
        parent = DiskFolder(os.path.dirname(os.path.abspath(self.path)))
        if parents:
            parent.create()
        before_step("mkdir", self.path)
        with explained(self.path):
            try:
                os.mkdir(self.path)
            except FileExistsError:
                if not os.path.isdir(self.path):
                    raise
            except FileNotFoundError as error:
                if os.path.isdir(parent.path):  # otherwise another process has removed it
                    raise ReadOnly(
                        f"cannot make the folder {self.path}: the file system of {parent.path} takes none; "
                        "choose another path"
                    ) from error
                raise
            try:
                parent.sync()
            except StorageError:  # otherwise the next process would assume that its name is durable
                with contextlib.suppress(OSError):
                    os.rmdir(self.path)
                raise

    def names(self) -> list[str]:
        """Return the names in the folder, sorted, or an empty list if the folder does not exist."""
        self.check_real()
        try:
            with readable(self.path):
                return sorted(os.listdir(self.path))
        except Missing:
            return []

    def size(self, name: str) -> int:
        """Return the size of a file in bytes. Raises Missing."""
        with readable(self._at(name)):
            return os.lstat(self._at(name)).st_size

    def read(self, name: str) -> bytes:
        self.check_real()
        path = self._at(name)
        with readable(path), opening(path), open(safe_open.open_file(path, os.O_RDONLY), "rb") as file:
            return file.read()

    def file_version(self, name: str) -> tuple[int, ...] | None:
        """Return a value that changes whenever the file is replaced, or None if there is no such file."""
        self.check_real()
        path = self._at(name)
        try:
            found = os.stat(path, follow_symlinks=not name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refused(path, error, reading=True) from error
        return found.st_ino, found.st_mtime_ns, found.st_size

    def replace(self, name: str, data: bytes) -> None:
        """Replace the content of the file `name` by `data`, atomically and synced."""
        self._check_writable()
        self.check_real()
        target = self._at(name)
        aside = f"{target}.{os.getpid()}-{threading.get_ident()}.tmp"
        with explained(target), opening(aside):
            try:
                before_step("write aside", aside)
                fd = safe_open.open_file(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                try:
                    _DiskSink(fd).write(data)
                    before_step("sync aside", aside)
                    full_sync(fd)
                finally:
                    os.close(fd)
                before_step("rename", target)
                os.replace(aside, target)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(aside)
                raise
            before_step("sync folder", self.path)
            self.sync()

    @contextlib.contextmanager
    def write_file(self, name: str) -> Iterator[Sink]:
        """Write a new file, synced when the `with` block ends. Syncing the folder makes its name durable."""
        self._check_writable()
        self.check_real()
        target = self._at(name)
        with explained(target), opening(target):
            before_step("create", target)
            fd = safe_open.open_file(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            sink = _DiskSink(fd)
            try:
                yield sink
                before_step("sync file", target)
                full_sync(fd)
            except BaseException:
                with contextlib.suppress(OSError):  # an incomplete file only takes up space on the disk
                    os.unlink(target)
                raise
            finally:
                sink.end()
                os.close(fd)

    def map(self, name: str, size: int | None = None) -> memoryview:
        """Map the file into memory, read-only. Raises Corruption if it is missing or has not `size` bytes."""
        self.check_real()
        path = self._at(name)
        with readable(path):
            mapped = memory_map.map_file(path)
        if size is not None and len(mapped) != size:
            raise Corruption(path, f"it has {len(mapped)} bytes instead of {size}")
        return mapped

    def map_at_random(self, name: str, size: int) -> memoryview | None:
        """Map a file that memory has no room for, to read single rows. None: memory has room for it.

        The system reads whole megabytes around a page, in the hope that they are used, too. In a container of
        600 MB, queries over 1.5 GB of vectors took 850 ms with that and 3 ms without.
        """
        if _has_room(size):
            return None
        mapped = self.map(name, size)
        memory_map.read_at_random(mapped)
        return mapped

    def read_at_random(self, mapped: memoryview) -> None:
        """Read only single rows of a map from now on, if memory has no room for it.

        Called after a pass over the whole map. Without reading ahead, such a pass takes 18 times as long.
        """
        if not _has_room(len(mapped)):
            memory_map.read_at_random(mapped)

    def evict(self, mapped: memoryview) -> None:
        """Release the pages of a map, see memory_map.evict."""
        memory_map.evict(mapped)

    def scratch(self, size: int) -> memoryview:
        """Return writable memory of `size` bytes, freed with its last view.

        Large scratch space is a mapped file without a name, so the system can evict its pages. Its disk space
        is reserved first.
        """
        if size < _SCRATCH_BYTES or not hasattr(os, "posix_fallocate"):
            return memoryview(bytearray(size))
        import tempfile  # like shutil below, seldom used, and takes a few milliseconds to import

        with explained(self.path):
            fd, path = tempfile.mkstemp(prefix="scratch-", suffix=".tmp", dir=self.path)
            try:
                os.unlink(path)
                os.posix_fallocate(fd, 0, size)
                return memoryview(mmap.mmap(fd, size))
            finally:
                os.close(fd)

    def open_log(self, name: str, create: bool = False) -> LogFile:
        if create:
            self._check_writable()
        self.check_real()
        return DiskLog(self._at(name), create)

    def lock(self, name: str, wait: bool = True, timeout: float | None = LOCK_TIMEOUT) -> FileLock:
        """Return a lock file, which a `with` block holds. Raises Missing if there is no folder."""
        self._check_writable()
        self.check_real()
        return FileLock(self._at(name), wait, timeout)

    def remove(self, name: str) -> None:
        self._check_writable()
        self.check_real()
        before_step("remove", self._at(name))
        with explained(self._at(name)), contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name))

    def remove_tree(self) -> None:
        """Rename the folder, then remove it with its contents.

        After the rename, other processes no longer find the folder and cannot add files to it.
        """
        import shutil

        self._check_writable()
        self.check_real()
        before_step("remove tree", self.path)
        aside = f"{self.path}{GONE}{os.urandom(4).hex()}"
        with explained(self.path), contextlib.suppress(FileNotFoundError):
            os.rename(self.path, aside)
            shutil.rmtree(aside)

    def discard(self) -> None:
        """Remove a folder that nothing refers to. An error is only logged: the files merely waste space."""
        try:
            self.remove_tree()
        except StorageError as error:
            _log.warning("%s is not needed any more, and could not be removed: %s", self.path, error)

    def link_from(self, source: Folder, name: str) -> None:
        """Hard-link an immutable file from another folder. Copies it if the file system has no hard links."""
        safe_open.check_file(os.path.join(source.path, name))
        if self.link(source, name):
            return
        import shutil

        with explained(self._at(name)):
            shutil.copyfile(os.path.join(source.path, name), self._at(name))
            with open(self._at(name), "rb") as file:
                full_sync(file.fileno())

    def link(self, source: Folder, name: str) -> bool:
        """Hard-link an immutable file from another folder. Returns False if that is not possible."""
        self._check_writable()
        self.check_real()
        before_step("link", self._at(name))
        with explained(self._at(name)):
            try:
                os.link(os.path.join(source.path, name), self._at(name))
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP):
                    raise
                return False
        return True

    def hold(self, name: str) -> OpenFile:
        """Open an immutable file. Raises Missing."""
        self.check_real()
        return OpenFile(self._at(name))

    def rename(self, name: str, new: str) -> None:
        """Rename a file, replacing any file called `new`. Durable once the folder is synced."""
        self._check_writable()
        self.check_real()
        before_step("rename", self._at(new))
        with explained(self._at(new)):
            os.replace(self._at(name), self._at(new))

    def move(self, path: str) -> None:
        """Move the folder to a path on the same file system, durably. Replaces an empty folder there."""
        self._check_writable()
        before_step("move", path)
        with explained(path):
            os.rename(self.path, path)
            DiskFolder(os.path.dirname(os.path.abspath(path))).sync()

    def exchange(self, other: DiskFolder) -> bool:
        """Exchange the paths of two folders, atomically and durably.

        Returns False if the system does not support this.
        """
        self._check_writable()
        before_step("exchange", other.path)
        with explained(other.path):
            try:
                libc.exchange(self.path, other.path)
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
                    raise
                return False
            DiskFolder(os.path.dirname(os.path.abspath(other.path))).sync()
        return True

    def sync(self) -> None:
        """Make the names in this folder durable."""
        _count_sync()
        with explained(self.path), opening(self.path):
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            except OSError as error:  # some network file systems cannot sync a folder
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                    raise
            finally:
                os.close(fd)

    def sync_name(self) -> None:
        """Make the folder's own name and its parent's name durable."""
        parent = os.path.dirname(self.path)
        DiskFolder(parent).sync()
        DiskFolder(os.path.dirname(parent)).sync()

    def writable(self) -> bool:
        return self._frozen is None and os.access(self.path, os.W_OK)
