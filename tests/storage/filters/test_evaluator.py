"""What filters load and hold: no DuckDB for what is simple, and memory that is counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from chroma.storage.filters import column_index
from chroma.storage.filters.metadata_filter import FilterArrays
from chroma.storage.filters.parser import Everything, parse_where
from chroma.storage.filters.row_set import RowSet, complement, gathered, intersection, none, union
from chroma.storage.schema.metadata_columns import MetadataColumns

ROOT = Path(__file__).parents[3]

SIMPLE = """
import sys
import chroma

things = chroma.EphemeralClient().create_collection("things", embedding_function=None)
rows = range(600)
things.add(
    ids=[str(n) for n in rows],
    embeddings=[[n, 1.0] for n in rows],
    metadatas=[
        {"n": n, "f": n / 2, "s": f"s{n % 7}", "b": n % 2 == 0, "tags": [f"t{n % 5}", "x"]} for n in rows
    ],
    documents=[f"text {n}" for n in rows],
)
window = {"$and": [{"n": {"$gte": 100}}, {"n": {"$lt": 110}}]}
wheres = [
    {"s": "s3"}, {"s": {"$ne": "s3"}}, window, {"f": {"$gt": 1.5}}, {"b": True}, {"absent": 1},
    {"n": {"$in": [1, 2, 3]}}, {"s": {"$in": ["s1", "s2", "s3"]}}, {"s": {"$nin": ["s1"]}},
    {"tags": {"$contains": "t2"}}, {"$or": [{"s": "s1"}, window]},
    {"n": {"$in": list(range(500))}}, {"$or": [{"n": {"$gt": 590 + n}} for n in range(20)]},
]
for round in range(2):
    for where in wheres:
        for name in ("s1", "s2"):
            both = {"$and": [where, {"s": {"$ne": name}}]}
            for condition in (where, both):
                assert things.count(where=condition) == len(things.get(where=condition)["ids"])
                things.query(query_embeddings=[[1.0, 2.0]], n_results=3, where=condition)
    things.get(where_document={"$contains": "xt 5"}, where={"#id": {"$in": ["5", "6"]}})
    things.compact()
assert things.count(where=window) == 10
assert "duckdb" not in sys.modules
many = {"$or": [{"$and": [{"n": {"$gte": n}}, {"f": {"$lt": n / 2 + 1}}]} for n in range(0, 600, 2)] * 2}
assert things.count(where=many) == 600
assert "duckdb" in sys.modules
"""


def test_simple_filters_do_not_load_duckdb() -> None:
    subprocess.run([sys.executable, "-c", SIMPLE], check=True, cwd=ROOT)


def test_indexes_are_counted() -> None:
    rows = 20_000
    numbers, texts = pa.array(range(rows)), pa.array([f"name {n}" for n in range(rows)])
    rare = pa.array(["a", "b"] * 200)
    metadata_columns = MetadataColumns(
        rows,
        {("n", "int"): numbers, ("s", "str"): texts},
        {("r", "str"): (np.arange(400, dtype=np.uint32), rare)},
    )
    arrays = FilterArrays(rows, lambda: metadata_columns)
    assert arrays.nbytes == 0
    arrays.answer(parse_where({"absent": "x"}), lambda _: none(rows))
    before = arrays.nbytes
    assert before == numbers.nbytes + texts.nbytes + rare.nbytes + 1600
    for n in range(column_index._INDEX_AFTER + 1):
        for where in ({"n": n}, {"s": f"name {n}"}, {"r": "b"}):
            assert arrays.answer(parse_where(where), lambda _: none(rows)).count == (
                200 if "r" in where else 1
            )
    held = [column.nbytes for column in arrays._columns.values()]
    assert arrays.nbytes == sum(held) > before + 12 * rows
    assert arrays.nbytes < before + 50 * rows


def test_a_set_of_rows_is_the_same_in_both_forms() -> None:
    rows = np.array([1, 4, 9], np.int64)
    mask = np.zeros(10, np.bool_)
    mask[rows] = True
    for one in (RowSet(10, rows=rows), RowSet(10, mask=mask)):
        assert (one.rows.tolist(), one.mask.tolist(), one.count) == ([1, 4, 9], mask.tolist(), 3)
        assert one.bytes() == mask.tobytes()
        assert one.rows.dtype == np.int64
        assert one.nbytes == 10 + 2 + 24
        assert one.without(mask).count == 0
        assert one.first(5).rows.tolist() == [1, 4]
        assert complement(one).rows.tolist() == [0, 2, 3, 5, 6, 7, 8]
        for other in (RowSet(10, rows=rows[1:]), RowSet(10, mask=~mask), none(10)):
            both = set(one.rows.tolist()) & set(other.rows.tolist())
            assert intersection([one, other]).rows.tolist() == sorted(both)
            assert union(10, [one, other, one]).rows.tolist() == sorted({*one.rows, *other.rows})
        assert one.rows.tolist() == [1, 4, 9], "the sets that it was joined with changed it"


@pytest.mark.parametrize("size", [10, 10_000])
def test_rows_are_gathered_in_order_and_once(size: int) -> None:
    assert gathered(size, np.array([7, 3, 7, 1], np.uint32)).rows.tolist() == [1, 3, 7]


def test_everything_and_its_complement() -> None:
    arrays = FilterArrays(5, lambda: MetadataColumns(5))
    assert arrays.answer(Everything(), lambda _: none(5)).count == 5
    assert arrays.answer(parse_where({"absent": {"$ne": 1}}), lambda _: none(5)).rows.tolist() == [
        0,
        1,
        2,
        3,
        4,
    ]
