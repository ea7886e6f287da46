"""Searches without a filter: recall, speed, memory. Hits come with documents, metadata, distances."""

from __future__ import annotations

from typing import Any

from memory import Peak, growth
from timing import PASSES, seconds_of, speed, threaded

from .common import TARGET, K, Result, Task, forever, recall, tune


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    truth, asked = task.plan["truth"]["all"], list(task.queries)
    figures = result.figures
    driver, imported = growth(task.driver)
    with Peak(imported) as peak:
        driver.open()
        driver.ready()

        def measure() -> float:
            return recall(driver, [driver.query(vector, K) for vector in asked], truth)

        if not driver.exact:
            driver.set_knob(driver.default_knob)
            figures["recall by default"] = measure()
        figures["ef"], figures["recall"] = tune(driver, None, measure)
    result.checks[f"recall is at least {TARGET}"] = figures["recall"] >= TARGET
    if not driver.exact:
        driver.set_knob(driver.default_knob)
        figures["by default, queries/s"] = speed(driver.query, forever(asked), task.seconds).per_second
        driver.set_knob(figures["ef"])
    found = speed(driver.query, forever(asked), task.seconds)
    figures |= {
        "one thread, queries/s": found.per_second,
        "one thread, p50 ms": found.p50_ms,
        "one thread, p99 ms": found.p99_ms,
        "peak memory, MB": peak.total,
        "peak anonymous memory, MB": peak.anonymous,
        "of it importing, MB": imported[0],
        "peak memory of the process, MB": peak.process,
    }

    def two() -> None:
        parts = [forever(asked[: len(asked) // 2]), forever(asked[len(asked) // 2 :])]
        figures["two threads, queries/s"] = threaded(driver.query, parts, task.seconds).per_second

    def together() -> None:
        times = [seconds_of(lambda: driver.query_many(task.queries, K)) for _ in range(PASSES)]
        figures["500 in one call, queries/s"] = len(asked) / sorted(times)[PASSES // 2]
        everything = recall(driver, driver.query_many(task.queries, K), truth)
        result.checks["in one call the same is found"] = everything >= TARGET - 0.02

    def ids_only() -> None:
        figures["ids only, queries/s"] = speed(driver.query_ids, forever(asked), task.seconds).per_second

    result.attempt("two threads, queries/s", two)
    result.attempt("500 in one call, queries/s", together)
    result.attempt("ids only, queries/s", ids_only)
    if not driver.exact:
        curve: list[list[float]] = []  # knob, recall, queries/s
        for knob in driver.knobs():
            driver.set_knob(knob)
            reached = measure()
            curve.append([knob, reached, speed(driver.query, forever(asked), task.seconds / 4).per_second])
        figures["curve"] = curve
        driver.set_knob(driver.default_knob)
    driver.close()
    return result
