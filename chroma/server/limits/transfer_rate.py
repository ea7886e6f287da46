"""How fast one client sends, or takes, while nothing but this client is waited for.

A client that is waited for must move so many bytes in each span of waiting; what the server needs for itself
does not count. Where others wait for what the client holds, it may be ended before, if it is slow.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

_SLOW_SECONDS = 3.0  # of waiting, after which it is known how slow a client is
_SLOW_FACTOR = 8.0  # times the lowest rate: who is faster is not ended for others


# What a client takes is seen in pieces only: it tells in parts of its window what it has room for.
_LEAST_TAKEN = 1 << 17


def taking(seconds: float, rate: float) -> tuple[float, float]:
    """The span in which so many bytes must be taken: `seconds`, or longer where so few are no measure."""
    least = max(seconds * rate, _LEAST_TAKEN)
    return least / rate, least


class Within:
    """Raises TimeoutError when the block takes longer. It costs a fourth of what the library's takes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._late = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _end(self) -> None:
        self._late = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._timer.cancel()
        if self._late and kind is asyncio.CancelledError:
            if sys.version_info >= (3, 11):
                self._task.uncancel()
            raise TimeoutError from None


class Stalled(Exception):
    """The client is waited for no longer. The text says why."""


class Pace:
    """One client in one direction.

    span   seconds of waiting in each of which it must move `least` bytes
    """

    __slots__ = (
        "_begun", "_counted", "_least", "_moved", "_over", "_since", "_span", "_task", "_timer", "_until",
        "_waited",
    )  # fmt: skip

    def __init__(self, span: float, least: float) -> None:
        self._span, self._least = span, least
        self._since: float | None = None  # when the waiting at hand began
        self._waited = 0.0  # in this span, before that
        self._moved = 0  # in this span, but for what is counted elsewhere since the waiting began
        self._counted: Callable[[], int] | None = None
        self._begun = 0
        self._until = 0.0
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._over = ""

    def moved(self, size: int) -> None:
        """Bytes came, or were taken."""
        self._moved += size

    def waiting(self, seconds: float, counted: Callable[[], int] | None = None) -> Pace:
        """For a block that waits for the client, for so many seconds at most. It raises Stalled.

        counted  says how much has moved, in the event loop; where there is none, `moved` is told
        """
        self._until, self._counted = seconds, counted
        return self

    def __enter__(self) -> None:
        self._check()
        self._task = asyncio.current_task()
        self._since = time.monotonic()
        self._begun = 0 if self._counted is None else self._counted()
        self._until += self._since
        self._arm(self._since)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        assert self._timer is not None and self._since is not None and self._task is not None
        self._timer.cancel()
        self._waited += time.monotonic() - self._since
        self._count()
        task, self._since, self._task = self._task, None, None
        if self._over and kind is asyncio.CancelledError:
            if sys.version_info >= (3, 11):
                task.uncancel()
            raise Stalled(self._over) from None

    def end(self, why: str) -> None:
        """End the waiting, in its event loop."""
        if self._task is not None and not self._over:
            self._over = why
            self._task.cancel()

    @property
    def slowness(self) -> float | None:
        """Bytes a second of a client that may be ended for another one; None for others. From any thread
        where nothing is counted."""
        since = self._since
        if since is None or self._over:
            return None
        self._count()
        waited = self._waited + time.monotonic() - since
        rate = self._moved / max(waited, 0.001)
        slow = waited > _SLOW_SECONDS and rate < _SLOW_FACTOR * self._least / self._span
        return rate if slow else None

    def _count(self) -> None:
        if self._counted is not None:
            now = self._counted()
            self._moved, self._begun = self._moved + now - self._begun, now

    def _check(self) -> None:
        if self._over:
            raise Stalled(self._over)

    def _arm(self, now: float) -> None:
        rest = min(self._until - now, self._span - self._waited)
        self._timer = asyncio.get_running_loop().call_later(max(0.001, rest), self._look)

    def _look(self) -> None:
        if self._since is None:
            return
        now = time.monotonic()
        self._count()
        waited = self._waited + now - self._since
        if now >= self._until:
            self.end("late")
        elif waited < self._span:
            self._arm(now)
        elif self._moved < self._least:
            self.end("slow")
        else:
            self._moved, self._waited, self._since = 0, 0.0, now
            self._arm(now)
