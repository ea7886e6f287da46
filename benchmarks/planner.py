"""The constants of the cost model in storage/query/planner.py, measured here, and what its choices cost.

    python benchmarks/planner.py [--data SOURCE ...]     # synthetic:40000:128, 384 and 768

For each data set, a collection with a graph over whole vectors and one as the engine makes it (of reduced
vectors, where that keeps the neighbours). Printed: ns per number of an allowed row that is read exactly; ns
per unit of effort in a walk, as a + b * dimension; then for each share of allowed rows the exact scan, the
walk, and what the engine chooses, each filter new. Times are medians of calls that take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import data
import report
from taken_apart.reading import Opened

from chroma.storage.filters.parser import Everything
from chroma.storage.filters.row_set import RowSet
from chroma.storage.index import hnsw
from chroma.storage.interface.requests import QueryRequest
from chroma.storage.query import executor
from chroma.storage.query import planner as code
from chroma.storage.query.plan_history import PlanHistory
from chroma.storage.query.planner import Plan, ScanAllowed
from chroma.storage.vectors import distance

DATA = [f"synthetic:40000:{dimension}" for dimension in (128, 384, 768)]
SHARES = (0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5)
EFFORTS = (32, 64, 128, 256, 512, 1024)
CALLS, K, EF = 40, 10, 100
MODEL = ("GATHER_NS", "STEP_NS", "EF_NS", "GRAPH_ADVANTAGE")


class Sample(NamedTuple):
    numbers: int  # what the time is divided by
    dimension: int
    ns: float


def model() -> dict[str, float]:
    """The constants as they are in the code."""
    missing = [name for name in MODEL if not hasattr(code, name)]
    if missing:
        raise SystemExit(f"chroma.storage.query.planner has no {', '.join(missing)}: what takes their place?")
    return {name: getattr(code, name) for name in MODEL}


@contextmanager
def constants(module: Any, **values: Any) -> Iterator[None]:
    before = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def times(calls: dict[str, Callable[[int], Any]], count: int = CALLS) -> dict[str, float]:
    """Median ns of each of some calls. They take turns in an order that changes, each with a number that the
    others had long ago, so that none finds in the caches what another has left."""
    taken: dict[str, list[int]] = {name: [] for name in calls}
    names, random = list(calls), np.random.default_rng(3)
    for number in range(-3, count):
        for turn in random.permutation(len(names)).tolist():
            mine = (number + turn * count // len(names)) % count
            start = perf_counter_ns()
            calls[names[turn]](mine)
            if number >= 0:
                taken[names[turn]].append(perf_counter_ns() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def picked(rows: int, share: float, random: Any) -> Any:
    return np.sort(random.choice(rows, max(1, int(rows * share)), replace=False))


def gathers(opened: Opened, queries: Any, random: Any) -> list[tuple[float, Sample]]:
    """Exact scans of some rows, by share."""
    view, found = opened.view, []
    for share in [share for share in SHARES if share <= 0.1]:
        sets = [picked(view.rows, share, random) for _ in range(CALLS)]

        def scan(number: int, sets: list[Any] = sets) -> Any:
            query = queries[number % len(queries)]
            return distance.nearest("cosine", query, view.vectors, norms=view.norms, rows=sets[number], k=K)

        ns = times({"scan": scan})["scan"]
        found.append((share, Sample(len(sets[0]) * view.vectors.shape[1], view.vectors.shape[1], ns)))
    return found


def walks(opened: Opened, queries: Any) -> list[Sample]:
    """Walks at several efforts; `numbers` is the effort."""
    prepared = [opened.graph.prepare(query[None, :])[0] for query in queries[:CALLS]]

    def walk(ef: int) -> Callable[[int], Any]:
        return lambda number: opened.graph.search(prepared[number], K, ef, 1)

    taken = times({str(ef): walk(ef) for ef in EFFORTS}, min(CALLS, len(prepared)))
    return [Sample(ef, opened.graph.dimension, taken[str(ef)]) for ef in EFFORTS]


def fit(samples: list[Sample]) -> tuple[float, float]:
    """a and b of time per unit of effort = a + b * dimension, each sample with the same relative weight."""
    each = np.array([sample.ns / sample.numbers for sample in samples])
    columns = np.array([[1.0, sample.dimension] for sample in samples]) / each[:, None]
    (a, b), *_ = np.linalg.lstsq(columns, np.ones(len(each)), rcond=None)
    return float(a), float(b)


def choices(
    opened: Opened, kinds: dict[str, list[tuple[Any, list[Any]]]]
) -> Iterator[tuple[str, float, dict[str, float], float, float]]:
    """Per kind and share: times of each plan, how often a graph search is chosen, and the recall of one."""
    view, graph = opened.view, opened.graph
    wanted = executor.Search(QueryRequest(vectors=view.vectors[:1], k=K), Everything(), "cosine", EF, 1)
    request = code.Request(K, EF, False)

    def part(rows: Any) -> executor.SearchablePart:
        """The segment under a filter that is new."""
        allowed = RowSet(view.rows, rows=rows)
        return executor.SearchablePart(wanted, view, graph, allowed, PlanHistory())

    def scan_allowed(_: executor.SearchablePart, out_of_distribution: bool) -> Plan:
        return ScanAllowed()

    def search_graph(part: executor.SearchablePart, out_of_distribution: bool) -> Plan:
        assert part.allowed is not None
        return code.filtered_graph_search(request, part.statistics, part.allowed.count, out_of_distribution)

    def way(choose: Callable[..., Plan], questions: Any, sets: list[Any]) -> Callable[[int], Any]:
        def call(number: int) -> Any:
            each, query = part(sets[number]), questions[number]
            projected, outside = (None, []) if choose is scan_allowed else graph.prepare(query[None, :])
            return executor.execute(choose(each, bool(outside)), each, query, projected)

        return call

    for kind, sections in kinds.items():
        for questions, sets in sections:
            count = min(CALLS, len(sets))
            scan = way(scan_allowed, questions, sets)
            walk = way(search_graph, questions, sets)
            taken = times({"scan": scan, "walk": walk}, count)
            plans = [code.plan(request, part(rows).statistics) for rows in sets[:count]]
            walked = float(np.mean([isinstance(each, code.FilteredGraphSearch) for each in plans]))
            shared = [len(set(scan(n)[0]) & set(walk(n)[0])) / max(1, len(scan(n)[0])) for n in range(count)]
            share = float(np.mean([len(rows) for rows in sets])) / view.rows
            taken["chosen"] = walked * taken["walk"] + (1 - walked) * taken["scan"]
            yield kind, share, taken, walked, float(np.mean(shared))


def crossing(lines: list[Any]) -> tuple[str, str]:
    """The share of rows where a walk becomes the quicker way, and the least at which the engine walks."""
    lines = sorted(lines, key=lambda line: line[1])
    logs = [(np.log(share), np.log(taken["scan"] / taken["walk"])) for _, share, taken, _, _ in lines]
    quicker = "never"
    for (x, y), (x2, y2) in pairwise(logs):
        if y < 0 <= y2:
            quicker = f"{np.exp(x - y * (x2 - x) / (y2 - y)):.1%}"
    return quicker, next((f"{share:.1%}" for _, share, _, walked, _ in lines if walked >= 0.5), "never")


def correlated(opened: Opened, queries: Any) -> tuple[list[Any], list[Any]]:
    """Filters by what goes with the vectors: asked from anywhere, and from within."""
    names = np.array([each["lexname"] for each in opened.rows.metadatas])
    values, counts = np.unique(names, return_counts=True)
    anywhere, within = [], []
    random = np.random.default_rng(2)
    for low, high in ((0.0005, 0.003), (0.003, 0.015), (0.015, 0.05), (0.05, 0.5)):
        fitting = values[(counts >= low * len(names)) & (counts < high * len(names))]
        if not len(fitting):
            continue
        sets = [np.flatnonzero(names == random.choice(fitting)) for _ in range(CALLS)]
        noise = random.standard_normal((CALLS, queries.shape[1]), np.float32) * (
            0.3 / queries.shape[1] ** 0.5
        )
        inside = np.stack([opened.rows.vectors[random.choice(rows)] for rows in sets]) + noise
        anywhere.append((queries, sets))
        within.append((inside, sets))
    return anywhere, within


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", nargs="+", default=DATA)
    options = parser.parse_args()
    constants_now, load = model(), os.getloadavg()[0]
    gathered: list[list[str]] = []
    walked: list[Sample] = []
    ways: list[list[str]] = []
    slopes, losses, crossings = [], [], []
    for source in options.data:
        rows, queries = data.load(source)
        dimension, random = rows.vectors.shape[1], np.random.default_rng(1)
        label = f"{len(rows):,} × {dimension}"
        for whole in (True, False):
            with tempfile.TemporaryDirectory(prefix="planner-") as folder:
                with constants(hnsw, **({"choose": lambda *_: None} if whole else {})):
                    opened = Opened(f"{folder}/db", rows)
                if whole or opened.graph.projection is not None:
                    walked += walks(opened, queries)
                if whole:
                    found = gathers(opened, queries, random)
                    for share, sample in found:
                        ns = sample.ns / sample.numbers
                        gathered.append([label, f"{share:.1%}", report.number(sample.ns / 1e3), f"{ns:.3f}"])
                    numbers, ns = zip(*((sample.numbers, sample.ns) for _, sample in found))
                    slopes.append((label, *np.polyfit(numbers, ns, 1)))
                if not whole:
                    sets = [(queries, [picked(len(rows), s, random) for _ in range(CALLS)]) for s in SHARES]
                    anywhere, within = correlated(opened, queries)
                    kinds = {"any rows": sets, "a cluster, from anywhere": anywhere, "from within": within}
                    name = f"{label}, graph of {opened.graph.dimension}"
                    lines = list(choices(opened, kinds))
                    crossings.append([name, *crossing([line for line in lines if line[0] == "any rows"])])
                    for kind, share, taken, walks_share, recall in lines:
                        best = min(taken["scan"], taken["walk"])
                        losses.append(taken["chosen"] / best)
                        us = [report.number(taken[way] / 1e3) for way in ("scan", "walk", "chosen")]
                        loss = f"{losses[-1]:.2f}"
                        ways.append(
                            [name, kind, f"{share:.2%}", *us, f"{walks_share:.0%}", f"{recall:.3f}", loss]
                        )
                opened.close()
        print(f"{label} done", file=sys.stderr, flush=True)
    print(report.table(["data", "allowed", "exact, µs", "ns per number"], gathered))
    print(
        report.table(
            ["data", "µs, whatever the rows", "ns per number more"],
            [[label, report.number(base / 1e3), f"{slope:.3f}"] for label, slope, base in slopes],
        )
    )
    a, b = fit(walked)
    print(
        report.table(
            ["dimension", "ef", "walk, µs", "ns per unit of ef", "the constants say"],
            [
                [
                    str(s.dimension),
                    str(s.numbers),
                    report.number(s.ns / 1e3),
                    report.number(s.ns / s.numbers),
                    report.number(constants_now["STEP_NS"] + s.dimension * constants_now["EF_NS"]),
                ]
                for s in walked
            ],
        )
    )
    measured = {
        "GATHER_NS": statistics.median(slope for _, slope, _ in slopes),
        "STEP_NS": a,
        "EF_NS": b,
    }
    print(
        report.table(
            ["constant", "in the code", "measured"],
            [
                [name, f"{constants_now[name]:g}", report.number(measured[name]) if name in measured else ""]
                for name in MODEL
            ],
        )
    )
    print(report.table(["data", "a walk is quicker from", "the engine walks from"], crossings))
    print(
        report.table(
            [
                "data",
                "filter",
                "allowed",
                "exact, µs",
                "walk, µs",
                "chosen, µs",
                "walked",
                "recall of a walk",
                "chosen / best",
            ],
            ways,
        )
    )
    print(
        f"chosen / best: mean {statistics.mean(losses):.2f}, worst {max(losses):.2f}; "
        f"load average {load:.1f} before, {os.getloadavg()[0]:.1f} after"
    )


if __name__ == "__main__":
    main()
