"""Locate the columns in an Arrow file.

Owns: reading the footer of an Arrow IPC file with one uncompressed record batch, as in segments
(https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format). Importing Arrow would take longer than
opening a database, see lazy_pyarrow.py.

The caller has already verified the file's checksum. A forged file can have a correct checksum. So this module
checks that buffers lie inside the file, are aligned, and have room for the rows. Violations raise one of
NOT_READABLE.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from ..interface import flatbuffers
from ..interface.flatbuffers import Table, table_at

NOT_READABLE = *flatbuffers.NOT_READABLE, ValueError, OverflowError, TypeError, OSError
_MAGIC = b"ARROW1"
_TEXT, _LARGE_TEXT = 5, 20  # in the union Type: Utf8, LargeUtf8
_MOST_COLUMNS, _LONGEST_NAME = 64, 1024  # limits for a segment's file, so that a forged file costs no time
_BATCH = 3  # in the union MessageHeader: RecordBatch


class Column(NamedTuple):
    """A column's buffers in the file.

    nulls    the number of null values
    buffers  validity bits (empty if there are no nulls), then the numbers, or the offsets and bytes of texts.
             For a list column, the validity of the lists comes first
    wide     whether offsets are int64 instead of int32
    """

    nulls: int
    buffers: list[memoryview]
    wide: bool


def _tables(table: Table, number: int) -> list[Table]:
    """Read a field that is a vector of tables."""
    start, count = table.vector(number)
    if count > _MOST_COLUMNS:
        raise ValueError(f"it has {count} columns")
    return [table_at(table.data, start + 4 * each) for each in range(count)]


def _text(table: Table, number: int) -> str:
    start, count = table.vector(number)
    if count > _LONGEST_NAME:
        raise ValueError(f"the name of a column has {count} bytes")
    return str(table.data[start : start + count], "utf-8")


def columns(data: memoryview, rows: int) -> dict[str, Column]:
    """Return the columns by name. The file must have `rows` rows."""
    if data[:6] != _MAGIC or data[-6:] != _MAGIC:
        raise ValueError("it is not an Arrow file")
    end = len(data) - 10
    (size,) = struct.unpack_from("<i", data, end)
    footer = table_at(data, end - size)
    blocks, count = footer.vector(3)
    if count != 1:
        raise ValueError(f"it has {count} record batches")
    start, length = struct.unpack_from("<qi", data, blocks)
    message = table_at(data, start + 8)
    batch = message.required(2)
    if message.number("<B", 1) != _BATCH or batch.slot(3):
        raise ValueError("its record batch is compressed, or none")
    found_rows = batch.number("<q", 0)
    if found_rows != rows:
        raise ValueError(f"it has {found_rows} rows instead of {rows}")
    nodes, _ = batch.vector(1)
    offsets, _ = batch.vector(2)
    body = start + length
    out, node, buffer = {}, 0, 0
    for field in _tables(footer.required(1), 1):
        kind = field.number("<B", 2)
        of_list = len(_tables(field, 5))  # a list has one child, with a node and two buffers of its own
        many = 3 if of_list or kind in (_TEXT, _LARGE_TEXT) else 2
        length, nulls = struct.unpack_from("<qq", data, nodes + 16 * node)
        if length != rows or not 0 <= nulls <= rows:
            raise ValueError(f"a column has {length} rows, {nulls} of them null, instead of {rows}")
        found = []
        for each in range(buffer, buffer + many):
            offset, bytes_ = struct.unpack_from("<qq", data, offsets + 16 * each)
            if not 0 <= body + offset <= body + offset + bytes_ <= len(data):
                raise ValueError(f"buffer {each} lies outside of it")
            if bytes_ and (body + offset) % 8:  # Arrow aligns buffers, and numbers are read in place
                raise ValueError(f"buffer {each} is not on a border of 8 bytes")
            found.append(data[body + offset : body + offset + bytes_])
        if nulls and len(found[0]) < (rows + 7) // 8:
            raise ValueError(f"a column has validity bits for fewer than {rows} rows")
        out[_text(field, 0)] = Column(nulls, found, kind == _LARGE_TEXT)
        node, buffer = node + 1 + of_list, buffer + many
    return out
