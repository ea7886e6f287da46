"""Open only real files and folders.

Owns: the rule that nothing inside a database's folder may be a symbolic link, a pipe or a device. In a folder
from an untrusted source, a link could point anywhere. The path of the database's folder itself may contain
links, because the user chose it. Links that are created while the folder is in use are not detected.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from ..interface.errors import Corruption, InvalidArgument, NotADatabase
from ..native import kernel

# Error codes for anything that is not a file: a link, a folder, or a pipe without a writer.
_NOT_A_FILE = {
    errno.ELOOP: "it is a symbolic link, which is not followed",
    errno.EMLINK: "it is a symbolic link, which is not followed",  # FreeBSD
    errno.EISDIR: "it is a folder, not a file",
    errno.ENXIO: "it is neither a file nor a folder",
}


_KEPT_HERE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # O_NONBLOCK: opening a pipe must not block
_LOCK = _KEPT_HERE | os.O_RDWR | os.O_CREAT


def open_lock(path: str) -> int:
    """Open a lock file, creating it if necessary, and return its descriptor. Raises OSError like `os.open`.

    Every write calls this. The check that it is a regular file is omitted, because its content is never read
    or written.
    """
    try:
        return os.open(path, _LOCK, 0o666)
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            raise Corruption(path, _NOT_A_FILE[error.errno]) from None
        raise


def open_file(path: str, flags: int) -> int:
    """Open a file and return its descriptor.

    Raises Corruption if the path is not a regular file, and OSError like `os.open`.
    """
    try:
        fd = os.open(path, flags | _KEPT_HERE, 0o666)
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            raise Corruption(path, _NOT_A_FILE[error.errno]) from None
        raise
    try:
        mode = os.fstat(fd).st_mode
    except BaseException:
        os.close(fd)
        raise
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise Corruption(path, _NOT_A_FILE[errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO])
    return fd


def check_folder(path: str) -> bool:
    """Raise Corruption if the path exists but is not a folder. Returns whether it exists."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISLNK(mode):
        raise Corruption(path, _NOT_A_FILE[errno.ELOOP])
    if not stat.S_ISDIR(mode):
        raise Corruption(path, "it is not a folder")
    return True


def check_file(path: str) -> None:
    """Raise Corruption if the path is a link. Used before calls that follow links."""
    if os.path.islink(path):
        raise Corruption(path, _NOT_A_FILE[errno.ELOOP])


def check_path(path: str) -> None:
    """Raise an error for a path that cannot be a folder, before anything is created."""
    try:
        exists = os.path.lexists(path) or os.lstat(path) is not None
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:  # it is too long, contains a NUL, or has a file as a parent
        raise InvalidArgument(f"path {path[:80]!r} cannot be used: {error}") from error
    if exists and not os.path.isdir(path):
        raise NotADatabase(f"path {path} is a file, not a folder; pass the path of a folder")


def _same_file(path: bytes, device: int, inode: int) -> bool:
    """Whether the path refers to the file with these numbers. Raises OSError if the system does not say."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (found.st_dev, found.st_ino) == (device, inode)


# Every call asks, so no function is put in between.
same_file: Callable[[bytes, int, int], bool] = (
    _same_file if kernel.compiled is None else kernel.compiled.same_file
)
