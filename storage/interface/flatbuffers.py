"""Read FlatBuffers tables, the format of Arrow's message headers and file footers.

Owns: finding the fields of a table (https://flatbuffers.dev/internals), through the offsets in its vtable.
All offsets are checked: an offset outside the bytes raises one of NOT_READABLE. No library is used, because
importing Arrow would take longer than opening a database.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

NOT_READABLE = struct.error, LookupError


class Table(NamedTuple):
    """A table at offset `at` in the bytes."""

    data: memoryview
    at: int

    def slot(self, number: int) -> int:
        """Return the offset of a field, or 0 if it has its default value."""
        (back,) = struct.unpack_from("<i", self.data, self.at)
        start = self.at - back
        if start < 0:  # Python would interpret it relative to the end
            raise IndexError("a table begins before the bytes")
        (size,) = struct.unpack_from("<H", self.data, start)
        entry = 4 + 2 * number
        if entry >= size:
            return 0
        (offset,) = struct.unpack_from("<H", self.data, start + entry)
        return self.at + offset if offset else 0

    def number(self, form: str, number: int) -> int:
        """Read a number with the `struct` format `form`. Returns 0 if the field has its default value."""
        at = self.slot(number)
        return int(struct.unpack_from(form, self.data, at)[0]) if at else 0

    def table(self, number: int) -> Table | None:
        """Return the table to which a field points, or None if the field is absent."""
        at = self.slot(number)
        return table_at(self.data, at) if at else None

    def required(self, number: int) -> Table:
        """Return the table to which a field points. Raises LookupError if the field is absent."""
        found = self.table(number)
        if found is None:
            raise LookupError(f"a table has no field {number}")
        return found

    def vector(self, number: int) -> tuple[int, int]:
        """Return the offset of a vector's elements, and their number as stated in the file."""
        at = self.slot(number)
        if not at:
            return 0, 0
        start = table_at(self.data, at).at
        return start + 4, struct.unpack_from("<I", self.data, start)[0]

    def pairs(self, number: int) -> list[tuple[int, int]]:
        """Read a vector of structs of two int64 each."""
        start, count = self.vector(number)
        if start + 16 * count > len(self.data):
            raise IndexError("a vector goes on behind the bytes")
        return [*struct.iter_unpack("<qq", self.data[start : start + 16 * count])]


def table_at(data: memoryview, at: int) -> Table:
    """Return the table to which the offset stored at `at` points."""
    return Table(data, at + struct.unpack_from("<I", data, at)[0])
