"""One workload per process: `python workloads.py NAME JSON` prints its figures as a JSON line."""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import data
import systems

QUERIES = 200


def _rate(call: Callable[[Any], Any], items: list[Any], seconds: float = 2.0) -> float:
    """Calls per second, the median of three passes."""
    for item in items[:10]:
        call(item)
    rates = []
    for _ in range(3):
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / 3:
            call(items[done % len(items)])
            done += 1
        rates.append(done / (time.perf_counter() - start))
    return statistics.median(rates)


def ingest(task: dict[str, Any]) -> dict[str, float]:
    """Bulk load in batches of 10,000: acknowledged, fully indexed, memory, disk."""
    rows, _ = data.load(task["data"])
    parts = [rows.part(start, start + 10_000) for start in range(0, len(rows), 10_000)]
    before = systems.memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of making the data
    system = systems.Chroma(task["system"], task["path"])
    start = time.perf_counter()
    for part in parts:
        system.add(part)
    acknowledged = time.perf_counter() - start
    system.settle(rows.vectors.shape[1])
    ready = time.perf_counter() - start
    assert system.collection.count() == len(rows)
    peak = systems.memory_mb("VmHWM") - before
    system.close()
    return {
        "acknowledged rows/s": len(rows) / acknowledged,
        "indexed rows/s": len(rows) / ready,
        "peak memory over the data, MB": peak,
        "disk bytes/row": systems.disk_bytes(task["path"]) / len(rows),
    }


def single(task: dict[str, Any]) -> dict[str, float]:
    """Durable adds of one row to the loaded collection."""
    rows, queries = data.load(task["data"])
    system = systems.Chroma(task["system"], task["path"])
    start, done = time.perf_counter(), 0
    while done < 200 and time.perf_counter() - start < 10:
        row = data.Rows([f"new{time.time_ns()}"], queries[done : done + 1], ["one"], [rows.metadatas[done]])
        system.add(row)
        done += 1
    rate = done / (time.perf_counter() - start)
    system.close()
    return {"single adds/s": rate}


def query(task: dict[str, Any]) -> dict[str, float]:
    """k = 10 with documents, metadata and distances, at the least effort that gives recall 0.95."""
    rows, queries = data.load(task["data"])
    truth = data.exact(rows, queries[:QUERIES], data.matching(rows, None))
    system = systems.Chroma(task["system"], task["path"])
    system.settle(rows.vectors.shape[1])
    asked = list(queries)
    figures: dict[str, float] = {}
    for ef in system.knobs:
        system.set_effort(ef)
        recall = data.recall([system.query(vector) for vector in asked[:QUERIES]], truth)
        if recall >= 0.95:
            figures |= {"ef": ef, "recall": recall, "queries/s": _rate(system.query, asked)}
            break
    system.set_effort(system.default)
    found = [system.query(vector) for vector in asked[:QUERIES]]
    figures |= {
        "recall by default": data.recall(found, truth),
        "queries/s by default": _rate(system.query, asked),
    }
    system.close()
    return figures


def filtered(task: dict[str, Any]) -> dict[str, float]:
    """The same with filters, at the default effort."""
    rows, queries = data.load(task["data"])
    system = systems.Chroma(task["system"], task["path"])
    system.settle(rows.vectors.shape[1])
    figures: dict[str, float] = {}
    asked = list(queries[:100])
    for name, condition in data.filters(rows).items():
        truth = data.exact(rows, queries[:100], data.matching(rows, condition))
        clause = systems.where(condition)
        found = [system.query(vector, where=clause) for vector in asked]
        figures[f"{name} recall"] = data.recall(found, truth)
        figures[f"{name} queries/s"] = _rate(lambda vector, c=clause: system.query(vector, where=c), asked)
    system.close()
    return figures


def read(task: dict[str, Any]) -> dict[str, float]:
    """Everything with embeddings, a hundred ids, a filter with a limit."""
    rows, _ = data.load(task["data"])
    system = systems.Chroma(task["system"], task["path"])
    system.collection.count()
    start = time.perf_counter()
    count = system.get_everything(len(rows))
    everything = count / (time.perf_counter() - start)
    rng = random.Random(0)
    picks = [rng.sample(rows.ids, 100) for _ in range(50)]
    clause = systems.where(data.FILTERS["10%"])
    figures = {
        "get everything rows/s": everything,
        "get 100 ids/s": _rate(lambda ids: system.collection.get(ids=ids), picks),
        "where 10% limit 100/s": _rate(lambda _: system.collection.get(where=clause, limit=100), [0]),
    }
    system.close()
    return figures


