"""hnswlib alone: labels and distances from an index in memory, no documents and nothing durable.

What a search costs at the least with the same graph. Filters are masks over columns that it keeps beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np

from .base import Driver as Base

GRAPH = {"M": 16, "ef_construction": 100}  # as ours


class Driver(Base):
    default_knob = 10
    durable = False
    returns_documents = False

    def open(self) -> None:
        self.index = hnswlib.Index("cosine", self.dimension)
        self.cores = len(os.sched_getaffinity(0))
        self._columns: dict[str, Any] = {}
        if Path(self.path, "index").exists():
            self.index.load_index(str(Path(self.path, "index")))
            self._columns = dict(np.load(Path(self.path, "columns.npz")))
        else:
            self.index.init_index(1024, **GRAPH)
            self._parts: list[dict[str, Any]] = []

    def set_knob(self, ef: int | None) -> None:
        self.index.set_ef(ef or self.default_knob)

    def add(self, rows: Any) -> None:
        have = self.index.get_current_count()
        if have + len(rows) > self.index.get_max_elements():
            self.index.resize_index(max(have + len(rows), 2 * have))
        labels = np.arange(have, have + len(rows))
        self.index.add_items(rows.vectors, labels, num_threads=self.cores)
        columns = {"id": np.array(rows.ids), "u": np.array([given["u"] for given in rows.metadatas])}
        if "lexname" in rows.metadatas[0]:
            columns["lexname"] = np.array([given["lexname"] for given in rows.metadatas])
        self._parts.append(columns)

    def settle(self) -> None:
        Path(self.path).mkdir(parents=True, exist_ok=True)
        self._columns = {
            name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]
        }
        np.savez(Path(self.path, "columns.npz"), **self._columns)
        self.index.save_index(str(Path(self.path, "index")))

    def native(self, condition: Any) -> Any:
        if condition.contains is not None:
            return super().native(condition)
        return condition

    def query(self, vector: Any, k: int = 10, condition: Any = None) -> list[Any]:
        if condition is None:
            return self.index.knn_query(vector, k=k, num_threads=1)[0][0]
        kept = condition.mask(self._columns)
        k = min(k, int(kept.sum()))
        if not k:
            return []
        try:
            return self.index.knn_query(vector, k=k, num_threads=1, filter=kept.__getitem__)[0][0]
        except RuntimeError:  # it found fewer than k, and says no more
            return []

    def query_many(self, vectors: Any, k: int = 10) -> list[list[Any]]:
        return self.index.knn_query(vectors, k=k, num_threads=self.cores)[0]

    def ids_of(self, found: list[Any]) -> list[str]:
        return self._columns["id"][np.asarray(found, dtype=int)].tolist()

    def count(self) -> int:
        return self.index.get_current_count()
