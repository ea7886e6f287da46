"""The list of a collection's live parts, swapped atomically.

Owns: `manifest.json`, its checksum and its copy. The manifest describes the collection as it was
when its log began; replaying that log, and the ones it leads on to, gives the present.

    {"format": 1, "checksum": xxh3 of the "state" text, "state": {...}}

The same bytes are kept in `manifest.copy`: it stands in for a missing manifest, and a damaged one can be
repaired from it.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import orjson
import xxhash

from .errors import Corruption, FormatTooNew, Missing
from .files import Folder

FORMAT = 1
NAME, COPY = "manifest.json", "manifest.copy"


class FileRef(NamedTuple):
    """An immutable file: its name, size in bytes and xxh3 checksum (hexadecimal)."""

    name: str
    bytes: int
    xxh3: str

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FileRef:
        return cls(data["name"], data["bytes"], data["xxh3"])


class GraphRef(NamedTuple):
    """The similarity index of a segment: a cache, valid for these build settings only."""

    file: FileRef
    max_neighbors: int
    ef_construction: int

    def to_json(self) -> dict[str, Any]:
        return self._asdict() | {"file": self.file._asdict()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GraphRef:
        return cls(FileRef.from_json(data["file"]), data["max_neighbors"], data["ef_construction"])


class SegmentRef(NamedTuple):
    """A segment: a folder of immutable files. `dead` lists deleted rows, `graph` indexes the vectors."""

    name: str
    rows: int
    dimension: int
    files: tuple[FileRef, ...]
    dead: FileRef | None = None
    dead_rows: int = 0
    graph: GraphRef | None = None

    def to_json(self) -> dict[str, Any]:
        return self._asdict() | {
            "files": [file._asdict() for file in self.files],
            "dead": self.dead and self.dead._asdict(),
            "graph": self.graph and self.graph.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SegmentRef:
        dead, graph = data.get("dead"), data.get("graph")
        return cls(
            data["name"],
            data["rows"],
            data["dimension"],
            tuple(FileRef.from_json(file) for file in data["files"]),
            FileRef.from_json(dead) if dead else None,
            data.get("dead_rows", 0),
            GraphRef.from_json(graph) if graph else None,
        )


class Manifest(NamedTuple):
    """`next_position`: the place the next new record gets. `log`: the first log to replay."""

    version: int
    log: str
    dimension: int | None = None
    next_position: int = 0
    segments: tuple[SegmentRef, ...] = ()

    def encode(self) -> bytes:
        return seal(self._asdict() | {"segments": [segment.to_json() for segment in self.segments]})

    @classmethod
    def load(cls, folder: Folder, name: str = NAME) -> Manifest:
        data = unseal(folder, name)
        return cls(
            data["version"],
            data["log"],
            data["dimension"],
            data["next_position"],
            tuple(SegmentRef.from_json(segment) for segment in data["segments"]),
        )

    def publish(self, folder: Folder) -> None:
        """Make this the collection's manifest, durably."""
        put_both(folder, NAME, COPY, self.encode())


def random_name() -> str:
    """Twelve hexadecimal digits for a new file or folder: unique without asking, for processes make them at
    the same time. Not from `secrets`, which loads what a database does not need."""
    return os.urandom(6).hex()


def put_both(folder: Folder, name: str, copy: str, data: bytes) -> None:
    """Replace the copy, then the file: who finds the copy alone has all it takes to go on."""
    folder.replace(copy, data)
    folder.replace(name, data)


def seal(state: dict[str, Any]) -> bytes:
    """Wrap a JSON state with the format version and a checksum."""
    text = orjson.dumps(state)
    check = xxhash.xxh3_64_hexdigest(text)
    return b'{"format":%d,"checksum":"%s","state":%s}\n' % (FORMAT, check.encode(), text)


def unseal(folder: Folder, name: str) -> dict[str, Any]:
    """Read what `seal` wrote. Raises Corruption or FormatTooNew."""
    path = f"{folder.path}/{name}"
    try:
        data = folder.read(name)
    except KeyError:  # of a folder in memory
        raise Missing(path, "the file is missing") from None
    try:
        outer = orjson.loads(data)
        version = outer["format"]
        if isinstance(version, int) and version > FORMAT:
            raise FormatTooNew(
                f"{path} has format {version}; this version reads formats up to {FORMAT}. "
                "Upgrade chroma-arrow."
            )
        check = outer["checksum"]
        state: dict[str, Any] = outer["state"]
        text = orjson.dumps(state)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Corruption(path, "it is not the JSON object it should be") from None
    if check != xxhash.xxh3_64_hexdigest(text):
        raise Corruption(path, "its content does not match its checksum")
    return state
