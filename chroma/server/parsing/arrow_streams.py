"""Arrow streams into a collection and out of it, a batch at a time.

Owns the order of things: what is written while what is received, and what is said of a stream that
breaks. One record batch is one write, all of it or nothing, and while it is written the next arrives;
or the whole stream is one write, and its batches are checked while they arrive.
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
    """Where bytes come from; empty at the end."""

    def read(self, size: int, /) -> bytes | None: ...


def receive(
    mode: Mode, source: Source, write: Callable[[Records], Written], largest: int
) -> tuple[Written, int]:
    """Write a stream batch by batch; what was done, and the number of rows that are durable.

    largest  bytes that one record batch may have, as sent and as `weigh_all` finds
    A ChromaError that is raised has `durable_rows`: the rows of the batches that were written.
    """
    progress = _Progress()
    with ThreadPoolExecutor(1, thread_name_prefix="chroma-stream") as writer:
        try:
            for batch, _ in _batches(source, largest):
                progress.settle()
                progress.begin(writer.submit(_write, mode, batch, write), batch.num_rows)
            progress.settle()
        except ChromaError as error:
            raise progress.noted(error) from error
    return progress.done, progress.rows


def receive_whole(
    mode: Mode, source: Source, write: Callable[[Records], Written], largest: int
) -> tuple[Written, int]:
    """Write a stream as one batch: all of it or nothing. `largest` bounds the bytes of all of it."""
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
    """The batches, and what they weigh."""
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
    """What has been written, and the batch that is being written."""

    def __init__(self) -> None:
        self.done, self.rows = Written(), 0
        self._writing: tuple[Future[Written], int] | None = None

    def begin(self, writing: Future[Written], rows: int) -> None:
        self._writing = writing, rows

    def settle(self) -> None:
        """Wait for the batch at hand. Raises what its write raises."""
        if self._writing is None:
            return
        (writing, rows), self._writing = self._writing, None
        self.done += writing.result()
        self.rows += rows

    def noted(self, error: ChromaError) -> ChromaError:
        """The error, with the rows that are durable. A batch that had arrived whole counts."""
        try:
            self.settle()
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
    """The parts of a stream of one batch, which has metadata as JSON text."""
    if structured:
        place = batch.schema.get_field_index("metadata")
        typed_keys = arrow_codec.typed_keys_of([batch.column(place)])
        columns = batch.columns
        columns[place] = arrow_codec.to_struct(columns[place], typed_keys)
        schema = batch.schema.set(place, pa.field("metadata", arrow_codec.struct_type(typed_keys)))
        batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    return send(pa.RecordBatchReader.from_batches(batch.schema, [batch]))


def send(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """The parts of a stream."""
    parts: Any = map(
        memoryview, arrow_codec.messages(reader, reader.schema)
    )  # as good as bytes, and not copied
    yield from parts


def send_struct(found: FoundRecords, fields: frozenset[Field], keys: Sequence[str] | None) -> Iterator[bytes]:
    """The parts of a stream of a scan with metadata as a struct; of `keys` only, where given."""
    columns = table_scans.slots(found, keys)
    if len(columns) > _MOST_KEYS:
        raise InvalidArgumentError(
            f'the metadata have {len(columns)} keys, too many for a struct: ask for "metadata": "json", or '
            'name some as "keys"'
        )
    reader = found.read(fields, columns)
    names = [field.name for field in reader.schema]
    places = [place for place, name in enumerate(names) if ":" in name]
    inner = arrow_codec.struct_type(table_scans.named(columns))
    first = names.index("embedding") if "embedding" in names and not places else len(names)
    at = places[0] if places else first
    plain = [field for place, field in enumerate(reader.schema) if place not in places]
    schema = pa.schema([*plain[:at], pa.field("metadata", inner), *plain[at:]])
    return send(
        pa.RecordBatchReader.from_batches(schema, map(partial(_structured, schema, at, len(places)), reader))
    )


def _structured(schema: pa.Schema, at: int, count: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The columns from `at` on as one struct, null where all of them are."""
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
