"""How many rows of a Parquet file may be decoded together: texts that are stored once may be in every row.

A file of 3 kB with one text of 10 MB in a dictionary, and a thousand rows that refer to it, becomes 10 GB. So
the longest text in the dictionaries is looked for first. Nothing is asked of the metadata of a column: where
they are broken, that ends the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..wire.arrow_stream_decoder import validated

_MOST = 128 << 20  # bytes that the texts of rows decoded together may come to


def fitting(parquet: pq.ParquetFile, source: Any, groups: Sequence[int], rows: int) -> int:
    """So many of `rows`, and one at least."""
    columns = map(parquet.schema.column, range(len(parquet.schema)))
    paths = [column.path for column in columns if column.physical_type.endswith("BYTE_ARRAY")]
    if not paths:
        return rows
    probe = pq.ParquetFile(source, metadata=parquet.metadata, read_dictionary=paths, pre_buffer=False)
    longest = max((_longest(probe, group, paths) for group in groups), default=0)
    return min(rows, max(1, _MOST // max(1, longest)))


def _longest(probe: pq.ParquetFile, group: int, paths: list[str]) -> int:
    """The longest texts of the dictionaries of a row group together."""
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
