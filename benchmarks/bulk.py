"""A bulk pipeline from end to end: a Parquet file of any size into a collection, killed on the way.

    python benchmarks/bulk.py [--rows 1000000] [--dimension 128] [--kill 3]     synthetic rows
    python benchmarks/bulk.py --file FILE [--document COLUMN] [--kill 3]        rows of your own
    python benchmarks/bulk.py --compare [--file FILE …]                         load against collection.add

The first two make the file (block by block), load it in a process of its own, which is killed with kill -9
at random points and started again, and compare what is stored with the file, row by row. --compare loads the
first 70,000 rows three times with `load` and three times with `add` of prepared Python lists, in turn, each
in a process of its own that has imported everything before.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

BLOCK = 50_000
COMPARED = 70_000
WORDS = ["red", "green", "blue", "old", "new", "small", "large", "round", "flat", "warm", "quick", "soft"]


def generate(path: Path, rows: int, dimension: int) -> None:
    """Vectors around 200 centres, a short text, and metadata of all types, some of them missing."""
    rng = np.random.default_rng(4)
    centres = rng.standard_normal((200, dimension), dtype=np.float32)
    writer = None
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        cluster = rng.integers(0, len(centres), count)
        vectors = centres[cluster] + 0.3 * rng.standard_normal((count, dimension), dtype=np.float32)
        picked = rng.integers(0, len(WORDS), (count, 4))
        year = rng.integers(1950, 2026, count)
        table = pa.table(
            {
                "id": [f"row-{n:08d}" for n in range(start, start + count)],
                "document": [" ".join(WORDS[word] for word in words) for words in picked.tolist()],
                "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dimension),
                "cluster": [f"c{number}" for number in cluster.tolist()],
                "year": pa.array(year, pa.int64(), mask=rng.random(count) < 0.1),
                "price": rng.random(count) * 100,
                "sold": rng.random(count) < 0.5,
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


# ---------------------------------------------------------------------------- what the children do


def load_child(folder: str, file: str, columns: dict[str, str], limit: int | None) -> dict[str, Any]:
    import chroma

    _warm_up()
    with chroma.PersistentClient(f"{folder}/db") as client:
        things = client.get_or_create_collection("things", embedding_function=None)
        source: Any = file if limit is None else _head(file, folder, limit)
        start = time.perf_counter()
        report = things.load(source, columns=columns)
        seconds = time.perf_counter() - start
    return {"rows": report.rows, "resumed": report.resumed, "seconds": seconds, "report": str(report)}


def add_child(folder: str, file: str, columns: dict[str, str], limit: int | None) -> dict[str, Any]:
    import chroma

    _warm_up()
    table = pq.read_table(file).slice(0, limit)
    document = columns.get("document", "document")
    vectors = table["embedding"].combine_chunks()
    matrix = vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(vectors), -1)
    ids = table["id"].to_pylist()
    documents = table[document].to_pylist() if document in table.column_names else None
    others = [name for name in table.column_names if name not in ("id", "embedding", document)]
    metadatas = [
        {key: value for key, value in row.items() if value is not None}
        for row in table.select(others).to_pylist()
    ]
    with chroma.PersistentClient(f"{folder}/db") as client:
        things = client.get_or_create_collection("things", embedding_function=None)
        start = time.perf_counter()
        for at in range(0, len(ids), 10_000):
            part = slice(at, at + 10_000)
            things.add(
                ids=ids[part],
                embeddings=matrix[part],
                metadatas=metadatas[part],
                documents=documents and documents[part],
            )
        seconds = time.perf_counter() - start
    return {"rows": len(ids), "seconds": seconds}


def _warm_up() -> None:
    """Everything is imported before anything is timed."""
    import chroma

    with chroma.EphemeralClient(private=True) as client:
        few = client.create_collection("few", embedding_function=None)
        few.add(ids=["a"], embeddings=[[1.0, 2.0]], metadatas=[{"n": 1}], documents=["text"])
        few.load(few.to_arrow(), on_conflict="skip")


def _head(file: str, folder: str, limit: int) -> str:
    """The first rows as a file: `load` reads files."""
    if pq.read_metadata(file).num_rows <= limit:
        return file
    path = Path(folder).parent / f"head-{limit}.parquet"
    if not path.exists():
        pq.write_table(pq.read_table(file).slice(0, limit), path, compression="zstd", use_dictionary=False)
    return str(path)


# ---------------------------------------------------------------------------- the parent


class Child:
    """A process that does one of the above, and what memory it has had."""

    def __init__(self, what: str, *arguments: Any) -> None:
        command = [sys.executable, __file__, "--child", what, json.dumps(arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.anonymous = self.resident = 0.0

    def look(self) -> bool:
        """Note its memory (MB). Whether it still runs."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            status = ""
        found = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        for name, key in (("anonymous", "RssAnon"), ("resident", "VmHWM")):
            if key in found:
                megabytes = int(found[key].split()[0]) / 1024
                setattr(self, name, max(getattr(self, name), megabytes))
        return self.process.poll() is None

    def result(self) -> dict[str, Any]:
        while self.look():
            time.sleep(0.02)
        assert self.process.stdout is not None
        lines = self.process.stdout.read().splitlines()
        if self.process.returncode != 0:
            raise SystemExit(f"the child ended with {self.process.returncode}")
        found: dict[str, Any] = json.loads(lines[-1])
        return found


