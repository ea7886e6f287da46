"""The caller's identity and the scope of a call.

The API classes pass these plain values to a backend, in addition to those of `chroma.storage.interface`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import ChromaAuthError


class Scope(NamedTuple):
    """The tenant and the database that a call applies to."""

    tenant: str
    database: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller's identity, as the backend knows it. "*" stands for any tenant or any database."""

    __module__ = "chroma"

    user_id: str
    tenant: str
    databases: list[str]
    attributes: dict[str, Any] | None = None

    @property
    def only_tenant(self) -> str | None:
        """The identity's tenant, if it belongs to exactly one."""
        return self.tenant if self.tenant not in ("", "*") else None

    @property
    def only_database(self) -> str | None:
        """The identity's database, if it may use exactly one."""
        return self.databases[0] if len(self.databases) == 1 and self.databases[0] != "*" else None


def adopted(identity: Identity, requested: Scope) -> Scope:
    """The only tenant and the only database of an identity. If it has no tenant or several, the requested
    tenant is kept; likewise the database."""
    return Scope(identity.only_tenant or requested.tenant, identity.only_database or requested.database)


def completed(identity: Identity, tenant: str | None, database: str | None) -> Scope:
    """A scope whose missing parts are filled in from the identity.

    Raises ChromaAuthError if the identity does not determine a missing part, or if it belongs to a tenant
    other than the one given.
    """
    own = identity.only_tenant
    if tenant is not None and own is not None and tenant != own:
        raise ChromaAuthError(f"Tenant {tenant!r} is not the one of these credentials, which is {own!r}")
    tenant = tenant or own
    if not tenant:
        raise ChromaAuthError("these credentials belong to no single tenant: pass tenant=…")
    database = database or identity.only_database
    if not database:
        known = ", ".join(name for name in identity.databases if name != "*") or "not listed"
        raise ChromaAuthError(
            f"these credentials may use more than one database: pass database=… (they are: {known})"
        )
    return Scope(tenant, database)
