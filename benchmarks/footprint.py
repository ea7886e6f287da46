"""Anonymous memory, which the system cannot take back as it can mapped files: measured against what is said.

    python benchmarks/footprint.py               # 30,000 rows of several dimensions; minutes
    python benchmarks/footprint.py --million     # 1,000,000 x 384, loaded and indexed; a quarter of an hour

Each line is measured in processes of its own, with vectors that are made batch by batch. `RssAnon` is taken
after free memory was given back (malloc_trim); peaks are sampled every 20 ms.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import report
from memory import Peak, memory_mb

BATCH = 10_000
# rows, dimension, M, whether the vectors have structure, which lets the engine reduce them
SHAPES = [(30_000, 128, 16, 0), (30_000, 384, 16, 0), (30_000, 384, 32, 0), (40_000, 384, 16, 1)]
SHAPES += [(30_000, 768, 32, 1)]
WORDS = [f"word{number}" for number in range(2000)]
COLLECTIONS, LIMITED = 4, (20_000, 256)
MB = 1 << 20


def vectors(start: int, count: int, dimension: int, structured: int) -> Any:
    """Rows from `start` on. With structure most of their length is in 48 directions, as with embeddings."""
    random = np.random.default_rng([7, start])
    noise = random.standard_normal((count, dimension), np.float32)
    if not structured:
        return noise
    basis = np.random.default_rng(5).standard_normal((48, dimension), np.float32)
    scale = (1 / np.sqrt(1 + np.arange(48))).astype(np.float32)
    return (random.standard_normal((count, 48), np.float32) * scale) @ basis + 0.1 * noise


def records(start: int, count: int) -> dict[str, Any]:
    """Ids, documents and metadata of rows from `start` on."""
    random = np.random.default_rng([8, start])
    picks = random.integers(0, len(WORDS), (count, 12)).tolist()
    u = random.integers(0, 1_000_000, count).tolist()
    return {
        "ids": [f"row{number:09d}" for number in range(start, start + count)],
        "documents": [" ".join([WORDS[word] for word in line]) for line in picks],
        "metadatas": [
            {"u": value, "n": number, "pos": WORDS[value % 4], "score": value / 7}
            for number, value in enumerate(u, start)
        ],
    }


def anonymous() -> float:
    """MB, after everything that is free was given back."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return memory_mb("RssAnon")


def growth(call: Callable[[], Any]) -> tuple[float, float]:
    """MB that a call leaves behind, and the most that it took."""
    before = anonymous()
    with Peak() as peak:
        call()
    return anonymous() - before, peak.anonymous


def _collection(folder: str, neighbors: int, name: str = "rows", limit: int = 0) -> tuple[Any, Any]:
    import chroma

    client = chroma.PersistentClient(folder, settings=chroma.Settings(chroma_memory_limit_bytes=limit))
    configuration = {"hnsw": {"space": "cosine", "max_neighbors": neighbors}}
    return client, client.get_or_create_collection(name, embedding_function=None, configuration=configuration)


def _held(collection: Any) -> Any:
    """The engine's open collection."""
    return collection._backend._open(collection._ref)


def _warm() -> None:
    """What a process loads once, whatever is in its collections: of it, readers of Parquet
    and the working space of matrix products are the most."""
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        client, collection = _collection(folder, 16, "warm")
        collection.add(embeddings=vectors(0, 5000, 8, 0), **records(0, 5000))
        collection.compact()
        collection.query(query_embeddings=vectors(0, 1, 8, 0), n_results=1, where={"u": {"$lt": 5000}})
        client.close()
    import hnswlib

    index = hnswlib.Index("ip", 2)
    index.init_index(2)
    block = vectors(0, 8192, 1536, 0)
    block @ block[:768].T


def load(collection: Any, rows: int, dimension: int, structured: int) -> dict[str, float]:
    """Add in batches; the peak of a batch is over what its input takes."""
    first, batch_peak, seconds = anonymous(), 0.0, 0.0
    for start in range(0, rows, BATCH):
        count = min(BATCH, rows - start)
        given = {"embeddings": vectors(start, count, dimension, structured), **records(start, count)}
        anonymous()
        with Peak() as peak:
            before = time.perf_counter()
            collection.add(**given)
            seconds += time.perf_counter() - before
        batch_peak = max(batch_peak, peak.anonymous)
        del given
    return {"a batch, peak": batch_peak, "after loading": anonymous() - first, "rows/s": rows / seconds}


def build(folder: str, rows: str, dimension: str, neighbors: str, structured: str) -> dict[str, float]:
    """Load, then index."""
    _warm()
    client, collection = _collection(folder, int(neighbors))
    found = load(collection, int(rows), int(dimension), int(structured))
    start = time.perf_counter()
    _, found["building, peak"] = growth(collection.compact)
    found["building, s"] = time.perf_counter() - start
    client.close()
    return found


