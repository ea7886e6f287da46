"""Measure which share of the exact nearest records searches find, and how long they take.

Owns: which stored vectors are the queries, and how two answers are compared.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Protocol

import numpy as np

from ..interface.values import EfRecall, Floats
from ..segments.snapshot import Snapshot
from .executor import Found

_TIMED, _TIMED_EXACT = 100, 10  # searches of one vector that are timed


class Run(Protocol):
    """Searches with some vectors. `ef` replaces the `ef_search` of the collection."""

    def __call__(self, queries: Floats, *, exact: bool = False, ef: int | None = None) -> Found: ...


def queries_of(snapshot: Snapshot, sample: int) -> Floats | None:
    """Return a `sample` of the stored vectors, or None if there are none."""
    selected = snapshot.everything()
    if not selected:
        return None
    pool = [(run.view, int(row)) for run in selected for row in _spread(run.rows, sample)]
    picks = [pool[index] for index in np.linspace(0, len(pool) - 1, min(sample, len(pool))).astype(int)]
    return np.stack([view.vectors_to_read(np.array([row]))[row] for view, row in picks])


def measure(run: Run, queries: Floats) -> float:
    """Return the mean share of the exact nearest records that the default search finds."""
    return _share(_hits(run(queries, exact=True)), _hits(run(queries)))


def measure_by_ef(run: Run, queries: Floats, efs: Sequence[int]) -> list[EfRecall]:
    """Return the same share for each of several `ef_search`, with the median times of one search."""
    exact = _hits(run(queries, exact=True))
    exact_ms = _milliseconds(run, queries[:: max(1, len(queries) // _TIMED_EXACT)][:_TIMED_EXACT], exact=True)
    timed = queries[:: max(1, len(queries) // _TIMED)][:_TIMED]
    return [
        EfRecall(ef, _share(exact, _hits(run(queries, ef=ef))), _milliseconds(run, timed, ef=ef), exact_ms)
        for ef in efs
    ]


def _milliseconds(run: Run, queries: Floats, **how: Any) -> float:
    times = []
    for row in range(len(queries)):
        begin = time.perf_counter()
        run(queries[row : row + 1], **how)
        times.append(time.perf_counter() - begin)
    return 1000 * median(times)


def _share(exact: Sequence[Floats], fast: Sequence[Floats]) -> float:
    """Return the mean share of the exact nearest records that were found. Records at the distance of the last
    one are as good as it, so equal vectors are no misses."""
    shares = [
        (other <= one.max()).sum() / len(one) if len(one) else 1.0
        for one, other in zip(exact, fast, strict=True)
    ]
    return float(np.mean(np.minimum(shares, 1.0)))


def _hits(found: Found) -> list[Floats]:
    """Return the distances of the hits, one array per query."""
    ends = np.cumsum(found.counts or [len(found.rows)])
    return np.split(found.distances, ends[:-1])


def _spread(rows: Any, sample: int) -> Any:
    return rows[:: max(1, len(rows) // max(1, sample))]
