"""Encodes small requests and reads their responses: the fast path, without the layers of httpx.

Owns: which requests may go such a way, the bytes of their heads, and the fast reading of ordinary responses.
httpx takes 0.4 ms for a request, a quarter of a query over loopback. It makes each head once, so that the
server sees the same headers either way. h11, the parser of httpx, reads responses of any other form.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from types import FunctionType
from typing import Any
from urllib.request import getproxies

import h11
import httpcore
import httpx

from ..config import Settings

MOST_BYTES = 1 << 20  # larger bodies are sent by httpx, and gain nothing
_MOST_HEAD = 1 << 16
_HEADS = 256  # heads that are kept

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(rb"HTTP/1\.1 ([2-5]\d\d)(?: [^\r\n\0]*)?\r\n((?:%b:[^\r\n\0]*\r\n)*)\r\n" % _NAME)
_WITHOUT_BODY = (204, 304)


def possible(settings: Settings, url: httpx.URL) -> bool:
    """Whether requests to `url` need nothing that only httpx offers: TLS, proxies, limits on connections, and
    credentials in the URL."""
    limits = settings.chroma_http_max_connections, settings.chroma_http_max_keepalive_connections
    return url.scheme == "http" and not url.userinfo and limits == (None, None) and not getproxies()


def observed() -> bool:
    """Whether the program logs the requests of httpx, or has replaced its functions to see or answer them."""
    return _log.isEnabledFor(logging.INFO) or _functions() != _originals


def _functions() -> tuple[Any, ...]:
    return (
        httpx.Client.send,
        httpx.AsyncClient.send,
        httpx.HTTPTransport.handle_request,
        httpx.AsyncHTTPTransport.handle_async_request,
        httpcore.ConnectionPool.handle_request,
        httpcore.HTTPConnection.handle_request,
        httpcore.AsyncConnectionPool.handle_async_request,
        httpcore.AsyncHTTPConnection.handle_async_request,
        *(getattr(client, name, None) for client in (httpx.Client, httpx.AsyncClient) for name in _INTERNAL),
    )


# What libraries that answer or record requests in tests replace, too.
_INTERNAL = "_transport_for_url", "_send_single_request"


_log = logging.getLogger("httpx")
_END_OF_HEAD = re.compile(rb"\n\r?\n")  # h11 accepts lines without a carriage return
_originals = tuple(
    function
    if type(function) is FunctionType and function.__module__.startswith(("httpx.", "httpcore."))
    else None
    for function in _functions()
)


class Heads:
    """The heads of requests, as httpx makes them for a client."""

    def __init__(self, client: httpx.Client | httpx.AsyncClient) -> None:
        self._client = client
        self._known: dict[tuple[str, str, tuple[str, ...]], tuple[bytes, httpx.Request]] = {}

    def encode(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[bytes, httpx.Request]:
        """A request as bytes, and as httpx represents it, without its body."""
        key = method, url, tuple(headers.values()) if body is None else (*headers.values(), "body")
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _HEADS:
                self._known.clear()
            found = self._known[key] = self._made(method, url, body, headers)
        head, request = found
        return (
            head + b"\r\n" if body is None else b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
        ), request

    def _made(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[bytes, httpx.Request]:
        request = self._client.build_request(method, url, content=body, headers=dict(headers))
        lines = [
            name + b": " + value
            for name, value in request.headers.raw
            if body is None or name.lower() != b"content-length"
        ]
        first = b"%b %b HTTP/1.1" % (method.encode("ascii"), request.url.raw_path)
        bare = httpx.Request(method, request.url, headers=request.headers)
        return b"\r\n".join([first, *lines, b""]), bare


class Reading:
    """Reads the response to one request, as its bytes arrive."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._data = bytearray()
        self._body = -1  # where the body begins, once the head has been read
        self._end = -1
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._parser: _Parser | None = None
        self.reusable = False  # whether the connection can have another request after this one

    def feed(self, data: bytes) -> httpx.Response | None:
        """The response, or None if more bytes are needed. No bytes mean that the connection has ended.
        Raises httpx.RemoteProtocolError, and httpx.DecodingError if the body's coding is broken."""
        if self._parser is not None:
            return self._answer(self._parser.feed(data))
        self._data += data
        if self._body < 0 and not self._read_head():
            if data and len(self._data) < _MOST_HEAD and not _END_OF_HEAD.search(self._data):
                return None
            self._parser = _Parser(self._request)
            found = self._parser.feed(bytes(self._data)) if self._data else None
            return self._answer(self._parser.feed(b"") if found is None and not data else found)
        if len(self._data) < self._end:
            if not data:
                raise httpx.RemoteProtocolError(
                    "peer closed connection without sending complete message body (received "
                    f"{len(self._data) - self._body} bytes, expected {self._end - self._body})"
                )
            return None
        self.reusable = self.reusable and len(self._data) == self._end
        return self._made(self._status, self._headers, bytes(memoryview(self._data)[self._body : self._end]))

    def _read_head(self) -> bool:
        """Whether the head is complete and of the ordinary form."""
        found = _HEAD.match(self._data)
        if found is None:
            return False
        headers = []
        for line in found[2].split(b"\r\n")[:-1]:
            name, _, value = line.partition(b":")
            headers.append((name, value.strip(b" \t")))
        lengths = [value for name, value in headers if name.lower() == b"content-length"]
        coded = any(name.lower() == b"transfer-encoding" for name, _ in headers)
        status = int(found[1])
        without = self._request.method == "HEAD" or status in _WITHOUT_BODY
        if coded or without or len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
            return False
        self._status, self._headers, self._body = status, headers, found.end()
        self._end = self._body + int(lengths[0])
        self.reusable = not any(
            name.lower() == b"connection" and b"close" in value.lower() for name, value in headers
        )
        return True

    def _answer(self, found: tuple[int, list[tuple[bytes, bytes]], bytes] | None) -> httpx.Response | None:
        if found is None:
            return None
        assert self._parser is not None
        self.reusable = self._parser.reusable
        return self._made(*found)

    def _made(self, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> httpx.Response:
        response = httpx.Response(
            status, headers=headers, stream=httpx.ByteStream(content), request=self._request
        )
        response.read()
        return response


class _Parser:
    """Reads a response of any form."""

    def __init__(self, request: httpx.Request) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD)
        self._connection.send(h11.Request(method=request.method, target=b"/", headers=[("Host", "x")]))
        self._connection.send(h11.EndOfMessage())
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self.reusable = False

    def feed(self, data: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        """The status, headers and body, or None if more bytes are needed."""
        if not data and self._connection.their_state is h11.SEND_RESPONSE:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        try:
            self._connection.receive_data(data)
            while True:
                event: Any = self._connection.next_event()
                if isinstance(event, h11.Response):
                    self._status, self._headers = event.status_code, event.headers.raw_items()
                elif isinstance(event, h11.Data):
                    self._parts.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    states = self._connection.our_state, self._connection.their_state
                    self.reusable = states == (h11.DONE, h11.DONE) and not self._connection.trailing_data[0]
                    return self._status, self._headers, b"".join(self._parts)
                elif event is h11.NEED_DATA:
                    return None
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
