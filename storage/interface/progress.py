"""Reports the progress of a long call of the engine to its caller. No layer between them needs a parameter.

An observer belongs to one thread. Work in the background has no observer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Observer: TypeAlias = Callable[[int, int], None]

_thread = threading.local()


@contextmanager
def observed(observer: Observer | None) -> Iterator[None]:
    """Call `observer(done, total)` for the rows of each index that this thread builds in the block."""
    before, _thread.observer = getattr(_thread, "observer", None), observer
    try:
        yield
    finally:
        _thread.observer = before


def report(done: int, total: int) -> None:
    """Tell the observer of this thread, if there is one, how many rows of an index are done."""
    observer: Observer | None = getattr(_thread, "observer", None)
    if observer is not None:
        observer(done, total)
