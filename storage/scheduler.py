"""Work in the background: one thread per kind, started when needed, ended with the engine.

Owns: threads and delays. A job is a function; jobs of one kind and key that wait
are one job. A job that fails is logged and kept in `errors`, and the next trigger tries again: the data is
safe, only space or speed is not what it could be.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["watermark", "compact", "index", "load"]
_log = logging.getLogger("chroma")
_JOIN_SECONDS = 10.0  # a build stops within one chunk, half a second


class Scheduler:
    """Jobs by kind and key. Usable from any thread."""

    def __init__(self) -> None:
        # A condition takes its lock in Python, where an interrupt may come between; the lock itself does not.
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        self._waiting: dict[tuple[Kind, str], tuple[float, Callable[[], object]]] = {}
        self._running: set[tuple[Kind, str]] = set()
        self._threads: dict[Kind, threading.Thread] = {}
        self._stopping = False
        self.errors: dict[tuple[Kind, str], BaseException] = {}

    def stopping(self) -> bool:
        return self._stopping

    def submit(
        self, kind: Kind, key: str, job: Callable[[], object], delay: float = 0.0, push: bool = False
    ) -> None:
        """Run `job` after `delay` seconds. One already waiting keeps its time, unless `push`ed back."""
        if (kind, key) in self._waiting and not push:  # it runs after this check, and sees the latest state
            return
        with self._lock:
            if self._stopping or ((kind, key) in self._waiting and not push):
                return
            if kind not in self._threads:
                thread = threading.Thread(target=self._run, args=(kind,), name=f"chroma-{kind}", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # no more threads, or the interpreter is ending
                    _log.warning("background %s of %s cannot be done: %s", kind, key, error)
                    return
                self._threads[kind] = thread
            self._waiting[kind, key] = time.monotonic() + delay, job
            self._condition.notify_all()

    def after_fork(self) -> None:
        """In a forked child: the threads and their jobs are gone."""
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        self._waiting.clear()
        self._running.clear()
        self._threads.clear()

    def cancel(self, key: str) -> None:
        """Forget the waiting jobs of a key."""
        with self._lock:
            for item in [item for item in self._waiting if item[1] == key]:
                del self._waiting[item]
            self._condition.notify_all()

    def wait(self, kind: Kind, key: str) -> None:
        """Return when no such job waits or runs."""
        with self._lock:
            while (kind, key) in self._waiting or (kind, key) in self._running:
                self._condition.wait()

    def close(self) -> None:
        """Stop all threads; running jobs see `stopping()`."""
        with self._lock:
            self._stopping = True
            self._waiting.clear()
            self._condition.notify_all()
        for thread in list(self._threads.values()):
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)

    def _next(self, kind: Kind) -> tuple[tuple[Kind, str], Callable[[], object]] | None:
        while not self._stopping:
            mine = [(due, item) for item, (due, _) in self._waiting.items() if item[0] == kind]
            if mine:
                due, item = min(mine)
                wait = due - time.monotonic()
                if wait <= 0:
                    return item, self._waiting.pop(item)[1]
                self._condition.wait(wait)
            else:
                self._condition.wait()
        return None

    def _run(self, kind: Kind) -> None:
        while True:
            with self._lock:
                found = self._next(kind)
                if found is None:
                    return
                item, job = found
                self._running.add(item)
            try:
                job()
                self.errors.pop(item, None)
            except Exception as error:
                self.errors[item] = error
                if not self._stopping:
                    _log.warning("background %s of %s failed: %s", kind, item[1], error, exc_info=True)
            finally:
                with self._lock:
                    self._running.discard(item)
                    self._condition.notify_all()
