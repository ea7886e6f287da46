"""`install_as_chromadb()` in one test changes nothing in the tests after it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

import chroma
from chroma.errors import UnmatchedKeyError
from chroma.internal import chromadb_name

from ...support import as_chromadb


def test_nothing_is_left(tmp_path: Path) -> None:
    """A page of the guides lost all its records, and found that out much later."""
    with as_chromadb.undone():
        chroma.install_as_chromadb()
        importlib.import_module("chromadb.config")
    assert not chromadb_name.taken and "chromadb" not in sys.modules and "chromadb.config" not in sys.modules
    assert importlib.util.find_spec("chromadb") is None
    with chroma.PersistentClient(tmp_path / "db") as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=["a"], embeddings=[[1.0]], metadatas=[{"colour": "red"}])
        with pytest.raises(UnmatchedKeyError):
            things.delete(where={"color": {"$ne": "red"}})
        assert things.count() == 1
