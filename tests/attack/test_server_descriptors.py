"""Connections until there are no descriptors: they need no credentials. What was acknowledged stays,
writes go on, and the server answers meanwhile and afterwards."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trustme

import chroma

from ..chroma.server.processes import DATABASE, ROOT, client, environment

LIMIT = 256
CONNECTIONS = 600  # of the attacker, whose own limit may be as low as the usual 1,024


class Server:
    """`chroma run` with few descriptors."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "chroma", "run", "--path", str(folder), "--port", "0", *options]
        self.log = folder.parent / "server.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", f'ulimit -n {LIMIT} && exec "$@"', "sh", *command],
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=environment(),
            )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]
        self.address = ("127.0.0.1", urlsplit(self.url).port)

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    server = Server(folder, *options)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def _enough_of_our_own() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


BEGINNINGS = {
    "silent": b"",
    "half a head": b"GET /api/v2 HTTP/1.1\r\nHost: local",
    "idle": b"GET /api/v2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "half a body": b"POST /api/v2/tenants HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{",
}


@contextlib.contextmanager
def flood(server: Server, begin: bytes) -> Iterator[list[socket.socket]]:
    """Connections that are kept, as many as an attacker has. Those that are ended are made again."""
    held: list[socket.socket] = []
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                found = socket.create_connection(server.address, timeout=5)
                held.append(found)
                found.sendall(begin)
            if len(held) > CONNECTIONS:
                held.pop(0).close()
                time.sleep(0.005)

    thread = threading.Thread(target=go_on)
    thread.start()
    until = time.monotonic() + 20
    while len(held) < CONNECTIONS - 1 and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield held
    finally:
        stop.set()
        thread.join()
        for found in held:
            found.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
@pytest.mark.parametrize("kind", BEGINNINGS)
def test_writes_go_on(tmp_path: Path, kind: str) -> None:
    folder, written = tmp_path / "db", []
    with serving(folder) as server, client() as http:
        made = http.post(f"{server.url}{DATABASE}/collections", json={"name": "things"}).json()
        path = f"{server.url}{DATABASE}/collections/{made['id']}"
        refused: list[Any] = []
        with flood(server, BEGINNINGS[kind]):
            until = time.monotonic() + 20
            while len(written) < 40 and time.monotonic() < until:
                body = {"ids": [str(len(written))], "embeddings": [[float(len(written))]]}
                try:  # on a new connection, and now and then into a new collection
                    answer = httpx.post(f"{path}/upsert", json=body, timeout=5, verify=False)
                    if len(written) % 8 == 0:
                        name = {"name": f"more-{len(written)}", "get_or_create": True}
                        more = httpx.post(
                            f"{server.url}{DATABASE}/collections", json=name, timeout=5, verify=False
                        )
                        assert more.status_code == 200, more.text
                except httpx.TransportError as error:
                    refused.append(repr(error))
                    continue
                if answer.status_code == 200:
                    written.append(body["ids"][0])
                else:
                    refused.append(answer.text)
            most = server.descriptors()
        assert len(written) == 40, (len(written), refused[-3:])
        assert not [text for text in refused if "WriteFailed" in text], refused[-3:]
        assert most < LIMIT - 32, "nothing is left for the engine"
        assert http.get(f"{path}/count").json() == 40
        assert http.get(f"{server.url}/api/v2/healthcheck").status_code == 200
        server.stop()
    with chroma.PersistentClient(folder) as fresh:
        assert fresh.get_collection("things").count() == 40


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
def test_hands_that_are_never_shaken(tmp_path: Path) -> None:
    """With TLS a connection costs a descriptor before anything of HTTP is known of it."""
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    options = ("--ssl-certfile", str(tmp_path / "cert.pem"), "--ssl-keyfile", str(tmp_path / "key.pem"))
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    with serving(tmp_path / "db", *options) as server, flood(server, b""):
        url = server.url.replace("127.0.0.1", "localhost")
        good = 0
        for _ in range(10):
            with contextlib.suppress(httpx.TransportError), client(verify=trusted) as http:
                good += http.get(f"{url}{DATABASE}/collections").status_code == 200
        assert good >= 5
        assert server.descriptors() < LIMIT - 32


def asked(connection: socket.socket) -> bool:
    """Whether a connection answers."""
    connection.sendall(BEGINNINGS["idle"])
    said = b""
    while not said.endswith(b"}"):
        piece = connection.recv(4096)
        if not piece:
            return False
        said += piece
    return said.startswith(b"HTTP/1.1 200")


def test_there_are_no_more_than_may_be(tmp_path: Path) -> None:
    """The ones that wait longest end first, and one that was asked something lately stays."""
    with serving(tmp_path / "db", "--max-connections", "10") as server:
        held = [socket.create_connection(server.address, timeout=10) for _ in range(10)]
        assert asked(held[0])
        for _ in range(3):
            held.append(socket.create_connection(server.address, timeout=10))
            assert asked(held[-1])
        for ended in held[1:4]:
            assert ended.recv(1) == b""
        assert asked(held[0])
        for found in held:
            found.close()
