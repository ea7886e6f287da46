"""Opens files and folders only if they are files and folders.

Owns: that nothing within a database's folder is reached by way of a symbolic link, or is a pipe or a device.
A folder that somebody else made could lead anywhere by one. The database's folder itself may be reached
through links: its path is the user's. A link that is put there while the folder is in use is not looked for.
"""

from __future__ import annotations

import errno
import os
import stat

from ..interface.errors import Corruption, InvalidArgument, NotADatabase

# For anything else: a link, a folder in place of a file, a pipe without a writer.
_NOT_A_FILE = {
    errno.ELOOP: "it is a symbolic link, which is not followed",
    errno.EMLINK: "it is a symbolic link, which is not followed",  # FreeBSD
    errno.EISDIR: "it is a folder, not a file",
    errno.ENXIO: "it is neither a file nor a folder",
}


_KEPT_HERE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # the last is for pipes: nothing waits for them
_LOCK = _KEPT_HERE | os.O_RDWR | os.O_CREAT


def open_lock(path: str) -> int:
    """The descriptor of a lock file, made if need be. Every write asks, and nothing is read of it or written
    to it, so that it is not looked at whether it is a file. Raises OSError as `os.open`."""
    try:
        return os.open(path, _LOCK, 0o666)
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            raise Corruption(path, _NOT_A_FILE[error.errno]) from None
        raise


def open_file(path: str, flags: int) -> int:
    """The descriptor of a file. Raises Corruption if it is none, and OSError as `os.open`."""
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
    """Raise Corruption where the name of a folder is that of something else. False where there is none."""
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
    """Raise Corruption if a name is a link, before it goes to a call that follows links."""
    if os.path.islink(path):
        raise Corruption(path, _NOT_A_FILE[errno.ELOOP])


def check_path(path: str) -> None:
    """Refuse a path that cannot be a folder, before anything is created."""
    try:
        exists = os.path.lexists(path) or os.lstat(path) is not None
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:  # too long, a NUL, a file in the middle
        raise InvalidArgument(f"path {path[:80]!r} cannot be used: {error}") from error
    if exists and not os.path.isdir(path):
        raise NotADatabase(f"path {path} is a file, not a folder; pass the path of a folder")
