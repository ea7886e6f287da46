"""Run a compiled function, which releases the interpreter's lock, in several threads.

Owns: how many threads are worth starting, and their errors.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from itertools import pairwise


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(run: Callable[[slice], None], count: int, parts: int) -> None:
    """Run a function for parts of so many items, one of them in this thread. Raises what a part raised.

    Parts for which no thread can be started run in this one.
    """
    failed: list[BaseException] = []

    def guarded(part: slice) -> None:
        try:
            if not failed:
                run(part)
        except BaseException as error:
            failed.append(error)

    ends = [count * part // parts for part in range(parts + 1)]
    left = [slice(start, stop) for start, stop in pairwise(ends)]
    threads: list[threading.Thread] = []
    try:
        while len(left) > 1:
            thread = threading.Thread(target=guarded, args=(left[-1],), daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the process may have no more threads
                break
            threads.append(thread)
            left.pop()
        for part in left:
            guarded(part)
    finally:
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]
