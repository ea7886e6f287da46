"""Broken Arrow, Parquet, CSV and JSON lines, everywhere that they come from outside: an error each time, in
bounded memory, and the process lives."""

from __future__ import annotations

import base64
from typing import Any

import pyarrow as pa
import pytest

from chroma.errors import InvalidArgumentError
from chroma.server.parsing import sql_body
from chroma.wire.arrow_stream_decoder import BrokenStream, Frames, read_whole

from . import arrow_samples as samples
from .rounds import run, scaled

_MEMORY = 4 << 30  # of address space, of which pyarrow and DuckDB reserve half a GB before they do anything


@pytest.mark.parametrize(
    ("place", "few", "all"),
    [
        ("server", 1500, 330_000),
        ("client", 1500, 300_000),
        ("sql", 1500, 200_000),
        ("load", 1500, 170_000),
        ("parquet", 300, 100_000),
        ("csv", 200, 30_000),
        ("csv.gz", 100, 10_000),
        ("jsonl", 200, 30_000),
        ("jsonl.gz", 100, 10_000),
    ],
)
def test_what_is_broken_is_an_error_or_data(place: str, few: int, all: int) -> None:
    found = run("tests.attack.arrow_rounds", scaled(few, all), place, memory=_MEMORY, seconds=3600)
    assert not found, "\n".join(found[:20])


def test_statements_over_broken_tables_end_no_process() -> None:
    rounds = scaled(100, 20_000)
    found = run("tests.attack.arrow_rounds", rounds, "sql", "statements", memory=_MEMORY, seconds=3600)
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_bodies_compressed_as_in_version_4_are_refused_unread(codec: str) -> None:
    """33 kB that unpack to a gigabyte: nothing is unpacked, wherever they come."""
    bomb = samples.compressed_v4(samples.long_texts(1 << 26), codec)
    counted = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(counted)
    try:
        _refused_everywhere(bomb)
    finally:
        pa.set_memory_pool(before)
    assert counted.max_memory() < 1 << 20


def _refused_everywhere(bomb: bytes) -> None:
    frames = Frames(1 << 30, lambda _: None)
    frames.add(bomb)
    with pytest.raises(BrokenStream, match="compressed"):
        frames.next()
    with pytest.raises(BrokenStream, match="compressed"):
        read_whole(bomb)
    with pytest.raises(InvalidArgumentError, match=r"tables\['t'\].*compressed"):
        sql_body.sql({"sql": "select 1", "tables": {"t": base64.b64encode(bomb).decode()}})


@pytest.mark.parametrize("take", [read_whole, lambda data: sql_body.sql(_statement(data))])
def test_names_that_are_no_texts_are_refused(take: Any) -> None:
    data = samples.stream(samples.record_batch(2))
    with pytest.raises(InvalidArgumentError, match="not valid UTF-8"):
        take(data.replace(b"document", b"doc\xff\xfeent"))


def _statement(data: bytes) -> dict[str, Any]:
    return {"sql": "select * from t", "tables": {"t": base64.b64encode(data).decode()}}
