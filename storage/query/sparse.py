"""Find the records whose sparse vectors are nearest to a query, or whose documents match its words best.

Owns: making one answer from the inverted indexes of all views of a snapshot. The rarity of terms is that of
the whole snapshot. Hits are ordered by score, then by position.
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
from ..postings.ranking import Best, Bm25, Doubles, SparseQuery, TermsFound
from ..schema.record_columns import Ints
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView, Snapshot
from .executor import positions_of


class Matches(NamedTuple):
    """The best records of a query, best first.

    views   the views that have the records
    part    int64 (n,): the view of each record; None: all are in the first
    rows    int64 (n,): their rows in these views
    scores  float64 (n,)
    query   the query with the weights that gave the scores
    """

    views: Sequence[SegmentView]
    part: Ints | None
    rows: Ints
    scores: Doubles
    query: SparseQuery

    @property
    def positions(self) -> Ints:
        if not len(self.rows):
            return np.empty(0, np.int64)
        return positions_of(self.views, self.part, self.rows)


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
    views = [view for view in snapshot.views if view.live]
    indexes = [(number, each) for number, view in enumerate(views) for each in postings_of(view)]
    if len(indexes) == 1:
        number, postings = indexes[0]
        view = views[number]
        if isinstance(node, Everything) and view.tombstones is None and isinstance(view.source, Segment):
            one, weights = ranking.search(
                postings,
                query,
                k,
                view.rows,
                records=snapshot.live if weighted else None,
                bm25=bm25,
                positions=None if view.ordered else view.positions,
            )
            part = np.full(len(one.rows), number) if number else None
            return Matches(views, part, one.rows, one.scores, SparseQuery(query.terms, weights))
    parts = [_Part(number, views[number], each, ranking.find(each, query.terms)) for number, each in indexes]
    if weighted and parts:
        query = SparseQuery(query.terms, query.weights * _rarity(parts, snapshot.live))
    found = [
        ranking.best(
            part.postings,
            part.found,
            query.weights,
            k,
            part.view.rows,
            bm25=bm25,
            allowed=_allowed(part.view, node, filters),
            positions=None if part.view.ordered else part.view.positions,
        )
        for part in parts
    ]
    return _merged(views, [part.number for part in parts], found, query, k)


def _merged(
    views: Sequence[SegmentView], numbers: Sequence[int], found: Sequence[Best], query: SparseQuery, k: int
) -> Matches:
    """Return the best of the best of several indexes. Equal scores are in the order of positions."""
    rows = np.concatenate([np.empty(0, np.int64), *(each.rows for each in found)])
    scores = np.concatenate([np.empty(0, np.float64), *(each.scores for each in found)])
    part = np.repeat(numbers, [len(each.rows) for each in found]).astype(np.int64)
    if len(numbers) > 1:
        order = np.lexsort((positions_of(views, part, rows), -scores))[:k]
        part, rows, scores = part[order], rows[order], scores[order]
    return Matches(views, part, rows, scores, query)


class _Part(NamedTuple):
    """An inverted index of some rows of a view, by its number, and the terms of a query in it."""

    number: int
    view: SegmentView
    postings: Postings
    found: TermsFound


def _rarity(parts: Sequence[_Part], records: int) -> Doubles:
    """Return the idf of each term among all live records."""
    having = None
    for _, view, postings, found in parts:
        stop = None if isinstance(view.source, Segment) else view.rows  # a segment has no later rows
        counts = ranking.count(postings, found, stop, view.tombstones)
        having = counts if having is None else having + counts
    assert having is not None
    return ranking.idf(records, having)


def _allowed(view: SegmentView, node: Node, filters: Filters) -> RowSet | None:
    if view.tombstones is None and isinstance(node, Everything):
        return None
    return filters.allowed(view, node)
