"""The threads that engine calls run in: how many, who waits, who is dropped, who is given up.

A call that waits for a thread can be dropped, and then never runs. A call that runs cannot be
interrupted: nobody waits for it any longer, but its place stays taken until its thread ends.
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
from .fair_shares import Holder, NoPlace, Places

T = TypeVar("T")

RETRY_SECONDS = 1
# Most calls end sooner than this, and nobody has looked meanwhile whether their client is there.
_WATCH_AFTER = 0.02


class Overloaded(ChromaError):
    """All threads are busy and the queue is full; nothing was done."""

    status = 503


class _Lane:
    """Threads, and how many calls have one or wait for one."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = threads
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.held = 0

    @property
    def running(self) -> int:
        return min(self.held, self._threads)

    @property
    def queued(self) -> int:
        return max(0, self.held - self._threads)


class Pool:
    """At most `threads` calls run at once and `queue` wait, beyond that Overloaded is raised.

    Calls that wait for their own client's bytes have as many threads and places again, so that
    slow clients cannot keep the others out. Streams that are sent hold no thread between two pieces,
    but memory: twice `threads` may be open, and `queue` wait. Of either one caller
    has three quarters at most, and slow clients end where others wait.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self._calls = _Lane(threads, "chroma-call")
        self._feeds = _Lane(threads, "chroma-feed")
        self._checks = _Lane(1, "chroma-check")
        self._lanes = (self._calls, self._feeds, self._checks)
        self._most = threads + queue
        self._streams_in = Places(threads, queue)
        self._streams_out = Places(2 * threads, queue)
        self.rejected = 0  # calls that were refused because too many waited
        self._lock = threading.Lock()  # places are given back by the threads

    @property
    def running(self) -> int:
        """Calls that have a thread."""
        return sum(lane.running for lane in self._lanes)

    @property
    def queued(self) -> int:
        """Calls that wait for one."""
        return sum(lane.queued for lane in self._lanes) + self._streams_in.waiting

    @asynccontextmanager
    async def streaming(
        self, reader: Holder, seconds: float, gone: asyncio.Future[None]
    ) -> AsyncIterator[None]:
        """A place for an answer that is made while it is sent. Raises Overloaded when there is none in time,
        and ClientDisconnect."""
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self._streams_out.place(reader, seconds, gone))
            except NoPlace:
                if gone.done():
                    raise ClientDisconnect from None
                self.rejected += 1
                raise Overloaded(f"too many streams are being read; try again in {RETRY_SECONDS} s") from None
            yield

    async def feed(self, call: Callable[[], T], sender: Holder, seconds: float) -> T:
        """The result of a call that waits for bytes of its client. Raises Overloaded, ServerTimeoutError
        when it gets no place in time, and what the call raises."""
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self._streams_in.place(sender, seconds))
            except NoPlace as none:
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
        late: str = "it was given up",
        feeding: bool = False,
        checking: bool = False,
        admitted: bool = False,
    ) -> T:
        """The result of a call that runs in a thread.

        seconds   how long it may wait and run, or only wait if it is `feeding`; None is as long as it takes
        gone      returns when the client has gone away; None does not look
        late      what the error says of a call that had begun when its time was up
        feeding   whether the call waits for bytes of its client
        checking  whether it asks after the server's health, for which there is a thread apart
        admitted  whether it goes on with one that was let in before

        Raises Overloaded, ServerTimeoutError, ClientDisconnect, and what the call raises.
        """
        lane = self._feeds if feeding else self._calls
        if checking:
            lane = self._checks
        with self._lock:
            if lane.held >= self._most and not admitted:
                self.rejected += 1
                raise Overloaded(
                    f"{lane.held} calls are running or waiting already; try again in {RETRY_SECONDS} s"
                )
            lane.held += 1

        def give_back(_: object = None) -> None:
            with self._lock:
                lane.held -= 1

        try:
            context = contextvars.copy_context()  # log lines and spans of the thread belong to the request
            future = lane.executor.submit(context.run, call)
        except RuntimeError:  # it is shut down
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
            raise _reason(watch.over, future, seconds, late) from None
        finally:
            watch.stop()

    def close(self) -> None:
        """Let running calls finish; those that wait are dropped."""
        for lane in self._lanes:
            lane.executor.shutdown(wait=True, cancel_futures=True)


async def _begun(waiting: asyncio.Future[T], future: Future[T], seconds: float | None) -> T:
    """The result of a call that is dropped if it has no thread in time."""
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


def _reason(over: str, future: Future[Any], seconds: float | None, late: str) -> Exception:
    if over == "gone":
        return ClientDisconnect()
    if future.cancelled():
        return _dropped(seconds)
    return ServerTimeoutError(f"the call takes longer than {seconds:g} s: {late}")


def _dropped(seconds: float | None) -> ServerTimeoutError:
    return ServerTimeoutError(f"the call waited {seconds:g} s for a thread and was dropped: nothing was done")


class _Watch:
    """Cancels a future when its time is up or its client has gone. `over` says which."""

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
