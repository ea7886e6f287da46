"""The manifest lists a collection's current segments and its first log. It is replaced atomically.

Owns: `manifest.json`, its checksum and its copy. The manifest describes the collection as it was when its log
began. Replaying that log and the logs that follow it gives the current state.

    {"format": 1, "checksum": xxh3 of the "state" text, "state": {...}}

`manifest.copy` has the same bytes. It is used if the manifest is missing, and serves to repair a damaged one.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import orjson
import xxhash

from .interface.errors import Corruption, FormatTooNew, Missing
from .io.disk import Folder
from .validation import file_names
from .validation.json_fields import Fields

FORMAT = 3
NAME, COPY = "manifest.json", "manifest.copy"
MOST_ROWS, MOST_DIMENSION = (1 << 32) - 1, (1 << 31) - 1  # per segment: row numbers are uint32
MOST_NEIGHBORS = 10_000  # the limit of hnswlib
# The minimum number of bytes that a row takes in files that every segment has.
_ROW_BYTES = {"records.arrow": 8, "ids.arrow": 12}


class FileRef(NamedTuple):
    """An immutable file: its name, size in bytes and xxh3 checksum (hexadecimal)."""

    name: str
    bytes: int
    xxh3: str

    @classmethod
    def read(cls, data: Fields, kind: file_names.Kind) -> FileRef:
        size = data.number("bytes")
        if not size and data.text("xxh3") == "":  # a graph of a database in memory has no file
            return cls(data.name("name", kind), 0, "")
        return cls(data.name("name", kind), size, data.name("xxh3", file_names.DIGEST))


class GraphRef(NamedTuple):
    """The similarity index of a segment: a cache, valid for these build settings only."""

    file: FileRef
    max_neighbors: int
    ef_construction: int

    def to_json(self) -> dict[str, Any]:
        return self._asdict() | {"file": self.file._asdict()}

    @classmethod
    def read(cls, data: Fields) -> GraphRef:
        file = FileRef.read(data.fields("file"), file_names.GRAPH)
        most = (1 << 31) - 1
        return cls(
            file, data.number("max_neighbors", 1, MOST_NEIGHBORS), data.number("ef_construction", 1, most)
        )


class IndexRef(NamedTuple):
    """An index of a segment other than its graph: a cache, valid for these settings only.

    kind      what it is, for example ngrams
    key       what it indexes: a metadata key, or #document
    settings  how it was built, as text that only its kind understands
    """

    kind: str
    key: str
    settings: str
    file: FileRef

    def to_json(self) -> dict[str, Any]:
        return self._asdict() | {"file": self.file._asdict()}

    @classmethod
    def read(cls, data: Fields) -> IndexRef:
        file = FileRef.read(data.fields("file"), file_names.INDEX)
        if not file.bytes:
            raise data.wrong("file", "has no bytes")
        return cls(data.text("kind"), data.text("key"), data.text("settings"), file)


class SegmentRef(NamedTuple):
    """A segment: a folder of immutable files.

    tombstones  marks deleted rows
    values      has new values of some rows, which take the place of those in `files`
    graph       indexes the vectors
    indexes     index other columns; at most one for each kind and key
    """

    name: str
    rows: int
    dimension: int
    files: tuple[FileRef, ...]
    tombstones: FileRef | None = None
    deleted_rows: int = 0
    graph: GraphRef | None = None
    indexes: tuple[IndexRef, ...] = ()
    values: FileRef | None = None

    def all_files(self) -> list[FileRef]:
        """Return the files of the records, the tombstones, new values, the graph and the other indexes."""
        return [
            *self.files,
            *([self.tombstones] if self.tombstones else []),
            *([self.values] if self.values else []),
            *([self.graph.file] if self.graph else []),
            *(index.file for index in self.indexes),
        ]

    @property
    def content(self) -> str:
        """Identifies the texts and metadata in `files`: the checksum of the file that has them."""
        return next(file.xxh3 for file in self.files if file_names.role(file.name) == "records.arrow")

    def index_of(self, kind: str, key: str) -> IndexRef | None:
        """Return the reference to the index of this kind and key, if there is one."""
        return next((each for each in self.indexes if (each.kind, each.key) == (kind, key)), None)

    def with_index(self, kind: str, key: str, index: IndexRef | None) -> SegmentRef:
        """Return the reference with another index of this kind and key, or without one."""
        others = [each for each in self.indexes if (each.kind, each.key) != (kind, key)]
        return self._replace(indexes=(*others, *([] if index is None else [index])))

    def to_json(self) -> dict[str, Any]:
        fields = {
            "name": self.name,
            "rows": self.rows,
            "dimension": self.dimension,
            "files": [file._asdict() for file in self.files],
            "dead": self.tombstones and self.tombstones._asdict(),
            "dead_rows": self.deleted_rows,
            "graph": self.graph and self.graph.to_json(),
        }
        if self.indexes:
            fields["indexes"] = [each.to_json() for each in self.indexes]
        if self.values:
            fields["values"] = self.values._asdict()
        return fields

    @classmethod
    def read(cls, data: Fields) -> SegmentRef:
        """Read the fields that `to_json` wrote.

        Raises an error unless the segment has all the files that it needs, and these are large enough for its
        rows.
        """
        tombstones, graph = data.maybe_fields("dead"), data.maybe_fields("graph")
        values = data.maybe_fields("values")
        rows = data.number("rows", 1, MOST_ROWS)
        ref = cls(
            name=data.name("name", file_names.SEGMENT),
            rows=rows,
            dimension=data.number("dimension", 1, MOST_DIMENSION),
            files=tuple(FileRef.read(file, file_names.SEGMENT_FILE) for file in data.each("files")),
            tombstones=None if tombstones is None else FileRef.read(tombstones, file_names.TOMBSTONES),
            deleted_rows=data.number("dead_rows", 0, rows, default=0),
            graph=None if graph is None else GraphRef.read(graph),
            indexes=tuple(map(IndexRef.read, data.each("indexes", default=()))),
            values=None if values is None else FileRef.read(values, file_names.VALUES),
        )
        if len({(each.kind, each.key) for each in ref.indexes}) < len(ref.indexes):
            raise data.wrong("indexes", "has two of one kind and key")
        if len({each.file.name for each in ref.indexes}) < len(ref.indexes):
            raise data.wrong("indexes", "has a file twice")
        sizes = {file_names.role(file.name): file.bytes for file in ref.files}
        if len(sizes) < len(ref.files):
            raise data.wrong("files", "has a file twice")
        for name, least in {"vectors.arrow": 4 * ref.dimension, **_ROW_BYTES}.items():
            if name not in sizes:
                raise data.wrong("files", f"has no {name}")
            if sizes[name] < least * rows:
                raise data.wrong("files", f"has {sizes[name]} bytes of {name}, too few for {rows} rows")
        if ref.tombstones is not None and ref.tombstones.bytes != (rows + 7) // 8:
            raise data.wrong(
                "dead", f"has {ref.tombstones.bytes} bytes, which is not a bit for each of {rows} rows"
            )
        if ref.tombstones is None and ref.deleted_rows:
            raise data.wrong("dead_rows", f"is {ref.deleted_rows} without a file that says which")
        return ref


class Manifest(NamedTuple):
    """The state of a collection when its log began.

    log            the first log to replay
    next_position  the position of the next new record
    """

    version: int
    log: str
    dimension: int | None = None
    next_position: int = 0
    segments: tuple[SegmentRef, ...] = ()

    def encode(self) -> bytes:
        return wrap_state(self._asdict() | {"segments": [segment.to_json() for segment in self.segments]})

    @classmethod
    def load(cls, folder: Folder, name: str = NAME) -> Manifest:
        data = Fields(f"{folder.path}/{name}", unwrap_state(folder, name))
        read = cls(
            data.number("version"),
            data.name("log", file_names.LOG),
            data.maybe_number("dimension", 1, MOST_DIMENSION),
            data.number("next_position"),
            tuple(SegmentRef.read(segment) for segment in data.each("segments")),
        )
        if len({ref.name for ref in read.segments}) < len(read.segments):
            raise data.wrong("segments", "has a segment twice")
        for ref in read.segments:
            if ref.dimension != read.dimension:
                raise data.wrong("dimension", f"is {read.dimension}, but that of {ref.name} {ref.dimension}")
        return read

    def publish(self, folder: Folder) -> None:
        """Make this the collection's manifest, durably."""
        put_both(folder, NAME, COPY, self.encode())


