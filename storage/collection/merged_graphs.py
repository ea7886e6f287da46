"""Remember the graphs of merged segments, so that the graph of the new segment need not be built anew.

Owns: for each new segment, which graph can be extended to it (index/graph_extension.py), and where the rows
of that graph are now. The old graph's file stays mapped, although it is removed with its segment. All this is
only in this process: if it ends before the new graph is built, that is built anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..index import graph_extension
from ..index.graph import GraphData
from ..index.graph_extension import GONE, Source
from ..manifest import GraphRef
from ..memory_budget import MemoryBudget
from ..schema.record_columns import Ints
from ..segments.snapshot import SegmentView
from ..vectors.distance import Space


class OldGraph(NamedTuple):
    """A graph of a segment.

    read    returns its arrays. Raises Corruption if its file is damaged
    nbytes  the memory that it holds, in bytes, without maps of files
    """

    ref: GraphRef
    rows: int
    read: Callable[[Space], GraphData]
    nbytes: int


class MergedGraph(NamedTuple):
    """A graph whose segment was merged away. `rows`: where each of its rows is now, see `Source`."""

    graph: OldGraph
    rows: npt.NDArray[np.uint32]

    @property
    def nbytes(self) -> int:
        return self.graph.nbytes + self.rows.nbytes

    def source(self, space: Space) -> Source:
        """Read the graph."""
        return Source(self.graph.read(space), self.rows)


class MergedGraphs:
    """The graphs that can be extended, by the new segment. The memory budget may drop them.

    key  makes the names of what they hold in the budget
    """

    def __init__(self, budget: MemoryBudget, key: str) -> None:
        self._budget, self._key = budget, key
        self._kept: dict[str, MergedGraph] = {}
        self._newest = ""  # its segment may not be in the manifest yet
        self._released = False  # whether the collection was closed, perhaps while a build was running

    def merge(
        self,
        views: Sequence[SegmentView],
        segment: str,
        positions: Ints,
        graph_of: Callable[[SegmentView], OldGraph | None],
    ) -> None:
        """Keep the graph that has most of the rows of a new segment, if that is worthwhile.

        views      what is merged
        positions  those of the new segment's rows
        """
        self._newest = segment
        best, most = None, 0
        for view in views:
            known = self._kept.get(view.source.name)
            if (graph := graph_of(view)) is not None:
                known = MergedGraph(graph, np.arange(view.rows, dtype=np.uint32))
            if known is None:
                continue
            moved = MergedGraph(known.graph, _moved(known.rows, view, positions))
            kept = int(np.count_nonzero(moved.rows != GONE))
            if kept > most and graph_extension.worthwhile(kept, known.graph.rows, len(positions)):
                best, most = moved, kept
        if best is not None:
            self.put(segment, best)

    def put(self, segment: str, graph: MergedGraph) -> None:
        self._kept[segment] = graph
        self._budget.hold(self._name(segment), graph.nbytes, lambda: self._drop(segment))
        if self._released:
            self.take(segment)

    def take(self, segment: str) -> MergedGraph | None:
        """Return the graph that can be extended to a segment, and forget it."""
        found = self._kept.pop(segment, None)
        self._budget.forget(self._name(segment))
        return found

    def keep_only(self, missing: Collection[str], known: Collection[str]) -> None:
        """Forget the graphs that no build will take.

        missing  the segments that are to be built
        known    all segments of the manifest
        """
        for name in list(self._kept):
            if name not in missing and (name in known or name != self._newest):
                self.take(name)

    def release(self) -> None:
        """Forget all, and keep no more."""
        self._released = True
        for name in list(self._kept):
            self.take(name)

    def _drop(self, segment: str) -> None:
        self._kept.pop(segment, None)

    def _name(self, segment: str) -> str:
        return f"{self._key}/{segment}"


def _moved(rows: npt.NDArray[np.uint32], view: SegmentView, positions: Ints) -> npt.NDArray[np.uint32]:
    """Return where rows are after a merge. `rows`: where they are in the view now."""
    now = np.full(view.rows, GONE, np.uint32)
    alive = view.live_rows()
    now[alive] = np.searchsorted(positions, view.positions[alive])
    out = np.full(len(rows), GONE, np.uint32)
    there = rows != GONE
    out[there] = now[rows[there]]
    return out
