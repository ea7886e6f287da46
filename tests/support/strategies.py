"""Generators shared by all property tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

INT_EDGES = [0, 1, -1, 2, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63 - 2, -(2**63)]
FLOAT_EDGES = [0.0, -0.0, 1.0, 1.5, -1.5, 0.1, 2.0**53, -(2.0**53), 2.0**63, -(2.0**63), 1e308, 5e-324]
TEXT_EDGES = [
    "",
    "1",
    "a",
    "A",
    "ab",
    "é",
    "e\u0301",
    "\x00",
    "a\x00b",
    "🙂",
    "日本",
    "%",
    "_",
    "'",
    '"',
    "true",
]
ID_EDGES = ["a", "b", "A", "0", " ", "é", "\x00", "a\x00b", "🙂", "a/b?c#d", "..", "x" * 600]
KEYS = ["k", "n", "tag", "a.b", "ключ", "with space", "N", "document", "id"]
WORDS = ["red", "green", "Blue", "50%", "a_b", "naïve", "日本語", "🙂", "new\nline", "x"]

texts = st.one_of(st.sampled_from(TEXT_EDGES), st.text(max_size=8))
ids = st.one_of(st.sampled_from(ID_EDGES), st.text(min_size=1, max_size=20))
integers = st.one_of(
    st.sampled_from(INT_EDGES), st.integers(-3, 3), st.integers(min_value=-(2**63), max_value=2**63 - 1)
)
floats = st.one_of(
    st.sampled_from(FLOAT_EDGES),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-3, 3).map(float),
)
numbers = st.one_of(integers, floats)
scalars = st.one_of(st.booleans(), integers, floats, texts)
lists = st.one_of(
    *(st.lists(kind, min_size=1, max_size=4) for kind in (st.booleans(), integers, floats, texts))
)
values = st.one_of(scalars, lists)
keys = st.sampled_from(KEYS)
metadatas = st.dictionaries(keys, values, min_size=1, max_size=5)
optional_metadatas = st.one_of(st.none(), metadatas)
patches = st.dictionaries(keys, st.one_of(st.none(), values), min_size=1, max_size=4)
documents = st.one_of(st.just(""), st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join))
optional_documents = st.one_of(st.none(), documents)


def vectors(dim: int) -> st.SearchStrategy[list[float]]:
    """Multiples of 1/4, so that float32 arithmetic over a few of them is exact and ties are real."""
    return st.lists(st.integers(-8, 8).map(lambda n: n / 4), min_size=dim, max_size=dim)


def any_float32(dim: int) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Any finite float32 vector, denormals and the largest included."""
    one = st.floats(width=32, allow_nan=False, allow_infinity=False)
    return st.lists(one, min_size=dim, max_size=dim).map(lambda row: np.array(row, dtype=np.float32))


PATTERNS = [
    "red",
    "^red",
    "x$",
    "(?i)blue",
    "gr.en",
    "new.line",
    "(?s)new.line",
    "[0-9]+%",
    "日.語",
    "a|x",
    "n{1}e",
]


def _field(operator: str, operand: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda key, value: {key: {operator: value}}, keys, operand)


_members = st.one_of(
    *(st.lists(kind, min_size=1, max_size=4) for kind in (st.booleans(), integers, floats, texts))
)
like_patterns = st.lists(
    st.sampled_from(
        ["%", "_", "\\%", "\\_", "\\\\", "a", "A", "b", "1", "é", "🙂", ".", "*", "(", "\x00", "\n"]
    ),
    max_size=5,
).map("".join)
clauses = st.one_of(
    st.builds(lambda key, value: {key: value}, keys, scalars),
    *(_field(op, scalars) for op in ("$eq", "$ne", "$contains", "$not_contains")),
    *(_field(op, numbers) for op in ("$gt", "$gte", "$lt", "$lte")),
    *(_field(op, _members) for op in ("$in", "$nin")),
)
# The operators of our own.
own_clauses = st.one_of(
    *(_field(op, texts) for op in ("$gt", "$gte", "$lt", "$lte")),
    *(_field(op, like_patterns) for op in ("$like", "$ilike")),
    *(_field(op, st.sampled_from(PATTERNS)) for op in ("$regex", "$not_regex")),
    _field("$exists", st.booleans()),
    _field("$between", st.one_of(st.lists(kind, min_size=2, max_size=2) for kind in (numbers, texts))),
    _field("$not", st.builds(lambda op, value: {op: value}, st.sampled_from(["$gt", "$lte"]), numbers)),
    st.builds(lambda key, value: {key: value}, keys, _members),
    st.builds(
        lambda key, low, high: {key: {"$gte": low, "$lt": high}},
        keys,
        *[st.one_of(numbers, texts)] * 2,
    ),
)


def _tree(leaves: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        leaves,
        lambda inner: st.builds(
            lambda joint, parts: {joint: parts},
            st.sampled_from(["$and", "$or"]),
            st.lists(inner, min_size=2, max_size=4),
        ),
        max_leaves=8,
    )


wheres = _tree(clauses)
own_wheres = st.recursive(
    st.one_of(clauses, own_clauses, own_clauses),
    lambda inner: st.one_of(
        inner.map(lambda each: {"$not": each}),
        st.builds(
            lambda joint, parts: {joint: parts},
            st.sampled_from(["$and", "$or"]),
            st.lists(inner, min_size=2, max_size=4),
        ),
    ),
    max_leaves=6,
)

needles = st.one_of(
    st.sampled_from(["r", "re", "50%", "a_b", "_", "%", "本", "🙂", "\n", "RED", " "]), st.sampled_from(WORDS)
)
where_documents = _tree(
    st.one_of(
        *(
            st.builds(lambda op, text: {op: text}, st.just(op), needles)
            for op in ("$contains", "$not_contains")
        ),
        *(
            st.builds(lambda op, text: {op: text}, st.just(op), st.sampled_from(PATTERNS))
            for op in ("$regex", "$not_regex")
        ),
    )
)
