"""Small requests without the layers of httpx: the same requests, responses and errors as through httpx."""

from __future__ import annotations

import asyncio
import gzip
import logging
import math
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpcore
import httpx
import pytest

from chroma import errors
from chroma._async.http_transport import AsyncTransport
from chroma._sync.http_connections import FastPath
from chroma._sync.http_transport import Transport
from chroma.config import Settings
from chroma.http import fast_path
from chroma.http.connection_pool import Connections

PATIENCE = 20.0


class Socket:
    """A server that sends prepared bytes, and closes the connection after each that says so."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.replies: list[tuple[list[bytes], bool]] = []
        self.requests: list[bytes] = []
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def reply(self, *parts: bytes, close: bool = False) -> None:
        self.replies.append(([*parts], close))

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while True:
                data = b""
                while b"\r\n\r\n" not in data:
                    part = connection.recv(1 << 16)
                    if not part:
                        return
                    data += part
                head, _, body = data.partition(b"\r\n\r\n")
                found = re.search(rb"(?i)content-length: (\d+)", head)
                while found is not None and len(body) < int(found[1]):
                    body += connection.recv(1 << 16)
                self.requests.append(head + b"\r\n\r\n" + body)
                parts, close = self.replies.pop(0)
                for part in parts:
                    connection.sendall(part)
                if close:
                    return

    def close(self) -> None:
        with suppress(OSError):  # wakes the thread that accepts; it may be closed already
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def server() -> Iterator[Socket]:
    made = Socket()
    yield made
    made.close()


class Direct:
    """The fast path of a client, whose idle connections note that they were closed."""

    def __init__(self, server: Socket) -> None:
        self.url = f"http://127.0.0.1:{server.port}"
        self._client = httpx.Client()
        options = {"timeout": httpx.Timeout(PATIENCE), "limits": httpx.Limits(keepalive_expiry=None)}
        self.pool = FastPath(self._client, httpx.URL(self.url), options, Connections())
        self.closed: list[int] = []

    def idle(self, number: int, expired: bool) -> None:
        stream = httpcore.SyncBackend().connect_tcp("127.0.0.1", int(self.url.rpartition(":")[2]))
        original = stream.close

        def close() -> None:
            self.closed.append(number)
            original()

        stream.close = close  # type: ignore[method-assign]
        self.pool._idle.append((stream, -math.inf if expired else math.inf))

    def __enter__(self) -> Direct:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.close()
        self._client.close()


Send = Callable[..., httpx.Response]


@pytest.fixture(params=["sync", "async"])
def open_send(request: pytest.FixtureRequest, server: Socket) -> Iterator[Callable[..., Send]]:
    """Opens a transport to the server; returns its `send`, which blocks."""
    closing: list[Callable[[], Any]] = []
    loop = asyncio.new_event_loop()

    def opened(**more: Any) -> Send:
        settings = Settings(
            **{
                "chroma_server_host": "127.0.0.1",
                "chroma_server_http_port": server.port,
                "chroma_http_timeout_secs": PATIENCE,
                **more,
            }
        )
        if request.param == "sync":
            transport = Transport(settings)
            closing.append(transport.close)
            return transport.send
        waiting = AsyncTransport(settings)
        closing.append(lambda: loop.run_until_complete(waiting.close()))
        return lambda *arguments, **options: loop.run_until_complete(waiting.send(*arguments, **options))

    yield opened
    for close in closing:
        close()
    loop.close()


@pytest.fixture
def through_httpx(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the requests that httpx sends."""
    seen: list[str] = []
    for kind in (httpx.Client, httpx.AsyncClient):
        original = kind.build_request

        def noted(self: Any, method: str, url: Any, _original: Any = original, **more: Any) -> httpx.Request:
            if "extensions" in more:
                seen.append(str(url))
            return _original(self, method, url, **more)

        monkeypatch.setattr(kind, "build_request", noted)
    return seen


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CODED = gzip.compress(b'{"a": 1}')
RESPONSES = {
    "ordinary": OK,
    "no reason": b"HTTP/1.1 200\r\ncontent-length:2\r\n\r\n{}",
    "repeated header": b"HTTP/1.1 200 OK\r\nX-A: 1 \r\nx-a:\t2\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "lines without a carriage return": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "lines of both kinds": b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\n{}",
    "empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "after 100": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "bytes that are no text": b"HTTP/1.1 200 OK\r\nX-A: \xff\r\nContent-Length: 2\r\n\r\n{}",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
    % (len(CODED), CODED),
    "redirect": b"HTTP/1.1 201 Created\r\nLocation: /y\r\nContent-Length: 2\r\n\r\n{}",
}  # fmt: skip
UNTIL_THE_END = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "close": b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}",
}


