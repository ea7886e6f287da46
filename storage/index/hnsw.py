"""The similarity index of one segment: build it and search it.

Owns: all use of hnswlib. No other module imports it. An index is a cache made from the vectors. It never
changes after it is built, and a correct answer never depends on it.

A graph contains the segment's vectors, normalised for `cosine`. The vectors are projected to fewer dimensions
if that keeps the neighbours (vectors/pca.py). A graph search returns candidates, and query/executor.py ranks
them by the stored vectors. graph_file.py writes and reads graph files.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..interface.progress import report
from ..interface.values import Floats
from ..schema.record_columns import Ints
from ..vectors.distance import Space, normalised
from ..vectors.pca import Projection, choose, choosing_bytes

_CHUNK = 4096  # rows added between two checks of the stop flag: 0.2–0.5 s of building
_SEED = 100
# Other memory per row. hnswlib has a lock, an entry in the label table, a level, a pointer, and the upper
# layers. The segment has the length of the vector.
_OTHER_BYTES = 118


# The range of squared lengths in which a query need not be normalised. hnswlib subtracts the inner products
# from 1 in float32, so for much shorter queries all rows seem equally far (recall 0.98 at a length of 1e-4,
# 0.46 at 2e-6).
_SMALL, _LARGE = 1e-2, 1e12
_ONE = [0]


class HnswMissing(UserWarning):
    """Warns that hnswlib cannot be imported, so searches are exact and slower."""


_warned = threading.Event()


def available() -> bool:
    """Whether hnswlib can be imported. Warns once if it cannot."""
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


def nbytes(rows: int, dimension: int, neighbors: int) -> int:
    """Return the memory that a graph takes, in bytes, with vectors of this dimension in it.

    Besides the links, hnswlib keeps its own copy of the vectors and a table of labels.
    """
    return rows * (4 * dimension + 8 + 4 * (2 * neighbors + 1) + _OTHER_BYTES)


class Graph:
    """A loaded index over the rows of one segment; labels are row numbers."""

    def __init__(self, space: Space, index: Any, rows: int, projection: Projection | None) -> None:
        self.space = space
        self.rows = rows
        self.projection = projection
        self.dimension = int(index.dim)  # the dimension of the vectors in the graph
        self._index = index
        self._ef, self._changing = 0, threading.Lock()
        self._inside: list[None] = []  # one item for each thread that is in native code
        self.nbytes = nbytes(rows, self.dimension, int(index.M))

    def prepare(self, queries: Floats) -> tuple[Floats, list[int]]:
        """Convert queries to the form of the graph's vectors.

        Returns the converted queries, and the indices of the queries that are out of distribution.
        """
        projection = self.projection
        if projection is not None and len(queries) == 1:
            # Every query runs this code. The length of a query does not change which vectors are nearest by
            # angle, so the query is normalised only if its length is outside these bounds.
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
        """Return up to `count` row numbers per query, (n, count), roughly nearest first.

        There are fewer columns if the graph reaches fewer rows.
        """
        count = min(count, self.rows)
        self._set_ef(ef)
        while count:
            self._inside.append(None)
            try:
                found = self._index.knn_query(prepared, k=count, num_threads=threads)
                labels: npt.NDArray[np.uint64] = found[0]
                return labels.view(np.int64)
            except RuntimeError:
                # Fewer rows can be reached from the entry point, so a smaller number is tried.
                count //= 2
            finally:
                self._inside.pop()
        return np.empty((len(prepared), 0), np.int64)

    def at_rest(self) -> bool:
        """In a forked child, whether no thread of the parent was in native code, where it may hold locks."""
        self._changing = threading.Lock()
        return not self._inside

    def state(self) -> dict[str, Any]:
        """Return the state that hnswlib pickles."""
        state: dict[str, Any] = self._index.__getstate__()[0]
        return state

    @classmethod
    def from_state(
        cls, space: Space, state: dict[str, Any], rows: int, projection: Projection | None
    ) -> Graph:
        """Make a graph from a result of `state`, which must be valid, because hnswlib checks nothing."""
        import hnswlib

        index = hnswlib.Index.__new__(hnswlib.Index)  # __setstate__ crashes on an initialised index
        index.__setstate__((state,))
        return cls(space, index, rows, projection)

    def _set_ef(self, ef: int) -> None:
        if ef != self._ef:
            with self._changing:
                self._index.set_ef(ef)
                self._ef = ef

    def search_allowed(self, prepared: Floats, count: int, ef: int, allowed: bytearray, most: int) -> Ints:
        """Do `search` for one query, among the `most` rows whose byte in `allowed` is not zero."""
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
    reserve: Callable[[int], bool] = lambda size: True,
) -> Graph | None:
    """Build a graph of `vectors`, or return None once `stopped` returns True. Reads vectors in chunks.

    reserve  called with the bytes that the next step takes, before they are allocated: choosing a
             projection, then building and writing the graph. If it returns False, the result is None
    """
    import hnswlib

    rows = len(vectors)
    if not reserve(choosing_bytes(*vectors.shape)):
        return None
    projection = choose(space, vectors, stopped)
    dimension = projection.kept if projection else vectors.shape[1]
    # hnswlib copies its state to be written.
    if stopped() or not reserve(2 * nbytes(rows, dimension, max_neighbors)):
        return None
    index = hnswlib.Index("l2" if space == "l2" else "ip", dimension)
    index.init_index(rows, ef_construction=ef_construction, M=max_neighbors, random_seed=_SEED)
    for start in range(0, rows, _CHUNK):
        if stopped():
            return None
        block = _as_in_graph(space, projection, vectors[start : start + _CHUNK])
        index.add_items(block, np.arange(start, start + len(block)), num_threads=threads)
        report(start + len(block), rows)
    return Graph(space, index, rows, projection)


def _as_in_graph(space: Space, projection: Projection | None, vectors: Floats) -> Floats:
    """Convert vectors to the form that they have in a graph."""
    if space == "cosine":
        vectors = normalised(vectors)
    return vectors if projection is None else projection.apply(vectors)
