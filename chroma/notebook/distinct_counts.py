"""How many distinct values a column has and which is the most frequent, in bounded memory.

Exact up to LIMIT values and BYTES of text. Beyond that the number of distinct values is estimated from the
smallest hashes of all (standard error 1.6 %), and only values that are frequent are still counted: those are
lower bounds, too low by at most `uncertain`, the number of records over LIMIT / 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import numpy as np

LIMIT = 100_000
BYTES = 16 << 20
_KEPT = 4096  # smallest hashes


class Counts:
    """Counts hashable values of one type."""

    def __init__(self) -> None:
        self.exact = True
        self.uncertain = 0
        self._times: dict[Any, int] = {}
        self._bytes = 0
        self._hashes = np.empty(0, dtype=np.uint64)

    def add(self, counted: Iterable[tuple[Any, int]]) -> None:
        """Pairs of a value and how often it occurs; a value may come again."""
        pairs = list(counted)
        if not self.exact:
            self._note(value for value, _ in pairs)
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
                self._note(times)
            self._thin()

    @property
    def distinct(self) -> int:
        """The number of distinct values; an estimate unless `exact`."""
        if self.exact:
            return len(self._times)
        if len(self._hashes) < _KEPT:
            return len(self._hashes)
        return round((_KEPT - 1) / (int(self._hashes[-1]) / 2**64))

    @property
    def most_frequent(self) -> tuple[Any, int] | None:
        """The value, the first of several, and how often at least it occurs. None where none is frequent."""
        if not self._times:
            return None
        value = max(self._times, key=self._times.__getitem__)
        return value, self._times[value]

    def _note(self, values: Iterable[Any]) -> None:
        hashes = np.fromiter((_hash(value) for value in values), dtype=np.uint64)
        self._hashes = np.unique(np.concatenate((self._hashes, hashes)))[:_KEPT]

    def _thin(self) -> None:
        """Take from every count what the middle one has; drop those that are used up (Misra and Gries)."""
        counts = np.fromiter(self._times.values(), dtype=np.int64, count=len(self._times))
        step = int(np.partition(counts, len(counts) // 2)[len(counts) // 2])
        self.uncertain += step
        self._times = {value: often - step for value, often in self._times.items() if often > step}
        self._bytes = sum(len(value) for value in self._times if isinstance(value, str))


def _hash(value: Any) -> int:
    text = value if isinstance(value, str) else repr(value)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
