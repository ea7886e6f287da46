"""Adds of one row each to the loaded collection, on disk when they return; on a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data import Rows
from timing import speed, threaded

from .common import Result, Task

THREADS = 16
MOST = 1_000_000  # ids are numbered; more cannot be added in the time


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    driver = task.opened()
    if not driver.durable:
        result.figures["one thread, rows/s"] = "not durable"
        return result
    metadata, queries = task.plan["metadata"], task.queries
    added: list[str] = []

    def new(name: str) -> Iterator[Any]:
        for number in range(MOST):
            id, at = f"{name}-{number}", number % len(queries)
            added.append(id)
            yield driver.input(Rows([id], queries[at : at + 1], ["one more document"], [metadata]))

    def one() -> None:
        found = speed(driver.add, new("one"), task.seconds)
        result.figures |= {
            "one thread, rows/s": found.per_second,
            "one thread, p50 ms": found.p50_ms,
            "one thread, p99 ms": found.p99_ms,
        }

    def many() -> None:
        if not driver.writers:
            result.figures[f"{THREADS} threads, rows/s"] = "one connection writes"
            return
        parts = [new(f"t{number}") for number in range(THREADS)]
        found = threaded(driver.add, parts, task.seconds)
        result.figures |= {
            f"{THREADS} threads, rows/s": found.per_second,
            f"{THREADS} threads, p99 ms": found.p99_ms,
        }

    result.attempt("one thread, rows/s", one)
    result.attempt(f"{THREADS} threads, rows/s", many)
    result.checks["the added rows are there"] = driver.get(added[:1] + added[-1:]) != []
    result.checks["count after adding"] = driver.count() == task.plan["rows"] + len(added)
    driver.close()
    return result
