"""Background work: one thread per kind of job, started when needed and ended with the engine.

Owns: threads and delays. A job is a function. At most one job per kind and key waits at a time. If a job
fails, its error is logged and kept in `errors`, and the next trigger runs it again. A failure does not
endanger data: it only costs space or speed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["watermark", "compact", "index", "segment-index", "load"]
_log = logging.getLogger("chroma")
_JOIN_SECONDS = 10.0  # a build stops after its current chunk, within half a second


class Scheduler:
    """Runs jobs, identified by kind and key. Thread-safe."""

    def __init__(self) -> None:
        # The code enters the lock and not the condition. A condition takes its lock in Python code, which an
        # interrupt may stop halfway.
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
        """Run `job` after `delay` seconds.

        If a job with this kind and key already waits, it keeps its time. With `push`, the new job replaces it
        and the delay starts again.
        """
        if (kind, key) in self._waiting and not push:  # the waiting job will see the latest state
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
            due, before = time.monotonic() + delay, self._waiting.get((kind, key))
            self._waiting[kind, key] = due, job
            # The thread wakes at the time of a job that is put off, and then waits for the later time. Waking
            # all threads for this after each of many small writes took a fifth of the time of the writes.
            if before is None or due < before[0]:
                self._condition.notify_all()

    def after_fork(self) -> None:
        """Forget the threads and their jobs, which do not exist in a forked child."""
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        self._waiting.clear()
        self._running.clear()
        self._threads.clear()

    def cancel(self, key: str) -> None:
        """Forget the waiting jobs with this key."""
        with self._lock:
            for item in [item for item in self._waiting if item[1] == key]:
                del self._waiting[item]
            self._condition.notify_all()

    def wait(self, kind: Kind, key: str) -> None:
        """Wait until no job with this kind and key is waiting or running."""
        with self._lock:
            while (kind, key) in self._waiting or (kind, key) in self._running:
                self._condition.wait()

    def close(self) -> None:
        """Stop all threads. Running jobs can poll `stopping()`."""
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
