"""usearch alone: keys and distances from an index in memory, no documents, no filters and nothing durable.

A floor, as hnswlib is; its vectors are of 8 bits, as the codes of ours.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from usearch.index import Index

from .base import Driver as Base


class Driver(Base):
    default_knob = 64
    durable = False
    returns_documents = False

    def open(self) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self.index = Index(ndim=self.dimension, metric="cos", dtype="i8", connectivity=16, expansion_add=100)
        self._ids: list[str] = []
        if Path(self.path, "index").exists():
            self.index.load(str(Path(self.path, "index")))
            self._ids = np.load(Path(self.path, "ids.npy")).tolist()

    def set_knob(self, ef: int | None) -> None:
        self.index.expansion_search = ef or self.default_knob

    def add(self, rows: Any) -> None:
        keys = np.arange(len(self._ids), len(self._ids) + len(rows))
        self.index.add(keys, np.asarray(rows.vectors), threads=self.cores)
        self._ids += rows.ids

    def settle(self) -> None:
        Path(self.path).mkdir(parents=True, exist_ok=True)
        self.index.save(str(Path(self.path, "index")))
        np.save(Path(self.path, "ids.npy"), np.array(self._ids))

    def query(self, vector: Any, k: int = 10, condition: Any = None) -> list[Any]:
        if condition is not None:
            return super().query(vector, k, condition)
        return self.index.search(vector, k, threads=1).keys

    def query_many(self, vectors: Any, k: int = 10) -> list[list[Any]]:
        return self.index.search(vectors, k, threads=self.cores).keys

    def ids_of(self, found: list[Any]) -> list[str]:
        return [self._ids[key] for key in np.asarray(found).tolist()]

    def count(self) -> int:
        return len(self.index)
