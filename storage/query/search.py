"""Run a search: filter, score, sort, group, cut a page.

Owns: the steps of a search over one snapshot. Records are known by their positions, which ascend in insertion
order and are the same in every segment and memtable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..filters.evaluator import Filters
from ..filters.parser import Node
from ..interface.ranking import SCORE, Grouping, Leaf, SearchRequest, SparseNearest
from ..interface.requests import QueryRequest
from ..interface.values import Rows, SearchAnswer
from ..schema.record_columns import Ints
from ..segments.snapshot import SegmentView, SelectedRows, Snapshot, in_order, in_runs, read
from . import executor, value_order
from .executor import Source
from .scan import weigh
from .scores import Doubles, Scores, evaluate
from .sparse import Matches
from .trace import SparseSearch, Trace
from .typed_columns import SomeColumns


class SearchHits(NamedTuple):
    """The records of one search, in the order of the result. They are read later.

    scores  float64 (n,); None if the search has no rank
    trace   what the search did; None: it was not asked for
    """

    request: SearchRequest
    snapshot: Snapshot
    selected: Sequence[SelectedRows]
    scores: Doubles | None
    trace: Trace | None = None

    def __len__(self) -> int:
        return sum(len(run.rows) for run in self.selected)

    def size(self) -> int:
        """Return the stored size in bytes of the requested columns, with the ids."""
        views, rows = [run.view for run in self.selected], [run.rows for run in self.selected]
        return weigh(views, rows, self.request.fields, self.snapshot.dimension)

    def answer(self) -> SearchAnswer:
        """Read the records."""
        if self.trace is None:
            return SearchAnswer(self._rows(), self.scores)
        with self.trace.step("read"):
            rows = self._rows()
        return SearchAnswer(rows, self.scores, self.trace.explanation())

    def _rows(self) -> Rows:
        found = read(self.selected, self.request.fields, self.snapshot.dimension)
        if self.request.keys is None or found.metadatas is None:
            return found
        keys = self.request.keys
        chosen = [
            {key: each[key] for key in keys if key in each} or None if each is not None else None
            for each in found.metadatas
        ]
        return found._replace(metadatas=chosen)


class Searcher(NamedTuple):
    """The parts of a collection that its searches use.

    filters  finds the records that match a filter
    nearest  makes the executor's search for a leaf with a dense query
    sparse   finds the records of a leaf with a sparse query
    source   graphs and filters, for the executor
    typed    gives the metadata columns of a view
    """

    filters: Filters
    nearest: Callable[[QueryRequest, Node], executor.Search]
    sparse: Callable[[SparseNearest, Node, Snapshot], Matches]
    source: Source
    typed: Callable[[SegmentView], SomeColumns]


def run(searcher: Searcher, request: SearchRequest, node: Node, snapshot: Snapshot) -> SearchHits:
    """Run one search over a snapshot. `node` is its parsed filter, ids included."""
    if not request.explain:
        return _run(searcher, request, node, snapshot)
    trace = Trace()
    searcher = _traced(searcher, trace)
    if request.rank is None:
        trace.begin()
        with trace.step("filter"):
            for each in _matching(searcher, node, snapshot):
                trace.part(each.view.source.name, each.view.live, len(each.rows), False)
    with trace.step("merge"):
        found = _run(searcher, request, node, snapshot)
    return SearchHits(request, snapshot, found.selected, found.scores, trace)


def _traced(searcher: Searcher, trace: Trace) -> Searcher:
    """Return a searcher that records what it does."""

    def nearest(query: QueryRequest, node: Node) -> executor.Search:
        return searcher.nearest(query, node)._replace(trace=trace)

    def sparse(leaf: SparseNearest, node: Node, snapshot: Snapshot) -> Matches:
        trace.begin()
        with trace.step("filter"):
            for each in _matching(searcher, node, snapshot):
                trace.part(each.view.source.name, each.view.live, len(each.rows), True)
        with trace.step("search"):
            found = searcher.sparse(leaf, node, snapshot)
        for view in (each for each in snapshot.views if each.live):
            count = int(np.count_nonzero(view.locate_positions(found.positions) >= 0))
            trace.ran(view.source.name, SparseSearch(leaf.key), 1, count, 0)
        return found

    return searcher._replace(nearest=nearest, sparse=sparse)


def _run(searcher: Searcher, request: SearchRequest, node: Node, snapshot: Snapshot) -> SearchHits:
    if request.rank is None:
        matching = _matching(searcher, node, snapshot)
        return SearchHits(request, snapshot, in_order(matching, request.offset, request.limit), None)
    if isinstance(request.rank, SparseNearest) and not request.rank.return_rank:  # in this order already
        matches = searcher.sparse(request.rank, node, snapshot)
        if matches.part is None and request.grouping is None:
            return _page_of(request, matches, snapshot)
        positions, values = matches.positions, 1 - matches.scores
    else:
        scores = evaluate(request.rank, lambda leaf: _leaf(searcher, request, leaf, node, snapshot))
        positions, values = scores.positions, scores.values
        order = np.lexsort((positions, values))  # NaN is sorted last
        positions, values = positions[order], values[order]
    if request.grouping is not None:
        kept = _grouped(searcher, request.grouping, positions, values, snapshot)
        positions, values = positions[kept], values[kept]
    stop = None if request.limit is None else request.offset + request.limit
    page = slice(request.offset, stop)
    return SearchHits(request, snapshot, _runs(snapshot, positions[page]), values[page])


def _page_of(request: SearchRequest, matches: Matches, snapshot: Snapshot) -> SearchHits:
    """Return the page of a search whose order is that of the matches, all of one view."""
    stop = None if request.limit is None else request.offset + request.limit
    page = slice(request.offset, stop)
    rows = matches.rows[page]
    selected = [SelectedRows(matches.views[0], rows)] if len(rows) else []
    return SearchHits(request, snapshot, selected, 1 - matches.scores[page])


def _matching(searcher: Searcher, node: Node, snapshot: Snapshot) -> list[SelectedRows]:
    views = [view for view in snapshot.views if view.live]
    return [SelectedRows(view, searcher.filters.allowed(view, node).rows) for view in views]


def _leaf(searcher: Searcher, request: SearchRequest, leaf: Leaf, node: Node, snapshot: Snapshot) -> Scores:
    if isinstance(leaf, SparseNearest):
        matches = searcher.sparse(leaf, node, snapshot)
        return _scores(leaf, matches.positions, 1 - matches.scores)
    executor.check_dimension(leaf.vector, snapshot.dimension)
    query = QueryRequest(vectors=leaf.vector, k=leaf.limit, selection=request.selection)
    found = executor.run(searcher.nearest(query, node), leaf.vector, snapshot, searcher.source)
    if not len(found.rows):
        return Scores(np.empty(0, np.int64), np.empty(0, np.float64), leaf.default)
    positions = executor.positions_of(found.views, found.part, found.rows)
    return _scores(leaf, positions, found.distances)


def _scores(leaf: Leaf, positions: Ints, distances: npt.NDArray[Any]) -> Scores:
    """Return the scores of a leaf's records, which are given with the nearest first."""
    values = np.arange(len(positions), dtype=np.float64) if leaf.return_rank else distances
    order = np.argsort(positions)
    return Scores(positions[order], values[order].astype(np.float64), leaf.default)


