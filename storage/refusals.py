"""What the operating system refuses, in the engine's errors.

Owns: which of its error codes mean what, and what to do about them.
"""

from __future__ import annotations

import errno

from .errors import Corruption, ReadOnly, StorageError, WriteFailed


class explained:
    """A block in which refusals to write a path are raised as the engine's errors. A class, for an add enters
    it several times, and a generator takes six times as long."""

    __slots__ = ("_path", "_reading")

    def __init__(self, path: str, reading: bool = False) -> None:
        self._path, self._reading = path, reading

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            meaning = _meaning(self._path, error.errno, error.strerror, self._reading)
            if meaning is not None:
                raise meaning from error


def readable(path: str) -> explained:
    """The same of refusals to read it."""
    return explained(path, reading=True)


def _meaning(path: str, code: int | None, why: str | None, reading: bool) -> StorageError | None:
    verb = "read" if reading else "write"
    if code in (errno.EMFILE, errno.ENFILE):
        return WriteFailed(f"cannot open {path}: {why}; raise the limit of open files (`ulimit -n`)")
    if code in (errno.EACCES, errno.EPERM) or (code == errno.EROFS and not reading):
        return ReadOnly(f"cannot {verb} {path}: {why}. Give this user {verb} access to the folder.")
    if code in (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY):  # somebody put a folder there, or a file
        return Corruption(path, f"it is not of the kind it should be: {why}")
    if code == errno.EIO:
        if reading:
            return Corruption(path, f"it cannot be read: {why}")
        return WriteFailed(f"cannot write {path}: {why}; check the disk.")
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and not reading:
        return WriteFailed(f"cannot write {path}: {why}; nothing was stored. Free some space and try again.")
    return None
