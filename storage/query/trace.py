"""Records what a search does, for its explanation.

Owns: which events are recorded. A search without a trace records nothing and reads no clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from ..interface.explanation import Explanation, PartExplanation, PlanRun
from .planner import Plan


@dataclass(frozen=True, slots=True)
class SparseSearch:
    """The search of the inverted index of a metadata key, which needs no planning."""

    key: str


@dataclass
class _Part:
    knn: int
    name: str
    records: int
    matches: int
    indexed: bool
    runs: dict[Plan | SparseSearch, list[int]] = field(default_factory=dict)  # queries, candidates and misses


class Trace:
    """The events of one query, or of one search with several `Knn`."""

    def __init__(self) -> None:
        self._knn = -1
        self._parts: dict[tuple[int, str], _Part] = {}
        self._seconds: dict[str, float] = dict.fromkeys(("filter", "search", "merge", "read"), 0.0)
        self._open: list[str] = []
        self._began = 0.0

    def begin(self) -> None:
        """Begin a query, or the next `Knn` of a search."""
        self._knn += 1

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step. The time of a step within it counts for the inner one only."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self._seconds[self._open[-1]] += now - self._began
        self._began = now

    def part(self, name: str, records: int, matches: int, indexed: bool) -> None:
        """Note a segment or memtable that is searched."""
        self._parts[self._knn, name] = _Part(self._knn, name, records, matches, indexed)

    def ran(self, name: str, plan: Plan | SparseSearch, queries: int, candidates: int, misses: int) -> None:
        """Note that a plan ran on the segment or memtable of that name."""
        runs = self._parts[self._knn, name].runs
        runs[plan] = [a + b for a, b in zip(runs.get(plan, (0, 0, 0)), (queries, candidates, misses))]

    def explanation(self, *, streamed: bool = False) -> Explanation:
        """Return the explanation so far. `streamed`: the records are read later."""
        seconds: dict[str, float | None] = {**self._seconds}
        if streamed:
            seconds["read"] = None
        parts = (
            PartExplanation(
                knn=part.knn,
                name=part.name,
                records=part.records,
                matches=part.matches,
                indexed=part.indexed,
                runs=tuple(PlanRun(described(plan), *numbers) for plan, numbers in part.runs.items()),
            )
            for part in self._parts.values()
        )
        return Explanation(tuple(parts), seconds)


def described(plan: Any) -> Mapping[str, Any]:
    """Return a plan as plain data: its name and its numbers."""
    values = {each.name: getattr(plan, each.name) for each in fields(plan)}
    plain = {name: described(value) if is_dataclass(value) else value for name, value in values.items()}
    return {"name": type(plan).__name__} | plain
