"""Formats the output of commands: JSON, JSON lines, CSV for programs; tables and records for people."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Literal, TypeAlias

import click

from ..storage.interface.sparse_vector import SparseVector

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")

Output: TypeAlias = Literal["table", "json", "csv", "tsv", "nl", "column"]
_FORMS = {
    "json": "Print one JSON value instead of a table.",
    "csv": "Print CSV with a header.",
    "tsv": "Print CSV with tabs between the cells.",
    "nl": "Print JSON lines: an object per row.",
    "column": "Print a line per column, one record below the other.",
}


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --json, --csv, --tsv, --nl and --column. The command receives the form as `output`."""

    @wraps(command)
    def with_output(**values: Any) -> None:
        chosen = [form for form in _FORMS if values.pop(f"as_{form}")]
        if len(chosen) > 1:
            raise click.UsageError(f"--{chosen[0]} and --{chosen[1]} are two forms of output: give one")
        command(output=chosen[0] if chosen else "table", **values)

    for form, text in reversed(_FORMS.items()):
        with_output = click.option(f"--{form}", f"as_{form}", is_flag=True, help=text)(with_output)
    return with_output


def print_rows(
    output: Output,
    header: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    keys: Sequence[str] | None = None,
) -> None:
    """Print rows of plain values as CSV, as JSON lines, or one below the other. Nothing is shortened.

    keys  those of the rows, if they are not the names in the header; of CSV, these need not be distinct
    """
    if output == "nl":
        for row in rows:
            say(json.dumps(row, ensure_ascii=not _utf8(), default=_sparse))
    elif output == "column":
        _print_columns(header, rows)
    else:
        delimiter = "\t" if output == "tsv" else ","
        say(delimiter.join(_csv_cell(name, delimiter) for name in header))
        for row in rows:
            say(delimiter.join(_csv_cell(row.get(key), delimiter) for key in keys or header))


def _csv_cell(value: Any, delimiter: str) -> str:
    """Return a cell of CSV. A text is quoted if it has to be, or if it could be read as a number or a
    null."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_sparse)
    if isinstance(value, (bool, int, float)):
        return text
    plain = _PLAIN.fullmatch(text) and delimiter not in text and not _LIKE_A_VALUE.fullmatch(text)
    return text if plain else '"' + text.replace('"', '""') + '"'


_PLAIN = re.compile(r"[^\s\"](?:[^\r\n\"]*[^\s\"])?")
_LIKE_A_VALUE = re.compile(
    r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|true|false|null|nan|[-+]?inf(?:inity)?", re.IGNORECASE
)


def _print_columns(header: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    width = max(map(width_of, header), default=0)
    for number, row in enumerate(rows):
        if number:
            say("")
        for name in header:
            value = row.get(name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            lines = (str(value) if whole or isinstance(value, str) else cell(value)).splitlines() or [""]
            for index, line in enumerate(lines):
                say(f"{_padded('' if index else name, width, False)}  {cell(line)}".rstrip())


def hint(text: str) -> None:
    """Print help for a person to standard error. It is not part of the output."""
    say(text, err=True)


def _utf8() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def print_json(value: Any, *, err: bool = False) -> None:
    """Print an indented JSON value with lists of numbers on one line. Escapes text unless stdout is UTF-8."""
    text = json.dumps(value, indent=2, ensure_ascii=not _utf8(), default=_sparse)
    # A line break can occur only between values, because a string contains it as \\n.
    say(
        re.sub(r"\[\n\s+([^\[\]{}\"]*?)\n\s*\]", lambda found: f"[{' '.join(found[1].split())}]", text),
        err=err,
    )


def _sparse(value: Any) -> Any:
    """Return the JSON of a sparse vector, the only value in metadata that is not JSON by itself."""
    if isinstance(value, SparseVector):
        return value.to_dict()
    raise TypeError(f"{type(value).__name__} is no value of metadata")


def say(text: str, *, err: bool = False) -> None:
    """Print a line. Raises BrokenPipeError if nobody reads it, also where PYTHONUNBUFFERED is set.

    Without a buffer, Python writes once and ignores how much was taken. So the text is written in pieces that
    are so small that a pipe takes each of them whole.
    """
    raw = isinstance(getattr(sys.stderr if err else sys.stdout, "buffer", None), io.RawIOBase)
    for start in range(0, len(text), _PIECE) if raw else ():
        click.echo(text[start : start + _PIECE], nl=False, err=err)
    click.echo("" if raw else text, err=err)


_PIECE = 128  # characters, which are at most 512 bytes: the smallest PIPE_BUF of POSIX


def counted(number: int, thing: str) -> str:
    """Format a count with its noun: "1 collection", "2 collections"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table with texts left-aligned and numbers right-aligned. Truncates long cells on a terminal."""
    table = [tuple(header), *(tuple(map(cell, row)) for row in rows)]
    numbers = [
        bool(rows) and all(isinstance(row[column], (int, type(None))) for row in rows)
        for column in range(len(header))
    ]
    widths = [max(width_of(line[column]) for line in table) for column in range(len(header))]
    if sys.stdout is not None and sys.stdout.isatty():
        _narrow(widths, shutil.get_terminal_size().columns - 2 * (len(widths) - 1))
    for line in table:
        texts = [
            _padded(cut(text, width), width, right)
            for text, width, right in zip(line, widths, numbers, strict=True)
        ]
        say("  ".join(texts).rstrip())


def _narrow(widths: list[int], most: int) -> None:
    """Narrow the widest columns until all fit. No column gets narrower than 8 characters."""
    while sum(widths) > most and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1


def cell(value: object) -> str:
    """Format a value on one line: digits grouped, None as "-", control characters visible."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_sparse)
    return "".join(_visible(letter) for letter in text)


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if letter.isspace() else repr(letter)[1:-1]


def width_of(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - width_of(text))
    return blanks + text if right else text + blanks


def cut(text: str, width: int) -> str:
    """Truncate a text to `width` columns, with a mark at the end if it was longer."""
    if width_of(text) <= width:
        return text
    kept, used = [], 1
    for letter in text:
        used += width_of(letter)
        if used > width:
            break
        kept.append(letter)
    return "".join(kept) + "…"
