"""The connections of one client's pool, so that closing it ends every call at once, in whatever thread.

A socket that is closed does not wake a thread that waits on it; one that is shut down does. The pool tells of
its connections by the events that httpcore calls a trace. Calls that wait for a place in the pool are woken
by those that end, and end in turn, since nothing begins any more.
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
_LOOK = 0.1  # seconds after which a call in an event loop that pauses sees that it was ended


class Connections:
    """Those that are open. `trace` is for the requests of threads, `async_trace` for those of event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: WeakSet[Any] = WeakSet()
        self._ended = threading.Event()

    def shut(self) -> None:
        """End what uses them, and let nothing begin. May be called again."""
        with self._lock:
            self._ended.set()
            streams = [*self._streams]
        for stream in streams:
            _shut(stream)

    def check(self) -> None:
        """Raise ClosedError after `shut`."""
        if self._ended.is_set():
            raise ClosedError("this client was closed while a call was under way")

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """What happens to a request."""
        if event.endswith(_BEGINS):
            self.check()
        elif event.endswith(_OPENED):
            stream = info["return_value"]
            with self._lock:
                self._streams.add(stream)
                late = self._ended.is_set()
            if late:
                _shut(stream)

    async def async_trace(self, event: str, info: Mapping[str, Any]) -> None:
        """The same in an event loop."""
        self.trace(event, info)

    def pause(self, seconds: float) -> None:
        """Wait. Raises ClosedError when it is shut meanwhile."""
        self._ended.wait(seconds)
        self.check()

    async def async_pause(self, seconds: float) -> None:
        """Let others run for so long. Raises ClosedError when it is shut meanwhile."""
        import asyncio

        while seconds > 0:
            self.check()
            await asyncio.sleep(min(seconds, _LOOK))
            seconds -= _LOOK
        self.check()


def _shut(stream: Any) -> None:
    """Wake whoever reads or writes it; it is closed by them, or by the pool."""
    with suppress(OSError):  # the other side was quicker
        found = stream.get_extra_info("socket")
        if isinstance(found, socket.socket):
            socket.socket.shutdown(found, socket.SHUT_RDWR)  # an SSL socket's own forgets its keys
        elif found is not None:
            found.shutdown(socket.SHUT_RDWR)
