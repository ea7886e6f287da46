"""What a graph is made of, and what every graph can be asked.

Owns: the arrays of a graph, and the form of a search's result. Two kinds of graphs share them.
native_graph.py searches codes with the compiled part of the engine. hnsw.py searches float32 vectors with
hnswlib, if the compiled part is missing, or if codes would not keep the neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..interface.values import Floats
from ..schema.record_columns import Ints
from ..vectors.distance import Space
from ..vectors.pca import Projection

Array = npt.NDArray[Any]
SEED = 100
# A search checks the blocks from which it reads vectors. A larger block takes longer to be read from a disk,
# and smaller ones have more sums.
_BLOCK_BYTES = 1 << 15


class Damaged(Exception):
    """The links of a graph lead to rows that are not there. Only a forged file has such links."""


class GraphData(NamedTuple):
    """The arrays of a graph, in the order of the segment's rows.

    rows             the number of rows
    neighbors        the most links per row in an upper layer; the ground layer has twice as many
    ef_construction  the value with which the graph was built
    entry            the row at which a search begins, one of the uppermost layer
    counts           uint8 or uint16 (rows,), the number of links of each row in the ground layer
    links            uint8, the targets of these links, `link_bytes(rows)` bytes each
    levels           uint8 (rows,), the number of upper layers that each row is in
    upper            uint32 (lists, 1 + neighbors), for each row and layer the number of links and their
                     targets; within a row, from the lowest layer up
    projection       None: the graph's vectors are not projected
    codes            uint8 (rows, bytes), see native_graph.py; None: there are none
    sums             uint64 (blocks,), the XXH64 of each block of `block_rows` stored vectors; None: there
                     are none
    measured         whether it was measured that codes keep the neighbours, or that they do not
    """

    space: Space
    rows: int
    neighbors: int
    ef_construction: int
    entry: int
    counts: Array
    links: Array
    levels: Array
    upper: Array
    projection: Projection | None
    codes: Array | None
    sums: Array | None
    block_rows: int
    measured: bool


class Hits(NamedTuple):
    """What a search found, with a line per query, padded with -1 and NaN.

    rows       int64 (n, k), nearest first, ordered by row where distances are equal
    distances  float32 (n, k), see vectors/distance.py
    counts     int32 (n, 2): how many candidates were ranked, and whether the query is out of distribution
    """

    rows: Ints
    distances: Floats
    counts: npt.NDArray[np.int32]

    @classmethod
    def empty(cls, queries: int, k: int) -> Hits:
        """Allocate the lines of so many queries."""
        return cls(
            np.empty((queries, k), np.int64),
            np.empty((queries, k), np.float32),
            np.empty((queries, 2), np.int32),
        )

    @classmethod
    def none(cls, queries: int, k: int) -> Hits:
        """Return the lines of so many queries, without hits."""
        counts = np.zeros((queries, 2), np.int32)
        return cls(np.full((queries, k), -1, np.int64), np.full((queries, k), np.nan, np.float32), counts)


class AllowedRows(Protocol):
    """The rows that a search may find, see `filters.row_set.RowSet`."""

    @property
    def by_rows(self) -> bool: ...
    @property
    def count(self) -> int: ...
    @property
    def rows(self) -> Ints: ...
    @property
    def bits(self) -> npt.NDArray[np.uint8]: ...
    def bytes(self) -> bytearray: ...


class StoredVectors(NamedTuple):
    """The vectors of a segment. `read` returns them, float32 (rows, dimension); not all graphs need them."""

    rows: int
    dimension: int
    read: Callable[[], Floats]


class SearchParameters(NamedTuple):
    """How far a search goes.

    k       how many hits it returns
    ef      how many of the nearest rows it keeps while it walks
    width   how many of them it ranks by the stored vectors
    factor  multiplies `ef` and `width` for queries that are out of distribution
    """

    k: int
    ef: int
    width: int
    factor: int = 1


class Graph(Protocol):
    """A graph that is open. Any number of threads may search it.

    rows            the number of rows of its segment
    dimension       the dimension of the vectors or codes in it
    projected       whether that is less than the dimension of the stored vectors
    coded           whether `scan` is possible
    filterable      whether a search among allowed rows finds the nearest ones. With inner products of vectors
                    of different lengths it does not, because few links lead to short vectors
    checks_vectors  whether a search checks the stored vectors that it reads, so that the caller need not
    nbytes          the memory that it holds, in bytes, without maps of files
    """

    rows: int
    dimension: int
    projected: bool
    coded: bool
    filterable: bool
    checks_vectors: bool
    nbytes: int

    def search(
        self,
        queries: Floats,
        vectors: Floats,
        parameters: SearchParameters,
        allowed: AllowedRows | None,
        threads: int,
    ) -> Hits:
        """Walk through the graph for each of `queries` (n, dim). Raises Damaged.

        vectors  the stored vectors of the segment, (rows, dim), which rank the candidates
        allowed  the rows that may be found; None: all
        """
        ...

    def scan(
        self,
        queries: Floats,
        vectors: Floats,
        parameters: SearchParameters,
        allowed: AllowedRows | None,
        threads: int,
    ) -> Hits:
        """Compare each query with the codes of all allowed rows instead."""
        ...

    def at_rest(self) -> bool:
        """In a forked child, whether no thread of the parent was inside, where it may hold locks."""
        ...


def block_rows(dimension: int) -> int:
    """Return how many stored vectors have one sum in a graph of codes."""
    return max(1, _BLOCK_BYTES // (4 * dimension))


def link_bytes(rows: int) -> int:
    """Return how many bytes a row number takes."""
    return max(1, (max(rows - 1, 1).bit_length() + 7) // 8)
