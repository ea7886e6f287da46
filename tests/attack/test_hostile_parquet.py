"""Filter columns that unpack to far more than there is metadata: refused, and next to nothing unpacked."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from chroma.storage.schema import metadata_columns
from chroma.storage.validation import parquet_pages

ROWS = 50_000
METADATA = 1 << 20  # bytes of it


def written(table: pa.Table, compression: str = "zstd", **how: object) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression=compression, **how)
    return sink.getvalue()


def peak(wide: pa.Buffer | None, sparse: pa.Buffer | None = None) -> int:
    """What Arrow had at most while it refused them."""
    pool = pa.system_memory_pool()
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        start = pool.max_memory()
        with pytest.raises(ValueError, match="there are 1048576 of metadata"):
            metadata_columns.read(ROWS, wide, sparse, METADATA)
        return pool.max_memory() - start
    finally:
        pa.set_memory_pool(before)


def test_a_text_that_is_repeated_is_not_written_out() -> None:
    """1.6 GB of 32 kB in a dictionary."""
    encoded = pa.DictionaryArray.from_arrays(pa.array(np.zeros(ROWS, np.int32)), pa.array(["x" * 32_768]))
    data = written(pa.table({"str:x": encoded}), store_schema=False)
    assert len(data) < 100_000
    assert peak(data) < 64 << 20


def test_pages_that_unpack_to_much_are_not_unpacked() -> None:
    texts, few = pa.array(["x" * 40_000 + str(row) for row in range(2600)]), pa.array(["str"] * 2600)
    table = pa.table({"key": few, "type": few, "row": pa.array(range(2600), pa.uint32()), "str": texts})
    data = written(table, use_dictionary=False)
    assert len(data) < 2_000_000
    assert peak(None, data) < 64 << 20


@pytest.mark.parametrize("compression", ["none", "zstd", "snappy"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_pages_are_found(compression: str, version: str) -> None:
    dice = random.Random(0)
    columns = {
        "texts": pa.array([dice.choice(["a", "bb", None]) for _ in range(ROWS)]),
        "long": pa.array([str(dice.random()) for _ in range(ROWS)]),
        "numbers": pa.array([dice.randrange(1 << 40) for _ in range(ROWS)]),
        "truths": pa.array([dice.random() < 0.5 for _ in range(ROWS)]),
    }
    data = written(
        pa.table(columns), compression, row_group_size=20_000, data_page_version=version, data_page_size=4096,
        write_page_index=True,
    )  # fmt: skip
    metadata = parquet.ParquetFile(pa.BufferReader(data)).metadata
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            found = parquet_pages.chunk(memoryview(data).cast("B"), column)
            headers = column.total_uncompressed_size - found.unpacked  # which it counts, too
            assert 0 <= headers < 40_000, (column.path_in_schema, found)
            assert (found.dictionary > 0) == column.has_dictionary_page


def test_broken_headers_of_pages_are_refused() -> None:
    dice = random.Random(1)
    data = written(pa.table({"str:x": pa.array(["a", None] * 500), "int:y": pa.array(range(1000))}))
    column = parquet.ParquetFile(pa.BufferReader(data)).metadata.row_group(0).column(1)
    refused = 0
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(dice.choice([1, 4])):
            changed[dice.randrange(4, len(changed) // 2)] = dice.randrange(256)
        try:
            parquet_pages.chunk(memoryview(changed), column)
        except (ValueError, LookupError):
            refused += 1
    assert refused > 50