def rows_done(folder: Path) -> int:
    """What the journal of the load says."""
    for path in (folder / "db" / "loads").glob("*.json"):
        try:
            return int(json.loads(path.read_text())["rows"])
        except (OSError, ValueError):
            continue  # it is just being replaced
    return 0


def pipeline(folder: Path, file: Path, columns: dict[str, str], kills: int) -> None:
    rows = pq.read_metadata(file).num_rows
    print(f"{file.name}: {rows:,} rows, {file.stat().st_size / 2**20:,.0f} MB")
    rng = random.Random()
    targets = sorted(rng.randrange(rows * 9 // 10) for _ in range(kills))
    print(f"{'':24}{'rows done':>12}{'seconds':>10}{'anonymous MB':>14}{'resident MB':>13}")
    for number, target in enumerate(targets, 1):
        child, start = Child("load", str(folder), str(file), columns, None), time.perf_counter()
        while child.look() and rows_done(folder) < target:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))  # anywhere in a part
        child.process.kill()
        child.process.wait()
        line(f"kill -9, number {number}", rows_done(folder), time.perf_counter() - start, child)
    child = Child("load", str(folder), str(file), columns, None)
    found = child.result()
    line("to the end", found["rows"], found["seconds"], child)
    print(found["report"])
    start = time.perf_counter()
    compared = compare(folder, file, columns)
    print(f"compared with the file: {compared:,} rows equal, in order; {time.perf_counter() - start:.1f} s")


def line(what: str, rows: int, seconds: float, child: Child) -> None:
    print(
        f"{what:24}{rows:>12,}{seconds:>10.1f}{child.anonymous:>14,.0f}{child.resident:>13,.0f}", flush=True
    )


def compare(folder: Path, file: Path, columns: dict[str, str]) -> int:
    """Every column of every row; raises SystemExit where they differ."""
    import chroma

    renamed = {name: part for part, name in columns.items()}
    wanted = _expected(file, renamed)
    done = 0
    with chroma.PersistentClient(folder / "db") as client:
        for batch in client.get_collection("things").to_batches():
            expected = wanted(batch.num_rows)
            if expected.num_rows != batch.num_rows:
                raise SystemExit(f"there are more rows than in the file: {done + batch.num_rows:,}")
            for name in expected.column_names:
                held = pa.chunked_array([batch.column(batch.schema.get_field_index(name))])
                if not held.combine_chunks().equals(expected[name].cast(held.type).combine_chunks()):
                    raise SystemExit(f"the column {name} differs after row {done:,}")
            done += batch.num_rows
    if wanted(1).num_rows:
        raise SystemExit(f"only {done:,} rows are stored")
    return done


def _expected(file: Path, renamed: dict[str, str]) -> Any:
    """A function that gives the next n rows of the file."""

    def batches() -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(file) as parquet:
            yield from parquet.iter_batches(BLOCK)

    source = batches()
    waiting: list[pa.RecordBatch] = []

    def take(rows: int) -> pa.Table:
        got: list[pa.RecordBatch] = []
        while rows:
            batch = waiting.pop() if waiting else next(source, None)
            if batch is None:
                break
            got.append(batch.slice(0, rows))
            if batch.num_rows > rows:
                waiting.append(batch.slice(rows))
            rows -= got[-1].num_rows
        table = pa.Table.from_batches(got) if got else pa.table({"id": []})
        return table.rename_columns([renamed.get(name, name) for name in table.column_names])

    return take


def race(folder: Path, file: Path, columns: dict[str, str], rounds: int = 3) -> None:
    rates: dict[str, list[float]] = {"add": [], "load": []}
    for number in range(rounds):
        for what in rates if number % 2 == 0 else reversed(rates):
            place = folder / f"{what}-{number}"
            place.mkdir()
            found = Child(what, str(place), str(file), columns, COMPARED).result()
            rates[what].append(found["rows"] / found["seconds"])
            shutil.rmtree(place)
    for what, each in rates.items():
        shown = ", ".join(f"{rate:,.0f}" for rate in each)
        print(f"{what:6}{statistics.median(each):>10,.0f} rows/s   ({shown})")
    share = statistics.median(rates["load"]) / statistics.median(rates["add"])
    print(f"load has {share:.0%} of the rate of add")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--file", type=Path, help="a Parquet file with the columns id and embedding")
    parser.add_argument("--document", help="its column of documents. Default: document")
    parser.add_argument("--kill", type=int, default=3, help="how often. Default: 3")
    parser.add_argument("--compare", action="store_true", help="load against collection.add")
    parser.add_argument("--folder", type=Path, help="where to work, on a local disk. Default: a new one")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, arguments = options.child
        print(json.dumps({"load": load_child, "add": add_child}[what](*json.loads(arguments))))
        return
    columns = {"document": options.document} if options.document else {}
    with tempfile.TemporaryDirectory(prefix="chroma-bulk-", dir=options.folder) as name:
        folder = Path(name)
        file = options.file
        if file is None:
            file = folder / "rows.parquet"
            generate(file, COMPARED if options.compare else options.rows, options.dimension)
        if options.compare:
            race(folder, file.absolute(), columns)
        else:
            pipeline(folder, file.absolute(), columns, options.kill)


if __name__ == "__main__":
    main()
