"""Routes that take their body while it arrives, and answers that are made while they are sent."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from chroma.errors import InvalidArgumentError
from chroma.server import app as app_module
from chroma.server.http.responses import Streamed
from chroma.server.routes import Call, Route

from .conftest import Api, refused
from .sockets import connected, everything, listening, wait_until

KIND = "application/x-blob"


class Streams:
    """Two routes of the kind that bulk transfers need, and what became of their calls."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.errors: list[BaseException] = []
        self.made = 0
        self.closed = threading.Event()

    def put(self, call: Call) -> Any:
        assert call.stream is not None
        try:
            while part := call.stream.read(1000):
                if part.startswith(b"bad"):
                    raise InvalidArgumentError(f"part {len(self.taken)} is bad")
                self.taken.append(len(part))
        except BaseException as error:
            self.errors.append(error)
            raise
        return {"parts": len(self.taken)}

    def give(self, call: Call) -> Streamed:
        number = int(call.options.get("parts", "3"))

        def parts() -> Iterator[bytes]:
            try:
                for place in range(number):
                    if place == int(call.options.get("fail", "-1")):
                        raise InvalidArgumentError(f"part {place} cannot be made")
                    self.made += 1
                    yield b"%06d" % place * 10_000
            finally:
                self.closed.set()

        return Streamed(parts(), KIND)


def whole(call: Call) -> Any:
    """As JSON."""
    return {"whole": len(call.raw)}


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Streams:
    made = Streams()
    routes = (
        Route("POST", "/blob", whole, "none", body=True, streamed={KIND: made.put}),
        Route("GET", "/blob", made.give, "none"),
    )
    monkeypatch.setattr(app_module, "ROUTES", routes)
    return made


def test_a_body_is_read_while_it_arrives(streams: Streams, serve: Callable[..., Api]) -> None:
    with listening(serve().app) as port, connected(port) as connection:
        head = f"POST /blob HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        piece = b"%x\r\n" % (1 << 20) + bytes(1 << 20) + b"\r\n"
        connection.sendall(piece)
        wait_until(lambda: sum(streams.taken) >= 1 << 19)  # the rest was not sent yet
        connection.sendall(piece + b"0\r\n\r\n")
        wait_until(lambda: sum(streams.taken) == 2 << 20)
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200") and streams.taken[:-1] == [1000] * (len(streams.taken) - 1)


def test_the_same_route_takes_json(streams: Streams, serve: Callable[..., Api]) -> None:
    answer = serve().post("/blob", {"a": 1})
    assert answer.json() == {"whole": len(answer.request.content)}
    refused(
        serve().request("POST", "/blob", content=b"x", headers={"content-type": "x/y"}), 415, "ChromaError"
    )


def test_a_stream_may_be_compressed(streams: Streams, serve: Callable[..., Api]) -> None:
    headers = {"content-type": KIND, "content-encoding": "gzip"}
    data = gzip.compress(bytes(3_000_000)) + gzip.compress(b"y" * 500)  # two members are one text
    assert serve().request("POST", "/blob", content=data, headers=headers).json() == {"parts": 3001}
    assert sum(streams.taken) == 3_000_500
    cut = serve().request("POST", "/blob", content=data[:-9], headers=headers)
    assert "ends too early" in refused(cut, 400, "InvalidArgumentError")


def test_a_refusal_within_a_stream_is_answered(streams: Streams, serve: Callable[..., Api]) -> None:
    with listening(serve().app) as port:
        content = bytes(5000) + b"bad" + bytes(8 << 20)
        answer = httpx.post(f"http://127.0.0.1:{port}/blob", content=content, headers={"content-type": KIND})
    assert refused(answer, 400, "InvalidArgumentError") == "part 5 is bad"
    assert streams.taken == [1000] * 5


@pytest.mark.usefixtures("brief")
def test_a_stream_that_stalls(streams: Streams, serve: Callable[..., Api]) -> None:
    with listening(serve(request_seconds=1).app) as port, connected(port) as connection:
        head = f"POST /blob HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: 9999\r\n\r\n"
        connection.sendall(head.encode() + bytes(100))
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408") and b"connection: close" in answer.lower()
    assert b"did not arrive within 1 s: 100 bytes were received" in answer


def test_a_stream_in_drops_has_no_more_time(streams: Streams, serve: Callable[..., Api]) -> None:
    with listening(serve(request_seconds=1).app) as port, connected(port) as connection:
        head = f"POST /blob HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: 9999\r\n\r\n"
        connection.sendall(head.encode())
        for _ in range(16):
            connection.sendall(b"x")
            time.sleep(0.1)
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


