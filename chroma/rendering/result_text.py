"""Prints results of `get`, `query` and `search` as tables of text, for terminals."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import text

_MOST = 20  # rows per result, unless more are asked for
_NARROW, _WIDE = 24, 72  # characters of a column of texts, between which the width of the terminal decides
_COLUMNS = {"documents": "document", "metadatas": "metadata", "uris": "uri", "embeddings": "embedding"}


def records_text(result: Mapping[str, Any], most: int = _MOST) -> str:
    """Return the records of a result of `get` as a table, and how many are left out."""
    return _table(list(_rows(result, result["ids"])), [], len(result["ids"]), most)


def hits_text(result: Mapping[str, Any], what: str, measure: str, most: int = _MOST) -> str:
    """Return the hits of all queries or searches as one table, nearest first.

    what     the name of the column that numbers the queries
    measure  the field with the distance or score of each hit
    """
    rows = []
    for number, ids in enumerate(result["ids"]):
        part = {field: None if result.get(field) is None else result[field][number] for field in _COLUMNS}
        measured = result.get(measure)
        for index, row in enumerate(_rows(part, ids)):
            numbers = {what: str(number)} if len(result["ids"]) > 1 else {}
            value = None if measured is None or measured[number] is None else measured[number][index]
            shown = {} if value is None else {measure.removesuffix("s"): text.distance(float(value))}
            rows.append({**numbers, "rank": str(index + 1), "id": row.pop("id"), **shown, **row})
    return _table(rows, [what, "rank", measure.removesuffix("s")], len(rows), most)


def _rows(columns: Mapping[str, Any], ids: Sequence[str]) -> Iterator[dict[str, str]]:
    fields = {field: name for field, name in _COLUMNS.items() if columns.get(field) is not None}
    for row, id in enumerate(ids):
        cells = {name: _cell(field, columns[field][row]) for field, name in fields.items()}
        yield {"id": text.short(id, 40), **cells}


def _cell(field: str, value: Any) -> str:
    if value is None:
        return ""
    if field == "embeddings":
        return text.vector(value)
    width = max(_NARROW, min(_WIDE, shutil.get_terminal_size((100, 24)).columns // 2 - 16))
    if field == "metadatas":
        return text.short(", ".join(f"{key} {entry}" for key, entry in text.pairs(value)), width)
    return text.short(value, width)


def _table(rows: list[dict[str, str]], right: Sequence[str], total: int, most: int) -> str:
    if not rows:
        return "no records"
    names = list(dict.fromkeys(name for row in rows for name in row))
    aligned = frozenset(number for number, name in enumerate(names) if name in right)
    lines = text.grid(names, [[row.get(name, "") for name in names] for row in rows[:most]], aligned)
    return f"{lines}\n… and {total - most:,} more" if total > most else lines
