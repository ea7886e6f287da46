"""How answers are compared with exact ones."""

from __future__ import annotations

from typing import Any

import numpy as np

import chroma
from chroma.storage.collection import index_builds
from chroma.storage.query import recall_measure
from chroma.storage.query.executor import Found


def found(*distances: list[float]) -> Found:
    flat = np.concatenate([np.asarray(each, np.float32) for each in distances])
    return Found((), None, np.arange(len(flat)), flat, [len(each) for each in distances])


def test_records_at_one_distance_are_as_good() -> None:
    exact = found([0.0, 1.0, 1.0], [0.5, 2.0, 3.0], [])
    fast = found([0.0, 1.0, 1.5], [0.5, 2.0, 3.0], [])

    def run(queries: Any, **how: Any) -> Found:
        return exact if how.get("exact") else fast

    assert abs(recall_measure.measure(run, np.empty((3, 1), np.float32)) - (2 / 3 + 1 + 1) / 3) < 1e-9


def test_equal_vectors_are_no_misses(monkeypatch: Any) -> None:
    """Any ten of them are the nearest."""
    monkeypatch.setattr(index_builds, "INDEX_BYTES", 1000)
    made = chroma.EphemeralClient(private=True).create_collection("things", embedding_function=None)
    made.add(ids=[f"i{row}" for row in range(3000)], embeddings=np.ones((3000, 8), np.float32))
    made.compact()
    assert made.get_indexing_status().op_indexing_progress == 1.0
    assert made.recall() == 1.0
    assert [each.recall for each in made.recall(ef_search=[10, 100])] == [1.0, 1.0]
