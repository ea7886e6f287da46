"""What commands print: JSON for programs, tables for people."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def print_json(value: Any) -> None:
    """One JSON value, indented. Text stays readable where the output can show it."""
    plain = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") != "utf8"
    click.echo(json.dumps(value, indent=2, ensure_ascii=plain))


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns of text to the left, of numbers to the right. On a terminal, lines end at its edge."""
    table = [tuple(header), *(tuple(map(cell, row)) for row in rows)]
    numbers = [
        bool(rows) and all(isinstance(row[column], (int, float, type(None))) for row in rows)
        for column in range(len(header))
    ]
    widths = [max(width_of(line[column]) for line in table) for column in range(len(header))]
    for line in table:
        texts = [
            _padded(text, width, right) for text, width, right in zip(line, widths, numbers, strict=True)
        ]
        click.echo(_fitting("  ".join(texts).rstrip()))


def cell(value: object) -> str:
    """A value on one line: numbers grouped, nothing as "-", control characters visible."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(_visible(letter) for letter in text)


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if letter.isspace() else repr(letter)[1:-1]


def width_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - width_of(text))
    return blanks + text if right else text + blanks


def _fitting(line: str) -> str:
    if not sys.stdout.isatty():
        return line
    most = shutil.get_terminal_size().columns
    if width_of(line) <= most:
        return line
    kept, used = [], 1
    for letter in line:
        used += width_of(letter)
        if used > most:
            break
        kept.append(letter)
    return "".join(kept) + "…"
