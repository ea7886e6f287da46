"""Counts the distinct values of a column and finds the most frequent value, in bounded memory.

Results are exact up to LIMIT values and BYTES of text. Beyond these limits, the number of distinct values is
estimated from the smallest hashes. The standard error is 1.6 %. Only frequent values are then counted. Their
counts are lower bounds, too low by at most `uncertain`, which is the number of records divided by LIMIT / 2.

This is for streams of records from any server. `Collection.facets` counts exactly, in the engine, which has
all values of a key at hand (`storage/query/facets.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import numpy as np

LIMIT = 100_000
BYTES = 16 << 20
_KEPT = 4096  # number of smallest hashes that are kept


class Counts:
    """Counts hashable values, all of the same type."""

    def __init__(self) -> None:
        self.exact = True
        self.uncertain = 0
        self._times: dict[Any, int] = {}
        self._bytes = 0
        self._hashes = np.empty(0, dtype=np.uint64)

    def add(self, counted: Iterable[tuple[Any, int]]) -> None:
        """Add pairs of a value and its number of occurrences. A value may be added more than once."""
        pairs = list(counted)
        if not self.exact:
            self._add_hashes(value for value, _ in pairs)
        times = self._times
        for value, often in pairs:
            if value in times:
                times[value] += often
            else:
                times[value] = often
                if isinstance(value, str):
                    self._bytes += len(value)
        if len(times) > LIMIT or self._bytes > BYTES:
            if self.exact:
                self.exact = False
                self._add_hashes(times)
            self._thin()

    @property
    def distinct(self) -> int:
        """Return the number of distinct values, an estimate unless `exact`."""
        if self.exact:
            return len(self._times)
        if len(self._hashes) < _KEPT:
            return len(self._hashes)
        return round((_KEPT - 1) / (int(self._hashes[-1]) / 2**64))

    @property
    def most_frequent(self) -> tuple[Any, int] | None:
        """Return the most frequent value (of several, the first one) and a lower bound of its count.

        None if it is not known.
        """
        if not self._times:
            return None
        value = max(self._times, key=self._times.__getitem__)
        return value, self._times[value]

    def _add_hashes(self, values: Iterable[Any]) -> None:
        hashes = np.fromiter((_hash(value) for value in values), dtype=np.uint64)
        self._hashes = np.unique(np.concatenate((self._hashes, hashes)))[:_KEPT]

    def _thin(self) -> None:
        """Subtract the median count from every count and drop counts that reach zero (Misra and Gries)."""
        counts = np.fromiter(self._times.values(), dtype=np.int64, count=len(self._times))
        step = int(np.partition(counts, len(counts) // 2)[len(counts) // 2])
        self.uncertain += step
        self._times = {value: often - step for value, often in self._times.items() if often > step}
        self._bytes = sum(len(value) for value in self._times if isinstance(value, str))


def _hash(value: Any) -> int:
    text = value if isinstance(value, str) else repr(value)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
