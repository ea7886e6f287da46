"""Decodes untrusted Arrow streams. All streams from outside are read by this module. No I/O.

A stream is a schema message, then a message per record batch, then an end mark. A message is 0xFFFFFFFF, the
length of its head (int32), the head (a FlatBuffers table), and a body whose length is in the head (Arrow
specification, "Encapsulated message format"). This module reads only what it needs before Arrow parses a
message: the length of its body, for example, or whether the body is compressed.

Nothing is trusted. Lengths are bounded before anything is stored. Memory grows only with the bytes that
actually arrived, and compressed bodies are rejected. A batch is returned only after full validation. No
offset is then out of range, and all texts and names are valid UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from ..errors import InvalidArgumentError
from ..storage.interface.flatbuffers import NOT_READABLE, table_at

MARK = b"\xff\xff\xff\xff"
MOST_HEAD = 16 << 20  # the schema of 100,000 columns takes 10 MB
_FREE_ROWS = 1 << 20  # rows allowed even if the message has fewer bits than rows, as with nulls only
_COMPRESSED_V4 = b"ARROW:experimental_compression"  # marks a compressed message in metadata version 4
_GOES_ON = "the Arrow stream goes on after its end mark: send one stream per request"
_CUT = "the Arrow stream ends before its end mark: it is cut off, or its writer was not closed"
_EMPTY = "the Arrow stream has no schema"

SCHEMA, DICTIONARY, BATCH = 1, 2, 3


class BrokenStream(InvalidArgumentError):
    """The bytes are not an Arrow stream, or are an Arrow stream that is not accepted."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one message.

    kind        the kind of the message
    body        the length of the body in bytes
    compressed  whether the body is compressed
    buffers     the (offset, length) of each buffer in the body
    delta       whether the message is a dictionary that extends an earlier one
    """

    kind: int
    body: int
    compressed: bool
    buffers: list[tuple[int, int]]
    delta: bool


class Messages:
    """The messages of one stream, in order: the schema first, then batches."""

    def __init__(self, largest: int, check: Callable[[pa.Schema], None]) -> None:
        self._largest = largest
        self._check = check
        self.schema: pa.Schema | None = None

    def expect(self, data: bytes) -> Head:
        """Parse and check the head of the next message. Raises BrokenStream if its body must not be read."""
        head = read_head(data)
        if head.kind == DICTIONARY:
            raise BrokenStream("dictionary-encoded columns are not taken: decode them")
        if head.compressed:
            raise BrokenStream("compressed record batches are not taken: write them without compression")
        if (head.kind == SCHEMA) != (self.schema is None) or head.kind not in (SCHEMA, BATCH):
            raise BrokenStream(f"a message of kind {head.kind} is out of place in an Arrow stream")
        if head.body > self._largest:
            raise BrokenStream(
                f"a record batch of {head.body:,} bytes exceeds the limit of {self._largest:,}: "
                "write smaller batches"
            )
        return head

    def read(self, whole: pa.Buffer) -> pa.RecordBatch | None:
        """The batch in a message whose head was passed to `expect`. None if the message is the schema."""
        try:
            if self.schema is None:
                schema = pa.ipc.read_schema(pa.BufferReader(whole))
                check_names(schema)
                self._check(schema)
                self.schema = schema
                return None
            batch = pa.ipc.read_record_batch(pa.ipc.read_message(whole), self.schema)
        except (pa.ArrowException, OSError) as error:
            raise BrokenStream(f"the Arrow stream is broken: {error!s:.500}") from None
        if batch.num_rows > max(_FREE_ROWS, 8 * whole.size):
            raise BrokenStream(
                f"a record batch of {whole.size:,} bytes is said to have {batch.num_rows:,} rows"
            )
        return validated(batch)


def validated(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, checked to be safe for native code: its offsets, lengths and texts are valid.

    Raises BrokenStream otherwise. Values outside the range of their type are accepted, because DuckDB
    produces decimals with too many digits and the time 24:00:00.
    """
    try:
        batch.validate()
        bare(batch).validate(full=True)
    except pa.ArrowException as error:
        raise BrokenStream(f"the Arrow data are broken: {error!s:.500}") from None
    return batch


