"""Whether results are right, not how fast: writes are found, filters keep what numpy keeps. On a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
from conditions import Condition, fresh, repeated
from data import Rows
from prepare import stored

from .common import Result, Task


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    rows, driver, checks = stored(task.folder), task.opened(), result.checks
    plan = task.plan
    columns = {key: np.array([given[key] for given in rows.metadatas]) for key in ("u", "lexname")}
    columns |= {"id": np.array(rows.ids), "text": np.array(rows.documents)}

    def expect(name: str, condition: Condition) -> None:
        true = set(columns["id"][condition.mask(columns)].tolist())
        checks[f"where {name}"] = set(driver.get_where(driver.native(condition), len(rows))) == true

    def filters() -> None:
        for name in plan["filters"]:
            expect(f"{name} repeated", repeated(name, plan["correlated"]))
            expect(f"{name} new", fresh(name, plan["correlated"], 3))
        for name, words in plan["words"].items():
            if words:
                expect(f"{name} word", Condition(contains=words[0]))

    def writes() -> None:
        vector = -rows.vectors[:1]
        new = Rows(["new"], vector, ["a new document"], [plan["metadata"]])
        driver.add(driver.input(new))
        checks["an added row is found by its vector"] = driver.query(vector[0], 1) == ["new"]
        checks["an added row is found by its id"] = driver.get(["new"]) == ["new"]
        changed = driver.native(Condition((("u", "=", 3_000_000),)))
        driver.update(["new"], [{"u": 3_000_000}])
        checks["an updated row is found by its value"] = driver.get_where(changed, 10) == ["new"]
        driver.delete(["new"])
        checks["a deleted row is not found"] = driver.get_where(changed, 10) == []
        checks["count after deleting"] = driver.count() == len(rows)

    result.attempt("filters", filters)
    result.attempt("writes", writes)
    driver.close()
    return result
