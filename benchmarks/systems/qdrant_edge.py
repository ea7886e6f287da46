"""Qdrant Edge, with the graph of the others (M 16, ef_construction 100) and indexes on what is filtered.

Its points have numbers for ids; the ids of the records are in the payload, beside the document.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import qdrant_edge as q

from .base import Driver as Base

STEP = 1024  # records per call at the most
INDEXED = {"u": q.PayloadSchemaType.Integer, "lexname": q.PayloadSchemaType.Keyword}


class Driver(Base):
    default_knob = None

    def open(self) -> None:
        self.parameters = None
        self.numbers: dict[str, int] = {}
        self.shard = None
        if Path(self.path).exists():
            self.shard = q.EdgeShard.load(self.path)
        self.free = itertools.count(0 if self.shard is None else self.count())  # threads add, too

    def close(self) -> None:
        if self.shard is not None:
            self.shard.close()

    def settle(self) -> None:
        self._shard.optimize()

    def set_knob(self, ef: int | None) -> None:
        self.parameters = None if ef is None else q.SearchParams(hnsw_ef=ef)

    @property
    def _shard(self) -> Any:
        assert self.shard is not None
        return self.shard

    def _create(self, metadata: dict[str, Any]) -> None:
        graph = q.HnswIndexConfig(16, 100, 10_000, max_indexing_threads=len(os.sched_getaffinity(0)))
        vectors = q.EdgeVectorParams(self.dimension, q.Distance.Cosine, hnsw_config=graph)
        Path(self.path).mkdir(parents=True)
        self.shard = q.EdgeShard.create(self.path, q.EdgeConfig(vectors=vectors, hnsw_config=graph))
        for key, kind in INDEXED.items():
            if key in metadata:
                self.shard.update(q.UpdateOperation.create_field_index(key, kind))

    def add(self, rows: Any) -> None:
        if self.shard is None:
            self._create(rows.metadatas[0])
        for start in range(0, len(rows), STEP):
            part = rows.part(start, start + STEP)
            points = []
            for id, vector, metadata, document in zip(part.ids, part.vectors, part.metadatas, part.documents):
                number = self.numbers.setdefault(id, next(self.free))
                points.append(q.Point(number, vector.tolist(), {**metadata, "id": id, "text": document}))
            self._shard.update(q.UpdateOperation.upsert_points(points))
        self._shard.flush()

    def update(self, ids: list[str], metadatas: list[dict[str, Any]]) -> None:
        for id, metadata in zip(ids, metadatas):
            self._shard.update(q.UpdateOperation.set_payload([self._number(id)], metadata))
        self._shard.flush()

    def delete(self, ids: list[str]) -> None:
        self._shard.update(q.UpdateOperation.delete_points([self._number(id) for id in ids]))
        self._shard.flush()

    def _number(self, id: str) -> int:
        """The number of a record; in a process that only reads, ids are looked up in the payload."""
        if id not in self.numbers:
            found = self._shard.scroll(
                q.ScrollRequest(
                    filter=q.Filter(must=[q.FieldCondition("id", match=q.MatchValue(id))]), limit=1
                )
            )[0]
            self.numbers[id] = found[0].id
        return self.numbers[id]

    def native(self, condition: Any) -> Any:
        if condition.contains is not None:
            return super().native(condition)
        ranges: dict[str, dict[str, Any]] = {}
        must = []
        for key, sign, value in condition.terms:
            if sign == "=":
                must.append(q.FieldCondition(key, match=q.MatchValue(value)))
            else:
                ranges.setdefault(key, {})["lt" if sign == "<" else "gte"] = value
        must += [q.FieldCondition(key, range=q.RangeFloat(**ends)) for key, ends in ranges.items()]
        return q.Filter(must=must)

    def query(self, vector: Any, k: int = 10, condition: Any = None) -> list[Any]:
        asked = q.QueryRequest(
            k,
            query=q.Query.Nearest(listed(vector)),
            filter=condition,
            params=self.parameters,
            with_payload=True,
        )
        return [found.payload["id"] for found in self._shard.query(asked)]

    def query_ids(self, vector: Any, k: int = 10) -> list[Any]:
        asked = q.QueryRequest(
            k,
            query=q.Query.Nearest(listed(vector)),
            params=self.parameters,
            with_payload=q.PayloadSelector.Include(["id"]),
        )
        return [found.payload["id"] for found in self._shard.query(asked)]

    def get(self, ids: list[str]) -> list[str]:
        found = self._shard.retrieve([self._number(id) for id in ids], with_payload=True, with_vector=False)
        return [record.payload["id"] for record in found]

    def count(self) -> int:
        return int(self._shard.count(q.CountRequest(exact=True)))


def listed(vector: Any) -> list[float]:
    """A new process has its first vector as a list, because it need not import numpy."""
    return vector if isinstance(vector, list) else vector.tolist()