def bare(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same buffers with types whose values Arrow does not check. Decimals become plain bytes; times
    and dates become integers."""
    types = [_bare_type(field.type) for field in batch.schema]
    if all(bare == field.type for bare, field in zip(types, batch.schema, strict=True)):
        return batch
    columns = [
        column if bare == column.type else column.view(bare)
        for bare, column in zip(types, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, [str(index) for index in range(len(columns))])


def _bare_type(type: pa.DataType) -> pa.DataType:
    """The type for `bare`. This is the type itself, unless it contains a type whose range Arrow would
    check."""
    of = pa.types
    if of.is_decimal(type):
        return pa.binary(type.byte_width)
    if of.is_time32(type) or of.is_time64(type) or of.is_date64(type):
        return pa.int32() if of.is_time32(type) else pa.int64()
    if not of.is_nested(type) or of.is_union(type) or of.is_run_end_encoded(type):
        return type
    inner = [type.field(index) for index in range(type.num_fields)]
    bare = [_bare_type(field.type) for field in inner]
    if all(new == field.type for new, field in zip(bare, inner, strict=True)):
        return type
    fields = [field.with_type(new) for new, field in zip(bare, inner, strict=True)]
    if of.is_struct(type):
        return pa.struct(fields)
    if of.is_map(type):
        return pa.map_(fields[0].type.field(0), fields[0].type.field(1), type.keys_sorted)
    if of.is_fixed_size_list(type):
        return pa.list_(fields[0], type.list_size)
    if of.is_large_list(type):
        return pa.large_list(fields[0])
    return pa.list_(fields[0]) if of.is_list(type) else type


def check_names(schema: pa.Schema) -> None:
    """Raises BrokenStream if the name of a column, a nested field or a time zone is not valid text. Raises it
    also if a struct has two fields of the same name, because a mapping could not hold both."""
    try:
        for field in schema:
            _check_names(field)
    except UnicodeDecodeError as error:
        raise BrokenStream(f"the schema has a name that is not valid UTF-8: {error.object!r:.100}") from None


def _check_names(field: pa.Field) -> None:
    name, type = field.name, field.type
    if pa.types.is_timestamp(type):
        _ = type.tz
    inner = [type.field(index) for index in range(type.num_fields)]
    if pa.types.is_struct(type) and len({each.name for each in inner}) < len(inner):
        raise BrokenStream(f"the struct {name!r:.100} has two fields of one name")
    for each in inner:
        _check_names(each)


class Frames:
    """Decodes a stream while it arrives. Feed it bytes with `add`, then take batches with `next`, until
    `ended`."""

    def __init__(self, largest: int, check: Callable[[pa.Schema], None]) -> None:
        """`largest` limits the bytes of a message body. `check` raises an error for an unwanted schema."""
        self._messages = Messages(largest, check)
        self._bytes = bytearray()
        self._at = 0  # the start of the bytes that were not taken yet
        self._need = 8  # how many of those bytes are needed for the next step
        self._headed = False  # whether the head of the current message was read
        self.ended = False

    @property
    def schema(self) -> pa.Schema | None:
        """The schema; None if it has not arrived yet."""
        return self._messages.schema

    def add(self, piece: bytes) -> None:
        """Add received bytes."""
        if self.ended and piece:
            raise BrokenStream(_GOES_ON)
        if self._at:  # once per piece, not once per message
            self._bytes, self._at = self._bytes[self._at :], 0
        self._bytes += piece

    @property
    def _left(self) -> int:
        return len(self._bytes) - self._at

    @property
    def ready(self) -> bool:
        """Whether enough bytes have arrived for the next step of `next`."""
        return not self.ended and self._left >= self._need

    def next(self) -> pa.RecordBatch | None:
        """The next batch, if all of it has arrived. None if more bytes are needed, or if `ended`."""
        while self.ready:
            if not self._headed:
                self._read_head()
                continue
            message = self._taken()
            self._headed, self._need = False, 8
            batch = self._messages.read(pa.py_buffer(message))
            if batch is not None:
                return batch
        if self.ended and self._left:
            raise BrokenStream(_GOES_ON)
        return None

    def _taken(self) -> bytearray:
        """The current message, in separate memory that starts with it."""
        begin, end = self._at, self._at + self._need
        if begin or self._need < self._left // 2:
            self._at = end
            return self._bytes[begin:end]
        message, self._bytes = self._bytes, self._bytes[end:]
        del message[end:]  # few bytes are left over, and a large message is never copied
        return message

    def finish(self) -> None:
        """Note the end of the input. Raises BrokenStream unless the stream has ended too."""
        if not self.ended:
            raise BrokenStream(_CUT)
        if self.schema is None:
            raise BrokenStream(_EMPTY)

    def _read_head(self) -> None:
        """Read the length of the next head, then the head itself."""
        at = self._at
        size = head_size(self._bytes[at : at + 8])
        if size == 0:
            self.ended = True
            self._at += 8
            return
        if self._left < 8 + size:
            self._need = 8 + size
            return
        head = self._messages.expect(bytes(self._bytes[at + 8 : at + 8 + size]))
        self._headed, self._need = True, 8 + size + head.body


def read_whole(
    content: bytes, check: Callable[[pa.Schema], None] = lambda _: None
) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """The schema and the batches of a whole stream. The batches are views of `content`."""
    messages, data, at = Messages(len(content), check), pa.py_buffer(content), 0
    batches: list[pa.RecordBatch] = []
    while at + 8 <= len(content):
        size = head_size(content[at : at + 8])
        if size == 0:
            if messages.schema is None:
                raise BrokenStream(_EMPTY)
            if at + 8 < len(content):
                raise BrokenStream(_GOES_ON)
            return messages.schema, batches
        end = at + 8 + size
        if end <= len(content):
            end += messages.expect(content[at + 8 : end]).body
        if end > len(content):
            break
        batch = messages.read(data.slice(at, end - at))
        if batch is not None:
            batches.append(batch)
        at = end
    raise BrokenStream(_CUT)


def head_size(prefix: bytes | bytearray) -> int:
    """The length of a head, from the eight bytes before it. 0 if these are the end mark of the stream."""
    if prefix[:4] != MARK:
        raise BrokenStream(
            "the body is no Arrow stream: it does not begin with the mark of a message. The stream "
            "format is expected, not the file format"
        )
    size: int = struct.unpack_from("<i", prefix, 4)[0]
    if not 0 <= size <= MOST_HEAD:
        raise BrokenStream(f"the head of an Arrow message is said to have {size} bytes")
    return size


def read_head(data: bytes) -> Head:
    """The parts of a Message table that this module needs. Raises BrokenStream if it is not valid."""
    try:
        table = table_at(memoryview(data), 0)
        kind, body = table.number("<B", 1), table.number("<q", 3)
        batch, delta = table.table(2), False
        if kind == DICTIONARY and batch is not None:
            delta, batch = bool(batch.number("<B", 2)), batch.table(1)  # the dictionary's values
        compressed = kind in (DICTIONARY, BATCH) and (
            _COMPRESSED_V4 in data or (batch is not None and batch.table(3) is not None)
        )
        buffers = batch.pairs(2) if compressed and batch is not None else []
    except NOT_READABLE:
        raise BrokenStream("the head of an Arrow message cannot be read") from None
    if body < 0:
        raise BrokenStream(f"the body of an Arrow message is said to have {body} bytes")
    return Head(kind, body, compressed, buffers, delta)
