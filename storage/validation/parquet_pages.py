"""Compute the unpacked size of the pages in a Parquet file.

Owns: reading page headers without the pages' contents (https://parquet.apache.org/docs/file-format/data-pages).
The headers use Thrift's compact protocol. A forged page of a few bytes can unpack to two gigabytes, and the
sizes in the file's footer need not be true.
"""

from __future__ import annotations

from typing import Any, NamedTuple

# Types in Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_WHOLE = (4, 5, 6)  # integers of 16, 32 and 64 bits
_MOST_PAGES = 1 << 16  # per column chunk; a row group has a million rows, and a page is about a megabyte
_DEPTH = 6  # the most nested structures; a header has three levels
_DICTIONARY = 2  # in the enumeration PageType
_KIND, _UNPACKED, _PACKED = 1, 2, 3  # fields of a PageHeader


class Chunk(NamedTuple):
    """The unpacked bytes of a column chunk: of all its pages, and of its dictionary pages alone."""

    unpacked: int
    dictionary: int


def chunk(data: memoryview, column: Any) -> Chunk:
    """Measure the pages of a column chunk, given as pyarrow's ColumnChunkMetaData.

    Raises ValueError or LookupError.
    """
    at = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < at:
        at = column.dictionary_page_offset
    end = at + column.total_compressed_size
    if not 0 <= at <= end <= len(data):
        raise ValueError(f"the pages of {column.path_in_schema!r} lie outside of it")
    unpacked = dictionary = count = 0
    while at < end:
        count += 1
        if count > _MOST_PAGES:
            raise ValueError(f"{column.path_in_schema!r} has more than {_MOST_PAGES} pages")
        header = _Reader(data[:end], at)
        fields = header.fields()
        kind, size, packed = (fields.get(field, -1) for field in (_KIND, _UNPACKED, _PACKED))
        if size < 0 or packed < 0:
            raise ValueError(
                f"a page of {column.path_in_schema!r} has a size of {size}, or {packed} as it lies"
            )
        unpacked += max(size, packed)
        dictionary += size if kind == _DICTIONARY else 0
        at = header.at + packed
    return Chunk(unpacked, dictionary)


class _Reader:
    """A reader of Thrift's compact protocol, beginning at offset `at`."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self.at = data, at

    def fields(self, depth: int = 0) -> dict[int, int]:
        """Read a structure. Returns its integer fields and skips all others."""
        if depth > _DEPTH:
            raise ValueError("the header of a page has structures in structures")
        found: dict[int, int] = {}
        number = 0
        while head := self._byte():
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._signed()
            if kind in _WHOLE:
                value = self._signed()
                found[number] = max(value, found.get(number, value))
            elif kind not in (_TRUE, _FALSE):
                self._skip(kind, depth)
        return found

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _number(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("the header of a page has a number of more than 64 bits")

    def _signed(self) -> int:
        value = self._number()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, kind: int, depth: int) -> None:
        """Skip a value. Boolean fields have no value to skip, because their header contains it."""
        if kind in _WHOLE:
            self._number()
        elif kind in (_TRUE, _FALSE, _BYTE):  # booleans occur here only as elements
            self.at += 1
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BINARY:
            size = self._number()
            self.at += size
        elif kind == _STRUCT:
            self.fields(depth + 1)
        elif kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._number()
            self._skip_all([head & 15], count, depth)
        elif kind == _MAP:
            count = self._number()
            kinds = self._byte() if count else 0
            self._skip_all([kinds >> 4, kinds & 15], count, depth)
        else:
            raise ValueError(f"the header of a page has a field of the unknown type {kind}")

    def _skip_all(self, kinds: list[int], count: int, depth: int) -> None:
        if count > len(self._data) - self.at:
            raise ValueError("the header of a page has a list that is longer than the file")
        for _ in range(count):
            for kind in kinds:
                self._skip(kind, depth + 1)
