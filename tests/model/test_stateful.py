"""Random histories against the model: every answer, across compaction, close and reopen."""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import chroma
from chroma.errors import NotFoundError, UniqueConstraintError

from ..support import scratch, strategies
from ..support.checks import float32
from .oracle import Table

NAMES = ["one", "two", "three"]
POOL = ["a", "b", "c", "d", "é", "🙂", "a\x00b", "/?#", " ", "x" * 300]
names = st.sampled_from(NAMES)
id_lists = st.lists(st.sampled_from(POOL), min_size=1, max_size=6, unique=True)
maybe_where = st.one_of(st.none(), strategies.wheres)
maybe_document = st.one_of(st.none(), strategies.where_documents)
seeds = st.integers(0, 2**32 - 1)


class Histories(RuleBasedStateMachine):
    """Up to three collections, ten ids, vectors of 1 to 8 dimensions on a coarse grid."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="histories-", dir=scratch.home()))
        self.client = self.open()
        self.client.reset()
        self.tables: dict[str, Table] = {}
        self.dims: dict[str, int] = {}
        self.kept: dict[str, dict[str, Table]] = {}  # the snapshots of each collection

    def open(self) -> Any:
        raise NotImplementedError

    def teardown(self) -> None:
        self.client.reset()
        self.client.close()
        shutil.rmtree(self.folder)

    def pick(self, data: Any) -> tuple[Any, Table, int]:
        name = data.draw(st.sampled_from(sorted(self.tables)))
        return self.client.get_collection(name), self.tables[name], self.dims[name]

    @initialize(space=st.sampled_from(["l2", "cosine", "ip"]), dim=st.integers(1, 8))
    def start(self, space: str, dim: int) -> None:
        self.create("one", space, dim)

    @rule(name=names, space=st.sampled_from(["l2", "cosine", "ip"]), dim=st.integers(1, 8))
    def create(self, name: str, space: str, dim: int) -> None:
        configuration = {"hnsw": {"space": space}}
        if name in self.tables:
            with pytest.raises(UniqueConstraintError):
                self.client.create_collection(name, configuration=configuration, embedding_function=None)
        else:
            self.client.create_collection(name, configuration=configuration, embedding_function=None)
            self.tables[name], self.dims[name], self.kept[name] = Table(space), dim, {}

    @precondition(lambda self: self.tables)
    @rule(data=st.data(), verb=st.sampled_from(["add", "upsert", "update"]), ids=id_lists)
    def write(self, data: Any, verb: str, ids: list[str]) -> None:
        collection, table, dim = self.pick(data)

        def column(values: Any) -> Any:
            return data.draw(st.lists(values, min_size=len(ids), max_size=len(ids)))

        vectors = column(strategies.vectors(dim))
        if verb == "update" and data.draw(st.booleans()):
            vectors = None
        patches = strategies.metadatas if verb == "add" else strategies.patches
        metadatas = column(st.one_of(st.none(), patches))
        documents = column(strategies.optional_documents)
        if vectors is None:
            # a document alone would have to be embedded
            documents = [None] * len(ids)
        getattr(collection, verb)(ids=ids, embeddings=vectors, metadatas=metadatas, documents=documents)
        getattr(table, verb)(ids, vectors, metadatas, documents)

    @precondition(lambda self: self.tables)
    @rule(data=st.data(), ids=st.one_of(st.none(), id_lists), where=maybe_where, text=maybe_document)
    def delete(self, data: Any, ids: Any, where: Any, text: Any) -> None:
        collection, table, _ = self.pick(data)
        if ids is None and where is None and text is None:
            where = {"k": {"$ne": 1}}
        filtered = where is not None or text is not None
        limit = data.draw(st.one_of(st.none(), st.integers(0, 3))) if filtered else None
        deleted = collection.delete(ids=ids, where=where, where_document=text, limit=limit, missing_ok=True)
        assert deleted == {"deleted": table.delete(ids, where, text, limit)}

    @precondition(lambda self: self.tables)
    @rule(data=st.data(), ids=st.one_of(st.none(), id_lists), where=maybe_where, text=maybe_document)
    def get(self, data: Any, ids: Any, where: Any, text: Any) -> None:
        collection, table, _ = self.pick(data)
        offset, limit = data.draw(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 5))))
        got = collection.get(ids=ids, where=where, where_document=text, limit=limit, offset=offset)
        stop = None if limit is None else offset + limit
        assert got["ids"] == table.select(ids, where, text)[offset:stop]
        assert got["metadatas"] == [table.rows[id].metadata for id in got["ids"]]
        assert got["documents"] == [table.rows[id].document for id in got["ids"]]

    @precondition(lambda self: self.tables)
    @rule(
        data=st.data(),
        k=st.integers(1, 12),
        exact=st.booleans(),
        ids=st.one_of(st.none(), id_lists),
        where=maybe_where,
        text=maybe_document,
    )
    def query(self, data: Any, k: int, exact: bool, ids: Any, where: Any, text: Any) -> None:
        collection, table, dim = self.pick(data)
        query = data.draw(strategies.vectors(dim))
        result = collection.query(
            query_embeddings=[query], n_results=k, ids=ids, where=where, where_document=text, exact=exact
        )
        [found], [distances] = result["ids"], result["distances"]
        matching = table.select(ids, where, text)
        assert len(found) == len(set(found)) == min(k, len(matching))
        assert set(found) <= set(matching)
        if not found:
            return
        np.testing.assert_allclose(distances, table.distances(query, found), rtol=1e-5, atol=1e-5)
        assert distances == sorted(distances)
        if exact:
            best = table.nearest(query, k, ids, where, text)
            np.testing.assert_allclose(distances, table.distances(query, best), rtol=1e-5, atol=1e-5)
            if table.space != "cosine":  # on the grid the others are exact in float32, so ties are ties
                assert found == best

    @precondition(lambda self: self.tables)
    @rule(data=st.data(), where=maybe_where, text=maybe_document)
    def count(self, data: Any, where: Any, text: Any) -> None:
        collection, table, _ = self.pick(data)
        assert collection.count(where=where, where_document=text) == len(table.select(None, where, text))

    @precondition(lambda self: self.tables)
    @rule(data=st.data(), new=names, metadata=st.sampled_from([None, {"a": 1}, {"b": "x", "c": None}]))
    def modify(self, data: Any, new: str, metadata: Any) -> None:
        collection, table, _ = self.pick(data)
        old = collection.name
        if new in self.tables and new != old:
            with pytest.raises(UniqueConstraintError):
                collection.modify(name=new)
            return
        collection.modify(name=new, metadata=metadata)
        if metadata is not None:
            table.metadata = {key: value for key, value in metadata.items() if value is not None}
        self.tables[new], self.dims[new] = self.tables.pop(old), self.dims.pop(old)
        self.kept[new] = self.kept.pop(old)

    @precondition(lambda self: self.tables)
    @rule(data=st.data(), name=st.sampled_from(["first", "second"]))
    def snapshot(self, data: Any, name: str) -> None:
        collection, table, _ = self.pick(data)
        kept = self.kept[collection.name]
        if name in kept:
            with pytest.raises(UniqueConstraintError):
                collection.snapshot(name)
            return
        assert collection.snapshot(name).records == len(table.rows)
        kept[name] = copy.deepcopy(table)

    @precondition(lambda self: any(self.kept.values()))
    @rule(data=st.data(), drop=st.booleans())
    def restore(self, data: Any, drop: bool) -> None:
        name = data.draw(st.sampled_from(sorted(name for name, kept in self.kept.items() if kept)))
        collection, kept = self.client.get_collection(name), self.kept[name]
        snapshot = data.draw(st.sampled_from(sorted(kept)))
        version = collection.at(snapshot)
        assert version.get()["ids"] == list(kept[snapshot].rows)
        if drop:
            collection.drop_snapshot(snapshot)
            del kept[snapshot]
        else:
            collection.restore(snapshot)
            self.tables[name].rows = copy.deepcopy(kept[snapshot].rows)
        assert sorted(each.name for each in collection.snapshots()) == sorted(kept)

    @precondition(lambda self: len(self.tables) > 1)
    @rule(data=st.data())
    def drop(self, data: Any) -> None:
        collection, _, _ = self.pick(data)
        self.client.delete_collection(collection.name)
        del self.tables[collection.name], self.dims[collection.name], self.kept[collection.name]
        with pytest.raises(NotFoundError):
            collection.count()

    @precondition(lambda self: self.tables)
    @rule(data=st.data())
    def compact(self, data: Any) -> None:
        self.pick(data)[0].compact()

    @rule()
    def compact_everything(self) -> None:
        self.client.compact()

    @rule()
    def reopen(self) -> None:
        """Nothing to do where closing loses the data."""

    @invariant()
    def everything_agrees(self) -> None:
        assert {c.name for c in self.client.list_collections()} == set(self.tables)
        for name, table in self.tables.items():
            collection = self.client.get_collection(name)
            assert collection.metadata == table.metadata
            got = collection.get(include=["embeddings", "metadatas", "documents"])
            assert got["ids"] == list(table.rows)
            assert collection.count() == len(table.rows)
            assert got["documents"] == [row.document for row in table.rows.values()]
            assert list(map(typed, got["metadatas"])) == [typed(row.metadata) for row in table.rows.values()]
            assert float32(got["embeddings"]) == float32([row.vector for row in table.rows.values()])


def typed(metadata: Any) -> list[str]:
    """Metadata as text that tells 1 from 1.0 and True, whatever the order of the keys."""
    return ["None"] if metadata is None else sorted(map(repr, metadata.items()))


class PersistentHistories(Histories):
    def open(self) -> Any:
        return chroma.PersistentClient(self.folder)

    @rule()
    def reopen(self) -> None:
        self.client.close()
        self.client = self.open()


class EphemeralHistories(Histories):
    def open(self) -> Any:
        return chroma.EphemeralClient()


class SmallPartsHistories(PersistentHistories):
    """Limits so low that ten records make direct segments, seals, merges, tombstones and indexes, with
    housekeeping and index building going on in the background all the time."""

    def __init__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr("chroma.storage.collection.record_store.BULK_ROWS", 4)
        self._patch.setattr("chroma.storage.collection.compaction.FLUSH_ROWS", 5)
        self._patch.setattr("chroma.storage.collection.compaction.DELETED_SHARE", 0.5)
        self._patch.setattr("chroma.storage.collection.compaction.PATCHED_SHARE", 0.5)
        self._patch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
        self._patch.setattr("chroma.storage.filters.document_index.LEAST_BYTES", 1)
        self._patch.setattr("chroma.storage.collection.segment_indexes.LOAD_SECONDS", 0.0)
        self._patch.setattr("chroma.storage.collection.segment_indexes.BUILD_SECONDS", 0.0)
        self._patch.setattr("chroma.storage.collection.collection.QUIET_SECONDS", 0.0)
        super().__init__()

    def teardown(self) -> None:
        errors = self.client._backend.engine.services.background.errors
        try:
            assert not errors
            super().teardown()
        finally:
            self._patch.undo()


BOUNDED = settings(
    max_examples=40,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestPersistentHistories = PersistentHistories.TestCase
TestPersistentHistories.settings = BOUNDED
TestSmallPartsHistories = SmallPartsHistories.TestCase
TestSmallPartsHistories.settings = BOUNDED
TestEphemeralHistories = EphemeralHistories.TestCase
TestEphemeralHistories.settings = BOUNDED
