"""Translate a filter tree to DuckDB SQL with parameters, for one table layout.

Owns: the SQL text. The functions are pure and open no connection. Values never become part of the text.

The expression for a node is true, false or null. Null is treated as false, so only Not has to convert it. If
no row has a key with a type, the layout lacks this slot. A condition on it is constant and left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..schema.metadata_columns import Slot
from .parser import And, Compare, Everything, Member, Never, Node, Not, Nothing, OneOf, Or

_SQL_TYPES = {"str": "VARCHAR", "int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN"}
TRUE, FALSE = "true", "false"


class Layout(NamedTuple):
    """The layout of a table.

    wide          maps a slot to its column
    sparse        maps a slot to its code in `sparse_table`
    sparse_table  the name of the table with the sparse values
    """

    wide: Mapping[Slot, str]
    sparse: Mapping[Slot, int]
    sparse_table: str


@dataclass(slots=True)
class Query:
    """An SQL condition and its parameters, in order."""

    sql: str
    parameters: list[Any] = field(default_factory=list)


def to_sql(node: Node, layout: Layout) -> Query:
    """Return the filter as an SQL condition on the rows of the layout's table.

    A constant condition is "true" or "false"."""
    parameters: list[Any] = []
    return Query(_sql(node, layout, parameters), parameters)


def _sql(node: Node, layout: Layout, parameters: list[Any]) -> str:
    match node:
        case Everything():
            return TRUE
        case Nothing() | Never():
            return FALSE
        case Compare(key, kind, op, value):
            return _leaf(layout, parameters, (key, kind), f"{{}} {op} ?::{_SQL_TYPES[kind]}", value)
        case OneOf(key, kind, values):
            test = f"{{}} IN (SELECT unnest(?::{_SQL_TYPES[kind]}[]))"
            return _leaf(layout, parameters, (key, kind), test, list(values))
        case Member(key, kind, value):
            slot: Slot = (key, f"{kind}[]")  # type: ignore[assignment]
            return _leaf(layout, parameters, slot, f"{{}} = ?::{_SQL_TYPES[kind]}", value)
        case And(children):
            return _join(children, layout, parameters, word=" AND ", neutral=TRUE, final=FALSE)
        case Or(children):
            return _join(children, layout, parameters, word=" OR ", neutral=FALSE, final=TRUE)
        case Not(child):
            inner = _sql(child, layout, parameters)
            if inner in (TRUE, FALSE):
                return FALSE if inner == TRUE else TRUE
            return f"NOT coalesce({inner}, false)"
        case _:
            raise AssertionError(f"{type(node).__name__} is not answered from metadata")


def _leaf(layout: Layout, parameters: list[Any], slot: Slot, test: str, value: Any) -> str:
    if slot in layout.wide:
        parameters.append(value)
        return f"({test.format(layout.wide[slot])})"
    if slot in layout.sparse:
        parameters.append(value)
        column = f"v_{slot[1].removesuffix('[]')}"
        code = layout.sparse[slot]
        return (
            f'(row IN (SELECT "at" FROM {layout.sparse_table} WHERE code = {code} AND {test.format(column)}))'  # noqa: S608 - the engine made the names; values are parameters
        )
    return FALSE


def _join(
    children: tuple[Node, ...], layout: Layout, parameters: list[Any], *, word: str, neutral: str, final: str
) -> str:
    mark = len(parameters)
    parts: list[str] = []
    for child in children:
        part = _sql(child, layout, parameters)
        if part == final:
            del parameters[mark:]
            return final
        if part != neutral:
            parts.append(part)
    if not parts:
        return neutral
    return parts[0] if len(parts) == 1 else f"({word.join(parts)})"
