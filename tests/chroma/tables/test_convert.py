"""What each type of column becomes, and what is said of those that become nothing."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ...support.checks import refused

UTC = dt.timezone.utc
EAST = dt.timezone(dt.timedelta(hours=2))
NOON = dt.datetime(2024, 5, 1, 12, 30)


class Shade(str, enum.Enum):
    DARK = "dark"


class Level(enum.IntEnum):
    LOW = 1


def stored(collection: Any, column: Any) -> list[Any]:
    """The values of the key "k" after `column` went in with it, record by record."""
    table = pa.table({"id": [str(row) for row in range(len(column))], "k": column})
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(2 * len(column), np.float32)), 2)
    collection.upsert(table.append_column("embedding", vectors))
    return found(collection)


def found(collection: Any) -> list[Any]:
    return [(entry or {}).get("k") for entry in collection.get(include=["metadatas"])["metadatas"]]


def same(got: list[Any], expected: list[Any]) -> None:
    assert [repr(value) for value in got] == [repr(value) for value in expected]


ARROW = {
    "string": (pa.array(["a", "", None]), ["a", "", None]),
    "large_string": (pa.array(["a", None], pa.large_string()), ["a", None]),
    "string_view": (
        pa.array(["a", "longer than twelve bytes", None], pa.string_view()),
        ["a", "longer than twelve bytes", None],
    ),
    "dictionary": (pa.array(["a", "b", "a", None]).dictionary_encode(), ["a", "b", "a", None]),
    "decimal without a fraction": (pa.array([decimal.Decimal(7), None]), [7, None]),
    "dictionary of ints": (pa.array([7, 8, 7]).dictionary_encode(), [7, 8, 7]),
    "run ends": (
        pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([5, None])),
        [5, 5, None],
    ),
    "bool": (pa.array([True, False, None]), [True, False, None]),
    "int8": (pa.array([-128, 127], pa.int8()), [-128, 127]),
    "uint32": (pa.array([2**32 - 1], pa.uint32()), [2**32 - 1]),
    "int64": (pa.array([2**63 - 1, -(2**63), None]), [2**63 - 1, -(2**63), None]),
    "uint64": (pa.array([2**63 - 1], pa.uint64()), [2**63 - 1]),
    "float16": (pa.array(np.array([0.5, -2], np.float16)), [0.5, -2.0]),
    "float32": (pa.array([0.1, None], pa.float32()), [float(np.float32(0.1)), None]),
    "float64": (pa.array([0.1, -0.0, 5e-324, None]), [0.1, -0.0, 5e-324, None]),
    "date32": (pa.array([dt.date(2024, 5, 1), dt.date(1, 1, 1), None]), ["2024-05-01", "0001-01-01", None]),
    "date64": (pa.array([dt.date(1969, 12, 31)], pa.date64()), ["1969-12-31"]),
    "timestamp s": (pa.array([NOON, None], pa.timestamp("s")), ["2024-05-01T12:30:00", None]),
    "timestamp ms": (pa.array([1], pa.timestamp("ms")), ["1970-01-01T00:00:00.001"]),
    "timestamp us": (pa.array([NOON.replace(microsecond=5)]), ["2024-05-01T12:30:00.000005"]),
    "timestamp ns": (pa.array([-1], pa.timestamp("ns")), ["1969-12-31T23:59:59.999999999"]),
    "timestamp UTC": (pa.array([NOON], pa.timestamp("us", "UTC")), ["2024-05-01T12:30:00Z"]),
    "timestamp zone": (pa.array([NOON], pa.timestamp("us", "Europe/Vienna")), ["2024-05-01T12:30:00Z"]),
    "time32": (pa.array([dt.time(1, 2, 3)], pa.time32("s")), ["01:02:03"]),
    "time64": (pa.array([dt.time(1, 2, 3, 4), None]), ["01:02:03.000004", None]),
    "time64 ns": (pa.array([1], pa.time64("ns")), ["00:00:00.000000001"]),
    "uuid": (pa.array([uuid.UUID(int=5).bytes, None], pa.uuid()), [str(uuid.UUID(int=5)), None]),
    "json": (pa.array(['{"a":1}'], pa.json_()), ['{"a":1}']),
    "list": (pa.array([["a", "b"], None, ["c"]]), [["a", "b"], None, ["c"]]),
    "large_list": (pa.array([[1], [2, 3]], pa.large_list(pa.int8())), [[1], [2, 3]]),
    "fixed list": (pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)), [[1, 2], None, [3, 4]]),
    "list_view": (pa.array([[1.5], [2.5, -0.0]], pa.list_view(pa.float64())), [[1.5], [2.5, -0.0]]),
    "large_list_view": (pa.array([["x"], None], pa.large_list_view(pa.string())), [["x"], None]),
    "list of categories": (
        pa.ListArray.from_arrays(pa.array([0, 2, 3]), pa.array(["a", "b", "a"]).dictionary_encode()),
        [["a", "b"], ["a"]],
    ),
    "list of dates": (pa.array([[dt.date(2024, 5, 1)]]), [["2024-05-01"]]),
    "list of bools": (pa.array([[True, False], [False]]), [[True, False], [False]]),
    "null": (pa.nulls(2), [None, None]),
    "sliced": (pa.array(["x", "a", None, "b"]).slice(1), ["a", None, "b"]),
    "sliced list": (pa.array([["x"], ["a"], None, ["b", "c"]]).slice(1), [["a"], None, ["b", "c"]]),
    "sliced fixed list": (pa.array([[0, 0], [1, 2], None], pa.list_(pa.int8(), 2)).slice(1), [[1, 2], None]),
    "sliced list_view": (pa.array([[9], [1], [2, 3]], pa.list_view(pa.int64())).slice(1), [[1], [2, 3]]),
    "chunked": (pa.chunked_array([["a"], [], [None, "b"]]), ["a", None, "b"]),
    "chunked dictionaries": (
        pa.chunked_array([pa.array(["a"]).dictionary_encode(), pa.array(["b", "a"]).dictionary_encode()]),
        ["a", "b", "a"],
    ),
    "chunked list": (pa.chunked_array([[["a"], None], [["b", "c"]]]), [["a"], None, ["b", "c"]]),
}


@pytest.mark.parametrize("kind", ARROW)
def test_arrow_types(plain: Any, kind: str) -> None:
    column, expected = ARROW[kind]
    same(stored(plain, column), expected)


REFUSED = {
    "uint64": (pa.array([0, 2**63], pa.uint64()), [str(2**63), "64 bits", "string"]),
    "NaN": (pa.array([1.0, float("nan")]), ["nan", "row 1", "null"]),
    "infinity": (pa.array([None, -np.inf]), ["-inf", "row 1", "null"]),
    "NaN in a list": (pa.array([[1.0], [2.0, float("nan")]]), ["nan", "row 1"]),
    "decimal": (pa.array([None, decimal.Decimal("1.5")]), ["decimal128(2, 1)", "1.5", "row 1", "float64"]),
    "128 bits": (pa.array([decimal.Decimal(-(2**63) - 1)]), [str(-(2**63) - 1), "row 0", "64 bits"]),
    "no UTF-8": (
        pa.Array.from_buffers(
            pa.string(), 2, [None, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff")]
        ),
        ["\\xff", "row 1", "UTF-8"],
    ),
    "a date with a time of day": (
        pa.array([None, 1], pa.int64()).cast(pa.timestamp("ms")).view(pa.date64()),
        ["date64", "row 1", "timestamp[ms]"],
    ),
    "duration": (pa.array([dt.timedelta(1)]), ["duration", "seconds"]),
    "binary": (pa.array([b"x"]), ["binary", "base64"]),
    "binary_view": (pa.array([b"x"], pa.binary_view()), ["binary_view", "base64"]),
    "fixed binary": (pa.array([b"xx"], pa.binary(2)), ["fixed_size_binary", "base64"]),
    "struct": (pa.array([{"a": 1}]), ["struct<a: int64>", "flatten"]),
    "map": (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), ["map", "flatten"]),
    "interval": (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), ["interval", "int64"]),
    "union": (
        pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]),
        ["union", "column per type"],
    ),
    "empty list": (pa.array([["a"], []]), ["empty list", "row 1", "null"]),
    "null in a list": (pa.array([["a"], None, ["b", None]]), ["null", "row 2", "leave it out"]),
    "list of lists": (pa.array([[["a"]]]), ["list<", "leave it out"]),
    "list of structs": (pa.array([[{"a": 1}]]), ["struct", "leave it out"]),
    "uint64 in a list": (pa.array([[2**63]], pa.list_(pa.uint64())), ["64 bits"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_arrow_types(plain: Any, kind: str) -> None:
    column, fragments = REFUSED[kind]
    with refused("'k'", *fragments):
        stored(plain, column)
    assert plain.count() == 0


# ---------------------------------------------------------------------------- pandas


def from_pandas(collection: Any, values: Any) -> list[Any]:
    frame = pd.DataFrame({"id": [str(row) for row in range(len(values))], "k": values})
    frame["embedding"] = [np.ones(2, np.float32)] * len(frame)
    collection.upsert(frame)
    return found(collection)


PANDAS = {
    "object": (pd.Series(["a", None, np.nan, pd.NA], dtype=object), ["a", None, None, None]),
    "mixed": (
        pd.Series([1, "a", 2.5, True, [1], ["b"], None], dtype=object),
        [1, "a", 2.5, True, [1], ["b"], None],
    ),
    "ints and floats": (pd.Series([1, 2.0], dtype=object), [1, 2.0]),
    "bools and ints": (pd.Series([True, 1, 0, False], dtype=object), [True, 1, 0, False]),
    "numpy scalars": (
        pd.Series([np.int8(1), np.float32(0.5), np.bool_(True), np.str_("x")], dtype=object),
        [1, 0.5, True, "x"],
    ),
    "arrays": (pd.Series([np.array([1, 2]), np.array([3])], dtype=object), [[1, 2], [3]]),
    "arrays of texts": (pd.Series([np.array(["a", "b"])], dtype=object), [["a", "b"]]),
    "arrays of one length": (pd.Series([np.array([1, 2]), None], dtype=object), [[1, 2], None]),
    "tuples": (pd.Series([("a",), ("b", "c")], dtype=object), [["a"], ["b", "c"]]),
    "big": (pd.Series([2**63 - 1, None], dtype=object), [2**63 - 1, None]),
    "Int64": (pd.Series([2**63 - 1, None], dtype="Int64"), [2**63 - 1, None]),
    "UInt8": (pd.Series([255, None], dtype="UInt8"), [255, None]),
    "boolean": (pd.Series([True, None], dtype="boolean"), [True, None]),
    "Float64": (pd.Series([0.5, None], dtype="Float64"), [0.5, None]),
    "string": (pd.Series(["a", None], dtype="string"), ["a", None]),
    "float": (pd.Series([0.5, np.nan, -0.0]), [0.5, None, -0.0]),
    "category": (pd.Series(["a", None, "b"], dtype="category"), ["a", None, "b"]),
    "category of ints": (pd.Series([1, 2], dtype="category"), [1, 2]),
    "datetime": (pd.Series([pd.Timestamp("2024-05-01 12:30"), pd.NaT]), ["2024-05-01T12:30:00", None]),
    "datetime with a zone": (
        pd.Series([pd.Timestamp("2024-05-01 14:30", tz="Europe/Vienna")]),
        ["2024-05-01T12:30:00Z"],
    ),
    "numpy times": (
        pd.Series(
            [np.datetime64("2024-05-01"), np.datetime64("NaT"), np.datetime64("2024-05-01T12:30", "ns")],
            dtype=object,
        ),
        ["2024-05-01", None, "2024-05-01T12:30:00"],
    ),
    "parts of seconds": (
        pd.Series([pd.Timestamp(1), NOON.replace(microsecond=5), np.datetime64(1500, "ms")], dtype=object),
        ["1970-01-01T00:00:00.000000001", "2024-05-01T12:30:00.000005", "1970-01-01T00:00:01.500"],
    ),
    "times with zones and without": (
        pd.Series([NOON, NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=EAST)], dtype=object),
        ["2024-05-01T12:30:00", "2024-05-01T12:30:00Z", "2024-05-01T10:30:00Z"],
    ),
    "dates, times and texts": (
        pd.Series([dt.date(2024, 5, 1), NOON, "soon", pd.NaT, dt.time(1, 2)], dtype=object),
        ["2024-05-01", "2024-05-01T12:30:00", "soon", None, "01:02:00"],
    ),
    "times of day with offsets": (
        pd.Series([dt.time(1, 2, tzinfo=EAST), dt.time(3, 4)], dtype=object),
        ["01:02:00+02:00", "03:04:00"],
    ),
    "lists of times": (
        pd.Series(
            [[NOON, NOON.replace(tzinfo=UTC)], np.array(["2024-05-01"], "datetime64[D]")], dtype=object
        ),
        [["2024-05-01T12:30:00", "2024-05-01T12:30:00Z"], ["2024-05-01"]],
    ),
    "enums": (pd.Series([Shade.DARK, Level.LOW, np.str_("x")], dtype=object), ["dark", 1, "x"]),
    "uuids and texts": (pd.Series([uuid.UUID(int=5), "x"], dtype=object), [str(uuid.UUID(int=5)), "x"]),
    "masked": (pd.Series([*np.ma.array([1, 2], mask=[True, False])], dtype=object), [None, 2]),
    "objects of dates": (pd.Series([dt.date(2024, 5, 1), None], dtype=object), ["2024-05-01", None]),
    "arrow": (pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())), ["a", None]),
    "arrow list": (pd.Series([["a"], None], dtype=pd.ArrowDtype(pa.list_(pa.string()))), [["a"], None]),
    "sparse": (pd.arrays.SparseArray([0, 0, 5]), [0, 0, 5]),
}


@pytest.mark.parametrize("kind", PANDAS)
def test_pandas_types(plain: Any, kind: str) -> None:
    column, expected = PANDAS[kind]
    same(from_pandas(plain, column), expected)


REFUSED_PANDAS = {
    "complex": (pd.Series([1j]), ["complex128", "astype"]),
    "period": (pd.Series(pd.period_range("2024", periods=1, freq="M")), ["period", "string"]),
    "interval": (pd.Series(pd.interval_range(0, 1)), ["interval", "string"]),
    "timedelta": (pd.Series([pd.Timedelta(1, "s")]), ["duration", "seconds"]),
    "dicts": (pd.Series([{"a": 1}], dtype=object), ["struct", "flatten"]),
    "bytes": (pd.Series([b"x"], dtype=object), ["binary", "base64"]),
    "decimals": (pd.Series([decimal.Decimal("1.5")], dtype=object), ["decimal", "float64"]),
    "objects": (pd.Series([object()], dtype=object), ["object", "convert"]),
    "a mixture with dicts": (pd.Series(["a", {"a": 1}], dtype=object), ["{'a': 1}", "row 1", "flatten"]),
    "texts and bytes": (pd.Series(["a", b"\xff"], dtype=object), ["\\xff", "row 1", "base64"]),
    "a lone surrogate": (pd.Series(["a", "\ud800"], dtype=object), ["\\ud800", "row 1", "errors='replace'"]),
    "a surrogate in a list": (pd.Series([["a"], ["\ud800"]], dtype=object), ["\\ud800", "row 1"]),
    "a text and a decimal": (
        pd.Series(["a", decimal.Decimal(1)], dtype=object),
        ["Decimal", "row 1", "str("],
    ),
    "128 bits": (pd.Series([1, -(2**63) - 1], dtype=object), [str(-(2**63) - 1), "row 1", "64 bits"]),
    "NaT in a list": (pd.Series([[pd.NaT, NOON]], dtype=object), ["null", "row 0"]),
    "mixed list": (pd.Series([[1, "a"]], dtype=object), ["[1, 'a']", "convert"]),
    "mixed list of numbers": (pd.Series([[1, 2.5]], dtype=object), ["[1, 2.5]", "convert"]),
    "big": (pd.Series([2**64], dtype=object), [str(2**64), "convert"]),
    "NaN among texts in a list": (pd.Series([["a", np.nan]], dtype=object), ["nan", "row 0", "convert"]),
    "infinity": (pd.Series([np.inf]), ["inf", "row 0"]),
    "empty list": (pd.Series([["a"], []], dtype=object), ["empty list", "row 1"]),
}


@pytest.mark.parametrize("kind", REFUSED_PANDAS)
def test_refused_pandas_types(plain: Any, kind: str) -> None:
    column, fragments = REFUSED_PANDAS[kind]
    with refused("'k'", *fragments):
        from_pandas(plain, column)
    assert plain.count() == 0


# ---------------------------------------------------------------------------- polars


def from_polars(collection: Any, series: pl.Series) -> list[Any]:
    frame = pl.DataFrame({"id": [str(row) for row in range(len(series))], "k": series})
    vectors = pl.Series("embedding", [[1.0, 2.0]] * len(frame), pl.Array(pl.Float32, 2))
    collection.upsert(frame.with_columns(vectors))
    return found(collection)


POLARS = {
    "String": (pl.Series(["a", None]), ["a", None]),
    "Categorical": (pl.Series(["a", None, "a"], dtype=pl.Categorical), ["a", None, "a"]),
    "Enum": (pl.Series(["a", "b"], dtype=pl.Enum(["b", "a"])), ["a", "b"]),
    "Date": (pl.Series([dt.date(2024, 5, 1)]), ["2024-05-01"]),
    "Datetime": (pl.Series([NOON, None]), ["2024-05-01T12:30:00", None]),
    "Datetime with a zone": (pl.Series([NOON.replace(tzinfo=UTC)]), ["2024-05-01T12:30:00Z"]),
    "Time": (pl.Series([dt.time(1, 2, 3)]), ["01:02:03"]),
    "List": (pl.Series([["a"], None]), [["a"], None]),
    "Array": (pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2)), [[1, 2]]),
    "List of Categorical": (pl.Series([["a", "b"]], dtype=pl.List(pl.Categorical)), [["a", "b"]]),
    "UInt64": (pl.Series([2**63 - 1], dtype=pl.UInt64), [2**63 - 1]),
    "Boolean": (pl.Series([True, None]), [True, None]),
    "Float32": (pl.Series([0.5], dtype=pl.Float32), [0.5]),
    "Null": (pl.Series([None, None]), [None, None]),
}
REFUSED_POLARS = {
    "Decimal": (pl.Series([decimal.Decimal("1.5")]), ["decimal", "float64"]),
    "Duration": (pl.Series([dt.timedelta(1)]), ["duration"]),
    "Struct": (pl.Series([{"a": 1}]), ["struct", "flatten"]),
    "Binary": (pl.Series([b"x"]), ["binary", "base64"]),
    "UInt64": (pl.Series([2**63], dtype=pl.UInt64), ["64 bits"]),
    "NaN": (pl.Series([0.5, float("nan")]), ["nan", "row 1"]),
    "Int128": (pl.Series([1], dtype=pl.Int128), []),
}


@pytest.mark.parametrize("kind", POLARS)
def test_polars_types(plain: Any, kind: str) -> None:
    column, expected = POLARS[kind]
    same(from_polars(plain, column), expected)


@pytest.mark.parametrize("kind", REFUSED_POLARS)
def test_refused_polars_types(plain: Any, kind: str) -> None:
    column, fragments = REFUSED_POLARS[kind]
    with refused("'k'", *fragments):
        from_polars(plain, column)
    assert plain.count() == 0


def test_a_polars_column_of_objects_is_refused(plain: Any) -> None:
    frame = pl.DataFrame({"id": ["a"], "k": pl.Series([object()], dtype=pl.Object)})
    with refused("'k'"):
        plain.add(frame)


# ---------------------------------------------------------------------------- DuckDB


def test_types_of_relations(plain: Any) -> None:
    import duckdb

    relation = duckdb.sql(
        "select '1' as id, [1.0, 2]::float[2] as embedding, 'x' as s, 1::tinyint as i, 2.5::double as d,"
        " true as b, date '2024-05-01' as day, timestamp '2024-05-01 12:30' as t, ['a'] as l, null as n,"
        " uuid '00000000-0000-0000-0000-000000000005' as u, 'x'::enum('x', 'y') as e"
    )
    plain.add(relation)
    assert plain.get()["metadatas"] == [
        {
            "s": "x",
            "i": 1,
            "d": 2.5,
            "b": True,
            "day": "2024-05-01",
            "t": "2024-05-01T12:30:00",
            "l": ["a"],
            "u": str(uuid.UUID(int=5)),
            "e": "x",
        }
    ]
    plain.upsert(duckdb.sql("select '1' as id, sum(x) as k, -5::hugeint as m from range(5) t(x)"))
    assert (plain.get()["metadatas"][0]["k"], plain.get()["metadatas"][0]["m"]) == (10, -5)
    for expression, fragments in (
        ("1.5::decimal(4, 1)", ["decimal", "1.5", "row 0", "float64"]),
        ("1::hugeint << 100", [str(1 << 100), "row 0", "64 bits"]),
    ):
        with refused("'k'", *fragments):
            plain.upsert(duckdb.sql(f"select '1' as id, {expression} as k"))
