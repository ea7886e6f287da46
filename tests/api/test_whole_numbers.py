"""Whole numbers as ids: everywhere an id is given, a number stands for its digits."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest

from chroma import K, Search
from chroma.errors import DuplicateIDError

from ..support.checks import refused


class Level(enum.IntEnum):
    ONE = 1


@pytest.fixture
def numbered(collection: Any) -> Any:
    collection.add(ids=[1, 2, 3], embeddings=[[1, 0], [0, 1], [1, 1]], metadatas=[{"n": n} for n in range(3)])
    return collection


def test_writes(numbered: Any) -> None:
    assert numbered.get()["ids"] == ["1", "2", "3"]
    numbered.upsert(ids=[3, -4, 10**30], embeddings=[[2, 2], [4, 4], [5, 5]])
    numbered.update(ids=np.array([1]), metadatas=[{"n": 7}])
    assert numbered.get()["ids"] == ["1", "2", "3", "-4", str(10**30)]
    assert numbered.get(ids=1)["metadatas"] == [{"n": 7}]
    with refused("1", error=DuplicateIDError):
        numbered.add(ids=[1, "1"], embeddings=[[1, 0], [0, 1]])
    with refused("Expected ID to be a str", "2.0", "int(id)"):
        numbered.get(ids=[2.0])


def test_reads_and_deletes(numbered: Any) -> None:
    for ids in (2, [2], ("2",), np.array([2], np.int64), np.int8(2), range(2, 3)):
        assert numbered.get(ids=ids)["ids"] == ["2"], ids
    assert numbered.get(ids=[Level.ONE])["ids"] == ["1"]
    assert numbered.get(ids=[3, 1], order_by="#request")["ids"] == ["3", "1"]
    assert numbered.query(query_embeddings=[[1, 0]], ids=[2, 3, 9])["ids"] == [["3", "2"]]
    assert numbered.facets("n", ids=[1])["n"]["records"] == 1
    for where in ({"#id": 2}, {"#id": {"$in": [2, 5]}}, {"#id": [2]}, "id = 2", "id in (2, 5)"):
        assert numbered.get(where=where)["ids"] == ["2"], where
    assert numbered.search(Search(where=(K.ID == 2) | K.ID.is_in([3])))["ids"] == [["2", "3"]]
    assert numbered.delete(ids=[1, 2]) == {"deleted": 2}
    with refused("#id", "True"):
        numbered.get(where={"#id": True})


def test_membership(client_kind: str, numbered: Any) -> None:
    if client_kind == "async":
        pytest.skip("operators of Python cannot be awaited")
    for id in (2, np.int64(2), "2"):
        assert id in numbered, id
    for id in (4, True, 2.0, None):
        assert id not in numbered, id


def test_tables(collection: Any) -> None:
    pd = pytest.importorskip("pandas")
    collection.add(pd.DataFrame({"id": [1, 2], "embedding": [[1.0, 0.0], [0.0, 1.0]]}))
    frame = pd.DataFrame({"n": [5, 6]}, index=[1, 2])
    collection.update(ids=frame.index, metadatas=frame.to_dict("records"))
    assert collection.get(ids=frame.index)["metadatas"] == [{"n": 5}, {"n": 6}]
    assert collection.get(ids=pd.Series([2]))["ids"] == ["2"]
