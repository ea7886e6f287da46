"""One process at a time does a load."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from ..errors import InvalidArgumentError
from ..storage.interface.fork_safety import let_go_in_children, opening


def _take(fd: int) -> None:
    """Raises OSError if another has it."""
    if sys.platform == "win32":  # where clients of a server run, too
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """A file that is locked as long as this object is open. The lock dies with its process."""

    def __init__(self, path: str, busy: str) -> None:
        """Raises InvalidArgumentError with the text `busy` if another holds it."""
        self.path = path
        self._fd = -1
        while True:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            try:
                with opening(path):
                    self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                    let_go_in_children(self)
            except FileNotFoundError:  # the folder went with the end of another load
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
                pass  # its last holder has removed it meanwhile
            except OSError:
                self.let_go()
                raise
            self.let_go()

    def let_go(self) -> None:
        """Close the file, and forget its number: in a forked child the parent goes on holding the lock."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def close(self) -> None:
        """Let it go, and the file, and the folder if that is empty. May be called again."""
        if self._fd < 0:
            return
        with suppress(OSError):  # whoever comes next takes the file that stays
            os.remove(self.path)
        self.let_go()
        with suppress(OSError):  # not empty: other loads
            os.rmdir(os.path.dirname(self.path))
