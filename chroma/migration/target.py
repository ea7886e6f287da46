"""The target of a migration: a folder of this package, or a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..backend.protocol import Backend
from ..errors import NotFoundError, UniqueConstraintError
from ..requests.scope import Scope
from ..storage.interface.requests import ALL_RECORDS, GetRequest, NewCollection, Page
from ..storage.interface.values import CollectionInfo, CollectionRef, Field, Records, Rows
from .source import SourceCollection

FIELDS: frozenset[Field] = frozenset({"documents", "metadatas", "uris", "embeddings"})


class Target:
    """A backend, with the properties that differ between a folder and a server.

    keeps_ids  whether collections keep their ids
    exact      whether the target returns vectors bit for bit as they were written
    """

    def __init__(self, location: str, settings: Any) -> None:
        self.is_url = is_url(location)
        if self.is_url:
            from .._sync.http_backend import HttpBackend
            from ..http.connection_settings import base_url, settings_for, warn_if_readable

            resolved = settings_for(location, 8000, False, None, settings)
            self.location = base_url(resolved)
            warn_if_readable(resolved, stacklevel=3)
            remote = HttpBackend.open(resolved)
            self.backend: Backend = remote
            self.exact = remote.is_own
        else:
            from ..config import Settings
            from ..internal.distribution import full

            with full("A database in a folder", "give the URL of a server as the target"):
                from ..embedded.backend import LocalBackend
            self.location = os.path.abspath(location)
            self.backend = LocalBackend.open(self.location, settings or Settings())
            self.exact = True
        self.keeps_ids = not self.is_url

    def close(self) -> None:
        self.backend.close()

    def find(self, collection: SourceCollection) -> CollectionInfo | None:
        """Return the target's collection of the same name, if any."""
        scope = Scope(collection.tenant, collection.database)
        try:
            return self.backend.get_collection(scope, collection.name)
        except NotFoundError:
            return None

    def create_scopes(self, tenants: Sequence[str], databases: Sequence[tuple[str, str]]) -> None:
        """Create the tenants and databases that do not exist yet."""
        for tenant in tenants:
            try:
                self.backend.get_tenant(tenant)
            except NotFoundError:
                self.backend.create_tenant(tenant)
        for names in databases:
            scope = Scope(*names)
            try:
                self.backend.get_database(scope)
            except NotFoundError:
                self.backend.create_database(scope)

    def make(self, collection: SourceCollection) -> CollectionInfo:
        """Create the collection, with its id if possible. Raises UniqueConstraintError if it is taken."""
        new = NewCollection(
            name=collection.name,
            metadata=collection.metadata,
            configuration=collection.configuration,
            schema=collection.schema,
            id=collection.id if self.keeps_ids else None,
        )
        return self.backend.create_collection(Scope(collection.tenant, collection.database), new)

    def add(self, collection: SourceCollection, id: str, records: Records) -> None:
        """Add records. Records that exist already stay unchanged."""
        self.backend.write(_there(collection, id), "add", records)

    def count(self, collection: SourceCollection, id: str) -> int:
        return self.backend.count(_there(collection, id), ALL_RECORDS)

    def read(self, collection: SourceCollection, id: str, start: int, count: int) -> Rows:
        page = Page(limit=count, offset=start)
        return self.backend.get(_there(collection, id), GetRequest(page=page, fields=FIELDS))


def _there(collection: SourceCollection, id: str) -> CollectionRef:
    return CollectionRef(collection.tenant, collection.database, id)


def is_url(location: str) -> bool:
    """Whether `location` is the URL of a server rather than a folder."""
    return location.startswith(("http://", "https://"))


def taken(collection: SourceCollection, location: str) -> UniqueConstraintError:
    return UniqueConstraintError(
        f"Collection [{collection.name}] already exists in {collection.tenant}/{collection.database} "
        f"of {location}, and "
        "did not come from this migration: choose another target, or leave it out with collections=[…] "
        "(--collection). Nothing was written"
    )
