"""How fast calls are: only the calls count, not the making of their arguments."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

PASSES = 3
WARM_UP = 10  # calls that are not counted


@dataclass(frozen=True)
class Speed:
    per_second: float  # the median of the passes
    p50_ms: float
    p99_ms: float


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def speed(call: Callable[[Any], Any], arguments: Iterator[Any], seconds: float) -> Speed:
    """Call with one argument after the other for `seconds` in all, or until they are used up."""
    for argument in islice(arguments, WARM_UP):
        call(argument)
    rates: list[float] = []
    taken: list[float] = []
    for _ in range(PASSES):
        spent, done, end = 0.0, 0, time.perf_counter() + seconds / PASSES
        for argument in arguments:
            start = time.perf_counter()
            call(argument)
            now = time.perf_counter()
            spent, done = spent + now - start, done + 1
            taken.append((now - start) * 1e3)
            if now > end:
                break
        if done:
            rates.append(done / spent)
    return Speed(statistics.median(rates), percentile(taken, 0.5), percentile(taken, 0.99))


def threaded(call: Callable[[Any], Any], parts: list[Iterator[Any]], seconds: float) -> Speed:
    """The same with a thread for each of `parts`; calls of all threads per second of the clock."""
    taken: list[list[float]] = [[] for _ in parts]
    failures: list[BaseException] = []
    began = time.perf_counter()

    def run(number: int) -> None:
        try:
            for argument in parts[number]:
                start = time.perf_counter()
                call(argument)
                now = time.perf_counter()
                taken[number].append((now - start) * 1e3)
                if now - began > seconds:
                    break
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - began
    if failures:
        raise failures[0]
    every = [time for part in taken for time in part]
    return Speed(len(every) / elapsed, percentile(every, 0.5), percentile(every, 0.99))


def seconds_of(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
