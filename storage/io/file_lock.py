"""Lock files, which exclude all other threads and processes.

Owns: acquiring locks. A lock is released when its process ends. A forked child closes its copy at once.
"""

from __future__ import annotations

import errno
import io
import math
import os
import time

from ..interface.errors import ReadOnly, WriteFailed
from ..interface.fork_safety import let_go_in_children, opening
from . import safe_open
from .os_errors import explained, refused

try:
    import fcntl
except ImportError as error:  # pragma: no cover - Windows
    raise ImportError("chroma needs POSIX file locks (Linux or macOS); on Windows use WSL") from error

LOCK_TIMEOUT = 120.0  # seconds; a lock is held for milliseconds, and is released when its process ends


class FileLock(io.FileIO):
    """An exclusive lock among all processes and threads. Use it in a `with` block at once.

    The constructor opens the file, and the block holds the lock. The `with` statement yields whether the lock
    was acquired, which can be False only without `wait`. Raises WriteFailed after `timeout` seconds; None
    waits forever. Raises Missing if there is no folder.

    The class derives from Python's file class, because closing the file releases the lock. The end of the
    `with` block is then native code, which no interrupt can stop before the file is closed.
    """

    __slots__ = ("_timeout", "_wait", "path")

    def __init__(self, path: str, wait: bool, timeout: float | None) -> None:
        self.path, self._wait, self._timeout = path, wait, timeout
        with explained(path), opening(path):
            fd = safe_open.open_lock(path)
            try:
                super().__init__(fd, "r+")
            except OSError:
                os.close(fd)
                raise
            let_go_in_children(self)

    def let_go(self) -> None:
        """In a forked child, close the file. The parent keeps the lock."""
        self.close()

    def __enter__(self) -> bool:  # type: ignore[override]
        try:
            return self._take()
        except BaseException:
            self.close()
            raise

    def _take(self) -> bool:
        pause, deadline = 0.0001, time.monotonic() + (math.inf if self._timeout is None else self._timeout)
        while True:
            try:
                fcntl.flock(self.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError as error:
                if error.errno in (errno.ENOLCK, errno.ENOTSUP):
                    raise ReadOnly(
                        f"{self.path} is on a file system without locks, where writing is not safe; "
                        "move the database to a local disk"
                    ) from error
                if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                    raise refused(self.path, error) from error
            if not self._wait:
                return False
            if time.monotonic() > deadline:
                raise WriteFailed(
                    f"{self.path} has been locked for {self._timeout:.0f} s by {_holder(self.path)}; "
                    "stop that process and try again"
                )
            time.sleep(pause)
            pause = min(pause * 1.3, 0.005)


def _holder(path: str) -> str:
    """Name the process that holds a lock, if /proc/locks lists it."""
    try:
        inode = os.stat(path).st_ino
        with open("/proc/locks") as file:
            for line in file:
                parts = line.split()
                if parts[5].endswith(f":{inode}"):
                    return f"process {parts[4]}"
    except (OSError, IndexError):
        pass
    return "another process"
