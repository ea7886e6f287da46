"""Find the tables that an SQL statement names, and refuse functions that it must not use. Pure functions.

The names are read from DuckDB's syntax tree (`json_serialize_sql`). Another parser could be misled by the
text of a statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from ..interface.errors import InvalidArgument

# Table functions that are allowed in FROM. Others read files, settings or addresses, or hide names.
_TABLE_FUNCTIONS = frozenset(
    ["generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"]
)  # fmt: skip
_REFUSED = frozenset(
    [
        "current_setting",
        "currval",
        "getenv",
        "getvariable",
        "json_serialize_plan",
        "nextval",
        "query",
        "query_table",
        "write_log",
    ]
)
_LISTS = frozenset(("tables", "databases", "schemas", "variables", "__show_tables_expanded"))


@dataclass(frozen=True, slots=True)
class Named:
    """The names in a statement.

    tables   names in FROM, each once in each of its spellings
    own      names that the statement itself defines, in lower case
    columns  names of columns that it may read, in lower case; None: any column, for example because of "*"
    """

    tables: tuple[str, ...]
    own: frozenset[str]
    columns: frozenset[str] | None


def named(tree: str) -> Named:
    """Collect the names in a statement's syntax tree. Raises InvalidArgument for forbidden names."""
    try:
        parsed = orjson.loads(tree)
    except orjson.JSONDecodeError:
        raise InvalidArgument("the SQL statement is nested too deeply") from None
    if parsed["error"]:
        raise InvalidArgument(f"the SQL statement cannot be run: {parsed['error_message']}")
    tables: dict[str, None] = {}
    own: set[str] = set()
    columns: set[str] = set()
    alone: set[str] = set()  # names of columns without a table before them
    rows: set[str] = set()  # names that may refer to a whole row
    every = False
    in_from: set[int] = set()  # calls that are tables
    for node in _nodes(parsed["statements"]):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            name = _alone(node, node["table_name"])
            tables.setdefault(name)
        elif kind == "SHOW_REF" and "query" not in node:
            name = node["table_name"].strip('"')
            if name in _LISTS:
                raise InvalidArgument("SHOW lists nothing here: see list_collections()")
            tables.setdefault(name)
        elif kind == "TABLE_FUNCTION":
            in_from.add(id(node["function"]))
            _check_table_function(_alone(node["function"], node["function"]["function_name"]))
        elif isinstance(kind, str) and kind.endswith("_QUERY_NODE"):
            raise InvalidArgument("collections are changed with add, upsert, update and delete, not in SQL")
        if "function_name" in node and id(node) not in in_from:
            _check_function(node["function_name"])  # may be a method of a column: column.upper()
        every = every or kind in ("STAR", "PIVOT", "SHOW_REF") or node.get("ref_type") == "NATURAL"
        path = node.get("column_names", ())
        columns.update(map(str.lower, (*path, *node.get("using_columns", ()))))
        if len(path) == 1:
            alone.add(path[0].lower())
        if kind in ("BASE_TABLE", "SUBQUERY", "JOIN"):
            rows.update(node[key].lower() for key in ("alias", "table_name") if node.get(key))
        if "cte_map" in node:
            own.update(entry["key"].lower() for entry in node["cte_map"].get("map", ()))
    every = every or bool(alone & rows)
    return Named(tuple(tables), frozenset(own), None if every else frozenset(columns))


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield all mappings in a tree, outer mappings first."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _alone(node: dict[str, Any], name: str) -> str:
    """Return the name of a table or function. Raises InvalidArgument if a schema or catalog precedes it."""
    path = node.get("qualified_name", {}).get("path") or [
        part for key in ("catalog", "catalog_name", "schema", "schema_name") if (part := node.get(key))
    ] + [name]
    if len(path) > 1:
        raise InvalidArgument(
            f"the SQL statement names {'.'.join(path)!r}: name collections and functions alone, in double "
            f'quotes where they have dots: "{".".join(path)}"'
        )
    return name


def _check_table_function(name: str) -> None:
    if name.lower() not in _TABLE_FUNCTIONS:
        raise InvalidArgument(
            f"the function {name} cannot be used in FROM here, where collections, tables= and "
            f"{', '.join(sorted(_TABLE_FUNCTIONS))} can"
        )


def _check_function(name: str) -> None:
    if name.lower() in _REFUSED:
        raise InvalidArgument(f"the function {name} cannot be used in SQL here")
