"""Undoes `install_as_chromadb()`, which is for a whole process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from chroma.internal import chromadb_name


@contextmanager
def undone() -> Iterator[None]:
    """After the block, `import chromadb` is what it was before. So are calls that treat programs for Chroma
    differently: for them, a delete by a mistyped key is not refused."""
    before = chromadb_name.taken
    yield
    if chromadb_name.taken is before:
        return
    chromadb_name.taken = before
    sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != "chroma.compat.install"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "chromadb"]:
        del sys.modules[name]
