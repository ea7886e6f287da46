"""Runs engine calls in threads, and limits how many calls run and how many wait.

A call that waits for a thread can be dropped, and then never runs. A running call cannot be interrupted.
If it takes too long, its request ends, but its slot stays taken until the call returns.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect

from ...errors import ChromaError, ServerTimeoutError
from .fair_shares import Holder, NoSlot, Slots

T = TypeVar("T")

RETRY_SECONDS = 1
# Seconds before a call's client is watched. Most calls end sooner and save that cost.
_WATCH_AFTER = 0.02


class Overloaded(ChromaError):
    """All threads are busy and the queue is full. The call did not run."""

    status = 503


class _Lane:
    """A group of threads, with the number of calls that run in them or wait for them."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = threads
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.calls = 0

    @property
    def running(self) -> int:
        return min(self.calls, self._threads)

    @property
    def queued(self) -> int:
        return max(0, self.calls - self._threads)


class Pool:
    """At most `threads` calls run at once, and `queue` more wait. Further calls raise Overloaded.

    Calls that wait for bytes from their client have threads and slots of their own, in the same number. Slow
    clients thus cannot block the others. A stream that is being sent holds no thread between two pieces, but
    it holds memory. At most twice `threads` such streams are open, and `queue` more wait. One caller has at
    most three quarters of the slots for streams in either direction. Slow clients are ended if others wait.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self._calls = _Lane(threads, "chroma-call")
        self._feeds = _Lane(threads, "chroma-feed")
        self._checks = _Lane(1, "chroma-check")
        self._lanes = (self._calls, self._feeds, self._checks)
        self._most = threads + queue
        self._streams_in = Slots(threads, queue)
        self._streams_out = Slots(2 * threads, queue)
        self.rejected = 0  # calls that were rejected because too many were waiting
        self._lock = threading.Lock()  # needed because the threads give slots back

    @property
    def running(self) -> int:
        """The number of calls that run in a thread."""
        return sum(lane.running for lane in self._lanes)

    @property
    def queued(self) -> int:
        """The number of calls that wait for a thread."""
        return sum(lane.queued for lane in self._lanes) + self._streams_in.waiting

    @asynccontextmanager
    async def streaming(
        self, reader: Holder, seconds: float, gone: asyncio.Future[None]
    ) -> AsyncIterator[None]:
        """Holds a slot for a streamed response while the `with` block runs. Raises Overloaded if no place
        becomes free in time, and ClientDisconnect."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._streams_out.slot(reader, seconds, gone))
            except NoSlot:
                if gone.done():
                    raise ClientDisconnect from None
                self.rejected += 1
                raise Overloaded(f"too many streams are being read; try again in {RETRY_SECONDS} s") from None
            yield

    async def feed(self, call: Callable[[], T], sender: Holder, seconds: float) -> T:
        """The result of a call that waits for bytes from its client. Raises Overloaded, ServerTimeoutError
        if the call gets no slot in time, and the errors of the call."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._streams_in.slot(sender, seconds))
            except NoSlot as none:
                if none.waited:
                    raise _dropped(seconds) from None
                self.rejected += 1
                raise Overloaded(f"too many streams arrive already; try again in {RETRY_SECONDS} s") from None
            return await self.run(call, seconds, feeding=True)

    async def run(
        self,
        call: Callable[[], T],
        seconds: float | None = None,
        gone: Callable[[], Awaitable[None]] | None = None,
        *,
        timeout_text: str = "it was given up",
        feeding: bool = False,
        checking: bool = False,
        admitted: bool = False,
    ) -> T:
        """The result of a call that runs in a thread.

        seconds       how long the call may wait and run, or only wait if `feeding`; None: without limit
        gone          a function that returns when the client has disconnected; None: it is not watched
        timeout_text  the text in the error for a call that was already running when its time was up
        feeding       whether the call waits for bytes from its client
        checking      whether the call is a health check, which has a separate thread
        admitted      whether the call continues an earlier one, and so is exempt from the limit

        Raises Overloaded, ServerTimeoutError, ClientDisconnect, and the errors of the call.
        """
        lane = self._feeds if feeding else self._calls
        if checking:
            lane = self._checks
        with self._lock:
            if lane.calls >= self._most and not admitted:
                self.rejected += 1
                raise Overloaded(
                    f"{lane.calls} calls are running or waiting already; try again in {RETRY_SECONDS} s"
                )
            lane.calls += 1

        def give_back(_: object = None) -> None:
            with self._lock:
                lane.calls -= 1

        try:
            context = contextvars.copy_context()  # attributes the thread's log lines and spans to the request
            future = lane.executor.submit(context.run, call)
        except RuntimeError:  # the pool has been shut down
            give_back()
            raise Overloaded("the server is stopping") from None
        future.add_done_callback(give_back)
        waiting = asyncio.wrap_future(future)
        if seconds is None and gone is None:
            return await waiting
        if feeding:
            return await _begun(waiting, future, seconds)
        watch = _Watch(waiting, seconds, gone)
        try:
            return await waiting
        except asyncio.CancelledError:
            if watch.over is None:
                raise
            raise _reason(watch.over, future, seconds, timeout_text) from None
        finally:
            watch.stop()

    def close(self) -> None:
        """Wait for running calls to finish, and drop waiting ones."""
        for lane in self._lanes:
            lane.executor.shutdown(wait=True, cancel_futures=True)


async def _begun(waiting: asyncio.Future[T], future: Future[T], seconds: float | None) -> T:
    """The result of a call. Drops the call if it gets no thread in time."""
    dropped = False

    def drop() -> None:
        nonlocal dropped
        dropped = future.cancel()

    timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, drop)
    try:
        return await waiting
    except asyncio.CancelledError:
        if not dropped:
            raise
        raise _reason("late", future, seconds, "") from None
    finally:
        if timer is not None:
            timer.cancel()


def _reason(over: str, future: Future[Any], seconds: float | None, timeout_text: str) -> Exception:
    if over == "gone":
        return ClientDisconnect()
    if future.cancelled():
        return _dropped(seconds)
    return ServerTimeoutError(f"the call takes longer than {seconds:g} s: {timeout_text}")


def _dropped(seconds: float | None) -> ServerTimeoutError:
    return ServerTimeoutError(f"the call waited {seconds:g} s for a thread and was dropped: nothing was done")


class _Watch:
    """Cancels a future when its time is up or its client has disconnected. `over` tells which."""

    def __init__(
        self, waiting: asyncio.Future[Any], seconds: float | None, gone: Callable[[], Awaitable[None]] | None
    ) -> None:
        self.over: str | None = None
        self._waiting = waiting
        self._gone = gone
        self._task: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(_WATCH_AFTER, self._look)] if gone is not None else []
        if seconds is not None:
            self._timers.append(loop.call_later(seconds, self._end, "late"))

    def _look(self) -> None:
        self._task = asyncio.ensure_future(self._until_gone())

    async def _until_gone(self) -> None:
        assert self._gone is not None
        await self._gone()
        self._end("gone")

    def _end(self, over: str) -> None:
        if not self._waiting.done():
            self.over = over
            self._waiting.cancel()

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._task is not None and not self._task.done():
            self._task.cancel()
