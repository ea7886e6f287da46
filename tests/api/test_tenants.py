"""Tenants and databases, and the admin client that makes them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

import chroma
from chroma.errors import InternalError, NotFoundError, UniqueConstraintError

from ..support.checks import refused


@pytest.fixture
def admin(client: Any) -> Any:
    """An admin client over the same store as `client`."""
    return chroma.AdminClient(client.get_settings())


def test_the_defaults_exist(admin: Any) -> None:
    assert admin.get_tenant("default_tenant") == {"name": "default_tenant"}
    database = admin.get_database("default_database")
    assert (database["name"], database["tenant"]) == ("default_database", "default_tenant")
    assert UUID(str(database["id"])) == UUID(int=0)


def test_a_tenant_can_be_created(admin: Any) -> None:
    assert admin.create_tenant("acme corp é") is None
    assert admin.get_tenant("acme corp é") == {"name": "acme corp é"}


def test_an_unknown_tenant_is_not_found(admin: Any) -> None:
    with refused("nobody", error=NotFoundError):
        admin.get_tenant("nobody")


@pytest.mark.parametrize("error", [UniqueConstraintError, InternalError])
def test_a_taken_tenant_is_refused(admin: Any, error: type[Exception]) -> None:
    """Edge 11."""
    admin.create_tenant("acme")
    with refused("acme", "already exists", error=error):
        admin.create_tenant("acme")


def test_short_names_are_refused(admin: Any) -> None:
    with refused("ab"):
        admin.create_tenant("ab")
    with refused("ab"):
        admin.create_database("ab")


def test_a_new_tenant_has_no_databases(admin: Any) -> None:
    admin.create_tenant("acme")
    assert admin.list_databases(tenant="acme") == []


def test_databases_are_listed_by_name(admin: Any) -> None:
    admin.create_tenant("acme")
    for name in ("zeta", "alpha", "mid"):
        admin.create_database(name, "acme")
    assert [d["name"] for d in admin.list_databases(tenant="acme")] == ["alpha", "mid", "zeta"]
    assert [d["name"] for d in admin.list_databases(limit=1, offset=1, tenant="acme")] == ["mid"]


@pytest.mark.parametrize("error", [UniqueConstraintError, InternalError])
def test_a_taken_database_is_refused(admin: Any, error: type[Exception]) -> None:
    """Edge 11."""
    with refused("default_database", "already exists", error=error):
        admin.create_database("default_database")


def test_a_database_needs_its_tenant(admin: Any) -> None:
    """Edge 9."""
    with refused("nobody", error=NotFoundError):
        admin.create_database("things", "nobody")


def test_an_unknown_database_is_not_found(admin: Any) -> None:
    with refused("nothing", error=NotFoundError):
        admin.get_database("nothing")
    with refused("nothing", error=NotFoundError):
        admin.delete_database("nothing")


def test_deleting_a_database_removes_its_collections(admin: Any, client: Any) -> None:
    admin.create_database("other")
    client.set_database("other")
    handle = client.create_collection("things")
    admin.delete_database("other")
    with refused(error=NotFoundError):
        handle.count()
    admin.create_database("other")
    assert client.list_collections() == []


def test_databases_are_separate(admin: Any, client: Any) -> None:
    admin.create_database("other")
    client.create_collection("things")
    client.set_database("other")
    assert client.list_collections() == []
    assert client.create_collection("things").database == "other"
    assert client.count_collections() == 1


def test_tenants_are_separate(admin: Any, client: Any) -> None:
    admin.create_tenant("acme")
    admin.create_database("default_database", "acme")
    client.create_collection("things")
    client.set_tenant("acme")
    assert (client.tenant, client.database, client.list_collections()) == ("acme", "default_database", [])


def test_a_refused_switch_changes_nothing(admin: Any, client: Any) -> None:
    admin.create_tenant("acme")
    with refused("nothing", error=NotFoundError):
        client.set_tenant("acme", "nothing")
    with refused("nothing", error=NotFoundError):
        client.set_database("nothing")
    assert (client.tenant, client.database) == ("default_tenant", "default_database")


def test_a_handle_stays_in_its_database(admin: Any, client: Any) -> None:
    admin.create_database("other")
    handle = client.create_collection("things", embedding_function=None)
    client.set_database("other")
    handle.add(ids=["a"], embeddings=[[1, 2]])
    assert handle.count() == 1


def test_a_collection_id_of_another_database_is_not_found(admin: Any, client: Any) -> None:
    """Edge 9."""
    handle = client.create_collection("things")
    admin.create_database("other")
    client.set_database("other")
    with refused(error=NotFoundError):
        client.get_collection_by_id(handle.id)


def test_tenants_and_databases_survive_reopening(admin: Any, client: Any, reopen: Any) -> None:
    admin.create_tenant("acme")
    admin.create_database("stock", "acme")
    client.set_tenant("acme", "stock")
    client.create_collection("things")
    client = reopen(client)
    client.set_tenant("acme", "stock")
    assert [c.name for c in client.list_collections()] == ["things"]


def test_clients_have_no_tenant_creation(client: Any) -> None:
    with pytest.raises(AttributeError):
        client.create_tenant("acme")
