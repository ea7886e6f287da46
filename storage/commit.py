"""What one write changes, and its bytes in the log.

Owns: the payload of COMMIT and SEGMENT frames. Pure functions, no files.

    COMMIT   dimension u32 | kills u32 | positions of the kills, int64 each | Arrow record batch message
    SEGMENT  kills u32 | 0 u32 | positions of the kills | JSON of a SegmentRef

A commit says what happened, not what was asked: rows that appear, whole, and positions that die.
A row whose position is already taken replaces the older version of that record.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from .columns import Columns, Ints, schema
from .manifest import SegmentRef

_HEAD = struct.Struct("<II")
NO_KILLS: Ints = np.empty(0, np.int64)


class Commit(NamedTuple):
    """`kills` are positions whose record (or record version) dies; `rows` are born after that."""

    kills: Ints
    rows: Columns | None

    def encode(self) -> bytes:
        batch: bytes | memoryview[int] = b""
        dimension = 0
        if self.rows is not None:
            dimension = self.rows.vectors.shape[1]
            batch = memoryview(self.rows.to_batch().serialize())
        return b"".join((_HEAD.pack(dimension, len(self.kills)), self.kills.tobytes(), batch))


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
