"""How reports and states show themselves: on one line of text, and as a table in a notebook.

Owns: the form of numbers in both. Used in the class body of a dataclass or NamedTuple, as
`__repr__ = report_repr` and `_repr_html_ = report_html`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from .short_repr import printable, shown

# Fields that count bytes. Notebooks show them in larger units, too.
_BYTES = frozenset(("bytes", "log_bytes", "copied", "linked", "reused"))
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_LINE = "1px solid rgba(128,128,128,.35)"
_CELL = f"text-align:left;vertical-align:top;padding:3px 10px;border:0;border-bottom:{_LINE}"


def report_repr(report: Any) -> str:
    """Return the class and its fields: digits are grouped, seconds are rounded, long values are counted."""
    shown_fields = ", ".join(f"{name}={_text(value)}" for name, value in _fields(report))
    return f"{type(report).__name__}({shown_fields})"


def report_html(report: Any) -> str:
    """Return the fields as a table with a row for each."""
    name_style = f"{_CELL};opacity:.65"
    value_style = f"{_CELL};font-variant-numeric:tabular-nums;overflow-wrap:anywhere"
    rows = "".join(
        f'<tr style="background:transparent"><td style="{name_style}">{_html(name)}</td>'
        f'<td style="{value_style}">{_html(_cell(name, value))}</td></tr>'
        for name, value in _fields(report)
    )
    title = f'<div style="font-weight:600;margin-bottom:4px">{_html(type(report).__name__)}</div>'
    style = (
        f"border-collapse:collapse;border:0;border-top:{_LINE};margin:4px 0;color:inherit;font-size:inherit"
    )
    return (
        f'<div style="font-size:13px;line-height:1.45;margin:2px 0;overflow-x:auto">{title}'
        f'<table style="{style}"><tbody>{rows}</tbody></table></div>'
    )


def size(amount: int) -> str:
    """Format a number of bytes: `512 bytes`, `1.2 MiB`."""
    exponent = min((max(amount, 1).bit_length() - 1) // 10, len(_UNITS) - 1)
    return f"{amount:,} bytes" if not exponent else f"{amount / 1024**exponent:,.1f} {_UNITS[exponent]}"


def _fields(report: Any) -> Iterator[tuple[str, Any]]:
    names = [field.name for field in fields(report)] if is_dataclass(report) else report._fields
    return ((name, getattr(report, name)) for name in names)


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1 else f"{value:,.2f}"
    if isinstance(value, Mapping):
        return f"{{… {len(value):,}}}" if value else "{}"
    return shown(value)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(str(entry) for entry in value[:20]) + (
            f", … ({len(value):,})" if len(value) > 20 else ""
        )
    if name in _BYTES and isinstance(value, int) and value >= 1024:
        return f"{value:,} ({size(value)})"
    return "" if value is None else _text(value)


def _html(text: str) -> str:
    from html import escape  # has a table of 2,000 names, and is for notebooks only

    return escape(printable(text))
