"""What is written into a file, as it passes.

Owns: counting and checksums. Where the bytes go is for files.py and memory.py.
"""

from __future__ import annotations

from typing import Any, Protocol

import xxhash


class Sink(Protocol):
    """A file being written; `digest` and `size` describe what went in."""

    size: int

    def write(self, data: Any) -> int: ...
    def digest(self) -> str: ...


class Hashing:
    """Counts and checksums what passes; the file-like object Arrow writes to."""

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
