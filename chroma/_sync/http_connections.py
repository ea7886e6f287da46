# Made from chroma/_async/http_connections.py by scripts/twins.py: change that file, and run `make fix`.
"""Connections to one server for small requests, without the layers of httpx.

Owns: the idle connections. `chroma.http.fast_path` encodes requests and reads responses, and httpcore
opens the connections, as it does for httpx.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpcore
import httpx

from ..http.connection_pool import Connections
from ..http.fast_path import Heads, Reading

_READ_BYTES = 1 << 16


class FastPath:
    """The connections of a pool. Threads may share it. The errors are those of httpx."""

    def __init__(
        self, client: httpx.Client, url: httpx.URL, options: Mapping[str, Any], connections: Connections
    ) -> None:
        self._client = client
        self._heads = Heads(client)
        self._host, self._port = url.host, url.port or 80
        self._timeout: httpx.Timeout = options["timeout"]
        expiry = options["limits"].keepalive_expiry
        self._expiry = math.inf if expiry is None else expiry
        self._connections = connections
        self._network = httpcore.SyncBackend()
        self._idle: list[tuple[httpcore.NetworkStream, float]] = []  # with the time when they expire
        self.usable = True  # False once a server has set cookies, which httpx keeps

    def send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        """Send one request. Returns the response. Raises httpx.HTTPError or ClosedError."""
        content, request = self._heads.encode(method, url, body, headers)
        try:
            response = self._exchange(content, Reading(request))
        except (
            httpcore.TimeoutException,
            httpcore.NetworkError,
            httpcore.ProtocolError,
        ) as error:
            kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
            raise kind(str(error), request=request) from error
        if "set-cookie" in response.headers:
            self._client.cookies.extract_cookies(response)
            self.usable = False
        return response

    def _exchange(self, content: bytes, reading: Reading) -> httpx.Response:
        self._connections.check()
        stream = self._idle_stream()
        if stream is None:
            stream = self._network.connect_tcp(self._host, self._port, self._timeout.connect)
            self._connections.add(stream)
        try:
            response = self._exchanged(stream, content, reading)
        except BaseException:
            stream.close()
            raise
        if reading.reusable:
            self._idle.append((stream, time.monotonic() + self._expiry))
            self._close_expired()
        else:
            stream.close()
        return response

    def _exchanged(
        self, stream: httpcore.NetworkStream, content: bytes, reading: Reading
    ) -> httpx.Response:
        with suppress(httpcore.WriteError):  # the server may have answered before it read everything
            stream.write(content, self._timeout.write)
        while True:
            data = stream.read(_READ_BYTES, self._timeout.read)
            response = reading.feed(data)
            if response is not None:
                return response

    def _close_expired(self) -> None:
        """Close what is left of a time with more requests at once."""
        with suppress(IndexError):  # another thread has closed it
            while self._idle and self._idle[0][1] < time.monotonic():
                self._idle.pop(0)[0].close()

    def _idle_stream(self) -> httpcore.NetworkStream | None:
        """The connection that was used last, if it still stands."""
        while self._idle:
            try:
                stream, until = self._idle.pop()
            except IndexError:  # another thread has taken it
                return None
            if time.monotonic() < until and not stream.get_extra_info("is_readable"):
                return stream
            stream.close()
        return None

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[0].close()
