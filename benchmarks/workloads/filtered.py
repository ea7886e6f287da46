"""Searches among the rows that a filter keeps: the same filter again, and another one in every query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from conditions import fresh, repeated
from timing import speed

from .common import TARGET, K, Result, Task, recall, tune


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    driver = task.opened()
    correlated = task.plan["correlated"]
    numbers = count(len(task.queries))  # none comes twice in this process
    for name in task.plan["filters"]:
        forms: dict[str, Callable[[int], Any]] = {
            "repeated": lambda number, name=name: repeated(name, correlated),
            "new": lambda number, name=name: fresh(name, correlated, number),
        }
        for form, condition in forms.items():
            search(task, driver, result, f"{name} {form}", condition, (numbers, numbers))
    driver.close()
    return result


def search(
    task: Task,
    driver: Any,
    result: Result,
    name: str,
    condition: Callable[[int], Any],
    numbers: tuple[Iterator[int], Iterator[int]],
) -> None:
    """Figures of one filter. `numbers`: of conditions not asked before, by default and when tuned."""

    def measure() -> None:
        figures, truth = result.figures, task.plan["truth"][name]
        asked = task.queries

        def call(argument: tuple[Any, Any]) -> Any:
            return driver.query(argument[0], K, argument[1])

        def check() -> float:
            found = [
                driver.query(asked[number], K, driver.native(condition(number)))
                for number in range(len(truth))
            ]
            return recall(driver, found, truth)

        def arguments(numbers: Iterator[int]) -> Iterator[tuple[Any, Any]]:
            return ((asked[number % len(asked)], driver.native(condition(number))) for number in numbers)

        if not driver.exact:
            driver.set_knob(driver.default_knob)
            figures[f"{name}, recall by default"] = check()
            figures[f"{name} by default, queries/s"] = speed(
                call, arguments(numbers[0]), task.seconds / 2
            ).per_second
        figures[f"{name}, ef"], reached = tune(driver, task.knob, check)
        figures[f"{name}, recall"] = reached
        result.checks[f"{name}: recall is at least {TARGET}"] = reached >= TARGET
        found = speed(call, arguments(numbers[1]), task.seconds)
        figures[f"{name}, queries/s"] = found.per_second
        figures[f"{name}, p99 ms"] = found.p99_ms

    result.attempt(f"{name}, queries/s", measure)
    if not driver.exact:
        driver.set_knob(driver.default_knob)
