"""Reads the rows of a file, from any row, in parts of bounded size."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InvalidArgumentError
from ..storage.interface.short_repr import shown
from ..validation.metadata import rounded_int
from ..wire.arrow_stream_decoder import BrokenStream, check_names, validated
from . import arrow_file_messages, csv_reader, csv_records, parquet_batch_rows, text_files
from .chunks import Bad, Objects, Part, Rows
from .csv_records import ENCODING, Dialect
from .file_discovery import File

BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError, BrokenStream)

QUOTE = '"'


@dataclass(frozen=True, slots=True)
class Reading:
    """How text files are read. `types`: the Arrow types of CSV columns by name; the others are texts.

    separator  None: a tab in files called .tsv, else a comma
    encoding   None: UTF-8, or what a byte order mark says
    """

    types: Mapping[str, pa.DataType]
    separator: str | None = None
    quoting: str = QUOTE
    encoding: str | None = None

    def dialect(self, file: File) -> Dialect:
        """Return the separator and the quote of a CSV file."""
        separator = self.separator or ("\t" if ".tsv" in file.path.lower() else ",")
        return Dialect(separator.encode(), self.quoting.encode())


class Cuts:
    """Determines the ends of parts, independently of the blocks in which rows are read.

    The first part ends after `first` rows, the others at multiples of `size`, or earlier if rows are long.
    A resumed load must repeat the part in which it was killed: `begun` makes the first part end where it
    ended before.
    """

    def __init__(self, size: int, first: int, begun: bool = False) -> None:
        self._size, self._first, self.begun = size, first, begun

    def end(self, begin: int) -> int:
        """Return the end of the part that begins with this row."""
        if self._first:
            end, self._first = begin + self._first, 0
            return end
        self.begun = False
        return (begin // self._size + 1) * self._size

    def sooner(self, size: int) -> bool:
        """Whether the current part ends early because it holds `size` bytes."""
        return size > _LONG_PART and not self.begun


def count_rows(file: File) -> int | None:
    """Return the number of rows of a file. None if it is unknown without reading the file."""
    if file.format != "parquet":
        return None
    try:
        with file.system.open_input_file(file.path) as source:
            return int(pq.ParquetFile(source).metadata.num_rows)
    except BROKEN as error:
        raise unreadable(file, error) from error


def read(file: File, start: int, cuts: Cuts, reading: Reading) -> Iterator[tuple[Part, int]]:
    """Yield parts from row `start`, each with the number of bytes read so far.

    Raises InvalidArgumentError for a file that is not in its format. Rows of CSV that cannot be read, and
    lines that are not JSON objects, do not raise an error. Each part lists its bad rows.
    """
    try:
        with file.system.open_input_file(file.path) as source:
            if file.format == "parquet":
                parts: Iterable[Part] = _parquet(source, start, cuts)
            elif file.format == "arrow":
                parts = rows(arrow_file_messages.batches(source), 0, start, cuts)
            else:
                stream = text_files.unpacked(source)
                pieces = text_files.pieces(stream, reading.encoding)
                if file.format == "csv":
                    parts = _csv(pieces, start, cuts, reading.dialect(file), reading.types)
                else:
                    parts = _jsonl(pieces, start, cuts)
            for part in parts:
                yield part, source.tell()
                start = part.end
    except BROKEN as error:
        raise unreadable(file, error, start) from error


def unreadable(file: File, error: Exception, row: int = 0) -> InvalidArgumentError:
    """Return the error for a file that cannot be read at row `row` or beyond it."""
    where = f" beyond row {row:,}" if row else ""
    cause = f"{error!s:.500}"
    if isinstance(error, UnicodeDecodeError):
        cause = f"{csv_records.byte_of(error)} is not {error.encoding}: {ENCODING}"
    elif file.format in ("parquet", "arrow") and (found := _kind(file)) is not None:
        cause = f"{found} ({cause})"
    return InvalidArgumentError(f"the file {file.path} cannot be read as {file.format}{where}: {cause}")


def _kind(file: File) -> str | None:
    """Return the real type of a file that should be Parquet or Arrow, by its first bytes. None if it is
    unknown."""
    try:
        with file.system.open_input_file(file.path) as source:
            return text_files.kind_of(source.read(100))
    except OSError:
        return None  # the file went away; the first error tells more


def rows(batches: Iterable[pa.RecordBatch], row: int, start: int, cuts: Cuts) -> Iterator[Rows]:
    """Yield parts from row `start` of the batches, which begin with row `row`. A change of columns also ends
    a part."""
    waiting: list[pa.RecordBatch] = []
    begin = end = size = 0
    for batch in batches:
        cursor, stop = max(row, start), row + batch.num_rows
        if waiting and cursor < stop and waiting[0].schema != batch.schema:
            yield Rows.of(begin, pa.Table.from_batches(waiting))
            waiting = []
        while cursor < stop:
            if not waiting:
                begin, end, size = cursor, cuts.end(cursor), 0
            upto = min(stop, end)
            waiting.append(batch.slice(cursor - row, upto - cursor))
            cursor = upto
            size += waiting[-1].nbytes
            if cursor == end or cuts.sooner(size):
                yield Rows.of(begin, pa.Table.from_batches(waiting))
                waiting = []
        row = stop
    if waiting:
        yield Rows.of(begin, pa.Table.from_batches(waiting))


def _parquet(source: Any, start: int, cuts: Cuts) -> Iterator[Part]:
    parquet = pq.ParquetFile(source, pre_buffer=False)
    group, row = 0, 0
    while group < parquet.num_row_groups:
        count = parquet.metadata.row_group(group).num_rows
        if row + count > start:
            break
        row, group = row + count, group + 1
    groups = list(range(group, parquet.num_row_groups))
    if groups:
        check_names(parquet.schema_arrow)
        size = parquet_batch_rows.fitting(parquet, source, groups, _BLOCK)
        batches = parquet.iter_batches(batch_size=size, row_groups=groups, use_threads=False)
        yield from rows(map(validated, batches), row, start, cuts)


_LONG_PART = 256 << 20  # bytes at which a part ends, regardless of its number of rows
_LONGEST_LINE = 256 << 20  # maximum bytes of a line in a file of JSON lines
_BLOCK = 10_000  # rows decoded at a time


def _csv(
    pieces: Iterator[bytes], start: int, cuts: Cuts, dialect: Dialect, types: Mapping[str, pa.DataType]
) -> Iterator[Part]:
    names, begin = csv_records.header(pieces, dialect)
    bad: dict[int, Bad] = {}
    batches = csv_reader.read(csv_reader.Form(names, types, dialect), begin, pieces, bad)
    for part in rows(batches, 0, start, cuts):
        yield part.without({row: bad.pop(row) for row in sorted(bad) if row < part.end}) if bad else part


def _jsonl(pieces: Iterator[bytes], start: int, cuts: Cuts) -> Iterator[Part]:
    lines = itertools.islice(_lines(pieces), start, None)
    row = start
    while taken := list(itertools.islice(lines, 1)):
        taken += itertools.islice(lines, cuts.end(row) - row - 1)
        yield _objects(row, taken)
        row += len(taken)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []  # the parts of a line that is longer than a piece
    size = 0
    for piece in pieces:
        first, *others = piece.split(b"\n")
        rest.append(first)
        size += len(first)
        if size > _LONGEST_LINE:
            raise BrokenStream(f"a line has more than {_LONGEST_LINE:,} bytes: one line is one record")
        if others:
            yield b"".join(rest)
            yield from others[:-1]
            rest, size = [others[-1]], len(others[-1])
    if last := b"".join(rest):
        yield last


_NO_OBJECT = "the line is no JSON object: a file of JSON lines has one object per line"


def _objects(row: int, lines: list[bytes]) -> Part:
    """Parse lines to objects, and report lines that are not objects. Empty lines are skipped but counted."""
    good: list[dict[str, Any]] = []
    row_numbers: list[int] = []
    bad: list[Bad] = []
    for number, line in enumerate(lines, row):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
            problem = _huge(value, line) if isinstance(value, dict) else _NO_OBJECT
        except orjson.JSONDecodeError as error:
            problem = f"the line is not valid JSON: {error}"
            if "UTF-8" in problem or not _is_utf8(line):
                problem += f"; {ENCODING}"
        if problem is not None:
            bad.append(Bad(number, problem, line.decode("utf-8", "replace")))
            continue
        good.append(value)
        row_numbers.append(number)
    return Objects(good, row_numbers, row + len(lines), tuple(bad))


def _huge(value: dict[str, Any], line: bytes) -> str | None:
    """Return the error text for an integer beyond 64 bits, which the parser turns into a float, else None."""
    found = rounded_int(value, line)
    if found is None:
        return None
    return f"{shown(found[0])} is {found[1]}: an int must fit in 64 bits; write it as a string"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
