"""The rows of a file in parts of bounded size, from any row on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ..errors import InvalidArgumentError
from .files import File
from .parts import Bad, Objects, Part, Rows


def count_rows(file: File) -> int | None:
    """How many rows a file has, where that is known without reading it."""
    if file.format != "parquet":
        return None
    with file.system.open_input_file(file.path) as source:
        return int(pq.ParquetFile(source).metadata.num_rows)


def read(file: File, start: int, size: int, types: Mapping[str, Any]) -> Iterator[Part]:
    """Parts of at most `size` rows, from row `start` on.

    types  Arrow types of CSV columns, by name. Others are what the first megabyte looks like
    Raises InvalidArgumentError for a file that is not of its format; lines that are no JSON object are told
    of in the part they belong to.
    """
    reader = {"parquet": _parquet, "arrow": _arrow, "csv": _csv, "jsonl": _jsonl}[file.format]
    try:
        yield from reader(file, start, size, types)
    except (pa.ArrowException, OSError) as error:
        raise InvalidArgumentError(
            f"the file {file.path} cannot be read as {file.format}: {error}"
        ) from error


def _parquet(file: File, start: int, size: int, types: Mapping[str, Any]) -> Iterator[Part]:
    with file.system.open_input_file(file.path) as source:
        parquet = pq.ParquetFile(source, pre_buffer=False)
        group, row = 0, 0
        while group < parquet.num_row_groups:
            rows = parquet.metadata.row_group(group).num_rows
            if row + rows > start:
                break
            row, group = row + rows, group + 1
        groups = list(range(group, parquet.num_row_groups))
        batches = parquet.iter_batches(batch_size=size, row_groups=groups, use_threads=False)
        yield from _rows(batches, row, start, size)


def _arrow(file: File, start: int, size: int, types: Mapping[str, Any]) -> Iterator[Part]:
    with file.system.open_input_file(file.path) as source:
        try:
            reader = pa.ipc.open_file(source)
            batches = (reader.get_batch(place) for place in range(reader.num_record_batches))
        except pa.ArrowInvalid:  # the other of the two formats
            source.seek(0)
            batches = iter(pa.ipc.open_stream(source))
        yield from _rows(batches, 0, start, size)


def _csv(file: File, start: int, size: int, types: Mapping[str, Any]) -> Iterator[Part]:
    options = pacsv.ConvertOptions(
        column_types=dict(types), null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    tabs = file.path.lower().split(".", 1)[-1].startswith("tsv") or ".tsv" in file.path.lower()
    parsing = pacsv.ParseOptions(delimiter="\t" if tabs else ",", newlines_in_values=True)
    with file.system.open_input_stream(file.path, compression=_compression(file)) as source:
        batches = pacsv.open_csv(source, parse_options=parsing, convert_options=options)
        yield from _rows(batches, 0, start, size)


def _rows(batches: Any, row: int, start: int, size: int) -> Iterator[Part]:
    """The batches, the first of which begins with row `row`, as parts from row `start` on."""
    for batch in batches:
        end = row + batch.num_rows
        for begin in range(max(row, start), end, size):
            yield Rows.of(begin, pa.Table.from_batches([batch.slice(begin - row, size)]))
        row = end


def _jsonl(file: File, start: int, size: int, types: Mapping[str, Any]) -> Iterator[Part]:
    with file.system.open_input_stream(file.path, compression=_compression(file)) as source:
        lines = itertools.islice(_lines(source), start, None)
        row = start
        while taken := list(itertools.islice(lines, size)):
            yield _objects(row, taken)
            row += len(taken)


def _lines(source: Any) -> Iterator[bytes]:
    rest = b""
    while block := source.read(1 << 20):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _objects(row: int, lines: list[bytes]) -> Part:
    """Lines as objects, and those that are none. Empty lines count as rows, and are skipped."""
    good: list[dict[str, Any]] = []
    places: list[int] = []
    bad: list[Bad] = []
    for place, line in enumerate(lines, row):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
            problem = None if isinstance(value, dict) else "the line is no JSON object"
        except orjson.JSONDecodeError as error:
            problem = f"the line is not valid JSON: {error}"
        if problem is not None:
            bad.append(Bad(place, problem, line.decode("utf-8", "replace")))
            continue
        good.append(value)
        places.append(place)
    return Objects(good, places, row + len(lines), tuple(bad))


def _compression(file: File) -> str | None:
    for ending, name in ((".gz", "gzip"), (".bz2", "bz2"), (".zst", "zstd"), (".lz4", "lz4")):
        if file.path.lower().endswith(ending):
            return name
    return None
