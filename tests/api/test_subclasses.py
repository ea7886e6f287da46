"""Enums, numpy values and other subclasses are what they derive from, everywhere, and are stored as that."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np


class Kind(str, enum.Enum):
    KEY = "k"
    VALUE = "v"
    ID = "one"
    NAME = "things-of-enum"
    SPACE = "cosine"
    FIELD = "documents"


class Level(enum.IntEnum):
    LOW = 7


class Share(float):
    pass


class Tags(list[Any]):
    pass


class Entry(dict[Any, Any]):
    pass


GIVEN = Entry({
    Kind.KEY: Kind.VALUE, np.str_("i"): Level.LOW, "f": Share(1.5), "b": np.bool_(True), "n": np.int8(3),
    "l": Tags([Kind.VALUE, "x"]), "t": (np.float32(0.5),),
})  # fmt: skip
PLAIN = {"k": "v", "i": 7, "f": 1.5, "b": True, "n": 3, "l": ["v", "x"], "t": [0.5]}


def types_of(entry: Any) -> list[type]:
    return [type(value) for pair in entry.items() for value in pair]


def test_records(collection: Any) -> None:
    collection.add(
        ids=[Kind.ID], embeddings=[[1, 2]], documents=[Kind.VALUE], uris=[Kind.VALUE], metadatas=[GIVEN]
    )
    found = collection.get(ids=[Kind.ID], include=["documents", "uris", "metadatas"])
    assert found["ids"] == ["one"] and found["documents"] == found["uris"] == ["v"]
    assert found["metadatas"] == [PLAIN] and types_of(found["metadatas"][0]) == types_of(PLAIN)
    ids = [f"m{number}" for number in range(40)]  # more are checked by column
    collection.upsert(ids=ids, embeddings=[[1, 2]] * 40, metadatas=[None, *[GIVEN] * 39])
    assert collection.get(ids=["m5"])["metadatas"] == [PLAIN]
    collection.update(ids=np.array(["m5"]), metadatas=[{Kind.KEY: None}])
    assert "k" not in collection.get(ids=["m5"])["metadatas"][0]
    assert collection.get(ids="one", order_by=Kind.KEY, include=[Kind.FIELD])["documents"] == ["v"]
    assert len(collection.query(query_embeddings=[[1, 2]], n_results=Level.LOW)["ids"][0]) == 7
    collection.delete(ids=[Kind.ID])
    assert collection.count() == 40


def test_collections(client: Any) -> None:
    made = client.create_collection(
        Kind.NAME,
        metadata={Kind.KEY: Kind.VALUE, np.str_("i"): Level.LOW},
        configuration={"hnsw": {"space": Kind.SPACE, "ef_search": np.int64(50)}},
        embedding_function=None,
    )
    again = client.get_collection(Kind.NAME, embedding_function=None)
    for thing in (made, again):
        assert thing.metadata == {"k": "v", "i": 7} and types_of(thing.metadata) == [str, str, str, int]
        assert (thing.name, type(thing.name)) == ("things-of-enum", str)
        hnsw = thing.configuration["hnsw"]
        assert (hnsw["space"], hnsw["ef_search"]) == ("cosine", 50)
    again.modify(metadata={Kind.VALUE: Level.LOW})
    assert again.metadata == {"v": 7}
    client.delete_collection(Kind.NAME)
