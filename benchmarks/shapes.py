"""Data of many shapes, this project alone: no dimension, batch, document or number of keys falls off a cliff.

    python benchmarks/shapes.py [--full] [--only NAME] [--write FILE.md]

For each shape: microseconds per row to add (on disk) and to index, and milliseconds per query with documents,
metadata and distances, k = 10. Each runs in a process of its own. `--full` adds a million rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import plots
import report

QUERIES = 200


@dataclass(frozen=True)
class Shape:
    group: str  # what varies within it
    value: int
    rows: int = 10_000
    dimension: int = 128
    batch: int = 10_000
    characters: int = 40  # of a document
    keys: int = 4  # of the metadata
    collections: int = 1


SHAPES = (
    *(Shape("dimensions", value, dimension=value) for value in (32, 128, 384, 768, 1536)),
    *(Shape("characters per document", value, rows=5_000, characters=value) for value in (40, 1_000, 10_000)),
    *(Shape("metadata keys", value, rows=5_000, keys=value) for value in (0, 4, 20, 200)),
    *(Shape("rows per call", value, rows=min(value * 1_000, 100_000), batch=value) for value in (1, 10, 100)),
    *(Shape("rows per call", value, rows=100_000, batch=value) for value in (1_000, 10_000, 100_000)),
    *(Shape("rows", value, rows=value) for value in (1_000, 10_000, 100_000)),
    Shape("collections of ten rows", 1_000, rows=10_000, batch=10, collections=1_000),
)
LARGE = (Shape("rows", 1_000_000, rows=1_000_000),)


def measure(shape: Shape, folder: str) -> dict[str, float]:
    import data
    import numpy as np

    import chroma

    made, asked = data.load(f"synthetic:{shape.rows}:{shape.dimension}", QUERIES)
    documents = [f"{i} ".ljust(shape.characters, "x") for i in range(shape.rows)]
    metadatas: Any = [{f"key{j}": i + j for j in range(shape.keys)} for i in range(shape.rows)]
    per_collection = shape.rows // shape.collections
    with chroma.PersistentClient(folder) as client:
        start = time.perf_counter()
        collections = [
            client.create_collection(
                f"shape-{number}", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
            for number in range(shape.collections)
        ]
        for first in range(0, shape.rows, shape.batch):
            part = slice(first, first + shape.batch)
            collections[first // per_collection].add(
                ids=made.ids[part],
                embeddings=made.vectors[part],
                documents=documents[part],
                metadatas=metadatas[part] if shape.keys else None,
            )
        added = time.perf_counter()
        for collection in collections:
            collection.compact()
        indexed = time.perf_counter()
        times = []
        for number, vector in enumerate(asked):
            collection = collections[number % len(collections)]
            start_query = time.perf_counter()
            collection.query(query_embeddings=[vector], n_results=10)
            times.append(time.perf_counter() - start_query)
    return {
        "add, µs/row": (added - start) / shape.rows * 1e6,
        "index, µs/row": (indexed - added) / shape.rows * 1e6,
        "query, p50 ms": float(np.median(times)) * 1e3,
        "query, p99 ms": float(np.percentile(times, 99)) * 1e3,
    }


def table(found: list[tuple[Shape, dict[str, float]]]) -> str:
    names = list(found[0][1])
    lines = [
        [
            shape.group,
            f"{shape.value:,}",
            f"{shape.rows:,}",
            *(report.number(figures[name]) for name in names),
        ]
        for shape, figures in found
    ]
    return report.table(["what varies", "", "rows", *names], lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="a million rows, too")
    parser.add_argument("--only", help="one group, as `dimensions`")
    parser.add_argument("--write", type=Path, help="a markdown page; the table goes between its markers")
    given = parser.parse_args()
    shapes = [
        shape for shape in (*SHAPES, *(LARGE if given.full else ())) if given.only in (None, shape.group)
    ]
    found = []
    for shape in shapes:
        with tempfile.TemporaryDirectory(prefix="shapes-") as folder:
            command = [sys.executable, __file__, "measure", json.dumps(asdict(shape)), f"{folder}/db"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{shape}: {done.stderr[-2000:]}")
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        print(
            shape.group, shape.value, {name: round(value, 2) for name, value in figures.items()}, flush=True
        )
        found.append((shape, figures))
    content = table(found)
    if given.write:
        folder_of_figures = given.write.parent / "figures"
        points = [(shape.group, shape.value, figures) for shape, figures in found]
        file = plots.shapes(points, folder_of_figures, "shapes")
        report.write(given.write, "shapes", f"![cost by shape](figures/{file})\n\n{content}")
    else:
        print(content)


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(Shape(**json.loads(sys.argv[2])), sys.argv[3])), flush=True)
    else:
        main()
