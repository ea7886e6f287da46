"""The streams of Arrow record batches that clients return: one type for threads, one for event loops.

`Batches`, the type for threads, is an alias of Arrow's own reader.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TypeAlias

import pyarrow as pa

Batches: TypeAlias = pa.RecordBatchReader


class AsyncBatches:
    """A stream of record batches with one schema. Each batch is read when it is requested.

        async with await collection.to_batches() as batches:
            async for batch in batches:
                ...

    The stream can be read once. Leaving the block, or `aclose`, ends a stream that was not read to its end.
    """

    def __init__(self, schema: pa.Schema, batches: AsyncIterator[pa.RecordBatch]) -> None:
        self.schema = schema
        self._batches = batches

    def __repr__(self) -> str:
        return f"AsyncBatches({', '.join(self.schema.names)})"

    def __aiter__(self) -> AsyncBatches:
        return self

    async def __anext__(self) -> pa.RecordBatch:
        return await anext(self._batches)

    async def aread_all(self) -> pa.Table:
        """Read the remaining batches as one table."""
        return pa.Table.from_batches([batch async for batch in self], self.schema)

    async def aclose(self) -> None:
        """End the stream. May be called more than once."""
        close = getattr(self._batches, "aclose", None)
        if close is not None:
            await close()

    async def __aenter__(self) -> AsyncBatches:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def reshaped(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], change: Callable[[pa.RecordBatch], pa.RecordBatch]
) -> Batches:
    """Apply `change` to each batch of a stream. Errors of the stream are raised unchanged."""

    def read() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield change(batch)

    out: Batches = pa.RecordBatchReader.from_batches(schema, read())
    return out


def async_reshaped(
    schema: pa.Schema,
    batches: AsyncIterator[pa.RecordBatch],
    change: Callable[[pa.RecordBatch], pa.RecordBatch],
) -> AsyncBatches:
    """Apply `change` to each batch of a stream."""

    async def read() -> AsyncIterator[pa.RecordBatch]:
        async for batch in batches:
            yield change(batch)

    return AsyncBatches(schema, read())
