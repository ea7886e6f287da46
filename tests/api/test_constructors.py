"""Constructors: what opens, where, and what is refused before anything is opened."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma import Settings
from chroma.errors import InvalidArgumentError, InvalidTypeError

from ..support.checks import refused


def test_no_path_is_no_folder() -> None:
    with refused("path", "None", "environment variable", "EphemeralClient"):
        chroma.PersistentClient(os.environ.get("NOT_SET"))  # type: ignore[arg-type]
    with refused("persist_directory"):
        chroma.Client(Settings(is_persistent=True, persist_directory=""))


def test_the_folder_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = str(tmp_path / "x")
    settings = Settings(persist_directory=folder)
    for made in (
        lambda: chroma.PersistentClient(settings=settings),
        lambda: chroma.RustClient(settings=Settings(persist_directory=folder, is_persistent=True)),
    ):
        with made() as client:
            client.get_or_create_collection("things", embedding_function=None)
            assert client.get_settings().persist_directory == folder
    assert os.listdir(tmp_path) == ["x"]
    with chroma.PersistentClient(tmp_path / "y", settings=settings) as client:  # the path goes before
        assert client.list_collections() == []
    with chroma.PersistentClient() as client:
        assert client.get_settings().persist_directory == ".chroma"
    assert sorted(os.listdir(tmp_path)) == [".chroma", "x", "y"]


@pytest.mark.parametrize(
    "host",
    [
        "", None, 5, b"localhost", " ", "a b", "host\n", "x\0y", "a..b", "..", "a" * 300, "\ud800", "[::1",
        "localhost:99999", "localhost:8000", "localhost:abc", "127.0.0.1/path", "ftp://x", "http://",
        "http://[::1", "http://localhost:99999", "http://\ud800", "http://a b", "http://h:1/\ud800",
    ],
)  # fmt: skip
def test_hosts_that_cannot_be(host: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        chroma.HttpClient(host, 1)
    assert len(str(caught.value)) < 300
    str(caught.value).encode()


@pytest.mark.parametrize(
    "port", [None, "", 0, -1, 65_536, 10**20, "x", 1.5, True, b"1", float("inf"), "\ud800"]
)
def test_ports_that_cannot_be(port: Any) -> None:
    with refused("port", "1 to 65535"):
        chroma.HttpClient("127.0.0.1", port)


@pytest.mark.parametrize(
    "headers",
    [
        {"a": "b\n"}, {"a\n": "b"}, {"é": "x"}, {"a": "é"}, {"a": "\ud800"}, {"\ud800": "a"}, {"": "x"},
        {"a b": "c"}, {"a:": "b"}, {"a": None}, {5: "a"}, {"a": b"x"}, {"a": "\0"}, "x", ["x"], [("a", "b")],
    ],
)  # fmt: skip
def test_headers_that_cannot_be(headers: Any) -> None:
    for settings in (None, Settings(chroma_server_headers=headers) if isinstance(headers, dict) else None):
        given = headers if settings is None else None
        with pytest.raises(InvalidArgumentError, match="header") as caught:
            chroma.HttpClient("127.0.0.1", 1, headers=given, settings=settings)
        str(caught.value).encode()
        with pytest.raises(InvalidArgumentError, match="header"):
            asyncio.run(chroma.AsyncHttpClient("127.0.0.1", 1, headers=given, settings=settings))


def test_tenants_and_databases_are_texts() -> None:
    for names in ({"tenant": None}, {"tenant": 5}, {"database": None}, {"database": b"x"}):
        for made in (chroma.EphemeralClient, chroma.HttpClient):
            with refused(next(iter(names)), "str", error=InvalidTypeError):
                made(**names)  # type: ignore[operator]


def test_other_settings_of_a_server(tmp_path: Path) -> None:
    with refused("chroma_server_ssl_verify", "no file of certificates"):
        settings = Settings(chroma_server_ssl_verify=str(tmp_path / "nothing.pem"))
        chroma.HttpClient("127.0.0.1", 1, ssl=True, settings=settings)
    with refused("chroma_client_auth_credentials"):
        settings = Settings(chroma_client_auth_provider="basic", chroma_client_auth_credentials="a:\ud800")
        chroma.HttpClient("127.0.0.1", 1, settings=settings)
