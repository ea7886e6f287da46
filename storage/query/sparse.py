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
from ..postings.ranking import Bm25, Doubles, SparseQuery, TermsFound
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
    parts = [
        _Part(view, each, ranking.find(each, query.terms))
        for view in snapshot.views
        if view.live
        for each in postings_of(view)
    ]
    weights = query.weights * _rarity(parts, snapshot.live) if weighted and parts else query.weights
    found = [
        ranking.best(
            part.postings,
            part.found,
            weights,
            k,
            part.view.rows,
            bm25=bm25,
            allowed=_allowed(part.view, node, filters),
            positions=None if part.view.ordered else part.view.positions,
        )
        for part in parts
    ]
    if len(parts) == 1:
        return Matches(parts[0].view.source.positions[found[0].rows], found[0].scores)
    none = [np.empty(0, np.int64)]
    where = np.concatenate(none + [part.view.source.positions[one.rows] for part, one in zip(parts, found)])
    what = np.concatenate([np.empty(0, np.float64), *(one.scores for one in found)])
    order = np.lexsort((where, -what))[:k]
    return Matches(where[order], what[order])


class _Part(NamedTuple):
    """An inverted index of some rows of a view, and the terms of a query in it."""

    view: SegmentView
    postings: Postings
    found: TermsFound


def _rarity(parts: Sequence[_Part], records: int) -> Doubles:
    """Return the idf of each term among all live records."""
    having = None
    for view, postings, found in parts:
        stop = None if isinstance(view.source, Segment) else view.rows  # a segment has no later rows
        counts = ranking.count(postings, found, stop, view.tombstones)
        having = counts if having is None else having + counts
    assert having is not None
    return ranking.idf(records, having)


def weighted_query(
    query: SparseQuery, parts: Sequence[tuple[SegmentView, Postings]], records: int
) -> SparseQuery:
    """Multiply each weight by the idf of its term among all live records."""
    found = [_Part(view, postings, ranking.find(postings, query.terms)) for view, postings in parts]
    return SparseQuery(query.terms, query.weights * _rarity(found, records)) if parts else query


def _allowed(view: SegmentView, node: Node, filters: Filters) -> RowSet | None:
    if view.tombstones is None and isinstance(node, Everything):
        return None
    return filters.allowed(view, node)
