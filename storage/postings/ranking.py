"""The best rows of an inverted index for a query.

Owns: the twin of the compiled search, and the weights of BM25. A row's score is the sum, in float64 and in
the order of the query's terms, of weight times value. It does not depend on what the search skips.

BM25: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..native import kernel
from ..schema.record_columns import Ints, Mask
from .postings import Postings, Terms, Values

Doubles = npt.NDArray[np.float64]
# With at most this many rows times terms, looking the rows up is faster than reading the postings.
_LOOKED_UP = 32


class SparseQuery(NamedTuple):
    """The terms of a query, uint32 (m,), distinct, and their weights, float64 (m,)."""

    terms: Terms
    weights: Doubles


class Bm25(NamedTuple):
    """How frequencies become values: f * scale / (f + constant + slope * length of the text)."""

    scale: float
    constant: float
    slope: float

    @classmethod
    def of(cls, k: float, b: float, mean_length: float) -> Bm25:
        """Return the parameters for saturation `k`, weight of the length `b` and a mean length in words."""
        return cls(k + 1, k * (1 - b), k * b / mean_length)


class Best(NamedTuple):
    """Rows, int64 (n,), and their scores, float64 (n,), best first."""

    rows: Ints
    scores: Doubles


def idf(records: int, having: Ints) -> Doubles:
    """Return ln(1 + (n - d + 0.5) / (d + 0.5)) for each term that `having` of all `records` have."""
    shares: Doubles = 1 + (records - having + 0.5) / (having + 0.5)
    return np.array([math.log(share) for share in shares.tolist()])  # as compiled code, to the last bit


class TermsFound(NamedTuple):
    """The terms of a query in an index: the number of each, int64 (m,), and whether the index has it."""

    numbers: Ints
    there: Mask


def find(postings: Postings, terms: Terms) -> TermsFound:
    """Look up the terms of a query."""
    if not len(postings.terms):
        return TermsFound(np.zeros(len(terms), np.int64), np.zeros(len(terms), np.bool_))
    at = np.minimum(postings.terms.searchsorted(terms), len(postings.terms) - 1)
    return TermsFound(at, postings.terms[at] == terms)


def count(postings: Postings, found: TermsFound, stop: int | None, tombstones: Mask | None) -> Ints:
    """Count the live rows below `stop` that have each term. None: all rows that are indexed."""
    if tombstones is None and stop is None:
        if not len(postings.terms):
            return found.numbers
        sizes: Ints = (postings.starts[found.numbers + 1] - postings.starts[found.numbers]) * found.there
        return sizes
    counts = np.zeros(len(found.numbers), np.int64)
    for number in np.flatnonzero(found.there).tolist():
        at = found.numbers[number]
        rows = postings.rows[postings.starts[at] : postings.starts[at + 1]]
        rows = rows if stop is None else rows[: int(np.searchsorted(rows, stop))]
        counts[number] = len(rows) if tombstones is None else len(rows) - np.count_nonzero(tombstones[rows])
    return counts


def search(
    postings: Postings,
    query: SparseQuery,
    k: int,
    stop: int,
    *,
    records: int | None,
    bm25: Bm25 | None = None,
    positions: Ints | None = None,
) -> tuple[Best, Doubles]:
    """Return the `k` rows below `stop` with the greatest scores, and the weights of the query's terms.

    This is `find`, `count`, `idf` and `best` in one, for a query that one index answers.

    records  weights are multiplied by the idf of their terms among so many records, all of which the index
             has; None: they are not
    """
    if kernel.postings is None or not len(postings.terms):
        found, weights = find(postings, query.terms), query.weights
        if records is not None:
            weights = weights * idf(records, count(postings, found, None, None))
        return best(postings, found, weights, k, stop, bm25=bm25, positions=positions), weights
    most = min(k, stop)
    rows, scores, weights = np.empty(most, np.int64), np.empty(most, np.float64), query.weights.copy()
    index = (
        postings.starts,
        postings.rows,
        postings.values,
        postings.lengths,
        bm25,
        postings.terms,
        postings.most,
    )
    options = postings.positive, query.terms, weights, -1 if records is None else records, stop, positions
    size = kernel.postings.search(*index, *options, rows, scores)
    return Best(rows[:size], scores[:size]), weights


def best(
    postings: Postings,
    found: TermsFound,
    weights: Doubles,
    k: int,
    stop: int,
    *,
    bm25: Bm25 | None = None,
    allowed: Any = None,
    positions: Ints | None = None,
) -> Best:
    """Return the `k` rows below `stop` with the greatest scores, of those that have a term of the query.

    found      the terms of the query in this index
    weights    float64 (m,), of the terms of the query
    bm25       the values of frequencies; None: the postings have values of their own
    allowed    the RowSet of rows to consider; None: all
    positions  decides between equal scores, the least first; None: the row does
    """
    picked = found.numbers[found.there]
    most = stop if allowed is None else min(stop, allowed.count)
    reading = int((postings.starts[picked + 1] - postings.starts[picked]).sum())
    k = min(k, most, reading)
    if k <= 0:
        return Best(np.empty(0, np.int64), np.empty(0, np.float64))
    picks = _Picks(postings, bm25, picked, weights[found.there])
    if allowed is not None and allowed.count * len(picked) * _LOOKED_UP < reading:
        few = allowed.rows
        return _ranked(picks.score(few[few < stop]), k, positions)
    mask = None if allowed is None else allowed.mask
    if kernel.postings is None:
        return _ranked(picks.score(picks.rows(stop, mask)), k, positions)
    rows, scores = np.empty(k, np.int64), np.empty(k, np.float64)
    rising = postings.positive and float(picks.weights.min()) >= 0
    options = picks.bounds(), stop, mask, positions, rows, scores, rising
    size = kernel.postings.best(*picks.arrays(), *options)
    return Best(rows[:size], scores[:size])


def scores(postings: Postings, query: SparseQuery, rows: Ints, bm25: Bm25 | None = None) -> Best:
    """Return the rows that have a term of the query, with their scores. `rows` ascend."""
    found = find(postings, query.terms)
    return _Picks(postings, bm25, found.numbers[found.there], query.weights[found.there]).score(rows)


class _Picks(NamedTuple):
    """The terms of a query that an index has, by number, and their weights."""

    postings: Postings
    bm25: Bm25 | None
    picked: Ints
    weights: Doubles

    def arrays(self) -> tuple[Any, ...]:
        """Return the first arguments of the compiled functions."""
        index = self.postings
        return index.starts, index.rows, index.values, index.lengths, self.bm25, self.picked, self.weights

    def bounds(self) -> Doubles:
        """Return the most that each term may add to a score."""
        most = self.postings.most[self.picked].astype(np.float64)
        if self.bm25 is not None:
            most = most * self.bm25.scale / (most + self.bm25.constant)  # as in a text without words
        found: Doubles = np.abs(self.weights) * most
        return found

    def rows(self, stop: int, mask: Mask | None) -> Ints:
        """Return the rows that have a term, ascending."""
        starts, rows = self.postings.starts, self.postings.rows
        runs = [rows[starts[term] : starts[term + 1]] for term in self.picked.tolist()]
        found = np.unique(np.concatenate(runs)).astype(np.int64)
        found = found[found < stop]
        return found if mask is None else found[mask[found]]

    def score(self, rows: Ints) -> Best:
        """Return those of the rows, ascending, that have a term, with their scores."""
        scores, found = np.zeros(len(rows), np.float64), np.zeros(len(rows), np.bool_)
        if kernel.postings is not None:
            kernel.postings.scores(*self.arrays(), *(rows, scores, found))
            return Best(rows[found], scores[found])
        for term, weight in zip(self.picked.tolist(), self.weights.tolist()):
            run = slice(self.postings.starts[term], self.postings.starts[term + 1])
            having = self.postings.rows[run]
            at = np.minimum(np.searchsorted(having, rows), len(having) - 1)
            hit = having[at] == rows
            scores[hit] += weight * self._values(self.postings.values[run][at[hit]], rows[hit])
            found |= hit
        return Best(rows[found], scores[found])

    def _values(self, values: Values, rows: Ints) -> Doubles:
        numbers = values.astype(np.float64)
        if self.bm25 is None:
            return numbers
        assert self.postings.lengths is not None
        length = self.postings.lengths[rows].astype(np.float64)
        found: Doubles = numbers * self.bm25.scale / (numbers + self.bm25.constant + self.bm25.slope * length)
        return found


def _ranked(found: Best, k: int, positions: Ints | None) -> Best:
    ties = found.rows if positions is None else positions[found.rows]
    order = np.lexsort((ties, -found.scores))[:k]
    return Best(found.rows[order], found.scores[order])
