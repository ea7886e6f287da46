"""The end of a server, whatever its requests do; several processes, and the end of some."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import chroma

from .processes import DATABASE, ROOT, Served, client, environment, eventually, running
from .sockets import everything

BOUND = 30  # seconds; the settings of the tests ask for far less


def workers_of(process: subprocess.Popen[str]) -> set[int]:
    """The processes that a server with several has started."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return {int(row[0]) for row in rows if int(row[1]) == process.pid and "spawn_main" in row[-1]}


def collection(url: str) -> str:
    with client() as http:
        answer = http.post(f"{url}{DATABASE}/collections", json={"name": "things", "get_or_create": True})
    return f"{url}{DATABASE}/collections/{answer.json()['id']}"


def add(path: str, *ids: str) -> None:
    with client() as http:
        answer = http.post(f"{path}/add", json={"ids": list(ids), "embeddings": [[1.0, 2.0]] * len(ids)})
    assert answer.status_code == 201, answer.text


def half_a_request(url: str) -> socket.socket:
    """A connection over which the second half of a body never comes."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=BOUND)
    connection.sendall(
        f"POST {DATABASE}/collections HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{".encode()
    )
    return connection


def many_records(url: str) -> socket.socket:
    """A connection over which a stream comes that nobody reads."""
    parts = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(BOUND)
    connection.connect((parts.hostname, parts.port))
    path = urlsplit(collection(url)).path
    connection.sendall(
        f"POST {path}/chroma-arrow/export HTTP/1.1\r\nHost: ::1\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    )
    assert connection.recv(1) == b"H"
    return connection


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_that_never_ends(folder: Path, workers: int) -> None:
    with running(folder, "--drain-seconds", "1", "--workers", str(workers)) as served:
        path = collection(served.url)
        add(path, "a")
        for number in range(20):
            add(path, *(f"{number} {place} {'x' * 1000}" for place in range(1000)))
        with half_a_request(served.url) as connection, many_records(served.url) as stream:
            assert served.ended(BOUND) == 0
            answer = everything(connection)
            assert answer.startswith(b"HTTP/1.1 503") and b"the server is stopping" in answer
            assert everything(stream).startswith(b"TTP/1.1 200")
        log = served.text()
        assert "Traceback" not in log and log.count(" 503 ") == 2, log
    with chroma.PersistentClient(folder) as opened:
        assert opened.get_collection("things").count() == 20_001


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_hastens(folder: Path, workers: int) -> None:
    with running(folder, "--drain-seconds", "3600", "--workers", str(workers)) as served:
        collection(served.url)
        with half_a_request(served.url):
            served.process.terminate()
            eventually(lambda: not listens(served), "it stops to listen")
            assert served.process.poll() is None, "it waits for the request"
            assert served.ended(BOUND) == 0


def listens(served: Served) -> bool:
    try:
        with client() as http:
            return http.get(f"{served.url}/api/v2/heartbeat").is_success
    except httpx.TransportError:
        return False


STUCK = """
import sys, threading
from chroma.cli import main
from chroma.embedded.backend import LocalBackend

def count(self, *arguments):
    print("stuck", flush=True)
    threading.Event().wait()

LocalBackend.count = count
main()
"""


def test_a_call_of_the_engine_that_is_stuck(folder: Path) -> None:
    command = [
        sys.executable,
        "-c",
        STUCK,
        "run",
        "--path",
        str(folder),
        "--port",
        "0",
        "--drain-seconds",
        "1",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        path = collection(process.stdout.readline().split()[-1])
        add(path, "a", "b")

        answers: list[int] = []

        def ask() -> None:
            with client() as http, suppress(httpx.TransportError):
                answers.append(http.get(f"{path}/count").status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        assert process.stdout.readline() == "stuck\n"
        process.terminate()
        _, log = process.communicate(timeout=BOUND)
        asking.join(BOUND)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, log
    assert "abandoned" in log
    assert all(status >= 500 for status in answers), "it was not told that all is well"
    with chroma.PersistentClient(folder) as opened:
        assert opened.get_collection("things").count() == 2


def test_a_killed_worker_is_replaced(folder: Path) -> None:
    with running(folder, "--workers", "2") as served:
        path = collection(served.url)
        eventually(lambda: len(workers_of(served.process)) == 2, "two processes")
        before = workers_of(served.process)
        add(path, "before")
        os.kill(min(before), signal.SIGKILL)
        eventually(lambda: len(workers_of(served.process) - before) == 1, "a new process")
        for number in range(20):  # new connections, to either process
            add(path, str(number))
            with client() as http:
                assert http.get(f"{path}/count").json() == number + 2
        assert "ended with code -9" in served.text()
        assert served.ended(BOUND) == 0
        assert workers_of(served.process) == set()


def test_workers_do_not_outlive_the_first_process(folder: Path) -> None:
    with running(folder, "--workers", "2") as served:
        collection(served.url)
        eventually(lambda: len(workers_of(served.process)) == 2, "two processes")
        left = workers_of(served.process)
        served.process.kill()
        served.process.wait()
        eventually(lambda: not any(map(alive, left)), "the workers end")
        assert not listens(served)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(status.stdout.strip()) and not status.stdout.startswith("Z")


def test_the_terminal_speaks_to_all_processes(folder: Path) -> None:
    """Ctrl-C reaches every process at once, and then the first stops the others: one end, not two."""
    with running(folder, "--workers", "2") as served:
        collection(served.url)
        eventually(lambda: len(workers_of(served.process)) == 2, "two processes")
        for pid in (*workers_of(served.process), served.process.pid):
            os.kill(pid, signal.SIGINT)
        assert served.process.wait(BOUND) == 0
        assert "Traceback" not in served.text()


def test_a_hang_up_without_credentials_ends_it(folder: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup would have it ignored, by the server too
    try:
        with running(folder) as served:
            collection(served.url)
            served.process.send_signal(signal.SIGHUP)
            assert served.process.wait(BOUND) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
