"""Graphs of codes, searched and built by the compiled part of the engine (native/_graph.c).

Owns: all use of `_graph`. A code is a vector in one byte per number, normalised for `cosine` and projected to
fewer dimensions if that keeps the neighbours (vectors/pca.py). A search walks by codes, and ranks the
candidates by the stored vectors. Codes and links stay in the mapped file of the graph, so nothing is copied,
and processes share its pages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..interface.progress import report
from ..interface.values import Floats
from ..native import kernel
from ..native.threads import in_threads
from ..vectors import distance, pca
from ..vectors.distance import Space, normalised
from ..vectors.pca import Projection, rerank_least
from .graph import (
    SEED,
    AllowedRows,
    Array,
    Damaged,
    GraphData,
    Hits,
    SearchParameters,
    block_rows,
    link_bytes,
)

_CHUNK = 1024  # rows inserted between two checks of the stop flag: some 50 ms of building
_BLOCK = 4096  # rows encoded at a time
# Searches keep a bit per row for eight threads at most. Their lists have 700 KB at most, and usually 30 KB.
_KEPT_BYTES = 1
_PART = 16  # the fewest queries for which another thread is started
_LENGTHS, _EVEN = 1000, 1.1  # how many rows are looked at, and the ratio of lengths that counts as one length
_QUERIES, _NEAREST = 64, 10  # the rows whose nearest rows are compared to judge the codes
_LEAST_RECALL = 0.97
_HIGHEST = 30  # the most upper layers of a row


_Rows: TypeAlias = "tuple[npt.NDArray[np.uint8] | None, npt.NDArray[np.int64] | bool | None]"


class NativeGraph:
    """A graph of codes, see `Graph`."""

    coded = True

    def __init__(self, data: GraphData, dimension: int, mapped: bool) -> None:
        """Open a graph. Raises ValueError or TypeError if the arrays do not fit each other.

        dimension  the dimension of the stored vectors
        mapped     whether the arrays are in a mapped file, which does not count as memory
        """
        assert kernel.graph is not None and data.codes is not None
        projection = data.projection
        self.rows = data.rows
        self.projected = projection is not None
        self.dimension = dimension if projection is None else projection.kept
        self.filterable = data.space != "ip" or _of_one_length(data.codes)
        self.checks_vectors = mapped and data.sums is not None
        self.nbytes = (5 + _KEPT_BYTES) * data.rows + (0 if mapped else _array_bytes(data))
        self.data = None if mapped else data  # what is in a file can be read again
        self._graph = kernel.graph.Graph(
            data.space, data.codes, data.counts, data.links, data.levels, data.upper.reshape(-1),
            data.neighbors, data.entry,
            None if projection is None else projection.matrix,
            0.0 if projection is None else projection.floor,
            dimension,
            data.sums if mapped else None,
            data.block_rows,
        )  # fmt: skip

    def search(
        self,
        queries: Floats,
        vectors: Floats,
        parameters: SearchParameters,
        allowed: AllowedRows | None,
        threads: int,
    ) -> Hits:
        return self._run(
            queries, vectors, parameters, (None if allowed is None else allowed.bits, None), threads
        )

    def scan(
        self,
        queries: Floats,
        vectors: Floats,
        parameters: SearchParameters,
        allowed: AllowedRows | None,
        threads: int,
    ) -> Hits:
        rows: _Rows = None, True
        if allowed is not None:
            rows = (None, allowed.rows) if allowed.by_rows else (allowed.bits, True)
        return self._run(queries, vectors, parameters, rows, threads)

    def _run(
        self, queries: Floats, vectors: Floats, parameters: SearchParameters, rows: _Rows, threads: int
    ) -> Hits:
        """Call the compiled part. `rows`: the arguments `allowed` and `rows` of its `search`."""
        out = Hits.empty(len(queries), parameters.k)
        search_compiled, k, ef = self._graph.search, parameters.k, parameters.ef
        width, factor = parameters.width, parameters.factor

        def run(part: slice) -> None:
            search_compiled(
                queries[part], vectors, k, ef, width, factor, *rows, out.rows[part], out.distances[part],
                out.counts[part],
            )  # fmt: skip

        parts = min(threads, len(queries) // _PART)
        try:
            if parts > 1:
                in_threads(run, len(queries), parts)
            else:
                search_compiled(queries, vectors, k, ef, width, factor, *rows, *out)
        except kernel.graph.Damaged as error:  # type: ignore[union-attr]
            raise Damaged(str(error)) from error
        return out

    def at_rest(self) -> bool:
        return True  # a search holds no lock

    def adopt_into(self, builder: Any, rows: npt.NDArray[np.uint32], part: slice) -> None:
        """Fill the links of some rows in a graph that is being built, see graph_extension.py."""
        try:
            builder.adopt(self._graph, rows, part.start, part.stop)
        except kernel.graph.Damaged as error:  # type: ignore[union-attr]
            raise Damaged(str(error)) from error


def _of_one_length(codes: Array) -> bool:
    """Whether some rows, spread over the segment, have nearly the same length."""
    some = np.ascontiguousarray(codes[:: max(1, len(codes) // _LENGTHS)])
    scale = some[:, 4:8].copy().view(np.float32)[:, 0]
    lengths = np.abs(scale) * np.linalg.norm(some[:, 8:].view(np.int8).astype(np.float32), axis=1)
    return bool(lengths.max() <= _EVEN * lengths.min())


def _array_bytes(data: GraphData) -> int:
    assert data.codes is not None
    arrays = (data.codes, data.counts, data.links, data.levels, data.upper)
    return sum(int(array.nbytes) for array in arrays)


def building_bytes(rows: int, neighbors: int) -> int:
    """Return the memory that `build` takes, in bytes, without the codes."""
    ground = 4 * (2 * neighbors + 1)
    return rows * (ground + 2 * neighbors * link_bytes(rows) + 16)


class CodesDoNotFit(Exception):
    """Codes of these vectors would not keep the neighbours, although those of a sample do."""


def build(
    space: Space,
    vectors: Floats,
    *,
    projection: Projection | None,
    neighbors: int,
    ef_construction: int,
    threads: int,
    stopped: Callable[[], bool],
    scratch: Callable[[int], memoryview],
) -> GraphData | None:
    """Build a graph of `vectors`, or return None once `stopped` returns True. Reads vectors in blocks.

    scratch  allocates the memory of the codes, which the system may write to a file when memory is short
    Raises CodesDoNotFit if codes would not keep the neighbours.
    """
    assert kernel.graph is not None
    rows = len(vectors)
    codes = _encoded(space, vectors, projection, stopped, scratch)
    if codes is None:
        return None
    if not keeps_neighbors(space, vectors, codes, projection, stopped):
        raise CodesDoNotFit
    coded = CodedVectors(space, vectors, projection, codes)
    links = NewLinks.empty(levels_of(rows, neighbors, SEED), neighbors)
    ef_construction = max(neighbors, ef_construction)
    builder = links.builder(coded, ef_construction, -1)
    first = min(_CHUNK, rows)
    builder.insert(np.arange(first, dtype=np.uint32))  # alone, so that threads meet a graph
    report(first, rows)
    if not insert(builder, np.arange(first, rows, dtype=np.uint32), rows, threads, stopped):
        return None
    return links.finished(coded, builder.entry, ef_construction)


class CodedVectors(NamedTuple):
    """The vectors of a graph that is being built, and their codes."""

    space: Space
    vectors: Floats
    projection: Projection | None
    codes: Array

    def encode(self, rows: Array | slice) -> None:
        """Fill the codes of some rows. Raises CodesDoNotFit if they have none."""
        assert kernel.graph is not None
        block = as_compared(self.space, self.projection, self.vectors[rows])
        codes = np.empty((len(block), self.codes.shape[1]), np.uint8)
        kernel.graph.encode(self.space, block, codes)
        if not np.isfinite(codes[:, :8].copy().view(np.float32)).all():
            raise CodesDoNotFit  # a squared length is beyond float32
        self.codes[rows] = codes


class NewLinks(NamedTuple):
    """The links of a graph that is being built, see `GraphData`.

    ground  uint32 (rows, 1 + 2 * neighbors): the number of links of each row, and their targets
    """

    ground: npt.NDArray[np.uint32]
    levels: npt.NDArray[np.uint8]
    upper: npt.NDArray[np.uint32]

    @classmethod
    def empty(cls, levels: npt.NDArray[np.uint8], neighbors: int) -> NewLinks:
        ground = np.zeros((len(levels), 2 * neighbors + 1), np.uint32)
        return cls(ground, levels, np.zeros((int(levels.sum(dtype=np.int64)), neighbors + 1), np.uint32))

    def builder(self, coded: CodedVectors, ef_construction: int, entry: int) -> Any:
        """Return what fills them. `entry`: where searches begin, or -1 if there are no links yet."""
        assert kernel.graph is not None
        neighbors, projection = self.upper.shape[1] - 1, coded.projection
        dimension = coded.vectors.shape[1] if projection is None else projection.kept
        ef = min(ef_construction, max(len(coded.codes), neighbors))
        return kernel.graph.Builder(coded.space, coded.codes, *self, dimension, neighbors, ef, entry)

    def finished(self, coded: CodedVectors, entry: int, ef_construction: int) -> GraphData:
        """Make a graph of them."""
        assert kernel.graph is not None
        rows, neighbors, vectors = len(coded.codes), self.upper.shape[1] - 1, coded.vectors
        report(rows, rows)
        per_block = block_rows(vectors.shape[1])
        sums = np.empty(-(-rows // per_block), np.uint64)
        kernel.graph.sums(vectors, per_block, sums)
        counts = self.ground[:, 0].astype(np.uint8 if 2 * neighbors < 256 else np.uint16)
        return GraphData(
            space=coded.space,
            rows=rows,
            neighbors=neighbors,
            ef_construction=ef_construction,
            entry=entry,
            counts=counts,
            links=_packed(self.ground, counts),
            levels=self.levels,
            upper=self.upper,
            projection=coded.projection,
            codes=coded.codes,
            sums=sums,
            block_rows=per_block,
            measured=True,
        )


def insert(builder: Any, rows: Array, total: int, threads: int, stopped: Callable[[], bool]) -> bool:
    """Insert rows, uint32 (n,), the last of a graph of `total`. Returns False once `stopped` returns True."""
    done, lock = total - len(rows), threading.Lock()

    def one(part: slice) -> None:
        nonlocal done
        builder.insert(rows[part])
        with lock:
            done += part.stop - part.start
            report(done, total)

    return in_chunks(one, len(rows), threads, stopped)


def in_chunks(run: Callable[[slice], None], count: int, threads: int, stopped: Callable[[], bool]) -> bool:
    """Run a function for chunks of so many items, in threads. Returns False once `stopped` returns True."""
    starts = iter(range(0, count, _CHUNK))
    lock, halted = threading.Lock(), False

    def work(_: slice) -> None:
        nonlocal halted
        try:
            while not (halted or stopped()):
                with lock:
                    start = next(starts, count)
                if start >= count:
                    return
                run(slice(start, min(start + _CHUNK, count)))
        except BaseException:
            halted = True  # the other threads stop, too
            raise

    in_threads(work, threads, threads)
    return not stopped()


def keeps_neighbors(
    space: Space,
    vectors: Floats,
    codes: Array,
    projection: Projection | None,
    stopped: Callable[[], bool],
) -> bool:
    """Whether a scan of the codes finds the nearest of all rows. True if `stopped` returned True.

    A sample does not show this where many rows are nearly equal, because few of them are in it.
    """
    assert kernel.graph is not None
    rows, k = len(vectors), min(_NEAREST, len(vectors))
    picks = np.sort(np.random.default_rng(SEED).choice(rows, min(rows, _QUERIES), replace=False))
    queries = vectors[picks]
    limits = _nearest_distances(space, vectors, queries, k, stopped)
    if limits is None:
        return True
    parameters = SearchParameters(k, 1, rerank_least(k))
    hits = NativeGraph(_without_links(space, rows, codes, projection), vectors.shape[1], mapped=False).scan(
        queries, vectors, parameters, None, 1
    )
    return bool((hits.distances <= limits[:, None]).mean() >= _LEAST_RECALL)


def _nearest_distances(
    space: Space, vectors: Floats, queries: Floats, k: int, stopped: Callable[[], bool]
) -> Floats | None:
    """Return the exact distance of the k-th nearest row of each query, float32 (n,)."""
    most = min(2 * k, len(vectors))
    compared = as_compared(space, None, queries)
    rows = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        if stopped():
            return None
        block = as_compared(space, None, vectors[start : start + _BLOCK])
        rows = np.concatenate(
            [rows, np.tile(np.arange(start, start + len(block)), (len(queries), 1))], axis=1
        )
        scores = np.concatenate([scores, pca.scores(space, block, compared)], axis=1)
        order = np.argpartition(scores, min(most, scores.shape[1]) - 1, axis=1)[:, :most]
        rows, scores = np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
    distances = [distance.exact(space, query, vectors, line) for query, line in zip(queries, rows)]
    return np.partition(np.array(distances), k - 1, axis=1)[:, k - 1]


def _without_links(space: Space, rows: int, codes: Array, projection: Projection | None) -> GraphData:
    """Return a graph that can only be scanned."""
    zeros = np.zeros(rows, np.uint8)
    return GraphData(
        space=space,
        rows=rows,
        neighbors=1,
        ef_construction=1,
        entry=0,
        counts=zeros,
        links=np.empty(0, np.uint8),
        levels=zeros,
        upper=np.empty((0, 2), np.uint32),
        projection=projection,
        codes=codes,
        sums=None,
        block_rows=1,
        measured=True,
    )


def _encoded(
    space: Space,
    vectors: Floats,
    projection: Projection | None,
    stopped: Callable[[], bool],
    scratch: Callable[[int], memoryview],
) -> Array | None:
    codes = empty_codes(len(vectors), vectors.shape[1] if projection is None else projection.kept, scratch)
    coded = CodedVectors(space, vectors, projection, codes)
    for start in range(0, len(vectors), _BLOCK):
        if stopped():
            return None
        coded.encode(slice(start, start + _BLOCK))
    return codes


def empty_codes(rows: int, dimension: int, scratch: Callable[[int], memoryview]) -> Array:
    assert kernel.graph is not None
    width = kernel.graph.code_bytes(dimension)
    return np.frombuffer(scratch(rows * width), np.uint8, rows * width).reshape(rows, width)


def as_compared(space: Space, projection: Projection | None, vectors: Floats) -> Floats:
    """Convert stored vectors to the form in which a graph compares them."""
    if space == "cosine":
        vectors = normalised(vectors)
    return np.ascontiguousarray(vectors) if projection is None else projection.apply(vectors)


def levels_of(rows: int, neighbors: int, seed: int) -> npt.NDArray[np.uint8]:
    """Draw the number of upper layers of each row: one of `neighbors` rows of a layer is in the next one."""
    drawn = np.random.default_rng(seed).random(rows)
    levels = -np.log(1 - drawn) / np.log(max(neighbors, 2))
    out: npt.NDArray[np.uint8] = np.minimum(levels, _HIGHEST).astype(np.uint8)
    return out


def _packed(ground: npt.NDArray[np.uint32], counts: Array) -> Array:
    """Return the targets of all links, concatenated, in as many bytes as a row number takes."""
    rows, size = len(ground), link_bytes(len(ground))
    ends = np.cumsum(counts, dtype=np.int64)
    out = np.empty((int(ends[-1]), size), np.uint8)
    used = np.arange(ground.shape[1] - 1)
    for start in range(0, rows, _BLOCK):
        stop = min(start + _BLOCK, rows)
        lists = ground[start:stop, 1:][used < counts[start:stop, None]]
        begin = int(ends[start - 1]) if start else 0
        out[begin : int(ends[stop - 1])] = lists.view(np.uint8).reshape(-1, 4)[:, :size]
    return out.reshape(-1)
