"""Files that stay open and are closed with their owner.

Owns: immutable files that stay readable even if their names are removed.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from ..interface.errors import Missing
from ..interface.fork_safety import let_go_in_children, opening
from . import safe_open
from .os_errors import readable


def finalized(owner: object, fd: int) -> Callable[[], Any]:
    """Return a function that closes the descriptor. The function is also called when the owner is freed.

    The function is not called at exit. Databases that are closed at exit still write then, and the
    descriptor's number may belong to another file by that time.
    """
    closer = weakref.finalize(owner, os.close, fd)
    closer.atexit = False
    return closer


class OpenFile:
    """An immutable file that is open. It stays readable after its name is removed."""

    def __init__(self, path: str) -> None:
        self.path = path
        with readable(path), opening(path):
            self._fd = safe_open.open_file(path, os.O_RDONLY)
            self._closer = finalized(self, self._fd)
            let_go_in_children(self)

    def blocks(self) -> Iterator[bytes]:
        """Yield the whole file, one MiB at a time."""
        offset = 0
        while True:
            with readable(self.path):
                block = os.pread(self._fd, 1 << 20, offset)
            if not block:
                return
            yield block
            offset += len(block)

    def is_at(self, path: str) -> bool:
        """Whether a path refers to this same file, for example as a hard link."""
        try:
            with readable(path):
                return os.path.samestat(os.stat(path), os.fstat(self._fd))
        except Missing:
            return False

    def close(self) -> None:
        """Close the file; see `DiskLog.close`."""
        self._fd = -1
        self._closer()

    let_go = close
