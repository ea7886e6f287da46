"""Measures how fast a client sends or takes bytes while the server waits for it, and ends slow clients.

In each span of time that the server waits for it, a client must move a minimum of bytes. Time that the
server spends on its own work is not included. A slow client may be ended earlier if others wait for the
resources that it holds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

_SLOW_SECONDS = 3.0  # the least time of waiting after which a client's rate is known
_SLOW_FACTOR = 8.0  # a client faster than this multiple of the minimum rate is not ended for others


# The server sees the bytes that a client takes only in steps, because the client reports room in its
# TCP window only in steps. Fewer bytes than this do not measure a rate.
_LEAST_TAKEN = 1 << 17


def taking(seconds: float, rate: float) -> tuple[float, float]:
    """A span of seconds, and the bytes that a client must take in it. The span is `seconds`, or longer if
    too few bytes to measure would be required in that time."""
    least = max(seconds * rate, _LEAST_TAKEN)
    return least / rate, least


class Within:
    """Raises TimeoutError if the `with` block takes longer than `seconds`. Costs a quarter of the time of
    the standard library's timeout."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timed_out = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _end(self) -> None:
        self._timed_out = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._timer.cancel()
        if self._timed_out and kind is asyncio.CancelledError:
            if sys.version_info >= (3, 11):
                self._task.uncancel()
            raise TimeoutError from None


class Stalled(Exception):
    """The server stopped waiting for the client. The text is the reason."""


class Pace:
    """The pace of one client in one direction.

    span   seconds of waiting, in each of which the client must move `least` bytes
    """

    __slots__ = (
        "_begun", "_counted", "_least", "_moved", "_over", "_since", "_span", "_task", "_timer", "_until",
        "_waited",
    )  # fmt: skip

    def __init__(self, span: float, least: float) -> None:
        self._span, self._least = span, least
        self._since: float | None = None  # when the current wait began
        self._waited = 0.0  # seconds of earlier waits in this span
        self._moved = 0  # bytes moved in this span, without those that `_counted` has yet to report
        self._counted: Callable[[], int] | None = None
        self._begun = 0
        self._until = 0.0
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._over = ""

    def moved(self, size: int) -> None:
        """Note that `size` bytes were received or taken."""
        self._moved += size

    def waiting(self, seconds: float, counted: Callable[[], int] | None = None) -> Pace:
        """A context manager for a block that waits for the client. Raises Stalled after `seconds`, or if the
        client is too slow.

        counted  a function that returns how many bytes have moved, called in the event loop; without it,
                 the caller reports them by `moved`
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
        """End the current wait for the reason `why`. Call this in the wait's event loop."""
        if self._task is not None and not self._over:
            self._over = why
            self._task.cancel()

    @property
    def slowness(self) -> float | None:
        """The rate, in bytes per second, of a client slow enough to be ended for others; None otherwise.
        Any thread may read it if the wait has no `counted`."""
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
