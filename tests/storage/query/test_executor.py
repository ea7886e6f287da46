"""The plan of a search: every way gives a full and good answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.storage.query import executor

ROWS, DIM = 4000, 16
VECTORS = np.random.default_rng(3).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture()
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    with chroma.PersistentClient(tmp_path) as client:
        made = client.create_collection("things", embedding_function=None)
        metadatas = [{"n": row, "low": bool(VECTORS[row, 0] < 0)} for row in range(ROWS)]
        made.add(ids=[str(row) for row in range(ROWS)], embeddings=VECTORS, metadatas=metadatas)
        made.compact()
        yield made


def _recall(collection: Any, where: Any, batch: bool) -> float:
    # Queries on the far side of what the filter keeps: the graph's first finds are all filtered out.
    queries = VECTORS[VECTORS[:, 0] > 1][:30] + np.eye(1, DIM, dtype=np.float32) * 2
    exact = collection.query(query_embeddings=queries, n_results=10, where=where, exact=True)["ids"]
    if batch:
        fast = collection.query(query_embeddings=queries, n_results=10, where=where)["ids"]
    else:
        fast = [collection.query(query_embeddings=[q], n_results=10, where=where)["ids"][0] for q in queries]
    assert all(len(ids) == 10 for ids in fast)
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, fast, strict=True)]))


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("where", [{"low": True}, {"n": {"$gte": 300}}, {"n": {"$lt": 400}}])
@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"GATHER_NS": 1e9},  # scanning is dear: over-fetch, then scan what is left over
        {"GATHER_NS": 1e9, "PATIENCE_NS": 0.0},  # ... or let the graph walk on with the filter
        {"GATHER_NS": 0.0},  # scanning is free
    ],
)
def test_every_plan_finds_what_matches(
    collection: Any, monkeypatch: pytest.MonkeyPatch, limits: dict[str, float], where: Any, batch: bool
) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(executor, name, value)
    assert _recall(collection, where, batch) >= 0.95


def test_effort_is_as_configured_up_to_a_size_and_grows_with_it() -> None:
    assert executor.effort(100, 1000) == executor.effort(100, 100_000) == 100
    assert executor.effort(100, 200_000) == 150
    assert executor.effort(20, 400_000) == 40


def test_a_batch_over_a_segment_with_a_few_dead_rows_is_whole(collection: Any) -> None:
    collection.delete(ids=[str(row) for row in range(200)])
    found = collection.query(query_embeddings=VECTORS[:100], n_results=10)["ids"]
    assert all(len(ids) == 10 for ids in found)
    assert not {id for ids in found for id in ids} & {str(row) for row in range(200)}
