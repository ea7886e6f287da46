# Made from chroma/_async/http_backend.py by scripts/twins.py: change that file, and run `make fix`.
"""The seam over a server: each call becomes a request. Implements `backend.Backend`.

Works with this package's own server, recognised when connecting, and with any other server
that speaks the same API. What the others lack is put together from what they have where
that gives the same answer; else the call raises UnsupportedError and names the server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..config import Settings
from ..errors import UnsupportedError
from ..http.batching import Tally, bodies, streams
from ..http.retry_policy import JSON_TYPE, encode, read_json, segment, shown_url
from ..http.server_info import Server, collection_path, database_path, page, server_from, tenant_path
from ..internal.concurrency import bulk
from ..requests.scope import Identity, Scope
from ..results.build import in_order_of
from ..storage.interface.metadata_order import ordered
from ..storage.interface.values import (
    BackupReport,
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
from ..wire import content_negotiation, json_codec
from .http_transport import Transport

if TYPE_CHECKING:
    import pyarrow as pa

    from ..tables.from_rows import Wanted
    from ..tables.record_batches import Batches

T = TypeVar("T")


class HttpBackend:
    """A client's connections to one server."""

    def __init__(self, transport: Transport, server: Server, progress: bool | None = None) -> None:
        self._transport = transport
        self._server = server
        self._progress = progress

    @classmethod
    def open(cls, settings: Settings) -> HttpBackend:
        """Connect. ServerConnectionError (a ValueError) when nothing answers at the address."""
        transport = Transport(settings)
        try:
            server = server_from(transport.url, transport.call("GET", "/pre-flight-checks"))
        except BaseException:
            transport.close()
            raise
        return cls(transport, server, settings.chroma_http_progress)

    @property
    def is_own(self) -> bool:
        """Whether the server is this package's."""
        return self._server.own

    @property
    def streams(self) -> bool:
        return self._server.arrow

    # ------------------------------------------------------------------ system

    def heartbeat(self) -> int:
        return int((self._get("/heartbeat"))["nanosecond heartbeat"])

    def version(self) -> str:
        return str(self._get("/version"))

    def max_batch_size(self) -> int:
        return self._server.max_batch_size

    def identity(self) -> Identity:
        return json_codec.identity_from_json(self._get("/auth/identity"))

    def journals(self) -> str | None:
        return os.path.abspath(".chroma-loads")

    def reset(self) -> None:
        self._transport.call("POST", "/reset")

    def backup(
        self, path: str, link: bool, verify: bool, progress: Callable[[int, int], None] | None
    ) -> BackupReport:
        raise UnsupportedError(
            "a backup is made where the folder of the database is: run `chroma backup DIR TARGET` there, "
            "the server may go on meanwhile; or copy collections: "
            f"`chroma copy {shown_url(self._transport.url)} DIR`"
        )

    def close(self) -> None:
        """Idempotent. The server and its data stay."""
        self._transport.close()

    # ------------------------------------------------------------------ tenants and databases

    def create_tenant(self, name: str) -> None:
        self._transport.call("POST", "/tenants", {"name": name})

    def get_tenant(self, name: str) -> str:
        return str((self._get(tenant_path(name)))["name"])

    def create_database(self, scope: Scope) -> None:
        if not self._server.own:
            self.get_tenant(scope.tenant)  # others make databases of tenants that do not exist
        self._transport.call("POST", f"{tenant_path(scope.tenant)}/databases", {"name": scope.database})

    def get_database(self, scope: Scope) -> dict[str, Any]:
        return dict(self._get(database_path(scope)))

    def list_databases(
        self, tenant: str, limit: int | None, offset: int | None
    ) -> list[dict[str, Any]]:
        return list(self._get(f"{tenant_path(tenant)}/databases", page(limit, offset)))

    def delete_database(self, scope: Scope) -> None:
        self._transport.call("DELETE", database_path(scope))

    # ------------------------------------------------------------------ collections

    def create_collection(
        self,
        scope: Scope,
        name: str,
        metadata: Mapping[str, Any] | None,
        configuration: dict[str, Any],
        get_or_create: bool,
    ) -> CollectionInfo:
        body = json_codec.create_to_json(name, metadata, configuration, get_or_create)
        path = f"{database_path(scope)}/collections"
        return json_codec.info_from_json(
            self._transport.call("POST", path, body, repeatable=get_or_create)
        )

    def get_collection(self, scope: Scope, name: str) -> CollectionInfo:
        return json_codec.info_from_json(
            self._get(f"{database_path(scope)}/collections/{segment(name)}")
        )

    def get_collection_by_id(self, scope: Scope, id: str) -> CollectionInfo:
        return json_codec.info_from_json(self._get(f"{database_path(scope)}/collections/by-id/{id}"))

    def list_collections(
        self, scope: Scope, limit: int | None, offset: int | None
    ) -> list[CollectionInfo]:
        found = self._get(f"{database_path(scope)}/collections", page(limit, offset))
        return [json_codec.info_from_json(entry) for entry in found]

    def count_collections(self, scope: Scope) -> int:
        return int(self._get(f"{database_path(scope)}/collections_count"))

    def modify_collection(
        self,
        scope: Scope,
        id: str,
        name: str | None,
        metadata: Mapping[str, Any] | None,
        configuration: Mapping[str, Any] | None,
    ) -> CollectionInfo:
        body = json_codec.modify_to_json(name, metadata, configuration)
        answer = self._transport.call("PUT", collection_path(scope, id), body)
        return json_codec.info_from_json(answer) if answer else self.get_collection_by_id(scope, id)

    def delete_collection(self, scope: Scope, name: str) -> None:
        self._transport.call("DELETE", f"{database_path(scope)}/collections/{segment(name)}")

    def fork_collection(self, scope: Scope, id: str, name: str) -> CollectionInfo:
        self._server.require_own("fork")
        return json_codec.info_from_json(
            self._transport.call("POST", f"{collection_path(scope, id)}/fork", {"new_name": name})
        )

    # ------------------------------------------------------------------ writing

    def write(self, scope: Scope, id: str, mode: Mode, records: Records) -> Written:
        """In as many requests as the server's limits ask for, in order. An error says how many
        records were written before it."""
        if mode == "upsert" and records.embeddings is None and not self._server.own:
            mode = "update"  # all ids are stored, which others cannot tell
        path = f"{collection_path(scope, id)}/{mode}"
        as_arrow = self._server.arrow and content_negotiation.pays_for_write(records)
        requests = streams(self._server, mode, records) if as_arrow else bodies(self._server, mode, records)
        with Tally(len(records.ids), self._progress) as tally:
            while (request := bulk(len(records.ids), next, requests, None)) is not None:
                body, rows = request
                tally.expect(rows)
                answer = self._transport.send(
                    "POST",
                    f"{path}?atomic=true" if as_arrow else path,
                    body,
                    content_type=content_negotiation.MEDIA_TYPE if as_arrow else JSON_TYPE,
                    repeatable=mode == "upsert",
                )
                tally.add(json_codec.written_from_json(read_json(answer, self._transport.url)), rows)
        return tally.done

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
        body = json_codec.delete_to_json(ids, *self._server.filters(where, where_document), limit)
        return int(
            (self._transport.call("POST", f"{collection_path(scope, id)}/delete", body))["deleted"]
        )

    # ------------------------------------------------------------------ reading

    def known_ids(self, scope: Scope, id: str, ids: Sequence[str]) -> set[str]:
        if self._server.own:
            return self._own(scope, id, "known_ids", {"ids": list(ids)}, set[str])
        known: set[str] = set()
        for start in range(0, len(ids), self._server.max_batch_size):
            part = ids[start : start + self._server.max_batch_size]
            known.update((self._rows(scope, id, part, None, None, None, 0, None, frozenset())).ids)
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
        found = self._rows(
            scope, id, ids, where, where_document, None, 0, None, frozenset({"metadatas"})
        )
        stop = None if limit is None else offset + limit
        wanted = [found.ids[place] for place in ordered(found.metadatas or [], order_by)[offset:stop]]
        if not wanted:
            return found._replace(ids=[], metadatas=[])
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
        body = json_codec.get_to_json(
            ids, *self._server.filters(where, where_document), limit, offset, order_by, fields
        )
        if self._server.arrow and content_negotiation.pays_for_answer(
            content_negotiation.most_rows(ids, limit), fields
        ):
            read = partial(
                content_negotiation.read_rows, fields=fields, most=content_negotiation.most_rows(ids, limit)
            )
            return self._read_arrow(scope, id, "get", body, read)
        return self._read(scope, id, "get", body, json_codec.rows_from_json)

    def batches(
        self,
        scope: Scope,
        id: str,
        ids: Sequence[str] | None,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
        limit: int | None,
        offset: int,
        order_by: Sequence[tuple[str, bool]] | None,
        want: Wanted,
        whole: bool,
    ) -> Batches:
        from . import http_streams

        if not self._server.arrow:
            read = partial(self.get, scope, id, where=where, where_document=where_document, order_by=order_by)
            dimension = (self.get_collection_by_id(scope, id)).dimension
            everything = ids is None and limit is None and not offset and not where and not where_document
            return http_streams.in_pages(read, ids, limit, offset, want, dimension, everything)
        body = json_codec.get_to_json(
            ids, *self._server.filters(where, where_document), limit, offset, order_by, want.fields
        )
        body |= {"metadata": "json" if want.form == "json" else "struct", "keys": want.keys}
        path = f"{collection_path(scope, id)}/{json_codec.OWN_PREFIX}/export"
        return http_streams.read(self._transport, path, encode(body), want.fields)

    def sql(
        self,
        scope: Scope,
        text: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None,
        tables: Mapping[str, pa.Table],
        home: str | None,
    ) -> pa.Table:
        self._server.require_own("sql")
        from ..tables import sql as statements

        body = encode(statements.to_json(text, parameters, tables, home))
        path = f"{database_path(scope)}/{json_codec.OWN_PREFIX}/sql"
        answer = self._transport.send(
            "POST", path, body, accept=content_negotiation.MEDIA_TYPE, repeatable=True
        )
        return self._answered(content_negotiation.read_table, answer.content)

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
                self._server.unsupported("query(exact=True)")
            if ids is not None:  # others refuse ids that are not stored
                known = self.known_ids(scope, id, ids)
                ids = [found for found in dict.fromkeys(ids) if found in known]
                if not ids:
                    return [Hits(Rows([], [], [], []), np.empty(0, np.float32)) for _ in vectors]
        body = json_codec.query_to_json(
            vectors,
            k,
            ids,
            *self._server.filters(where, where_document),
            fields,
            exact,
            base64=self._server.own,
        )
        if self._server.arrow and content_negotiation.pays_for_answer(
            content_negotiation.query_rows(vectors, k), fields
        ):
            read = partial(content_negotiation.read_hits, fields=fields, queries=len(vectors), k=k)
            return self._read_arrow(scope, id, "query", body, read)
        return self._read(scope, id, "query", body, json_codec.hits_from_json)

    def count(
        self,
        scope: Scope,
        id: str,
        where: Mapping[str, Any] | None,
        where_document: Mapping[str, Any] | None,
    ) -> int:
        if where is None and where_document is None:
            return int(self._get(f"{collection_path(scope, id)}/count"))
        if not self._server.own:
            return len(
                (self._rows(scope, id, None, where, where_document, None, 0, None, frozenset())).ids
            )
        where, where_document = self._server.filters(where, where_document)
        return self._own(scope, id, "count", {"where": where, "where_document": where_document}, int)

    # ------------------------------------------------------------------ upkeep

    def index_status(self, scope: Scope, id: str) -> IndexStatus:
        self._server.require_own("get_indexing_status")
        return json_codec.status_from_json(self._get(f"{collection_path(scope, id)}/indexing_status"))

    def recall(self, scope: Scope, id: str, k: int, sample: int) -> float:
        return self._own(scope, id, "recall", {"k": k, "sample": sample}, float)

    def compact(self, scope: Scope, id: str | None) -> None:
        self._server.require_own("compact")
        place = database_path(scope) if id is None else collection_path(scope, id)
        self._transport.call("POST", f"{place}/{json_codec.OWN_PREFIX}/compact", repeatable=True)

    def stats(self, scope: Scope, id: str) -> CollectionStats:
        self._server.require_own("info")
        return json_codec.stats_from_json(
            self._get(f"{collection_path(scope, id)}/{json_codec.OWN_PREFIX}/stats")
        )

    # ------------------------------------------------------------------ requests

    def _get(self, path: str, query: dict[str, int] | None = None) -> Any:
        return self._transport.call("GET", path, query=query)

    def _read(
        self, scope: Scope, id: str, verb: str, body: json_codec.JSON, read: Callable[[Any], T]
    ) -> T:
        path = f"{collection_path(scope, id)}/{verb}"
        answer: T = self._transport.call("POST", path, body, repeatable=True, read=read)
        return answer

    def _read_arrow(
        self, scope: Scope, id: str, verb: str, body: json_codec.JSON, read: Callable[[bytes], T]
    ) -> T:
        answer = self._transport.send(
            "POST",
            f"{collection_path(scope, id)}/{verb}",
            encode(body | {"metadata": "json"}),
            accept=content_negotiation.MEDIA_TYPE,
            repeatable=True,
        )
        return self._answered(read, answer.content)

    def _answered(self, read: Callable[[bytes], T], content: bytes) -> T:
        url = self._transport.url
        answer: T = bulk(len(content) // 1000, content_negotiation.answered, read, content, url)
        return answer

    def _own(
        self, scope: Scope, id: str, verb: str, body: json_codec.JSON, read: Callable[[Any], T]
    ) -> T:
        self._server.require_own(verb)
        return self._read(scope, id, f"{json_codec.OWN_PREFIX}/{verb}", body, read)
