"""Patches: new documents, uris and metadata of stored records, which keep their vectors.

Owns: the bytes of a patch, and the validation of decoded bytes. Logs and the values files of segments have
the same bytes. All functions are pure and access no files.

    count u32 | 0 u32 | for each record, what identifies it, int64 | JSON of an object: a list for each field

A list has an entry for each record: a text, null for no value, or false if the record keeps the value that it
has. A field that no record changes is absent.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import orjson

from ..interface.errors import Corruption
from ..validation.json_fields import LARGEST
from .record_columns import Ints

PATCHED_FIELDS = ("document", "uri", "metadata")
UNCHANGED: Literal[False] = False
Value: TypeAlias = "str | Literal[False] | None"
LEAST_BYTES = 11  # of a record in a patch: its number, an empty text and a comma
_HEAD = struct.Struct("<II")
_TYPES = frozenset({str, type(None), bool})


class Patch(NamedTuple):
    """New values of some records.

    at      int64 (n,), distinct: the positions of the records in a log; their rows in the file of a segment
    values  for each field that changes, a value for each record; UNCHANGED keeps the value that it has
    """

    at: Ints
    values: dict[str, list[Value]]

    def take(self, picked: Ints) -> Patch:
        """Return the patch of some of the records."""
        if len(picked) == len(self.at):
            return self
        numbers = picked.tolist()
        return Patch(
            self.at[picked],
            {field: [column[index] for index in numbers] for field, column in self.values.items()},
        )

    def nbytes(self) -> int:
        """Estimate the size in bytes."""
        return 8 * len(self.at) + sum(map(value_size, self.values.values()))

    def encode(self) -> bytes:
        return _HEAD.pack(len(self.at), 0) + self.at.tobytes() + orjson.dumps(self.values)


def value_size(column: Sequence[Value]) -> int:
    """Count the characters of new values."""
    return sum(len(value) for value in column if value)


def rows_of_damaged(data: Any, most: int) -> Ints | None:
    """Return which rows a damaged values file is about, as far as its bytes tell.

    None if they do not tell: the numbers are not there, or are not those of rows in ascending order.
    """
    if len(data) < _HEAD.size:
        return None
    count, zero = _HEAD.unpack_from(data)
    if not count or zero or _HEAD.size + 8 * count > len(data):
        return None
    rows = np.frombuffer(data, np.int64, count, _HEAD.size)
    return rows if rows[0] >= 0 and rows[-1] <= most and np.all(rows[1:] > rows[:-1]) else None


def decode_patch(path: str, data: Any, what: str, most: int = LARGEST) -> Patch:
    """Decode a patch in the file at `path`. Raises Corruption.

    what  names the bytes in messages
    most  the greatest number that identifies a record
    """
    try:
        count, _ = _HEAD.unpack_from(data)
        at = np.frombuffer(data, np.int64, count, _HEAD.size)
        values = orjson.loads(memoryview(data)[_HEAD.size + 8 * count :])
    except (ValueError, TypeError, struct.error) as error:
        raise Corruption(path, f"{what} cannot be read: {error}") from error
    if not count or int(at.min()) < 0 or int(at.max()) > most:
        raise Corruption(path, f"{what} has {count} records, or numbers that are not from 0 to {most}")
    if type(values) is not dict or not values or not set(PATCHED_FIELDS).issuperset(values):
        raise Corruption(path, f"{what} is not an object of lists of {', '.join(PATCHED_FIELDS)}")
    for field, column in values.items():
        if type(column) is not list or len(column) != count:
            raise Corruption(path, f"{what} of {count} records has other than as many of {field}")
        if not _TYPES.issuperset(map(type, column)) or any(value is True for value in column):
            raise Corruption(path, f"{what} has values of {field} that are no texts")
    ascends = np.all(at[1:] > at[:-1])  # as in files of segments, and usually in logs
    if not ascends and len(np.unique(at)) < count:
        raise Corruption(path, f"{what} has a record twice")
    return Patch(at, values)
