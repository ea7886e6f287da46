"""An iterator that runs ahead of its reader in a separate thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Reads at most `depth` items ahead. An error of the iterator is raised in place of its item.

    `close` ends the thread, then the iterator.
    """

    def __init__(self, items: Iterator[T], depth: int, name: str) -> None:
        self._items = items
        self._ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
        self._stop = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item, None):
                    return
            self._put(None, None)
        except BaseException as error:
            self._put(None, error)

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
        if self._over:
            raise StopIteration
        while True:
            try:
                item, error = self._ready.get(timeout=0.1)
                break
            except queue.Empty:
                if self._stop.is_set():
                    self._over = True
                    raise StopIteration from None
        if error is not None:
            self._over = True
            raise error
        if item is None:
            self._over = True
            raise StopIteration
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
            self._ready.put_nowait((None, None))

    def close(self) -> None:
        """End the thread. May be called more than once."""
        self._over = True
        self.stop()
        self._thread.join()
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
