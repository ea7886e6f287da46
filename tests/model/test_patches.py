"""Histories of updates without vectors: every read answers as one of a collection of the same records.

This twin has one memtable and no patches. Values files, rewritten columns, indexes and reopening come in
between.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma import GroupBy, K, Knn, MinK, Schema, Search, SparseVector, SparseVectorIndexConfig
from chroma.storage.collection import compaction, postings_cache, record_store
from chroma.storage.filters import document_index, evaluator
from chroma.storage.interface.values import Records
from chroma.storage.scheduler import Scheduler

ROWS = 60
WORDS = ("lamp", "panel", "bread", "clock", "river", "stone", "日本", "naïve")
WHERE: list[Any] = [
    {"n": {"$gt": 3}},
    {"n": {"$ne": 2}},
    {"tag": "a"},
    {"tag": {"$nin": ["a", "b"]}},
    {"list": {"$contains": 2}},
    {"late": {"$exists": True}},
    {"$or": [{"late": {"$lte": 1}}, {"flag": True}]},
    {"$and": [{"n": {"$gte": 0}}, {"tag": {"$regex": "^[ab]$"}}]},
    {"$not": {"n": {"$between": [1, 5]}}},
]
WHERE_DOCUMENT: list[Any] = [
    {"$contains": "lamp"},
    {"$not_contains": "river"},
    {"$regex": "(bread|日本).*st"},
    {"$and": [{"$contains": "o"}, {"$not_contains": "clock"}]},
]
SCHEMA = Schema().create_index(SparseVectorIndexConfig(), key="v")


class History:
    """A collection, what it holds, and random changes of both."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.dice = folder, random.Random(seed)
        self.held: dict[str, dict[str, Any]] = {}
        self.number = 0
        with chroma.PersistentClient(folder) as client:
            client.create_collection("things", schema=SCHEMA, embedding_function=None)
        self.open()
        self.add(ROWS)
        self.made.compact()

    def open(self) -> None:
        self.client = chroma.PersistentClient(self.folder)
        self.made = self.client.get_collection("things")
        backend: Any = self.client._backend
        tenant, database = self.made.tenant, self.made.database
        self.collection = backend.engine.collection(tenant, database, str(self.made.id))

    def vector(self) -> list[float]:
        return [float(self.dice.randrange(-8, 9)) for _ in range(3)]

    def document(self) -> str | None:
        if self.dice.random() < 0.1:
            return None
        return " ".join(self.dice.choices(WORDS, k=self.dice.randrange(1, 6)))

    def metadata(self) -> dict[str, Any]:
        dice = self.dice
        choices: dict[str, list[Any]] = {
            "n": [dice.randrange(8), float(dice.randrange(8)), "3", 2.5],
            "tag": ["a", "b", "c", ""],
            "flag": [True, False],
            "list": [[1, 2], [2.0, 3.5], ["x"], [True]],
            "late": [dice.randrange(3)],
            "v": [SparseVector([dice.randrange(4), 9], [1.0, dice.choice([0.5, -1.0])])],
        }
        return {key: dice.choice(choices[key]) for key in dice.sample(sorted(choices), dice.randrange(5))}

    def some(self, most: int) -> list[str]:
        return self.dice.sample(sorted(self.held), min(len(self.held), self.dice.randrange(1, most)))

    def add(self, count: int) -> None:
        ids = [f"r{self.number + i}" for i in range(count)]
        self.number += count
        columns = self.vector, self.document, self.metadata
        names = "vector", "document", "metadata"
        rows: list[dict[str, Any]] = [
            {name: make() for name, make in zip(names, columns, strict=True)} | {"uri": None} for _ in ids
        ]
        self.made.add(
            ids=ids,
            embeddings=[row["vector"] for row in rows],
            documents=[row["document"] for row in rows],
            metadatas=[row["metadata"] or None for row in rows],
        )
        self.held |= dict(zip(ids, rows, strict=True))

    def patch(self, most: int = 5) -> None:
        ids = self.some(most)
        gone = ("n", "tag", "v", "late")
        changes: list[dict[str, Any]] = [self.metadata() for _ in ids]
        for change in changes:
            if self.dice.random() < 0.4:
                change[self.dice.choice(gone)] = None
        self.made.update(ids=ids, metadatas=[change or None for change in changes])
        for id, change in zip(ids, changes, strict=True):
            merged = self.held[id]["metadata"] | change
            self.held[id]["metadata"] = {key: value for key, value in merged.items() if value is not None}

    def patch_all(self) -> None:
        self.made.update(ids=list(self.held), metadatas=[{"late": 2}] * len(self.held))
        for row in self.held.values():
            row["metadata"]["late"] = 2

    def patch_texts(self) -> None:
        ids = self.some(5)
        documents, uris = [self.document() for _ in ids], [self.dice.choice([None, "u://1"]) for _ in ids]
        self.collection.write("update", Records(ids, documents=documents, uris=uris))
        for id, document, uri in zip(ids, documents, uris, strict=True):
            row = self.held[id]
            row["document"] = row["document"] if document is None else document
            row["uri"] = row["uri"] if uri is None else uri

    def move(self) -> None:
        ids = self.some(3)
        vectors = [self.vector() for _ in ids]
        self.made.update(ids=ids, embeddings=vectors)
        for id, vector in zip(ids, vectors, strict=True):
            self.held[id]["vector"] = vector

    def delete(self) -> None:
        ids = self.some(4)
        self.made.delete(ids=ids)
        for id in ids:
            del self.held[id]

    def flush(self) -> None:
        compaction.compact(self.collection.store, everything=False)

    def rewrite(self) -> None:
        self.made.compact()

    def index(self) -> None:
        self.collection.indexes.build()

    def reopen(self) -> None:
        self.client.close()
        self.open()

    def step(self) -> None:
        kinds = [
            *[self.patch] * 5, *[self.patch_texts] * 2, self.patch_all, self.move, self.delete, self.flush,
            self.flush, self.rewrite, self.index, self.reopen, lambda: self.add(self.dice.randrange(1, 14)),
        ]  # fmt: skip
        self.dice.choice(kinds)()

    def twin(self, client: Any) -> Any:
        made = client.create_collection(f"twin-{self.number}", schema=SCHEMA, embedding_function=None)
        rows = list(self.held.values())
        made.add(
            ids=list(self.held),
            embeddings=[row["vector"] for row in rows],
            documents=[row["document"] for row in rows],
            metadatas=[row["metadata"] or None for row in rows],
            uris=[row["uri"] for row in rows],
        )
        return made


