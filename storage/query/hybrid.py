"""Find the records whose documents match the words of a text best, or these and the nearest vectors.

Owns: the fusion of both lists. A record's score is the sum over the lists of 1 / (60 + its place in the
list), with 1 for the first (reciprocal rank fusion: Cormack, Clarke and Buettcher, 2009). The words of a text
are weighted by BM25 with k = 1.2, b = 0.75, and the mean length of the collection's documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..filters.evaluator import Filters
from ..filters.parser import Node
from ..interface.requests import QueryRequest
from ..interface.values import Floats, WordMatches
from ..interface.words import Tokenizer
from ..postings.ranking import Bm25, Doubles, SparseQuery
from ..schema.record_columns import Ints
from ..segments.snapshot import SegmentView, Snapshot
from ..vectors import distance
from ..vectors.distance import Space
from . import executor, sparse
from .executor import Found
from .sparse import Indexed, Matches
from .trace import SparseSearch, Trace

K, B = 1.2, 0.75
FUSION = 60.0
CANDIDATES = 100  # of each list, at least; a fusion of ten times as many finds hardly other records


class WordSearch(NamedTuple):
    """The parts that a search by words of one snapshot needs.

    tokenizer    divides the texts into words
    postings_of  the inverted indexes of the documents of a view
    node         the parsed filter
    """

    tokenizer: Tokenizer
    postings_of: Callable[[SegmentView], Sequence[Indexed]]
    filters: Filters
    node: Node
    snapshot: Snapshot
    bm25: Bm25

    def best(self, text: str, k: int) -> Matches:
        """Return the records that match the words of a text best. Rare words count more."""
        words = self.tokenizer.count([text])
        return sparse.best(
            SparseQuery(words.hashes, words.counts.astype(np.float64)),
            k,
            self.node,
            self.snapshot,
            postings_of=self.postings_of,
            filters=self.filters,
            weighted=True,
            bm25=self.bm25,
        )

    def scores(self, query: SparseQuery, view: SegmentView, rows: Ints) -> Doubles:
        """Return the scores of some rows, NaN for a row without a word of the query."""
        out = np.full(len(rows), np.nan)
        order = np.argsort(rows)
        for index in self.postings_of(view):
            found = index.scores(query, rows[order], self.bm25)
            at = order[np.searchsorted(rows[order], found.rows)]
            out[at] = found.scores
        return out

    @property
    def views(self) -> list[SegmentView]:
        return [view for view in self.snapshot.views if view.live]


def bm25_of(words: int, documents: int) -> Bm25:
    """Return the parameters for a collection. `documents` is the number of documents with words."""
    return Bm25.of(K, B, words / documents if documents else 1.0)


class Mixed(NamedTuple):
    """The hits, how well the words of each query match them, and what its words found."""

    found: Found
    words: list[WordMatches]
    lexical: list[Matches]


class _Hits(NamedTuple):
    """The hits of one query: their views and rows, distances, and scores of words."""

    part: Ints
    rows: Ints
    distances: Floats
    scores: Doubles


def run(
    request: QueryRequest, search: WordSearch, space: Space, dense: Found | None, trace: Trace | None
) -> Mixed:
    """Find the records for each text of a request.

    dense  the nearest records to each vector; None: only words count
    """
    if trace is not None:
        return _traced(request, search, space, dense, trace)
    return _run(request, search, space, dense)


def _traced(
    request: QueryRequest, search: WordSearch, space: Space, dense: Found | None, trace: Trace
) -> Mixed:
    trace.begin()
    for view in search.views:
        with trace.step("filter"):
            matches = search.filters.allowed(view, search.node).count
        trace.part(view.source.name, view.live, matches, True)
    with trace.step("search"):
        mixed = _run(request, search, space, dense)
    for view in search.views:
        found = sum(np.count_nonzero(view.locate_positions(each.positions) >= 0) for each in mixed.lexical)
        trace.ran(view.source.name, SparseSearch("#document"), len(request.texts), int(found), 0)
    return mixed


def _run(request: QueryRequest, search: WordSearch, space: Space, dense: Found | None) -> Mixed:
    if dense is None:
        return _by_words(request, search)
    hits, words, listed = [], [], []
    for number, (text, nearest) in enumerate(zip(request.texts, _positions(dense), strict=True)):
        found = search.best(text, considered_of(request))
        lexical = found.positions
        chosen = _fused(lexical, nearest)[: request.k]
        each = _hits(search, found.query, chosen)
        _measure(each, search.views, space, request.vectors[number])
        hits.append(each)
        listed.append(found)
        words.append(WordMatches(each.scores, _ranks_in(lexical, chosen), _ranks_in(nearest, chosen)))
    part, rows, distances, _ = (np.concatenate(column) for column in zip(*hits))
    counts = [len(each.rows) for each in hits]
    return Mixed(Found(search.views, part, rows, distances, counts), words, listed)


def _by_words(request: QueryRequest, search: WordSearch) -> Mixed:
    """Find the records that match the words of each text of a request."""
    found = [search.best(text, request.k) for text in request.texts]
    words = [WordMatches(each.scores, np.arange(len(each.rows)), None) for each in found]
    counts = [len(each.rows) for each in found]
    part = None
    if any(each.part is not None for each in found):
        parts = [np.zeros(len(each.rows), np.int64) if each.part is None else each.part for each in found]
        part = np.concatenate(parts)
    rows = np.concatenate([each.rows for each in found])
    unknown = np.full(len(rows), np.nan, np.float32)
    return Mixed(Found(search.views, part, rows, unknown, counts), words, found)


def considered_of(request: QueryRequest) -> int:
    """Return how many records of each list are fused."""
    return max(request.k, CANDIDATES) if request.candidates is None else request.candidates


def _positions(found: Found) -> list[Ints]:
    """Return the positions of the hits of each query, nearest first."""
    if not len(found.rows):
        return [np.empty(0, np.int64)] * (1 if found.counts is None else len(found.counts))
    positions = executor.positions_of(found.views, found.part, found.rows)
    if found.counts is None:
        return [positions]
    return list(np.split(positions, np.cumsum(found.counts)[:-1]))


def _fused(lexical: Ints, nearest: Ints) -> Ints:
    """Return the positions in both lists, best first. Equal scores are in insertion order."""
    both = np.concatenate([lexical, nearest])
    if not len(both):
        return both
    scores = 1 / (FUSION + 1 + np.concatenate([np.arange(len(lexical)), np.arange(len(nearest))]))
    order = np.argsort(both, kind="stable")
    both = both[order]
    firsts = np.flatnonzero(np.r_[True, both[1:] != both[:-1]])
    sums = np.add.reduceat(scores[order], firsts)
    positions = both[firsts]
    return positions[np.lexsort((positions, -sums))]


def _ranks_in(listed: Ints, chosen: Ints) -> Ints:
    """Return the place of each chosen position in a list, from 0, or -1 for one that is not in it."""
    if not len(listed):
        return np.full(len(chosen), -1)
    order = np.argsort(listed)
    at = np.minimum(np.searchsorted(listed[order], chosen), len(listed) - 1)
    found: Ints = np.where(listed[order][at] == chosen, order[at], -1)
    return found


def _hits(search: WordSearch, query: SparseQuery, chosen: Ints) -> _Hits:
    """Return the hits at some positions. Their distances are not known yet."""
    count = len(chosen)
    part, row = np.zeros(count, np.int64), np.zeros(count, np.int64)
    scores = np.full(count, np.nan)
    for number, view in enumerate(search.views):
        rows = view.locate_positions(chosen)
        mine = np.flatnonzero(rows >= 0)
        if len(mine):
            part[mine], row[mine] = number, rows[mine]
            scores[mine] = search.scores(query, view, rows[mine])
    return _Hits(part, row, np.full(count, np.nan, np.float32), scores)


def _measure(hits: _Hits, views: Sequence[SegmentView], space: Space, vector: Floats) -> None:
    """Compute the distances of hits from a vector."""
    for number, view in enumerate(views):
        mine = np.flatnonzero(hits.part == number)
        if len(mine):
            lengths = view.known_lengths() if space == "cosine" else None
            rows = hits.rows[mine]
            hits.distances[mine] = distance.exact(space, vector, view.vectors_to_read(rows), rows, lengths)
