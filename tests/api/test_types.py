"""What goes in comes out: types, ids, texts, sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..support import strategies
from ..support.checks import float32

VALUES: list[Any] = [
    2, 2.0, True, False, "2", "", "é🙂\x00", 0, -0.0, 1e308, 5e-324, -(2**63), 2**63 - 1, 2**53 + 1,
    [1, 2], [1.0, 2.0], [True, False], ["a", ""], [2**63 - 1], [-0.0],
]  # fmt: skip


def exactly(value: Any) -> str:
    """Text that tells 2 from 2.0, True and "2", and -0.0 from 0.0."""
    return repr(value)


@pytest.mark.parametrize("settled", [False, True])
def test_each_type_comes_back_as_it_was(client: Any, reopen: Any, settled: bool) -> None:
    """One key holds another type in every record."""
    collection = client.create_collection("things", embedding_function=None)
    collection.add(
        ids=[str(i) for i in range(len(VALUES))],
        embeddings=[[1, 2]] * len(VALUES),
        metadatas=[{"v": value} for value in VALUES],
    )
    if settled:
        collection.compact()
    got = reopen(client).get_collection("things").get()["metadatas"]
    assert [exactly(m["v"]) for m in got] == [exactly(value) for value in VALUES]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        ((1, 2), [1, 2]),
        (np.array([1, 2]), [1, 2]),
        (np.array([0.5]), [0.5]),
        ([np.int64(1), np.int64(2)], [1, 2]),
    ],
    ids=repr,
)
def test_numpy_values_are_kept_as_python_ones(collection: Any, given: Any, kept: Any) -> None:
    """Edge 33."""
    collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"v": given}])
    assert exactly(collection.get()["metadatas"][0]["v"]) == exactly(kept)


def test_a_none_value_is_absent(collection: Any) -> None:
    """Edge 14."""
    collection.add(ids=["a", "b"], embeddings=[[1, 2]] * 2, metadatas=[{"x": None, "y": 1}, {"x": None}])
    assert collection.get()["metadatas"] == [{"y": 1}, None]


def test_keys_come_back_in_a_stable_order(collection: Any) -> None:
    """Edge 35."""
    metadata = dict.fromkeys(("z", "a", "m", "B", "0"), 1)
    collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[metadata])
    first = list(collection.get()["metadatas"][0])
    collection.compact()
    assert list(collection.get()["metadatas"][0]) == first
    assert list(collection.query(query_embeddings=[[1, 2]])["metadatas"][0][0]) == first


@pytest.mark.parametrize("id", strategies.ID_EDGES, ids=ascii)
def test_odd_ids_work_in_every_call(collection: Any, id: str) -> None:
    collection.add(ids=[id, "other"], embeddings=[[1, 2], [5, 6]])
    collection.update(ids=[id], metadatas=[{"n": 1}])
    assert collection.get(ids=[id])["metadatas"] == [{"n": 1}]
    assert collection.query(query_embeddings=[[5, 6]], ids=[id])["ids"] == [[id]]
    assert collection.delete(ids=[id]) == {"deleted": 1}
    assert collection.get()["ids"] == ["other"]


def test_ids_are_not_normalised(collection: Any) -> None:
    ids = ["é", "e\u0301", "a", "a ", "A", "a\x00", "a\x00\x00"]
    collection.add(ids=ids, embeddings=[[1, 2]] * len(ids))
    assert collection.get()["ids"] == ids
    collection.compact()
    assert [collection.get(ids=[id])["ids"] for id in ids] == [[id] for id in ids]


def test_very_large_values_are_kept(collection: Any) -> None:
    big = "🙂" * 500_000
    collection.add(
        ids=["x" * 5000], embeddings=[[1, 2]], documents=[big], metadatas=[{"k" * 1000: big[:1000]}]
    )
    got = collection.get()
    assert (got["ids"], got["documents"]) == (["x" * 5000], [big])
    assert got["metadatas"] == [{"k" * 1000: big[:1000]}]


def test_an_id_of_ten_megabytes_is_kept_or_refused(collection: Any) -> None:
    from chroma.errors import InvalidArgumentError

    id = "x" * 10_000_000
    try:
        collection.add(ids=[id], embeddings=[[1, 2]])
    except InvalidArgumentError as error:
        assert "ids" in str(error)
        assert len(str(error)) < 1500
        assert collection.count() == 0
    else:
        assert collection.get()["ids"] == [id]


def test_five_thousand_keys_in_one_record(collection: Any) -> None:
    metadata = {f"key{i}": i for i in range(5000)}
    collection.add(ids=["a", "b"], embeddings=[[1, 2]] * 2, metadatas=[metadata, {"key7": 8}])
    collection.compact()
    assert collection.get(ids=["a"])["metadatas"] == [metadata]
    assert collection.get(where={"key4999": 4999})["ids"] == ["a"]
    assert collection.get(where={"key7": {"$gte": 7}})["ids"] == ["a", "b"]


@pytest.mark.parametrize("dim", [1, 2, 3, 1536, 4097])
def test_any_dimension(collection: Any, dim: int) -> None:
    vectors = np.eye(3, dim, dtype=np.float32) + 1
    collection.add(ids=["a", "b", "c"], embeddings=vectors)
    assert float32(collection.get(include=["embeddings"])["embeddings"]) == vectors.tobytes()
    assert len(collection.query(query_embeddings=vectors[:1], n_results=2)["ids"][0]) == 2


records = st.lists(
    st.tuples(
        strategies.ids,
        strategies.any_float32(3),
        strategies.optional_metadatas,
        st.one_of(st.none(), st.text(max_size=20)),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda record: record[0],
)


@settings(
    max_examples=60, derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(batch=records, settled=st.booleans())
def test_any_record_round_trips(client: Any, batch: Any, settled: bool) -> None:
    ids, vectors, metadatas, documents = (list(column) for column in zip(*batch, strict=True))
    collection = client.create_collection("things", embedding_function=None)
    try:
        collection.add(ids=ids, embeddings=vectors, metadatas=metadatas, documents=documents)
        if settled:
            collection.compact()
        got = collection.get(include=["embeddings", "metadatas", "documents"])
        assert got["ids"] == ids
        assert float32(got["embeddings"]) == float32(vectors)
        assert got["documents"] == documents
        assert [sorted(map(exactly, (m or {}).items())) for m in got["metadatas"]] == [
            sorted(map(exactly, (m or {}).items())) for m in metadatas
        ]
    finally:
        client.delete_collection("things")
