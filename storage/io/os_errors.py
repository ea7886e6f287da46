"""Translate errors from the operating system into the engine's errors.

Owns: the meaning of the error codes, and the advice in the messages. No OSError leaves the engine.
"""

from __future__ import annotations

import errno

from ..interface.errors import Closed, Corruption, Missing, OutOfMemory, ReadOnly, StorageError, WriteFailed

_NO_ROOM = errno.ENOSPC, errno.EDQUOT, errno.EFBIG


class explained:
    """Context manager that translates an OSError in writing a path into the engine's error.

    It is a class because every add enters it several times, and a generator takes six times as long.
    """

    __slots__ = ("_path", "_reading")

    def __init__(self, path: str, reading: bool = False) -> None:
        self._path, self._reading = path, reading

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise refused(self._path, error, self._reading) from error


def readable(path: str) -> explained:
    """Return a context manager that translates an OSError in reading a path; see `explained`."""
    return explained(path, reading=True)


def refused(path: str, error: OSError, reading: bool = False) -> StorageError:
    """Return the engine's error for an OSError in writing or reading a path."""
    code, why = error.errno, error.strerror or str(error)
    verb = "read" if reading else "write"
    if code in (errno.ENOENT, errno.ENOTDIR):
        return Missing(path, "the file is missing")
    if code in (errno.EMFILE, errno.ENFILE):
        return WriteFailed(f"cannot open {path}: {why}; raise the limit of open files (`ulimit -n`)")
    if code == errno.EBADF:
        return Closed(f"{path} was closed; open a new client")
    if code in (errno.EACCES, errno.EPERM) or (code == errno.EROFS and not reading):
        return ReadOnly(f"cannot {verb} {path}: {why}. Give this user {verb} access to the folder.")
    if code in (errno.EISDIR, errno.ENOTEMPTY):  # a folder or file that the engine did not create
        return Corruption(path, f"it is not of the kind it should be: {why}")
    if code == errno.ENOMEM:
        text = f"cannot {verb} {path}: {why}; give the process more memory, or more maps (vm.max_map_count)"
        return OutOfMemory(text) if reading else WriteFailed(text)
    if reading:
        return Corruption(path, f"it cannot be read: {why}")
    if code in _NO_ROOM:
        return WriteFailed(f"cannot write {path}: {why}; nothing was stored. Free some space and try again.")
    return WriteFailed(f"cannot write {path}: {why}; nothing was acknowledged: check the disk.")
