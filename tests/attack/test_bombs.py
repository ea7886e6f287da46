"""Small files of a load that unpack to gigabytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from . import arrow_samples as samples
from .rounds import SCALE, run, scaled

_MEMORY = 5 << 29  # 2.5 GB of address space, of which pyarrow reserves a fifth before it reads anything


def _texts(rows: int, size: int) -> pa.Table:
    """The same long text in every row, stored once."""
    places = pa.array(np.zeros(rows, np.int32))
    return pa.table(
        {
            "id": [f"r{row}" for row in range(rows)],
            "document": pa.DictionaryArray.from_arrays(places, pa.array(["x" * size])),
        }
    )


def test_files_that_become_large_take_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "long.arrow").write_bytes(
        samples.stream(samples.long_texts(1 << 29), file=True, compression="zstd")
    )
    (tmp_path / "v4.arrow").write_bytes(samples.compressed_v4(samples.long_texts(1 << 29)))
    pq.write_table(
        _texts(scaled(500, 600), 5_000_000),
        tmp_path / "texts.parquet",
        compression="zstd",
        dictionary_pagesize_limit=1 << 30,
        store_schema=False,
    )
    (tmp_path / "lists.jsonl").write_bytes(b"[" * (1 << 24) + b"\n")
    (tmp_path / "columns.csv").write_bytes(b"," * (1 << 19) + b"\n" + b"," * (1 << 19) + b"\n")
    if SCALE:  # they take seconds to make
        _long_lines(tmp_path)
    count = len([*tmp_path.iterdir()])
    assert not run("tests.attack.bomb_rounds", count, tmp_path, memory=_MEMORY)


def _long_lines(tmp_path: Path) -> None:
    (tmp_path / "line.jsonl.gz").write_bytes(gzip.compress(b'{"id": "' + b"x" * (1 << 29), 1))
    (tmp_path / "line.csv.gz").write_bytes(gzip.compress(b'id,document\n1,"' + b"x" * (1 << 28), 1))