def read(folder: str, rows: str, dimension: str, neighbors: str, structured: str) -> dict[str, float]:
    """Open, load the graph, filter."""
    _warm()
    opened: list[Any] = []
    found: dict[str, float] = {}
    found["open"], _ = growth(lambda: opened.extend(_collection(folder, int(neighbors))))
    client, collection = opened
    query = vectors(int(rows), 1, int(dimension), int(structured))
    exact, _ = growth(lambda: collection.query(query_embeddings=query, n_results=10, exact=True))
    found["open"] += exact
    found["graph"], found["loading a graph, peak"] = growth(collection.compact)
    held = _held(collection)
    (view,) = held.store.snapshot().views
    graph = held.graphs.get(view, held.settings)
    found["Graph.nbytes"], found["numbers"] = graph.nbytes / MB, graph.dimension

    def filtered() -> None:
        for number in range(40):
            for key in ("u", "n", "score"):
                window = [
                    {key: {"$gte": number}},
                    {key: {"$lt": number + 50 if key != "u" else 2e5 + number}},
                ]
                collection.get(where={"$and": window}, limit=1, include=[])
            collection.get(where={"pos": WORDS[number % 4]}, limit=1, include=[])

    found["filters"], _ = growth(filtered)
    found["part.nbytes"] = held.store.filters.part(view.source).nbytes / MB
    client.close()
    return found


def limited(folder: str) -> dict[str, float]:
    """Several collections in turn, where the limit holds one graph and a half."""
    rows, dimension = LIMITED
    client, _ = _collection(folder, 16)
    names = [f"rows{number}" for number in range(COLLECTIONS)]
    for name in names:
        _, collection = _collection(folder, 16, name)
        load(collection, rows, dimension, 0)
        collection.compact()
    held = _held(collection)
    one = held.graphs.get(held.store.snapshot().views[0], held.settings).nbytes
    client.close()
    done = _run("turns", folder, str(int(1.5 * one)))
    return {"one graph": one / MB, "limit": 1.5 * one / MB, **done}


def turns(folder: str, limit: str) -> dict[str, float]:
    """Query the collections of `limited` in turn; each query waits for its graph."""
    _warm()
    client, _ = _collection(folder, 16, "rows", int(limit))
    most, before, loads = 0.0, anonymous(), 0
    with Peak() as peak:
        for number in range(3 * COLLECTIONS):
            _, collection = _collection(folder, 16, f"rows{number % COLLECTIONS}", int(limit))
            held = _held(collection)
            view = held.store.snapshot().views[0]
            loads += view.source.name not in held.graphs._loaded
            held.graphs.load_now(view, held.settings)
            collection.query(query_embeddings=vectors(number, 1, LIMITED[1], 0), n_results=10)
            most = max(most, anonymous() - before)
    client.close()
    return {"most held": most, "peak while loading": peak.anonymous, "loads": loads}


def million(folder: str) -> dict[str, float]:
    _warm()
    client, collection = _collection(folder, 16)
    base = anonymous()
    found: dict[str, float] = {}
    with Peak() as peak:
        found |= load(collection, 1_000_000, 384, 1)
    found["loading, peak with the input of a batch"] = peak.anonymous
    start = time.perf_counter()
    with Peak() as peak:
        collection.compact()
    found["indexing, s"] = time.perf_counter() - start
    found["indexing, peak"] = peak.anonymous
    found["held afterwards"] = anonymous() - base
    held = _held(collection)
    graph = held.graphs.get(held.store.snapshot().views[0], held.settings)
    found["Graph.nbytes"], found["numbers"] = graph.nbytes / MB, graph.dimension
    found["most in all"] = max(found["indexing, peak"], found["loading, peak with the input of a batch"])
    found["recall@10 by default"] = collection.recall(k=10, sample=100)
    client.close()
    return found


def _run(name: str, *arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "--child", name, *arguments], stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"measuring {name} {' '.join(arguments[1:])} failed, see above")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def shapes() -> str:
    lines = []
    for rows, dimension, neighbors, structured in SHAPES:
        with tempfile.TemporaryDirectory(prefix="footprint-") as folder:
            shape = [str(value) for value in (rows, dimension, neighbors, structured)]
            found = {**_run("build", folder, *shape), **_run("read", folder, *shape)}
        label = f"{rows:,} × {dimension}, graph of {found['numbers']:.0f}, M {neighbors}"
        pairs = [
            f"{found[a]:.1f} / {found[b]:.1f}"
            for a, b in (("graph", "Graph.nbytes"), ("filters", "part.nbytes"))
        ]
        rest = ("open", "a batch, peak", "after loading", "building, peak", "loading a graph, peak")
        share = f"{found['graph'] / found['Graph.nbytes']:.2f}"
        lines.append([label, pairs[0], share, pairs[1], *(f"{found[name]:.1f}" for name in rest)])
        print(f"{label} done", file=sys.stderr, flush=True)
    return report.table(
        [
            "MB",
            "graph: measured / Graph.nbytes",
            "ratio",
            "filter columns: measured / nbytes",
            "open, searched exactly",
            "a batch of 10,000, peak",
            "held after loading",
            "building, peak",
            "loading a graph, peak",
        ],
        lines,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--child", nargs="+")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(globals()[options.child[0]](*options.child[1:])))
        return
    if options.million:
        with tempfile.TemporaryDirectory(prefix="footprint-") as folder:
            found = _run("million", folder)
        print(
            report.table(
                ["a million rows of 384 numbers, MB", ""], [[k, report.number(v)] for k, v in found.items()]
            )
        )
        return
    print(shapes())
    with tempfile.TemporaryDirectory(prefix="footprint-") as folder:
        found = _run("limited", folder)
    print(
        report.table(
            [f"{COLLECTIONS} collections in turn, MB", ""], [[k, report.number(v)] for k, v in found.items()]
        )
    )
    kept = found["most held"] <= found["limit"] + found["one graph"]
    print(f"the limit and one graph: {'kept' if kept else 'EXCEEDED'}; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
