"""What an update of metadata costs, and what it costs the queries after it, at once and later.

Run as: python benchmarks/metadata_updates.py [ROWS]      # 70,000 records of 384 dimensions
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import chroma

DIMENSION, CENTRES, QUERIES = 384, 200, 200
STEP = 10_000
PAUSES = (1.0, 5.0)  # seconds between looks at the queries after an update


def clustered(rows: int, numbers: np.random.Generator) -> Any:
    centres = np.random.default_rng(1).normal(size=(CENTRES, DIMENSION))
    around = numbers.integers(0, CENTRES, rows)
    return (centres[around] + 0.6 * numbers.normal(size=(rows, DIMENSION))).astype(np.float32)


def fill(folder: Path, rows: int) -> None:
    numbers = np.random.default_rng(2)
    with chroma.PersistentClient(folder) as client:
        made = client.create_collection("chunks", embedding_function=None)
        for start in range(0, rows, STEP):
            those = range(start, min(rows, start + STEP))
            made.add(
                ids=[f"r{i}" for i in those],
                embeddings=clustered(len(those), numbers),
                documents=[f"document number {i}: {'some words of text ' * 12}" for i in those],
                metadatas=[
                    {"n": i, "group": f"g{i % 50}", "price": i / 7, "even": i % 2 == 0} for i in those
                ],
            )
        made.compact()


def timed(made: Any, where: Any = None) -> str:
    """The median and the slowest tenth of queries, in milliseconds."""
    times = []
    for query in clustered(QUERIES, np.random.default_rng(3)):
        began = time.perf_counter()
        made.query(query_embeddings=[query], n_results=10, where=where)
        times.append(1000 * (time.perf_counter() - began))
    return f"{np.median(times):6.2f} ms ({np.percentile(times, 90):.2f})"


def size(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.0f} MB"


def measure(folder: Path, rows: int, changed: int) -> None:
    picked = np.random.default_rng(4).permutation(rows)[:changed].tolist()
    with chroma.PersistentClient(folder) as client:
        made = client.get_collection("chunks")
        timed(made)  # the graph is loaded
        time.sleep(PAUSES[0])
        print(f"{changed:,} of {rows:,} records")
        print(f"  before        {timed(made)}, with a filter {timed(made, {'even': True})}, {size(folder)}")
        began = time.perf_counter()
        made.update(ids=[f"r{i}" for i in picked], metadatas=[{"seen": 1}] * changed)
        print(f"  update        {time.perf_counter() - began:6.2f} s, {size(folder)}")
        for pause in (0.0, *PAUSES):
            time.sleep(pause)
            filtered = timed(made, {"even": True})
            print(f"  {pause:.0f} s later     {timed(made)}, with a filter {filtered}, {size(folder)}")


def main() -> None:
    rows = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 70_000
    with tempfile.TemporaryDirectory() as scratch:
        fill(Path(scratch) / "made", rows)
        for changed in (1, min(rows, 5000), rows):
            copy = Path(shutil.copytree(Path(scratch) / "made", Path(scratch) / f"copy-{changed}"))
            measure(copy, rows, changed)


if __name__ == "__main__":
    main()