def _located(snapshot: Snapshot, positions: Ints) -> list[tuple[SegmentView, Ints, Ints]]:
    """Return, for each view, the rows with some of the positions, and their indices in `positions`."""
    out = []
    for view in snapshot.views:
        rows = view.locate_positions(positions)
        at = np.flatnonzero(rows >= 0)
        if len(at):
            out.append((view, rows[at], at))
    return out


def _runs(snapshot: Snapshot, positions: Ints) -> list[SelectedRows]:
    """Return the rows at some positions, in this order."""
    if len(snapshot.views) == 1 and len(positions):
        view = snapshot.views[0]
        return [SelectedRows(view, view.locate_positions(positions))]
    part = np.empty(len(positions), np.int64)
    row = np.empty(len(positions), np.int64)
    located = _located(snapshot, positions)
    for number, (_, rows, at) in enumerate(located):
        part[at], row[at] = number, rows
    return in_runs([view for view, _, _ in located], part, row)


def _grouped(
    searcher: Searcher, grouping: Grouping, positions: Ints, values: Doubles, snapshot: Snapshot
) -> Ints:
    """Return the indices of the records that stay, ascending. The records are sorted by score."""
    count, located = len(positions), _located(snapshot, positions)
    numbered = {
        key: value_order.codes(key, located, searcher.typed, count)
        for key in {*grouping.keys, *grouping.order} - {SCORE}
    }
    group = np.zeros(count, np.int64)
    for key in grouping.keys:
        identity = numbered[key].identity()
        _, group = np.unique(np.stack([group, identity], axis=1), axis=0, return_inverse=True)
        group = group.reshape(-1)
    columns = [values if key == SCORE else numbered[key].order() for key in grouping.order]
    if grouping.largest:
        columns = [-column for column in columns]
    # The records are sorted by score, then position, so their indices break ties.
    order = np.lexsort((np.arange(count), *columns[::-1], group))
    ordered = group[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if count else np.empty(0, np.int64)
    within = np.arange(count) - np.repeat(starts, np.diff(np.r_[starts, count]))
    return np.sort(order[within < grouping.k])
