"""The hits of a query, whose records are read later: all at once or in batches.

Owns: the hits of several views in rank order, and reading their records. In memory, each hit takes a row
number and a distance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrow.lazy_pyarrow import pa
from ..interface.explanation import Explanation
from ..interface.values import Field, Floats, Hits, Rows, WordMatches
from ..segments.snapshot import SegmentView, SelectedRows, read_rows
from .executor import Found
from .scan import Scan, weigh
from .trace import Trace
from .typed_columns import SomeColumns

_STEP = 16_384  # hits whose rows are selected at a time


@dataclass(frozen=True, slots=True)
class Ranked:
    """The hits in one snapshot. They may be read any number of times."""

    found: Found
    dimension: int | None
    typed: Callable[[SegmentView], SomeColumns]

    @property
    def counts(self) -> list[int]:
        """The number of hits of each query."""
        return [len(self.found.rows)] if self.found.counts is None else self.found.counts

    @property
    def distances(self) -> Floats:
        """The distances of all queries, concatenated in query order."""
        return self.found.distances

    def size(self, fields: frozenset[Field]) -> int:
        """Return the stored size in bytes of the hits' columns `fields`, with their ids."""
        found = self.found
        if found.part is None:
            return weigh(found.views[:1], [found.rows], fields, self.dimension)
        numbers = range(len(found.views))
        return weigh(
            found.views, [found.rows[found.part == number] for number in numbers], fields, self.dimension
        )

    def hits(self, fields: frozenset[Field]) -> list[Hits]:
        """Read the records of all hits, one `Hits` per query."""
        found = self.found
        rows = read_rows(found.views, found.part, found.rows, fields, self.dimension)
        if found.counts is None:
            return [Hits(rows, found.distances)]
        return _by_query(rows, found.distances, found.counts)

    def explanation(self) -> Explanation | None:
        """Return the explanation, for records that are read in batches. None: it was not requested."""
        return None

    def word_matches(self) -> Sequence[WordMatches]:
        """Return how well the words of each query match. Empty: only distances counted."""
        return ()

    def batches(self, fields: frozenset[Field]) -> Iterator[pa.RecordBatch]:
        """Read the records of all queries, concatenated in query order, in batches like `Scan.read`."""
        for start in range(0, len(self.found.rows), _STEP):
            selected = tuple(self._runs(start, start + _STEP))
            yield from Scan(selected, self.dimension, tuple(self.found.views), self.typed).read(fields)

    def _runs(self, start: int, stop: int) -> Iterator[SelectedRows]:
        views, rows = self.found.views, self.found.rows[start:stop]
        if self.found.part is None:
            yield SelectedRows(views[0], rows)
            return
        part = self.found.part[start:stop]
        bounds = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(part)]
        for begin, end in itertools.pairwise(bounds):
            yield SelectedRows(views[int(part[begin])], rows[begin:end])


@dataclass(frozen=True, slots=True)
class Traced(Ranked):
    """Hits with an explanation of how they were found."""

    trace: Trace

    def hits(self, fields: frozenset[Field]) -> list[Hits]:
        with self.trace.step("read"):
            hits = Ranked.hits(self, fields)
        explanation = self.trace.explanation()
        return [hit._replace(explanation=explanation) for hit in hits]

    def explanation(self) -> Explanation:
        return self.trace.explanation(streamed=True)


@dataclass(frozen=True, slots=True)
class WithWords(Ranked):
    """Hits with how well the words of each query match them, and perhaps with an explanation."""

    words: Sequence[WordMatches]
    trace: Trace | None

    def hits(self, fields: frozenset[Field]) -> list[Hits]:
        if self.trace is None:
            hits = Ranked.hits(self, fields)
        else:
            with self.trace.step("read"):
                hits = Ranked.hits(self, fields)
        explanation = None if self.trace is None else self.trace.explanation()
        return [hit._replace(words=words, explanation=explanation) for hit, words in zip(hits, self.words)]

    def explanation(self) -> Explanation | None:
        return None if self.trace is None else self.trace.explanation(streamed=True)

    def word_matches(self) -> Sequence[WordMatches]:
        return self.words


def _by_query(rows: Rows, distances: Floats, counts: Sequence[int]) -> list[Hits]:
    """Split the hits of all queries by query."""
    ends = np.cumsum(counts).tolist()
    columns = rows.ids, rows.documents, rows.metadatas, rows.uris, rows.embeddings
    return [
        Hits(
            Rows(*(None if column is None else column[start:end] for column in columns)),  # type: ignore[arg-type]
            distances[start:end],
        )
        for start, end in zip([0, *ends], ends)
    ]
