"""Find the records whose sparse vectors are nearest to a query, or whose documents match its words best.

Owns: how the inverted indexes of the views of a snapshot become one answer: the rarity of terms over the
whole snapshot, the order of hits, and ties by position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..filters.evaluator import Filters
from ..filters.parser import Everything, Node
from ..filters.row_set import RowSet
from ..postings import ranking
from ..postings.postings import Postings
from ..postings.ranking import Bm25, Doubles, SparseQuery
from ..schema.record_columns import Ints
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView, Snapshot


class Matches(NamedTuple):
    """The best records: their positions, int64 (n,), and scores, float64 (n,), best first."""

    positions: Ints
    scores: Doubles


def best(
    query: SparseQuery,
    k: int,
    node: Node,
    snapshot: Snapshot,
    *,
    postings_of: Callable[[SegmentView], Sequence[Postings]],
    filters: Filters,
    weighted: bool,
    bm25: Bm25 | None = None,
) -> Matches:
    """Return the `k` records with the greatest product of a query with their terms.

    node         the parsed filter
    postings_of  the inverted indexes of a view. Each row is in at most one
    weighted     multiply each weight by the idf of its term, among all records of the snapshot
    bm25         the values of frequencies; None: the indexes have values of their own
    """
    parts = [(view, each) for view in snapshot.views if view.live for each in postings_of(view)]
    if weighted:
        query = weighted_query(query, parts, snapshot.live)
    positions, scores = [np.empty(0, np.int64)], [np.empty(0, np.float64)]
    for view, postings in parts:
        found = ranking.best(
            postings,
            query,
            k,
            view.rows,
            bm25=bm25,
            allowed=_allowed(view, node, filters),
            positions=None if view.ordered else view.positions,
        )
        positions.append(view.source.positions[found.rows])
        scores.append(found.scores)
    where, what = np.concatenate(positions), np.concatenate(scores)
    order = np.lexsort((where, -what))[:k]
    return Matches(where[order], what[order])


def weighted_query(
    query: SparseQuery, parts: Sequence[tuple[SegmentView, Postings]], records: int
) -> SparseQuery:
    """Multiply each weight by the idf of its term among all live records."""
    having = np.zeros(len(query.terms), np.int64)
    for view, postings in parts:
        stop = None if isinstance(view.source, Segment) else view.rows  # a segment has no later rows
        having += ranking.count(postings, query.terms, stop, view.tombstones)
    return SparseQuery(query.terms, query.weights * ranking.idf(records, having))


def _allowed(view: SegmentView, node: Node, filters: Filters) -> RowSet | None:
    if view.tombstones is None and isinstance(node, Everything):
        return None
    return filters.allowed(view, node)
