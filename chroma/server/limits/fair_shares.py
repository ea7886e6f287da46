"""Shares slots and bytes of memory among callers.

Decides how much each caller may have, and which request ends to make room for others. A caller is
identified by its key if there is authentication, otherwise by its address. A caller may take most of a
resource, but not all of it. If a resource runs out, a slow client that holds some of it is ended.
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

_LOOK_SECONDS = 0.25  # the time between a waiting request's searches for a slow one


def share_of(most: int) -> int:
    """One caller's share of `most`: three quarters, but at least one."""
    return max(1, most - most // 4)


def neighbourhood(host: str) -> str:
    """The address to count a caller by. For IPv6 this is the /64 network, since one caller usually has all
    of its addresses."""
    if ":" not in host:
        return host
    try:
        return str(ipaddress.IPv6Network((host.partition("%")[0], 64), strict=False).network_address)
    except ValueError:
        return host


def caller_of(scope: Mapping[str, Any], name: str) -> str:
    """The key of a request, or the address that it came from if it has no key."""
    client = scope.get("client")
    if name:
        return f"key {name}"
    return neighbourhood(client[0]) if client else ""


class Holder:
    """The resources that one request holds, and the pace of its client."""

    __slots__ = ("bytes", "caller", "closed", "ended_for", "pace")

    def __init__(self, caller: str, pace: Pace) -> None:
        self.caller, self.pace = caller, pace
        self.bytes = 0
        self.closed = False
        self.ended_for = ""  # the reason, if the request was ended to make room for others


def slowest(holders: Iterable[Holder]) -> Holder | None:
    """The request with the slowest client, among those slow enough to be ended to make room for other
    requests. None if there is none."""
    found = [(rate, holder) for holder in holders if (rate := holder.pace.slowness) is not None]
    return min(found, key=lambda pair: pair[0])[1] if found else None


class NoSlot(Exception):
    """No slot became free in time, or too many requests are already waiting."""

    def __init__(self, waited: bool) -> None:
        self.waited = waited


class Slots:
    """At most `most` requests hold a slot at a time. Belongs to one event loop."""

    def __init__(self, most: int, queue: int) -> None:
        self._most, self._share, self._queue = most, share_of(most), queue
        self._holders: set[Holder] = set()
        self._each: Counter[str] = Counter()
        self._waiting: dict[Holder, asyncio.Future[None]] = {}

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a slot."""
        return len(self._waiting)

    @asynccontextmanager
    async def slot(
        self, holder: Holder, seconds: float, gone: asyncio.Future[None] | None = None
    ) -> AsyncIterator[None]:
        """Holds a slot while the `with` block runs. Raises NoSlot if none becomes free within `seconds`,
        if too many requests are waiting, or if the client has `gone`."""
        if self._is_free(holder):
            self._take(holder)
        elif len(self._waiting) >= self._queue:
            self._end_slow(holder)
            raise NoSlot(waited=False)
        else:
            await self._wait(holder, seconds, gone)
        try:
            yield
        finally:
            self._holders.discard(holder)
            self._each[holder.caller] -= 1
            self._hand_on()

    def _is_free(self, holder: Holder) -> bool:
        return len(self._holders) < self._most and self._each[holder.caller] < self._share

    def _take(self, holder: Holder) -> None:
        self._holders.add(holder)
        self._each[holder.caller] += 1

    async def _wait(self, holder: Holder, seconds: float, gone: asyncio.Future[None] | None) -> None:
        until = time.monotonic() + seconds
        turn = self._waiting[holder] = asyncio.get_running_loop().create_future()
        try:
            while not turn.done():
                self._end_slow(holder)
                rest = until - time.monotonic()
                if rest <= 0 or (gone is not None and gone.done()):
                    raise NoSlot(waited=True)
                await asyncio.wait([turn], timeout=min(_LOOK_SECONDS, rest))
        except BaseException:
            if turn.done():  # the slot was assigned to this request meanwhile
                self._holders.discard(holder)
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
        self._each += Counter()  # removes callers that hold nothing

    def _end_slow(self, newcomer: Holder) -> None:
        full = len(self._holders) >= self._most
        victim = slowest(holder for holder in self._holders if full or holder.caller == newcomer.caller)
        if victim is not None:
            victim.pace.end("others wait for its place")


class Budget:
    """The bytes of memory that requests hold. The event loop and threads may use it."""

    def __init__(self, most: int) -> None:
        self.lock = threading.Lock()
        self.most, self._share = most, share_of(most)
        self.used = 0
        self._each: dict[str, int] = {}  # bytes per caller; a Counter takes three times as long
        self._holders: dict[Holder, asyncio.AbstractEventLoop] = {}

    def take(self, holder: Holder, size: int, loop: asyncio.AbstractEventLoop, alone: bool = False) -> bool:
        """Take `size` more bytes for a request. Returns False if there is no room, even after ending slow
        requests.

        alone  whether a caller that holds nothing may take more than its share
        Raises LookupError if the request's bytes have already been given back.
        """
        with self.lock:
            if holder.closed:
                raise LookupError
            while not self._has_room(holder, size, alone):
                if not self._end_slow(holder, size):
                    return False
            holder.bytes += size
            self.used += size
            self._each[holder.caller] = self._each.get(holder.caller, 0) + size
            self._holders[holder] = loop
            return True

    def give_back(self, holder: Holder) -> None:
        """Give back all bytes of a request, which can take no more afterwards."""
        with self.lock:
            self._release(holder)

    def _has_room(self, holder: Holder, size: int, alone: bool) -> bool:
        if alone and holder.caller not in self._each:
            return self.used <= self.most - min(size, self.most // 4)
        return self.used + size <= self.most and not self._is_beyond(holder, size)

    def _is_beyond(self, holder: Holder, size: int) -> bool:
        """Whether the caller would have more than its share. A caller's only request may have any size."""
        others = self._each.get(holder.caller, 0) - holder.bytes
        return others > 0 and others + holder.bytes + size > self._share

    def _end_slow(self, newcomer: Holder, size: int) -> bool:
        """End a slow request whose bytes would make room for `newcomer`, and give its bytes back. Returns
        whether there was one."""
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
            self.used -= holder.bytes
            rest = self._each.pop(holder.caller) - holder.bytes
            if rest:
                self._each[holder.caller] = rest
            holder.bytes = 0
            del self._holders[holder]
