"""Places and bytes that callers share: how many there are, what one may have, who is ended for others.

A caller is a key where there are keys, else an address, and may take most of what there is, never all of it.
Where something is short, a client ends that holds some of it and is slow.
"""

from __future__ import annotations

import asyncio
import ipaddress
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from .transfer_rate import Pace

_LOOK_SECONDS = 0.25  # how often a waiting caller looks for a slow one


def share_of(most: int) -> int:
    """What one caller may have of `most`: three quarters, and something in any case."""
    return max(1, most - most // 4)


def neighbourhood(host: str) -> str:
    """An address for counting: of IPv6 the first half, since whoever has one there has them all."""
    if ":" not in host:
        return host
    try:
        return str(ipaddress.IPv6Network((host.partition("%")[0], 64), strict=False).network_address)
    except ValueError:
        return host


def caller_of(scope: Mapping[str, Any], name: str) -> str:
    """The key that a request came with, else the address that it came from."""
    client = scope.get("client")
    if name:
        return f"key {name}"
    return neighbourhood(client[0]) if client else ""


class Holder:
    """What one request holds, and how fast its client is."""

    __slots__ = ("bytes", "caller", "closed", "ended_for", "pace")

    def __init__(self, caller: str, pace: Pace) -> None:
        self.caller, self.pace = caller, pace
        self.bytes = 0
        self.closed = False
        self.ended_for = ""  # why, when it had to give up what it held


def slowest(holders: Iterable[Holder]) -> Holder | None:
    """The one to end for others, if there is one."""
    found = [(rate, holder) for holder in holders if (rate := holder.pace.slowness) is not None]
    return min(found, key=lambda pair: pair[0])[1] if found else None


class NoPlace(Exception):
    """None became free in time, or too many wait for one."""

    def __init__(self, waited: bool) -> None:
        self.waited = waited


class Places:
    """So many places, for as many requests at a time. It belongs to one event loop."""

    def __init__(self, most: int, queue: int) -> None:
        self._most, self._share, self._queue = most, share_of(most), queue
        self._held: set[Holder] = set()
        self._each: Counter[str] = Counter()
        self._waiting: dict[Holder, asyncio.Future[None]] = {}

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return len(self._waiting)

    @asynccontextmanager
    async def place(
        self, holder: Holder, seconds: float, gone: asyncio.Future[None] | None = None
    ) -> AsyncIterator[None]:
        """A place for the block. Raises NoPlace, also when its client has `gone`."""
        if self._is_free(holder):
            self._take(holder)
        elif len(self._waiting) >= self._queue:
            self._end_slow(holder)
            raise NoPlace(waited=False)
        else:
            await self._wait(holder, seconds, gone)
        try:
            yield
        finally:
            self._held.discard(holder)
            self._each[holder.caller] -= 1
            self._hand_on()

    def _is_free(self, holder: Holder) -> bool:
        return len(self._held) < self._most and self._each[holder.caller] < self._share

    def _take(self, holder: Holder) -> None:
        self._held.add(holder)
        self._each[holder.caller] += 1

    async def _wait(self, holder: Holder, seconds: float, gone: asyncio.Future[None] | None) -> None:
        until = time.monotonic() + seconds
        turn = self._waiting[holder] = asyncio.get_running_loop().create_future()
        try:
            while not turn.done():
                self._end_slow(holder)
                rest = until - time.monotonic()
                if rest <= 0 or (gone is not None and gone.done()):
                    raise NoPlace(waited=True)
                await asyncio.wait([turn], timeout=min(_LOOK_SECONDS, rest))
        except BaseException:
            if turn.done():  # it had become its own meanwhile
                self._held.discard(holder)
                self._each[holder.caller] -= 1
                self._hand_on()
            raise
        finally:
            self._waiting.pop(holder, None)

    def _hand_on(self) -> None:
        for holder, turn in [*self._waiting.items()]:
            if not turn.done() and self._is_free(holder):
                self._take(holder)
                turn.set_result(None)
        self._each += Counter()  # callers that hold nothing are forgotten

    def _end_slow(self, newcomer: Holder) -> None:
        full = len(self._held) >= self._most
        victim = slowest(held for held in self._held if full or held.caller == newcomer.caller)
        if victim is not None:
            victim.pace.end("others wait for its place")


class Budget:
    """Bytes that are in memory for requests at a time. Taken by the event loop and by threads."""

    def __init__(self, most: int) -> None:
        self.lock = threading.Lock()
        self.most, self._share = most, share_of(most)
        self.held = 0
        self._each: dict[str, int] = {}  # by caller; a Counter takes three times as long
        self._holders: dict[Holder, asyncio.AbstractEventLoop] = {}

    def take(self, holder: Holder, size: int, loop: asyncio.AbstractEventLoop, alone: bool = False) -> bool:
        """Whether there is room for more bytes of a request; slow ones end if there is none otherwise.

        alone  whether a caller who holds nothing may have more than a share
        Raises LookupError when the request holds nothing any longer.
        """
        with self.lock:
            if holder.closed:
                raise LookupError
            while not self._has_room(holder, size, alone):
                if not self._end_slow(holder, size):
                    return False
            holder.bytes += size
            self.held += size
            self._each[holder.caller] = self._each.get(holder.caller, 0) + size
            self._holders[holder] = loop
            return True

    def give_back(self, holder: Holder) -> None:
        """All that a request holds; it gets no more."""
        with self.lock:
            self._release(holder)

    def _has_room(self, holder: Holder, size: int, alone: bool) -> bool:
        if alone and holder.caller not in self._each:
            return self.held <= self.most - min(size, self.most // 4)
        return self.held + size <= self.most and not self._is_beyond(holder, size)

    def _is_beyond(self, holder: Holder, size: int) -> bool:
        """Whether its caller would have more than a share. A single request may have all."""
        others = self._each.get(holder.caller, 0) - holder.bytes
        return others > 0 and others + holder.bytes + size > self._share

    def _end_slow(self, newcomer: Holder, size: int) -> bool:
        """End one that is slow, where that helps. Its bytes count no longer, and it gets no more."""
        own = self._is_beyond(newcomer, size)
        victim = slowest(
            holder
            for holder in self._holders
            if holder is not newcomer and (not own or holder.caller == newcomer.caller)
        )
        if victim is None:
            return False
        loop = self._holders[victim]
        victim.ended_for = "others need its memory"
        self._release(victim)
        loop.call_soon_threadsafe(victim.pace.end, victim.ended_for)
        return True

    def _release(self, holder: Holder) -> None:
        holder.closed = True
        if holder in self._holders:
            self.held -= holder.bytes
            rest = self._each.pop(holder.caller) - holder.bytes
            if rest:
                self._each[holder.caller] = rest
            holder.bytes = 0
            del self._holders[holder]
