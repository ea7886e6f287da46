"""A graph that is extended against one that is built anew: CPU seconds, and recall@10 with two values of ef.

    python benchmarks/graph_extension.py --data SOURCE [--rounds 3] [--deleted] [--shares]

Extensions and builds take turns. Times are those of the process on all cores, the least of the rounds,
because other programs can only add to them. Both have the same rows. The queries are held out.

    --deleted  instead, what deletions cost: of rows that are spread, and of rows that are near to each other
    --shares   instead, what new rows cost, where the graph has only a share of all rows
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import data

from chroma.storage.index import graph_extension, native_graph
from chroma.storage.index.graph import GraphData, SearchParameters
from chroma.storage.index.graph_extension import GONE, Source
from chroma.storage.index.native_graph import NativeGraph
from chroma.storage.vectors import distance, pca

QUERIES, K, EFS = 1000, 10, (50, 100)
NEIGHBORS, EF_CONSTRUCTION, THREADS = 16, 100, 2
DELETED = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
SHARES = (0.9, 0.7, 0.5, 0.3, 0.15)


class Case(NamedTuple):
    """Steps from the first rows: how many new ones, and which of those that are there are deleted."""

    name: str
    first: int
    steps: tuple[tuple[int, Any], ...]


def scratch(size: int) -> memoryview:
    return memoryview(bytearray(size))


GIVEN: dict[str, Any] = {
    "neighbors": NEIGHBORS,
    "ef_construction": EF_CONSTRUCTION,
    "threads": THREADS,
    "stopped": lambda: False,
    "scratch": scratch,
}


def built(vectors: Any) -> GraphData:
    """As the engine builds a graph, with the choice of a projection."""
    choice = pca.choose("cosine", vectors, coded=True)
    assert choice is not None and choice.coded
    made = native_graph.build(
        "cosine",
        vectors,
        projection=choice.projection,
        **GIVEN,
    )
    assert made is not None
    return made


def extended(source: Source, vectors: Any) -> GraphData:
    made = graph_extension.extend(
        source,
        vectors,
        **GIVEN,
    )
    assert made is not None
    return made


def timed(call: Callable[..., GraphData], *args: Any) -> tuple[GraphData, float]:
    began = process_time()
    made = call(*args)
    return made, process_time() - began


def recall(graph: GraphData, vectors: Any, queries: Any) -> list[float]:
    """With each of EFS, of the exact nearest rows."""
    rows = np.arange(len(vectors))
    right = [distance.ranked("cosine", query, vectors, rows=rows, k=K)[0] for query in queries]
    opened, out = NativeGraph(graph, vectors.shape[1], mapped=False), []
    for ef in EFS:
        parameters = SearchParameters(K, ef, min(ef, pca.RERANK_MOST * K))
        found = opened.search(queries, vectors, parameters, None, THREADS).rows
        out.append(sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), right, strict=True)))
    return [each / (K * len(queries)) for each in out]


def run(case: Case, vectors: Any, queries: Any, rounds: int) -> str:
    """A line of the table. Only the last step is timed, after which both graphs have the same rows."""
    ids, used = np.arange(case.first), case.first
    graph, source = built(vectors[ids]), None
    for added, deleted in case.steps:
        if source is not None:
            graph = extended(source, vectors[ids])
        stays = np.ones(len(ids), np.bool_)
        stays[deleted] = False
        rows = np.full(len(ids), GONE, np.uint32)
        rows[stays] = np.arange(np.count_nonzero(stays))
        ids, used = np.concatenate([ids[stays], np.arange(used, used + added)]), used + added
        source = Source(graph, rows)
    assert source is not None
    both = vectors[ids]
    pairs = [(timed(extended, source, both), timed(built, both)) for _ in range(rounds)]
    least = [min(times) for times in zip(*((one[1], other[1]) for one, other in pairs), strict=True)]
    recalls = [recall(made[0], both, queries) for made in pairs[-1]]
    return (
        f"| {case.name} | {least[0]:.1f} | {least[1]:.1f} | "
        + " | ".join(" · ".join(f"{each:.4f}" for each in one) for one in recalls)
        + " |"
    )


def cases(vectors: Any) -> Iterator[Case]:
    rows, random = len(vectors), np.random.default_rng(0)
    for new in (10_000, 1_000):
        yield Case(f"{rows - new:,} and {new:,} new", rows - new, ((new, []),))
    first = rows - 5_000
    gone = random.choice(first, 5_000, replace=False)
    yield Case(f"{first:,}, of them 5,000 deleted, and 5,000 new", first, ((5_000, gone),))
    yield Case("3,000 new, for the tenth time", rows - 30_000, ((3_000, []),) * 10)
    steps = tuple((3_000, random.choice(rows - 30_000, 1_500, replace=False)) for _ in range(10))
    yield Case("3,000 new and 1,500 deleted, for the tenth time", rows - 30_000, steps)


def deletions(vectors: Any) -> Iterator[Case]:
    first, random = len(vectors) - 1_000, np.random.default_rng(0)
    near = np.argsort(distance.exact("cosine", vectors[0], vectors, np.arange(first)))
    for share in DELETED:
        gone = int(share * first)
        spread = random.choice(first, gone, replace=False)
        yield Case(f"{100 * share:.0f} % deleted", first, ((1_000, spread),))
        yield Case(f"{100 * share:.0f} % near to each other deleted", first, ((1_000, near[:gone]),))


def shares(vectors: Any) -> Iterator[Case]:
    for share in SHARES:
        first = int(share * len(vectors))
        yield Case(f"{100 * share:.0f} % are in the graph", first, ((len(vectors) - first, []),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--deleted", action="store_true")
    parser.add_argument("--shares", action="store_true")
    given = parser.parse_args()
    _, vectors, queries = data.read(given.data, QUERIES)
    which = cases
    if given.deleted or given.shares:
        which = deletions if given.deleted else shares
        graph_extension.MOST_REMOVED, graph_extension.LEAST_KEPT = 1.0, 0.0
    print("| rows | extended, CPU s | built, CPU s | recall extended | recall built |\n|---|---|---|---|---|")
    for case in which(vectors):
        print(run(case, vectors, queries, given.rounds), flush=True)


if __name__ == "__main__":
    main()
