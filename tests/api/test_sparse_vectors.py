"""Sparse vectors as values of records' metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma import SparseVector
from chroma.errors import ChromaError, InvalidArgumentError

TAGGED = {"#type": "sparse_vector", "indices": [3], "values": [1.5], "tokens": ["q"]}
VECTORS: list[Any] = [
    SparseVector([1, 5], [0.1, 2.0]),
    SparseVector([], []),
    SparseVector([0, 2**32 - 1], [-3.4028235e38, 1e-45], ["a", "ß🙂"]),
    SparseVector([7], [0.123456789]),
    TAGGED,
]
KEPT = [
    SparseVector([1, 5], [0.1, 2.0]),
    SparseVector([], []),
    SparseVector([0, 2**32 - 1], [-3.4028235e38, 1e-45], ["a", "ß🙂"]),
    SparseVector([7], [0.12345679]),  # the shortest decimal of the float32
    SparseVector([3], [1.5], ["q"]),
]


def filled(client: Any, count: int = len(VECTORS)) -> Any:
    collection = client.create_collection("things", embedding_function=None)
    collection.add(
        ids=[str(i) for i in range(count)],
        embeddings=[[i, 1] for i in range(count)],
        metadatas=[{"s": VECTORS[i % len(VECTORS)], "n": i} for i in range(count)],
    )
    return collection


@pytest.mark.parametrize("settled", [False, True])
def test_they_come_back_as_float32(client: Any, reopen: Any, settled: bool) -> None:
    collection = filled(client)
    if settled:
        collection.compact()
    collection = reopen(client).get_collection("things")
    assert [entry["s"] for entry in collection.get()["metadatas"]] == KEPT
    found = collection.query([[0, 1]], n_results=5)["metadatas"][0]
    assert [entry["s"] for entry in sorted(found, key=lambda entry: entry["n"])] == KEPT
    assert collection.get(ids=["3"])["metadatas"] == [{"s": KEPT[3], "n": 3}]


def test_large_batches_and_answers(client: Any) -> None:
    """These go as Arrow over HTTP, and become a segment at once."""
    collection = filled(client, 5_000)
    found = collection.get()["metadatas"]
    assert [entry["s"] for entry in found] == [KEPT[i % len(KEPT)] for i in range(5_000)]


def test_values_in_memory_stay_as_they_were_given() -> None:
    vector = SparseVector([1], [0.123456789])
    assert vector.values == [0.123456789]


@pytest.mark.parametrize(
    ("indices", "values", "equal"),
    [
        (np.array([1, 4]), np.array([0.5, 2]), SparseVector([1, 4], [0.5, 2.0])),
        ((1, 4), (True, 2), SparseVector([1, 4], [True, 2])),
        ([np.int64(1)], [np.float32(0.5)], SparseVector([1], [0.5])),
        ([1], [np.longdouble(0.5)], SparseVector([1], [0.5])),
    ],
)
def test_other_sequences_become_lists(indices: Any, values: Any, equal: SparseVector) -> None:
    given = SparseVector(indices, values)
    assert given == equal
    assert type(given.indices) is list and set(map(type, given.indices)) == {int}
    assert set(map(type, given.values)) <= {int, float, bool}


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([1], [1.0, 2.0]), "same length"),
        (([1], [1.0], ["a", "b"]), "labels"),
        (([2, 1], [1.0, 2.0]), "sorted in strictly ascending order: 1 follows 2"),
        (([1, 1], [1.0, 2.0]), "strictly ascending"),
        (([-1], [1.0]), "must be non-negative: got -1"),
        (([0, -1, 2], [1.0, 2.0, 3.0]), "must be non-negative: got -1"),
        (([2**32], [1.0]), "less than 2\\^32"),
        (([1.0], [1.0]), "must be integers: got 1.0"),
        (([True], [1.0]), "must be integers: got True"),
        (([1], ["a"]), "must be numbers"),
        (([1], [float("nan")]), "finite"),
        (([1, 2], [float("nan"), float("inf")]), "finite"),
        (([1], [1e39]), "float32"),
        (([1], [1.0], [2]), "labels must be strings"),
        (("ab", [1.0, 2.0]), "Expected SparseVector indices to be a list"),
        (([1], 5), "Expected SparseVector values to be a list"),
        (([10**5000], [1.0]), "less than 2\\^32"),  # its decimal form is refused by Python
        (([-(10**5000)], [1.0]), "must be non-negative"),
        (([10**5000, 1], [1.0, 2.0]), "strictly ascending"),
        (([1], [10**5000]), "float32"),
    ],
)
def test_bad_vectors_are_refused_when_made(arguments: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        SparseVector(*arguments)


def test_refusals_are_short() -> None:
    long: Any = ["x" * 10_000] * 100
    for form in (
        {"#type": long},
        {"#type": "sparse_vector", "indices": [long], "values": [1.0]},
        {"#type": "sparse_vector", "indices": [1], "values": [long]},
        {"#type": "sparse_vector", "indices": [1], "values": [1.0], "tokens": [long]},
        {"#type": "sparse_vector", **dict.fromkeys(map(str, range(10_000)))},
        {"#type": "sparse_vector", 1: 2},
    ):
        with pytest.raises(ValueError) as refused:
            SparseVector.from_dict(form)
        assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "value",
    [
        {"#type": "sparse_vector", "indices": [2, 1], "values": [1.0, 2.0]},
        {"#type": "sparse_vector", "indices": [1]},
        {"#type": "other", "indices": [1], "values": [1.0]},
        {"indices": [1]},
        {},
    ],
)
def test_bad_dicts_are_refused_with_the_key(collection: Any, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="the_key"):
        collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"the_key": value}])
    assert collection.count() == 0


def test_collections_hold_none(client: Any) -> None:
    with pytest.raises(ChromaError, match="only the metadata of records"):
        client.create_collection("things", metadata={"s": SparseVector([1], [1.0])})


def test_an_update_replaces_keeps_or_removes_them(client: Any, reopen: Any) -> None:
    collection = filled(client)
    collection.update(ids=["0"], metadatas=[{"n": -1}])
    collection.update(ids=["1"], metadatas=[{"s": None}])
    collection.upsert(ids=["2"], embeddings=[[0, 0]], metadatas=[{"s": SparseVector([9], [9.0])}])
    collection.update(ids=["3"], metadatas=[{"s": "text"}])
    collection.delete(ids=["4"])
    found = reopen(client).get_collection("things").get()["metadatas"]
    assert found == [
        {"s": KEPT[0], "n": -1},
        {"n": 1},
        {"s": SparseVector([9], [9.0]), "n": 2},
        {"s": "text", "n": 3},
    ]


@pytest.mark.parametrize("settled", [False, True])
def test_filters_see_no_value(client: Any, settled: bool) -> None:
    """A sparse vector equals nothing, so a negation matches it."""
    collection = filled(client)
    collection.add(ids=["x"], embeddings=[[1, 1]], metadatas=[{"s": 1}])
    if settled:
        collection.compact()
    assert collection.get(where={"s": 1})["ids"] == ["x"]
    assert collection.get(where={"s": {"$ne": 1}})["ids"] == ["0", "1", "2", "3", "4"]
    assert collection.get(where={"s": {"$gte": 0}})["ids"] == ["x"]
    assert collection.get(where={"s": {"$in": [1, 2]}})["ids"] == ["x"]
    many = {"$or": [{"s": i} for i in range(1, 1200)]}  # DuckDB evaluates this one
    assert collection.get(where=many)["ids"] == ["x"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.integers(0, 2**32 - 1), st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=6
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_float32_is_kept(vectors: list[dict[int, float]]) -> None:
    import chroma

    with chroma.EphemeralClient(private=True) as client:
        collection = client.create_collection("things", embedding_function=None)
        made = [SparseVector(sorted(each), [each[index] for index in sorted(each)]) for each in vectors]
        ids = [str(i) for i in range(len(made))]
        collection.add(ids=ids, embeddings=[[1, 2]] * len(ids), metadatas=[{"s": each} for each in made])
        for entry, vector in zip(collection.get()["metadatas"], made):
            assert np.float32(entry["s"].values).tobytes() == np.float32(vector.values).tobytes()


def test_tables(client: Any, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    collection = filled(client)
    arrow = collection.to_arrow()
    cell = {"indices": [1, 5], "values": np.float32([0.1, 2.0]).tolist(), "labels": None}
    assert arrow.column("s")[0].as_py() == cell
    rows = collection.sql("SELECT id FROM records WHERE list_contains(s.indices, 5)")
    assert rows.column("id").to_pylist() == ["0"]
    for number, table in enumerate((arrow, collection.to_pandas())):
        copy = client.create_collection(f"copy{number}", embedding_function=None)
        copy.upsert(table)
        assert [entry["s"] for entry in copy.get()["metadatas"]] == KEPT
    mixed = client.create_collection("mixed", embedding_function=None)
    mixed.add(ids=["a", "b"], embeddings=[[1, 2]] * 2, metadatas=[{"s": 5}, {"s": KEPT[0]}])
    assert {"metadata[int].s", "metadata[sparse_vector].s"} <= set(mixed.to_arrow().column_names)


@pytest.mark.parametrize("name", ["out.parquet", "out.jsonl", "out.arrow"])
def test_files(client: Any, tmp_path: Path, name: str) -> None:
    pytest.importorskip("pyarrow")
    collection = filled(client)
    collection.export(tmp_path / name)
    copy = client.create_collection("copy", embedding_function=None)
    copy.load(tmp_path / name)
    assert [entry["s"] for entry in copy.get()["metadatas"]] == KEPT


@pytest.mark.parametrize(
    "change",
    [
        lambda vector: vector.values.__setitem__(0, float("nan")),
        lambda vector: vector.values.__setitem__(0, 1e39),
        lambda vector: vector.values.append(1.0),
        lambda vector: vector.indices.__setitem__(0, 9),
        lambda vector: vector.indices.__setitem__(0, "1"),
    ],
)
def test_vectors_that_were_changed_are_checked_again(collection: Any, change: Any) -> None:
    vector = SparseVector([1, 5], [1.0, 1.0])
    change(vector)
    for count in (1, 40):
        columns = {"ids": [str(i) for i in range(count)], "embeddings": [[0, 0]] * count}
        metadatas = [
            {"s": vector if i == count - 1 else SparseVector([1], [1]), "n": i} for i in range(count)
        ]
        for call in (collection.add, collection.upsert):
            with pytest.raises(InvalidArgumentError, match=rf"'s' in metadatas\[{count - 1}\]"):
                call(**columns, metadatas=metadatas)
    assert collection.count() == 0


def test_lists_hold_no_vectors(collection: Any) -> None:
    for count in (1, 40):
        with pytest.raises(InvalidArgumentError, match="this one holds SparseVector"):
            collection.add(
                ids=[str(i) for i in range(count)],
                embeddings=[[0, 0]] * count,
                metadatas=[{"s": [SparseVector([1], [1])]}] * count,
            )
    assert collection.get()["ids"] == []


@pytest.mark.parametrize("settled", [False, True])
def test_vectors_are_last_in_order_and_equal(client: Any, settled: bool) -> None:
    collection = client.create_collection("mixed", embedding_function=None)
    values = [SparseVector([2], [1]), None, "x", SparseVector([1], [1]), [1], 3, True]
    collection.add(
        ids=list("abcdefg"),
        embeddings=[[0, 0]] * 7,
        metadatas=[None if value is None else {"s": value} for value in values],
    )
    if settled:
        collection.compact()
    assert collection.get(order_by="s")["ids"] == list("gfceadb")
    assert collection.get(order_by="-s")["ids"] == list("adecfgb")


@pytest.mark.parametrize("settled", [False, True])
def test_facets_count_records_with_vectors(client: Any, settled: bool) -> None:
    collection = filled(client)
    collection.update(ids=["0"], metadatas=[{"s": 1}])
    if settled:
        collection.compact()
    facet = collection.facets("s")["s"]
    assert facet["values"] == [{"value": 1, "count": 1}]
    assert (facet["distinct"], facet["records"]) == (1, 5)


@pytest.mark.parametrize("given", [None, [], 3, "x"])
def test_from_dict_refuses_other_types(given: Any) -> None:
    with pytest.raises(ValueError, match="mapping"):
        SparseVector.from_dict(given)


def test_descriptions(client: Any) -> None:
    pytest.importorskip("pyarrow")
    collection = filled(client)
    (numbers, sparse) = collection.describe().keys
    assert (sparse.key, sparse.types, sparse.distinct, sparse.most_frequent) == (
        "s",
        {"sparse_vector": len(VECTORS)},
        0,
        None,
    )
    assert numbers.types == {"int": len(VECTORS)}
