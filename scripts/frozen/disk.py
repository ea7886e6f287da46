"""The names, sizes and digests of the files of exports, and of a database written with fixed ids.

Ids and the random parts of names come from `os.urandom`, which is replaced by a counter. The clock on which
background work waits is stopped, so that only requested work runs. Vectors are small whole numbers, so that
all processors round alike. Every file is therefore the same in every run with the same pyarrow.

Only the names of graphs (`*.hnsw`) are recorded: graphs are caches, and the rounding of their reduced vectors
depends on the processor. A manifest contains the checksum of its graph, so its digest is omitted too if it
has a graph. Lock files are empty and are listed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import chroma


def frozen() -> dict[str, Any]:
    """Return the sizes and digests by relative name, at each stage, as JSON data."""
    stages: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, _counted():
        home = Path(folder)
        with chroma.PersistentClient(home / "db") as client:
            _first(client)
        stages["in logs"] = _digests(home / "db")
        with chroma.PersistentClient(home / "db") as client:
            _large(client)
            client.compact()
        stages["compacted"] = _digests(home / "db")
        with chroma.PersistentClient(home / "db") as client:
            _changed(client)
        stages["changed"] = _digests(home / "db")
        with chroma.PersistentClient(home / "db") as client:
            client.compact()
            for name in ("large.parquet", "large.arrow", "large.jsonl"):
                client.get_collection("large", embedding_function=None).export(home / "out" / name)
        stages["compacted again"] = _digests(home / "db")
        stages["exports"] = _digests(home / "out")
        with chroma.PersistentClient(home / "graph") as client:
            _graph(client)
        stages["graph"] = _digests(home / "graph")
    return {"disk": stages}


@contextmanager
def _counted() -> Iterator[None]:
    """Make `os.urandom` return digests of 0, 1, 2, …, and stop `time.monotonic`."""
    numbers = itertools.count()

    def counted(size: int) -> bytes:
        return hashlib.shake_128(str(next(numbers)).encode()).digest(size)

    with mock.patch.object(os, "urandom", counted), mock.patch.object(time, "monotonic", lambda: 1000.0):
        yield


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): _digest(file) for file in files}


def _digest(file: Path) -> str:
    content = file.read_bytes()
    if file.suffix == ".hnsw" or (file.name.startswith("manifest.") and b".hnsw" in content):
        return "…"
    return f"{len(content)} {hashlib.sha256(content).hexdigest()}"


def _vectors(start: int, count: int) -> Any:
    """Return vectors whose row i is (i mod 101, i mod 7, -(i mod 13), 1)."""
    i = np.arange(start, start + count, dtype=np.float32)
    return np.stack([i % 101, i % 7, -(i % 13), np.ones_like(i)], axis=1)


def _first(client: Any) -> None:
    """Write every type of value, a second database, and a collection that is deleted again."""
    settings = client.get_settings()
    with chroma.AdminClient(settings) as admin:
        admin.create_tenant("acme")
        admin.create_database("archive", "acme")
    made = client.create_collection(
        "types", embedding_function=None, metadata={"purpose": "every type", "n": 7, "half": 0.5, "yes": True}
    )
    metadatas: list[Any] = [
        {"v": 2},
        {"v": 2.5},
        {"v": True},
        {"v": "2", "max": 2**63 - 1, "min": -(2**63)},
        {"v": ["a", "", "ß"]},
        {"v": [1, 2, 3]},
        {"v": [1.0, 2.5]},
        {"v": [True, False]},
        {"κλειδί": "τιμή", "a.b c": "dots and spaces"},
        None,
    ]
    made.add(
        ids=[f"t{i}" for i in range(10)],
        embeddings=_vectors(0, 10),
        metadatas=metadatas,
        documents=["plain", "", None, "line one\nline two", "日本語", *["x" * i for i in range(5)]],
        uris=[None, "file:///a", *[None] * 8],
    )
    made.update(ids=["t1"], metadatas=[{"v": None, "updated": True}], embeddings=[[1, 2, 3, 4]])
    made.upsert(ids=["t2", "new"], embeddings=_vectors(20, 2), documents=["again", "new"])
    made.delete(ids=["t4"])
    client.create_collection("gone", embedding_function=None)
    client.delete_collection("gone")
    made.modify(name="kinds", metadata={"purpose": "renamed"})


def _large(client: Any) -> None:
    """Write enough records for segments and a graph."""
    made = client.create_collection(
        "large",
        embedding_function=None,
        configuration={"hnsw": {"space": "l2", "max_neighbors": 8, "num_threads": 1}},
    )
    for start in (0, 3000):
        made.add(
            ids=[f"r{i}" for i in range(start, start + 3000)],
            embeddings=_vectors(start, 3000),
            documents=[f"document {i}" for i in range(start, start + 3000)],
            metadatas=[{"n": i, "parity": "odd" if i % 2 else "even"} for i in range(start, start + 3000)],
        )


def _changed(client: Any) -> None:
    """Delete, change and add records after a compaction; create a fork."""
    made = client.get_collection("large", embedding_function=None)
    made.fork("fork")
    made.delete(ids=["r3", "r11", "r4000"])
    made.update(ids=["r5"], metadatas=[{"n": None, "rare": [1, 2]}])
    made.add(ids=["s0", "s1"], embeddings=_vectors(7000, 2), metadatas=[{"late": 2.5}, None])


def _graph(client: Any) -> None:
    """Write the smallest number of rows that gets a graph."""
    made = client.create_collection(
        "graph",
        embedding_function=None,
        configuration={"hnsw": {"space": "l2", "max_neighbors": 4, "ef_construction": 8, "num_threads": 1}},
    )
    rows, dimension = 6200, 512
    vectors = np.arange(rows * dimension, dtype=np.int64).reshape(rows, dimension) * 7919 % 101
    made.add(ids=[f"g{i}" for i in range(rows)], embeddings=vectors.astype(np.float32))
    made.compact()
