"""The seam over a server: each call becomes a request. Implements `chroma.backend.Backend`.

Works with this package's own server, recognised when connecting, and with any other server
that speaks the same API. What the others lack is put together from what they have where
that gives the same answer; else the call raises UnsupportedError and names the server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from . import wire
from .address import is_http
from .backend import Identity, Scope
from .columns import shown
from .config import Settings
from .errors import ServerConnectionError, UnsupportedError
from .filter_json import plain_filter, uses_key
from .results import in_order_of
from .sorting import sorted_ids
from .storage.types import (
    CollectionInfo,
    CollectionStats,
    Field,
    Floats,
    Hits,
    IndexStatus,
    Mode,
    Records,
    Rows,
    Written,
)
from .transport import Transport, encode, segment

# What a request holds at most, in bytes and records, if the server does not say what it takes.
# The usual limits are 40 MiB and 5461.
_BODY_LIMIT = 32 * 2**20
_BATCH_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself before the first call."""

    own: bool
    max_batch_size: int
    max_body_bytes: int
    base64: bool


class HttpBackend:
    """A client's connections to one server."""

    def __init__(self, transport: Transport, server: Server) -> None:
        self._transport = transport
        self._server = server

    @classmethod
    def open(cls, settings: Settings) -> HttpBackend:
        """Connect. ServerConnectionError (a ValueError) when nothing answers at the address."""
        assert is_http(settings)
        transport = Transport(settings)
        try:
            return cls(transport, _server(transport.call("GET", "/pre-flight-checks")))
        except BaseException:
            transport.close()
            raise

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._transport.url

    # ------------------------------------------------------------------ system

    def heartbeat(self) -> int:
        return int(self._get("/heartbeat")["nanosecond heartbeat"])

    def version(self) -> str:
        return str(self._get("/version"))

    def max_batch_size(self) -> int:
        return self._server.max_batch_size

    def identity(self) -> Identity:
        return wire.identity_from_json(self._get("/auth/identity"))

    def reset(self) -> None:
        self._transport.call("POST", "/reset")

    def close(self) -> None:
        """Idempotent. The server and its data stay."""
        self._transport.close()

    # ------------------------------------------------------------------ tenants and databases

    def create_tenant(self, name: str) -> None:
        self._transport.call("POST", "/tenants", {"name": name})

    def get_tenant(self, name: str) -> str:
        return str(self._get(_tenant(name))["name"])

    def create_database(self, scope: Scope) -> None:
        if not self._server.own:
            self.get_tenant(scope.tenant)  # others make databases of tenants that do not exist
        self._transport.call("POST", f"{_tenant(scope.tenant)}/databases", {"name": scope.database})

    def get_database(self, scope: Scope) -> dict[str, Any]:
        return dict(self._get(_database(scope)))

    def list_databases(self, tenant: str, limit: int | None, offset: int | None) -> list[dict[str, Any]]:
        return list(self._get(f"{_tenant(tenant)}/databases", _page(limit, offset)))

    def delete_database(self, scope: Scope) -> None:
        self._transport.call("DELETE", _database(scope))

    # ------------------------------------------------------------------ collections

    def create_collection(
        self,
        scope: Scope,
        name: str,
        metadata: Mapping[str, Any] | None,
        configuration: dict[str, Any],
        get_or_create: bool,
    ) -> CollectionInfo:
        body = wire.create_to_json(name, metadata, configuration, get_or_create)
        path = f"{_database(scope)}/collections"
        return wire.info_from_json(self._transport.call("POST", path, body, repeatable=get_or_create))

    def get_collection(self, scope: Scope, name: str) -> CollectionInfo:
        return wire.info_from_json(self._get(f"{_database(scope)}/collections/{segment(name)}"))

    def get_collection_by_id(self, scope: Scope, id: str) -> CollectionInfo:
        return wire.info_from_json(self._get(f"{_database(scope)}/collections/by-id/{id}"))

    def list_collections(self, scope: Scope, limit: int | None, offset: int | None) -> list[CollectionInfo]:
        found = self._get(f"{_database(scope)}/collections", _page(limit, offset))
        return [wire.info_from_json(entry) for entry in found]

    def count_collections(self, scope: Scope) -> int:
        return int(self._get(f"{_database(scope)}/collections_count"))

    def modify_collection(
        self,
        scope: Scope,
        id: str,
        name: str | None,
        metadata: Mapping[str, Any] | None,
        configuration: Mapping[str, Any] | None,
    ) -> CollectionInfo:
        body = wire.modify_to_json(name, metadata, configuration)
        answer = self._transport.call("PUT", _collection(scope, id), body)
        return wire.info_from_json(answer) if answer else self.get_collection_by_id(scope, id)

    def delete_collection(self, scope: Scope, name: str) -> None:
        self._transport.call("DELETE", f"{_database(scope)}/collections/{segment(name)}")

    def fork_collection(self, scope: Scope, id: str, name: str) -> CollectionInfo:
        if not self._server.own:
            self._unsupported("fork")
        return wire.info_from_json(
            self._transport.call("POST", f"{_collection(scope, id)}/fork", {"new_name": name})
        )

    # ------------------------------------------------------------------ writing

    def write(self, scope: Scope, id: str, mode: Mode, records: Records) -> Written:
        """In as many requests as the server's limits ask for, in order. An error says how many
        records were written before it."""
        if mode == "upsert" and records.embeddings is None and not self._server.own:
            mode = "update"  # all ids are stored, which others cannot tell
        path = f"{_collection(scope, id)}/{mode}"
        done, total = Written(), len(records.ids)
        finished = 0
        for body, rows in self._bodies(mode, records):
            try:
                answer = self._transport.call("POST", path, body, repeatable=mode == "upsert")
            except Exception as error:
                if rows < total:
                    text = str(error).removesuffix(".")
                    error.args = (
                        f"{text}; {finished} of {total} records were written before this",
                        *error.args[1:],
                    )
                raise
            part = wire.written_from_json(answer)
            done = Written(done.added + part.added, done.updated + part.updated, done.skipped + part.skipped)
            finished += rows
        return done

    def _bodies(self, mode: Mode, records: Records) -> Iterator[tuple[bytes, int]]:
        """The batch as one body, or as several within the server's limits, with their row counts."""
        total, limit = len(records.ids), self._server.max_body_bytes
        vectors = 0 if records.embeddings is None else records.embeddings.shape[1] * 4
        most = max(1, min(self._server.max_batch_size, limit * 3 // 4 // max(1, vectors)))
        start = 0
        while start < total or start == total == 0:
            part = records if most >= total else _rows_of(records, start, start + most)
            body = encode(wire.records_to_json(mode, part, base64=self._server.base64))
            if len(body) > limit and len(part.ids) > 1:
                most = max(1, len(part.ids) // 2)  # long texts
                continue
            yield body, len(part.ids)
            start += max(1, len(part.ids))

    def delete(
        self,
        scope: Scope,
        id: str,
        ids: Sequence[str] | None,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        limit: int | None,
    ) -> int:
        if ids is not None and not self._server.own:
            known = self.known_ids(scope, id, ids)
            ids = [found for found in ids if found in known]  # others count what they did not have
            if not ids:
                return 0
        body = wire.delete_to_json(ids, *self._filters(where, where_document), limit)
        return int(self._transport.call("POST", f"{_collection(scope, id)}/delete", body)["deleted"])

    # ------------------------------------------------------------------ reading

    def known_ids(self, scope: Scope, id: str, ids: Sequence[str]) -> set[str]:
        if self._server.own:
            return set(self._own(scope, id, "known_ids", {"ids": list(ids)}))
        known: set[str] = set()
        for start in range(0, len(ids), self._server.max_batch_size):
            part = ids[start : start + self._server.max_batch_size]
            known.update(self._rows(scope, id, part, None, None, None, 0, None, frozenset()).ids)
        return known

    def get(
        self,
        scope: Scope,
        id: str,
        ids: Sequence[str] | None,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        limit: int | None,
        offset: int,
        order_by: Sequence[tuple[str, bool]] | None,
        fields: frozenset[Field],
    ) -> Rows:
        if not order_by or self._server.own:
            return self._rows(scope, id, ids, where, where_document, limit, offset, order_by, fields)
        found = self._rows(scope, id, ids, where, where_document, None, 0, None, frozenset({"metadatas"}))
        stop = None if limit is None else offset + limit
        wanted = sorted_ids(found.ids, found.metadatas or [], order_by)[offset:stop]
        if not wanted:
            return replace(found, ids=[], metadatas=[])
        rows = self._rows(scope, id, wanted, None, None, None, 0, None, fields)
        return in_order_of(wanted, rows, None, 0)

    def _rows(
        self,
        scope: Scope,
        id: str,
        ids: Sequence[str] | None,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        limit: int | None,
        offset: int,
        order_by: Sequence[tuple[str, bool]] | None,
        fields: frozenset[Field],
    ) -> Rows:
        body = wire.get_to_json(ids, *self._filters(where, where_document), limit, offset, order_by, fields)
        return wire.rows_from_json(self._read(scope, id, "get", body))

    def query(
        self,
        scope: Scope,
        id: str,
        vectors: Floats,
        k: int,
        ids: Sequence[str] | None,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        fields: frozenset[Field],
        exact: bool,
    ) -> list[Hits]:
        if not self._server.own:
            if exact:
                self._unsupported("query(exact=True)")
            if ids is not None:  # others refuse ids that are not stored
                known = self.known_ids(scope, id, ids)
                ids = [found for found in dict.fromkeys(ids) if found in known]
                if not ids:
                    return [Hits(Rows([], [], [], []), np.empty(0, np.float32)) for _ in vectors]
        body = wire.query_to_json(vectors, k, ids, *self._filters(where, where_document), fields, exact)
        return wire.hits_from_json(self._read(scope, id, "query", body))

    def count(
        self,
        scope: Scope,
        id: str,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
    ) -> int:
        if where is None and where_document is None:
            return int(self._get(f"{_collection(scope, id)}/count"))
        if not self._server.own:
            return len(self._rows(scope, id, None, where, where_document, None, 0, None, frozenset()).ids)
        where, where_document = self._filters(where, where_document)
        return int(self._own(scope, id, "count", {"where": where, "where_document": where_document}))

    # ------------------------------------------------------------------ upkeep

    def index_status(self, scope: Scope, id: str) -> IndexStatus:
        if not self._server.own:
            self._unsupported("get_indexing_status")
        return wire.status_from_json(self._get(f"{_collection(scope, id)}/indexing_status"))

    def recall(self, scope: Scope, id: str, k: int, sample: int) -> float:
        return float(self._own(scope, id, "recall", {"k": k, "sample": sample}))

    def compact(self, scope: Scope, id: str | None) -> None:
        if not self._server.own:
            self._unsupported("compact")
        place = _database(scope) if id is None else _collection(scope, id)
        self._transport.call("POST", f"{place}/{wire.OWN_PREFIX}/compact", repeatable=True)

    def stats(self, scope: Scope, id: str) -> CollectionStats:
        if not self._server.own:
            self._unsupported("info")
        return wire.stats_from_json(self._get(f"{_collection(scope, id)}/{wire.OWN_PREFIX}/stats"))

    # ------------------------------------------------------------------ requests

    def _get(self, path: str, query: dict[str, int] | None = None) -> Any:
        return self._transport.call("GET", path, query=query)

    def _read(self, scope: Scope, id: str, verb: str, body: wire.JSON) -> Any:
        return self._transport.call("POST", f"{_collection(scope, id)}/{verb}", body, repeatable=True)

    def _own(self, scope: Scope, id: str, verb: str, body: wire.JSON) -> Any:
        if not self._server.own:
            self._unsupported(verb)
        return self._read(scope, id, f"{wire.OWN_PREFIX}/{verb}", body)

    def _filters(self, where: Any, where_document: Any) -> tuple[Any, Any]:
        where = plain_filter("where", where)
        if not self._server.own and uses_key(where, "#id"):
            self._unsupported("conditions on '#id'")  # others accept them and match nothing
        return where, plain_filter("where_document", where_document)

    def _unsupported(self, call: str) -> NoReturn:
        raise UnsupportedError(f"the server at {self.url} does not offer {call}; a chroma-arrow server does")


def _server(preflight: Any) -> Server:
    if not isinstance(preflight, Mapping):
        raise ServerConnectionError(f"no Chroma server: its pre-flight checks are {shown(preflight)}")
    own = preflight.get(wire.OWN_KEY)
    limit = own.get("max_body_bytes") if isinstance(own, Mapping) else None
    return Server(
        own=own is not None,
        max_batch_size=max(1, int(preflight.get("max_batch_size") or _BATCH_LIMIT)),
        max_body_bytes=int(limit or _BODY_LIMIT),
        base64=bool(preflight.get("supports_base64_encoding", False)),
    )


def _rows_of(records: Records, start: int, stop: int) -> Records:
    """Some rows of a batch."""

    def cut(column: Any) -> Any:
        return None if column is None else column[start:stop]

    return Records(
        records.ids[start:stop],
        cut(records.embeddings),
        cut(records.documents),
        cut(records.metadatas),
        cut(records.uris),
        cut(records.has_embedding),
    )


def _tenant(name: str) -> str:
    return f"/tenants/{segment(name)}"


def _database(scope: Scope) -> str:
    return f"{_tenant(scope.tenant)}/databases/{segment(scope.database)}"


def _collection(scope: Scope, id: str) -> str:
    return f"{_database(scope)}/collections/{id}"


def _page(limit: int | None, offset: int | None) -> dict[str, int]:
    return {key: value for key, value in (("limit", limit), ("offset", offset)) if value is not None}
