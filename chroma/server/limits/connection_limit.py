"""The connections of one process: how many there may be, and which end when there are too many.

A connection costs a descriptor and no credentials. Their number stays below the limit of the process, with a
reserve for the engine; where there is one too many, those end that wait for their client, the longest first,
and first of all those of an address that has most of them. What an answer waits for is bounded here as
well: a client that does not read keeps its connection for a while only.
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

_AT_ONCE = 16  # connections that are taken before others have their turn
_SLACK = 64  # beyond the bound, while those that end are being closed, or an eighth of it
_STALLED_SECONDS = 5.0  # after which a client in the middle of something may be ended for another one
_SO_NWRITE = 0x1024  # of macOS; the library has no name for it
_RESERVE = 512  # descriptors for the engine, where there are as many


class Waiting(Protocol):
    """What is known of a connection that speaks HTTP."""

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
    """One that was accepted. Before its TLS is agreed on there is no `speaker`."""

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
                self.socket.shutdown(socket.SHUT_RDWR)  # the event loop sees its end
            except OSError as error:
                if error.errno not in (errno.ENOTCONN, errno.EBADF):
                    raise


class Connections:
    """All of a process. Everything here happens in the event loop."""

    def __init__(self, most: int, span: float, min_bytes: float) -> None:
        """`min_bytes`: what a client must take in each `span` of seconds, or all where there is less."""
        self.most = most
        self._span = span
        self._min_bytes = min_bytes
        self._open: dict[int, _Connection] = {}  # by descriptor
        self._ending = 0  # of those that are open
        self._told = 0.0

    def accepted(self, found: socket.socket, host: str) -> bool:
        """Whether a new one is taken. For one too many others end, or it is not."""
        if found.fileno() in self._open:
            self._remove(found.fileno())  # it ended before it spoke
        self._open[found.fileno()] = _Connection(found, neighbourhood(host), time.monotonic())
        if len(self._open) - self._ending <= self.most:
            return True
        self._forget_closed()
        if len(self._open) - self._ending > self.most and not self.make_room(found):
            pass  # all of them are served
        elif len(self._open) <= self.most + max(_AT_ONCE, min(_SLACK, self.most // 8)):
            return True
        self._tell()
        self._remove(found.fileno())
        return False

    def speaks(self, descriptor: int, speaker: Waiting) -> None:
        """A connection has begun to speak HTTP."""
        known = self._open.get(descriptor)
        if known is not None:
            known.speaker = speaker

    def lost(self, speaker: Waiting, descriptor: int) -> None:
        """It has ended."""
        known = self._open.get(descriptor)
        if known is not None and known.speaker is speaker:
            self._remove(descriptor)

    def make_room(self, besides: socket.socket | None = None) -> int:
        """End some that wait for their clients; how many."""
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
        """Once in a while: end those whose answers are not taken. Of a long one `Pace` asks for more."""
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
    """A listening socket that takes a few connections at a time, and none beyond what there may be."""

    def __init__(self, listening: socket.socket, connections: Connections) -> None:
        super().__init__(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._connections = connections
        self._turn = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """The next one. Raises BlockingIOError when there is none, or others have their turn."""
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
    """Bytes that the system has taken for a connection, and its client has not.

    They can be megabytes, and the system says that there is room for more only when much of it is gone.
    """
    if connection.fileno() < 0:
        return 0
    if sys.platform == "darwin":
        return connection.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
    found: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    return found


def bound(wanted: int) -> int:
    """How many connections there may be: as many as are wanted, if descriptors are left for the engine.

    The process takes as many descriptors as the system gives it for that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 2 * (wanted + _RESERVE)
    if soft != resource.RLIM_INFINITY and soft < enough:
        raised = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        except (OSError, ValueError) as error:  # macOS has another limit besides
            _log.info("the limit of descriptors stays at %s: %s", soft, error)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - max(soft // 4, min(_RESERVE, soft // 2))))
