"""Searches among the documents that contain a text: the same again, and another one in every query."""

from __future__ import annotations

from itertools import count
from typing import Any

from conditions import Condition

from .common import Result, Task
from .filtered import search


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    driver = task.opened()
    for name, words in task.plan["words"].items():
        if not words:
            result.figures[f"{name} word repeated, queries/s"] = "no such word in the data"
            continue
        # Recall is measured with the first ones; a timed loop ends when the others are used up.
        checked = len(task.plan["truth"][f"{name} word new"])
        middle = checked + (len(words) - checked) // 3
        again = Condition(contains=words[0])
        search(task, driver, result, f"{name} word repeated", lambda _, c=again: c, (count(), count()))
        search(
            task,
            driver,
            result,
            f"{name} word new",
            lambda number, words=words: Condition(contains=words[number]),
            (iter(range(checked, middle)), iter(range(middle, len(words)))),
        )
    driver.close()
    return result
