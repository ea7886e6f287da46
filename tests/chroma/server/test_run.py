"""`chroma run`: settings, refusals, a start and a stop over a real socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
import numpy as np
import pytest
from click.testing import CliRunner

import chroma
from chroma.cli import cli
from chroma.errors import InvalidArgumentError
from chroma.server.settings.server_settings import ServerSettings, is_loopback
from chroma.server.settings.sources import read_settings
from chroma.wire import json_codec

ROOT = Path(__file__).resolve().parents[3]


def test_where_settings_come_from() -> None:
    assert read_settings({}, {}) == ServerSettings()
    old = {
        "ALLOW_RESET": "TRUE",
        "PERSIST_DIRECTORY": "/data",
        "CHROMA_SERVER_HOST": "::1",
        "CHROMA_SERVER_HTTP_PORT": "9000",
        "CHROMA_SERVER_CORS_ALLOW_ORIGINS": '["http://a", "http://b"]',
        "CHROMA_SERVER_THREAD_POOL_SIZE": "3",
    }
    settings = read_settings({}, old)
    assert settings == ServerSettings(
        allow_reset=True,
        path="/data",
        host="::1",
        port=9000,
        cors_origins=("http://a", "http://b"),
        threads=3,
    )
    newer = old | {"CHROMA_PORT": "9001", "CHROMA_CORS_ORIGINS": "http://c, http://d", "CHROMA_PATH": " "}
    settings = read_settings({"port": None, "workers": 2}, newer)
    assert (settings.port, settings.workers, settings.path) == (9001, 2, "/data")
    assert settings.cors_origins == ("http://c", "http://d")
    assert read_settings({}, {"CHROMA_PORT": "tcp://10.0.0.1:8000"}).port == 8000  # as Kubernetes sets it
    assert read_settings({"port": 9002, "allow_reset": None}, newer).port == 9002


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHROMA_SERVER_AUTHN_PROVIDER", "token"),
        ("CHROMA_SERVER_AUTHN_CREDENTIALS_FILE", "file"),
        ("CHROMA_SERVER_AUTHZ_PROVIDER", "x"),
        ("CHROMA_SERVER_AUTH_IGNORE_PATHS", "{}"),
        ("CHROMA_SERVER_NOFILE", "1000"),
        ("CHROMA_PORT", "http"),
        ("CHROMA_PORT", "70000"),
        ("CHROMA_ALLOW_RESET", "perhaps"),
        ("CHROMA_LOG_LEVEL", "loud"),
        ("CHROMA_SERVER_CORS_ALLOW_ORIGINS", "[1]"),
        ("CHROMA_MAX_BODY_BYTES", "1"),
    ],
)
def test_variables_that_are_refused(name: str, value: str) -> None:
    said = name if "SERVER" in name else name.removeprefix("CHROMA_").lower()
    with pytest.raises(InvalidArgumentError) as caught:
        read_settings({}, {name: value})
    assert said.lower() in str(caught.value).lower()


def test_loopback() -> None:
    for host in ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"):
        assert is_loopback(host)
        ServerSettings(host=host).check_reach()
    for host in ("0.0.0.0", "::", "192.168.1.1", "example.org", ""):
        assert not is_loopback(host)
        with pytest.raises(InvalidArgumentError, match="--allow-remote-without-auth"):
            ServerSettings(host=host).check_reach()
        ServerSettings(host=host, allow_remote_without_auth=True).check_reach()


def test_every_setting_is_an_option() -> None:
    command = cli.get_command(click.Context(cli), "run")
    assert command is not None
    options = {parameter.name for parameter in command.params}
    secret = {"auth_token", "ssl_keyfile_password"}
    assert options - {"config", "file"} == set(ServerSettings.__dataclass_fields__) - secret


def refused(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli, ["run", *map(str, arguments)], prog_name="chroma")
    assert result.exit_code == 2, result.output
    return result.output


def test_starts_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--allow-remote-without-auth" in refused("--path", tmp_path / "db", "--host", "0.0.0.0")
    assert not (tmp_path / "db").exists()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused("--path", tmp_path / "db", "--port", str(port))
    (tmp_path / "file").write_text("x")
    assert "file" in refused("--path", tmp_path / "file")
    assert "Error" in refused("--path", tmp_path / "file" / "under", "--port", "0")
    monkeypatch.setenv("CHROMA_SERVER_AUTHN_CREDENTIALS", "secret")
    output = refused("--path", tmp_path / "db")
    assert "CHROMA_SERVER_AUTHN_CREDENTIALS" in output and "secret" not in output


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "chroma", "run", "--path", str(folder), "--port", "0", *options]
    environment = {key: value for key, value in os.environ.items() if key != "ALLOW_RESET"}
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=environment
    )
    try:
        assert server.stdout is not None
        yield server, server.stdout.readline().split()[-1]
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_and_a_stop(folder: Path, workers: int) -> None:
    with running(folder, "--workers", str(workers), "--log-level", "warning") as (server, url):
        database = f"{url}/api/v2/tenants/default_tenant/databases/default_database"
        with httpx.Client(trust_env=False, timeout=60) as client:
            id = client.post(f"{database}/collections", json={"name": "things"}).json()["id"]

        def add(first: int) -> None:
            with httpx.Client(trust_env=False, timeout=60) as client:  # a connection of its own
                for number in range(first, first + 10):
                    body = {"ids": [str(number)], "embeddings": [[float(number), 1.0]]}
                    answer = client.post(f"{database}/collections/{id}/add", json=body)
                    assert answer.status_code == 201, answer.text
                    count = client.get(f"{database}/collections/{id}/count").json()
                    assert count >= number - first + 1

        threads = [threading.Thread(target=add, args=(10 * first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.terminate()
        assert server.wait(30) == 0
    with chroma.PersistentClient(folder) as client:
        assert client.get_collection("things").count() == 40


def test_requests_at_hand_are_finished(folder: Path) -> None:
    """SIGTERM while bodies arrive and are written: what was answered is stored, nothing is half there."""
    with running(folder, "--log-level", "warning") as (server, url):
        database = f"{url}/api/v2/tenants/default_tenant/databases/default_database"
        with httpx.Client(trust_env=False, timeout=60) as client:
            id = client.post(f"{database}/collections", json={"name": "things"}).json()["id"]
        row = json_codec.encoded(np.ones((1, 64), dtype=np.float32))[0]
        statuses: list[int] = []

        def add() -> None:
            number = 0
            with httpx.Client(trust_env=False, timeout=60) as client:
                while True:
                    body = {"ids": [f"{number}-{i}" for i in range(500)], "embeddings": [row] * 500}
                    try:
                        answer = client.post(f"{database}/collections/{id}/add", json=body)
                    except httpx.TransportError:
                        return
                    statuses.append(answer.status_code)
                    number += 1

        thread = threading.Thread(target=add)
        thread.start()
        while len(statuses) < 3:
            time.sleep(0.01)
        server.terminate()
        assert server.wait(30) == 0
        thread.join(30)
    assert set(statuses) == {201}
    with chroma.PersistentClient(folder) as client:
        stored = client.get_collection("things").count()
        assert stored % 500 == 0
        assert stored // 500 - len(statuses) in (0, 1)


def test_limits_of_connections(folder: Path) -> None:
    options = ("--max-header-bytes", "2048", "--keep-alive-seconds", "1", "--log-level", "warning")
    with running(folder, *options) as (server, url):
        host, port = url.removeprefix("http://").split(":")
        with httpx.Client(trust_env=False, timeout=60) as client:
            assert client.get(f"{url}/api/v2", headers={"x": "y" * 1000}).status_code == 200
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(b"GET /api/v2 HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 4000)
            assert connection.recv(100).split()[1].startswith(b"4")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(b"GET /api/v2 HTTP/1.1\r\nhost: x\r\n\r\n")
            while connection.recv(1000):
                pass  # until the server closes the idle connection
        server.terminate()
        assert server.wait(30) == 0
