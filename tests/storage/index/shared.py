"""Vectors and graphs that several tests share."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import xxhash

from chroma.storage.index import hnsw, native_graph
from chroma.storage.index.graph import Graph, GraphData, link_bytes
from chroma.storage.index.native_graph import NativeGraph
from chroma.storage.io.checksummed_writer import Hashing
from chroma.storage.manifest import FileRef
from chroma.storage.vectors import pca
from chroma.storage.vectors.distance import Space

ROWS, DIM = 9000, 128


def patches(rows: int, rank: int, dimension: int = DIM) -> Any:
    """Vectors of a few dozen directions and a little noise, as embeddings are."""
    random = np.random.default_rng(5)
    centres = random.standard_normal((40, rank))
    flat = centres[random.integers(0, 40, rows)] + 0.5 * random.standard_normal((rows, rank))
    turned = flat @ random.standard_normal((rank, dimension))
    return (turned + 0.1 * random.standard_normal((rows, dimension))).astype(np.float32)


VECTORS = patches(ROWS, 24)


class Sink(Hashing):
    def __init__(self) -> None:
        super().__init__()
        self.out = io.BytesIO()

    def write(self, data: Any) -> int:
        self.out.write(data)
        return self._add(data)


def ref(data: bytes) -> FileRef:
    return FileRef("graph", len(data), xxhash.xxh3_64_hexdigest(data))


def scratch(size: int) -> memoryview:
    return memoryview(bytearray(size))


def native_data(
    space: Space, vectors: Any, neighbors: int = 16, ef_construction: int = 100, threads: int = 2
) -> GraphData:
    """A graph of codes."""
    choice = pca.choose(space, vectors, coded=True)
    assert choice is not None
    data = native_graph.build(
        space, vectors, projection=choice.projection, neighbors=neighbors, ef_construction=ef_construction,
        threads=threads, stopped=lambda: False, scratch=scratch,
    )  # fmt: skip
    assert data is not None
    return data


def hnsw_data(space: Space, vectors: Any, neighbors: int = 8, ef_construction: int = 40) -> GraphData:
    """A graph of float32 vectors."""
    choice = pca.choose(space, vectors, coded=False)
    assert choice is not None
    data = hnsw.build(
        space, vectors, projection=choice.projection, neighbors=neighbors, ef_construction=ef_construction,
        threads=2, stopped=lambda: False,
    )  # fmt: skip
    assert data is not None
    return data


def unreachable(data: GraphData) -> int:
    """Count the rows to which no way leads from the entry in the ground layer."""
    size = link_bytes(data.rows)
    wide = np.zeros((int(data.counts.sum()), 4), np.uint8)
    wide[:, :size] = data.links.reshape(-1, size)
    targets, ends = wide.view(np.uint32).reshape(-1), np.cumsum(data.counts, dtype=np.int64)
    seen, found = np.zeros(data.rows, np.bool_), [data.entry]
    seen[data.entry] = True
    while found:
        row = found.pop()
        for target in targets[ends[row] - data.counts[row] : ends[row]].tolist():
            if not seen[target]:
                seen[target] = True
                found.append(target)
    return int((~seen).sum())


@lru_cache
def built(space: Space) -> Graph:
    """A graph of codes of VECTORS."""
    return NativeGraph(native_data(space, VECTORS), DIM, mapped=False)
