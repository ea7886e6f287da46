"""Records by id and by filter, with documents and metadata; the number of them; everything as a table."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from conditions import repeated
from timing import PASSES, seconds_of, speed

from .common import Result, Task, forever


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    driver, plan, figures = task.opened(), task.plan, result.figures

    def by_id() -> None:
        wanted = plan["get"]
        result.checks["get finds the ids"] = set(driver.get(wanted[0])) == set(wanted[0])
        figures["100 ids, calls/s"] = speed(driver.get, forever(wanted), task.seconds).per_second

    def where(label: str, name: str, limit: int) -> None:
        condition = driver.native(repeated(name, plan["correlated"]))
        expected = min(limit, plan["matching"][name])
        found = driver.get_where(condition, limit)
        result.checks[f"{label} finds {expected}"] = len(set(found)) == expected
        call = speed(lambda limit: driver.get_where(condition, limit), repeat(limit), task.seconds)
        figures[f"{label}, calls/s"] = call.per_second

    def counted() -> None:
        result.checks["count"] = driver.count() == plan["rows"]
        figures["count, calls/s"] = speed(lambda _: driver.count(), repeat(0), task.seconds / 2).per_second

    def arrow() -> None:
        table = driver.arrow()
        result.checks["to Arrow has every row"] = table.num_rows == plan["rows"]
        figures["to Arrow, rows/s"] = _rows_per_second(driver.arrow, plan["rows"])
        figures["to Arrow and every vector added up, rows/s"] = _rows_per_second(
            lambda: _add_up(driver.vectors_in(driver.arrow())), plan["rows"]
        )

    def pandas() -> None:
        result.checks["to pandas has every row"] = len(driver.pandas()) == plan["rows"]
        figures["to pandas, rows/s"] = _rows_per_second(driver.pandas, plan["rows"])

    result.attempt("100 ids, calls/s", by_id)
    result.attempt("where 10 % limit 100, calls/s", lambda: where("where 10 % limit 100", "10 %", 100))
    if plan["correlated"]:
        label = "where equal limit 10"
        result.attempt(f"{label}, calls/s", lambda: where(label, "correlated", 10))
    result.attempt("count, calls/s", counted)
    result.attempt("to Arrow, rows/s", arrow)
    result.attempt("to pandas, rows/s", pandas)
    driver.close()
    return result


def _rows_per_second(call: Any, rows: int) -> float:
    return rows / sorted(seconds_of(call) for _ in range(PASSES))[PASSES // 2]


def _add_up(column: Any) -> float:
    """Touch every vector, for a column may be a mapped file that nobody has read yet."""
    return sum(float(chunk.flatten().to_numpy(zero_copy_only=False).sum()) for chunk in column.chunks)
