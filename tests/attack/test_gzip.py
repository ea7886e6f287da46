"""Compressed bodies that cost more than they hold: time is linear, others are served, threads come back."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from chroma.server.http.request_body import Decoder

from ..chroma.server.conftest import Api
from ..chroma.server.conftest import serve as serve
from ..chroma.server.processes import client, running
from ..chroma.server.sockets import listening, wait_until
from .rounds import scaled

MIB = 1 << 20
HEADERS = {"content-encoding": "gzip", "content-type": "application/json"}


def members(size: int) -> bytes:
    """A member that holds nothing, many times over."""
    one = gzip.compress(b"", 1)
    return one * (size // len(one))


def stored(size: int) -> bytes:
    """Blocks that are not compressed at all."""
    made = zlib.compressobj(0, zlib.DEFLATED, 31)
    return made.compress(bytes(size)) + made.flush()


def tiny(size: int) -> bytes:
    """Members of one byte."""
    one = gzip.compress(b" ", 1)
    return one * (size // len(one))


def flushed(size: int) -> bytes:
    """One member of blocks that are empty."""
    made = zlib.compressobj(1, zlib.DEFLATED, 31)
    head, block = made.compress(b"") + made.flush(zlib.Z_SYNC_FLUSH), b"\x00\x00\x00\xff\xff"
    return head + block * (size // len(block)) + made.flush()


def seconds(body: bytes) -> float:
    """Processor time of this thread for a body, the best of three."""
    taken = []
    for _ in range(3):
        start = time.thread_time()
        for _part in Decoder(31).all(body):
            pass
        taken.append(time.thread_time() - start)
    return min(taken)


@pytest.mark.parametrize(
    ("made", "small", "large"),
    [
        (members, MIB // 2, scaled(2 * MIB, 4 * MIB)),
        (tiny, MIB // 2, scaled(2 * MIB, 4 * MIB)),
        (flushed, MIB // 2, scaled(4 * MIB, 16 * MIB)),
        (stored, 20 * MIB, scaled(80 * MIB, 400 * MIB)),
    ],
)
def test_time_is_linear(made: Callable[[int], bytes], small: int, large: int) -> None:
    """With the square it would be the ratio times as much again; a quarter of that is noise."""
    ratio = large / small
    assert seconds(made(large)) < (ratio + ratio * ratio / 2) * seconds(made(small)) + 0.05


def test_others_are_served(tmp_path: Path) -> None:
    """Four bodies of members at a time; whoever asks for the time meanwhile gets it."""
    body, stop, waits = members(3 * MIB), threading.Event(), []

    def look(url: str) -> None:
        with client() as http:
            while not stop.is_set():
                start = time.perf_counter()
                assert http.get(f"{url}/api/v2/heartbeat").status_code == 200
                waits.append(time.perf_counter() - start)

    def send(url: str) -> None:
        with client() as http:
            answer = http.post(f"{url}/api/v2/tenants", content=body, headers=HEADERS)
            assert answer.status_code == 400  # nothing is no JSON

    with running(tmp_path / "db") as served:
        looking = threading.Thread(target=look, args=(served.url,))
        sending = [threading.Thread(target=send, args=(served.url,)) for _ in range(4)]
        start = time.perf_counter()
        for thread in (looking, *sending):
            thread.start()
        for thread in sending:
            thread.join()
        whole = time.perf_counter() - start
        stop.set()
        looking.join()
    assert whole < 10, f"four bodies took {whole:.1f} s"
    assert max(waits) < 1, f"somebody else waited {max(waits):.1f} s"


@pytest.fixture(scope="module")
def long_body() -> Iterator[bytes]:
    yield members(60 * MIB)  # some 5 s


def test_a_thread_comes_back(serve: Callable[..., Api], long_body: bytes) -> None:
    """After the 504 nobody wants what the body holds."""
    api = serve(request_seconds=2)
    with listening(api.app) as port:
        answer = httpx.post(
            f"http://127.0.0.1:{port}/api/v2/tenants", content=long_body, headers=HEADERS, timeout=60
        )
        assert answer.status_code == 504
        start = time.perf_counter()
        wait_until(lambda: api.pool.running == 0)
        assert time.perf_counter() - start < 2
