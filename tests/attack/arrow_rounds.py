"""Rounds of broken Arrow, each into one of the places that take Arrow from outside.

Arguments: the place, and whether an SQL statement is also run over what was taken.
"""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from chroma.errors import ChromaError, InvalidArgumentError, ServerConnectionError
from chroma.pipelines import file_readers
from chroma.pipelines.chunks import Rows, sort
from chroma.pipelines.csv_columns import Columns
from chroma.pipelines.file_discovery import File, Format
from chroma.requests.projection import ALL_FIELDS
from chroma.server.parsing import arrow_streams, sql_body
from chroma.storage.interface.values import Field, Records, Written
from chroma.tables.from_rows import Flat
from chroma.tables.to_records import mapping
from chroma.wire import content_negotiation
from chroma.wire.arrow_codec import check_stream
from chroma.wire.arrow_stream_decoder import BrokenStream, Frames

from . import arrow_samples as samples
from .rounds import Rounds

_LARGEST = 1 << 24


def server(data: bytes, chance: random.Random) -> None:
    """A body of add, upsert or update."""

    def write(records: Records) -> Written:
        assert all(type(id) is str for id in records.ids)
        return Written(len(records.ids))

    receive = chance.choice((arrow_streams.receive, arrow_streams.receive_whole))
    receive(chance.choice(("add", "upsert", "update")), io.BytesIO(data), write, _LARGEST)


def client(data: bytes, chance: random.Random) -> None:
    """An answer: of get, of query, of SQL, of a stream of records."""
    fields: frozenset[Field] = frozenset(field for field in ALL_FIELDS if chance.random() < 0.7)
    for read in (
        partial(content_negotiation.read_rows, fields=fields, most=chance.choice((None, 5))),
        partial(content_negotiation.read_hits, fields=fields, queries=2, k=3),
        content_negotiation.read_table,
        partial(_streamed, fields=fields),
    ):
        try:
            content_negotiation.answered(read, data, "http://liar")
        except ServerConnectionError:
            continue


def _streamed(data: bytes, fields: frozenset[Field]) -> None:
    frames = Frames(_LARGEST, partial(check_stream, fields=fields))
    frames.add(data)
    batch = frames.next()
    if frames.schema is not None:
        flat = Flat(frames.schema)
        while batch is not None:
            flat.batch(batch).validate(full=True)
            batch = frames.next()
    frames.finish()


def sql(data: bytes, chance: random.Random) -> None:
    """A table that comes with a statement."""
    del chance
    body = {"sql": "select * from t", "tables": {"t": base64.b64encode(data).decode()}}
    table = sql_body.sql(body).tables["t"]
    if table.num_rows < 1000 and _STATEMENTS:
        try:
            with duckdb.connect() as connection:
                connection.register("t", table)
                connection.sql("select * from t").arrow()
        except (duckdb.Error, pa.ArrowException):
            pass  # of its own kind, in a process of its own


_STATEMENTS = False


class _Memory:
    """A file system of one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open_input_file(self, path: str) -> Any:
        return pa.BufferReader(self._data)


def load(data: bytes, chance: random.Random, kind: Format = "arrow", name: str = "broken.arrow") -> None:
    """A file of a load."""
    file = File(name, kind, len(data), None, _Memory(data))
    mapped = mapping(None)
    file_readers.count_rows(file)
    reading = file_readers.Reading({})
    if kind == "csv":
        columns = Columns()
        columns.look([file], reading, None, [])
        reading = file_readers.Reading(columns.types({}))
    for part, _ in file_readers.read(file, chance.choice((0, 0, 2)), file_readers.Cuts(4, 0), reading):
        if kind == "csv" and isinstance(part, Rows):
            part = part.parsed(mapped.embedding)
        sort(part, "add", chance.random() < 0.5, mapped=mapped, dimension=None, enough=10)


PLACES: dict[str, tuple[Callable[[bytes, random.Random], None], Callable[[], tuple[bytes, ...]]]] = {
    "server": (server, samples.streams),
    "client": (client, lambda: samples.streams() + samples.answers() + samples.tables()),
    "sql": (sql, samples.tables),
    "load": (load, samples.files),
    "parquet": (partial(load, kind="parquet", name="broken.parquet"), samples.parquet),
    "csv": (partial(load, kind="csv", name="broken.csv"), samples.csv),
    "csv.gz": (
        partial(load, kind="csv", name="broken.csv.gz"),
        lambda: samples.packed(samples.csv()),
    ),
    "jsonl": (partial(load, kind="jsonl", name="broken.jsonl"), samples.jsonl),
    "jsonl.gz": (
        partial(load, kind="jsonl", name="broken.jsonl.gz"),
        lambda: samples.packed(samples.jsonl()),
    ),
}


def main() -> None:
    global _STATEMENTS
    rounds = Rounds()
    place, _STATEMENTS = rounds.arguments[0], rounds.arguments[1:] == ["statements"]
    take, pool = PLACES[place]
    for number in rounds:
        chance = random.Random(f"{place} {number}")
        data = samples.mutated(chance.choice(pool()), chance, pool())
        try:
            take(data, chance)
        except (BrokenStream, InvalidArgumentError, ChromaError):
            continue
        except BaseException as error:
            rounds.wrong(number, f"{type(error).__name__}: {error!s:.300}")


if __name__ == "__main__":
    main()
