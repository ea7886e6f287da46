"""A server with credentials, over real sockets: clients, processes, reloads, logs, warnings."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

import chroma
from chroma.cli import cli
from chroma.server.run import _announce
from chroma.server.settings.server_settings import ServerSettings

from .processes import DATABASE, Served, client, eventually, running

TOKEN_PROVIDER = "chromadb.auth.token_authn.TokenAuthClientProvider"
BASIC_PROVIDER = "chromadb.auth.basic_authn.BasicAuthClientProvider"


def create(file: Path, name: str, *options: str) -> str:
    """`chroma auth create`; the secret."""
    result = CliRunner().invoke(cli, ["auth", "create", name, "--file", str(file), *options])
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def revoke(file: Path, name: str) -> None:
    assert CliRunner().invoke(cli, ["auth", "revoke", name, "--file", str(file)]).exit_code == 0


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("secured")
    file = folder / "auth.json"
    secrets = {
        "root": create(file, "root", "--role", "admin"),
        "reader": create(file, "reader", "--role", "read"),
        "bob": create(file, "bob", "--kind", "basic", "--role", "write", "--database", "default_database"),
    }
    with running(folder / "db", "--auth-file", str(file), "--log-level", "debug", "--workers", "2") as served:
        yield served, file, secrets
        log = served.text()
        assert served.ended() == 0
        for secret in secrets.values():
            assert secret not in log


def settings(provider: str, secret: str, **more: Any) -> chroma.Settings:
    return chroma.Settings(
        chroma_client_auth_provider=provider, chroma_client_auth_credentials=secret, **more
    )


def test_our_client(secured: tuple[Served, Path, dict[str, str]]) -> None:
    served, _, secrets = secured
    root = settings(TOKEN_PROVIDER, secrets["root"])
    x_token = settings(TOKEN_PROVIDER, secrets["root"], chroma_auth_token_transport_header="X-Chroma-Token")
    bob = settings(BASIC_PROVIDER, f"bob:{secrets['bob']}")
    for number, each in enumerate((root, x_token, bob)):
        with chroma.HttpClient(served.url, settings=each) as http:
            things = http.get_or_create_collection("things", embedding_function=None)
            things.add(ids=[str(number)], embeddings=[[1.0, 2.0]])
            assert things.count() == number + 1
    with chroma.HttpClient(served.url, headers={"Authorization": f"Bearer {secrets['reader']}"}) as http:
        things = http.get_collection("things", embedding_function=None)
        assert things.count() == 3
        assert things.get(limit=1)["ids"] == ["0"]
        assert http.get_user_identity().user_id == "reader"
        with pytest.raises(chroma.errors.AuthorizationError, match="role"):
            things.add(ids=["x"], embeddings=[[1.0, 2.0]])
        with pytest.raises(chroma.errors.AuthorizationError):
            http.delete_collection("things")
    for wrong in (settings(TOKEN_PROVIDER, "x" * 43), settings(BASIC_PROVIDER, "bob:wrong"), None):
        with pytest.raises(chroma.errors.ChromaAuthError):
            chroma.HttpClient(served.url, settings=wrong)
    with pytest.raises(chroma.errors.AuthorizationError):
        chroma.HttpClient(served.url, settings=bob, database="other_database")


def test_refused_before_the_body_is_sent(secured: tuple[Served, Path, dict[str, str]]) -> None:
    served, _, secrets = secured
    parts = urlsplit(served.url)
    for header, status in (("", b"401"), (f"X-Chroma-Token: {secrets['reader']}\r\n", b"403")):
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
            connection.sendall(
                f"POST {DATABASE}/collections HTTP/1.1\r\nHost: test\r\n{header}"
                "Content-Length: 1000000\r\n\r\n".encode()
            )
            assert connection.recv(100).split()[1] == status


def test_all_processes_follow_the_file(secured: tuple[Served, Path, dict[str, str]]) -> None:
    served, file, _ = secured

    def statuses(secret: str) -> set[int]:
        """Of several new connections, so that both processes are asked."""
        found = set()
        for _ in range(10):
            with client(headers={"X-Chroma-Token": secret}) as http:
                found.add(http.get(f"{served.url}{DATABASE}").status_code)
        return found

    guest = create(file, "guest", "--role", "read")
    eventually(lambda: statuses(guest) == {200}, "the new entry is known")
    revoke(file, "guest")
    eventually(lambda: statuses(guest) == {401}, "the entry is gone")
    again = create(file, "guest", "--role", "read")
    served.process.send_signal(signal.SIGHUP)
    eventually(lambda: statuses(again) == {200}, "the new entry is known")
    assert served.process.poll() is None
    revoke(file, "guest")


def test_a_hang_up_reads_at_once(folder: Path, tmp_path: Path) -> None:
    """Even where the file looks as before: same size, times and inode."""
    file = tmp_path / "auth.json"
    secret = create(file, "app", "--role", "read")
    with running(folder, "--auth-file", str(file)) as served:
        url = f"{served.url}{DATABASE}"
        with client(headers={"Authorization": f"Bearer {secret}"}) as http:
            assert http.get(url).status_code == 200
            found = os.stat(file)
            content = file.read_text()
            hashed = content.partition("sha256$")[2][:64]
            file.write_text(content.replace(hashed, "0" * 64))
            os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
            assert http.get(url).status_code == 200
            served.process.send_signal(signal.SIGHUP)
            eventually(lambda: http.get(url).status_code == 401, "the file is read")
        assert served.ended() == 0


def test_the_token_of_other_servers(folder: Path) -> None:
    variables = {
        "CHROMA_SERVER_AUTHN_PROVIDER": "chromadb.auth.token_authn.TokenAuthenticationServerProvider",
        "CHROMA_SERVER_AUTHN_CREDENTIALS": "test-token-of-old",
        "CHROMA_AUTH_TOKEN_TRANSPORT_HEADER": "X-Chroma-Token",
    }
    with running(folder, "--workers", "2", "--log-level", "debug", env=variables) as served:
        right = settings(
            TOKEN_PROVIDER, "test-token-of-old", chroma_auth_token_transport_header="X-Chroma-Token"
        )
        with chroma.HttpClient(served.url, settings=right) as http:
            assert http.create_collection("things", embedding_function=None).count() == 0
        with pytest.raises(chroma.errors.ChromaAuthError):
            chroma.HttpClient(served.url, settings=settings(TOKEN_PROVIDER, "test-token-of-old"))
        assert served.ended() == 0
        assert "test-token-of-old" not in served.text()


def test_starts_that_fail(folder: Path, tmp_path: Path) -> None:
    def said(*options: str, env: dict[str, str] | None = None) -> str:
        start = ["run", "--path", str(folder), "--port", "0", *options]
        result = CliRunner().invoke(cli, start, prog_name="chroma", env=env)
        assert result.exit_code == 2, result.output
        assert not folder.exists()
        return result.output

    assert "chroma auth create" in said("--auth-file", str(tmp_path / "none.json"))
    file = tmp_path / "auth.json"
    create(file, "app", "--role", "read")
    file.chmod(0o644)
    assert "chmod 600" in said("--auth-file", str(file))
    assert "chmod 600" in said("--workers", "2", env={"CHROMA_AUTH_FILE": str(file)})


def test_reach_and_warnings(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    ServerSettings(host="0.0.0.0", auth_file="a.json").check_reach()

    def warned(**values: Any) -> str:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            _announce(listening, ServerSettings(**values))
        captured = capsys.readouterr()
        assert captured.out.startswith("serving ")
        told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        caplog.clear()
        return "".join(told)

    assert "no authentication" in warned(host="0.0.0.0", allow_remote_without_auth=True)
    assert "no TLS" in warned(host="0.0.0.0", auth_file="a.json")
    assert warned(host="0.0.0.0", auth_file="a.json", ssl_certfile="c", ssl_keyfile="k") == ""
    assert "short" in warned(host="127.0.0.1", auth_token="secret")
    assert warned(host="127.0.0.1", auth_token="s" * 20) == ""
    assert warned(host="127.0.0.1", auth_file="a.json") == ""
    assert warned(host="127.0.0.1", allow_remote_without_auth=True) == ""


def test_a_long_body_is_refused_with_an_answer(secured: tuple[Served, Path, dict[str, str]]) -> None:
    """The client is still sending when the answer comes."""
    served, _, _ = secured
    with client() as http:
        for _ in range(5):
            answer = http.post(f"{served.url}{DATABASE}/collections", content=b"x" * 20_000_000)
            assert answer.status_code == 401