def test_a_client_that_leaves_its_stream(streams: Streams, serve: Callable[..., Api]) -> None:
    with listening(serve().app) as port:
        with connected(port) as connection:
            head = f"POST /blob HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: 9999\r\n\r\n"
            connection.sendall(head.encode() + bytes(100))
        wait_until(lambda: streams.errors)
    assert type(streams.errors[0]).__name__ == "ClientDisconnect"


def test_slow_streams_keep_nobody_out(streams: Streams, serve: Callable[..., Api]) -> None:
    with listening(serve(threads=1).app) as port, connected(port) as connection:
        head = f"POST /blob HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: 9999\r\n\r\n"
        connection.sendall(head.encode() + bytes(100))
        answer = httpx.post(f"http://127.0.0.1:{port}/blob", json={}, timeout=30)
        assert answer.status_code == 200


def test_slow_streams_have_places_of_their_own(streams: Streams, serve: Callable[..., Api]) -> None:
    api = serve(threads=1, queue=0)
    head = f"POST /blob HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: 9999\r\n\r\n"
    with listening(api.app) as port, connected(port) as slow, connected(port) as other:
        slow.sendall(head.encode())
        wait_until(lambda: api.pool.running == 1)
        other.sendall(head.encode() + bytes(9999))
        assert other.recv(4096).startswith(b"HTTP/1.1 503"), "there is one place for streams"
        assert httpx.post(f"http://127.0.0.1:{port}/blob", json={}, timeout=30).status_code == 200


def test_a_streamed_answer(streams: Streams, serve: Callable[..., Api]) -> None:
    answer = serve().get("/blob?parts=3")
    assert answer.headers["content-type"] == KIND
    assert answer.content == b"".join(b"%06d" % place * 10_000 for place in range(3))
    assert "content-length" not in answer.headers
    assert streams.closed.is_set()
    empty = serve().get("/blob?parts=0")
    assert (empty.status_code, empty.content) == (200, b"")


def test_an_error_before_the_first_piece(streams: Streams, serve: Callable[..., Api]) -> None:
    answer = serve().get("/blob?fail=0")
    assert refused(answer, 400, "InvalidArgumentError") == "part 0 cannot be made"


def test_an_error_after_the_first_piece_breaks_the_connection(
    streams: Streams, serve: Callable[..., Api], caplog: pytest.LogCaptureFixture
) -> None:
    with listening(serve().app) as port, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://127.0.0.1:{port}/blob?fail=2")
    assert streams.closed.is_set()
    noted = [record.exchange.status for record in caplog.records if hasattr(record, "exchange")]
    assert noted == [500], "it is not counted as a success"


def test_a_reader_that_leaves_stops_the_work(streams: Streams, serve: Callable[..., Api]) -> None:
    with listening(serve().app) as port:
        with connected(port) as connection:
            connection.sendall(b"GET /blob?parts=100000 HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(1000)
        wait_until(streams.closed.is_set)
    assert streams.made < 100_000


def test_a_reader_that_does_not_read(streams: Streams, serve: Callable[..., Api]) -> None:
    """The pieces wait for the reader, and one who never reads is cut off."""
    with listening(serve(request_seconds=1).app) as port, connected(port) as connection:
        connection.sendall(b"GET /blob?parts=100000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(streams.closed.is_set)
        assert streams.made < 10_000


def test_streams_that_nobody_reads_are_few(
    streams: Streams, serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond twice the threads a stream is refused before its first byte, and one that ends makes room."""
    monkeypatch.setattr("chroma.server.http.responses._SLOT_SECONDS", 0.2)
    api = serve(threads=1)
    with listening(api.app) as port, ExitStack() as held:
        unread = [held.enter_context(connected(port)) for _ in range(2)]
        for connection in unread:
            connection.sendall(b"GET /blob?parts=100000 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(10)
        answer = httpx.get(f"http://127.0.0.1:{port}/blob", timeout=30)
        assert "streams" in refused(answer, 503, "ChromaError") and answer.headers["retry-after"]
        assert api.pool.rejected == 1
        assert httpx.post(f"http://127.0.0.1:{port}/blob", json={}, timeout=30).status_code == 200
        unread[0].close()
        wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/blob", timeout=30).status_code == 200)


def test_a_reader_has_less_time_than_a_call(streams: Streams, serve: Callable[..., Api]) -> None:
    with (
        listening(serve(idle_seconds=1, min_bytes_per_second=100_000).app) as port,
        connected(port) as connection,
    ):
        connection.sendall(b"GET /blob?parts=100000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(streams.closed.is_set)
