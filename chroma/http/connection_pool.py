"""Tracks the open connections of a client's pool, so that closing the client ends its calls in all threads.

A thread that waits on a socket does not notice that the socket is closed. It does notice a shutdown. So this
module shuts the sockets down. It learns of them from the events of httpcore, called a trace. Calls that wait
for a connection of the pool end one after the other, because no request can start any more.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from ..errors import ClosedError

_OPENED = ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")
_BEGINS = ("connect_tcp.started", "connect_unix_socket.started", "send_request_headers.started")
_LOOK = 0.1  # seconds between a pausing call's checks for `shut`, in an event loop


class Connections:
    """The open connections of a pool. Requests from threads use `trace`, those from event loops
    `async_trace`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: WeakSet[Any] = WeakSet()
        self._ended = threading.Event()

    def shut(self) -> None:
        """End all requests in progress, and refuse new ones. May be called again."""
        with self._lock:
            self._ended.set()
            streams = [*self._streams]
        for stream in streams:
            _shut(stream)

    def check(self) -> None:
        """Raise ClosedError if `shut` has been called."""
        if self._ended.is_set():
            raise ClosedError("this client was closed while a call was under way")

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Handle a trace event of a request. Raises ClosedError after `shut` if the request is starting."""
        if event.endswith(_BEGINS):
            self.check()
        elif event.endswith(_OPENED):
            self.add(info["return_value"])

    def add(self, stream: Any) -> None:
        """Note a connection that was opened. Shuts it down after `shut`."""
        with self._lock:
            self._streams.add(stream)
            ended = self._ended.is_set()
        if ended:
            _shut(stream)

    async def async_trace(self, event: str, info: Mapping[str, Any]) -> None:
        """`trace` for an event loop."""
        self.trace(event, info)

    def pause(self, seconds: float) -> None:
        """Block for `seconds`. Raises ClosedError as soon as `shut` is called."""
        self._ended.wait(seconds)
        self.check()

    async def async_pause(self, seconds: float) -> None:
        """Sleep for `seconds` without blocking the event loop. Raises ClosedError soon after `shut` is
        called."""
        import asyncio

        while seconds > 0:
            self.check()
            await asyncio.sleep(min(seconds, _LOOK))
            seconds -= _LOOK
        self.check()


def _shut(stream: Any) -> None:
    """Shut a socket down, which wakes the thread or task that reads or writes it. That call or the pool
    closes the socket."""
    with suppress(OSError):  # the server closed the connection first
        found = stream.get_extra_info("socket")
        if isinstance(found, socket.socket):
            # the `shutdown` of an SSL socket would discard its TLS state
            socket.socket.shutdown(found, socket.SHUT_RDWR)
        elif found is not None:
            found.shutdown(socket.SHUT_RDWR)
