"""Filters by arrays, by DuckDB and by the evaluator: random trees over random metadata, also rare keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chroma.storage.filters import column_index, evaluator, row_set
from chroma.storage.filters.duckdb_tables import FilterDatabase, FilterTable
from chroma.storage.filters.metadata_filter import FilterArrays
from chroma.storage.filters.parser import Node, metadata_only, parse, parse_where
from chroma.storage.interface.requests import Selection
from chroma.storage.interface.sparse_vector import SparseVector
from chroma.storage.schema import metadata_columns
from chroma.storage.schema.record_columns import encode_metadata

from ..support import strategies
from .evaluator import matches, matches_document

CHECKED = settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
few_keys = st.sampled_from(["k", "n"])  # so that conditions meet values, and one another
few_values = st.one_of(st.integers(-2, 2), st.integers(-4, 4).map(lambda n: n / 2), st.sampled_from("ab"))
near = st.dictionaries(few_keys, st.one_of(few_values, st.booleans(), strategies.lists), max_size=2)
metadatas = st.one_of(st.none(), near, strategies.metadatas)
near_clauses = st.one_of(
    st.builds(lambda key, value: {key: value}, few_keys, few_values),
    st.builds(
        lambda key, op, value: {key: {op: value}},
        few_keys,
        st.sampled_from(["$gt", "$gte", "$lt", "$lte"]),
        st.integers(-4, 4).map(lambda n: n / 2),
    ),
    st.builds(
        lambda key, op, value: {key: {op: value}},
        few_keys,
        st.sampled_from(["$eq", "$ne", "$contains", "$not_contains"]),
        few_values,
    ),
    st.builds(
        lambda key, op, value: {key: {op: value}},
        few_keys,
        st.sampled_from(["$in", "$nin"]),
        st.one_of(st.lists(st.integers(-2, 2), min_size=1), st.lists(st.sampled_from("abc"), min_size=1)),
    ),
)
near_wheres = st.recursive(
    near_clauses,
    lambda inner: st.builds(
        lambda joint, parts: {joint: parts},
        st.sampled_from(["$and", "$or"]),
        st.lists(inner, min_size=2, max_size=4),
    ),
    max_leaves=8,
)
wheres = st.one_of(near_wheres, strategies.wheres)
# texts that patterns and bounds meet
near_texts = st.dictionaries(
    few_keys,
    st.one_of(strategies.texts, strategies.documents, st.integers(-2, 2), strategies.lists),
    max_size=2,
)
own_wheres = st.recursive(
    st.one_of(
        st.builds(
            lambda key, op, value: {key: {op: value}},
            few_keys,
            st.sampled_from(["$gt", "$gte", "$lt", "$lte"]),
            strategies.texts,
        ),
        st.builds(
            lambda key, op, value: {key: {op: value}},
            few_keys,
            st.sampled_from(["$like", "$ilike"]),
            strategies.like_patterns,
        ),
        st.builds(
            lambda key, op, value: {key: {op: value}},
            few_keys,
            st.sampled_from(["$regex", "$not_regex"]),
            st.sampled_from(strategies.PATTERNS),
        ),
        st.builds(lambda key, value: {key: {"$exists": value}}, few_keys, st.booleans()),
        near_clauses,
        strategies.own_clauses,
    ),
    lambda inner: st.one_of(
        inner.map(lambda each: {"$not": each}),
        st.builds(
            lambda joint, parts: {joint: parts},
            st.sampled_from(["$and", "$or"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def database() -> Any:
    held = FilterDatabase(1 << 30, 1)
    yield held
    held.close()


def unexpected(node: Node) -> Any:
    raise AssertionError(f"{node} is about metadata")


@pytest.mark.parametrize("share", [1 / 64, 1.0], ids=["masks", "rows"])
@pytest.mark.parametrize("wide", [0.05, 2.0], ids=["by frequency", "all sparse"])
@pytest.mark.parametrize("indexed", [False, True], ids=["looking", "indexed"])
@CHECKED
@given(rows=st.lists(metadatas, min_size=1, max_size=40), trees=st.lists(wheres, min_size=1, max_size=6))
@example(rows=[{"k": 2**53 + 1}, {"k": 2.0**53}], trees=[{"k": {"$gt": 2.0**53}}, {"k": 2**53}])
@example(
    rows=[{"k": 2**63 - 1}, {"k": -(2**63)}], trees=[{"k": {"$lt": 2.0**63}}, {"k": {"$gte": -(2.0**63)}}]
)
@example(
    rows=[{"k": -0.0}, {"k": 0}, {"k": 0.0}], trees=[{"k": 0.0}, {"k": {"$lt": 0}}, {"k": {"$in": [-0.0]}}]
)
@example(
    rows=[{"k": ["a", "a", "b"]}, {"k": "a"}, None], trees=[{"k": {"$contains": "a"}}, {"k": {"$ne": "a"}}]
)
@example(rows=[{"k": True}, {"k": 1}, {"k": 1.0}, {"k": "1"}], trees=[{"k": True}, {"k": 1}, {"k": "1"}])
def test_all_evaluators_agree(
    database: Any,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[Any],
    trees: list[Any],
    indexed: bool,
    wide: float,
    share: float,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(row_set, "FEW_SHARE", share)
        patch.setattr(metadata_columns, "WIDE_SHARE", wide)
        if indexed:
            for name in ("_INDEX_AFTER", "_INDEX_NUMBERS", "_INDEX_TEXTS"):
                patch.setattr(column_index, name, 0)
        texts = encode_metadata(rows, len(rows))
        arrays = FilterArrays(len(rows), lambda: metadata_columns.build(len(rows), [texts]))
        table = FilterTable(database, metadata_columns.build(len(rows), [texts]))
        for where in trees:
            node = parse_where(where)
            assert metadata_only(node)
            expected = [matches(where, row) for row in rows]
            found = arrays.answer(node, unexpected)
            assert found.mask.tolist() == expected, where
            assert found.rows.tolist() == np.flatnonzero(expected).tolist(), where
            assert found.count == sum(expected)
            assert table.mask(node).tolist() == expected, where


@pytest.mark.parametrize("wide", [0.05, 2.0], ids=["by frequency", "all sparse"])
@pytest.mark.parametrize("indexed", [False, True], ids=["looking", "indexed"])
@settings(CHECKED, max_examples=60)
@given(
    rows=st.lists(st.one_of(near_texts, near_texts, metadatas), min_size=1, max_size=20),
    trees=st.lists(own_wheres, min_size=1, max_size=6),
)
@example(
    rows=[{"k": "\ue000"}, {"k": "\U0001f642"}, {"k": "z"}, {"k": "Z"}, {"k": ""}, {"k": 1}, None],
    trees=[{"k": {"$gt": "\ue000"}}, {"k": {"$gte": "Z", "$lt": "z"}}, {"k": {"$lte": ""}}],
)
@example(
    rows=[{"k": "a\nb"}, {"k": "a%b"}, {"k": "a.b"}, {"k": "AXB"}, {"k": ["a.b"]}, {"k": "a\\b"}],
    trees=[{"k": {"$like": p}} for p in ("a_b", "a\\%b", "a.b", "a%", "%", "", "a\\\\b")]
    + [{"k": {"$ilike": "a_b"}}],
)
def test_operators_of_our_own(
    monkeypatch: pytest.MonkeyPatch, rows: list[Any], trees: list[Any], indexed: bool, wide: float
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(metadata_columns, "WIDE_SHARE", wide)
        if indexed:
            for name in ("_INDEX_AFTER", "_INDEX_NUMBERS", "_INDEX_TEXTS"):
                patch.setattr(column_index, name, 0)
        texts = encode_metadata(rows, len(rows))
        arrays = FilterArrays(len(rows), lambda: metadata_columns.build(len(rows), [texts]))
        for where in [{"k": "a"}, {"n": "a"}, *trees]:  # the first two make the indexes
            expected = [matches(where, row) for row in rows]
            found = arrays.answer(parse_where(where), unexpected)
            assert found.mask.tolist() == expected, where
            assert found.rows.tolist() == np.flatnonzero(expected).tolist(), where


def test_sparse_vectors_exist() -> None:
    rows = [{"k": SparseVector([1], [2.0])}, {"k": "a"}, {"n": 1}]
    texts = encode_metadata(rows, len(rows))
    arrays = FilterArrays(len(rows), lambda: metadata_columns.build(len(rows), [texts]))
    for _ in range(2):
        found = arrays.answer(parse_where({"k": {"$exists": True}}), unexpected)
        assert found.rows.tolist() == [0, 1]


@CHECKED
@given(
    rows=st.lists(st.tuples(metadatas, strategies.optional_documents), min_size=1, max_size=20),
    trees=st.lists(
        st.tuples(st.one_of(wheres, own_wheres), st.one_of(st.none(), strategies.where_documents)),
        min_size=1,
        max_size=4,
    ),
)
def test_large_trees_are_split(
    database: Any, monkeypatch: pytest.MonkeyPatch, rows: list[Any], trees: list[Any]
) -> None:
    """What is too large for arrays goes to DuckDB in queries of limited size, documents apart."""
    texts = encode_metadata([metadata for metadata, _ in rows], len(rows))
    with monkeypatch.context() as patch:
        patch.setattr(evaluator, "_ARRAYS_MOST", 1)
        patch.setattr(evaluator, "_ONE_QUERY", 2)
        block = evaluator.Block(
            database,
            len(rows),
            lambda: metadata_columns.build(len(rows), [texts]),
            lambda: pa.array([document for _, document in rows], pa.string()),
            unexpected,
        )
        for where, where_document in trees:
            expected = [matches(where, row) and matches_document(where_document, text) for row, text in rows]
            found = block.answer(parse(Selection(where=where, where_document=where_document)))
            assert found.mask.tolist() == expected, (where, where_document)
            assert found.rows.tolist() == np.flatnonzero(expected).tolist()
