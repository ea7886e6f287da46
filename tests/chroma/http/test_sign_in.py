"""Credentials of clients over HTTP: arguments, variables, and what goes before what."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.errors import ChromaAuthError, InvalidArgumentError
from chroma.http.connection_settings import headers_for, settings_for, sign_in, warn_if_readable
from chroma.migration.target import Target

from ..cli.running import run
from ..server.processes import Served, running

BASIC = "Basic YW5hOnM6M2NyZXQ="  # ana:s:3cret


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKEN", "USER", "CA"):
        monkeypatch.delenv(f"CHROMA_{name}", raising=False)


def sent(token: Any = None, user: Any = None, host: str = "localhost", **options: Any) -> str | None:
    """The credentials in the headers of requests."""
    settings = settings_for(host, 8000, False, options.get("headers"), options.get("settings"))
    headers = headers_for(sign_in(settings, token, user, options.get("ca")))
    return headers.get("Authorization") or headers.get("X-Chroma-Token")


def test_arguments() -> None:
    assert sent() is None
    assert sent(token="abc") == "Bearer abc"
    assert sent(user=("ana", "s:3cret")) == BASIC


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_TOKEN", "abc")
    assert sent() == "Bearer abc"
    assert sent(token="other") == "Bearer other"
    assert sent(user=("ana", "s:3cret")) == BASIC
    own = {"X-Chroma-Token": "mine"}
    assert sent(headers=own) == "mine"
    assert sent(host="http://ana:secret@localhost:8000") is None  # the URL has them
    configured = chroma.Settings(
        chroma_client_auth_provider="basic", chroma_client_auth_credentials="ana:s:3cret"
    )
    assert sent(settings=configured) == BASIC
    monkeypatch.setenv("CHROMA_USER", "ana:s:3cret")
    with pytest.raises(InvalidArgumentError, match="CHROMA_TOKEN and CHROMA_USER"):
        sent()
    monkeypatch.delenv("CHROMA_TOKEN")
    assert sent() == BASIC
    monkeypatch.setenv("CHROMA_USER", "ana")
    with pytest.raises(InvalidArgumentError, match="name:password"):
        sent()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"token": "abc", "user": ("a", "b")}, "give one"),
        ({"token": ""}, "an empty text"),
        ({"token": 5}, "got int"),
        ({"user": "ana"}, "a name, without a colon, and a password"),
        ({"user": ("a:b", "c")}, "a name, without a colon, and a password"),
        ({"user": ("a",)}, "a name, without a colon, and a password"),
        ({"ca": "ca.pem"}, "is for https"),
    ],
)
def test_what_cannot_be_meant(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        sent(**given)
    assert "secret" not in str(caught.value)


def test_two_ways_at_once() -> None:
    configured = chroma.Settings(chroma_client_auth_provider="token", chroma_client_auth_credentials="x")
    with pytest.raises(InvalidArgumentError, match="chroma_client_auth_provider"):
        sent(token="abc", settings=configured)


def test_the_settings_of_the_caller_stay_and_hide_secrets() -> None:
    configured = chroma.Settings()
    made = sign_in(settings_for("localhost", 8000, False, None, configured), "secret", None, None)
    assert configured.chroma_client_auth_credentials is None
    assert "secret" not in repr(made)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str, str]]:
    folder = tmp_path_factory.mktemp("secured")
    file = folder / "auth.json"
    token = run("auth", "create", "bob", "--role", "write", "--file", file).stdout.strip()
    password = run(
        "auth", "create", "ana", "--kind", "basic", "--role", "read", "--file", file
    ).stdout.strip()
    with running(folder / "db", "--auth-file", str(file)) as served:
        yield served, token, password


def test_a_server_with_credentials(
    secured: tuple[Served, str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served, token, password = secured
    with pytest.raises(ChromaAuthError, match="token='…' or user=") as caught:
        chroma.HttpClient(served.url)
    assert caught.value.message() == "Forbidden"
    with chroma.HttpClient(served.url, token=token) as client:
        client.get_or_create_collection("things", embedding_function=None)
    with chroma.HttpClient(served.url, user=("ana", password)) as client:
        assert [each.name for each in client.list_collections()] == ["things"]

    async def names(**options: Any) -> list[str]:
        async with await chroma.AsyncHttpClient(served.url, **options) as client:
            return [each.name for each in await client.list_collections()]

    assert asyncio.run(names(token=token)) == ["things"]
    with pytest.raises(ChromaAuthError, match="token='…' or user="):
        asyncio.run(names(token="wrong"))
    monkeypatch.setenv("CHROMA_TOKEN", token)
    assert asyncio.run(names()) == ["things"]
    with chroma.HttpClient(served.url) as client, chroma.AdminClient(client.get_settings()) as admin:
        assert admin.list_databases()


ELSEWHERE = "http://db.example.org:8000"


def _settings_of(host: str, **options: Any) -> chroma.Settings:
    settings = settings_for(host, 8000, False, options.get("headers"), options.get("settings"))
    return sign_in(settings, options.get("token"), options.get("user"), None)


@pytest.mark.parametrize(
    "options",
    [
        {"token": "abc"},
        {"user": ("ana", "secret")},
        {"headers": {"x-chroma-TOKEN": "abc"}},
        {"headers": {"Authorization": "Bearer abc"}},
        {"host": "http://ana:secret@db.example.org:8000"},
        {"host": "db.example.org", "token": "abc"},
        {"host": "10.1.2.3", "token": "abc"},
        {"host": "http://[2001:db8::1]:8000", "token": "abc"},
        {"host": "localhost.example.org", "token": "abc"},
        {"variable": "CHROMA_TOKEN"},
        {"variable": "CHROMA_USER"},
    ],
)
def test_credentials_that_others_may_read_give_a_warning(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if (name := options.get("variable")) is not None:
        monkeypatch.setenv(name, "ana:secret")
    settings = _settings_of(**{"host": ELSEWHERE, **options})
    with pytest.warns(UserWarning, match=r"^credentials go to http://.* unencrypted.*ssl=True") as caught:
        warn_if_readable(settings, stacklevel=1)
    assert "secret" not in str(caught[0].message) and "abc" not in str(caught[0].message)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"headers": {"X-Other": "1"}},
        {"host": "https://db.example.org", "token": "abc"},
        {"host": "localhost", "token": "abc"},
        {"host": "chroma.localhost", "token": "abc"},
        {"host": "http://127.0.0.7:9000", "token": "abc"},
        {"host": "http://[::1]:8000", "token": "abc"},
        {"host": "0.0.0.0", "user": ("ana", "secret")},
    ],
)
def test_other_connections_give_none(options: dict[str, Any]) -> None:
    warn_if_readable(_settings_of(**{"host": ELSEWHERE, **options}), stacklevel=1)


def test_every_client_warns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also the command, which prints the warning, and migrations."""
    monkeypatch.setenv("CHROMA_TOKEN", "abc")
    monkeypatch.setattr("chroma.http.connection_settings._is_this_machine", lambda host: False)
    signed = chroma.Settings(chroma_client_auth_provider="token", chroma_client_auth_credentials="abc")
    with running(tmp_path / "db") as served:
        ways: list[Callable[[], Any]] = [
            lambda: chroma.HttpClient(served.url).close(),
            lambda: asyncio.run(_async(served.url)),
            lambda: chroma.AdminClient(_settings_of(served.url)).close(),
            lambda: chroma.CloudClient(
                api_key="abc",
                cloud_host="127.0.0.1",
                cloud_port=int(served.url.rpartition(":")[2]),
                enable_ssl=False,
            ),
            lambda: chroma.migrate(served.url, tmp_path / "copy", source_settings=signed, progress=False),
            lambda: Target(served.url, signed).close(),
        ]
        for way in ways:
            with pytest.warns(UserWarning, match="credentials go to"):
                way()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            told = run("ls", served.url)
        assert told.exit_code == 0 and "credentials go to" in told.stderr


async def _async(url: str) -> None:
    async with await chroma.AsyncHttpClient(url) as client:
        with pytest.warns(UserWarning, match="credentials go to"):
            await (await chroma.AsyncAdminClient(client.get_settings())).close()
