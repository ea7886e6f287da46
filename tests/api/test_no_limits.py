"""No arbitrary limits: large batches, id lists, filters and answers in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

N = 100_000


@pytest.fixture
def large(client: Any) -> Any:
    """100,000 records of dimension 2."""
    collection = client.create_collection("large", embedding_function=None)
    vectors = np.stack([np.arange(N), np.zeros(N)], axis=1).astype(np.float32)
    collection.add(
        ids=[f"r{i}" for i in range(N)], embeddings=vectors, metadatas=[{"n": i} for i in range(N)]
    )
    return collection


def test_everything_scales_to_a_hundred_thousand(large: Any) -> None:
    """Edge 21. One test, so that the records are written once."""
    ids = [f"r{i}" for i in range(N)]
    assert large.get()["ids"] == ids
    assert large.get(ids=ids[::-1])["ids"] == ids
    assert large.get(include=["embeddings"])["embeddings"].shape == (N, 2)
    assert large.count(where={"n": {"$in": list(range(0, 2 * N, 2))}}) == N // 2
    assert large.get(where={"n": {"$nin": list(range(5, N + 5))}})["ids"] == ids[:5]
    assert large.get(where={"#id": {"$in": ids[3:]}}, limit=1)["ids"] == ["r3"]
    assert large.query(query_embeddings=[[N, 0]], n_results=2, ids=ids[:-1])["ids"] == [[ids[-2], ids[-3]]]
    assert len(large.query(query_embeddings=[[0, 0]], n_results=N)["ids"][0]) == N
    large.update(ids=ids, metadatas=[{"m": 1}] * N)
    assert large.count(where={"m": 1}) == N
    assert large.delete(ids=ids[: N // 2]) == {"deleted": N // 2}
    assert large.delete(where={"n": {"$gte": 0}}) == {"deleted": N // 2}
    assert (large.count(), large.get()["ids"]) == (0, [])


def test_one_call_takes_two_hundred_thousand_rows(client: Any) -> None:
    """Edge 20."""
    rows = 200_000
    vectors = np.random.default_rng(0).random((rows, 8), dtype=np.float32)
    collection = client.create_collection("bulk", embedding_function=None)
    collection.add(ids=[str(i) for i in range(rows)], embeddings=vectors)
    assert collection.count() == rows
    result = collection.query(query_embeddings=vectors[[0, rows // 2, rows - 1]], n_results=1, exact=True)
    assert result["ids"] == [["0"], [str(rows // 2)], [str(rows - 1)]]


def test_a_thousand_queries_in_one_call(client: Any) -> None:
    vectors = np.random.default_rng(0).random((1000, 8), dtype=np.float32)
    collection = client.create_collection("many", embedding_function=None)
    collection.add(ids=[str(i) for i in range(1000)], embeddings=vectors)
    result = collection.query(query_embeddings=vectors, n_results=1)
    assert result["ids"] == [[str(i)] for i in range(1000)]
