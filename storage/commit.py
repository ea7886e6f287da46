"""What one write changes, and its bytes in the log.

Owns: the payload of ROWS, COMMIT and SEGMENT frames. Pure functions, no files.

    ROWS     dimension u32 | kills u32 | rows u32 | 0 u32 | positions of the kills, int64 each
             | positions of the rows, int64 each | vectors, float32 each | JSON of four lists: ids, documents,
             uris, metadata
    COMMIT   dimension u32 | kills u32 | positions of the kills, int64 each | Arrow record batch message
    SEGMENT  kills u32 | 0 u32 | positions of the kills | JSON of a SegmentRef

A commit says what happened, not what was asked: rows that appear, whole, and positions that die.
A row whose position is already taken replaces the older version of that record.

COMMIT is only read: logs of version 1 have it. An Arrow message of one row takes 80 µs to make, a third of
what an add took besides waiting for the disk; ROWS takes 3.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import orjson

from .columns import Columns, Ints, schema
from .late import pa
from .manifest import SegmentRef

_HEAD = struct.Struct("<II")
_ROWS = struct.Struct("<IIII")
NO_KILLS: Ints = np.empty(0, np.int64)


class Commit(NamedTuple):
    """`kills` are positions whose record (or record version) dies; `rows` are born after that."""

    kills: Ints
    rows: Columns | None

    def encode(self) -> bytes:
        """The payload of a ROWS frame."""
        kills, rows = self.kills, self.rows
        if rows is None:
            return _ROWS.pack(0, len(kills), 0, 0) + kills.tobytes()
        head = _ROWS.pack(rows.vectors.shape[1], len(kills), len(rows), 0)
        numbers = kills.tobytes(), rows.positions.tobytes(), rows.vectors.tobytes()
        return b"".join((head, *numbers, orjson.dumps(rows.texts())))


def decode_rows(payload: bytes) -> Commit:
    dimension, count, rows, _ = _ROWS.unpack_from(payload)
    at = _ROWS.size
    kills = np.frombuffer(payload, np.int64, count, at)
    at += 8 * count
    if not rows:
        return Commit(kills, None)
    positions = np.frombuffer(payload, np.int64, rows, at)
    at += 8 * rows
    vectors = np.frombuffer(payload, np.float32, rows * dimension, at).reshape(rows, dimension)
    at += 4 * rows * dimension
    ids, documents, uris, metadata = orjson.loads(memoryview(payload)[at:])
    return Commit(kills, Columns(positions, ids, documents, uris, metadata, vectors))


def decode_commit(payload: bytes) -> Commit:
    dimension, count = _HEAD.unpack_from(payload)
    start = _HEAD.size + 8 * count
    kills = np.frombuffer(payload, np.int64, count, _HEAD.size)
    if not dimension:
        return Commit(kills, None)
    batch = pa.ipc.read_record_batch(pa.py_buffer(payload).slice(start), schema(dimension))
    return Commit(kills, Columns.from_batch(batch))


def encode_segment(kills: Ints, ref: SegmentRef) -> bytes:
    return b"".join((_HEAD.pack(len(kills), 0), kills.tobytes(), orjson.dumps(ref.to_json())))


def decode_segment(payload: bytes) -> tuple[Ints, SegmentRef]:
    count, _ = _HEAD.unpack_from(payload)
    start = _HEAD.size + 8 * count
    kills = np.frombuffer(payload, np.int64, count, _HEAD.size)
    return kills, SegmentRef.from_json(orjson.loads(payload[start:]))
