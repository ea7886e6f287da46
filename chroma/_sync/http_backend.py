# Made from chroma/_async/http_backend.py by scripts/twins.py: change that file, and run `make fix`.
"""The backend that sends each call to a server as a request. Implements `backend.Backend`.

Works with this package's own server, which it recognises when connecting, and with any other server that
speaks the same API. If another server lacks a call, the backend combines other calls that give the same
result. If there are none, it raises UnsupportedError and names the server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..config import Settings
from ..errors import ServerConnectionError, UnsupportedError
from ..http.batching import Tally, bodies, streams
from ..http.retry_policy import JSON_TYPE, encode, read_json, segment, shown_url
from ..http.scheme_mismatch import explained
from ..http.server_info import (
    Server,
    collection_path,
    database_path,
    page,
    scope_of,
    server_from,
    tenant_path,
)
from ..internal.concurrency import bulk, call
from ..requests.scope import Identity, Scope
from ..results.build import in_order_of, within
from ..storage.interface.metadata_order import ordered
from ..storage.interface.ranking import SearchRequest
from ..storage.interface.requests import (
    CollectionChanges,
    DeleteRequest,
    FacetRequest,
    GetRequest,
    NewCollection,
    OnUnmatched,
    QueryRequest,
    Selection,
)
from ..storage.interface.values import (
    BackupReport,
    CollectionInfo,
    CollectionRef,
    CollectionSnapshot,
    CollectionStats,
    EfRecall,
    Facet,
    Field,
    Hits,
    IndexStatus,
    Mode,
    Records,
    Rows,
    SearchAnswer,
    Written,
)
from ..wire import content_negotiation, json_codec, request_codec, search_codec
from .http_transport import Transport

if TYPE_CHECKING:
    import pyarrow as pa

    from ..requests.projection import ScanRequest
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
        """Connect. Raises ServerConnectionError (a ValueError) if no server answers at the address."""
        transport = Transport(settings)
        try:
            server = server_from(transport.url, transport.call("GET", "/pre-flight-checks"))
        except ServerConnectionError as error:
            transport.close()
            raise call(explained, error, transport.url) from None
        except BaseException:
            transport.close()
            raise
        return cls(transport, server, settings.chroma_http_progress)

    @property
    def is_own(self) -> bool:
        """Whether the server is this package's own."""
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

    def console(self) -> str | None:
        self._server.require_own("browse")
        told = self._get("/pre-flight-checks")
        if not told[json_codec.OWN_KEY].get("console"):
            raise UnsupportedError(
                f"the server at {self._transport.url} offers no console: start it without --no-console"
            )
        return self._transport.url.removesuffix("/api/v2")

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
        """Close the connections. Idempotent; the server keeps running and keeps its data."""
        self._transport.close()

    # ------------------------------------------------------------------ tenants and databases

    def create_tenant(self, name: str) -> None:
        self._transport.call("POST", "/tenants", {"name": name})

    def get_tenant(self, name: str) -> str:
        return str((self._get(tenant_path(name)))["name"])

    def create_database(self, scope: Scope) -> None:
        if not self._server.own:
            self.get_tenant(scope.tenant)  # other servers create databases for missing tenants
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

    def create_collection(self, scope: Scope, new: NewCollection) -> CollectionInfo:
        if new.id is not None:
            raise UnsupportedError("a server chooses the ids of its collections: leave out id")
        path, body = f"{database_path(scope)}/collections", json_codec.create_to_json(new)
        return json_codec.info_from_json(
            self._transport.call("POST", path, body, repeatable=new.get_or_create)
        )

    def get_collection(self, scope: Scope, name: str) -> CollectionInfo:
        return json_codec.info_from_json(
            self._get(f"{database_path(scope)}/collections/{segment(name)}")
        )

    def get_collection_by_id(self, collection: CollectionRef) -> CollectionInfo:
        path = f"{database_path(scope_of(collection))}/collections/by-id/{collection.id}"
        return json_codec.info_from_json(self._get(path))

    def list_collections(
        self, scope: Scope, limit: int | None, offset: int | None
    ) -> list[CollectionInfo]:
        found = self._get(f"{database_path(scope)}/collections", page(limit, offset))
        return [json_codec.info_from_json(entry) for entry in found]

    def count_collections(self, scope: Scope) -> int:
        return int(self._get(f"{database_path(scope)}/collections_count"))

    def modify_collection(
        self, collection: CollectionRef, changes: CollectionChanges
    ) -> CollectionInfo:
        body = json_codec.modify_to_json(changes)
        answer = self._transport.call("PUT", collection_path(collection), body)
        return json_codec.info_from_json(answer) if answer else self.get_collection_by_id(collection)

    def delete_collection(self, scope: Scope, name: str) -> None:
        self._transport.call("DELETE", f"{database_path(scope)}/collections/{segment(name)}")

    def fork_collection(self, collection: CollectionRef, name: str) -> CollectionInfo:
        self._server.require_own("fork")
        return json_codec.info_from_json(
            self._transport.call("POST", f"{collection_path(collection)}/fork", {"new_name": name})
        )

    # ------------------------------------------------------------------ writing

    def write(self, collection: CollectionRef, mode: Mode, records: Records) -> Written:
        """Write the records in order, in as many requests as the server's limits require. If one of several
        requests fails, the error says how many records were written before it."""
        if mode == "upsert" and records.embeddings is None and not self._server.own:
            mode = "update"  # the caller checked that all ids are stored; other servers need embeddings
        path = f"{collection_path(collection)}/{mode}"
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

    def delete(self, collection: CollectionRef, request: DeleteRequest) -> int:
        selection = request.selection
        if selection.ids is not None and not self._server.own:
            known = self.known_ids(collection, selection.ids)
            stored = [id for id in selection.ids if id in known]  # other servers count ids not stored
            if not stored:
                return 0
            selection = selection._replace(ids=stored)
        unmatched: OnUnmatched = request.unmatched if self._server.own else "warn"
        body = request_codec.delete_to_json(
            request._replace(selection=self._server.plain(selection), unmatched=unmatched)
        )
        return int(
            (self._transport.call("POST", f"{collection_path(collection)}/delete", body))["deleted"]
        )

    def create_snapshot(self, collection: CollectionRef, name: str) -> CollectionSnapshot:
        self._server.require_own("snapshot")
        path = f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/snapshots"
        return json_codec.snapshot_from_json(self._transport.call("POST", path, {"name": name}))

    def list_snapshots(self, collection: CollectionRef) -> list[CollectionSnapshot]:
        self._server.require_own("snapshots")
        found = self._get(f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/snapshots")
        return list(map(json_codec.snapshot_from_json, found))

    def restore_snapshot(self, collection: CollectionRef, name: str) -> None:
        self._server.require_own("restore")
        path = f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/snapshots/{segment(name)}/restore"
        self._transport.call("POST", path)  # once: again, it would undo what was written meanwhile

    def delete_snapshot(self, collection: CollectionRef, name: str) -> None:
        self._server.require_own("drop_snapshot")
        path = f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/snapshots/{segment(name)}"
        self._transport.call("DELETE", path)

    # ------------------------------------------------------------------ reading

    def known_ids(self, collection: CollectionRef, ids: Sequence[str]) -> set[str]:
        if self._server.own:
            return self._own(collection, "known_ids", {"ids": list(ids)}, set[str])
        known: set[str] = set()
        for start in range(0, len(ids), self._server.max_batch_size):
            part = Selection(ids=ids[start : start + self._server.max_batch_size])
            known.update((self._rows(collection, GetRequest(selection=part))).ids)
        return known

    def get(self, collection: CollectionRef, request: GetRequest) -> Rows:
        page = request.page
        if not page.order_by or self._server.own:
            return self._rows(collection, request)
        keys = GetRequest(selection=request.selection, fields=frozenset({"metadatas"}))
        found = self._rows(collection, keys)
        stop = None if page.limit is None else page.offset + page.limit
        ids = [found.ids[row] for row in ordered(found.metadatas or [], page.order_by)[page.offset : stop]]
        if not ids:
            return found._replace(ids=[], metadatas=[])
        chosen = GetRequest(selection=Selection(ids=ids), fields=request.fields)
        return in_order_of(ids, self._rows(collection, chosen))

    def _rows(self, collection: CollectionRef, request: GetRequest) -> Rows:
        __tracebackhide__ = True
        request = request._replace(selection=self._server.plain(request.selection))
        body = request_codec.get_to_json(request)
        most = content_negotiation.most_rows(request.selection.ids, request.page.limit)
        if self._server.arrow and content_negotiation.pays_for_answer(most, request.fields):
            read = partial(content_negotiation.read_rows, fields=request.fields, most=most)
            return self._read_arrow(collection, "get", body, read)
        return self._read(collection, "get", body, json_codec.rows_from_json)

    def batches(self, collection: CollectionRef, request: ScanRequest) -> Batches:
        from . import http_streams

        if not self._server.arrow:
            dimension = (self.get_collection_by_id(collection)).dimension
            return http_streams.in_pages(self, collection, request, dimension)
        request = request._replace(selection=self._server.plain(request.selection))
        body = request_codec.scan_to_json(request)
        path = f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/export"
        return http_streams.read(self._transport, path, encode(body), request.projection.fields)

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

    def query(self, collection: CollectionRef, request: QueryRequest) -> list[Hits]:
        selection, vectors, most = request.selection, request.vectors, None
        if not self._server.own:
            if request.exact:
                self._server.unsupported("query(exact=True)")
            if request.diversity:
                self._server.unsupported("query(diversity=…)")
            if request.explain:
                self._server.unsupported("query(explain=True)")
            if request.mode != "dense":
                self._server.unsupported(f"query(mode={request.mode!r})")
            if selection.ids is not None:  # other servers reject ids that are not stored
                known = self.known_ids(collection, selection.ids)
                stored = [id for id in dict.fromkeys(selection.ids) if id in known]
                if not stored:
                    return [Hits(Rows([], [], [], []), np.empty(0, np.float32)) for _ in vectors]
                selection = selection._replace(ids=stored)
            most, request = request.max_distance, request._replace(max_distance=None)
        request = request._replace(selection=self._server.plain(selection))
        body = request_codec.query_to_json(request, base64=self._server.own)
        rows = content_negotiation.query_rows(vectors, request.k)
        pays = content_negotiation.pays_for_answer(rows, request.fields)
        pays = pays and not request.explain and request.mode == "dense"
        if self._server.arrow and pays:
            read = partial(
                content_negotiation.read_hits, fields=request.fields, queries=len(vectors), k=request.k
            )
            return self._read_arrow(collection, "query", body, read)
        hits = self._read(collection, "query", body, json_codec.hits_from_json)
        return hits if most is None else [within(hit, most) for hit in hits]

    def search(
        self, collection: CollectionRef, requests: Sequence[SearchRequest]
    ) -> list[SearchAnswer]:
        body: dict[str, Any] = {"searches": [search_codec.search_to_json(request) for request in requests]}
        if any(request.explain for request in requests):
            body["explain"] = True
        rows = content_negotiation.search_rows(requests)
        fields = frozenset[Field]().union(*(request.fields for request in requests))
        if self._server.arrow and content_negotiation.pays_for_answer(rows, fields) and "explain" not in body:
            read = partial(content_negotiation.read_answers, requests=requests)
            return self._read_arrow(collection, "search", body, read)
        try:
            return self._read(collection, "search", body, search_codec.answers_from_json)
        except UnsupportedError:
            if self._server.own:
                raise
            self._server.unsupported("search, use query")  # Chroma offers it on hosted servers only

    def count(self, collection: CollectionRef, selection: Selection) -> int:
        if selection.everything:
            return int(self._get(f"{collection_path(collection)}/count"))
        if not self._server.own or selection.ids is not None:
            return len((self._rows(collection, GetRequest(selection=selection))).ids)
        body = request_codec.filters_to_json(self._server.plain(selection))
        return self._own(collection, "count", body, int)

    def facets(self, collection: CollectionRef, request: FacetRequest) -> list[Facet]:
        body = request_codec.facets_to_json(request._replace(selection=self._server.plain(request.selection)))
        return self._own(collection, "facets", body, json_codec.facets_from_json)

    # ------------------------------------------------------------------ upkeep

    def index_status(self, collection: CollectionRef) -> IndexStatus:
        self._server.require_own("get_indexing_status")
        return json_codec.status_from_json(self._get(f"{collection_path(collection)}/indexing_status"))

    def recall(self, collection: CollectionRef, k: int, sample: int) -> float:
        return self._own(collection, "recall", {"k": k, "sample": sample}, float)

    def recall_by_ef(
        self, collection: CollectionRef, k: int, sample: int, efs: Sequence[int]
    ) -> list[EfRecall]:
        body = {"k": k, "sample": sample, "ef_search": list(efs)}
        return self._own(collection, "recall", body, json_codec.recalls_from_json)

    def compact(self, collection: CollectionRef) -> None:
        self._compact(collection_path(collection))

    def compact_all(self, scope: Scope) -> None:
        self._compact(database_path(scope))

    def _compact(self, path: str) -> None:
        self._server.require_own("compact")
        self._transport.call("POST", f"{path}/{json_codec.OWN_PREFIX}/compact", repeatable=True)

    def stats(self, collection: CollectionRef) -> CollectionStats:
        self._server.require_own("info")
        return json_codec.stats_from_json(
            self._get(f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/stats")
        )

    # ------------------------------------------------------------------ requests

    def _get(self, path: str, query: dict[str, int] | None = None) -> Any:
        __tracebackhide__ = True
        return self._transport.call("GET", path, query=query)

    def _read(
        self, collection: CollectionRef, verb: str, body: json_codec.JSON, read: Callable[[Any], T]
    ) -> T:
        __tracebackhide__ = True
        path = f"{collection_path(collection)}/{verb}"
        answer: T = self._transport.call("POST", path, body, repeatable=True, read=read)
        return answer

    def _read_arrow(
        self, collection: CollectionRef, verb: str, body: json_codec.JSON, read: Callable[[bytes], T]
    ) -> T:
        __tracebackhide__ = True
        answer = self._transport.send(
            "POST",
            f"{collection_path(collection)}/{verb}",
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
        self, collection: CollectionRef, verb: str, body: json_codec.JSON, read: Callable[[Any], T]
    ) -> T:
        __tracebackhide__ = True
        self._server.require_own(verb)
        return self._read(collection, f"{json_codec.OWN_PREFIX}/{verb}", body, read)
