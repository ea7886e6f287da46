"""Calls that take too long, and clients that do not wait. Real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from chroma.errors import ServerTimeoutError
from chroma.server.limits.thread_pool import Pool

from .conftest import DATABASE, Api, refused
from .sockets import PATIENCE, connected, listening, wait_until

TENANT = "/api/v2/tenants/default_tenant"


class Held:
    """A method of a backend that waits until it is let go."""

    def __init__(self, backend: Any, name: str) -> None:
        self._backend, self._name, self._original = backend, name, getattr(backend, name)
        self.entered, self.leave = threading.Semaphore(0), threading.Event()
        self.calls = self.left = 0
        setattr(backend, name, self._call)

    def _call(self, *arguments: Any) -> Any:
        self.calls += 1
        self.entered.release()
        assert self.leave.wait(PATIENCE)
        try:
            return self._original(*arguments)
        finally:
            self.left += 1


@contextmanager
def held(api: Api, name: str) -> Iterator[Held]:
    holder = Held(api.backend, name)
    try:
        yield holder
    finally:
        holder.leave.set()


def raw(method: str, path: str, body: Any = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def test_a_read_that_takes_too_long(serve: Callable[..., Api]) -> None:
    api = serve(request_seconds=1)
    with held(api, "get_tenant") as slow, listening(api.app) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}{TENANT}", timeout=PATIENCE)
        message = refused(answer, 504, "ChromaError")
        assert answer.json()["kind"] == "ServerTimeoutError"
        assert "longer than 1 s" in message and "take effect" not in message
        slow.leave.set()


def test_a_write_that_takes_too_long_still_takes_effect(serve: Callable[..., Api]) -> None:
    api = serve(request_seconds=1)
    path = api.collection()
    with held(api, "write") as slow, listening(api.app) as port:
        body = {"ids": ["a", "b"], "embeddings": [[1.0], [2.0]]}
        answer = httpx.post(f"http://127.0.0.1:{port}{path}/add", json=body, timeout=PATIENCE)
        assert "may still take effect" in refused(answer, 504, "ChromaError")
        slow.leave.set()
        wait_until(lambda: slow.left == 1)
        assert httpx.get(f"http://127.0.0.1:{port}{path}/count").json() == 2  # all of it


def test_what_waited_too_long_is_dropped(serve: Callable[..., Api]) -> None:
    api = serve(request_seconds=1, threads=1)
    with held(api, "get_tenant") as slow, listening(api.app) as port, connected(port) as first:
        first.sendall(raw("GET", TENANT))
        assert slow.entered.acquire(timeout=PATIENCE)
        answer = httpx.post(
            f"http://127.0.0.1:{port}/api/v2/tenants", json={"name": "late"}, timeout=PATIENCE
        )
        assert "nothing was done" in refused(answer, 504, "ChromaError")
        slow.leave.set()
        assert first.recv(4096).startswith(b"HTTP/1.1 504")
        wait_until(lambda: slow.left == 1)
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v2/tenants/late", timeout=PATIENCE)
        assert answer.status_code == 404


def test_a_client_that_leaves_while_it_waits_is_dropped(serve: Callable[..., Api]) -> None:
    api = serve(threads=1)
    with held(api, "get_tenant") as slow, listening(api.app) as port, connected(port) as first:
        first.sendall(raw("GET", TENANT))
        assert slow.entered.acquire(timeout=PATIENCE)
        pool = api.pool
        with connected(port) as second:
            second.sendall(raw("POST", "/api/v2/tenants", {"name": "gone"}))
            wait_until(lambda: pool.queued == 1)
        wait_until(lambda: pool.queued == 0)  # its place is free at once
        slow.leave.set()
        assert first.recv(4096).startswith(b"HTTP/1.1 200")
        assert httpx.get(f"http://127.0.0.1:{port}/api/v2/tenants/gone").status_code == 404


def test_a_client_that_leaves_a_read(serve: Callable[..., Api]) -> None:
    """Nobody waits for the read any longer, but its place is taken until its thread ends."""
    api = serve(threads=1, queue=0)
    with held(api, "get_tenant") as slow, listening(api.app) as port:
        with connected(port) as first:
            first.sendall(raw("GET", TENANT))
            assert slow.entered.acquire(timeout=PATIENCE)
        answer = httpx.get(f"http://127.0.0.1:{port}{DATABASE}", timeout=PATIENCE)
        refused(answer, 503, "ChromaError")
        slow.leave.set()
        wait_until(lambda: api.pool.running == 0)
        assert httpx.get(f"http://127.0.0.1:{port}{DATABASE}", timeout=PATIENCE).status_code == 200


def test_a_loaded_server_is_healthy(serve: Callable[..., Api]) -> None:
    api = serve(threads=1, queue=0)
    with held(api, "list_databases") as slow, listening(api.app) as port, connected(port) as first:
        first.sendall(raw("GET", f"{TENANT}/databases"))
        assert slow.entered.acquire(timeout=PATIENCE)
        url = f"http://127.0.0.1:{port}"
        refused(httpx.get(f"{url}{TENANT}", timeout=PATIENCE), 503, "ChromaError")
        assert httpx.get(f"{url}/api/v2/healthcheck", timeout=PATIENCE).status_code == 200
        slow.leave.set()  # else the server waits for it when it stops


def test_a_client_that_leaves_a_write(serve: Callable[..., Api]) -> None:
    """It is finished, all of it."""
    api = serve()
    path = api.collection()
    with held(api, "write") as slow, listening(api.app) as port:
        with connected(port) as first:
            first.sendall(raw("POST", f"{path}/add", {"ids": ["a", "b"], "embeddings": [[1.0], [2.0]]}))
            assert slow.entered.acquire(timeout=PATIENCE)
        slow.leave.set()
        wait_until(lambda: slow.left == 1)
        assert httpx.get(f"http://127.0.0.1:{port}{path}/count").json() == 2


def test_a_stream_that_gets_no_thread_is_dropped() -> None:
    pool, go = Pool(1, 1), threading.Event()

    async def both() -> None:
        held = asyncio.ensure_future(pool.run(lambda: go.wait(30), 0.1, feeding=True))
        await asyncio.sleep(0)
        with pytest.raises(ServerTimeoutError, match="nothing was done"):
            await pool.run(lambda: pytest.fail("it ran"), 0.2, feeding=True)
        go.set()
        assert await held, "one that runs has all the time it needs"

    asyncio.run(both())
    assert pool.running == pool.queued == 0
    pool.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_calls_without_haste_are_not_disturbed(serve: Callable[..., Api], method: str) -> None:
    """A call that outlasts the first look at its client is answered as ever."""
    api = serve(request_seconds=20)
    with held(api, "get_tenant") as slow, listening(api.app) as port:
        threading.Timer(0.2, slow.leave.set).start()
        answer = httpx.request(method, f"http://127.0.0.1:{port}{TENANT}", timeout=PATIENCE)
        assert answer.status_code == 200
