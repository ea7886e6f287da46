"""The similarity index of one segment: build it, keep it in a graph file, search it.

Owns: everything about hnswlib; the only module that imports it. An index is a cache of the vectors, never
changed after it is built, and never needed for a right answer.

The vectors of a graph are those of the segment, of length one with `cosine`, and projected where that keeps
the neighbours (vectors/pca.py). A graph search gives candidates, and query/executor.py ranks them by whole
vectors. graph_file.py writes and reads graphs.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..interface.values import Floats
from ..schema.record_columns import Ints
from ..vectors.distance import Space, normalised
from ..vectors.pca import Projection, choose

_CHUNK = 4096  # rows added between two looks at the stop flag: 0.2–0.5 s of building
_SEED = 100
# Of hnswlib, per row: a lock, an entry in the table of labels, a level, a pointer, and the upper layers; and
# the length of the vector.
_OTHER_BYTES = 118


# Squared lengths of a query that need no change: hnswlib subtracts its products from 1 in float32, so much
# shorter ones would all seem equally far (recall 0.98 at a length of 1e-4, 0.46 at 2e-6).
_SMALL, _LARGE = 1e-2, 1e12
_ONE = [0]


class HnswMissing(UserWarning):
    """hnswlib cannot be imported; searches are exact and slower."""


_warned = threading.Event()


def available() -> bool:
    """Whether hnswlib can be used; warns once if not."""
    try:
        import hnswlib  # noqa: F401  compiled extension, loaded when an index is first needed
    except ImportError:
        if not _warned.is_set():
            _warned.set()
            warnings.warn(
                "hnswlib is not installed, so similarity searches scan every vector: exact, but slower on "
                "large collections. Install a C++ compiler and the Python headers (Debian: g++ python3-dev), "
                "then `pip install hnswlib`.",
                HnswMissing,
                stacklevel=2,
            )
        return False
    return True


class Graph:
    """A loaded index over the rows of one segment; labels are row numbers."""

    def __init__(self, space: Space, index: Any, rows: int, projection: Projection | None) -> None:
        self.space = space
        self.rows = rows
        self.projection = projection
        self.dimension = int(index.dim)  # of the vectors that a graph search reads
        self._index = index
        self._ef, self._changing = 0, threading.Lock()
        self._inside: list[None] = []  # one for each thread that is in native code
        # hnswlib keeps its own copy of the vectors beside the links, and a table of labels.
        self.nbytes = rows * (4 * self.dimension + 8 + 4 * (2 * int(index.M) + 1) + _OTHER_BYTES)

    def prepare(self, queries: Floats) -> tuple[Floats, list[int]]:
        """Queries as the graph has vectors, and the numbers of those that are out of distribution."""
        projection = self.projection
        if projection is not None and len(queries) == 1:
            # On the path of every query. The length of one does not change what is nearest by angle, so it is
            # made one only outside of these bounds.
            projected, square, left = projection.apply_to_one(queries[0])
            if self.space != "cosine" or _SMALL < square < _LARGE:
                return projected, _ONE if left < projection.floor * square else []
        if self.space == "cosine":
            queries = normalised(queries)
        if projection is None:
            return queries, []
        projected = projection.apply(queries)
        return projected, projection.out_of_distribution(queries, projected)

    def search(self, prepared: Floats, count: int, ef: int, threads: int) -> Ints:
        """Up to `count` row numbers per query (n, count), roughly nearest first; fewer columns where not so
        many can be reached."""
        count = min(count, self.rows)
        self._set_ef(ef)
        while count:
            self._inside.append(None)
            try:
                found = self._index.knn_query(prepared, k=count, num_threads=threads)
                labels: npt.NDArray[np.uint64] = found[0]
                return labels.view(np.int64)
            except RuntimeError:
                # Fewer rows can be reached from the entry point: take what there is.
                count //= 2
            finally:
                self._inside.pop()
        return np.empty((len(prepared), 0), np.int64)

    def at_rest(self) -> bool:
        """In a forked child: whether the parent's threads left no lock of the native code behind."""
        self._changing = threading.Lock()
        return not self._inside

    def state(self) -> dict[str, Any]:
        """What hnswlib pickles."""
        state: dict[str, Any] = self._index.__getstate__()[0]
        return state

    @classmethod
    def from_state(
        cls, space: Space, state: dict[str, Any], rows: int, projection: Projection | None
    ) -> Graph:
        """A graph from what `state` gave. It must be right: hnswlib checks nothing."""
        import hnswlib

        index = hnswlib.Index.__new__(hnswlib.Index)  # on an initialised one __setstate__ crashes
        index.__setstate__((state,))
        return cls(space, index, rows, projection)

    def _set_ef(self, ef: int) -> None:
        if ef != self._ef:
            with self._changing:
                self._index.set_ef(ef)
                self._ef = ef

    def search_allowed(self, prepared: Floats, count: int, ef: int, allowed: bytearray, most: int) -> Ints:
        """As `search`, for one query, among rows whose byte in `allowed` is not zero (`most` of them)."""
        count = min(count, most)
        self._set_ef(max(ef, count))
        while count:
            self._inside.append(None)
            try:
                labels, _ = self._index.knn_query(
                    prepared, k=count, num_threads=1, filter=allowed.__getitem__
                )
                found: Ints = labels[0].view(np.int64)
                return found
            except RuntimeError:
                count //= 2
            finally:
                self._inside.pop()
        return np.empty(0, np.int64)


def build(
    space: Space,
    vectors: Floats,
    *,
    max_neighbors: int,
    ef_construction: int,
    threads: int,
    stopped: Callable[[], bool],
) -> Graph | None:
    """Index `vectors`; None if `stopped` said so on the way. Vectors are read a chunk at a time."""
    import hnswlib

    rows = len(vectors)
    projection = choose(space, vectors, stopped)
    if stopped():
        return None
    index = hnswlib.Index(
        "l2" if space == "l2" else "ip", projection.kept if projection else vectors.shape[1]
    )
    index.init_index(rows, ef_construction=ef_construction, M=max_neighbors, random_seed=_SEED)
    for start in range(0, rows, _CHUNK):
        if stopped():
            return None
        block = _as_in_graph(space, projection, vectors[start : start + _CHUNK])
        index.add_items(block, np.arange(start, start + len(block)), num_threads=threads)
    return Graph(space, index, rows, projection)


def _as_in_graph(space: Space, projection: Projection | None, vectors: Floats) -> Floats:
    """Vectors as a graph has them."""
    if space == "cosine":
        vectors = normalised(vectors)
    return vectors if projection is None else projection.apply(vectors)
