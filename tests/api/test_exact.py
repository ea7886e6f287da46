"""Exact answers on demand, and the index measured against them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..model.oracle import DISTANCES
from ..support.checks import fill, refused

N, DIM = 3500, 1024  # 14 MB of vectors: enough for a segment to be indexed


@pytest.fixture
def clustered(client: Any) -> Any:
    """3,500 clustered vectors, settled, with a tenth deleted and a few in the log."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(30, DIM))
    which = rng.integers(0, 30, N)
    vectors = (centres[which] + rng.normal(scale=0.3, size=(N, DIM))).astype(np.float32)
    collection = client.create_collection(
        "things", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
    )
    metadatas = [{"cluster": int(c), "n": i} for i, c in enumerate(which)]
    collection.add(ids=[str(i) for i in range(N - 50)], embeddings=vectors[:-50], metadatas=metadatas[:-50])
    collection.compact()
    collection.add(
        ids=[str(i) for i in range(N - 50, N)], embeddings=vectors[-50:], metadatas=metadatas[-50:]
    )
    collection.delete(where={"n": {"$lt": N // 10}})
    return collection, vectors, which


def nearest(vectors: Any, query: Any, k: int, allowed: Any) -> list[str]:
    distances = DISTANCES["cosine"](query.astype(float), vectors[allowed].astype(float))
    return [str(allowed[i]) for i in np.argsort(distances, kind="stable")[:k]]


def test_exact_is_exact_and_the_index_is_close(clustered: Any) -> None:
    """One test, so that the index is built once."""
    collection, vectors, which = clustered
    assert collection.get_indexing_status().num_indexed_ops > 0
    queries = vectors[-40:] + np.float32(0.01)
    alive = np.arange(N // 10, N)
    filters: list[tuple[Any, Any]] = [
        (None, alive),
        ({"cluster": 3}, alive[which[alive] == 3]),
        ({"n": {"$gte": N // 2}}, alive[alive >= N // 2]),
    ]
    for where, allowed in filters:
        truth = [nearest(vectors, query, 10, allowed) for query in queries]
        exact = collection.query(query_embeddings=queries, n_results=10, where=where, exact=True)
        assert [set(a) for a in exact["ids"]] == [set(t) for t in truth]
        quick = collection.query(query_embeddings=queries, n_results=10, where=where)
        assert all(len(ids) == 10 for ids in quick["ids"])
        hits = sum(len(set(a) & set(t)) for a, t in zip(quick["ids"], truth, strict=True))
        assert hits / (10 * len(truth)) >= 0.95
    check_recall(collection)
    check_distances(collection, queries)


def test_recall_without_an_index_is_one(collection: Any) -> None:
    fill(collection, 20)
    assert collection.recall() == 1.0


def test_recall_arguments_are_checked(collection: Any) -> None:
    fill(collection, 5)
    with refused("k"):
        collection.recall(k=0)
    with refused("sample"):
        collection.recall(sample=-1)


def test_recall_by_ef_search(collection: Any) -> None:
    fill(collection, 20)
    first, second = collection.recall(k=3, ef_search=[5, 50])
    assert (first.ef_search, second.ef_search) == (5, 50) and first.recall == second.recall == 1.0
    assert min(first.ms, first.exact_ms, second.ms) > 0 and "EfRecall(ef_search=5" in repr(first)
    with refused("ef_search"):
        collection.recall(ef_search=[])
    with refused("ef_search"):
        collection.recall(ef_search=[0])


def check_recall(collection: Any) -> None:
    recall = collection.recall(k=10, sample=50)
    assert isinstance(recall, float)
    assert 0.95 <= recall <= 1.0


def check_distances(collection: Any, queries: Any) -> None:
    """The exact and the quick path compute the same numbers."""
    exact = collection.query(query_embeddings=queries, n_results=5, exact=True)
    quick = collection.query(query_embeddings=queries, n_results=5)
    for row in range(len(queries)):
        by_id = dict(zip(exact["ids"][row], exact["distances"][row], strict=True))
        for id, distance in zip(quick["ids"][row], quick["distances"][row], strict=True):
            assert by_id.get(id, distance) == distance
