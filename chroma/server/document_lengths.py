"""The lengths of documents: a histogram, and the share that is longer than the built-in model reads.

Owns: how much of them is held. Of the lengths, each different one is held once with its count. Of the texts,
at most 1,000 are, by their place: the rows of the sample are spread evenly over the matching records.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..notebook.describe import CutTexts

_SAMPLE = 1000
_SAMPLE_BYTES = 64 << 20  # of the texts that are held; then there are fewer
_DIVIDED_BYTES = 400_000  # that are divided into tokens, in a third of a second


class Lengths:
    """The lengths of `rows` documents, in characters, some of which are missing."""

    def __init__(self, rows: int) -> None:
        self._counts: Counter[int] = Counter()
        self._chosen = np.unique(np.linspace(0, max(0, rows - 1), min(rows, _SAMPLE)).astype(np.int64))
        self._sample: list[Any] = []
        self._bytes = self._at = 0

    def add(self, column: Any) -> None:
        """Add the documents of the next records, an Arrow array of texts."""
        counted = pc.value_counts(pc.utf8_length(column.drop_null()))
        self._counts.update(
            dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist()))
        )
        first, last = np.searchsorted(self._chosen, [self._at, self._at + len(column)])
        if first < last and self._bytes < _SAMPLE_BYTES:
            texts = column.take(pa.array(self._chosen[first:last] - self._at)).drop_null()
            self._bytes += texts.nbytes
            self._sample.append(texts)
        self._at += len(column)

    @property
    def filled(self) -> int:
        """The number of documents."""
        return self._counts.total()

    @property
    def shortest(self) -> int | None:
        return min(self._counts, default=None)

    @property
    def longest(self) -> int | None:
        return max(self._counts, default=None)

    def histogram(self, bins: int) -> tuple[list[int], list[float]]:
        """The counts of `bins` parts of equal width, and their edges; empty without documents."""
        if not self._counts:
            return [], []
        lengths, counts = np.array(list(self._counts)), np.array(list(self._counts.values()))
        if lengths.min() == lengths.max():
            return [self.filled], [float(lengths[0])] * 2
        found, edges = np.histogram(lengths, min(bins, int(np.ptp(lengths))), weights=counts)
        return found.astype(np.int64).tolist(), edges.tolist()

    def cut(self, function: Any) -> dict[str, Any] | None:
        """The share of a sample of which the function reads only the beginning; None without a sample."""
        if not sum(map(len, self._sample)):
            return None
        sample = pa.concat_arrays(self._sample)
        step = math.ceil(sample.nbytes / _DIVIDED_BYTES)
        sample = sample.take(pa.array(range(0, len(sample), step)))
        texts = CutTexts(function)
        texts.add(sample)
        return {
            "share": texts.count / len(sample),
            "limit": function.max_tokens(),
            "sampled": len(sample),
        }
