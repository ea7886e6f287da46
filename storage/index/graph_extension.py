"""Extend a graph of codes: rows are added and removed, and the others keep their links.

Owns: what is kept of a graph whose segment was merged with others. Its rows have other numbers then, and some
were removed. Rows that stay keep their codes and layers. A link to a removed row is replaced by one to a row
near it. Rows that lost most of their links, and rows to which no way leads, get new ones, and new rows are
inserted as by a build. What the codes are of is judged as by a build, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..interface.values import Floats
from ..vectors import pca
from ..vectors.pca import Projection
from . import native_graph
from .graph import SEED, Array, Damaged, GraphData
from .native_graph import CodedVectors, NativeGraph, NewLinks

GONE = (1 << 32) - 1  # where a removed row is now
# A graph is built anew if a larger share of its rows was removed, or if fewer of the rows are in it.
MOST_REMOVED, LEAST_KEPT = 0.3, 0.3
_NOT_REACHED = (1 << 32) - 1  # see `connect` in native/_graph.c
_BLOCK = 4096


class NotExtended(Exception):
    """The graph has to be built anew. The message says why."""


class Source(NamedTuple):
    """A graph to extend.

    rows  uint32 (data.rows,): where each of its rows is now, or GONE
    """

    data: GraphData
    rows: npt.NDArray[np.uint32]


def extending_bytes(rows: int, old_rows: int, neighbors: int) -> int:
    """Return the memory that `extend` takes, in bytes, without the codes.

    Beside what a build takes, that is lists of rows, a stack, and the old graph while it is open.
    """
    return native_graph.building_bytes(rows, neighbors) + 13 * rows + 20 * old_rows


def worthwhile(kept: int, old_rows: int, rows: int) -> bool:
    """Whether a graph of `old_rows` is extended to `rows`, of which `kept` are in it."""
    return kept >= (1 - MOST_REMOVED) * old_rows and kept >= LEAST_KEPT * rows


def extend(
    source: Source,
    vectors: Floats,
    *,
    neighbors: int,
    ef_construction: int,
    threads: int,
    stopped: Callable[[], bool],
    scratch: Callable[[int], memoryview],
) -> GraphData | None:
    """Extend a graph to `vectors`, or return None once `stopped` returns True.

    Raises NotExtended, CodesDoNotFit or Damaged.
    """
    old, rows, ef_construction = source.data, len(vectors), max(neighbors, ef_construction)
    if (old.neighbors, old.ef_construction) != (neighbors, ef_construction):
        raise NotExtended("it was built with other parameters")
    alive = np.flatnonzero(source.rows != GONE)
    now = source.rows[alive]
    if not worthwhile(len(alive), old.rows, rows):
        raise NotExtended(f"{len(alive)} of its {old.rows} rows are among {rows}")
    choice = _representation(old, vectors, len(alive), stopped)
    if choice is None:
        return None
    if not choice.coded:
        raise NotExtended("codes do not keep the neighbours of its rows and the new ones")
    projection = choice.projection
    dimension = vectors.shape[1] if projection is None else projection.kept
    graph = _opened(old, vectors.shape[1])
    is_new = np.ones(rows, np.bool_)
    is_new[now] = False
    new = np.flatnonzero(is_new).astype(np.uint32)
    codes = native_graph.empty_codes(rows, dimension, scratch)
    coded = CodedVectors(old.space, vectors, projection, codes)
    if not _fill_codes(coded, source, alive, new, stopped):
        return None
    if not native_graph.keeps_neighbors(old.space, vectors, codes, projection, stopped):
        raise native_graph.CodesDoNotFit
    links = NewLinks.empty(_levels(source, alive, new, rows), neighbors)
    entry = int(now[np.argmax(old.levels[alive])])
    builder = links.builder(coded, ef_construction, entry)

    def adopt(part: slice) -> None:
        graph.adopt_into(builder, source.rows, part)

    if not native_graph.in_chunks(adopt, old.rows, threads, stopped):
        return None
    poor = now[2 * links.ground[now, 0] < old.counts[alive]]
    if not native_graph.insert(builder, np.concatenate([poor, new]), rows, threads, stopped):
        return None
    if not _connect(builder, rows, stopped):
        return None
    return links.finished(coded, builder.entry, ef_construction)


def _opened(old: GraphData, dimension: int) -> NativeGraph:
    try:
        return NativeGraph(old, dimension, mapped=True)
    except (ValueError, TypeError) as error:
        raise Damaged(str(error)) from error


def _representation(
    old: GraphData, vectors: Floats, kept: int, stopped: Callable[[], bool]
) -> pca.Choice | None:
    """Choose how the vectors are represented: as before, if that suffices and most rows are old.

    Links serve with any codes, because they lead to near rows.
    """
    was_small = old.projection is None and old.rows < pca.LEAST_ROWS
    if not was_small and 2 * kept >= len(vectors):
        choice = pca.judge(old.space, vectors, old.projection, stopped=stopped)
        if choice is None or choice.coded:
            return choice
    return pca.choose(old.space, vectors, coded=True, stopped=stopped)


def _fill_codes(
    coded: CodedVectors, source: Source, alive: Array, new: Array, stopped: Callable[[], bool]
) -> bool:
    """Copy the codes of rows that stay, if they are projected as before. Encode the others.

    Returns False once `stopped` returns True.
    """
    old, encoded = source.data, new
    assert old.codes is not None
    if not _same(coded.projection, old.projection):
        alive, encoded = alive[:0], np.arange(len(coded.codes))
    for start in range(0, len(alive), _BLOCK):
        if stopped():
            return False
        rows = alive[start : start + _BLOCK]
        coded.codes[source.rows[rows]] = old.codes[rows]
    for start in range(0, len(encoded), _BLOCK):
        if stopped():
            return False
        coded.encode(encoded[start : start + _BLOCK])
    return not stopped()


def _same(one: Projection | None, other: Projection | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.matrix is other.matrix


def _levels(source: Source, alive: Array, new: Array, rows: int) -> npt.NDArray[np.uint8]:
    """Return the layers of all rows: those that stay are in the layers in which they were."""
    levels = np.empty(rows, np.uint8)
    levels[source.rows[alive]] = source.data.levels[alive]
    levels[new] = native_graph.levels_of(len(new), source.data.neighbors, SEED + rows)
    return levels


def _connect(builder: Any, rows: int, stopped: Callable[[], bool]) -> bool:
    """Give a link to each row to which no way leads. Returns False once `stopped` returns True.

    Raises NotExtended if there is no room for one.
    """
    reached = np.full(rows, _NOT_REACHED, np.uint32)
    builder.connect(np.empty(0, np.uint32), reached)
    lost = np.flatnonzero(reached == _NOT_REACHED).astype(np.uint32)
    if not native_graph.in_chunks(lambda part: builder.connect(lost[part], reached), len(lost), 1, stopped):
        return False
    if left := np.count_nonzero(reached == _NOT_REACHED):
        raise NotExtended(f"no way leads to {left} of its {rows} rows")
    return True
