"""Reading FlatBuffers tables, as the heads of Arrow messages and the footers of Arrow files are.

Owns: the way from a table to its fields (https://flatbuffers.dev/internals). Fields are found through
offsets in a table's vtable. Nothing is taken on trust: what leads nowhere raises one of NOT_READABLE. No
library is loaded for it, because a database is open before Arrow would be imported.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

NOT_READABLE = struct.error, LookupError


class Table(NamedTuple):
    """A table at a place in the bytes."""

    data: memoryview
    at: int

    def slot(self, number: int) -> int:
        """Where a field is; 0 where it has its default."""
        (back,) = struct.unpack_from("<i", self.data, self.at)
        start = self.at - back
        if start < 0:  # Python would count from the end
            raise IndexError("a table begins before the bytes")
        (size,) = struct.unpack_from("<H", self.data, start)
        entry = 4 + 2 * number
        if entry >= size:
            return 0
        (offset,) = struct.unpack_from("<H", self.data, start + entry)
        return self.at + offset if offset else 0

    def number(self, form: str, number: int) -> int:
        """A number in the form that `struct` has for it; 0 where it has its default."""
        at = self.slot(number)
        return int(struct.unpack_from(form, self.data, at)[0]) if at else 0

    def table(self, number: int) -> Table | None:
        """The table that a field leads to, if it is there."""
        at = self.slot(number)
        return table_at(self.data, at) if at else None

    def required(self, number: int) -> Table:
        """The table that a field leads to. Raises LookupError where there is none."""
        found = self.table(number)
        if found is None:
            raise LookupError(f"a table has no field {number}")
        return found

    def vector(self, number: int) -> tuple[int, int]:
        """Where the elements begin, and how many there are said to be."""
        at = self.slot(number)
        if not at:
            return 0, 0
        start = table_at(self.data, at).at
        return start + 4, struct.unpack_from("<I", self.data, start)[0]

    def pairs(self, number: int) -> list[tuple[int, int]]:
        """A vector of structs of two int64."""
        start, count = self.vector(number)
        if start + 16 * count > len(self.data):
            raise IndexError("a vector goes on behind the bytes")
        return [*struct.iter_unpack("<qq", self.data[start : start + 16 * count])]


def table_at(data: memoryview, at: int) -> Table:
    """The table that the offset at this place leads to."""
    return Table(data, at + struct.unpack_from("<I", data, at)[0])