def _outcome(send: Send, *arguments: Any, **more: Any) -> Any:
    try:
        response = send(*arguments, **more)
    except errors.ChromaError as error:
        return type(error), re.sub(r"\d{4,5}", "PORT", str(error))
    except Exception as error:
        return type(error), str(error)
    return response.status_code, response.headers.multi_items(), response.content, str(response.request.url)


@pytest.mark.parametrize("name", [*RESPONSES, *UNTIL_THE_END])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_responses_are_those_of_httpx(
    name: str, size: int, server: Socket, open_send: Callable[..., Send], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (RESPONSES | UNTIL_THE_END)[name]
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    send = open_send()
    outcomes = []
    for observed in (False, True):
        monkeypatch.setattr(fast_path, "observed", lambda observed=observed: observed)
        for _ in range(2):
            server.reply(*parts, close=name in UNTIL_THE_END)
            outcomes.append(_outcome(send, "POST", "/x", b"{}"))
    assert outcomes == [outcomes[0]] * 4 and outcomes[0][0] in (200, 201, 204)
    assert server.connections == (4 if name in UNTIL_THE_END else 2)  # one each, if it can be kept


BROKEN = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "no header": b"HTTP/1.1 200 OK\r\nhello\r\n\r\n",
    "a long head": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * (1 << 18),
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "broken gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
    b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
    "too much": OK + b"HTTP/1.1 200 OK",
    "404": b'HTTP/1.1 404 Not Found\r\nConnection: close\r\n'
    b'Content-Length: 39\r\n\r\n{"error":"NotFoundError","message":"x"}',
    "500": b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\nConnection: close\r\n\r\noh",
    "redirect": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://x/\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_errors_are_those_of_httpx(
    name: str, server: Socket, open_send: Callable[..., Send], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = open_send()
    outcomes = []
    for observed in (False, True):
        monkeypatch.setattr(fast_path, "observed", lambda observed=observed: observed)
        server.reply(BROKEN[name], close=True)
        outcomes.append(_outcome(send, "POST", "/x", b"{}"))
    assert outcomes[0] == outcomes[1]
    monkeypatch.setattr(fast_path, "observed", lambda: False)
    server.reply(OK)
    assert send("POST", "/x", b"{}").content == b"{}"  # on a new connection


@pytest.mark.parametrize(
    "call",
    [
        ("POST", "/x", b"{}"),
        ("POST", "/x"),
        ("GET", "/x/%2F?a=b c&ü"),
        ("DELETE", "/a/../b"),
        ("PUT", "/x", b"\0" * 100_000),
    ],
)
def test_requests_are_those_of_httpx(
    call: tuple[Any, ...], server: Socket, open_send: Callable[..., Send], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = open_send(chroma_server_headers={"X-One": "1", "accept": "text/plain"})
    for observed in (False, True):
        monkeypatch.setattr(fast_path, "observed", lambda observed=observed: observed)
        for accept in (None, "application/x"):
            server.reply(OK)
            send(*call, accept=accept)
    first, second, third, fourth = map(_parsed, server.requests)
    assert (first, second) == (third, fourth) and first != second


def _parsed(request: bytes) -> tuple[bytes, list[bytes], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    return line, sorted(headers), body


@pytest.mark.parametrize(
    "settings",
    [
        {"chroma_http_max_connections": 5},
        {"chroma_http_max_keepalive_connections": 5},
        {"chroma_server_host": "http://ana:secret@127.0.0.1:{port}", "chroma_server_http_port": None},
    ],
)
def test_what_only_httpx_offers_goes_through_it(
    settings: dict[str, Any], server: Socket, open_send: Callable[..., Send], through_httpx: list[str]
) -> None:
    host = settings.get("chroma_server_host")
    given = settings if host is None else settings | {"chroma_server_host": host.format(port=server.port)}
    server.reply(OK)
    open_send(**given)("POST", "/x", b"{}")
    assert len(through_httpx) == 1


def test_proxies_go_through_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    url = httpx.URL("http://a:1")
    monkeypatch.setattr(fast_path, "getproxies", dict)
    assert fast_path.possible(Settings(), url)
    assert not fast_path.possible(Settings(), httpx.URL("https://a:1"))
    monkeypatch.setattr(fast_path, "getproxies", lambda: {"http": "http://proxy"})
    assert not fast_path.possible(Settings(), url)


def test_observed_requests_go_through_httpx(
    server: Socket,
    open_send: Callable[..., Send],
    through_httpx: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Programs that log, trace or replace the requests of httpx keep seeing them."""
    send = open_send()
    server.replies += [([OK], False)] * 6
    send("POST", "/x", b"{}")
    assert not through_httpx
    with caplog.at_level(logging.INFO, "httpx"):
        send("POST", "/x", b"{}")
    assert len(through_httpx) == 1 and "HTTP Request: POST" in caplog.text
    for number, (kind, name) in enumerate(
        [
            (httpx.Client, "send"),
            (httpx.HTTPTransport, "handle_request"),
            (httpx.AsyncHTTPTransport, "handle_async_request"),
        ]
    ):
        with monkeypatch.context() as patched:
            original = getattr(kind, name)
            patched.setattr(kind, name, lambda *arguments, _call=original, **more: _call(*arguments, **more))
            send("POST", "/x", b"{}")
        assert len(through_httpx) == number + 2
    send("POST", "/x", b"{}")
    assert len(through_httpx) == 4


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (httpcore.ConnectionPool, "handle_request"),
        (httpcore.HTTPConnection, "handle_request"),
        (httpcore.AsyncConnectionPool, "handle_async_request"),
        (httpcore.AsyncHTTPConnection, "handle_async_request"),
        (httpx.Client, "_transport_for_url"),
        (httpx.AsyncClient, "_send_single_request"),
    ],
)
def test_libraries_that_answer_requests_in_tests_are_noticed(
    kind: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not fast_path.observed()
    monkeypatch.setattr(kind, name, lambda *arguments, **more: None)
    assert fast_path.observed()


def test_cookies_are_kept(server: Socket, open_send: Callable[..., Send], through_httpx: list[str]) -> None:
    """A load balancer may send them, so that one client always reaches the same server."""
    server.reply(b"HTTP/1.1 200 OK\r\nSet-Cookie: node=7\r\nContent-Length: 2\r\n\r\n{}")
    server.reply(OK)
    send = open_send()
    send("POST", "/x", b"{}")
    send("POST", "/x", b"{}")
    assert b"node=7" in server.requests[1] and len(through_httpx) == 1


def test_connections_that_the_server_closed_are_not_used(
    server: Socket, open_send: Callable[..., Send]
) -> None:
    send = open_send()
    for close in (True, True, False):
        server.reply(OK, close=close)
        assert send("POST", "/x", b"{}").is_success
        until = threading.Event()
        until.wait(0.05)  # the end of the connection arrives
    assert server.connections == 3


def test_idle_connections_expire(server: Socket, open_send: Callable[..., Send]) -> None:
    send = open_send(chroma_http_keepalive_secs=0.0)
    for _ in range(3):
        server.reply(OK)
        send("POST", "/x", b"{}")
    assert server.connections == 3


def test_connections_that_expired_are_closed(server: Socket) -> None:
    """Not only the one that is used next, but all that many threads have left."""
    with Direct(server) as fast:
        for number in (1, 2, 3):
            fast.idle(number, expired=number < 3)
        server.reply(OK)
        fast.pool.send("POST", f"{fast.url}/x", b"{}", {})
        assert fast.closed == [1, 2] and len(fast.pool._idle) == 1


def test_large_bodies_go_through_httpx(
    server: Socket,
    open_send: Callable[..., Send],
    through_httpx: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast_path, "MOST_BYTES", 10)
    send = open_send()
    for size in (10, 11):
        server.reply(OK)
        send("POST", "/x", b"a" * size)
    assert len(through_httpx) == 1


def test_no_answer_in_time(server: Socket, open_send: Callable[..., Send]) -> None:
    server.reply(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(errors.ServerTimeoutError, match="ReadTimeout"):
        open_send(chroma_http_timeout_secs=0.2)("POST", "/x", b"{}")


def test_nobody_listens(server: Socket, open_send: Callable[..., Send]) -> None:
    server.close()
    with pytest.raises(errors.ServerConnectionError, match="Could not connect"):
        open_send(chroma_http_retries=0)("POST", "/x", b"{}")


def test_heads_are_not_kept_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_path, "_HEADS", 3)
    with httpx.Client() as client:
        heads = fast_path.Heads(client)
        for number in range(10):
            heads.encode("GET", f"http://a/{number}", None, {})
            assert len(heads._known) <= 3
