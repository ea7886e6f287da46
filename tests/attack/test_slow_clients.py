"""Clients that stall: in the middle of a stream, of a body, of an answer; and wrong passwords in numbers.

Nothing of it keeps others out, whether they come from the same address or with another key.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest

from chroma.server.security.credentials_file import Entry, add_entry, hash_password, hash_token

from ..chroma.server.processes import DATABASE, Served, client, eventually, running
from .rounds import SCALE, scaled

MEDIA = "application/vnd.apache.arrow.stream"
MIB = 1 << 20
PASSWORD = "correct horse battery"


def stream(*ids: str) -> bytes:
    batch = pa.record_batch({"id": list(ids), "embedding": [[1.0, 2.0] for _ in ids]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def schema_only() -> bytes:
    """A stream up to its first record batch."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.schema({"id": pa.string(), "embedding": pa.list_(pa.float32())})):
        return sink.getvalue()


def collection(url: str, **headers: str) -> str:
    with client(headers=headers) as http:
        made = http.post(f"{url}{DATABASE}/collections", json={"name": "things"})
        assert made.status_code == 200, made.text
        return f"{DATABASE}/collections/{made.json()['id']}"


@contextlib.contextmanager
def begun(served: Served, count: int, request: bytes) -> Iterator[list[socket.socket]]:
    """Connections that have sent so much, and are kept."""
    address = urlsplit(served.url)
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            made = held.enter_context(
                socket.create_connection((address.hostname or "", address.port or 0), timeout=30)
            )
            made.sendall(request)
            found.append(made)
        yield found