def tables(task: dict[str, Any]) -> dict[str, float]:
    """All records, with vectors, as a DataFrame; ours also as an Arrow table, and what that copies."""
    import pandas as pd
    import pyarrow as pa

    system = systems.Chroma(task["system"], task["path"])
    count = system.collection.count()

    def frame() -> Any:
        if system.ours:
            return system.collection.to_pandas()
        fields = ["embeddings", "documents", "metadatas"]
        parts = []
        for start in range(0, count, 5000):
            found = system.collection.get(limit=5000, offset=start, include=fields)
            part = pd.DataFrame(found["metadatas"])
            part.insert(0, "id", found["ids"])
            part.insert(1, "document", found["documents"])
            part["embedding"] = list(found["embeddings"])
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def took(call: Callable[[], Any]) -> float:
        call()
        times = []
        for _ in range(3):
            start = time.perf_counter()
            made = call()
            times.append(time.perf_counter() - start)
            assert len(made) == count
        return statistics.median(times) * 1000

    figures = {"to pandas, ms": took(frame)}
    if system.ours:
        figures["to polars, ms"] = took(system.collection.to_polars)
        figures["to Arrow, ms"] = took(system.collection.to_arrow)
        before = pa.total_allocated_bytes()
        table = system.collection.to_arrow()
        figures["Arrow bytes copied, MB"] = (pa.total_allocated_bytes() - before) / 1e6
        figures["Arrow bytes, MB"] = table.nbytes / 1e6
    system.close()
    return figures


def cold(task: dict[str, Any]) -> dict[str, float]:
    """A process that has loaded nothing: import, open, first answer."""
    vector = [0.05] * task["dimension"]
    start = time.perf_counter()
    system = systems.Chroma(task["system"], task["path"])
    system.query(vector)
    figures = {"import, open, first answer, s": time.perf_counter() - start}
    system.close()
    return figures


def delete(task: dict[str, Any]) -> dict[str, float]:
    """Delete 90 %, settle, and compare the disk with a fresh build of the rest."""
    rows, _ = data.load(task["data"])
    system = systems.Chroma(task["system"], task["path"])
    keep = set(rows.ids[::10])
    gone = [id for id in system.collection.get(include=[])["ids"] if id not in keep]
    start = time.perf_counter()
    system.delete(gone)
    rate = len(gone) / (time.perf_counter() - start)
    system.settle(rows.vectors.shape[1])
    system.close()
    at = [number for number, id in enumerate(rows.ids) if id in keep]
    rest = data.Rows(
        [rows.ids[i] for i in at],
        rows.vectors[at],
        [rows.documents[i] for i in at],
        [rows.metadatas[i] for i in at],
    )
    fresh = systems.Chroma(task["system"], task["path"] + "-fresh")
    fresh.add(rest)
    fresh.settle(rows.vectors.shape[1])
    fresh.close()
    ratio = systems.disk_bytes(task["path"]) / systems.disk_bytes(task["path"] + "-fresh")
    return {"deletes rows/s": rate, "disk after deleting 90 %, times a fresh build": ratio}


def overhead(task: dict[str, Any]) -> dict[str, float]:
    """Microseconds of a query beyond the bare index call, at the same effort, interleaved."""
    rows, queries = data.load(task["data"])
    system = systems.Chroma(task["system"], task["path"])
    system.settle(rows.vectors.shape[1])
    bare = systems.Bare(rows.vectors)
    ef = 32
    system.set_effort(ef)
    whole, index = [], []
    for turn in range(3 * len(queries)):
        vector = queries[turn % len(queries)]
        start = time.perf_counter()
        system.query(vector)
        middle = time.perf_counter()
        bare.query(vector, ef)
        whole.append(middle - start)
        index.append(time.perf_counter() - middle)
    system.set_effort(system.default)
    system.close()
    a, b = statistics.median(whole) * 1e6, statistics.median(index) * 1e6
    return {"query, µs": a, "bare hnswlib, µs": b, "overhead, µs": a - b}


if __name__ == "__main__":
    figures = globals()[sys.argv[1]](json.loads(sys.argv[2]))
    print(json.dumps(figures), flush=True)
    os._exit(0)  # one of the systems hangs at exit; the figures are printed
