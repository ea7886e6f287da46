"""What comes before a body: heads that are too large, too slow, or not HTTP. Real sockets."""

from __future__ import annotations

import json
import re
import socket
import time
import types
from collections.abc import Callable, Iterator

import pytest

from chroma.server.http import http1
from chroma.server.http.http1 import Protocol
from chroma.server.settings.server_settings import ServerSettings

from .conftest import Api
from .sockets import connected, everything, listening, wait_until

ASK = b"GET /api/v2/heartbeat HTTP/1.1\r\nHost: x\r\n"


HEAD_BYTES = ServerSettings().max_header_bytes


@pytest.fixture
def port(serve: Callable[..., Api]) -> Iterator[int]:
    with listening(serve().app, http=Protocol, h11_max_incomplete_event_size=HEAD_BYTES) as found:
        yield found


def answered(port: int, *parts: bytes) -> tuple[int, dict[str, str]]:
    """The status and the error of what is sent on a new connection, which the server closes."""
    with connected(port) as connection:
        for part in parts:
            connection.sendall(part)
        answer = everything(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower() and b"chroma-trace-id" in head
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS to a port without it
        b"GET /api/v2 HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET /api/v2 HTTP/1.1\r\nHost: x\r\nA\x00b: c\r\n\r\n",
        b"GET /api/v2\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http(port: int, raw: bytes) -> None:
    status, body = answered(port, raw)
    assert (status, body["error"]) == (400, "InvalidArgumentError")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b" Transfer-Encoding: chunked\r\n",
    ],
)
def test_no_request_hides_in_another(port: int, head: bytes) -> None:
    """Two readings of where a body ends are refused, and what follows is no request."""
    inner = b"GET /api/v2/version HTTP/1.1\r\nHost: x\r\n\r\n"
    raw = b"POST /api/v2/tenants HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n" + inner
    status, body = answered(port, raw)
    assert (status, body["error"]) == (400, "InvalidArgumentError")


@pytest.mark.parametrize(
    "chunk", [b"x\r\n", b"-1\r\n", b"5 5\r\nhello\r\n", b"fffffffffffffffff\r\n", b"2\r\nabcd\r\n"]
)
def test_broken_chunks(port: int, chunk: bytes) -> None:
    raw = b"POST /api/v2/tenants HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
    status, body = answered(port, raw)
    assert (status, body["error"]) == (400, "InvalidArgumentError")


