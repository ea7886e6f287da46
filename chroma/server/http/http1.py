"""HTTP/1.1 on one connection: uvicorn's parser, with limits on what comes before a body.

uvicorn waits for a request's head as long as it takes and however long it grows; here it must
arrive within `HEAD_SECONDS` and fit in the setting `max_header_bytes`. What is not HTTP is
refused in the form of all other errors.
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
LINGER_SECONDS = 2.0  # for which the rest of what was refused is read and dropped


class HeadTooLarge(ChromaError):
    """Too many headers, or too long ones."""

    status = 431


class HeadTooSlow(ChromaError):
    """A request that was begun and does not go on."""

    status = 408


class Protocol(HttpToolsProtocol):
    """One connection."""

    _timer: asyncio.TimerHandle | None = None
    _reading_head = True
    _head = 0  # bytes of the request's head that were parsed
    _fed = 0  # bytes that came before it was complete
    _part = 0  # bytes that are with the parser
    _refused = False
    registry: Connections | None = None  # of the process
    moved = 0.0  # when something came in, or room for something to go out
    _paused_at: int | None = None  # bytes that the client had to take when writing paused
    _taken = 0  # bytes that it took in pauses before
    _descriptor = -1

    @classmethod
    def over(cls, registry: Connections) -> type[Protocol]:
        """The protocol of a process with that register."""
        return type("Protocol", (cls,), {"registry": registry})

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing goes on here unless the client does something."""
        if self.idle or self.flow.write_paused:
            return True
        if self.cycle.waiting_for_100_continue:  # the client waits for its place here
            return False
        return self.cycle.more_body and not self.cycle.body and not self.cycle.response_started

    @property
    def left_to_send(self) -> int | None:
        """Bytes that the client has not taken, where nothing more is sent before; None elsewhere, and where
        the system has all of them."""
        if not (self.idle or self.flow.write_paused or self.transport.is_closing()):
            return None
        return self._untaken() if self.transport.get_write_buffer_size() else None

    def taken(self) -> int:
        """Bytes that the client took while answers waited for it."""
        paused = self._paused_at
        return self._taken if paused is None else self._taken + max(0, paused - self._untaken())

    def _untaken(self) -> int:
        return self.transport.get_write_buffer_size() + unsent(self.transport.get_extra_info("socket"))

    def abort(self) -> None:
        """End it at once. What the client did not take is dropped by the system as well."""
        if self.transport.get_write_buffer_size():
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    @property
    def _limit(self) -> int:
        """Bytes of a head; uvicorn has one setting for it, named after its other parser."""
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
            self._fed += len(data)  # parts that are still with the parser count as well
            if self._fed > self._limit:
                self._refuse(_too_large(self._limit))
        elif self._timer is None and self.cycle.response_complete:
            # an empty line, say: it has ended the time for which an idle connection is kept
            self._timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"] |= {ABORT: self.abort, TAKEN: self.taken}
        if not self._reading_head:
            self._begin_head()
            self._fed = 1 - self._part  # what else this part holds may belong to the request before

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

    def _begin_head(self) -> None:
        self._reading_head, self._head, self._fed = True, 0, 0
        self._stop_timer()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def _grown(self, size: int) -> None:
        self._head += size
        if self._head > self._limit:
            raise _too_large(self._limit)  # the parser stops here

    def _ending(self) -> bool:
        return self._refused or self.transport.is_closing()

    def _late(self) -> None:
        if self._ending():
            return
        if self._reading_head and self._fed:
            self._refuse(HeadTooSlow(f"the request did not begin within {HEAD_SECONDS:g} s"))
        else:
            self.transport.close()  # a connection on which nothing was asked

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def send_400_response(self, msg: str) -> None:
        """What the parser refuses."""
        if self._head > self._limit:
            self._refuse(_too_large(self._limit))
        else:
            self._refuse(
                InvalidArgumentError(f"{msg.rstrip('.')}: it is not HTTP/1.1 as the standard has it")
            )

    def _refuse(self, error: ChromaError) -> None:
        """Answer and close. While an earlier request is being answered there is only the closing."""
        self._stop_timer()
        cycle = self.cycle
        broken = cycle is not None and cycle.more_body and not cycle.response_started and not self.pipeline
        if broken:  # what is refused is the body of the request at hand: this is its answer
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
        """End what is sent, and read on for a while: a connection that is closed with bytes not read is
        reset, and the client may never see the answer."""
        self._refused = True
        if not self.transport.can_write_eof():  # TLS
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)


def _too_large(limit: int) -> Any:
    return HeadTooLarge(f"the address and headers exceed {limit:,} bytes")
