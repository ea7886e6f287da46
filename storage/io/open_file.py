"""Files that stay open, and are closed with their owner.

Owns: immutable files that are read whatever becomes of their names.
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
    """Closes the descriptor when it is called, or its owner goes. Not at exit: databases that are closed
    there still write, and the number could be another file's by then."""
    closer = weakref.finalize(owner, os.close, fd)
    closer.atexit = False
    return closer


class OpenFile:
    """An immutable file that is open: its bytes stay readable when its name goes."""

    def __init__(self, path: str) -> None:
        self.path = path
        with readable(path), opening(path):
            self._fd = safe_open.open_file(path, os.O_RDONLY)
            self._closer = finalized(self, self._fd)
            let_go_in_children(self)

    def blocks(self) -> Iterator[bytes]:
        """All of it, a MiB at a time."""
        offset = 0
        while True:
            with readable(self.path):
                block = os.pread(self._fd, 1 << 20, offset)
            if not block:
                return
            yield block
            offset += len(block)

    def is_at(self, path: str) -> bool:
        """Whether a name leads to this very file, as a hard link does."""
        try:
            with readable(path):
                return os.path.samestat(os.stat(path), os.fstat(self._fd))
        except Missing:
            return False

    def close(self) -> None:
        """As of DiskLog."""
        self._fd = -1
        self._closer()

    let_go = close
