"""Formats values as short texts for users. Never builds a long text and then truncates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from ..storage.interface.short_repr import shown

# The maximum characters of a text in a cell, which fill two or three lines of a table.
CELL = 160

_VISIBLE = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}  # symbols for control characters


def short(text: str, width: int = CELL) -> str:
    """Return the beginning of a text on one line."""
    head = " ".join(text[: 2 * width].split())
    cut = len(text) > 2 * width or len(head) > width
    head = head[:width].rstrip() + "…" if cut else head
    return head.translate(_VISIBLE)


def number(value: int | float) -> str:
    """Format a number with thousands separators, and a fraction with at most six significant digits."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    whole = value.is_integer() and abs(value) < 1e15
    return f"{value:,.1f}" if whole else f"{value:.6g}"


def count(amount: int, noun: str) -> str:
    """Format a count with its noun: `1 record`, `2,000 records`."""
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {plural(noun)}"


def plural(noun: str) -> str:
    if noun.endswith("y"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith("ch") else "s")


def distance(value: float) -> str:
    """Format a distance with four decimal places unless it is very small or large. Never shows -0."""
    whole = f"{abs(value):.4f}" if 1e-3 <= abs(value) < 1e6 or abs(value) < 1e-6 else f"{abs(value):.4g}"
    return f"-{whole}" if value < 0 and float(whole) else whole


def vector(values: Any) -> str:
    """Format a vector: `384 numbers [0.0123, -0.2, 0.334, …]`."""
    if values is None:
        return ""
    head = ", ".join(f"{float(entry):.3g}" for entry in islice(values, 3))
    return f"{count(len(values), 'number')} [{head}{', …' if len(values) > 3 else ''}]"


def value(entry: Any, width: int = CELL) -> str:
    """Format a metadata value. A text has no quotes unless it looks like a value of another type."""
    if isinstance(entry, str):
        return repr(entry) if _ambiguous(entry) else short(entry, width)
    if isinstance(entry, (int, float)):
        return str(entry)  # without separators, because it may be a year or an identifier
    if isinstance(entry, (list, tuple)):
        head = ", ".join(value(each, 40) for each in islice(entry, 5))
        return f"[{head}{', …' if len(entry) > 5 else ''}]"
    return other(entry)


def brief(entry: Any) -> str:
    """Format a metadata value for a narrow column: six digits of a fraction, the beginning of a text."""
    return f"{entry:.6g}" if isinstance(entry, float) else value(entry, 60)


def other(entry: Any) -> str:
    """Format a value that metadata cannot have, such as a data loader's result. An image is shown as its
    shape."""
    if entry is None:
        return ""
    if isinstance(entry, str):
        return short(entry)
    shape = getattr(entry, "shape", None)
    if isinstance(shape, tuple) and hasattr(entry, "dtype"):
        return f"{'×'.join(map(str, shape))} {entry.dtype}"
    return shown(entry)


def pairs(metadata: Mapping[str, Any] | None, most: int = 12) -> list[tuple[str, str]]:
    """Return the first `most` keys and values of metadata, then the number of the others."""
    if not isinstance(metadata, Mapping):
        return [] if metadata is None else [("", other(metadata))]
    found = [(short(str(key), 60), value(entry)) for key, entry in islice(metadata.items(), most)]
    if len(metadata) > most:
        found.append(("…", f"and {len(metadata) - most} more"))
    return found


def grid(header: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Format a table as lines of text. Columns in `right` are right-aligned."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def laid(line: Sequence[str]) -> str:
        cells = [
            text.rjust(widths[column]) if column in right else text.ljust(widths[column])
            for column, text in enumerate(line)
        ]
        return "  ".join(cells).rstrip()

    return "\n".join(laid(line) for line in lines)


def _ambiguous(text: str) -> bool:
    if text in ("", "True", "False", "None") or text != text.strip():
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
