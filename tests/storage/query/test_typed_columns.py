"""Metadata that come as columns are stored as those that come as mappings."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chroma
from chroma.storage.interface.values import EncodedMetadata
from chroma.storage.schema import metadata_columns
from chroma.storage.schema.record_columns import encode_metadata

TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(max_size=3),
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, dict[tuple[str, str], list[Any]]]:
    """A number of rows, and columns of values or None by key and type."""
    rows = draw(st.integers(1, 8))
    columns: dict[tuple[str, str], list[Any]] = {}
    for key in draw(st.lists(st.sampled_from("abc"), unique=True)):
        kind = draw(st.sampled_from([*VALUES]))
        some = VALUES[kind]
        if draw(st.booleans()):
            kind, some = f"{kind}[]", st.lists(some, min_size=1, max_size=3)
        columns[key, kind] = draw(st.lists(st.none() | some, min_size=rows, max_size=rows))
    return rows, columns


def arrow(kind: str, values: list[Any]) -> pa.Array:
    plain = TYPES[kind.removesuffix("[]")]
    return pa.array(values, pa.large_list(plain) if kind.endswith("[]") else plain)


def mappings(rows: int, columns: dict[tuple[str, str], list[Any]]) -> list[dict[str, Any] | None]:
    return [
        {key: values[row] for (key, _), values in columns.items() if values[row] is not None} or None
        for row in range(rows)
    ]


def plain(found: metadata_columns.MetadataColumns) -> Any:
    """What there is, in an order that does not depend on where it came from."""
    sparse = {
        slot: sorted(zip(rows.tolist(), range(len(rows)), values.to_pylist()), key=lambda entry: entry[:2])
        for slot, (rows, values) in found.sparse.items()
    }
    listed = {slot: [(row, value) for row, _, value in entries] for slot, entries in sparse.items()}
    return found.rows, {slot: array.to_pylist() for slot, array in found.wide.items()}, listed


@settings(max_examples=150, deadline=None)
@given(tables())
def test_columns_and_texts_give_the_same_filter_columns(
    table: tuple[int, dict[tuple[str, str], list[Any]]],
) -> None:
    rows, columns = table
    texts = encode_metadata(mappings(rows, columns), rows)
    typed = {slot: arrow(slot[1], values) for slot, values in columns.items()}
    assert plain(metadata_columns.from_columns(rows, typed)) == plain(metadata_columns.build(rows, [texts]))


def test_no_thread_holds_the_bytes_of_filter_columns_that_were_read() -> None:
    """It would let go of memory of Python's at a time of its own, and abort a process that is just ending."""
    given = metadata_columns.from_mappings(2000, [{"n": n, "f": n / 3, "s": str(n % 7)} for n in range(2000)])
    given.sparse["rare", "int"] = np.arange(9, dtype=np.uint32), pa.array(range(9))
    wide, sparse = io.BytesIO(), io.BytesIO()
    metadata_columns.write_wide(given, wide)  # type: ignore[arg-type]
    metadata_columns.write_sparse(given, sparse)  # type: ignore[arg-type]
    held = 0
    for _ in range(300):
        parts = bytearray(wide.getvalue()), bytearray(sparse.getvalue())
        found = metadata_columns.read(2000, *parts, 1 << 20)  # type: ignore[arg-type]
        assert found.wide.keys() == given.wide.keys() and found.sparse.keys() == given.sparse.keys()
        del found
        for part in parts:
            try:
                part.append(0)
            except BufferError:  # somebody still has a view of it
                held += 1
    assert held == 0


def test_encoded_metadata_are_a_sequence_of_mappings() -> None:
    found = EncodedMetadata(['{"a":1}', None], {("a", "int"): pa.array([1, None])})
    assert list(found) == [{"a": 1}, None]
    assert list(found[1:]) == [None]
    assert found[:1].columns[("a", "int")].to_pylist() == [1]


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_large_table_is_stored_as_its_rows_are(where: str, tmp_path: Any) -> None:
    """Large enough to become a segment at once, where the columns are used as they are."""
    rows = 9000
    table = pa.table(
        {
            "id": [f"r{row}" for row in range(rows)],
            "embedding": pa.FixedSizeListArray.from_arrays(np.arange(2 * rows, dtype=np.float32), 2),
            "n": pa.array([row if row % 3 else None for row in range(rows)], pa.int32()),
            "rare": pa.array(["x" if row == 77 else None for row in range(rows)]),
            "tags": pa.array([[f"t{row % 5}", "all"] if row % 2 else None for row in range(rows)]),
            "on": pa.array([row % 2 == 0 for row in range(rows)]).dictionary_encode(),
        }
    )
    client = chroma.EphemeralClient() if where == "memory" else chroma.PersistentClient(tmp_path)
    with client:
        typed = client.get_or_create_collection("typed", embedding_function=None)
        listed = client.get_or_create_collection("listed", embedding_function=None)
        typed.add(table)
        everything = typed.get(include=["metadatas", "embeddings"])
        listed.add(everything["ids"], everything["embeddings"], everything["metadatas"])
        assert everything["metadatas"][77] == {"n": 77, "rare": "x", "tags": ["t2", "all"], "on": False}
        assert everything["metadatas"][0] == {"on": True}
        assert typed.to_arrow().equals(listed.to_arrow())
        for condition in ({"n": {"$gte": 8990}}, {"rare": "x"}, {"tags": {"$contains": "t3"}}, {"on": True}):
            assert typed.get(where=condition)["ids"] == listed.get(where=condition)["ids"] != []
        client.delete_collection("typed")
        client.delete_collection("listed")