def random_name() -> str:
    """Return twelve random hexadecimal digits, to name a new file or folder.

    The name is random because several processes may create files at the same time. `secrets` is not used,
    because it imports modules that a database does not need.
    """
    return os.urandom(6).hex()


def put_both(folder: Folder, name: str, copy: str, data: bytes) -> None:
    """Replace the copy, then the file. If only the copy was written, it suffices to continue."""
    folder.replace(copy, data)
    folder.replace(name, data)


def wrap_state(state: dict[str, Any]) -> bytes:
    """Encode a state as JSON, with the format version and a checksum."""
    text = orjson.dumps(state)
    check = xxhash.xxh3_64_hexdigest(text)
    return b'{"format":%d,"checksum":"%s","state":%s}\n' % (FORMAT, check.encode(), text)


def unwrap_state(folder: Folder, name: str) -> dict[str, Any]:
    """Read a state that `wrap_state` wrote. Raises Corruption or FormatTooNew."""
    path = f"{folder.path}/{name}"
    try:
        data = folder.read(name)
    except KeyError:  # raised by a folder in memory
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
    if type(version) is not int or type(state) is not dict:
        raise Corruption(path, "its format is not a number, or its state not an object")
    if check != xxhash.xxh3_64_hexdigest(text):
        raise Corruption(path, "its content does not match its checksum")
    return state
