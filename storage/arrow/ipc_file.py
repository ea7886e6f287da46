"""Where the columns of an Arrow file lie in it.

Owns: reading the footer of an Arrow IPC file with one record batch, not compressed, as segments have them
(https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format; the messages are FlatBuffers,
https://flatbuffers.dev/internals). Arrow itself takes longer to load than a database to open, see late.py.
The file's checksum is compared before. It proves nothing against who wrote the file on purpose, so what
does not fit raises one of NOT_READABLE, and buffers lie in it, on their borders, with room for the rows.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

NOT_READABLE = ValueError, struct.error, LookupError, OverflowError, TypeError, OSError
_MAGIC = b"ARROW1"
_TEXT, _LARGE_TEXT = 5, 20  # of the union Type: Utf8, LargeUtf8
_MOST_COLUMNS, _LONGEST_NAME = 64, 1024  # of a segment's file; more would only take time
_BATCH = 3  # of the union MessageHeader: RecordBatch


class Column(NamedTuple):
    """nulls    how many values are null
    buffers  as Arrow has them: validity bits (empty where there are no nulls), then the numbers, or offsets
             and bytes of texts; of a list its own validity first
    wide     whether offsets are int64, not int32
    """

    nulls: int
    buffers: list[memoryview]
    wide: bool


class _Table(NamedTuple):
    """A FlatBuffers table at a place in the bytes."""

    data: memoryview
    at: int

    def slot(self, number: int) -> int:
        """Where a field is; 0 where it has its default."""
        (back,) = struct.unpack_from("<i", self.data, self.at)
        start = self.at - back
        (size,) = struct.unpack_from("<H", self.data, start)
        entry = 4 + 2 * number
        if entry >= size:
            return 0
        (offset,) = struct.unpack_from("<H", self.data, start + entry)
        return self.at + offset if offset else 0

    def byte(self, number: int) -> int:
        at = self.slot(number)
        return self.data[at] if at else 0

    def table(self, number: int) -> _Table:
        return _follow(self.data, self.slot(number))

    def vector(self, number: int) -> tuple[int, int]:
        """Where the elements begin, and how many there are."""
        at = self.slot(number)
        if not at:
            return 0, 0
        start = _follow(self.data, at).at
        return start + 4, struct.unpack_from("<I", self.data, start)[0]

    def tables(self, number: int) -> list[_Table]:
        start, count = self.vector(number)
        if count > _MOST_COLUMNS:
            raise ValueError(f"it has {count} columns")
        return [_follow(self.data, start + 4 * each) for each in range(count)]

    def text(self, number: int) -> str:
        start, count = self.vector(number)
        if count > _LONGEST_NAME:
            raise ValueError(f"the name of a column has {count} bytes")
        return str(self.data[start : start + count], "utf-8")


def _follow(data: memoryview, at: int) -> _Table:
    return _Table(data, at + struct.unpack_from("<I", data, at)[0])


def columns(data: memoryview, rows: int) -> dict[str, Column]:
    """The columns by their names, of a file of so many rows."""
    if data[:6] != _MAGIC or data[-6:] != _MAGIC:
        raise ValueError("it is not an Arrow file")
    end = len(data) - 10
    (size,) = struct.unpack_from("<i", data, end)
    footer = _follow(data, end - size)
    blocks, count = footer.vector(3)
    if count != 1:
        raise ValueError(f"it has {count} record batches")
    start, length = struct.unpack_from("<qi", data, blocks)
    message = _follow(data, start + 8)
    batch = message.table(2)
    if message.byte(1) != _BATCH or batch.slot(3):
        raise ValueError("its record batch is compressed, or none")
    at = batch.slot(0)
    (found_rows,) = struct.unpack_from("<q", data, at) if at else (0,)
    if found_rows != rows:
        raise ValueError(f"it has {found_rows} rows instead of {rows}")
    nodes, _ = batch.vector(1)
    places, _ = batch.vector(2)
    body = start + length
    out, node, buffer = {}, 0, 0
    for field in footer.table(1).tables(1):
        kind = field.byte(2)
        of_list = len(field.tables(5))  # a list has one child, with a node and two buffers of its own
        many = 3 if of_list or kind in (_TEXT, _LARGE_TEXT) else 2
        length, nulls = struct.unpack_from("<qq", data, nodes + 16 * node)
        if length != rows or not 0 <= nulls <= rows:
            raise ValueError(f"a column has {length} rows, {nulls} of them null, instead of {rows}")
        found = []
        for each in range(buffer, buffer + many):
            offset, bytes_ = struct.unpack_from("<qq", data, places + 16 * each)
            if not 0 <= body + offset <= body + offset + bytes_ <= len(data):
                raise ValueError(f"buffer {each} lies outside of it")
            if bytes_ and (body + offset) % 8:  # as Arrow has them; numbers are read where they lie
                raise ValueError(f"buffer {each} is not on a border of 8 bytes")
            found.append(data[body + offset : body + offset + bytes_])
        if nulls and len(found[0]) < (rows + 7) // 8:
            raise ValueError(f"a column has validity bits for fewer than {rows} rows")
        out[field.text(0)] = Column(nulls, found, kind == _LARGE_TEXT)
        node, buffer = node + 1 + of_list, buffer + many
    return out
