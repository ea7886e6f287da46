"""The file of results: every figure of every run, so that a later run adds repeats; medians and spreads."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Spread:
    """One figure over all repeats."""

    median: float
    least: float
    most: float
    repeats: int


def spread(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values), len(values))


@dataclass
class Results:
    """`runs` are dicts: data, system, workload, date; figures and checks, or why not: `missing`, `failed`."""

    path: Path | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Results:
        if not path.exists():
            return cls(path)
        given = json.loads(path.read_text())
        return cls(path, given["machine"], given["versions"], given["runs"])

    def write(self) -> None:
        """All of it or nothing: a run of hours must not lose its results in its last second."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".part")
        content = {"machine": self.machine, "versions": self.versions, "runs": self.runs}
        unfinished.write_text(json.dumps(content, indent=1))
        unfinished.replace(self.path)

    def found(self, data: str, system: str) -> None:
        """A system that was missing is there now."""
        self.runs = [
            run for run in self.runs if (run["data"], run["system"]) != (data, system) or "missing" not in run
        ]

    def add(self, run: dict[str, Any]) -> None:
        self.runs.append(run)
        self.write()

    def data_sets(self) -> list[str]:
        return list(dict.fromkeys(run["data"] for run in self.runs))

    def of(self, data: str) -> Results:
        kept = [run for run in self.runs if run["data"] == data]
        return Results(None, self.machine, self.versions, kept)

    def systems(self) -> list[str]:
        return list(dict.fromkeys(run["system"] for run in self.runs))

    def workloads(self) -> list[str]:
        return list(dict.fromkeys(run["workload"] for run in self.runs if "figures" in run))

    def _found(self, system: str, workload: str) -> Iterator[dict[str, Any]]:
        for run in self.runs:
            if run["system"] == system and run["workload"] == workload and "figures" in run:
                yield run["figures"]

    def figures(self, workload: str) -> list[str]:
        """Names in the order in which they were measured, over all systems."""
        names: dict[str, None] = {}
        for system in self.systems():
            for figures in self._found(system, workload):
                names.update(dict.fromkeys(figures))
        return [name for name in names if name != "curve"]

    def figure(self, system: str, workload: str, name: str) -> Spread | str | None:
        """The figure over all repeats; the reason where there is no number; None if nobody asked."""
        values = [figures[name] for figures in self._found(system, workload) if figures.get(name) is not None]
        numbers = [value for value in values if isinstance(value, (int, float))]
        if numbers:
            return spread(numbers)
        return str(values[-1]) if values else None

    def curve(self, system: str) -> list[tuple[int, float, float]]:
        """Knob, recall, queries/s: medians over the repeats."""
        points: dict[int, list[list[float]]] = {}
        for figures in self._found(system, "query"):
            for knob, reached, rate in figures.get("curve", []):
                points.setdefault(int(knob), []).append([reached, rate])
        return [
            (knob, statistics.median(p[0] for p in found), statistics.median(p[1] for p in found))
            for knob, found in sorted(points.items())
        ]

    def knob(self, system: str) -> int | None:
        """The effort that reached the recall wanted, without a filter; None: not measured, or none."""
        found = self.figure(system, "query", "ef")
        return int(found.median) if isinstance(found, Spread) else None

    def failures(self) -> list[str]:
        """Systems that are missing, workloads that failed, checks that did not hold; each once."""
        found: dict[str, None] = {}
        for run in self.runs:
            label = f"{run['system']}, {run['workload']}"
            if "missing" in run:
                found[f"{run['system']} is MISSING: {run['missing']}"] = None
            if "failed" in run:
                found[f"{label} FAILED: {run['failed']}"] = None
            for name, held in run.get("checks", {}).items():
                if not held:
                    found[f"{label}: NOT TRUE: {name}"] = None
        return list(found)
