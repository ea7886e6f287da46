"""Serves GET /metrics on a port of its own, without credentials.

The port has nothing else: neither records nor names. It runs in a thread of the main process. At most
`_MOST` connections are served at once, and further ones are closed.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..errors import InvalidArgumentError
from .http.cross_origin import Gate
from .observability.metrics import CONTENT_TYPE
from .settings.server_settings import ServerSettings

_log = logging.getLogger("chroma.server")

_MOST = 16
_SECONDS = 10  # how long a client may send and take nothing


@contextmanager
def listening(settings: ServerSettings, text: Callable[[], bytes] | None) -> Iterator[None]:
    """Serve the metrics while the block runs, if the settings name an address and there is a `text`."""
    if not settings.metrics_listen or text is None:
        yield
        return
    host, port = settings.metrics_address
    try:
        server = _Server(host, port, Gate(replace(settings, host=host)), text)
    except OSError as error:
        raise InvalidArgumentError(
            f"cannot listen on {settings.metrics_listen}: {error.strerror or error}; choose another address "
            "with --metrics-listen"
        ) from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    address = f"[{host}]" if ":" in host else host
    _log.info("metrics on http://%s:%s/metrics", address, server.server_address[1])
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, gate: Gate, text: Callable[[], bytes]) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.address_family = found[0]
        self.gate, self.text = gate, text
        self._free = threading.BoundedSemaphore(_MOST)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without looking the host's name up, as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, or close it if too many are open."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and let the next one in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what ended a connection. A client that stalls or leaves is no error of the server."""
        _log.debug("a connection for metrics ended early", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SECONDS
    server_version, sys_version = "chroma", ""

    def do_GET(self) -> None:
        refused = self.server.gate.refusal(
            "GET",
            {name.lower().encode(): text.encode("latin-1", "replace") for name, text in self.headers.items()},
        )
        if refused is not None:
            self._send(refused.status, refused.message().encode(), "text/plain; charset=utf-8")
        elif self.path.partition("?")[0] != "/metrics":
            self._send(404, b"only /metrics is here\n", "text/plain; charset=utf-8")
        else:
            try:
                text = self.server.text()
            except Exception:
                _log.exception("the metrics could not be read")
                self._send(
                    500, b"the metrics could not be read; the log says why\n", "text/plain; charset=utf-8"
                )
                return
            self._send(200, text, CONTENT_TYPE)

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes get no line in the log."""
