"""Distances: the three formulas, exact numbers, the same on every path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..model.oracle import DISTANCES
from ..support.checks import float32
from ..support.tiny_embedding import CosineEmbedding, HashEmbedding


def in_space(client: Any, space: str) -> Any:
    return client.create_collection(
        "things", configuration={"hnsw": {"space": space}}, embedding_function=None
    )


@pytest.mark.parametrize(("space", "expected"), [("l2", [4.0, 10.0, 0.0]), ("ip", [0.0, 1.0, 0.0])])
def test_known_distances(client: Any, space: str, expected: list[float]) -> None:
    collection = in_space(client, space)
    collection.add(ids=["a", "b", "c"], embeddings=[[1, 2], [0, -3], [1, 0]])
    result = collection.query(query_embeddings=[[1, 0]], n_results=3)
    found = dict(zip(result["ids"][0], result["distances"][0], strict=True))
    assert [found[id] for id in "abc"] == pytest.approx(expected)


def test_cosine_of_a_zero_vector_is_one(client: Any) -> None:
    collection = in_space(client, "cosine")
    collection.add(ids=["zero", "same", "opposite"], embeddings=[[0, 0], [5, 0], [-1, 0]])
    result = collection.query(query_embeddings=[[2, 0]])
    assert result["ids"] == [["same", "zero", "opposite"]]
    assert result["distances"][0] == pytest.approx([0.0, 1.0, 2.0], abs=1e-6)
    assert collection.query(query_embeddings=[[0, 0]])["distances"][0] == pytest.approx([1.0, 1.0, 1.0])


def test_inner_product_can_be_negative(client: Any) -> None:
    collection = in_space(client, "ip")
    collection.add(ids=["a"], embeddings=[[10, 0]])
    assert collection.query(query_embeddings=[[10, 0]])["distances"] == [[pytest.approx(-99.0)]]


@pytest.mark.parametrize("space", list(DISTANCES))
@pytest.mark.parametrize("settled", [False, True])
def test_distances_agree_with_the_formula(client: Any, space: str, settled: bool) -> None:
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(300, 16)).astype(np.float32)
    collection = in_space(client, space)
    collection.add(ids=[str(i) for i in range(300)], embeddings=vectors)
    if settled:
        collection.compact()
    result = collection.query(query_embeddings=vectors[:5], n_results=20)
    for query, ids, distances in zip(vectors, result["ids"], result["distances"], strict=False):
        exact = DISTANCES[space](query.astype(np.float64), vectors.astype(np.float64))
        assert distances == sorted(distances)
        assert distances == pytest.approx([exact[int(i)] for i in ids], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("space", list(DISTANCES))
def test_vectors_come_back_bit_for_bit(client: Any, reopen: Any, space: str) -> None:
    """Edge 18."""
    vectors = np.array([[5, 1, 1], [0.1, 1e-38, 3e38], [-0.0, 1e-45, 7]], dtype=np.float32)
    in_space(client, space).add(ids=["a", "b", "c"], embeddings=vectors)
    collection = reopen(client).get_collection("things")
    assert float32(collection.get(include=["embeddings"])["embeddings"]) == vectors.tobytes()
    collection.compact()
    assert float32(collection.get(include=["embeddings"])["embeddings"]) == vectors.tobytes()


def test_huge_vectors_do_not_break_the_ranking(client: Any) -> None:
    collection = in_space(client, "l2")
    collection.add(ids=["huge", "small"], embeddings=[[3e38, 3e38], [1, 1]])
    assert collection.query(query_embeddings=[[0, 0]])["ids"] == [["small", "huge"]]


def test_distances_are_never_negative_in_l2(client: Any) -> None:
    collection = in_space(client, "l2")
    vectors = np.random.default_rng(1).normal(loc=1000, scale=1e-3, size=(50, 8)).astype(np.float32)
    collection.add(ids=[str(i) for i in range(50)], embeddings=vectors)
    result = collection.query(query_embeddings=vectors, n_results=3)
    assert [row[0] for row in result["distances"]] == [0.0] * 50
    assert [row[0] for row in result["ids"]] == [str(i) for i in range(50)]


def test_the_functions_own_space_is_the_default(client: Any) -> None:
    collection = client.create_collection("things", embedding_function=CosineEmbedding())
    assert collection.configuration_json["hnsw"]["space"] == "cosine"


def test_metadata_space_wins_over_the_functions(client: Any) -> None:
    collection = client.create_collection(
        "things", metadata={"hnsw:space": "ip"}, embedding_function=CosineEmbedding()
    )
    assert collection.configuration_json["hnsw"]["space"] == "ip"


def test_without_any_wish_the_space_is_l2(client: Any) -> None:
    collection = client.create_collection("things", embedding_function=HashEmbedding())
    assert collection.configuration_json["hnsw"]["space"] == "l2"
