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
from ..schema.record_columns import Ints, Mask
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView, Snapshot
from .executor import positions_of


class Indexed(NamedTuple):
    """An inverted index of some rows of a view. Its entries are the rows, unless the view is patched.

    hidden   bool (rows,): the rows that have new values, so that it does not count what they had; None: none
    rows     the row that each entry stands for, if it is an index of patches
    current  int64, ascending: those of its entries that count, if it is an index of patches
    """

    postings: Postings
    hidden: Mask | None = None
    rows: Ints | None = None
    current: Ints | None = None

    def stop(self, view: SegmentView) -> int:
        """The number of entries to consider."""
        return view.rows if self.rows is None else len(self.rows)

    def ignored(self, view: SegmentView) -> Mask | None:
        """Return which entries do not count, because their rows are deleted or have other values."""
        tombstones = view.tombstones
        if self.rows is None or self.current is None:
            return _either(tombstones, self.hidden)
        ignored = np.ones(len(self.rows), np.bool_)
        ignored[self.current] = False if tombstones is None else tombstones[self.rows[self.current]]
        return ignored

    def allowed(self, view: SegmentView, node: Node, filters: Filters) -> RowSet | None:
        """Return the entries whose rows match a filter; None for all."""
        plain = self.hidden is None and self.rows is None
        if plain and view.tombstones is None and isinstance(node, Everything):
            return None
        allowed = filters.allowed(view, node)
        if self.rows is None or self.current is None:
            return allowed if self.hidden is None else allowed.without(self.hidden)
        matching = self.current[allowed.mask[self.rows[self.current]]]
        return RowSet(len(self.rows), rows=matching)

    def ties(self, view: SegmentView) -> Ints | None:
        """Return the position of each entry, if they do not ascend."""
        if self.rows is not None:
            return view.positions[self.rows]
        return None if view.ordered else view.positions

    def scores(self, query: SparseQuery, rows: Ints, bm25: Bm25 | None) -> Best:
        """Return those of some rows of the view, which ascend, that have a term, with their scores."""
        if self.rows is None or self.current is None:
            known = rows if self.hidden is None else rows[~self.hidden[rows]]
            return ranking.scores(self.postings, query, known, bm25)
        entries = self.current[np.isin(self.rows[self.current], rows)]
        found = ranking.scores(self.postings, query, entries, bm25)
        return Best(self.rows[found.rows], found.scores)


def _either(one: Mask | None, other: Mask | None) -> Mask | None:
    if one is None or other is None:
        return other if one is None else one
    out: Mask = one | other
    return out


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
    postings_of: Callable[[SegmentView], Sequence[Indexed]],
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
        number, (postings, hidden, entries, _) = indexes[0]
        view, plain = views[number], hidden is None and entries is None
        whole = plain and view.tombstones is None and isinstance(view.source, Segment)
        if whole and isinstance(node, Everything):
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
    parts = [
        _Part(number, views[number], each, ranking.find(each.postings, query.terms))
        for number, each in indexes
    ]
    if weighted and parts:
        query = SparseQuery(query.terms, query.weights * _rarity(parts, snapshot.live))
    found = []
    for _, view, index, terms in parts:
        one = ranking.best(
            index.postings,
            terms,
            query.weights,
            k,
            index.stop(view),
            bm25=bm25,
            allowed=index.allowed(view, node, filters),
            positions=index.ties(view),
        )
        found.append(one if index.rows is None else Best(index.rows[one.rows], one.scores))
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
    indexed: Indexed
    found: TermsFound


def _rarity(parts: Sequence[_Part], records: int) -> Doubles:
    """Return the idf of each term among all live records."""
    having = None
    for _, view, index, found in parts:
        # The index of a segment has no later rows. Those of memtables and of patches grow.
        whole = isinstance(view.source, Segment) and index.rows is None
        counts = ranking.count(
            index.postings, found, None if whole else index.stop(view), index.ignored(view)
        )
        having = counts if having is None else having + counts
    assert having is not None
    return ranking.idf(records, having)
