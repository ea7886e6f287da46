"""Folders as an enemy makes them: whatever is changed in them, the checksums are right.

Owns: small databases to begin with; the sealed JSON, logs and files of segments of a folder, taken apart and
put together again with right checksums.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import xxhash

import chroma

ROOT = Path(__file__).resolve().parents[2]
_FRAME = struct.Struct("<4sHHIIQ")
_START = 64


def records(start: int, stop: int, dimension: int = 8) -> dict[str, Any]:
    random = np.random.default_rng(start)
    return {
        "ids": [f"r{i}" for i in range(start, stop)],
        "embeddings": random.standard_normal((stop - start, dimension)).astype(np.float32),
        "metadatas": [
            {"n": i % 5, "s": str(i % 3), "f": i / 4, f"rare{i % 40}": True} for i in range(start, stop)
        ],
        "documents": [f"text number {i}" if i % 4 else None for i in range(start, stop)],
        "uris": [f"file:{i}" if i % 2 else None for i in range(start, stop)],
    }


def make(folder: Path) -> None:
    """A database with all kinds of files, but for a graph (see `make_graph`)."""
    with chroma.PersistentClient(folder) as client:
        whole = client.create_collection("whole", embedding_function=None, metadata={"of": "test"})
        whole.add(**records(0, 60))
        whole.add(**records(100, 101))
        whole.delete(ids=["r3", "r4"])
        whole.compact()
        whole.delete(ids=["r5"])  # tombstones, when it is settled next
        whole._backend.engine.collection(
            "default_tenant", "default_database", str(whole.id)
        )._compact_in_background()
        whole.add(**records(200, 210))
        whole.update(ids=["r7"], metadatas=[{"n": 99, "list": ["a", "b"]}])
        tail = client.create_collection(
            "tail", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        tail.add(**records(0, 5))
        tail.delete(ids=["r2"])
        client.create_collection("empty", embedding_function=None)


def make_graph(folder: Path) -> None:
    """A database with a graph, and with an index over the documents."""
    from chroma.storage.collection import index_builds
    from chroma.storage.filters import document_index

    before = index_builds.INDEX_BYTES, document_index.LEAST_BYTES
    index_builds.INDEX_BYTES = document_index.LEAST_BYTES = 0
    try:
        with chroma.PersistentClient(folder) as client:
            whole = client.create_collection(
                "whole", embedding_function=None, configuration={"hnsw": {"max_neighbors": 3}}
            )
            whole.add(**records(0, 150))
            whole.compact()
    finally:
        index_builds.INDEX_BYTES, document_index.LEAST_BYTES = before


def seal(path: Path, state: Any) -> None:
    """Write a manifest or a catalog, and its copy."""
    text = orjson.dumps(state)
    data = b'{"format":1,"checksum":"%s","state":%s}\n' % (xxhash.xxh3_64_hexdigest(text).encode(), text)
    path.write_bytes(data)
    path.with_suffix(".copy").write_bytes(data)


def sealed(path: Path) -> Any:
    """The state in a manifest or a catalog."""
    return json.loads(path.read_bytes())["state"]


def frames(path: Path) -> list[tuple[int, bytes]]:
    """Kind and payload of each frame of a log."""
    data, at, found = path.read_bytes(), _START, []
    while data[at : at + 4] == b"FRM1":
        _, kind, _, length, _, _ = _FRAME.unpack_from(data, at)
        found.append((kind, data[at + 32 : at + 32 + length]))
        at = (at + 32 + length + 7) & ~7
    return found


def write_log(
    path: Path, found: list[tuple[int, bytes]], first: int | None = None, version: int | None = None
) -> None:
    """A log with these frames, in place of another one."""
    head = bytearray(path.read_bytes()[:_START])
    if first is not None:
        struct.pack_into("<Q", head, 24, first)
    if version is not None:
        struct.pack_into("<I", head, 8, version)
    struct.pack_into("<Q", head, 32, xxhash.xxh3_64_intdigest(bytes(head[:32])))
    salt, sequence = struct.unpack_from("<QQ", head, 16)
    out = b""
    for kind, payload in found:
        front = _FRAME.pack(b"FRM1", kind, 0, len(payload), 0, sequence % (1 << 64))
        digest = xxhash.xxh3_64(front, seed=salt)
        digest.update(payload)
        frame = front + struct.pack("<Q", digest.intdigest()) + payload
        out += frame + bytes(-len(frame) % 8)
        sequence += 1
    end = _START + len(out)
    struct.pack_into("<QQ", head, 40, end, end ^ ((1 << 64) - 1))
    path.write_bytes(bytes(head) + out + bytes(4096))


def references(state: Any) -> Iterator[dict[str, Any]]:
    """Every reference to a file in a manifest, or in a segment of one."""
    if isinstance(state, dict):
        if "xxh3" in state:
            yield state
        for value in state.values():
            yield from references(value)
    elif isinstance(state, list):
        for value in state:
            yield from references(value)


def refresh(home: Path) -> None:
    """Make sizes and checksums of a collection's segments right again, wherever they stand."""
    for manifest in home.glob("manifest.json"):
        state = sealed(manifest)
        for ref in state["segments"]:
            _refreshed(home, ref)
        seal(manifest, state)
    for log in home.glob("log-*.wal"):
        found, changed = [], False
        for kind, payload in frames(log):
            if kind == 2:
                start = 8 + 8 * struct.unpack_from("<I", payload)[0]
                ref = json.loads(payload[start:])
                _refreshed(home, ref)
                payload, changed = payload[:start] + orjson.dumps(ref), True
            found.append((kind, payload))
        if changed:
            write_log(log, found)


def _refreshed(home: Path, ref: dict[str, Any]) -> None:
    for file in references(ref):
        path = home / ref["name"] / file["name"]
        if path.is_file():
            data = path.read_bytes()
            file["bytes"], file["xxh3"] = len(data), xxhash.xxh3_64_hexdigest(data)


def homes(folder: Path) -> list[Path]:
    """The folders of collections that have records."""
    return sorted(path.parent for path in folder.glob("collections/*/manifest.json"))


def named(folder: Path, name: str) -> Path:
    """The folder of a collection by its name, as the catalog's log tells."""
    for log in sorted(folder.glob("catalog-*.wal")):
        for kind, payload in frames(log):
            change = json.loads(payload) if kind == 4 else {}
            if change.get("collection", {}).get("name") == name:
                return folder / "collections" / change["collection"]["id"]
    raise LookupError(name)


def copied(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    return target


def contents(folder: Path) -> dict[str, Any]:
    """What is in a folder that nobody must change: names, modes, bytes."""
    found: dict[str, Any] = {}
    for top, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(top, name)
            state = path.lstat()
            data = path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(folder))] = (state.st_mode, state.st_nlink, data)
    return found