def test_chunks_that_break_later(port: int) -> None:
    head = b"POST /api/v2/tenants HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, body = answered(port, head + b"2\r\n{ \r\n", b"zz\r\n")
    assert (status, body["error"]) == (400, "InvalidArgumentError")


def test_an_unknown_transfer_coding(port: int) -> None:
    raw = b"POST /api/v2/tenants HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n{}"
    status, body = answered(port, raw)
    assert (status, body["error"]) == (400, "InvalidArgumentError")


def test_one_huge_header(port: int) -> None:
    status, body = answered(port, ASK, b"X-Long: " + b"x" * (HEAD_BYTES + 100) + b"\r\n\r\n")
    assert status == 431 and f"{HEAD_BYTES:,} bytes" in body["message"]


def test_the_rest_of_what_is_refused_is_read(port: int) -> None:
    """What comes behind the refusal does not reset the connection: the client reads its answer later."""
    with connected(port) as connection:
        connection.sendall(b"hello\r\n\r\n")
        wait_until(lambda: connection.recv(1, socket.MSG_PEEK))
        for _ in range(64):
            connection.sendall(b"x" * (1 << 16))
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"InvalidArgumentError" in answer


def test_a_refused_connection_is_not_kept(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "LINGER_SECONDS", 0.2)
    with connected(port) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 400 ")

        def reset() -> bool:
            try:
                connection.sendall(b"x")
            except OSError:
                return True
            return False

        wait_until(reset)


def test_a_header_without_end(port: int) -> None:
    status, _ = answered(port, ASK, b"X-Long: ", b"x" * (HEAD_BYTES + 1))
    assert status == 431


def test_many_headers(port: int) -> None:
    status, _ = answered(port, ASK + b"X-Some: header\r\n" * (HEAD_BYTES // 10) + b"\r\n")
    assert status == 431


def test_a_long_address(port: int) -> None:
    status, _ = answered(port, b"GET /" + b"x" * HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == 431


def test_large_bodies_are_no_heads(port: int) -> None:
    """What comes in one piece with a body of any size, or on the same connection after one."""
    body = json.dumps({"name": "tenant", "more": "x" * (3 * HEAD_BYTES)}).encode()
    head = b"POST /api/v2/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    with connected(port) as connection:
        connection.sendall(head + b"\r\n" + body)
        connection.sendall(head + b"Connection: close\r\n\r\n" + body)
        assert re.findall(rb"HTTP/1.1 (\d+)", everything(connection)) == [b"200", b"409"]


def test_the_end_of_a_body_and_the_beginning_of_a_head_in_one_piece(port: int) -> None:
    body = json.dumps({"name": "tenant", "more": "x" * (3 * HEAD_BYTES)}).encode()
    head = b"POST /api/v2/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connected(port) as connection:
        connection.sendall(head + body + ASK[:20])
        time.sleep(0.2)
        connection.sendall(ASK[20:] + b"Connection: close\r\n\r\n")
        assert re.findall(rb"HTTP/1.1 (\d+)", everything(connection)) == [b"200", b"200"]


def test_a_slow_head(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "HEAD_SECONDS", 0.2)
    status, body = answered(port, ASK)
    assert status == 408 and "0.2 s" in body["message"]
    with connected(port) as connection:  # the second request of a connection as well
        connection.sendall(ASK + b"\r\n" + ASK)
        assert re.findall(rb"HTTP/1.1 (\d+)", everything(connection)) == [b"200", b"408"]


def test_a_connection_without_a_request(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "HEAD_SECONDS", 0.2)
    with connected(port) as connection:
        assert everything(connection) == b""


def test_empty_lines_keep_no_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(port) as connection:
        connection.sendall(ASK + b"\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(http1, "HEAD_SECONDS", 0.5)
        connection.sendall(b"\r\n")
        time.sleep(0.2)
        connection.sendall(b"\r\n")  # the time does not begin anew
        connection.settimeout(5)
        assert everything(connection) == b""


def test_requests_in_a_row(port: int) -> None:
    """Pipelined requests are answered one after the other."""
    with connected(port) as connection:
        connection.sendall((ASK + b"\r\n") * 20 + ASK + b"Connection: close\r\n\r\n")
        assert everything(connection).count(b"HTTP/1.1 200") == 21


def test_a_head_is_sent_with_the_first_part_of_the_body() -> None:
    """Each write is a system call here, and one in the client."""
    sent: list[bytes] = []
    transport = types.SimpleNamespace(
        write=sent.append, close=lambda: sent.append(b"closed"), is_closing=lambda: False
    )
    response = http1._HeadWithBody(transport)  # type: ignore[arg-type]
    response.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    response.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert not response.is_closing() and len(sent) == 1
    response.write(memoryview(b"one"))  # type: ignore[arg-type]
    response.write(b"two")
    response.close()
    assert sent == [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\none", b"two", b"closed"]


def test_a_head_without_a_body_is_sent_before_the_end() -> None:
    sent: list[bytes] = []
    transport = types.SimpleNamespace(write=sent.append, close=lambda: sent.append(b"closed"))
    response = http1._HeadWithBody(transport)  # type: ignore[arg-type]
    response.write(b"HTTP/1.1 200 OK\r\n\r\n")
    response.close()
    assert sent == [b"HTTP/1.1 200 OK\r\n\r\n", b"closed"]


def test_a_head_alone_keeps_the_connection(port: int) -> None:
    with connected(port) as connection:
        for _ in range(3):
            connection.sendall(b"HEAD" + ASK[3:] + b"\r\n")
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += connection.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 200")
