"""A call taken apart: its steps one after the other, as the call makes them, with a clock between.

Owns: the clock and the tables. The steps of a call pass on what they made, so that each finds the caches as
it does in the call, and nothing is measured on inputs of its own. What they come to is compared with what
the call gives: steps that are not those of the call any more are an error.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Any, TypeAlias

import report

Case: TypeAlias = SimpleNamespace  # the arguments of one call, and what its steps made of them
Taken: TypeAlias = dict[str, list[float]]  # µs by title
_AGO = 8  # floors use what was made so many calls ago: it is no warmer than it is for the call


class NotTheCall(AssertionError):
    """The steps do not give what the call gives."""


@dataclass(frozen=True)
class Step:
    """`make` turns the case into what is kept there as `name`.

    floor   takes a case whose steps are done, and does the least that the step must do
    what    what the floor is
    within  a part of the step above, made once more by itself: not in the sum
    """

    title: str
    name: str
    make: Callable[[Case], Any]
    floor: Callable[[Case], Any] | None = None
    what: str = ""
    within: bool = False


def run(steps: Sequence[Step], case: Case, taken: Taken | None = None) -> Case:
    """Make the steps of one call."""
    for step in steps:
        if not step.within:
            start = perf_counter_ns()
            made = step.make(case)
            spent = perf_counter_ns() - start
            setattr(case, step.name, made)
            if taken is not None:
                taken.setdefault(step.title, []).append(spent / 1e3)
    return case


def clock(taken: Taken, title: str, call: Callable[[Case], Any], case: Case) -> Any:
    start = perf_counter_ns()
    made = call(case)
    taken.setdefault(title, []).append((perf_counter_ns() - start) / 1e3)
    return made


def measure(
    title: str,
    whole: Callable[[Case], Any],
    steps: Sequence[Step],
    cases: Sequence[Callable[[], Case]],
    same: Callable[[Any, Case], bool],
    floor: Callable[[Case], Any],
    what: str,
    after: Callable[[Case], object] = lambda _: None,
) -> str:
    """A table of medians: the call, its floor (`what` it is), its steps and theirs. They take turns, each
    with another case; `cases` make them anew, outside of what is timed, and `after` ends them."""
    taken: Taken = {}
    floors: Taken = {}
    earlier: deque[Case] = deque(maxlen=_AGO)
    count = len(cases)
    for number in range(-min(_AGO, count), count):  # those before 0 warm up
        one, two = cases[number % count], cases[(number + count // 2) % count]
        into: Taken = taken if number >= 0 else {}
        called = one()
        if number % 2:  # whoever is first finds the caches as the floors left them
            clock(into, title, whole, called)
            done = run(steps, two(), into)
        else:
            done = run(steps, two(), into)
            clock(into, title, whole, called)
        after(called)
        for step in steps:
            if step.within:
                clock(into, step.title, step.make, done)
        after(done)
        earlier.append(done)
        into = floors if number >= 0 else {}
        clock(into, "", floor, earlier[0])
        for step in steps:
            if step.floor is not None:
                clock(into, step.title, step.floor, earlier[0])
    if not same(whole(cases[0]()), run(steps, cases[0]())):
        raise NotTheCall(f"{title}: the steps in benchmarks/taken_apart do not give what the call gives")
    return _table(title, steps, taken, floors, what)


def _table(title: str, steps: Sequence[Step], taken: Taken, floors: Taken, what: str) -> str:
    def cells(name: str, floor: str) -> list[str]:
        least = report.number(statistics.median(floors[floor])) if floor in floors else ""
        return [report.number(statistics.median(taken[name])), least]

    lines = [[f"**{title}**", *cells(title, ""), what]]
    rest = statistics.median(taken[title])
    for step in steps:
        lines.append(
            [("of it " if step.within else "") + step.title, *cells(step.title, step.title), step.what]
        )
        rest -= 0 if step.within else statistics.median(taken[step.title])
    lines.append(["what lies between these", report.number(rest), "", ""])
    return report.table(["part", "µs", "floor, µs", "the floor is"], lines)
