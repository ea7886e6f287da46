"""Reads Arrow files and streams on disk, and checks each message before Arrow reads it.

Files may be compressed and contain dictionaries, unlike streams from a server. Arrow's own reader therefore
decodes them. Before that, their message headers are checked: a body must fit into the file, and must not
unpack to many times its size. A file is read as the stream between its two magic numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ..wire.arrow_stream_decoder import (
    BATCH,
    DICTIONARY,
    MARK,
    MOST_HEAD,
    SCHEMA,
    BrokenStream,
    check_names,
    read_head,
    validated,
)

_MAGIC = b"ARROW1"
_FREE_UNPACKED = 256 << 20  # bytes to which a body of any length may unpack
_MOST_UNPACKED = 255  # maximum ratio of unpacked to packed size, the maximum of LZ4


def batches(source: Any) -> Iterator[pa.RecordBatch]:
    """Yield the fully validated record batches of a file. Raises BrokenStream or pyarrow.ArrowException."""
    begin, end = _bounds(source)
    messages = _Messages(source, begin, end)
    reader = pa.ipc.open_stream(pa.PythonFile(messages, mode="r"))
    check_names(reader.schema)
    for batch in reader:
        yield validated(batch)


def _bounds(source: Any) -> tuple[int, int]:
    """Return the start and the end of the stream in a file."""
    size = source.size()
    source.seek(0)
    if source.read(8) != _MAGIC + b"\0\0":
        return 0, size
    source.seek(max(0, size - 10))
    (footer,) = struct.unpack_from("<i", end := source.read(10).rjust(10, b"\0"))
    if end[4:] != _MAGIC or not 0 < footer <= size - 18:
        raise BrokenStream("it has no footer at its end: it is cut off, or its writer was not closed")
    return 8, size - 10 - footer


class _Messages:
    """Presents the messages between two offsets of a file as a file object for Arrow."""

    closed = False

    def __init__(self, source: Any, begin: int, end: int) -> None:
        self._source, self._at, self._end = source, begin, end
        self._waiting = memoryview(b"")
        self._begun = False

    def read(self, size: int) -> memoryview:
        if not self._waiting:
            self._waiting = memoryview(self._next())
        piece, self._waiting = self._waiting[:size], self._waiting[size:]
        return piece

    def close(self) -> None:
        """Do nothing. The caller closes the underlying file."""

    def _next(self) -> bytes:
        """Return the next message. Empty at the end."""
        self._source.seek(self._at)
        prefix = self._source.read(min(8, self._end - self._at))
        if len(prefix) < 8:
            return bytes(prefix) if prefix.strip(b"\0") else b""
        skipped = 8 if prefix[:4] == MARK else 4  # formats before 2019 have no continuation mark
        (size,) = struct.unpack_from("<i", prefix, skipped - 4)
        if size == 0:
            return b""
        if not 0 < size <= min(MOST_HEAD, self._end - self._at - skipped):
            raise BrokenStream(f"the head of an Arrow message is said to have {size} bytes")
        self._source.seek(self._at + skipped)
        head = read_head(self._source.read(size))
        length = skipped + size + head.body
        if head.kind not in ((BATCH, DICTIONARY) if self._begun else (SCHEMA,)):
            raise BrokenStream(f"a message of kind {head.kind} is out of place in an Arrow stream")
        if head.delta:
            raise BrokenStream("its categories grow from batch to batch: write it with whole dictionaries")
        if length > self._end - self._at:
            raise BrokenStream(f"a record batch of {head.body:,} bytes goes beyond the end")
        self._source.seek(self._at)
        message: bytes = self._source.read(length)
        if len(message) < length:
            raise BrokenStream("it ends in the midst of a record batch: it was cut off while it was read")
        if head.compressed:
            _check_unpacked(message[skipped + size :], head.buffers)
        self._begun = True
        self._at += length
        return message


def _check_unpacked(body: bytes, buffers: list[tuple[int, int]]) -> None:
    """Raise BrokenStream if the body unpacks to too many bytes. Buffers begin with their unpacked length."""
    whole = 0
    for offset, length in buffers:
        if length > 8 and 0 <= offset <= len(body) - 8:
            whole += max(0, struct.unpack_from("<q", body, offset)[0])
    if whole > max(_FREE_UNPACKED, _MOST_UNPACKED * len(body)):
        raise BrokenStream(
            f"a record batch of {len(body):,} bytes unpacks to {whole:,}: write smaller batches, or without "
            "compression"
        )
