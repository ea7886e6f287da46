"""Searches in a quiet collection, and again while another one of the client gets its index. On a copy.

Whether the other one is at work shows in the processor time of this process' other threads. How many rows
have an index says too little: it changes in steps, and the newest rows may wait for more of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from prepare import stored
from timing import percentile, speed

from .common import Result, Task, forever

BATCH = 10_000
PAUSE_SECONDS = 0.6  # the build starts half a second after the last write
WINDOW_SECONDS = 0.5  # of a look at the other threads
BUSY_SHARE = 0.1  # of a core: less is no build
IDLE_SECONDS = 5.0  # after this the build is over
ENOUGH = 100  # queries, to speak of a 99th percentile


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    rows = stored(task.folder)
    driver = task.opened()
    asked = list(task.queries)
    speed(driver.query, forever(asked), task.seconds)  # warms up
    began, others = time.perf_counter(), time.process_time() - time.thread_time()
    quiet = speed(driver.query, forever(asked), task.seconds)
    others = time.process_time() - time.thread_time() - others
    if others > BUSY_SHARE / 2 * (time.perf_counter() - began):  # exact scans of few rows do
        result.figures["while building, p99 ms"] = "searches use other threads themselves"
        driver.close()
        return result
    other = driver.client.create_collection(
        "other", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    for start in range(0, len(rows), BATCH):
        part = rows.part(start, start + BATCH)
        other.add(ids=part.ids, embeddings=part.vectors, documents=part.documents, metadatas=part.metadatas)
    time.sleep(PAUSE_SECONDS)
    began = time.perf_counter()
    busy = _while_others_work(driver.query, forever(asked))
    elapsed = time.perf_counter() - began - IDLE_SECONDS
    result.checks["the other collection has every row"] = other.count() == len(rows)
    left = other.get_indexing_status().num_unindexed_ops
    driver.close()
    result.figures = {"quiet, p50 ms": quiet.p50_ms, "quiet, p99 ms": quiet.p99_ms}
    if len(busy) < ENOUGH:
        result.figures["while building, p99 ms"] = "too few rows for a build"
        return result
    p99 = percentile(busy, 0.99)
    result.figures |= {
        "while building, p50 ms": percentile(busy, 0.5),
        "while building, p99 ms": p99,
        "while building, slowest ms": max(busy),
        "p99 while building, times quiet": p99 / quiet.p99_ms,
        "build, s": elapsed,
        "rows that wait for more, rows": float(left),
    }
    return result


def _while_others_work(query: Any, vectors: Iterator[Any]) -> list[float]:
    """Milliseconds of each query, up to the last moment at which other threads of this process were busy."""
    taken: list[float] = []
    kept = 0  # queries up to the end of the last busy window
    last = opened = time.perf_counter()
    others = time.process_time() - time.thread_time()
    while time.perf_counter() - last < IDLE_SECONDS:
        start = time.perf_counter()
        query(next(vectors))
        now = time.perf_counter()
        taken.append((now - start) * 1e3)
        if now - opened >= WINDOW_SECONDS:
            spent = time.process_time() - time.thread_time()
            if (spent - others) / (now - opened) > BUSY_SHARE:
                last, kept = now, len(taken)
            opened, others = now, spent
    return taken[:kept]
