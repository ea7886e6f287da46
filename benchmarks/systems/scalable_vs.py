"""Intel SVS alone: a Vamana graph in memory, labels and distances, no documents, no filters, nothing durable.

A floor, as hnswlib is. Its graph is built once, from all vectors.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import svs

from .base import Driver as Base


class Driver(Base):
    default_knob = 20
    durable = False
    returns_documents = False

    def open(self) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self.index: Any = None
        self._parts: list[Any] = []
        self._ids: list[str] = []
        if Path(self.path).exists():
            loaders = svs.GraphLoader(f"{self.path}/graph"), svs.VectorDataLoader(f"{self.path}/vectors")
            self.index = svs.Vamana(f"{self.path}/settings", *loaders, svs.DistanceType.MIP, num_threads=1)
            self._ids = np.load(f"{self.path}/ids.npy").tolist()

    def set_knob(self, ef: int | None) -> None:
        self.index.search_window_size = ef or self.default_knob

    def add(self, rows: Any) -> None:
        self._parts.append(np.asarray(rows.vectors))
        self._ids += rows.ids

    def settle(self) -> None:
        parameters = svs.VamanaBuildParameters(graph_max_degree=32, window_size=100, alpha=0.95)
        vectors = np.concatenate(self._parts)
        self.index = svs.Vamana.build(parameters, vectors, svs.DistanceType.MIP, num_threads=self.cores)
        self.index.num_threads = 1
        Path(self.path).mkdir(parents=True)
        self.index.save(f"{self.path}/settings", f"{self.path}/graph", f"{self.path}/vectors")
        np.save(f"{self.path}/ids.npy", np.array(self._ids))

    def query(self, vector: Any, k: int = 10, condition: Any = None) -> list[Any]:
        if condition is not None:
            return super().query(vector, k, condition)
        return self.index.search(vector, k)[0][0]

    def query_many(self, vectors: Any, k: int = 10) -> list[list[Any]]:
        self.index.num_threads = self.cores
        try:
            return self.index.search(vectors, k)[0]
        finally:
            self.index.num_threads = 1

    def ids_of(self, found: list[Any]) -> list[str]:
        return [self._ids[row] for row in np.asarray(found).tolist()]

    def count(self) -> int:
        return len(self._ids)
