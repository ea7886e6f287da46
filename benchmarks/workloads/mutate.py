"""Change the metadata of many rows and delete many; what is found afterwards. On a copy."""

from __future__ import annotations

from typing import Any

from conditions import Condition
from timing import seconds_of

from .common import K, Result, Task, recall, tune

CHANGE = {"lexname": "changed", "u": 2_000_000}  # of no row before


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    driver, plan, figures = task.opened(), task.plan, result.figures
    updated, deleted = plan["update"], plan["delete"]
    keys = {key: value for key, value in CHANGE.items() if key in plan["metadata"]}

    def update() -> None:
        driver.update(updated[:1], [keys])  # what a process loads for its first write is not asked here
        seconds = seconds_of(lambda: driver.update(updated, [keys] * len(updated)))
        figures["update, rows/s"] = len(updated) / seconds
        condition = driver.native(Condition((("u", ">=", keys["u"]),)))
        found = driver.get_where(condition, 100)
        result.checks["updated rows are found"] = set(found) <= set(updated) and len(found) == min(
            100, len(updated)
        )

    def delete() -> None:
        seconds = seconds_of(lambda: driver.delete(deleted))
        figures["delete, rows/s"] = len(deleted) / seconds
        result.checks["count after deleting"] = driver.count() == plan["rows"] - len(deleted)
        truth, asked = plan["truth"]["after deleting"], task.queries
        found: list[list[Any]] = []

        def measure() -> float:
            found[:] = [driver.query(vector, K) for vector, _ in zip(asked, truth)]
            return recall(driver, found, truth)

        if not driver.exact:
            driver.set_knob(driver.default_knob)
            figures["recall after deleting, by default"] = measure()
        figures["ef after deleting"], figures["recall after deleting"] = tune(driver, task.knob, measure)
        result.checks["no deleted row is found"] = not {id for ids in found for id in ids} & set(deleted)

    result.attempt("update, rows/s", update)
    result.attempt("delete, rows/s", delete)
    driver.close()
    return result
