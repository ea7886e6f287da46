"""SQL on a server: who may, and what bounds a statement whatever it does."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from chroma.errors import ServerTimeoutError
from chroma.server.sql import process_pool

from .conftest import DATABASE, Api
from .processes import client, eventually, running
from .test_secured import create

SQL = f"{DATABASE}/chroma-arrow/sql"


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    """An application with ten records in "things", which lets a request take three seconds."""
    made = serve(request_seconds=3)
    records = {"ids": [str(row) for row in range(10)], "embeddings": [[row, 0] for row in range(10)]}
    assert made.post(f"{made.collection()}/add", records).status_code == 201
    return made


def children() -> set[str]:
    """The processes of statements, the one that waits included."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return {line.split()[0] for line in listed.stdout.splitlines() if "worker.main" in line}


def test_an_answer_is_an_arrow_stream(api: Api) -> None:
    answer = api.post(
        SQL, {"sql": "select count(*) as n from things where id <> $id", "parameters": {"id": "3"}}
    )
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert pa.ipc.open_stream(answer.content).read_all().to_pydict() == {"n": [9]}
    assert len(children()) == 1  # for the next statement


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, ["sql", "SELECT"]),
        ({"sql": 5}, 422, ["5"]),
        ({"sql": "select 1", "parameters": 5}, 422, ["parameters"]),
        ({"sql": "select 1", "tables": {"x": "?"}}, 400, ["tables['x']", "base64"]),
        ({"sql": "select 1", "tables": {"x": "AAAA"}}, 400, ["Arrow stream"]),
        ({"sql": "select 1", "collection": "no uuid"}, 400, ["no uuid"]),
        ({"sql": "from nothing"}, 404, ["nothing"]),
        ({"sql": "select repeat('x', 3000000000)"}, 400, ["more memory"]),
        ({"sql": "select list_sort(range(1000000000))"}, 400, ["more memory"]),
    ],
)
def test_what_is_refused(api: Api, body: Any, status: int, words: list[str]) -> None:
    answer = api.post(SQL, body)
    assert answer.status_code == status, answer.text
    assert [word for word in words if word not in answer.json()["message"]] == []


def test_parameters_may_be_lists_of_short_lists(api: Api) -> None:
    body = {"sql": "select len(?) n", "parameters": [[[number] for number in range(100)]]}
    answer = api.post(SQL, body)
    assert answer.status_code == 200, answer.text
    assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"n": 100}]


def test_what_takes_long_is_ended(api: Api) -> None:
    """No interrupt reaches one call of a function: the process is killed."""
    began = time.monotonic()
    answer = api.post(SQL, {"sql": "select levenshtein(repeat('a', 300000), repeat('b', 300000))"})
    assert answer.status_code == 504, answer.text
    assert time.monotonic() - began < 8
    assert len(children()) == 1
    assert api.pool.running == 0


def test_an_endless_answer_breaks_off(api: Api) -> None:
    endless = {"sql": "select i.range, j.range from range(1000000000) i, range(2) j"}
    with pytest.raises(ServerTimeoutError):  # as a socket would break off
        api.post(SQL, endless)
    assert len(children()) == 1
    assert api.post(SQL, {"sql": "select 1"}).status_code == 200


def test_no_more_than_some_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool, "_processes", one := process_pool._Processes(1))
    slow = {"sql": "select levenshtein(repeat('a', 300000), repeat('b', 300000))"}
    busy = threading.Thread(target=lambda: api.post(SQL, slow))
    busy.start()
    try:
        deadline = time.monotonic() + 3
        while not one._running and time.monotonic() < deadline:
            time.sleep(0.01)
        answer = api.post(SQL, {"sql": "select 1"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    finally:
        busy.join()
        one.close()


def test_a_client_that_has_gone_leaves_no_statement(tmp_path: Path) -> None:
    """As JSON, a thread reads the answer to its end. It must not go on when nobody waits for it."""
    slow = {"sql": "select levenshtein(repeat('a', 300000), repeat('b', 300000))"}
    accept = {"Accept": "application/json"}
    with running(tmp_path / "db") as served, client() as http:
        for _ in range(max(4, os.cpu_count() or 1) + 1):
            with pytest.raises(httpx.ReadTimeout):
                http.post(f"{served.url}{SQL}", json=slow, headers=accept, timeout=0.3)

        def answers() -> bool:
            return (
                http.post(f"{served.url}{SQL}", json={"sql": "select 1"}, headers=accept).status_code == 200
            )

        eventually(answers, "statements of clients that have gone give their processes back")


def test_a_process_that_dies_is_an_error(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool, "_START", "import os, sys; sys.stdin.buffer.read(); os.abort()")
    monkeypatch.setattr(process_pool, "_processes", dying := process_pool._Processes(1))
    with contextlib.closing(dying):
        answer = api.post(SQL, {"sql": "select 1"})
        assert answer.status_code == 400
        assert "makes DuckDB fail" in answer.json()["message"]


def test_statements_change_nothing_in_the_folder(api: Api, folder: Path) -> None:
    def files() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    before = files()
    assert api.post(SQL, {"sql": "select sum(embedding[1]) from things"}).status_code == 200
    assert files() == before


def test_who_may(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    reader = create(file, "reader", "--role", "read", "--database", "default_database")
    elsewhere = create(file, "elsewhere", "--role", "read", "--database", "other")
    with running(tmp_path / "db", "--auth-file", str(file)) as served, client(base_url=served.url) as http:

        def status(token: str | None) -> int:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            return http.post(SQL, json={"sql": "select 1"}, headers=headers).status_code

        assert [status(reader), status(elsewhere), status(None)] == [200, 403, 401]
        waiting = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(served.process.pid)], capture_output=True, text=True
        ).stdout.split()
        assert waiting
        served.process.kill()  # without a word to those that wait
        served.process.wait()
        deadline = time.monotonic() + 10
        while any(os.path.exists(f"/proc/{pid}") for pid in waiting) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in waiting if os.path.exists(f"/proc/{pid}")]
