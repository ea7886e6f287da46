"""Graphs of float32 vectors, built and searched by hnswlib.

Owns: all use of hnswlib. No other module imports it. Such a graph is used where the compiled part of the
engine is missing, where codes would not keep the neighbours, and for the files of older versions. It has a
copy of the vectors in memory, normalised for `cosine` and projected (vectors/pca.py).
"""

from __future__ import annotations

import math
import threading
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..interface.progress import report
from ..interface.values import Floats
from ..native import kernel
from ..schema.record_columns import Ints
from ..vectors import distance
from ..vectors.distance import Space
from ..vectors.pca import Projection
from . import graph_validation
from .graph import SEED, AllowedRows, Array, GraphData, Hits, SearchParameters, link_bytes
from .native_graph import as_compared

_CHUNK = 4096  # rows added between two checks of the stop flag: 0.2–0.5 s of building
_BLOCK = 512
_READ_BYTES = 16 << 20  # bytes of vectors that are read between two calls of `passed`
# Other memory per row. hnswlib has a lock, an entry in the label table, a level, a pointer, and the upper
# layers. The segment has the length of the vector.
_OTHER_BYTES = 118
SERIALISATION = 1  # the version of hnswlib's state


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


class SharedEf:
    """The `ef` of the searches in an index of hnswlib, which has one for all threads.

    Searches of the same `ef` run at the same time. One of another `ef` waits until those inside have ended.
    They begin in the order in which they came, so none waits for ever.
    """

    def __init__(self, set_ef: Callable[[int], None]) -> None:
        self._set_ef = set_ef
        self._ef = self.inside = 0  # that of the index, and how many searches are inside
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def enter(self, ef: int) -> None:
        """Begin a search of this `ef`, which `leave` ends."""
        with self._changed:
            if self._waiting or not self._fits(ef):
                self._wait(ef)
            if ef != self._ef:
                self._set_ef(ef)
                self._ef = ef
            self.inside += 1

    def leave(self) -> None:
        with self._changed:
            self.inside -= 1
            if self._waiting:
                self._changed.notify_all()

    def _fits(self, ef: int) -> bool:
        return not self.inside or ef == self._ef

    def _wait(self, ef: int) -> None:
        me = object()
        self._waiting.append(me)
        try:
            self._changed.wait_for(lambda: self._waiting[0] is me and self._fits(ef))
        finally:  # also after an interrupt
            self._waiting.remove(me)
            self._changed.notify_all()


_Among: TypeAlias = "tuple[int, Callable[[int], int]]"  # how many rows are allowed, and whether one is


