"""The database as a dictionary of rows, with exact search: what the real one must agree with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .evaluator import matches, matches_document


@dataclass
class Row:
    vector: list[float]
    metadata: dict[str, Any] | None = None
    document: str | None = None

    def merge(self, patch: dict[str, Any] | None) -> None:
        """Merges per key; None deletes; no key left means no metadata."""
        merged = {**(self.metadata or {}), **(patch or {})}
        self.metadata = {key: value for key, value in merged.items() if value is not None} or None


@dataclass
class Table:
    """One collection. `rows` keeps insertion order, as dictionaries do."""

    space: str = "l2"
    dim: int | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    metadata: dict[str, Any] | None = None

    def add(self, ids: Sequence[str], vectors: Any, metadatas: Any, documents: Any) -> None:
        """Ids that are already there stay as they are."""
        for id, vector, metadata, document in zip(ids, vectors, metadatas, documents, strict=True):
            if id not in self.rows:
                self._insert(id, vector, metadata, document)

    def upsert(self, ids: Sequence[str], vectors: Any, metadatas: Any, documents: Any) -> None:
        for id, vector, metadata, document in zip(ids, vectors, metadatas, documents, strict=True):
            if id in self.rows:
                self._change(id, vector, metadata, document)
            else:
                self._insert(id, vector, metadata, document)

    def update(self, ids: Sequence[str], vectors: Any, metadatas: Any, documents: Any) -> None:
        """Ids that are not there are skipped."""
        columns = (column or [None] * len(ids) for column in (vectors, metadatas, documents))
        for id, vector, metadata, document in zip(ids, *columns, strict=True):
            if id in self.rows:
                self._change(id, vector, metadata, document)

    def delete(self, ids: Any, where: Any, where_document: Any, limit: int | None) -> int:
        doomed = self.select(ids, where, where_document)[:limit]
        for id in doomed:
            del self.rows[id]
        return len(doomed)

    def select(self, ids: Any = None, where: Any = None, where_document: Any = None) -> list[str]:
        """The matching ids in insertion order."""
        wanted = None if ids is None else set(ids)
        return [
            id
            for id, row in self.rows.items()
            if (wanted is None or id in wanted)
            and matches(where, row.metadata, row.document)
            and matches_document(where_document, row.document)
        ]

    def distances(self, query: Any, ids: Sequence[str]) -> np.ndarray[Any, Any]:
        """Exact distances in float64 from `query` to each of `ids`."""
        stored = np.array([self.rows[id].vector for id in ids], dtype=np.float64)
        return DISTANCES[self.space](np.asarray(query, dtype=np.float64), stored)

    def nearest(self, query: Any, k: int, ids: Any, where: Any, where_document: Any) -> list[str]:
        """The k best by (distance, insertion order)."""
        allowed = self.select(ids, where, where_document)
        if not allowed:
            return []
        order = np.argsort(self.distances(query, allowed), kind="stable")
        return [allowed[i] for i in order[:k]]

    def _insert(self, id: str, vector: Any, metadata: Any, document: Any) -> None:
        self.dim = len(vector)
        self.rows[id] = Row(list(vector), None, document)
        self.rows[id].merge(metadata)

    def _change(self, id: str, vector: Any, metadata: Any, document: Any) -> None:
        row = self.rows[id]
        row.vector = row.vector if vector is None else list(vector)
        row.document = row.document if document is None else document
        row.merge(metadata)


def _l2(query: Any, stored: Any) -> Any:
    return ((stored - query) ** 2).sum(axis=1)


def _ip(query: Any, stored: Any) -> Any:
    return 1 - stored @ query


def _cosine(query: Any, stored: Any) -> Any:
    norms = np.linalg.norm(stored, axis=1) * np.linalg.norm(query)
    cosines = np.divide(stored @ query, norms, out=np.zeros_like(norms), where=norms > 0)
    return 1 - cosines


DISTANCES: dict[str, Callable[[Any, Any], Any]] = {"l2": _l2, "ip": _ip, "cosine": _cosine}
