"""Checks passwords in a single thread, since each check is slow by design, and decides their order.

Correct passwords and recent wrong ones are remembered by a keyed hash. They need no new check. Other
passwords wait. Two kinds are taken in turn: the password that has waited longest, and the one whose
connection or address has failed least often. The first choice makes sure that every password is checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ..limits.fair_shares import neighbourhood
from ..limits.thread_pool import Overloaded
from .credentials_file import Entry, is_password, nobodys_password

_MOST_REMEMBERED = 4096  # remembered passwords and failures, per kind
_MOST_WAITING = 1024  # password checks that may wait at a time
_WRONG_SECONDS = 60.0  # how long a wrong password is remembered
_FAILED_SECONDS = 600.0  # how long failures affect the order


class _Failures:
    """The number of recent failures per connection or address. The oldest entries are forgotten."""

    def __init__(self) -> None:
        self._found: dict[Any, tuple[int, float]] = {}

    def of(self, who: Any) -> int:
        times, last = self._found.get(who, (0, 0.0))
        return times if time.monotonic() - last < _FAILED_SECONDS else 0

    def add(self, who: Any) -> None:
        times = self.of(who) + 1
        self._found.pop(who, None)
        self._found[who] = times, time.monotonic()
        if len(self._found) > _MOST_REMEMBERED:
            del self._found[next(iter(self._found))]


@dataclass(slots=True, eq=False)
class _Ticket:
    """A waiting check."""

    rank: tuple[int, int]
    hashed: str
    password: bytes
    answer: asyncio.Future[bool]


class Passwords:
    """Checks passwords for one event loop."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._right: dict[bytes, None] = {}
        self._wrong: dict[bytes, float] = {}
        self._running: dict[bytes, asyncio.Future[bool]] = {}  # includes waiting checks
        self._waiting: list[_Ticket] = []
        self._connections, self._addresses = _Failures(), _Failures()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="chroma-password")
        self._busy, self._turn = False, 0
        self._nobody = nobodys_password()

    async def check(
        self, entry: Entry | None, name: str, password: bytes, client: tuple[str, int] | None
    ) -> bool:
        """Whether the password is that of the entry. Without an entry, returns False after the same time.

        name, client  the user name that was sent, and the address and port of the client
        Raises Overloaded if too many checks are waiting.
        """
        hashed = self._nobody if entry is None else entry.secret
        said = f"{hashed} {len(name)} {name} ".encode() + password  # unknown users differ by name
        mark = hashlib.blake2b(said, key=self._key, digest_size=32).digest()
        if mark in self._right:
            return entry is not None
        if time.monotonic() - self._wrong.get(mark, -_WRONG_SECONDS) < _WRONG_SECONDS:
            return False
        at, address = client, neighbourhood(client[0]) if client else ""
        answer = self._running.get(mark)
        if answer is None:
            answer = self._queued(hashed, password, (self._connections.of(at), self._addresses.of(address)))
            self._running[mark] = answer
            answer.add_done_callback(lambda _: self._running.pop(mark, None))
        right = await asyncio.shield(answer) and entry is not None
        if right:
            _remember(self._right, mark, None)
        else:
            _remember(self._wrong, mark, time.monotonic())
            self._connections.add(at)
            self._addresses.add(address)
        return right

    def _queued(self, hashed: str, password: bytes, rank: tuple[int, int]) -> asyncio.Future[bool]:
        if len(self._waiting) >= _MOST_WAITING:
            self._drop(rank)
        ticket = _Ticket(rank, hashed, password, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        if not self._busy:
            self._next()
        return ticket.answer

    def _drop(self, rank: tuple[int, int]) -> None:
        """Drop the waiting check with the most failures. Raises Overloaded if the new one has as many."""
        overloaded = Overloaded("too many passwords are being checked; try again in a second")
        last = max(self._waiting, key=lambda ticket: ticket.rank)
        if last.rank <= rank:
            raise overloaded
        self._waiting.remove(last)
        last.answer.set_exception(overloaded)

    def _next(self) -> None:
        self._busy = bool(self._waiting)
        if not self._busy:
            return
        self._turn += 1
        # among equal ranks, `min` takes the first, which is the one that arrived first
        ticket = self._waiting[0] if self._turn % 2 else min(self._waiting, key=lambda found: found.rank)
        self._waiting.remove(ticket)
        done = asyncio.get_running_loop().run_in_executor(
            self._executor, is_password, ticket.hashed, ticket.password
        )
        done.add_done_callback(lambda found: self._answered(ticket, found))

    def _answered(self, ticket: _Ticket, done: asyncio.Future[bool]) -> None:
        if not ticket.answer.done():
            if done.cancelled():
                ticket.answer.cancel()
            elif (error := done.exception()) is not None:
                ticket.answer.set_exception(error)
            else:
                ticket.answer.set_result(done.result())
        self._next()


def _remember(found: dict[bytes, Any], mark: bytes, value: Any) -> None:
    if len(found) >= _MOST_REMEMBERED and mark not in found:
        del found[next(iter(found))]
    found[mark] = value
