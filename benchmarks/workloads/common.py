"""What workloads share: the result, the plan, and how recall reaches its target."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any

TARGET = 0.95  # recall@10 from which on a search counts
K = 10


@dataclass
class Result:
    """Figures by name, which ends with the unit; a text says why there is no number."""

    figures: dict[str, float | str | list[Any]] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)

    def attempt(self, name: str, measure: Callable[[], None]) -> None:
        """Run one part; what a system lacks, or fails at, is a result as well."""
        try:
            measure()
        except Exception as error:
            if type(error).__name__ == "Unsupported":
                self.figures[name] = "not supported"
            else:
                self.figures[name] = f"failed: {type(error).__name__}: {str(error)[:200]}"
                self.checks[f"{name}: ran"] = False


class Task:
    """What the parent asks of this process."""

    def __init__(self, system: str, given: dict[str, Any]) -> None:
        self.system = system
        self.path = str(given["path"])
        self.folder = Path(given["data"])
        self.seconds = float(given["seconds"])
        self.knob: int | None = given.get("knob")
        self.dimension = int(given["dimension"])

    @cached_property
    def plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = json.loads((self.folder / "plan.json").read_text())
        return plan

    @cached_property
    def queries(self) -> Any:
        import numpy

        return numpy.load(self.folder / "queries.npy")

    def driver(self) -> Any:
        """Imports the system."""
        return import_module(f"systems.{self.system}").Driver(self.path, self.dimension)

    def opened(self) -> Any:
        driver = self.driver()
        driver.open()
        driver.ready()
        return driver


def recall(driver: Any, found: Iterable[list[Any]], truth: list[list[str]]) -> float:
    """The mean share of the true neighbours that were found; 1 where there are none."""
    shares = [
        len(set(driver.ids_of(ids)) & set(true)) / len(true) if true else 1.0
        for ids, true in zip(found, truth)
    ]
    return sum(shares) / len(shares)


def tune(driver: Any, start: int | None, measure: Callable[[], float]) -> tuple[int | None, float]:
    """The smallest knob from `start` on whose recall reaches the target, and this recall."""
    if driver.exact:
        return None, measure()
    knobs = [knob for knob in driver.knobs() if knob >= (start or 0)]
    for knob in knobs:
        driver.set_knob(knob)
        reached = measure()
        if reached >= TARGET:
            break
    return knob, reached


def forever(items: Iterable[Any]) -> Iterator[Any]:
    return cycle(items)