def answers(made: Any, held: Any) -> dict[str, Any]:
    """What every kind of read says."""
    whole = made.get(include=["documents", "metadatas", "uris", "embeddings"])
    found: dict[str, Any] = {key: whole[key] for key in ("ids", "documents", "metadatas", "uris")}
    found["embeddings"] = whole["embeddings"].tolist()
    found["where"] = [made.get(where=each)["ids"] for each in WHERE]
    found["documents where"] = [made.get(where_document=each)["ids"] for each in WHERE_DOCUMENT]
    found["both"] = made.get(where=WHERE[1], where_document=WHERE_DOCUMENT[1])["ids"]
    found["counts"] = [made.count(where=each) for each in WHERE]
    found["order"] = made.get(order_by=["-n", "tag"], limit=20)["ids"]
    found["facets"] = dict(made.facets(["n", "tag", "list", "flag", "v"], limit=None))
    found["some facets"] = dict(made.facets(["n", "late"], where=WHERE[0]))
    table = made.to_arrow()
    found["table"] = {name: table.column(name).to_pylist() for name in sorted(table.column_names)}
    found["part"] = made.to_arrow(["id", "n", "document"], where=WHERE[1]).to_pylist()
    found["types"] = sorted(made.column_types().items())
    found["sql"] = made.sql("select tag, count(*) as c from records group by 1 order by 1").to_pylist()
    queries = [[1.0, 2.0, -3.0], [0.0, -1.0, 1.0]]
    for where in (None, WHERE[0], WHERE[5]):
        got = made.query(
            query_embeddings=queries, n_results=12, where=where, include=["metadatas", "distances"]
        )
        found[f"query {where}"] = got["ids"], got["metadatas"], got["distances"]
    for weights in ([1.0, 1.0], [1.0, -1.0]):
        rank = Knn(SparseVector([2, 9], weights), key="v", limit=15)
        for where in (None, K("n") > 2):
            search = Search(rank=rank, limit=15).select(K.SCORE)
            got = made.search(search if where is None else search.where(where))
            found[f"sparse {weights} {where is None}"] = got["ids"], got["scores"]
    for mode in ("lexical", "hybrid"):
        arguments = {} if mode == "lexical" else {"query_embeddings": queries}
        for where in (None, WHERE[0]):
            got = made.query(
                query_texts=["lamp of stone", "river"], mode=mode, n_results=9, where=where, **arguments
            )
            found[f"{mode} {where}"] = got["ids"], got["lexical_scores"]
    group = Search(rank=Knn(queries[0], limit=40), group_by=GroupBy("tag", MinK(K.SCORE, 2)), limit=30)
    found["groups"] = made.search(group)["ids"]
    found["keys"] = sorted(made._metadata_keys()) if held else []
    return found


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.filterwarnings("ignore::chroma.errors.UnmatchedKeyWarning")
def test_a_patched_collection_answers_as_its_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(Scheduler, "submit", lambda *args, **kwargs: None)
    monkeypatch.setattr(record_store, "BULK_ROWS", 12)
    monkeypatch.setattr(postings_cache, "FEW_DOCUMENTS", 20)
    monkeypatch.setattr(document_index, "LEAST_BYTES", 1)
    if seed:  # DuckDB evaluates larger filters
        monkeypatch.setattr(evaluator, "_ARRAYS_MOST", 1)
    monkeypatch.setattr(compaction, "DELETED_SHARE", 0.4)
    monkeypatch.setattr(compaction, "PATCHED_SHARE", 0.3)
    history = History(tmp_path / "db", seed)
    twins = chroma.EphemeralClient()
    for _ in range(14):
        history.step()
        twin = history.twin(twins)
        expected, got = answers(twin, history.held), answers(history.made, history.held)
        for name, value in expected.items():
            assert same(got[name], value), f"{name}: {got[name]} instead of {value}"
        twins.delete_collection(twin.name)
    history.client.close()
    twins.close()


def same(one: Any, other: Any) -> bool:
    """Whether two answers are equal. NaN, which stands for no score, is equal to itself."""
    return repr(np.asarray(one, object).tolist()) == repr(np.asarray(other, object).tolist())
