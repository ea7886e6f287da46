"""Limits the number of open connections of a process, and ends some when there are too many.

Anyone can open a connection without credentials, and each takes a file descriptor. The number of connections
therefore stays below the process's limit of descriptors, with a reserve for the engine. If there are too
many, connections that wait for their client are ended, the longest-waiting first. If one address has more
than half of all connections, its connections are ended before those of other addresses. This module also
bounds how long a response waits for its client, so a client that does not read cannot keep its connection.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import resource
import socket
import struct
import sys
import termios
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from .fair_shares import neighbourhood

_log = logging.getLogger("chroma.server")

_AT_ONCE = 16  # connections accepted before the event loop does other work
_SLACK = 64  # connections above the limit (at most an eighth of it) while ended ones are being closed
_STALLED_SECONDS = 5.0  # a client that stalls longer in the middle of a request may be ended for another
_SO_NWRITE = 0x1024  # a macOS constant that the standard library does not define
_RESERVE = 512  # descriptors reserved for the engine, if there are enough


class Waiting(Protocol):
    """The properties of a connection that speaks HTTP."""

    moved: float

    @property
    def idle(self) -> bool: ...

    @property
    def waits_for_client(self) -> bool: ...

    @property
    def left_to_send(self) -> int | None: ...

    def taken(self) -> int: ...

    def abort(self) -> None: ...


@dataclass(slots=True)
class _Connection:
    """An accepted connection. `speaker` is None until the TLS handshake is complete."""

    socket: socket.socket
    address: str
    accepted: float
    speaker: Waiting | None = None
    left: int = 0
    taken: int = 0
    left_since: float = 0.0
    ended: bool = False

    @property
    def moved(self) -> float:
        return self.accepted if self.speaker is None else self.speaker.moved

    def may_end(self, now: float) -> bool:
        if self.ended:
            return False
        if self.speaker is None or self.speaker.idle:
            return True
        return self.speaker.waits_for_client and now - self.speaker.moved > _STALLED_SECONDS

    def end(self) -> None:
        self.ended = True
        if self.speaker is not None:
            self.speaker.abort()
        else:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)  # the event loop then closes it
            except OSError as error:
                if error.errno not in (errno.ENOTCONN, errno.EBADF):
                    raise


class Connections:
    """All connections of a process. All methods run in the event loop."""

    def __init__(self, most: int, span: float, min_bytes: float) -> None:
        """In each `span` of seconds, a client must take `min_bytes`, or the rest if that is less."""
        self.most = most
        self._span = span
        self._min_bytes = min_bytes
        self._open: dict[int, _Connection] = {}  # by descriptor
        self._ending = 0  # how many of the open connections have been ended
        self._told = 0.0

    def accepted(self, found: socket.socket, host: str) -> bool:
        """Register a new connection. Returns whether it is accepted. If there are too many, ends others, or
        rejects the new one."""
        if found.fileno() in self._open:
            self._remove(found.fileno())  # the previous connection ended before it spoke HTTP
        self._open[found.fileno()] = _Connection(found, neighbourhood(host), time.monotonic())
        if len(self._open) - self._ending <= self.most:
            return True
        self._forget_closed()
        if len(self._open) - self._ending > self.most and not self.make_room(found):
            pass  # none can be ended, because all of them are being served
        elif len(self._open) <= self.most + max(_AT_ONCE, min(_SLACK, self.most // 8)):
            return True
        self._tell()
        self._remove(found.fileno())
        return False

    def speaks(self, descriptor: int, speaker: Waiting) -> None:
        """Note that a connection has begun to speak HTTP."""
        known = self._open.get(descriptor)
        if known is not None:
            known.speaker = speaker

    def lost(self, speaker: Waiting, descriptor: int) -> None:
        """Note that a connection has ended."""
        known = self._open.get(descriptor)
        if known is not None and known.speaker is speaker:
            self._remove(descriptor)

    def make_room(self, besides: socket.socket | None = None) -> int:
        """End some connections that wait for their clients. Returns how many."""
        now = time.monotonic()
        each = Counter(found.address for found in self._open.values())
        heavy = {address for address, count in each.items() if 2 * count > len(self._open)}
        ends = [found for found in self._open.values() if found.socket is not besides and found.may_end(now)]
        ends.sort(key=lambda found: (found.address not in heavy, found.moved))
        chosen = ends[: max(1, self.most // 32)]
        for found in chosen:
            found.end()
        self._ending += len(chosen)
        if chosen:
            self._tell()
        return len(chosen)

    def sweep(self) -> None:
        """End connections whose clients do not take their responses. Called regularly. For long responses,
        `Pace` has stricter limits."""
        now = time.monotonic()
        for found in self._with_a_rest():
            speaker, rest = found.speaker, 0
            assert speaker is not None
            rest = speaker.left_to_send or 0
            moved = max(found.left - rest, speaker.taken() - found.taken)
            if not found.left or moved >= self._min_bytes or rest > found.left:
                found.left, found.taken, found.left_since = rest, speaker.taken(), now
            elif now - found.left_since > self._span:
                speaker.abort()

    def _with_a_rest(self) -> Iterator[_Connection]:
        for found in [*self._open.values()]:
            if found.speaker is None:
                continue
            if found.speaker.left_to_send:
                yield found
            else:
                found.left = 0

    def _forget_closed(self) -> None:
        for descriptor in [at for at, found in self._open.items() if found.socket.fileno() != at]:
            self._remove(descriptor)

    def _remove(self, descriptor: int) -> None:
        self._ending -= self._open.pop(descriptor).ended

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told > 1:
            self._told = now
            _log.warning(
                "%s connections are open, the most there may be (--max-connections): some that wait for "
                "their clients end",
                len(self._open),
            )


class Listening(socket.socket):
    """A listening socket that accepts a few connections at a time, up to the limit."""

    def __init__(self, listening: socket.socket, connections: Connections) -> None:
        super().__init__(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._connections = connections
        self._turn = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection. Raises BlockingIOError if no connection waits, or to let the event loop do
        other work."""
        self._turn = (self._turn + 1) % _AT_ONCE
        if not self._turn:
            raise BlockingIOError
        try:
            found, address = super().accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and self._connections.make_room():
                raise BlockingIOError from None
            raise
        if not self._connections.accepted(found, address[0]):
            found.close()
            raise BlockingIOError
        return found, address


def unsent(connection: socket.socket) -> int:
    """The bytes of a connection that the operating system holds and the client has not taken.

    These bytes can be megabytes. The operating system reports room for more only after the client took many.
    """
    if connection.fileno() < 0:
        return 0
    if sys.platform == "darwin":
        return connection.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
    found: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    return found


def bound(limit: int) -> int:
    """The limit of connections: `limit`, or fewer to leave enough descriptors for the engine.

    Raises the process's limit of descriptors as far as needed and allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 2 * (limit + _RESERVE)
    if soft != resource.RLIM_INFINITY and soft < enough:
        raised = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        except (OSError, ValueError) as error:  # macOS has a second, lower limit
            _log.info("the limit of descriptors stays at %s: %s", soft, error)
    if soft == resource.RLIM_INFINITY:
        return limit
    return max(1, min(limit, soft - max(soft // 4, min(_RESERVE, soft // 2))))
