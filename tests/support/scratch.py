"""Folders in memory, for tests that say nothing about the disk. Syncs take no time there.

A test of the API makes some twenty syncs, which take longer than all that it does besides.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")  # of Linux. Containers often limit it to 64 MiB, which is too little
_LEAST = 1 << 30  # bytes that have to be free


def home() -> str | None:
    """Where temporary folders may be made in memory; None if there is no such place."""
    return str(_MEMORY) if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _LEAST else None


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """A folder that is removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=home(), ignore_cleanup_errors=True) as made:
        yield Path(made)
