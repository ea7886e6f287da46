"""Records sorted by columns are in the order that interface/metadata_order.py defines."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.storage.interface.metadata_order import ordered
from chroma.storage.segments.segment import Segment
from chroma.types import SparseVector

ROWS = 200
_CHOICES: list[Any] = [
    True,
    False,
    -1,
    0,
    2,
    2**60,
    2**60 + 1,
    -1.5,
    0.0,
    2.0,
    float(2**60),
    "",
    "a",
    "é",
    "z",
]
_CHOICES += [[1], [1, 2], [0.5], ["x"], ["x", "a"], [True], SparseVector(indices=[1], values=[1.0])]


@pytest.fixture(scope="module")
def collection() -> Any:
    """Values of all types for two keys, in a segment, with patches, and in memory."""
    chance = random.Random(5)
    made = chroma.EphemeralClient(private=True).create_collection("things", embedding_function=None)

    def values(*keys: str) -> dict[str, Any] | None:
        return {key: chance.choice(_CHOICES) for key in keys if chance.random() < 0.85} or None

    for part in range(3):
        ids = [f"{part}-{row}" for row in range(ROWS)]
        vectors = np.random.default_rng(part).random((ROWS, 3))
        made.add(ids=ids, embeddings=vectors, metadatas=[values("p", "q") for _ in ids])
        if part == 1:
            made.compact()
        made.update(ids=ids[:30], metadatas=[{"p": chance.choice(_CHOICES)} for _ in range(30)])
        made.upsert(ids=ids[40:60], embeddings=vectors[:20], metadatas=[values("q") for _ in range(20)])
    return made


@pytest.mark.parametrize("order_by", [["p"], ["-p"], ["p", "-q"], ["-q", "p"], ["missing", "q"]])
def test_sorting_by_columns_is_sorting_by_values(collection: Any, order_by: list[str]) -> None:
    every = collection.get(include=["metadatas"])
    pairs = [(name.lstrip("-"), name.startswith("-")) for name in order_by]
    expected = [every["ids"][at] for at in ordered(every["metadatas"], pairs)]
    assert collection.get(order_by=order_by, include=[])["ids"] == expected
    assert collection.get(order_by=order_by, limit=17, offset=90, include=[])["ids"] == expected[90:107]
    assert collection.get(order_by=order_by, offset=3 * ROWS, include=[])["ids"] == []
    where: Any = {"p": {"$gte": 0}}
    kept = set(collection.get(where=where, include=[])["ids"])
    found = collection.get(where=where, order_by=order_by, include=[])["ids"]
    assert found == [id for id in expected if id in kept]


def test_sorting_decodes_no_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a million records, that would take seconds."""
    made = chroma.EphemeralClient(private=True).create_collection("numbers", embedding_function=None)
    ids = [f"i{row}" for row in range(500)]
    made.add(ids=ids, embeddings=[[0.0]] * 500, metadatas=[{"n": -row} for row in range(500)])
    made.compact()
    decoded: list[int] = []
    read = Segment.mappings

    def mappings(self: Any, rows: Any) -> Any:
        decoded.append(len(rows))
        return read(self, rows)

    monkeypatch.setattr(Segment, "mappings", mappings)
    assert made.get(order_by="n", limit=3, include=[])["ids"] == ["i499", "i498", "i497"]
    assert sum(decoded) == 0