class HnswGraph:
    """A graph of float32 vectors, see `Graph`; labels are row numbers."""

    coded = False
    checks_vectors = False
    filterable = True  # hnswlib walks through all rows, allowed or not

    def __init__(self, space: Space, index: Any, rows: int, projection: Projection | None) -> None:
        self.rows = rows
        self.projected = projection is not None
        self.dimension = int(index.dim)
        self.nbytes = nbytes(rows, self.dimension, int(index.M))
        self._space, self._index, self._projection = space, index, projection
        self._shared_ef = SharedEf(index.set_ef)

    def search(
        self,
        queries: Floats,
        vectors: Floats,
        parameters: SearchParameters,
        allowed: AllowedRows | None,
        threads: int,
    ) -> Hits:
        prepared, odd = self._prepare(queries)
        out = Hits.empty(len(queries), parameters.k)
        width, ef = min(parameters.width, self.rows), parameters.ef
        among = None if allowed is None else (allowed.count, allowed.bytes().__getitem__)
        if among is None:
            lines = list(self._labels(prepared, width, ef, threads))
        else:
            lines = [self._allowed_labels(line[None, :], width, ef, among) for line in prepared]
        for number, query in enumerate(queries):
            rows = lines[number]
            if odd[number]:
                line, wide = prepared[number : number + 1], min(width * parameters.factor, self.rows)
                wider_ef = ef * parameters.factor
                if among is None:
                    rows = self._labels(line, wide, wider_ef, 1)[0]
                else:
                    rows = self._allowed_labels(line, wide, wider_ef, among)
            found, distances = distance.ranked(self._space, query, vectors, rows=rows, k=parameters.k)
            out.rows[number, len(found) :], out.distances[number, len(found) :] = -1, np.nan
            out.rows[number, : len(found)], out.distances[number, : len(found)] = found, distances
            out.counts[number] = len(rows), odd[number]
        return out

    def scan(
        self,
        queries: Floats,
        vectors: Floats,
        parameters: SearchParameters,
        allowed: AllowedRows | None,
        threads: int,
    ) -> Hits:
        raise NotImplementedError("it has no codes; no plan asks for this")

    def at_rest(self) -> bool:
        inside, self._shared_ef = self._shared_ef.inside, SharedEf(self._index.set_ef)
        return not inside

    def _prepare(self, queries: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Convert queries to the form of the graph's vectors. Returns also which are out of distribution."""
        prepared = as_compared(self._space, None, queries)
        odd = np.zeros(len(queries), np.bool_)
        if self._projection is None:
            return prepared, odd
        projected = self._projection.apply(prepared)
        odd[self._projection.out_of_distribution(prepared, projected)] = True
        return projected, odd

    def _labels(self, prepared: Floats, count: int, ef: int, threads: int) -> Ints:
        """Return up to `count` row numbers per query, (n, count), roughly nearest first.

        There are fewer columns if the graph reaches fewer rows.
        """
        return self._request_labels(count, ef, lambda most: self._index.knn_query(prepared, most, threads)[0])

    def _allowed_labels(self, prepared: Floats, count: int, ef: int, among: _Among) -> Ints:
        """Do `_labels` for one query, among the allowed rows."""
        allowed, inside = among
        most = min(count, allowed)
        found = self._request_labels(
            most, max(ef, most), lambda most: self._index.knn_query(prepared, most, 1, inside)[0]
        )
        return found[0] if len(found) else np.empty(0, np.int64)

    def _request_labels(self, count: int, ef: int, ask: Callable[[int], Any]) -> Ints:
        self._shared_ef.enter(ef)
        try:
            while count:
                try:
                    labels: npt.NDArray[np.uint64] = ask(count)
                    return labels.view(np.int64)
                except RuntimeError:
                    # Fewer rows can be reached from the entry point, so a smaller number is tried.
                    count //= 2
        finally:
            self._shared_ef.leave()
        return np.empty((1, 0), np.int64)


def build(
    space: Space,
    vectors: Floats,
    *,
    projection: Projection | None,
    neighbors: int,
    ef_construction: int,
    threads: int,
    stopped: Callable[[], bool],
) -> GraphData | None:
    """Build a graph of `vectors`, or return None once `stopped` returns True. Reads vectors in chunks."""
    import hnswlib

    rows, dimension = len(vectors), vectors.shape[1] if projection is None else projection.kept
    index = hnswlib.Index("l2" if space == "l2" else "ip", dimension)
    index.init_index(rows, ef_construction=ef_construction, M=neighbors, random_seed=SEED)
    for start in range(0, rows, _CHUNK):
        if stopped():
            return None
        block = as_compared(space, projection, vectors[start : start + _CHUNK])
        index.add_items(block, np.arange(start, start + len(block)), num_threads=threads)
        report(start + len(block), rows)
    return _data_of(space, index.__getstate__()[0], rows, projection)


def _data_of(space: Space, state: dict[str, Any], rows: int, projection: Projection | None) -> GraphData:
    """Convert hnswlib's state, whose rows are in the order of insertion."""
    ground = state.pop("data_level0").reshape(-1, state["size_data_per_element"])[:rows]
    row_of = np.empty(rows, np.uint32)  # maps an element to its row
    row_of[:] = ground[:, state["label_offset"] :].copy().view(np.uint64).reshape(-1)
    order = np.argsort(row_of)
    counts, links = _packed(ground, state["offset_data"] // 4, order, row_of)
    levels = state.pop("element_levels")[:rows]
    neighbors = int(state["M"])
    upper = _moved_lists(state.pop("link_lists"), levels, order, row_of).view(np.uint32)
    return GraphData(
        space=space,
        rows=rows,
        neighbors=neighbors,
        ef_construction=int(state["ef_construction"]),
        entry=int(row_of[state["enterpoint_node"]]),
        counts=counts,
        links=links,
        levels=levels[order].astype(np.uint8),
        upper=upper.reshape(-1, neighbors + 1),
        projection=projection,
        codes=None,
        sums=None,
        block_rows=1,
        measured=kernel.graph is not None,
    )


def _packed(ground: Array, width: int, order: Array, row_of: Array) -> tuple[Array, Array]:
    """Return the number of links of each row, and their target rows. Works in blocks of rows."""
    size = link_bytes(len(order))
    counts, links = [], []
    for start in range(0, len(order), _BLOCK):
        lists = ground[order[start : start + _BLOCK], : 4 * width].view(np.uint32)
        count = lists[:, 0] & 0xFFFF
        used = lists[:, 1:][np.arange(width - 1) < count[:, None]]
        counts.append(count.astype(np.uint8 if width <= 256 else np.uint16))
        links.append(row_of[used].view(np.uint8).reshape(-1, 4)[:, :size].reshape(-1))
    return np.concatenate(counts), np.concatenate(links)


def _moved_lists(lists: Array, levels: Array, order: Array, row_of: Array) -> Array:
    """Reorder the link lists of the upper layers by row, and translate their targets to rows."""
    high = np.flatnonzero(levels)
    if not len(high):
        return lists.view(np.uint8)
    lists = lists.view(np.uint32).reshape(int(levels.sum()), -1)
    used = np.arange(lists.shape[1] - 1) < (lists[:, :1] & 0xFFFF)
    moved = lists.copy()
    moved[:, 1:][used] = row_of[lists[:, 1:][used]]
    starts = np.cumsum(levels) - levels
    kept = order[levels[order] > 0]
    picked = np.concatenate([np.arange(starts[each], starts[each] + levels[each]) for each in kept.tolist()])
    out: Array = moved[picked].view(np.uint8).reshape(-1)
    return out


def opened(
    data: GraphData,
    vectors: Floats,
    *,
    stopped: Callable[[], bool] = lambda: False,
    passed: Callable[[], None] = lambda: None,
    reserve: Callable[[int], bool] = lambda size: True,
) -> HnswGraph | None:
    """Make a graph of these arrays and the segment's vectors. Raises ValueError if they are not valid.

    stopped  polled while loading; once it returns True, the result is None
    passed   called when the pages of the vectors read so far may be evicted
    reserve  called with the bytes that loading takes, before they are allocated; if it returns False, the
             result is None
    """
    import hnswlib

    rows, kept = data.rows, vectors.shape[1] if data.projection is None else data.projection.kept
    upper = np.ascontiguousarray(data.upper).view(np.uint8).reshape(-1)
    graph_validation.check_entry(data.levels, data.entry)
    graph_validation.check_upper(upper, data.levels, data.neighbors)
    state = _scalars(data, kept)
    if not reserve(2 * nbytes(rows, kept, data.neighbors)):  # hnswlib copies the state that it is given
        return None
    block = state["offset_data"]
    ground = np.empty((rows, int(state["size_data_per_element"])), np.int8)
    ground[:, block + 4 * kept :] = np.arange(rows, dtype=np.uint64).view(np.int8).reshape(rows, 8)
    _put_links(ground[:, :block], data)
    read_bytes = 0
    for start in range(0, rows, _BLOCK):
        if stopped():
            return None
        part = as_compared(data.space, data.projection, vectors[start : start + _BLOCK])
        ground[start : start + _BLOCK, block : block + 4 * kept] = part.view(np.int8)
        read_bytes += 4 * vectors.shape[1] * len(part)
        if read_bytes >= _READ_BYTES:
            passed()
            read_bytes = 0
    passed()
    state |= {
        "data_level0": ground.reshape(-1),
        "link_lists": upper.view(np.int8),
        "element_levels": data.levels.astype(np.int32),
        "label_lookup_external": np.arange(rows, dtype=np.uint64),
        "label_lookup_internal": np.arange(rows, dtype=np.uint32),
    }
    index = hnswlib.Index.__new__(hnswlib.Index)  # __setstate__ crashes on an initialised index
    index.__setstate__((state,))
    return HnswGraph(data.space, index, rows, data.projection)


def _scalars(data: GraphData, kept: int) -> dict[str, Any]:
    """Compute hnswlib's scalar state, so that none of it is taken from a file.

    kept  the dimension of the graph's vectors
    """
    rows, neighbors = data.rows, data.neighbors
    block = 4 * (2 * neighbors + 1)
    return {
        "ser_version": SERIALISATION,
        "space": "l2" if data.space == "l2" else "ip",
        "dim": kept,
        "index_inited": True,
        "ep_added": True,
        "normalize": False,
        "num_threads": 1,  # each search passes its own number
        "seed": SEED,
        "offset_level0": 0,
        "max_elements": rows,
        "cur_element_count": rows,
        "size_data_per_element": block + 4 * kept + 8,
        "label_offset": block + 4 * kept,
        "offset_data": block,
        "max_level": int(data.levels.max()),
        "enterpoint_node": data.entry,
        "max_M": neighbors,
        "max_M0": 2 * neighbors,
        "M": neighbors,
        "mult": 1 / math.log(neighbors),
        "ef_construction": data.ef_construction,
        "ef": 10,
        "has_deletions": False,
        "size_links_per_element": 4 * (neighbors + 1),
        "allow_replace_deleted": False,
    }


def _put_links(ground: Array, data: GraphData) -> None:
    """Write the ground layer's link lists into `ground`, in hnswlib's form."""
    size, width = link_bytes(data.rows), ground.shape[1] // 4
    packed = data.links.reshape(-1, size)
    end = 0
    for start in range(0, data.rows, _BLOCK):
        count = data.counts[start : start + _BLOCK].astype(np.uint32)
        begin, end = end, end + int(count.sum())
        wide = np.zeros((end - begin, 4), np.uint8)
        wide[:, :size] = packed[begin:end]
        targets = wide.view(np.uint32).reshape(-1)
        graph_validation.check_targets(targets, data.rows)
        lists = np.zeros((len(count), width), np.uint32)
        lists[:, 0] = count
        lists[:, 1:][np.arange(width - 1) < count[:, None]] = targets
        ground[start : start + _BLOCK] = lists.view(np.int8)
