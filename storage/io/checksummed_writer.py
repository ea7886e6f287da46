"""Compute the size and checksum of a file while it is being written.

Owns: counting and checksums. disk.py and in_memory.py store the bytes.
"""

from __future__ import annotations

from typing import Any, Protocol

import xxhash


class Sink(Protocol):
    """A file that is being written. `digest` and `size` describe its bytes so far."""

    size: int

    def write(self, data: Any) -> int: ...
    def digest(self) -> str: ...


class Hashing:
    """A file-like object for Arrow to write to, which counts and checksums the bytes."""

    def __init__(self) -> None:
        self.size = 0
        self.closed = False
        self._hash = xxhash.xxh3_64()

    def _add(self, data: Any) -> int:
        view = memoryview(data)
        self._hash.update(view)
        self.size += view.nbytes
        return view.nbytes

    def digest(self) -> str:
        return self._hash.hexdigest()

    def flush(self) -> None:
        """Nothing is buffered here."""

    def tell(self) -> int:
        return self.size
