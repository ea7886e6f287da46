"""The explanation of a query or search: the plans that ran on each segment and memtable, and the time of
its steps.

Owns: the shape of an explanation. The engine makes one only when a request asks for it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class PlanRun(NamedTuple):
    """A plan that ran on a segment or memtable.

    plan        its name and numbers: {"name": "ScanAll"}, for example
    queries     how many queries of the batch ran it
    candidates  how many records they compared with their queries, in all
    misses      for how many of the queries another plan ran afterwards, because this one found too few
                records
    """

    plan: Mapping[str, Any]
    queries: int
    candidates: int
    misses: int


class PartExplanation(NamedTuple):
    """The plans that ran on a segment or memtable.

    knn      the number of the `Knn` in a search, from 0 in the order in which they run; 0 in a query
    name     the name of the segment or memtable
    records  its records without deleted ones
    matches  how many of them match the filter
    indexed  whether its graph was loaded; True for a search by words or sparse vectors, which needs none
    runs     the plans in the order of their first run
    """

    knn: int
    name: str
    records: int
    matches: int
    indexed: bool
    runs: tuple[PlanRun, ...]


class Explanation(NamedTuple):
    """The explanation of a query or of one search.

    parts    what ran on each segment and memtable
    seconds  the time of each step: "filter" finds the matching records, "search" runs the plans, "merge"
             merges and sorts their results (diversity, arithmetic and groups included), "read" reads the
             records. None: the step was not measured, because the records were read while they were sent
    """

    parts: tuple[PartExplanation, ...]
    seconds: Mapping[str, float | None]

    def __repr__(self) -> str:
        times = ", ".join(
            f"{step} {'-' if spent is None else f'{1000 * spent:.3g} ms'}"
            for step, spent in self.seconds.items()
        )
        lines = [f"Explanation: {times}"]
        several = len({part.knn for part in self.parts}) > 1
        for part in self.parts:
            knn = f"knn {part.knn}, " if several else ""
            graph = ", graph" if part.indexed else ", no graph"
            if any(run.plan["name"] == "SparseSearch" for run in part.runs):
                graph = ""  # it has no part in a search by words or sparse vectors
            lines.append(f"  {knn}{part.name}: {part.matches:,} of {part.records:,} records match{graph}")
            lines += [f"    {_shown(run)}" for run in part.runs]
        return "\n".join(lines)


def _shown(run: PlanRun) -> str:
    said = f"{_plan(run.plan)}: {run.candidates:,} candidates"
    if run.queries > 1:
        said += f" of {run.queries:,} queries"
    return said + (f", {run.misses:,} missed" if run.misses else "")


def _plan(plan: Mapping[str, Any]) -> str:
    numbers = (
        f"{key}={_plan(value) if isinstance(value, Mapping) else value}" for key, value in plan.items()
    )
    return f"{plan['name']}({', '.join(list(numbers)[1:])})"


for _class in (PlanRun, PartExplanation, Explanation):
    _class.__module__ = "chroma"  # a NamedTuple's body holds fields only
