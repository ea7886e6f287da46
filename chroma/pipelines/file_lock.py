"""A file lock that restricts a load to one process at a time."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from ..errors import InvalidArgumentError
from ..storage.interface.fork_safety import let_go_in_children, opening


def _take(fd: int) -> None:
    """Take the lock. Raises OSError if another process holds it."""
    if sys.platform == "win32":  # HTTP clients run on Windows too
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """A file that stays locked until this object is closed. The end of the process releases the lock."""

    def __init__(self, path: str, busy: str) -> None:
        """Take the lock. Raises InvalidArgumentError with the text `busy` if another process holds it."""
        self.path = path
        self._fd = -1
        while True:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            try:
                with opening(path):
                    self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                    let_go_in_children(self)
            except FileNotFoundError:  # another load removed the folder when it ended
                continue
            try:
                _take(self._fd)
            except OSError as error:
                self.let_go()
                if isinstance(error, (BlockingIOError, PermissionError)):
                    raise InvalidArgumentError(busy) from None
                raise
            try:
                if os.path.samestat(os.stat(path), os.fstat(self._fd)):
                    return
            except FileNotFoundError:
                pass  # the previous holder has removed the file meanwhile
            except OSError:
                self.let_go()
                raise
            self.let_go()

    def let_go(self) -> None:
        """Close the file and forget its descriptor. In a forked child, the parent keeps the lock."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def close(self) -> None:
        """Release the lock, and delete the file and an empty folder. May be called more than once."""
        if self._fd < 0:
            return
        with suppress(OSError):  # the next holder reuses a file that remains
            os.remove(self.path)
        self.let_go()
        with suppress(OSError):  # the folder is not empty if other loads run
            os.rmdir(os.path.dirname(self.path))
