"""Reads CSV files: the types of their columns, and their rows.

A load reads its CSV files twice. The first pass decides the types of the columns by all their cells. It stops
early if all columns are known to be text. The second pass reads the rows. A row that cannot be read is found
with its column and its cause, and the rows beside it are not lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from ..storage.interface.short_repr import shown
from .chunks import Bad
from .csv_records import ENCODING, Block, Dialect, Record, blocks, bytes_of, cell_text, records
from .prefetch import Ahead
from .text_types import Guess, named

_QUOTED = 1  # a byte that no number begins with
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Form:
    """The columns of one file: their names, and the types by name. A column without a type is text."""

    names: Sequence[str]
    types: Mapping[str, pa.DataType]
    dialect: Dialect

    def parse(self, data: Any, ignore_empty: bool = True) -> pa.RecordBatch:
        """Parse whole records. Raises pa.ArrowInvalid for a record that is not of this form."""
        columns = [str(index) for index in range(len(self.names))]
        types = {column: self.types.get(name, pa.string()) for column, name in zip(columns, self.names)}
        table = _parsed(data, columns, types, self.dialect, ignore_empty=ignore_empty)
        batches = table.to_batches()
        if len(batches) != 1:
            batches = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
        return batches[0].rename_columns(self.names)


def _parsed(
    data: Any,
    columns: Sequence[str],
    types: Mapping[str, pa.DataType],
    dialect: Dialect,
    *,
    ignore_empty: bool = True,
    lenient: bool = False,
) -> pa.Table:
    """Parse the columns that `types` has. `lenient`: leave out records with another number of cells, and
    accept bytes that are not UTF-8."""
    data = pa.py_buffer(data)
    return pacsv.read_csv(
        data,
        read_options=pacsv.ReadOptions(use_threads=False, block_size=data.size + 1, column_names=columns),
        parse_options=pacsv.ParseOptions(
            delimiter=dialect.separator.decode(),
            quote_char=dialect.quote.decode() or False,
            newlines_in_values=True,
            ignore_empty_lines=ignore_empty,
            invalid_row_handler=_skip if lenient else None,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            check_utf8=not lenient,
        ),
    )


def _skip(row: Any) -> str:
    return "skip"


def can_be_read(type: pa.DataType) -> bool:
    """Whether Arrow can read cells of a CSV file as this type."""
    try:
        _parsed(b"\n", ["0"], {"0": type}, Dialect(b",", b'"'), ignore_empty=False)
    except pa.ArrowNotImplementedError:
        return False
    return True


# ---------------------------------------------------------------------------- first pass


def look(names: Sequence[str], content: Iterator[Block], dialect: Dialect, guesses: dict[str, Guess]) -> None:
    """Narrow the guesses of a file's columns by all its cells. Quoted cells are texts."""
    columns = {str(index): name for index, name in enumerate(names)}

    def tables() -> Iterator[pa.Table]:
        while selected := [column for column, name in columns.items() if _undecided(guesses.get(name))]:
            block = next(content, None)
            if block is None:
                return
            types = dict.fromkeys(selected, pa.string())
            yield _parsed(_marked(block, dialect), [*columns], types, dialect, lenient=True)

    ahead = Ahead(tables(), 1, "chroma-load-types")  # parses a block while the one before is looked at
    try:
        for table in ahead:
            for column in table.column_names:
                guesses[columns[column]].look(table.column(column))
    finally:
        ahead.close()


def _undecided(guess: Guess | None) -> bool:
    return guess is not None and bool(guess.ways)


def _marked(block: Block, dialect: Dialect) -> Any:
    """Return the records with a byte in each quoted cell that makes it no number. An empty one is none."""
    if not len(block.quoted):
        return block.whole()
    text = np.array(np.frombuffer(block.data, np.uint8, block.end))
    at = block.quoted[block.quoted < len(text) - 1] + 1
    text[at[text[at] != dialect.quote[0]]] = _QUOTED
    return text


# ---------------------------------------------------------------------------- second pass


def read(form: Form, begin: bytes, pieces: Iterator[bytes], bad: dict[int, Bad]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file. A row that cannot be read has no cells, and is put in `bad` by its number."""
    row = 0
    for block in blocks(begin, pieces, form.dialect):
        try:
            batch = form.parse(block.whole())
        except pa.ArrowInvalid:
            batch = _sifted(form, block.data[: block.end], row, bad)
        yield batch
        row += batch.num_rows


def _sifted(form: Form, data: bytes, row: int, bad: dict[int, Bad]) -> pa.RecordBatch:
    """Read a block with rows that cannot be read."""
    lines: list[bytes] = []
    blank = form.dialect.separator * (len(form.names) - 1) + b"\n"
    for number, record in enumerate(records(data, form.dialect)):
        line = data[record.start : record.end]
        if (problem := _problem(form, data, record)) is not None:
            bad[row + number] = Bad(row + number, problem, line.decode("utf-8", "replace").rstrip("\r\n"))
            line = blank
        lines.append(line if line.endswith((b"\n", b"\r")) else line + b"\n")
    for number in _unreadable(form, lines, 0):
        line, lines[number] = lines[number], blank
        cells = _cells(form, line)
        bad[row + number] = Bad(row + number, _misfit(form, line, cells), cells)
    return form.parse(b"".join(lines), ignore_empty=False)


def _problem(form: Form, data: bytes, record: Record) -> str | None:
    """Return why a record cannot be read as texts, or None."""
    if not record.closed:
        return "the quoted cell at its end has no closing quote; quoting='' reads quotes as they are"
    count, columns = len(record.cells), len(form.names)
    if count != columns:
        return f"it has {count} cells, and the first line names {columns} columns"
    for name, cell in zip(form.names, record.cells):
        try:
            data[slice(*cell)].decode()
        except UnicodeDecodeError as error:
            return f"the column {shown(name)} {bytes_of(error)}: {ENCODING}"
    return None


def _unreadable(form: Form, lines: Sequence[bytes], start: int) -> Iterator[int]:
    """Find the records with a cell that is not of its column's type, by bisection."""
    try:
        form.parse(b"".join(lines), ignore_empty=False)
    except pa.ArrowInvalid:
        half = len(lines) // 2
        if not half:
            yield start
            return
        yield from _unreadable(form, lines[:half], start)
        yield from _unreadable(form, lines[half:], start + half)


def _cells(form: Form, line: bytes) -> dict[str, str | None]:
    (record,) = records(line, form.dialect)
    texts = (cell_text(line[slice(*cell)], form.dialect) for cell in record.cells)
    return {name: text or None for name, text in zip(form.names, texts)}


def _misfit(form: Form, line: bytes, cells: Mapping[str, str | None]) -> str:
    """Name the first cell that is not of its column's type."""
    for name in form.names:
        try:
            Form(form.names, {name: form.types.get(name, pa.string())}, form.dialect).parse(line)
        except pa.ArrowInvalid:
            return (
                f"the column {shown(name)} holds {shown(cells[name])}, no {named(form.types[name])}; "
                f"types={{{name!r}: 'string'}} reads the column as text"
            )
    raise AssertionError("each cell of the record can be read")
