"""Limits the rows of a Parquet file that are decoded together: a text stored once may be in every row.

A file of 3 kB with one dictionary text of 10 MB and a thousand rows that refer to it becomes 10 GB. The
longest dictionary text is therefore determined first. This module does not read column metadata, because
pyarrow ends the process if they are damaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..wire.arrow_stream_decoder import validated

_MOST = 128 << 20  # maximum bytes of the texts in rows that are decoded together


def fitting(parquet: pq.ParquetFile, source: Any, groups: Sequence[int], rows: int) -> int:
    """Return the number of rows, at most `rows` and at least 1, that may be decoded together."""
    columns = map(parquet.schema.column, range(len(parquet.schema)))
    paths = [column.path for column in columns if column.physical_type.endswith("BYTE_ARRAY")]
    if not paths:
        return rows
    probe = pq.ParquetFile(source, metadata=parquet.metadata, read_dictionary=paths, pre_buffer=False)
    longest = max((_longest(probe, group, paths) for group in groups), default=0)
    return min(rows, max(1, _MOST // max(1, longest)))


def _longest(probe: pq.ParquetFile, group: int, paths: list[str]) -> int:
    """Return the sum of the longest dictionary texts of all columns in a row group."""
    batches = probe.iter_batches(batch_size=1, row_groups=[group], columns=paths, use_threads=False)
    first = next(batches, None)
    return 0 if first is None else sum(_longest_in(array) for array in validated(first).columns)


def _longest_in(array: pa.Array) -> int:
    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary.cast(pa.large_binary()))
        return pc.max(lengths).as_py() or 0
    if array.type.num_fields and hasattr(array, "flatten"):
        flat = array.flatten()
        return sum(map(_longest_in, flat if isinstance(flat, list) else [flat]))
    return 0