def head(path: str, length: int, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def credentials(folder: Path) -> Path:
    """A file with two keys that may only read, one that may write, and a user."""
    path = folder / "auth.json"
    for name, role in (("reader", "read"), ("other", "read"), ("writer", "write")):
        add_entry(path, Entry(name, "token", role, ("*",), hash_token(name.encode())))
    add_entry(path, Entry("ana", "basic", "admin", ("*",), hash_password(PASSWORD.encode())))
    return path


# ---------------------------------------------------------------------------- what arrives


def test_streams_that_stop_after_their_schema(tmp_path: Path) -> None:
    """As many as there are threads, of the same address: another one gets its place before long."""
    with running(tmp_path / "db") as served:
        path = collection(served.url)
        request = head(f"{path}/add", 99_999, f"Content-Type: {MEDIA}") + schema_only()
        with begun(served, 32, request) as slow, client() as http:
            time.sleep(0.5)
            for number in range(3):
                start = time.monotonic()
                answer = http.post(
                    f"{served.url}{path}/add", content=stream(str(number)), headers={"content-type": MEDIA}
                )
                assert answer.status_code == 201, answer.text
                assert time.monotonic() - start < 8
            slow[0].settimeout(20)
            said = slow[0].recv(4096)
            assert said.startswith(b"HTTP/1.1 408") and b"others wait" in said
            assert http.get(f"{served.url}{path}/count").json() == 3


def test_a_key_has_not_all_places(tmp_path: Path) -> None:
    """Streams in drops, fast enough never to be ended: three quarters are the most that one key has."""
    options = ("--auth-file", str(credentials(tmp_path)), "--threads", "4", "--min-bytes-per-second", "1")
    with running(tmp_path / "db", *options) as served:
        path = collection(served.url, authorization="Bearer writer")
        add_entry(tmp_path / "auth.json", Entry("w2", "token", "write", ("*",), hash_token(b"w2")))
        time.sleep(1.2)
        request = head(f"{path}/add", 99_999, f"Content-Type: {MEDIA}", "Authorization: Bearer writer")
        with begun(served, 8, request + schema_only()[:-8]), client() as http:
            time.sleep(0.5)
            headers = {"content-type": MEDIA, "authorization": "Bearer w2"}
            start = time.monotonic()
            answer = http.post(f"{served.url}{path}/add", content=stream("a"), headers=headers)
            assert answer.status_code == 201, answer.text
            assert time.monotonic() - start < 2, "a place was free for another key"


@pytest.mark.parametrize("kind", ["stops", "drips"])
def test_a_stream_that_is_too_slow_ends(tmp_path: Path, kind: str) -> None:
    """Also when nobody waits: within --idle-seconds, for too few bytes as for none."""
    with running(tmp_path / "db", "--idle-seconds", "1") as served:
        path = collection(served.url)
        request = head(f"{path}/add", 99_999, f"Content-Type: {MEDIA}") + schema_only()[:-8]
        with begun(served, 1, request) as (slow,):
            start, said = time.monotonic(), b""
            slow.settimeout(0.2)
            while not said and time.monotonic() - start < 20:
                with contextlib.suppress(TimeoutError):
                    if kind == "drips":
                        slow.sendall(b"\xff")
                    said = slow.recv(4096)
        assert said.startswith(b"HTTP/1.1 408"), said
        assert time.monotonic() - start < 8


@pytest.mark.parametrize("same", [True, False], ids=["the same key", "another key"])
def test_bodies_of_the_largest_size_that_stop(tmp_path: Path, same: bool) -> None:
    """They held all of the memory for bodies, from a key that may only read."""
    size = scaled(64 * MIB, 512 * MIB)
    options = ("--auth-file", str(credentials(tmp_path)), "--max-body-bytes", str(max(size, 512 * MIB)))
    with running(tmp_path / "db", *options) as served, client() as http:
        path = collection(served.url, authorization="Bearer writer")
        request = head(f"{path}/query", 512 * MIB, "Authorization: Bearer reader")
        address = urlsplit(served.url)
        with begun(served, 1024 * MIB // size, request) as slow:
            sending = [threading.Thread(target=quietly_send, args=(found, size - 4096)) for found in slow]
            for thread in sending:
                thread.start()
            for thread in sending:
                thread.join()
            assert address.port
            headers = {"authorization": "Bearer reader" if same else "Bearer other"}
            start = time.monotonic()
            while True:
                body = {"query_embeddings": [[1.0]], "more": "x" * 100_000}
                answer = http.post(f"{served.url}{path}/query", json=body, headers=headers)
                if answer.status_code != 503 or time.monotonic() - start > 10:
                    break
                time.sleep(0.5)
            assert answer.status_code == 200, answer.text
            assert same or time.monotonic() - start < 2, "the other key has a share of its own"


def quietly_send(connection: socket.socket, size: int) -> None:
    piece = b" " * MIB
    with contextlib.suppress(OSError):
        for _ in range(size // MIB):
            connection.sendall(piece)


# ---------------------------------------------------------------------------- what is answered


def resident(process: int) -> int:
    """Bytes of memory that a process has."""
    fields = Path(f"/proc/{process}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def records(url: str, path: str, megabytes: int) -> None:
    with client() as http:
        text = "x" * (MIB // 4)
        for number in range(megabytes):
            body = {
                "ids": [f"{number} {place}" for place in range(4)],
                "embeddings": np.ones((4, 2)).tolist(),
                "documents": [text] * 4,
            }
            assert http.post(f"{url}{path}/add", json=body).status_code == 201


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_answers_that_nobody_reads(tmp_path: Path) -> None:
    """They hold a bounded amount, for a bounded time, and others are answered meanwhile."""
    megabytes, readers = 20, 60
    limits = ("--idle-seconds", "3", "--min-bytes-per-second", "40000")
    with (
        running(tmp_path / "db", *limits, "--keep-alive-seconds", "2") as served,
        client() as http,
    ):
        path = collection(served.url)
        records(served.url, path, megabytes)
        before = resident(served.process.pid)
        body = b'{"include": ["documents"]}'
        request = head(f"{path}/get", len(body)) + body
        with begun(served, readers, request):
            time.sleep(2)
            grown = resident(served.process.pid) - before
            start = time.monotonic()
            statuses: list[int] = []
            while 200 not in statuses and time.monotonic() - start < 12:
                answer = http.post(f"{served.url}{path}/get", json={"include": ["documents"]})
                statuses.append(answer.status_code)
                time.sleep(0.5)
            assert 200 in statuses, statuses
            assert http.get(f"{served.url}{path}/count").json() == 4 * megabytes
            assert grown < 1500 * MIB, f"{grown / MIB:.0f} MiB"
            eventually(lambda: sockets(served) < 20, "all are ended")
        assert time.monotonic() - start < 30


def sockets(served: Served) -> int:
    """How many a server has open."""
    folder, count = Path(f"/proc/{served.process.pid}/fd"), 0
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(entry).startswith("socket:")
    return count


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
def test_small_answers_that_nobody_reads(tmp_path: Path) -> None:
    """Asked for in one go, and left: the connection is ended, not only closed when it is empty."""
    limits = ("--idle-seconds", "1", "--min-bytes-per-second", "120000")
    with running(tmp_path / "db", *limits, "--keep-alive-seconds", "2") as served:
        request = b"GET /api/v2/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400
        with client() as http:
            assert http.get(f"{served.url}/api/v2", headers={"connection": "close"}).status_code == 200
        eventually(lambda: sockets(served) == 3, "there is the one that listens, and the loop's own two")
        before = 3
        with begun(served, 3, request):
            eventually(lambda: sockets(served) == before + 3, "they are open")
            eventually(lambda: sockets(served) == before, "all are ended")


def taken(connection: socket.socket, rate: int, seconds: float) -> int:
    """Bytes that were read at so many a second, until the time was up or the connection ended."""
    begin, count = time.monotonic(), 0
    connection.settimeout(seconds)
    with contextlib.suppress(OSError):
        while (rest := begin + seconds - time.monotonic()) > 0:
            time.sleep(min(0.1, rest))
            piece = connection.recv(max(1, int((time.monotonic() - begin) * rate) - count))
            if not piece:
                break
            count += len(piece)
    return count


@pytest.mark.parametrize("kind", ["get", "openapi"])
def test_a_slow_reader_goes_on(tmp_path: Path, kind: str) -> None:
    """What it takes is seen although the system would hold megabytes for it. One that reads nothing ends."""
    seconds, rate = 4, 240_000  # more than two periods: 128 KiB at the least rate take 1.6 s
    limits = ("--idle-seconds", "1", "--min-bytes-per-second", "80000")
    with running(tmp_path / "db", *limits) as served:
        path = collection(served.url)
        records(served.url, path, 30)
        body = b'{"include": ["documents"]}'
        request = head(f"{path}/get", len(body)) + body
        if kind == "openapi":  # many small ones, of which only the connections know
            request = b"GET /api/v2/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400
        with begun(served, 2, request) as (slow, none):
            assert taken(slow, rate, seconds) > 0.8 * rate * seconds
            none.settimeout(5)
            with pytest.raises(ConnectionResetError):
                while none.recv(MIB):
                    pass


def many(url: str, path: str, megabytes: int, first: int = 0) -> None:
    """So many records that answers with all of them are made while they are sent."""
    with client() as http:
        for number in range(first, first + megabytes):
            ids = [f"{number} {place}" for place in range(100)]
            body = {"ids": ids, "embeddings": np.ones((100, 2)).tolist(), "documents": ["x" * 10_400] * 100}
            assert http.post(f"{url}{path}/add", json=body).status_code == 201


def test_many_large_answers_at_once(tmp_path: Path) -> None:
    """Who reads waits for a place, and is answered."""
    with running(tmp_path / "db", "--threads", "2") as served:
        path = collection(served.url)
        many(served.url, path, 12)
        statuses: list[int] = []

        def read(_: int) -> None:
            with client() as http, http.stream("POST", f"{served.url}{path}/get", json=wanted) as answer:
                size = sum(len(part) for part in answer.iter_raw())
                statuses.append(answer.status_code if size > 10 * MIB else 0)

        wanted = {"include": ["documents"]}
        threads = [threading.Thread(target=read, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 60


def test_an_old_client_has_its_answer_whole(tmp_path: Path) -> None:
    with running(tmp_path / "db", "--max-answer-bytes", str(12 * MIB)) as served:
        path = collection(served.url)
        for first, more, status in ((0, 11, b"200"), (11, 4, b"413")):
            many(served.url, path, more, first)
            body = b'{"include": ["documents"]}'
            request = head(f"{path}/get", len(body)).replace(b"HTTP/1.1", b"HTTP/1.0") + body
            with begun(served, 1, request) as (connection,):
                parts = []
                while part := connection.recv(MIB):
                    parts.append(part)
            start, _, content = b"".join(parts).partition(b"\r\n\r\n")
            assert start.split()[1] == status and b"chunked" not in start.lower()
            assert f"content-length: {len(content)}".encode() in start.lower()


# ---------------------------------------------------------------------------- logins


@pytest.mark.parametrize("kind", ["kept", "new"])
def test_wrong_passwords_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """On 80 connections, or a new one for each; all from the address of who logs in with the right one."""
    if SCALE < 1:
        monkeypatch.setattr("chroma.server.security.credentials_file._COST", 1 << 12)
        monkeypatch.setattr("chroma.server.security.credentials_file._PARALLEL", 1)
    stop, tried = threading.Event(), []

    def guess(address: tuple[str, int], number: int) -> None:
        """Without a library: 80 clients would take more of the machine than the server."""
        while not stop.is_set():
            with contextlib.suppress(OSError), socket.create_connection(address, timeout=60) as made:
                while not stop.is_set():
                    tried.append(number)
                    secret = base64.b64encode(f"ana:wrong {number} {len(tried)}".encode()).decode()
                    lines = [f"GET {DATABASE} HTTP/1.1", "Host: localhost", f"Authorization: Basic {secret}"]
                    made.sendall("\r\n".join([*lines, "", ""]).encode())
                    said = b""
                    while not said.endswith(b"}"):
                        piece = made.recv(4096)
                        if not piece:
                            return
                        said += piece
                    if kind == "new":
                        break

    with running(tmp_path / "db", "--auth-file", str(credentials(tmp_path))) as served:
        at = ("127.0.0.1", urlsplit(served.url).port)
        threads = [threading.Thread(target=guess, args=(at, number)) for number in range(80)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: len(tried) > 170, "each has been wrong")
            start = time.monotonic()
            with client() as http:
                answer = http.get(f"{served.url}{DATABASE}", auth=("ana", PASSWORD))
            assert answer.status_code == 200, answer.text
            took = time.monotonic() - start
        finally:
            stop.set()
            served.process.kill()
            for thread in threads:
                thread.join()
    assert took < (5 if kind == "kept" else scaled(10, 60)), f"{took:.1f} s"
