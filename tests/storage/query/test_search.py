"""Searches over one snapshot, while the collection changes."""

from __future__ import annotations

from typing import Any

import pytest

import chroma
from chroma import GroupBy, K, Knn, MinK, Search
from chroma.storage.query import search


@pytest.mark.parametrize("before", [[], ["b"]], ids=["in order", "updated before"])
@pytest.mark.parametrize("group", [None, GroupBy("g", MinK(K.SCORE, 1))])
def test_records_that_change_during_a_search(
    monkeypatch: pytest.MonkeyPatch, before: list[str], group: GroupBy | None
) -> None:
    """The memtable then has newer rows with the positions that the search found."""
    collection = chroma.EphemeralClient(private=True).create_collection("things", embedding_function=None)
    names = list("abcd")
    collection.add(ids=names, embeddings=[[0], [1], [2], [3]], metadatas=[{"g": name} for name in names])
    if before:
        collection.upsert(ids=before, embeddings=[[1]])
    evaluate = search.evaluate

    def slow(*arguments: Any) -> Any:
        found = evaluate(*arguments)
        collection.upsert(ids=["a", "c"], embeddings=[[9], [9]], metadatas=[{"g": "new"}] * 2)
        collection.delete(ids=["b"])
        return found

    monkeypatch.setattr(search, "evaluate", slow)
    found = collection.search(Search(rank=Knn([0]), group_by=group).select("g", K.SCORE, K.EMBEDDING))
    assert found["ids"] == [names] and found["scores"] == [[0, 1, 4, 9]]
    assert found["embeddings"] == [[[0], [1], [2], [3]]]
    assert [row["metadata"]["g"] for row in found.rows()[0]] == names
    monkeypatch.undo()
    assert collection.search(Search(rank=Knn([0])))["ids"] == [["d", "a", "c"]]
