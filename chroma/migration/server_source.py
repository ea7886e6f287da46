"""Reads a running server, of chromadb or of this package, page by page through this package's client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._sync.http_backend import HttpBackend
from ..collection.schemas import without_found
from ..config import DEFAULT_TENANT, Settings
from ..errors import NotFoundError
from ..http.connection_settings import base_url, settings_for, warn_if_readable
from ..requests.scope import Scope
from ..storage.interface.requests import ALL_RECORDS, GetRequest, Page
from ..storage.interface.values import CollectionInfo, Field
from .chromadb_configuration import complete_settings, function_remarks
from .source import Part, SourceCollection, check_uuid

_PAGE_BYTES = 8 << 20
_ROWS = 2048
_FIELDS: frozenset[Field] = frozenset({"documents", "metadatas", "uris", "embeddings"})


class ServerSource:
    """Implements `Source`. `tenants` None: the tenant of the identity, else the default tenant, because a
    server does not list its tenants."""

    def __init__(self, url: str, settings: Settings | None, tenants: Sequence[str] | None) -> None:
        resolved = settings_for(url, 8000, False, None, settings)
        self.location = base_url(resolved)
        self.warnings: list[str] = []
        warn_if_readable(resolved, stacklevel=3)
        self._backend = HttpBackend.open(resolved)
        try:
            own = self._backend.identity().only_tenant or DEFAULT_TENANT
            self._tenants = list(tenants) if tenants else [own]
            for tenant in self._tenants:
                self._backend.get_tenant(tenant)
        except BaseException:
            self._backend.close()
            raise
        if not tenants:
            self.warnings.append(
                f"only the tenant {own!r} is read: a server does not list its tenants; name others with "
                "tenants=[…] or --tenant"
            )

    def close(self) -> None:
        self._backend.close()

    def fingerprint(self) -> Mapping[str, Any]:
        return {}

    def count(self, collection: SourceCollection) -> int:
        return self._backend.count(collection.ref, ALL_RECORDS)

    def tenants(self) -> list[str]:
        return self._tenants

    def databases(self) -> list[tuple[str, str]]:
        return [
            (tenant, str(found["name"]))
            for tenant in self._tenants
            for found in self._backend.list_databases(tenant, None, None)
        ]

    def collections(self) -> list[SourceCollection]:
        return [
            self._collection(names, info)
            for names in self.databases()
            for info in self._backend.list_collections(Scope(*names), None, None)
        ]

    def _collection(self, names: tuple[str, str], info: CollectionInfo) -> SourceCollection:
        check_uuid(info.id, self.location)
        tenant, database = names
        function = info.configuration.get("embedding_function")
        hnsw, remarks = complete_settings(info.configuration["hnsw"], info.metadata)
        count = self._backend.count(info.ref, ALL_RECORDS)
        return SourceCollection(
            tenant=tenant,
            database=database,
            id=info.id,
            name=info.name,
            metadata=info.metadata,
            configuration={"hnsw": hnsw, "embedding_function": function},
            dimension=info.dimension,
            count=count,
            warnings=(*remarks, *function_remarks(function)),
            schema=without_found(info.schema),
        )

    def read(self, collection: SourceCollection, start: int, stop: int) -> Iterator[Part]:
        size = max(
            1, min(_ROWS, _PAGE_BYTES // (4 * (collection.dimension or 1)), self._backend.max_batch_size())
        )
        while start < stop:
            page = Page(limit=min(size, stop - start), offset=start)
            rows = self._backend.get(collection.ref, GetRequest(page=page, fields=_FIELDS))
            if not rows.ids:
                raise NotFoundError(
                    f"the collection {collection.where} has fewer records than before: it ends at {start:,}. "
                    "Nobody may write while it is moved"
                )
            yield Part(
                position=start,
                ids=rows.ids,
                vectors=rows.embeddings,
                metadatas=[entry or None for entry in rows.metadatas or []],
                documents=list(rows.documents or []),
                uris=list(rows.uris or []),
            )
            start += len(rows.ids)
