"""Receives Arrow streams into a collection, and sends them from it, batch by batch.

Owns: the overlap of receiving and writing, and the error for a stream that fails midway. By default each
record batch is one atomic write, and the next batch is received while it is written. Alternatively, the
whole stream is one atomic write, and its batches are checked while they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ...backend.embedded_protocol import FoundRecords
from ...embedded import table_scans
from ...errors import ChromaError, InvalidArgumentError
from ...storage.interface.values import Field, Mode, Records, Written
from ...tables.shared_values import weigh_all
from ...wire import arrow_codec
from ...wire.arrow_stream_decoder import Frames
from ..http.request_body import TooLarge
from . import arrow_batches

_STEP = 1 << 20
_MOST_KEYS = 2000


class Source(Protocol):
    """A source of bytes. `read` returns no bytes at the end."""

    def read(self, size: int, /) -> bytes | None: ...


def receive(
    mode: Mode, source: Source, write: Callable[[Records], Written], largest: int
) -> tuple[Written, int]:
    """Write a stream batch by batch. Returns the sum of the writes and the number of durable rows.

    largest  the most bytes of one record batch, both as sent and as measured by `weigh_all`
    A ChromaError raised here has `durable_rows`, the number of rows in the batches that were written.
    """
    progress = _Progress()
    with ThreadPoolExecutor(1, thread_name_prefix="chroma-stream") as writer:
        try:
            for batch, _ in _batches(source, largest):
                progress.wait()
                progress.begin(writer.submit(_write, mode, batch, write), batch.num_rows)
            progress.wait()
        except ChromaError as error:
            raise progress.with_row_count(error) from error
    return progress.done, progress.rows


def receive_whole(
    mode: Mode, source: Source, write: Callable[[Records], Written], largest: int
) -> tuple[Written, int]:
    """Write a stream as one atomic write. `largest` limits the bytes of the whole stream."""
    decoded: list[Future[Records]] = []
    size = 0
    with ThreadPoolExecutor(1, thread_name_prefix="chroma-stream") as decoder:
        for batch, weight in _batches(source, largest):
            size += max(weight, batch.nbytes)
            if size > largest:
                raise TooLarge(
                    f"the stream exceeds {largest:,} bytes: send it without atomic=true, or in several"
                )
            decoded.append(decoder.submit(arrow_batches.records, mode, batch))
        parts = [part for future in decoded if (part := future.result()).ids]
    if not parts:
        return Written(), 0
    records = arrow_batches.joined(parts)
    return write(records), len(records.ids)


def _batches(source: Source, largest: int) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Yields the batches, each with its size in bytes as measured by `weigh_all`."""
    frames = Frames(largest, arrow_batches.check_schema)
    while piece := source.read(_STEP):
        frames.add(piece)
        while (batch := frames.next()) is not None:
            weight = weigh_all(batch)
            if weight > largest:
                raise TooLarge(
                    f"a record batch with values of {weight:,} bytes exceeds the limit of {largest:,}: "
                    "write smaller batches"
                )
            yield batch, weight
    frames.finish()


def _write(mode: Mode, batch: pa.RecordBatch, write: Callable[[Records], Written]) -> Written:
    records = arrow_batches.records(mode, batch)
    return write(records) if records.ids else Written()


class _Progress:
    """The sum of the finished writes, and the write in progress."""

    def __init__(self) -> None:
        self.done, self.rows = Written(), 0
        self._writing: tuple[Future[Written], int] | None = None

    def begin(self, writing: Future[Written], rows: int) -> None:
        self._writing = writing, rows

    def wait(self) -> None:
        """Wait for the write in progress. Raises the error of that write."""
        if self._writing is None:
            return
        (writing, rows), self._writing = self._writing, None
        self.done += writing.result()
        self.rows += rows

    def with_row_count(self, error: ChromaError) -> ChromaError:
        """The error, with the number of durable rows added. Waits for the write in progress first; if that
        fails, its error takes precedence."""
        try:
            self.wait()
        except ChromaError as earlier:
            error = earlier
        error.durable_rows = self.rows
        text = error.message().removesuffix(".")
        error.args = (
            f"{text}; {self.rows} rows, those of the batches before it, are durable",
            *error.args[1:],
        )
        return error


def send_batch(batch: pa.RecordBatch, structured: bool) -> Iterator[bytes]:
    """Yields the parts of a stream of one batch, whose metadata is JSON text. With `structured`, the stream
    has it as a struct."""
    if structured:
        index = batch.schema.get_field_index("metadata")
        typed_keys = arrow_codec.typed_keys_of([batch.column(index)])
        columns = batch.columns
        columns[index] = arrow_codec.to_struct(columns[index], typed_keys)
        schema = batch.schema.set(index, pa.field("metadata", arrow_codec.struct_type(typed_keys)))
        batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    return send(pa.RecordBatchReader.from_batches(batch.schema, [batch]))


def send(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """Yields the parts of a stream."""
    parts: Any = map(
        memoryview, arrow_codec.messages(reader, reader.schema)
    )  # usable as bytes without a copy
    yield from parts


def send_struct(found: FoundRecords, fields: frozenset[Field], keys: Sequence[str] | None) -> Iterator[bytes]:
    """Yields the parts of a stream of a scan, with the metadata as a struct. If `keys` is given, the struct
    has only these keys."""
    columns = table_scans.slots(found, keys)
    if len(columns) > _MOST_KEYS:
        raise InvalidArgumentError(
            f'the metadata have {len(columns)} keys, too many for a struct: ask for "metadata": "json", or '
            'name some as "keys"'
        )
    reader = found.read(fields, columns)
    names = [field.name for field in reader.schema]
    indices = [index for index, name in enumerate(names) if ":" in name]
    inner = arrow_codec.struct_type(table_scans.named(columns))
    first = names.index("embedding") if "embedding" in names and not indices else len(names)
    at = indices[0] if indices else first
    plain = [field for index, field in enumerate(reader.schema) if index not in indices]
    schema = pa.schema([*plain[:at], pa.field("metadata", inner), *plain[at:]])
    return send(
        pa.RecordBatchReader.from_batches(schema, map(partial(_structured, schema, at, len(indices)), reader))
    )


def _structured(schema: pa.Schema, at: int, count: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with `count` columns from `at` on combined into one struct, which is null where all of them
    are."""
    columns = batch.columns
    inner, kind = columns[at : at + count], schema.field(at).type
    absent = np.ones(batch.num_rows, np.bool_)
    for column in inner:
        absent &= column.is_null().to_numpy(zero_copy_only=False)
    if inner:
        struct: pa.Array = pa.StructArray.from_arrays(inner, fields=list(kind), mask=pa.array(absent))
    else:
        struct = pa.array([None] * batch.num_rows, kind)
    return pa.RecordBatch.from_arrays([*columns[:at], struct, *columns[at + count :]], schema=schema)
