"""Where a migration goes: a folder of this package, or a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..errors import NotFoundError, UniqueConstraintError
from ..requests.scope import Scope
from ..storage.interface.values import CollectionInfo, Field, Records, Rows
from .source import SourceCollection

FIELDS: frozenset[Field] = frozenset({"documents", "metadatas", "uris", "embeddings"})


class Target:
    """A backend, and what differs between a folder and a server.

    keeps_ids  whether collections get the ids they had
    exact      whether vectors come back with the bits they were given
    """

    def __init__(self, place: str, settings: Any) -> None:
        self.is_url = is_url(place)
        if self.is_url:
            from .._sync.http_backend import HttpBackend
            from ..http.connection_settings import base_url, settings_for

            placed = settings_for(place, 8000, False, None, settings)
            self.place = base_url(placed)
            remote = HttpBackend.open(placed)
            self.backend: Any = remote
            self.exact = remote.is_own
        else:
            from ..config import Settings
            from ..internal.distribution import full

            with full("A database in a folder", "give the URL of a server as the target"):
                from ..embedded.backend import LocalBackend
            self.place = os.path.abspath(place)
            self.backend = LocalBackend.open(self.place, settings or Settings())
            self.exact = True
        self.keeps_ids = not self.is_url

    def close(self) -> None:
        self.backend.close()

    def find(self, collection: SourceCollection) -> CollectionInfo | None:
        """The collection that has its name there, if any."""
        scope = Scope(collection.tenant, collection.database)
        try:
            found: CollectionInfo = self.backend.get_collection(scope, collection.name)
        except NotFoundError:
            return None
        return found

    def make_places(self, tenants: Sequence[str], databases: Sequence[tuple[str, str]]) -> None:
        """The tenants and databases that do not exist yet."""
        for tenant in tenants:
            try:
                self.backend.get_tenant(tenant)
            except NotFoundError:
                self.backend.create_tenant(tenant)
        for place in databases:
            scope = Scope(*place)
            try:
                self.backend.get_database(scope)
            except NotFoundError:
                self.backend.create_database(scope)

    def make(self, collection: SourceCollection) -> CollectionInfo:
        """The collection, under its id where that is possible. UniqueConstraintError where it is taken."""
        scope = Scope(collection.tenant, collection.database)
        given = (scope, collection.name, collection.metadata, collection.configuration, False)
        made: CollectionInfo
        if self.keeps_ids:
            made = self.backend.create_collection(*given, id=collection.id)
        else:
            made = self.backend.create_collection(*given)
        return made

    def add(self, collection: SourceCollection, id: str, records: Records) -> None:
        """Records that are there already stay as they are."""
        self.backend.write(Scope(collection.tenant, collection.database), id, "add", records)

    def count(self, collection: SourceCollection, id: str) -> int:
        found: int = self.backend.count(Scope(collection.tenant, collection.database), id, None, None)
        return found

    def read(self, collection: SourceCollection, id: str, start: int, count: int) -> Rows:
        scope = Scope(collection.tenant, collection.database)
        rows: Rows = self.backend.get(scope, id, None, None, None, count, start, None, FIELDS)
        return rows


def is_url(place: str) -> bool:
    """Whether it names a server, not a folder."""
    return place.startswith(("http://", "https://"))


def taken(collection: SourceCollection, place: str) -> UniqueConstraintError:
    return UniqueConstraintError(
        f"Collection [{collection.name}] already exists in {collection.tenant}/{collection.database} "
        f"of {place}, and "
        "did not come from this migration: choose another target, or leave it out with collections=[…] "
        "(--collection). Nothing was written"
    )
