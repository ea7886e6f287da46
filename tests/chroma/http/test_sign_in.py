"""Credentials of clients over HTTP: arguments, variables, and what goes before what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.errors import ChromaAuthError, InvalidArgumentError
from chroma.http.connection_settings import headers_for, settings_for, sign_in

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
