"""The constants of the cost model in storage/query/planner.py, measured here, and what its choices cost.

    python benchmarks/planner.py [--data SOURCE ...]     # synthetic:40000:128, 384 and 768

Printed: ns per number of an allowed row that is read exactly; ns per allowed row whose code is compared, as
a + b * dimension; ns per unit of ef in a search for allowed rows, in the same form; then for each share of
allowed rows the exact scan, the scan of codes, the graph search, and what the engine chooses. Times are
medians of calls that take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
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
from chroma.storage.index.graph import SearchParameters
from chroma.storage.interface.requests import QueryRequest
from chroma.storage.query import executor
from chroma.storage.query import planner as code
from chroma.storage.query.planner import (
    FilteredGraphSearch,
    Plan,
    ScanAllowed,
    ScanCodes,
    candidates,
    scaled_ef,
)
from chroma.storage.vectors import distance

DATA = [f"synthetic:40000:{dimension}" for dimension in (128, 384, 768)]
SHARES = (0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
EFFORTS = (32, 64, 128, 256, 512)
CALLS, K, EF = 40, 10, 100
MODEL = ("GATHER_NS", "CODE_ROW_NS", "CODE_NS", "FILTERED_STEP_NS", "FILTERED_NS")


class Sample(NamedTuple):
    """`numbers`: what the time is divided by."""

    numbers: int
    dimension: int
    ns: float


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


def exact_scans(opened: Opened, queries: Any, random: Any) -> list[Sample]:
    """Exact scans of some rows, by share."""
    view, found = opened.view, []
    for share in [share for share in SHARES if share <= 0.1]:
        sets = [picked(view.rows, share, random) for _ in range(CALLS)]

        def scan(number: int, sets: list[Any] = sets) -> Any:
            query = queries[number % len(queries)]
            return distance.nearest("cosine", query, view.vectors, norms=view.norms, rows=sets[number], k=K)

        dimension = view.vectors.shape[1]
        found.append(Sample(len(sets[0]) * dimension, dimension, times({"scan": scan})["scan"]))
    return found


def code_scans(opened: Opened, queries: Any, random: Any) -> list[Sample]:
    """Scans of the codes of some rows, by share."""
    view, graph, found = opened.view, opened.graph, []
    for share in [share for share in SHARES if share >= 0.03]:
        sets = [RowSet(view.rows, rows=picked(view.rows, share, random)) for _ in range(CALLS)]

        def scan(number: int, sets: list[RowSet] = sets) -> Any:
            query = queries[number % len(queries)][None, :]
            return graph.scan(query, view.vectors, SearchParameters(K, 1, 3 * K), sets[number], 1)

        found.append(Sample(sets[0].count, graph.dimension, times({"scan": scan})["scan"]))
    return found


def searches(opened: Opened, queries: Any, random: Any) -> list[Sample]:
    """Searches for allowed rows at several efforts; `numbers` is the parameters."""
    view, graph = opened.view, opened.graph
    sets = [RowSet(view.rows, mask=random.random(view.rows) < 0.3) for _ in range(CALLS)]
    for each in sets:
        _ = each.bits

    def search(ef: int) -> Callable[[int], Any]:
        parameters = SearchParameters(K, ef, 3 * K)
        return lambda number: graph.search(
            queries[number % len(queries)][None, :], view.vectors, parameters, sets[number], 1
        )

    taken = times({str(ef): search(ef) for ef in EFFORTS})
    return [Sample(ef, graph.dimension, taken[str(ef)]) for ef in EFFORTS]


def fit(samples: list[Sample]) -> tuple[float, float]:
    """a and b of time per unit = a + b * dimension, each sample with the same relative weight."""
    each = np.array([sample.ns / sample.numbers for sample in samples])
    columns = np.array([[1.0, sample.dimension] for sample in samples]) / each[:, None]
    (a, b), *_ = np.linalg.lstsq(columns, np.ones(len(each)), rcond=None)
    return float(a), float(b)


def choices(
    opened: Opened, kinds: dict[str, list[tuple[Any, list[Any]]]]
) -> Iterator[tuple[str, float, dict[str, float], dict[str, float]]]:
    """Per kind and share: times of each plan and of the engine's choice, and the recall of each."""
    view, graph = opened.view, opened.graph
    wanted = executor.Search(QueryRequest(vectors=view.vectors[:1], k=K), Everything(), "cosine", EF, 1)
    ef = scaled_ef(EF, view.rows)
    width = candidates(K, ef, approximate=True)

    def part(rows: Any) -> executor.SearchablePart:
        """The segment under a filter that is new."""
        allowed = RowSet(view.rows, rows=rows)
        return executor.SearchablePart(wanted, view, graph, allowed, lambda _: None)

    scan = ScanAllowed()
    ways: dict[str, Callable[[executor.SearchablePart], Plan]] = {
        "exact": lambda _: scan,
        "codes": lambda _: ScanCodes(width, 1, scan),
        "graph": lambda _: FilteredGraphSearch(code.FILTERED_EF * ef, width, 1, scan),
        "chosen": lambda each: code.plan(each.request, each.statistics),
    }
    for kind, sections in kinds.items():
        for questions, sets in sections:

            def call(name: str, questions: Any = questions, sets: list[Any] = sets) -> Callable[[int], Any]:
                def run(number: int) -> Any:
                    each = part(sets[number])
                    return executor.execute(ways[name](each), each, questions[number % len(questions)])

                return run

            count = min(CALLS, len(sets))
            taken = times({name: call(name) for name in ways}, count)
            right = [set(call("exact")(n)[0]) for n in range(count)]
            recall = {
                name: float(
                    np.mean(
                        [len(right[n] & set(call(name)(n)[0])) / max(1, len(right[n])) for n in range(count)]
                    )
                )
                for name in ways
            }
            yield kind, float(np.mean([len(rows) for rows in sets])) / view.rows, taken, recall


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
    load = os.getloadavg()[0]
    exact: list[float] = []
    scanned: list[Sample] = []
    searched: list[Sample] = []
    lines: list[list[str]] = []
    losses: list[float] = []
    for source in options.data:
        rows, queries = data.load(source)
        random = np.random.default_rng(1)
        with tempfile.TemporaryDirectory(prefix="planner-") as folder:
            opened = Opened(f"{folder}/db", rows)
            samples = exact_scans(opened, queries, random)
            numbers, ns = zip(*((sample.numbers, sample.ns) for sample in samples))
            exact.append(float(np.polyfit(numbers, ns, 1)[0]))
            scanned += code_scans(opened, queries, random)
            searched += searches(opened, queries, random)
            sets = [(queries, [picked(len(rows), s, random) for _ in range(CALLS)]) for s in SHARES]
            anywhere, within = correlated(opened, queries)
            kinds = {"any rows": sets, "a cluster, from anywhere": anywhere, "from within": within}
            name = f"{len(rows):,} × {rows.vectors.shape[1]}, codes of {opened.graph.dimension}"
            for kind, share, taken, recall in choices(opened, kinds):
                losses.append(taken["chosen"] / min(taken["codes"], taken["graph"], taken["exact"]))
                us = [report.number(taken[way] / 1e3) for way in ("exact", "codes", "graph", "chosen")]
                recalls = [f"{recall[way]:.3f}" for way in ("codes", "graph", "chosen")]
                lines.append([name, kind, f"{share:.2%}", *us, *recalls, f"{losses[-1]:.2f}"])
            opened.close()
        print(f"{name} done", file=sys.stderr, flush=True)
    row, number = fit(scanned)
    step, step_number = fit(searched)
    measured = dict(zip(MODEL, (statistics.median(exact), row, number, step, step_number)))
    print(
        report.table(
            ["constant", "in the code", "measured"],
            [[name, f"{getattr(code, name):g}", report.number(measured[name])] for name in MODEL],
        )
    )
    columns = ["data", "filter", "allowed", "exact, µs", "codes, µs", "graph, µs", "chosen, µs"]
    columns += ["recall of codes", "of the graph", "of the chosen", "chosen / best"]
    print(report.table(columns, lines))
    print(
        f"chosen / best: mean {statistics.mean(losses):.2f}, worst {max(losses):.2f}; "
        f"load average {load:.1f} before, {os.getloadavg()[0]:.1f} after"
    )


if __name__ == "__main__":
    main()
