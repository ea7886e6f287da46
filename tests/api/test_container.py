"""A collection as a container: its length, its ids, its records one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chroma


@pytest.fixture
def three(client: Any) -> Any:
    collection = client.create_collection("three", embedding_function=None)
    collection.add(
        ids=["a", "b", "c"],
        embeddings=np.eye(3),
        documents=["x", None, "z"],
        metadatas=[{"n": 1}, {"n": 2, "t": "q"}, None],
        uris=[None, "u://b", None],
    )
    return collection


@pytest.fixture
def blocking(client_kind: str, three: Any) -> Any:
    if client_kind == "async":
        pytest.skip("operators of Python cannot be awaited")
    return three


def test_length_and_membership(blocking: Any) -> None:
    assert len(blocking) == 3
    assert "b" in blocking
    assert "d" not in blocking
    assert "" not in blocking
    assert 1 not in blocking
    assert None not in blocking


def test_an_empty_collection_is_true(blocking: Any) -> None:
    blocking.delete(ids=["a", "b", "c"])
    assert len(blocking) == 0
    assert bool(blocking)


def test_iteration_gives_records_in_order(blocking: Any) -> None:
    assert list(blocking) == [
        {"id": "a", "document": "x", "metadata": {"n": 1}, "uri": None},
        {"id": "b", "document": None, "metadata": {"n": 2, "t": "q"}, "uri": "u://b"},
        {"id": "c", "document": "z", "metadata": None, "uri": None},
    ]


def test_an_iteration_leaves_out_what_is_deleted_meanwhile(
    blocking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import chroma._sync.collection as module

    monkeypatch.setattr(module, "_PAGE", 1)
    found = []
    for record in blocking:
        found.append(record["id"])
        if record["id"] == "a":
            blocking.delete(ids=["b"])
            blocking.add(ids=["later"], embeddings=[[1, 2, 3]])
    assert found == ["a", "c"]


def test_head_and_sample(three: Any) -> None:
    assert three.head()["ids"] == ["a", "b", "c"]
    assert three.head(2)["ids"] == ["a", "b"]
    assert three.head(2)["documents"] == ["x", None]
    two = three.sample(2, seed=7)
    assert two["ids"] == three.sample(2, seed=7)["ids"]
    assert two["ids"] == sorted(two["ids"]) and len(two["ids"]) == 2
    assert {tuple(three.sample(1, seed=seed)["ids"]) for seed in range(30)} == {("a",), ("b",), ("c",)}
    assert three.sample(10)["ids"] == ["a", "b", "c"]
    assert three.sample(where={"n": {"$gte": 1}})["ids"] == ["a", "b"]
    assert three.sample(0)["ids"] == []


@pytest.mark.parametrize("arguments", [{"n": -1}, {"n": 1.5}, {"seed": "x"}, {"seed": True}])
def test_a_sample_of_nonsense(three: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(chroma.errors.InvalidArgumentError, match=next(iter(arguments))):
        three.sample(**arguments)


def test_vectors_are_a_matrix_with_ids(three: Any) -> None:
    ids, matrix = three.vectors()
    assert ids == ["a", "b", "c"]
    assert matrix.dtype == np.float32
    assert matrix.tolist() == np.eye(3).tolist()
    assert three.vectors(["c", "a"]).ids == ["a", "c"]  # in insertion order, as in get
    assert three.vectors(where={"n": 2}).matrix.tolist() == [[0, 1, 0]]
    assert three.vectors(limit=1).ids == ["a"]
    nothing = three.vectors(["nobody"])
    assert nothing.ids == [] and len(nothing.matrix) == 0


def test_columns(client_kind: str, three: Any) -> None:
    pytest.importorskip("pyarrow")
    types = three.column_types()
    assert types["n"] == "int64" and types["t"] == "string" and "[3]" in types["embedding"]
    if client_kind != "async":
        assert three.columns == list(types)
        assert set(three.columns) == {"id", "document", "uri", "n", "t", "embedding"}
