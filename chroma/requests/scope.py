"""The plain values that cross the seam between the API classes and a backend, beside those of
`storage.types`: who asks, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import ChromaAuthError


class Scope(NamedTuple):
    """The tenant and database a call is made in."""

    tenant: str
    database: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the caller is, as far as the backend knows. "*" stands for any tenant, any database."""

    __module__ = "chroma"

    user_id: str
    tenant: str
    databases: list[str]
    attributes: dict[str, Any] | None = None

    @property
    def only_tenant(self) -> str | None:
        """The tenant, where the identity belongs to exactly one."""
        return self.tenant if self.tenant not in ("", "*") else None

    @property
    def only_database(self) -> str | None:
        """The database, where the identity may use exactly one."""
        return self.databases[0] if len(self.databases) == 1 and self.databases[0] != "*" else None


def adopted(identity: Identity, asked: Scope) -> Scope:
    """The one tenant and the one database of an identity; where it has none or several, those asked for."""
    return Scope(identity.only_tenant or asked.tenant, identity.only_database or asked.database)


def completed(identity: Identity, tenant: str | None, database: str | None) -> Scope:
    """A scope of which parts may be missing, filled from the identity.

    Raises ChromaAuthError where the identity does not tell what is missing, or belongs to another
    tenant than the one asked for.
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
