"""A client that is closed while calls are under way: all of them end at once, with ClosedError."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trustme

from chroma._async.http_transport import AsyncTransport
from chroma._sync.http_transport import Transport
from chroma.config import Settings
from chroma.errors import ClosedError

from .rounds import scaled

_CALLERS = 24
_CONNECTIONS = 6
_PATIENCE = 5.0  # seconds; where nothing ends the calls, they take a hundred times as long


class Slow:
    """A server of which every connection does one of the things that make a call wait."""

    def __init__(self, wrap: Callable[[socket.socket], socket.socket]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self._listener.getsockname()[1]
        self._wrap, self._over = wrap, threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        ways = (self._reads_nothing, self._answers_nothing, self._dribbles, self._busy)
        while not self._over.is_set():
            connection, _ = self._listener.accept()
            way = ways[len(self._threads) % len(ways)]
            self._threads.append(threading.Thread(target=self._serve, args=(connection, way)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket, way: Callable[[socket.socket], None]) -> None:
        try:
            with self._wrap(connection) as made:
                way(made)
        except OSError:
            connection.close()  # the client has gone

    def _reads_nothing(self, connection: socket.socket) -> None:
        self._over.wait(30)

    def _answers_nothing(self, connection: socket.socket) -> None:
        while connection.recv(1 << 16):
            pass

    def _dribbles(self, connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not self._over.wait(0.05):
            connection.sendall(b"x")

    def _busy(self, connection: socket.socket) -> None:
        """Asks for a pause of 30 seconds."""
        while connection.recv(1 << 16):
            connection.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        self._over.set()
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        for thread in self._threads:
            thread.join()
        self._listener.close()


@contextmanager
def slow(encrypted: bool) -> Iterator[tuple[Slow, Settings]]:
    """Such a server, and the settings of a client for it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def wrap(connection: socket.socket) -> socket.socket:
        return context.wrap_socket(connection, server_side=True) if encrypted else connection

    server = Slow(wrap)
    with authority.cert_pem.tempfile() as certificate:
        try:
            yield (
                server,
                Settings(
                    chroma_server_host="127.0.0.1",
                    chroma_server_http_port=server.port,
                    chroma_server_ssl_enabled=encrypted,
                    chroma_server_ssl_verify=certificate,
                    chroma_http_max_connections=_CONNECTIONS,
                ),
            )
        finally:
            server.close()


class _Parts:
    """A large body that may be sent again."""

    def __iter__(self) -> Iterator[bytes]:
        return itertools.repeat(b"x" * 65_536, 1000)


def _call(transport: Any, number: int) -> Any:
    if number % 3 == 0:
        return transport.send("POST", "/x", _Parts(), repeatable=True)
    if number % 3 == 1:
        return transport.send("GET", "/x")
    return transport.stream("POST", "/x", b"{}", repeatable=True)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_threads_end_at_once(encrypted: bool) -> None:
    for number in range(scaled(2, 100)):
        with slow(encrypted) as (_, settings):
            ends = _closed_under_threads(settings, random.Random(number).uniform(0.0, 0.4))
            assert ends == [ClosedError.__name__] * _CALLERS, f"round {number}: {ends}"


def _closed_under_threads(settings: Settings, seconds: float) -> list[str]:
    transport, ends = Transport(settings), []

    def caller(place: int) -> None:
        try:
            found = _call(transport, place)
            if place % 3 == 2:
                with found as response:
                    response.read()
            ends.append("an answer")
        except Exception as error:
            ends.append(type(error).__name__)

    threads = [threading.Thread(target=caller, args=(place,), daemon=True) for place in range(_CALLERS)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    begun = time.monotonic()
    transport.close()
    for thread in threads:
        thread.join(max(0.0, begun + _PATIENCE - time.monotonic()))
    return ends


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_tasks_end_at_once(encrypted: bool) -> None:
    async def work(settings: Settings, number: int) -> list[str]:
        transport = AsyncTransport(settings)

        async def caller(place: int) -> str:
            try:
                if place % 3 == 2:
                    async with _call(transport, place) as response:
                        await response.aread()
                else:
                    await _call(transport, place)
            except Exception as error:
                return type(error).__name__
            return "an answer"

        tasks = [asyncio.create_task(caller(place)) for place in range(_CALLERS)]
        await asyncio.sleep(random.Random(number).uniform(0.0, 0.4))
        await transport.close()
        return await asyncio.wait_for(asyncio.gather(*tasks), _PATIENCE)

    for number in range(scaled(2, 100)):
        with slow(encrypted) as (_, settings):
            ends = asyncio.run(work(settings, number))
            assert ends == [ClosedError.__name__] * _CALLERS, f"round {number}: {ends}"
