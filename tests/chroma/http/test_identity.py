"""Tenants and databases that depend on the credentials: CloudClient, and the setting that adopts them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import chroma
from chroma import errors

from ...support import driven
from ...support.checks import refused
from .scripted import Reply, Scripted, scripted


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    for name in ("CHROMA_API_KEY", "CHROMA_TENANT", "CHROMA_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    with scripted() as running:
        yield running


def identify(server: Scripted, tenant: str | None, databases: list[str] | None) -> None:
    """The server knows the caller so, and has any tenant and database."""

    def reply(request: Any) -> Reply:
        server.requests.append(request)
        route = request.path.removeprefix("/api/v2")
        if route == "/auth/identity":
            return Reply(body={"user_id": "me", "tenant": tenant, "databases": databases})
        return Reply(
            body=server.preflight if route == "/pre-flight-checks" else {"name": route.split("/")[-1]}
        )

    server.reply = reply  # type: ignore[method-assign]


def cloud(server: Scripted, **arguments: Any) -> Any:
    arguments = {"api_key": "ck-1"} | arguments
    return chroma.CloudClient(cloud_host="127.0.0.1", cloud_port=server.port, enable_ssl=False, **arguments)


def test_a_key_travels_in_its_header_and_tells_where(server: Scripted) -> None:
    identify(server, "acme", ["stock"])
    with cloud(server) as client:
        assert (client.tenant, client.database) == ("acme", "stock")
    assert {request.headers["X-Chroma-Token"] for request in server.requests} == {"ck-1"}
    assert server.requests[-1].path == "/api/v2/tenants/acme/databases/stock"


def test_what_is_not_passed_comes_from_the_environment(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edge 31."""
    identify(server, "acme", ["stock", "other"])
    monkeypatch.setenv("CHROMA_API_KEY", "ck-2")
    monkeypatch.setenv("CHROMA_DATABASE", "other")
    with cloud(server, api_key=None) as client:
        assert (client.tenant, client.database) == ("acme", "other")
    assert server.requests[0].headers["X-Chroma-Token"] == "ck-2"
    with cloud(server, database="stock") as client:
        assert client.database == "stock"
    monkeypatch.setenv("CHROMA_TENANT", "foreign")
    with refused("foreign", "acme", error=errors.ChromaAuthError):
        cloud(server)


def test_without_a_key_it_says_where_one_is_looked_for(server: Scripted) -> None:
    with refused("api_key", "CHROMA_API_KEY", error=ValueError):
        cloud(server, api_key=None)


@pytest.mark.parametrize(
    ("tenant", "databases", "fragment"),
    [
        ("*", ["stock"], "tenant=…"),
        ("acme", ["*"], "database=…"),
        ("acme", ["stock", "other"], "stock, other"),
    ],
)
def test_an_ambiguous_key_needs_names(
    server: Scripted, tenant: str, databases: list[str], fragment: str
) -> None:
    identify(server, tenant, databases)
    with refused(fragment, error=errors.ChromaAuthError):
        cloud(server)
    with cloud(server, tenant="acme", database="stock") as client:
        assert (client.tenant, client.database) == ("acme", "stock")


def test_the_service_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    from chroma.http.connection_settings import base_url, settings_for_cloud

    placed = settings_for_cloud("api.trychroma.com", 443, True, "ck-1", None)
    assert base_url(placed) == "https://api.trychroma.com:443/api/v2"


@pytest.mark.parametrize("kind", [chroma.HttpClient, driven.HttpClient], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("identity", "adopts", "expected"),
    [
        (("acme", ["stock"]), True, ("acme", "stock")),
        (("acme", ["stock"]), False, ("default_tenant", "default_database")),
        (("acme", ["*"]), True, ("acme", "default_database")),
        (("acme", ["stock", "other"]), True, ("acme", "default_database")),
        (("*", ["*"]), True, ("default_tenant", "default_database")),
        ((None, None), True, ("default_tenant", "default_database")),
    ],
)
def test_the_only_tenant_and_database_of_credentials(
    server: Scripted, kind: Any, identity: Any, adopts: bool, expected: tuple[str, str]
) -> None:
    identify(server, *identity)
    settings = chroma.Settings(chroma_overwrite_singleton_tenant_database_access_from_auth=adopts)
    with kind("127.0.0.1", server.port, settings=settings) as client:
        assert (client.tenant, client.database) == expected
