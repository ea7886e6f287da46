"""Bodies of any kind, whole and in parts, both ways: what the transports do beneath the JSON calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

import chroma
from chroma import errors
from chroma._async.http_transport import AsyncTransport
from chroma._sync.http_transport import Transport

from ...support import driven
from ...support.checks import refused
from .scripted import Reply, Scripted, scripted

ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setattr("chroma.http.retry_policy._PAUSES", (0.01,))
    with scripted() as running:
        yield running


class Both:
    """One transport of either form: `send`, and `stream` read as a list of parts."""

    def __init__(self, kind: str, port: int) -> None:
        settings = chroma.Settings(chroma_server_host="127.0.0.1", chroma_server_http_port=port)
        self.transport: Any = (Transport if kind == "sync" else AsyncTransport)(settings)
        self.kind = kind

    def send(self, *arguments: Any, **options: Any) -> Any:
        answer = self.transport.send(*arguments, **options)
        return answer if self.kind == "sync" else driven.run(answer)

    def stream(self, *arguments: Any, **options: Any) -> list[bytes]:
        if self.kind == "sync":
            with self.transport.stream(*arguments, **options) as response:
                return list(response.iter_bytes(1))

        async def read() -> list[bytes]:
            async with self.transport.stream(*arguments, **options) as response:
                return [part async for part in response.aiter_bytes(1)]

        answer: list[bytes] = driven.run(read())
        return answer

    def close(self) -> None:
        if self.kind == "sync":
            self.transport.close()
        else:
            driven.run(self.transport.close())


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest, server: Scripted) -> Iterator[Both]:
    made = Both(request.param, server.port)
    yield made
    made.close()


def parts(taken: list[int]) -> Iterator[bytes]:
    for number in range(3):
        taken.append(number)
        yield b"part%d " % number


def test_a_body_has_the_type_it_is_given(server: Scripted, both: Both) -> None:
    server.queue.append(Reply(body=b"answer", headers={"Content-Type": ARROW}))
    answer = both.send("POST", "/x", b"abc", content_type=ARROW, accept=ARROW)
    [request] = server.requests
    assert (request.headers["Content-Type"], request.headers["Accept"]) == (ARROW, ARROW)
    assert (request.body, answer.content, answer.headers["Content-Type"]) == (b"abc", b"answer", ARROW)


def test_a_body_goes_out_in_parts(server: Scripted, both: Both) -> None:
    taken: list[int] = []
    both.send("POST", "/x", parts(taken), content_type=ARROW)
    assert server.requests[0].body == b"part0 part1 part2 "
    assert server.requests[0].headers["Transfer-Encoding"] == "chunked"
    assert taken == [0, 1, 2]


def test_parts_may_come_asynchronously(server: Scripted) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for part in parts([]):
            yield part

    both = Both("async", server.port)
    both.send("POST", "/x", slow(), content_type=ARROW)
    assert server.requests[0].body == b"part0 part1 part2 "
    both.close()


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(503), Reply(429)], ids=["drop", "503", "429"])
def test_parts_are_never_sent_twice(server: Scripted, both: Both, reply: Reply) -> None:
    server.queue += [reply, Reply(body=b"{}")]
    taken: list[int] = []
    with pytest.raises(errors.ChromaError):
        both.send("POST", "/x", parts(taken), content_type=ARROW, repeatable=True)
    assert (len(server.requests), taken) == (1, [0, 1, 2])


def test_a_whole_body_is_repeated(server: Scripted, both: Both) -> None:
    server.queue += [Reply(drop=True), Reply(503), Reply(body=b"ok")]
    assert both.send("POST", "/x", b"abc", content_type=ARROW, repeatable=True).content == b"ok"
    assert [request.body for request in server.requests] == [b"abc"] * 3


def test_parts_untouched_are_sent_after_a_failed_connection(
    server: Scripted, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is not there yet has taken nothing."""
    taken: list[int] = []
    pool = httpx.AsyncClient if isinstance(both.transport, AsyncTransport) else httpx.Client
    real, failures = pool.send, [httpx.ConnectError("no"), httpx.ConnectError("no")]

    def request(*arguments: Any, **more: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*arguments, **more)

    monkeypatch.setattr(pool, "send", request)
    both.send("POST", "/x", parts(taken), content_type=ARROW)
    assert (taken, server.requests[0].body) == ([0, 1, 2], b"part0 part1 part2 ")


def test_an_error_in_the_making_of_parts_is_raised_as_it_is(server: Scripted, both: Both) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one"
        raise KeyError("the maker's")

    with pytest.raises(KeyError, match="the maker's"):
        both.send("POST", "/x", broken(), content_type=ARROW)
    assert both.send("POST", "/x", b"abc", content_type=ARROW).is_success


def test_an_answer_is_read_as_it_comes(server: Scripted, both: Both) -> None:
    server.queue.append(Reply(body=b"abc"))
    assert both.stream("POST", "/x", b"{}", accept=ARROW) == [b"a", b"b", b"c"]


def test_an_error_instead_of_a_stream_is_raised(server: Scripted, both: Both) -> None:
    server.queue.append(Reply(404, {"error": "NotFoundError", "message": "gone"}))
    with refused("gone", error=errors.NotFoundError):
        both.stream("POST", "/x", b"{}", accept=ARROW)


def test_a_stream_is_repeated_until_it_begins(server: Scripted, both: Both) -> None:
    server.queue += [Reply(503), Reply(body=b"ab")]
    assert both.stream("GET", "/x", accept=ARROW) == [b"a", b"b"]


def test_a_stream_that_breaks_is_told(server: Scripted, both: Both) -> None:
    server.queue.append(Reply(body=b"abcdef", drop=True, after=3))
    with refused("broke", error=errors.ServerConnectionError):
        both.stream("GET", "/x", accept=ARROW)
    assert len(server.requests) == 1
    assert both.send("GET", "/x").is_success
