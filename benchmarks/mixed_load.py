"""Connections that read and write at once for some minutes: errors, memory and latency of the server.

    python benchmarks/mixed_load.py [--minutes 10] [--connections 32] [--workers 1] [--data FILE.parquet]

Each connection draws from: query, filtered query, get by ids, upsert of 20 records, update, delete of 5,
add of 100. Ids are drawn from a bounded range, so that the collection neither grows nor shrinks for long.
The server's memory is read every ten seconds; a straight line through the second half says whether it
grows. Exits with 1 if any call failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import data
import numpy as np
import serving

sys.path.insert(0, str(serving.HERE.parent))  # this checkout

RANGE = 50_000  # ids, so that writes meet stored records
MIX = {"query": 40, "filtered": 15, "get": 15, "upsert": 12, "update": 8, "delete": 5, "add": 5}


class Load:
    """What the connections share."""

    def __init__(self, rows: data.Rows, until: float) -> None:
        self.rows, self.until = rows, until
        self.times: dict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()

    def some(self, count: int) -> tuple[list[str], list[int]]:
        ids = random.sample(range(RANGE), count)
        return [f"m{id}" for id in ids], [id % len(self.rows) for id in ids]

    async def call(self, collection: Any, kind: str) -> Any:
        rows = self.rows
        if kind in ("query", "filtered"):
            where = {"u": {"$lt": random.randrange(5_000, 500_000)}} if kind == "filtered" else None
            vector = rows.vectors[random.randrange(len(rows))]
            return await collection.query(query_embeddings=[vector], n_results=10, where=where)
        ids, at = self.some({"get": 20, "upsert": 20, "update": 10, "delete": 5, "add": 100}[kind])
        if kind == "get":
            return await collection.get(ids=ids)
        if kind == "delete":
            return await collection.delete(ids=ids)
        metadatas = [rows.metadatas[place] for place in at]
        if kind == "update":
            return await collection.update(ids=ids, metadatas=metadatas)
        texts = [rows.documents[place] for place in at]
        write = collection.upsert if kind == "upsert" else collection.add
        return await write(ids=ids, embeddings=rows.vectors[at], documents=texts, metadatas=metadatas)

    async def connection(self, url: str) -> None:
        import chroma

        async with await chroma.AsyncHttpClient(url) as client:
            collection = await client.get_collection("bench", embedding_function=None)
            while time.monotonic() < self.until:
                (kind,) = random.choices([*MIX], [*MIX.values()])
                began = time.perf_counter()
                try:
                    await self.call(collection, kind)
                except Exception as error:
                    self.errors[f"{kind}: {type(error).__name__}: {str(error)[:100]}"] += 1
                self.times[kind].append(time.perf_counter() - began)


def memory(pid: int) -> float:
    """Anonymous memory of a process and its children, in MB: what is its own, without mapped files."""
    total = 0.0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "status").read_text()
            except OSError:
                continue
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            if int(entry.name) == pid or int(fields["PPid"]) == pid:
                total += int(fields.get("RssAnon", "0 kB").split()[0]) / 1024
    return total


async def run(url: str, pid: int, rows: data.Rows, arguments: argparse.Namespace) -> dict[str, Any]:
    load = Load(rows, time.monotonic() + arguments.minutes * 60)
    samples: list[tuple[float, float]] = []

    async def watch() -> None:
        began = time.monotonic()
        while time.monotonic() < load.until:
            samples.append((time.monotonic() - began, memory(pid)))
            await asyncio.sleep(min(10.0, arguments.minutes * 3))

    await asyncio.gather(watch(), *(load.connection(url) for _ in range(arguments.connections)))
    later = np.array(samples[len(samples) // 2 :])
    slope = float(np.polyfit(later[:, 0], later[:, 1], 1)[0]) * 60 if len(later) > 2 else float("nan")
    calls = sum(map(len, load.times.values()))
    return {
        "calls": calls,
        "calls/s": calls / (arguments.minutes * 60),
        "errors": dict(load.errors),
        "memory MB": [round(value) for _, value in samples],
        "memory MB per minute, second half": slope,
        "latency ms": {
            kind: {name: round(float(np.percentile(times, at)) * 1e3, 1) for name, at in
                   (("p50", 50), ("p99", 99), ("p99.9", 99.9))} | {"calls": len(times)}
            for kind, times in sorted(load.times.items())
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--data", default="synthetic:20000:128")
    arguments = parser.parse_args()
    rows, _ = data.load(arguments.data)
    with tempfile.TemporaryDirectory(prefix="mixed-") as scratch:
        with serving.serving(sys.executable, True, f"{scratch}/db", arguments.workers) as (url, process):
            serving.work(sys.executable, "ingest", {"data": arguments.data, "url": url, "client": "chroma"})
            figures = asyncio.run(run(url, process.pid, rows, arguments))
            if figures["errors"]:
                log = Path(f"{scratch}/db.log").read_text().splitlines()
                print(*[line for line in log if " 20" not in line][-200:], sep="\n")
    print(json.dumps(figures, indent=2))
    sys.exit(1 if figures["errors"] else 0)


if __name__ == "__main__":
    main()
