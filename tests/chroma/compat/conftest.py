from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import chroma


@pytest.fixture
def installed() -> Iterator[None]:
    """This process with `install_as_chromadb()`, which is undone afterwards."""
    finders = list(sys.meta_path)
    chroma.install_as_chromadb()
    yield
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.split(".")[0] == "chromadb"]:
        del sys.modules[name]
