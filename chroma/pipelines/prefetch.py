"""Iterators that run ahead of their reader in separate threads.

Invariant: a thread of this module ends before the interpreter does, even if Ctrl-C interrupts the close of
its reader. A thread that still ran then would abort the process once it came back from compiled code.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_PATIENCE = 5.0  # seconds to wait for threads: one may be in a call that nothing can end


class Ahead(Generic[T]):
    """Reads at most `depth` items ahead. An error of the iterator is raised when its item is requested.

    `stop` is the event that ends the thread; several may share it. `close` ends the thread, then the
    iterator.
    """

    def __init__(
        self, items: Iterator[T], depth: int, name: str, stop: threading.Event | None = None
    ) -> None:
        self._items = items
        self._ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
        self._stop = threading.Event() if stop is None else stop
        self._over = False
        self._ended = threading.Event()  # not `Thread.is_alive`: false after an interrupted `join`
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        _running.add(self)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item, None):
                    return
            self._put(None, None)
        except BaseException as error:
            self._put(None, error)
        finally:
            self._ended.set()

    def _put(self, item: T | None, error: BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        item = self.take()
        if item is None:
            raise StopIteration
        return item

    def take(self, meanwhile: Callable[[], None] | None = None) -> T | None:
        """Return the next item, None at the end. While it waits, call `meanwhile` every tenth of a second."""
        item: T | None = None
        error: BaseException | None = None
        while not self._over:
            try:
                item, error = self._ready.get(timeout=0.1)
                break
            except queue.Empty:
                if self._stop.is_set():
                    error = _stopped()
                    break
                if meanwhile is not None:
                    meanwhile()
        if item is None:
            self._over = True
        if error is not None:
            raise error
        return item

    def empty(self) -> bool:
        """Whether `next` would have to wait now."""
        return not self._over and self._ready.empty()

    def stop(self) -> None:
        """Ask the thread, and any waiting reader, to end."""
        self._stop.set()
        with suppress(queue.Empty):
            while True:
                self._ready.get_nowait()
        with suppress(queue.Full):
            self._ready.put_nowait((None, _stopped()))

    def close(self) -> None:
        """End the thread. May be called more than once."""
        close_all([self])

    def _close_items(self) -> None:
        if not self._ended.is_set():
            return  # the thread is in a call that takes long, and ends after it
        self._thread.join()
        _running.discard(self)
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


def close_all(steps: Iterable[Ahead[Any]]) -> None:
    """End the threads of iterators. The last iterator reads the others.

    An interrupt while they end is raised once they have ended. A thread in a call that takes longer than a
    few seconds goes on alone, and ends after that call.
    """
    steps = list(steps)
    again: KeyboardInterrupt | None = None
    deadline = time.monotonic() + _PATIENCE
    for step in steps:
        step._over = True
        step.stop()
    for step in steps:
        while not step._ended.is_set() and (left := deadline - time.monotonic()) > 0:
            try:
                step._ended.wait(left)
            except KeyboardInterrupt as error:
                again = error
    for step in reversed(steps):
        step._close_items()
    if again is not None:
        raise again


def _stopped() -> InterruptedError:
    """Return the error for a reader if somebody else has closed the iterator: the reader lacks some items."""
    return InterruptedError("the reading ahead was ended")


_running: weakref.WeakSet[Ahead[Any]] = weakref.WeakSet()
os.register_at_fork(after_in_child=_running.clear)  # a child has none of these threads


@atexit.register
def _end_all() -> None:
    """End the threads whose reader was interrupted before it could end them."""
    with suppress(KeyboardInterrupt):  # nothing is left that it could interrupt
        close_all(list(_running))
