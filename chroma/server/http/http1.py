"""HTTP/1.1 on one connection: uvicorn's parser, with limits on the head of a request.

uvicorn does not limit the time or the size of a request's head. Here the head must arrive within
`HEAD_SECONDS` and fit in the setting `max_header_bytes`. Input that is not HTTP is rejected with an error
of the same form as all others.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ...errors import ChromaError, InvalidArgumentError
from ...wire.json_codec import error_to_json
from ..limits.connection_limit import Connections, unsent
from .cross_origin import NO_SNIFFING
from .middleware import TRACE_HEADER
from .responses import ABORT, TAKEN, to_json

HEAD_SECONDS = 30.0
LINGER_SECONDS = 2.0  # how long the rest of a rejected request is read and dropped


class HeadTooLarge(ChromaError):
    """The headers are too many or too long."""

    status = 431


class HeadTooSlow(ChromaError):
    """The head of a request did not arrive in time."""

    status = 408


class Protocol(HttpToolsProtocol):
    """The protocol of one connection."""

    _timer: asyncio.TimerHandle | None = None
    _reading_head = True
    _head = 0  # bytes of the request's head that have been parsed
    _fed = 0  # bytes received before the head was complete
    _part = 0  # bytes that were last given to the parser
    _refused = False
    registry: Connections | None = None  # all connections of the process
    moved = 0.0  # the time when bytes were last received, or writing last resumed
    _paused_at: int | None = None  # bytes that the client had not yet taken when writing paused
    _taken = 0  # bytes that the client took during earlier pauses
    _descriptor = -1

    @classmethod
    def over(cls, registry: Connections) -> type[Protocol]:
        """The protocol class for a process whose connections are in `registry`."""
        return type("Protocol", (cls,), {"registry": registry})

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    @property
    def waits_for_client(self) -> bool:
        """Whether the connection makes no progress until the client sends or takes bytes."""
        if self.idle or self.flow.write_paused:
            return True
        if self.cycle.waiting_for_100_continue:  # the client is waiting for the server
            return False
        return self.cycle.more_body and not self.cycle.body and not self.cycle.response_started

    @property
    def left_to_send(self) -> int | None:
        """The number of bytes that the client has not taken yet. None if the server has more to do, or if it
        has passed all bytes to the operating system."""
        if not (self.idle or self.flow.write_paused or self.transport.is_closing()):
            return None
        return self._untaken() if self.transport.get_write_buffer_size() else None

    def taken(self) -> int:
        """The number of bytes that the client took while responses were waiting for it."""
        paused = self._paused_at
        return self._taken if paused is None else self._taken + max(0, paused - self._untaken())

    def _untaken(self) -> int:
        return self.transport.get_write_buffer_size() + unsent(self.transport.get_extra_info("socket"))

    def abort(self) -> None:
        """Close the connection at once. The operating system also drops the bytes that the client has not
        taken."""
        if self.transport.get_write_buffer_size():
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    @property
    def _limit(self) -> int:
        """The size limit of a head in bytes. uvicorn's setting for it is named after its other parser."""
        return self.config.h11_max_incomplete_event_size or 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.moved = time.monotonic()
        if self.registry is not None:
            self._descriptor = transport.get_extra_info("socket").fileno()
            self.registry.speaks(self._descriptor, self)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self.registry is not None:
            self.registry.lost(self, self._descriptor)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self._paused_at = self._untaken()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.moved = time.monotonic()
        self._taken, self._paused_at = self.taken(), None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._part, self.moved = len(data), time.monotonic()
        super().data_received(data)
        if self._ending():
            return
        if self._reading_head:
            self._fed += len(data)  # includes bytes that the parser has not reported yet
            if self._fed > self._limit:
                self._refuse(_too_large(self._limit))
        elif self._timer is None and self.cycle.response_complete:
            # these bytes, such as an empty line, cancelled the timer that closes an idle connection
            self._timer = self.loop.call_later(HEAD_SECONDS, self._time_out)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"] |= {ABORT: self.abort, TAKEN: self.taken}
        if not self._reading_head:
            self._begin_head()
            self._fed = 1 - self._part  # the other bytes of this part may belong to the previous request

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._grown(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._grown(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._reading_head = False
        self._stop_timer()
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # the answer to HEAD has no body to send the head with
            self.cycle.transport = _HeadWithBody(self.transport)  # type: ignore[assignment]

    def _begin_head(self) -> None:
        self._reading_head, self._head, self._fed = True, 0, 0
        self._stop_timer()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._time_out)

    def _grown(self, size: int) -> None:
        self._head += size
        if self._head > self._limit:
            raise _too_large(self._limit)  # the parser stops here

    def _ending(self) -> bool:
        return self._refused or self.transport.is_closing()

    def _time_out(self) -> None:
        if self._ending():
            return
        if self._reading_head and self._fed:
            self._refuse(HeadTooSlow(f"the request did not begin within {HEAD_SECONDS:g} s"))
        else:
            self.transport.close()  # no request was begun on this connection

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def send_400_response(self, msg: str) -> None:
        """Reject a request that the parser could not parse."""
        if self._head > self._limit:
            self._refuse(_too_large(self._limit))
        else:
            self._refuse(
                InvalidArgumentError(f"{msg.rstrip('.')}: it is not HTTP/1.1 as the standard has it")
            )

    def _refuse(self, error: ChromaError) -> None:
        """Respond with an error and close. Only closes if an earlier request is still being answered."""
        self._stop_timer()
        cycle = self.cycle
        broken = cycle is not None and cycle.more_body and not cycle.response_started and not self.pipeline
        if broken:  # the body of the current request is rejected, and this is the response to it
            cycle.disconnected = True
            cycle.message_event.set()
        if broken or cycle is None or cycle.response_complete:
            body = to_json(error_to_json(error))
            status = STATUS_LINE.get(error.status, b"HTTP/1.1 400 Bad Request\r\n")
            head = (
                b"content-type: application/json\r\ncontent-length: %d\r\n%s: %s\r\n%s: %s\r\n"
                b"connection: close\r\n\r\n"
                % (len(body), TRACE_HEADER, os.urandom(16).hex().encode(), *NO_SNIFFING)
            )
            self.transport.write(status + head + body)
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Close the sending side, and keep reading for a while. Closing a connection with unread bytes would
        reset it, and the client might never see the response."""
        self._refused = True
        if not self.transport.can_write_eof():  # the connection uses TLS
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)


class _HeadWithBody:
    """The transport as one response sees it. Sends the head together with the first part of the body, which
    saves a system call here and one in the client."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = b""  # None once it was sent

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, None
            self._transport.write(data)
        elif self._head is None or data.startswith(b"HTTP/1.1 100 "):
            self._transport.write(data)
        else:
            self._head = data

    def close(self) -> None:
        if self._head:
            head, self._head = self._head, None
            self._transport.write(head)
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _too_large(limit: int) -> Any:
    return HeadTooLarge(f"the address and headers exceed {limit:,} bytes")
