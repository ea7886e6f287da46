"""Folders for tests that say nothing about the disk. They are in memory, where syncs take no time.

Such a test makes some twenty syncs, which take longer than all that it does besides. Tests of what reaches
the disk are in tests/storage, tests/crash and tests/attack; they use the disk.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # of Linux. Containers often limit it to 64 MiB, which is too little
_LEAST = 1 << 30  # bytes that have to be free


def home() -> str | None:
    """Where temporary folders may be made in memory; None if there is no such place."""
    return str(_MEMORY) if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _LEAST else None


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """As pytest's own, in memory. It is removed after the test."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    if home() is None:
        yield tmp_path_factory.mktemp(name)
        return
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=home(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)
