"""Columns made from the mappings of a call are those made from their JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chroma.storage.interface.columnar_metadata import by_key
from chroma.storage.schema import metadata_columns, record_columns
from chroma.storage.schema.metadata_columns import MetadataColumns

TEXTS = st.text(st.characters(codec="utf-8")) | st.sampled_from(
    ["},{", 'a},{"b', ":null", '":null', "\n", "x},{"]
)
INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(st.booleans(), INTS, FLOATS, TEXTS)
LISTS = st.one_of(*(st.lists(kind, min_size=1, max_size=3) for kind in (st.booleans(), INTS, FLOATS, TEXTS)))
VALUES = st.one_of(SCALARS, LISTS, st.none())
KEYS = st.sampled_from(["a", "b", "},{", "ü", ':null"'])
SAME_KEYS = st.lists(st.fixed_dictionaries({"a": VALUES, "},{": SCALARS}), min_size=1, max_size=30)
SAME_TYPES = st.lists(
    st.fixed_dictionaries({"s": TEXTS, "i": INTS, "f": FLOATS, "b": st.booleans()}), min_size=1, max_size=30
)
ANY = st.lists(st.none() | st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=30)


def same(one: MetadataColumns, two: MetadataColumns) -> bool:
    def listed(found: MetadataColumns) -> Any:
        wide = {slot: array.to_pylist() for slot, array in found.wide.items()}
        sparse = {slot: (rows.tolist(), array.to_pylist()) for slot, (rows, array) in found.sparse.items()}
        return found.rows, list(found.wide), repr(wide), list(found.sparse), repr(sparse)

    return bool(listed(one) == listed(two))


@given(SAME_TYPES | SAME_KEYS | ANY)
def test_columns_from_mappings_are_those_from_their_texts(metadatas: list[dict[str, Any] | None]) -> None:
    texts = record_columns.encode_metadata(metadatas, len(metadatas))
    built = metadata_columns.build(len(metadatas), [texts])
    assert same(metadata_columns.from_mappings(len(metadatas), metadatas), built)
    assert all(list(rows) == sorted(rows) for rows, _ in built.sparse.values())
    assert record_columns.metadata_array(metadatas).to_pylist() == texts


@pytest.mark.parametrize("size", [1, 2, 7])
def test_blocks_of_metadata_are_one_column(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(record_columns, "_STEP", size)
    monkeypatch.setattr(metadata_columns, "_STEP", size)
    metadatas = [{"n": row, "text": "x" * row, **({"rare": True} if row == 3 else {})} for row in range(20)]
    texts = record_columns.encode_metadata(metadatas, 20)
    array = record_columns.metadata_array(metadatas)
    array.validate(full=True)
    assert array.to_pylist() == texts
    assert same(metadata_columns.from_mappings(20, metadatas), metadata_columns.build(20, [texts]))


def test_mappings_by_key() -> None:
    assert by_key([{"a": 1, "b": 2}, {"b": 3, "a": 4}]) == {"a": [1, 4], "b": [2, 3]}
    assert by_key([{"a": 1}, {"b": 1}]) is None
    assert by_key([{"a": 1}, {"a": 1, "b": 1}]) is None
    assert by_key([]) is None
