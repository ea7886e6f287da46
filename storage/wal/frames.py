"""The changes that one write makes, and their encoding in the log.

Owns: the payload of ROWS, COMMIT, SEGMENT and PATCH frames, and the validation of decoded payloads. All
functions are pure and access no files.

    ROWS     dimension u32 | deletes u32 | rows u32 | 0 u32 | positions of the deletes, int64 each
             | positions of the rows, int64 each | vectors, float32 each | JSON of four lists: ids, documents,
             uris, metadata
    COMMIT   dimension u32 | deletes u32 | positions of the deletes, int64 each | Arrow record batch message
    SEGMENT  deletes u32 | 0 u32 | positions of the deletes | JSON of a SegmentRef
    PATCH    kind u32 | bytes of the patch u32 | the patch, see schema/patches.py | the payload of a frame of
             this kind, ROWS or SEGMENT; nothing if the kind is 0

A commit contains the effect of a request, not the request itself: whole rows to add, and positions to delete.
A row with the position of an older row is a new version of that record. A patch changes values of a record
whose row stays where it is, with its vector. Its other values may be those of an earlier patch.

COMMIT frames are only read, from logs of version 1. They are no longer written, because encoding one row as
an Arrow message takes 80 µs. That was a third of the time of an add, apart from the wait for the disk.
Encoding the row as ROWS takes 3 µs.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import orjson

from ..arrow.lazy_pyarrow import pa
from ..interface.errors import Corruption
from ..manifest import SegmentRef
from ..schema.patches import Patch, decode_patch
from ..schema.record_columns import TEXT_FIELDS, Columns, Ints, schema
from ..validation.json_fields import LARGEST, parsed
from . import log as logs

_HEAD = struct.Struct("<II")
_ROWS = struct.Struct("<IIII")
NO_DELETES: Ints = np.empty(0, np.int64)
_NOT_READABLE = ValueError, TypeError, LookupError, OverflowError, struct.error
_TEXT, _TEXT_OR_NONE = frozenset({str}), frozenset({str, type(None)})


class Commit(NamedTuple):
    """The changes of one write.

    deletes  positions whose current row is deleted
    rows     rows to add after the deletions
    """

    deletes: Ints
    rows: Columns | None

    def encode(self) -> bytes:
        """Encode the payload of a ROWS frame."""
        deletes, rows = self.deletes, self.rows
        if rows is None:
            return _ROWS.pack(0, len(deletes), 0, 0) + deletes.tobytes()
        head = _ROWS.pack(rows.vectors.shape[1], len(deletes), len(rows), 0)
        numbers = deletes.tobytes(), rows.positions.tobytes(), rows.vectors.tobytes()
        return b"".join((head, *numbers, orjson.dumps(rows.texts())))


def decode_rows(path: str, payload: bytes) -> Commit:
    """Decode the payload of a ROWS frame in the log at `path`. Raises Corruption."""
    try:
        dimension, count, rows, _ = _ROWS.unpack_from(payload)
        at = _ROWS.size
        deletes = np.frombuffer(payload, np.int64, count, at)
        at += 8 * count
        if not rows:
            return Commit(deletes, None)
        positions = np.frombuffer(payload, np.int64, rows, at)
        at += 8 * rows
        vectors = np.frombuffer(payload, np.float32, rows * dimension, at).reshape(rows, dimension)
        at += 4 * rows * dimension
        ids, documents, uris, metadata = orjson.loads(memoryview(payload)[at:])
    except _NOT_READABLE as error:
        raise Corruption(path, f"a frame of rows cannot be read: {error}") from error
    columns = Columns(
        positions=positions, ids=ids, documents=documents, uris=uris, metadata=metadata, vectors=vectors
    )
    _check(path, columns)
    return Commit(deletes, columns)


def decode_commit(path: str, payload: bytes) -> Commit:
    """Decode the payload of a COMMIT frame in the log at `path`. Raises Corruption."""
    try:
        dimension, count = _HEAD.unpack_from(payload)
        start = _HEAD.size + 8 * count
        deletes = np.frombuffer(payload, np.int64, count, _HEAD.size)
        if not dimension:
            return Commit(deletes, None)
        if dimension > len(payload) // 4:
            raise ValueError(f"there is no room for {dimension} numbers in it")
        message = pa.ipc.read_message(pa.py_buffer(payload).slice(start))
        batch = pa.ipc.read_record_batch(message, schema(dimension))
        batch.validate(full=True)  # before any code outside Arrow reads it
        if not batch.num_rows or batch.column(0).null_count or batch.column(5).null_count:
            raise ValueError("it has no rows, or some without a position or a vector")
        columns = Columns.from_batch(batch)
    except (*_NOT_READABLE, pa.ArrowException, MemoryError, OSError, EOFError) as error:
        raise Corruption(path, f"a frame of rows cannot be read: {error}") from error
    _check(path, columns)
    return Commit(deletes, columns)


def _check(path: str, columns: Columns) -> None:
    """Raise Corruption unless each row has every field with the right type."""
    rows = len(columns.positions)
    if rows == 1 and columns.vectors.shape[1] and _is_one(columns):
        return
    if not columns.vectors.shape[1]:
        raise Corruption(path, "a frame of rows has vectors of no dimension")
    for field, texts in zip(TEXT_FIELDS, columns.texts()):
        if type(texts) is not list or len(texts) != rows:
            raise Corruption(path, f"a frame of {rows} rows has other than as many of {field}")
        if not (_TEXT if field == "id" else _TEXT_OR_NONE).issuperset(map(type, texts)):
            raise Corruption(path, f"a frame of rows has values of {field} that are no texts")
    least, most = int(columns.positions.min()), int(columns.positions.max())
    if least < 0 or most > LARGEST:
        raise Corruption(path, f"a frame of rows has positions from {least} to {most}")


def _is_one(columns: Columns) -> bool:
    """Whether the frame has one valid row. Nearly all frames do, and this check is faster than `_check`."""
    for texts in (columns.documents, columns.uris, columns.metadata):
        if type(texts) is not list or len(texts) != 1 or not (texts[0] is None or type(texts[0]) is str):
            return False
    ids = columns.ids
    right = type(ids) is list and len(ids) == 1 and type(ids[0]) is str
    return right and 0 <= columns.positions.item() <= LARGEST


def encode_segment(deletes: Ints, ref: SegmentRef) -> bytes:
    return b"".join((_HEAD.pack(len(deletes), 0), deletes.tobytes(), orjson.dumps(ref.to_json())))


def decode_segment(path: str, payload: bytes) -> tuple[Ints, SegmentRef]:
    """Decode the payload of a SEGMENT frame in the log at `path`. Raises Corruption."""
    try:
        count, _ = _HEAD.unpack_from(payload)
        start = _HEAD.size + 8 * count
        deletes = np.frombuffer(payload, np.int64, count, _HEAD.size)
    except _NOT_READABLE as error:
        raise Corruption(path, f"the frame of a segment cannot be read: {error}") from error
    return deletes, SegmentRef.read(parsed(path, payload[start:], "the frame of a segment:"))


class Patched(NamedTuple):
    """A patch, and the frame of other changes that the same write makes: its kind (0: none) and payload."""

    patch: Patch
    kind: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """Encode the payload of a PATCH frame."""
        data = self.patch.encode()
        return b"".join((_HEAD.pack(self.kind, len(data)), data, self.payload))


def decode_patched(path: str, payload: bytes) -> Patched:
    """Decode the payload of a PATCH frame in the log at `path`. Raises Corruption."""
    what = "a frame of new values"
    try:
        kind, size = _HEAD.unpack_from(payload)
    except struct.error as error:
        raise Corruption(path, f"{what} cannot be read: {error}") from error
    end = _HEAD.size + size
    rest = payload[end:]
    if end > len(payload) or kind not in (0, logs.ROWS, logs.SEGMENT) or bool(kind) != bool(rest):
        raise Corruption(path, f"{what} has a part of the kind {kind} with {len(rest)} bytes")
    return Patched(decode_patch(path, payload[_HEAD.size : end], what), kind, rest)


def named_segment(path: str, kind: int, payload: bytes) -> SegmentRef | None:
    """Return the segment that a frame of this kind names, if it names one. Raises Corruption."""
    if kind == logs.PATCH:
        _, kind, payload = decode_patched(path, payload)
    return decode_segment(path, payload)[1] if kind == logs.SEGMENT else None
