"""Streams of Arrow record batches, as clients give them out: for threads and for event loops.

For threads that is Arrow's own reader; `Batches` is another name for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TypeAlias

import pyarrow as pa

Batches: TypeAlias = pa.RecordBatchReader


class AsyncBatches:
    """Record batches of one schema, which come while they are asked for.

        async with await collection.to_batches() as batches:
            async for batch in batches:
                ...

    They come once. Leaving the block, or `aclose`, ends a stream that was not read to its end.
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
        """All that is left, as one table."""
        return pa.Table.from_batches([batch async for batch in self], self.schema)

    async def aclose(self) -> None:
        """End the stream. May be called again."""
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
    """The batches as `change` makes them; their errors stay what they are."""

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
    """The batches as `change` makes them."""

    async def read() -> AsyncIterator[pa.RecordBatch]:
        async for batch in batches:
            yield change(batch)

    return AsyncBatches(schema, read())
