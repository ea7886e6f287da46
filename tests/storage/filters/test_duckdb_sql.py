"""The SQL that a filter becomes, and the parameters that carry its values."""

from __future__ import annotations

from typing import Any

import pytest

from chroma.storage.filters.duckdb_sql import Layout, to_sql
from chroma.storage.filters.parser import parse_where

LAYOUT = Layout(
    wide={("n", "int"): "c0", ("n", "float"): "c1", ("s", "str"): "c2", ("b", "bool"): "c3"},
    sparse={("rare", "str"): 0, ("tags", "str[]"): 1},
    sparse_table="sp",
)


@pytest.mark.parametrize(
    ("where", "sql", "parameters"),
    [
        ({"s": "x"}, "(c2 = ?::VARCHAR)", ["x"]),
        ({"b": True}, "(c3 = ?::BOOLEAN)", [True]),
        ({"n": 1}, "((c0 = ?::BIGINT) OR (c1 = ?::DOUBLE))", [1, 1.0]),
        ({"n": 1.5}, "(c1 = ?::DOUBLE)", [1.5]),
        ({"n": {"$gt": 1.5}}, "((c0 > ?::BIGINT) OR (c1 > ?::DOUBLE))", [1, 1.5]),
        ({"n": {"$gte": 1.5}}, "((c0 >= ?::BIGINT) OR (c1 >= ?::DOUBLE))", [2, 1.5]),
        (
            {"n": {"$lt": 2**53 + 1}},
            "((c0 < ?::BIGINT) OR (c1 <= ?::DOUBLE))",
            [2**53 + 1, float(2**53)],
        ),
        ({"s": {"$ne": "x"}}, "NOT coalesce((c2 = ?::VARCHAR), false)", ["x"]),
        ({"s": {"$in": ["x", "y"]}}, "(c2 IN (SELECT unnest(?::VARCHAR[])))", [["x", "y"]]),
        (
            {"rare": "x"},
            '(row IN (SELECT "at" FROM sp WHERE code = 0 AND v_str = ?::VARCHAR))',
            ["x"],
        ),
        (
            {"tags": {"$contains": "x"}},
            '(row IN (SELECT "at" FROM sp WHERE code = 1 AND v_str = ?::VARCHAR))',
            ["x"],
        ),
        ({"absent": 1}, "false", []),
        ({"absent": {"$ne": 1}}, "true", []),
        ({"$and": [{"absent": 1}, {"s": "x"}]}, "false", []),
        ({"$or": [{"absent": 1}, {"s": "x"}]}, "(c2 = ?::VARCHAR)", ["x"]),
        ({"$or": [{"s": "x"}, {"s": "y"}]}, "(c2 IN (SELECT unnest(?::VARCHAR[])))", [["x", "y"]]),
        (
            {"$and": [{"s": {"$ne": "x"}}, {"s": {"$nin": ["y", "z"]}}]},
            "NOT coalesce((c2 IN (SELECT unnest(?::VARCHAR[]))), false)",
            [["x", "y", "z"]],
        ),
    ],
    ids=str,
)
def test_a_filter_becomes_sql_with_parameters(where: Any, sql: str, parameters: list[Any]) -> None:
    query = to_sql(parse_where(where), LAYOUT)
    assert query.sql == sql
    assert query.parameters == parameters
    assert list(map(type, query.parameters)) == list(map(type, parameters))
