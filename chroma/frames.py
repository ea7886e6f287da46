"""An Arrow stream as it arrives: whole messages out of pieces of bytes. No I/O.

A stream is a schema message, then a message per record batch, then an end mark. A message is
0xFFFFFFFF, the length of its head (int32), the head (a FlatBuffers table) and a body whose length
the head tells (Arrow specification, "Encapsulated message format"). Only that length, and whether
the body is compressed, is read here; the rest is Arrow's. Nothing is taken on trust: lengths are
bounded before anything is kept, and memory grows with what really arrived.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from .errors import InvalidArgumentError

_MARK = b"\xff\xff\xff\xff"
_MOST_HEAD = 16 << 20  # the schema of 100,000 columns has 10 MB

_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3


class BrokenStream(InvalidArgumentError):
    """The bytes are no Arrow stream, or one that is not taken."""


@dataclass(frozen=True, slots=True)
class Head:
    """Of one message: what it is, how long its body is, whether its buffers are compressed."""

    kind: int
    body: int
    compressed: bool


class Frames:
    """Feed it bytes with `add`, then take batches with `next`, until `ended`.

    The contents of a batch are not looked at: what comes from a stranger is weighed before its first
    use (`server.arrow_bodies`).
    """

    def __init__(self, largest: int, check: Callable[[pa.Schema], None]) -> None:
        """`largest` bounds the bytes of a body; `check` raises for a schema that is not wanted."""
        self._largest = largest
        self._check = check
        self._bytes = bytearray()
        self._at = 0  # where what was not taken yet begins
        self._need = 8  # how much of that must be there
        self._head: Head | None = None
        self.schema: pa.Schema | None = None
        self.ended = False

    def add(self, piece: bytes) -> None:
        """Bytes as they come."""
        if self.ended and piece:
            raise BrokenStream("the Arrow stream goes on after its end mark: send one stream per request")
        if self._at:  # once per piece, not once per message
            self._bytes, self._at = self._bytes[self._at :], 0
        self._bytes += piece

    @property
    def _left(self) -> int:
        return len(self._bytes) - self._at

    @property
    def ready(self) -> bool:
        """Whether `next` has something to look at."""
        return not self.ended and self._left >= self._need

    def next(self) -> pa.RecordBatch | None:
        """The next batch, when all of it has arrived; None: add more, or `ended`."""
        while self.ready:
            if self._head is None:
                self._read_head()
                continue
            message, head = self._taken(), self._head
            self._head, self._need = None, 8
            batch = self._read(message, head)
            if batch is not None:
                return batch
        if self.ended and self._left:
            raise BrokenStream("the Arrow stream goes on after its end mark: send one stream per request")
        return None

    def _taken(self) -> bytearray:
        """The message at hand, at a beginning of memory of its own."""
        begin, end = self._at, self._at + self._need
        if begin or self._need < self._left // 2:
            self._at = end
            return self._bytes[begin:end]
        message, self._bytes = self._bytes, self._bytes[end:]
        del message[end:]  # what is left over is little: a large message is never copied
        return message

    def finish(self) -> None:
        """The body is at its end: raises BrokenStream unless the stream is too."""
        if not self.ended:
            raise BrokenStream(
                "the Arrow stream ends before its end mark: it is cut off, or its writer was not closed"
            )

    def _read_head(self) -> None:
        """The length of a head, then the head."""
        at = self._at
        if self._bytes[at : at + 4] != _MARK:
            raise BrokenStream(
                "the body is no Arrow stream: it does not begin with the mark of a message. The stream "
                "format is expected, not the file format"
            )
        (size,) = struct.unpack_from("<i", self._bytes, at + 4)
        if size == 0:
            self.ended = True
            self._at += 8
            return
        if not 0 < size <= _MOST_HEAD:
            raise BrokenStream(f"the head of an Arrow message is said to have {size} bytes")
        if self._left < 8 + size:
            self._need = 8 + size
            return
        head = read_head(bytes(self._bytes[at + 8 : at + 8 + size]))
        if head.body > self._largest:
            raise BrokenStream(
                f"a record batch of {head.body:,} bytes exceeds the limit of {self._largest:,}: "
                "write smaller batches"
            )
        self._head, self._need = head, 8 + size + head.body

    def _read(self, message: bytearray, head: Head) -> pa.RecordBatch | None:
        if head.kind == _DICTIONARY:
            raise BrokenStream("dictionary-encoded columns are not taken: decode them")
        if head.compressed:
            raise BrokenStream("compressed record batches are not taken: write them without compression")
        if (head.kind == _SCHEMA) != (self.schema is None) or head.kind not in (_SCHEMA, _BATCH):
            raise BrokenStream(f"a message of kind {head.kind} is out of place in an Arrow stream")
        try:
            whole = pa.py_buffer(message)
            if self.schema is None:
                self.schema = pa.ipc.read_schema(pa.BufferReader(whole))
                self._check(self.schema)
                return None
            return pa.ipc.read_record_batch(pa.ipc.read_message(whole), self.schema)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise BrokenStream(f"the Arrow stream is broken: {error!s:.500}") from None


def read_head(data: bytes) -> Head:
    """The parts of a Message table that matter here. Raises BrokenStream where there is none."""
    try:
        table = _Table.root(data)
        kind, body = table.number("<B", 1), table.number("<q", 3)
        inner = table.table(2)
        compressed = kind == _BATCH and inner is not None and inner.table(3) is not None
    except (struct.error, IndexError):
        raise BrokenStream("the head of an Arrow message cannot be read") from None
    if body < 0:
        raise BrokenStream(f"the body of an Arrow message is said to have {body} bytes")
    return Head(kind, body, compressed)


class _Table:
    """A FlatBuffers table: fields are found through offsets in its vtable, 0 where absent."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        (back,) = struct.unpack_from("<i", data, at)
        self._vtable = at - back
        if self._vtable < 0:
            raise IndexError
        (self._size,) = struct.unpack_from("<H", data, self._vtable)

    @classmethod
    def root(cls, data: bytes) -> _Table:
        return cls(data, struct.unpack_from("<I", data, 0)[0])

    def _field(self, number: int) -> int:
        slot = 4 + 2 * number
        if slot + 2 > self._size:
            return 0
        (offset,) = struct.unpack_from("<H", self._data, self._vtable + slot)
        return self._at + offset if offset else 0

    def number(self, form: str, field: int) -> int:
        at = self._field(field)
        return int(struct.unpack_from(form, self._data, at)[0]) if at else 0

    def table(self, field: int) -> _Table | None:
        at = self._field(field)
        return _Table(self._data, at + struct.unpack_from("<I", self._data, at)[0]) if at else None
