"""The backend that sends each call to a server as a request. Implements `backend.AsyncBackend`.

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
from ..internal.concurrency import async_bulk, async_call
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
from .http_transport import AsyncTransport

if TYPE_CHECKING:
    import pyarrow as pa

    from ..requests.projection import ScanRequest
    from ..tables.record_batches import AsyncBatches

T = TypeVar("T")


class AsyncHttpBackend:
    """A client's connections to one server."""

    def __init__(self, transport: AsyncTransport, server: Server, progress: bool | None = None) -> None:
        self._transport = transport
        self._server = server
        self._progress = progress

    @classmethod
    async def open(cls, settings: Settings) -> AsyncHttpBackend:
        """Connect. Raises ServerConnectionError (a ValueError) if no server answers at the address."""
        transport = AsyncTransport(settings)
        try:
            server = server_from(transport.url, await transport.call("GET", "/pre-flight-checks"))
        except ServerConnectionError as error:
            await transport.close()
            raise await async_call(explained, error, transport.url) from None
        except BaseException:
            await transport.close()
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

    async def heartbeat(self) -> int:
        return int((await self._get("/heartbeat"))["nanosecond heartbeat"])

    async def version(self) -> str:
        return str(await self._get("/version"))

    async def max_batch_size(self) -> int:
        return self._server.max_batch_size

    async def identity(self) -> Identity:
        return json_codec.identity_from_json(await self._get("/auth/identity"))

    async def console(self) -> str | None:
        self._server.require_own("browse")
        told = await self._get("/pre-flight-checks")
        if not told[json_codec.OWN_KEY].get("console"):
            raise UnsupportedError(
                f"the server at {self._transport.url} offers no console: start it without --no-console"
            )
        return self._transport.url.removesuffix("/api/v2")

    async def journals(self) -> str | None:
        return os.path.abspath(".chroma-loads")

    async def reset(self) -> None:
        await self._transport.call("POST", "/reset")

    async def backup(
        self, path: str, link: bool, verify: bool, progress: Callable[[int, int], None] | None
    ) -> BackupReport:
        raise UnsupportedError(
            "a backup is made where the folder of the database is: run `chroma backup DIR TARGET` there, "
            "the server may go on meanwhile; or copy collections: "
            f"`chroma copy {shown_url(self._transport.url)} DIR`"
        )

    async def close(self) -> None:
        """Close the connections. Idempotent; the server keeps running and keeps its data."""
        await self._transport.close()

    # ------------------------------------------------------------------ tenants and databases

    async def create_tenant(self, name: str) -> None:
        await self._transport.call("POST", "/tenants", {"name": name})

    async def get_tenant(self, name: str) -> str:
        return str((await self._get(tenant_path(name)))["name"])

    async def create_database(self, scope: Scope) -> None:
        if not self._server.own:
            await self.get_tenant(scope.tenant)  # other servers create databases for missing tenants
        await self._transport.call("POST", f"{tenant_path(scope.tenant)}/databases", {"name": scope.database})

    async def get_database(self, scope: Scope) -> dict[str, Any]:
        return dict(await self._get(database_path(scope)))

    async def list_databases(
        self, tenant: str, limit: int | None, offset: int | None
    ) -> list[dict[str, Any]]:
        return list(await self._get(f"{tenant_path(tenant)}/databases", page(limit, offset)))

    async def delete_database(self, scope: Scope) -> None:
        await self._transport.call("DELETE", database_path(scope))

    # ------------------------------------------------------------------ collections

    async def create_collection(self, scope: Scope, new: NewCollection) -> CollectionInfo:
        if new.id is not None:
            raise UnsupportedError("a server chooses the ids of its collections: leave out id")
        path, body = f"{database_path(scope)}/collections", json_codec.create_to_json(new)
        return json_codec.info_from_json(
            await self._transport.call("POST", path, body, repeatable=new.get_or_create)
        )

    async def get_collection(self, scope: Scope, name: str) -> CollectionInfo:
        return json_codec.info_from_json(
            await self._get(f"{database_path(scope)}/collections/{segment(name)}")
        )

    async def get_collection_by_id(self, collection: CollectionRef) -> CollectionInfo:
        path = f"{database_path(scope_of(collection))}/collections/by-id/{collection.id}"
        return json_codec.info_from_json(await self._get(path))

    async def list_collections(
        self, scope: Scope, limit: int | None, offset: int | None
    ) -> list[CollectionInfo]:
        found = await self._get(f"{database_path(scope)}/collections", page(limit, offset))
        return [json_codec.info_from_json(entry) for entry in found]

    async def count_collections(self, scope: Scope) -> int:
        return int(await self._get(f"{database_path(scope)}/collections_count"))

    async def modify_collection(
        self, collection: CollectionRef, changes: CollectionChanges
    ) -> CollectionInfo:
        body = json_codec.modify_to_json(changes)
        answer = await self._transport.call("PUT", collection_path(collection), body)
        return json_codec.info_from_json(answer) if answer else await self.get_collection_by_id(collection)

    async def delete_collection(self, scope: Scope, name: str) -> None:
        await self._transport.call("DELETE", f"{database_path(scope)}/collections/{segment(name)}")

    async def fork_collection(self, collection: CollectionRef, name: str) -> CollectionInfo:
        self._server.require_own("fork")
        return json_codec.info_from_json(
            await self._transport.call("POST", f"{collection_path(collection)}/fork", {"new_name": name})
        )

    # ------------------------------------------------------------------ writing

    async def write(self, collection: CollectionRef, mode: Mode, records: Records) -> Written:
        """Write the records in order, in as many requests as the server's limits require. If one of several
        requests fails, the error says how many records were written before it."""
        if mode == "upsert" and records.embeddings is None and not self._server.own:
            mode = "update"  # the caller checked that all ids are stored; other servers need embeddings
        path = f"{collection_path(collection)}/{mode}"
        as_arrow = self._server.arrow and content_negotiation.pays_for_write(records)
        requests = streams(self._server, mode, records) if as_arrow else bodies(self._server, mode, records)
        with Tally(len(records.ids), self._progress) as tally:
            while (request := await async_bulk(len(records.ids), next, requests, None)) is not None:
                body, rows = request
                tally.expect(rows)
                answer = await self._transport.send(
                    "POST",
                    f"{path}?atomic=true" if as_arrow else path,
                    body,
                    content_type=content_negotiation.MEDIA_TYPE if as_arrow else JSON_TYPE,
                    repeatable=mode == "upsert",
                )
                tally.add(json_codec.written_from_json(read_json(answer, self._transport.url)), rows)
        return tally.done

    async def delete(self, collection: CollectionRef, request: DeleteRequest) -> int:
        selection = request.selection
        if selection.ids is not None and not self._server.own:
            known = await self.known_ids(collection, selection.ids)
            stored = [id for id in selection.ids if id in known]  # other servers count ids not stored
            if not stored:
                return 0
            selection = selection._replace(ids=stored)
        unmatched: OnUnmatched = request.unmatched if self._server.own else "warn"
        body = request_codec.delete_to_json(
            request._replace(selection=self._server.plain(selection), unmatched=unmatched)
        )
        return int(
            (await self._transport.call("POST", f"{collection_path(collection)}/delete", body))["deleted"]
        )

    async def create_snapshot(self, collection: CollectionRef, name: str) -> CollectionSnapshot:
        self._server.require_own("snapshot")
        path = f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/snapshots"
        return json_codec.snapshot_from_json(await self._transport.call("POST", path, {"name": name}))

    async def list_snapshots(self, collection: CollectionRef) -> list[CollectionSnapshot]:
        self._server.require_own("snapshots")
        found = await self._get(f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/snapshots")
        return list(map(json_codec.snapshot_from_json, found))

    async def restore_snapshot(self, collection: CollectionRef, name: str) -> None:
        self._server.require_own("restore")
        path = f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/snapshots/{segment(name)}/restore"
        await self._transport.call("POST", path)  # once: again, it would undo what was written meanwhile

    async def delete_snapshot(self, collection: CollectionRef, name: str) -> None:
        self._server.require_own("drop_snapshot")
        path = f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/snapshots/{segment(name)}"
        await self._transport.call("DELETE", path)

    # ------------------------------------------------------------------ reading

    async def known_ids(self, collection: CollectionRef, ids: Sequence[str]) -> set[str]:
        if self._server.own:
            return await self._own(collection, "known_ids", {"ids": list(ids)}, set[str])
        known: set[str] = set()
        for start in range(0, len(ids), self._server.max_batch_size):
            part = Selection(ids=ids[start : start + self._server.max_batch_size])
            known.update((await self._rows(collection, GetRequest(selection=part))).ids)
        return known

    async def get(self, collection: CollectionRef, request: GetRequest) -> Rows:
        page = request.page
        if not page.order_by or self._server.own:
            return await self._rows(collection, request)
        keys = GetRequest(selection=request.selection, fields=frozenset({"metadatas"}))
        found = await self._rows(collection, keys)
        stop = None if page.limit is None else page.offset + page.limit
        ids = [found.ids[row] for row in ordered(found.metadatas or [], page.order_by)[page.offset : stop]]
        if not ids:
            return found._replace(ids=[], metadatas=[])
        chosen = GetRequest(selection=Selection(ids=ids), fields=request.fields)
        return in_order_of(ids, await self._rows(collection, chosen))

    async def _rows(self, collection: CollectionRef, request: GetRequest) -> Rows:
        __tracebackhide__ = True
        request = request._replace(selection=self._server.plain(request.selection))
        body = request_codec.get_to_json(request)
        most = content_negotiation.most_rows(request.selection.ids, request.page.limit)
        if self._server.arrow and content_negotiation.pays_for_answer(most, request.fields):
            read = partial(content_negotiation.read_rows, fields=request.fields, most=most)
            return await self._read_arrow(collection, "get", body, read)
        return await self._read(collection, "get", body, json_codec.rows_from_json)

    async def batches(self, collection: CollectionRef, request: ScanRequest) -> AsyncBatches:
        from . import http_streams

        if not self._server.arrow:
            dimension = (await self.get_collection_by_id(collection)).dimension
            return await http_streams.in_pages(self, collection, request, dimension)
        request = request._replace(selection=self._server.plain(request.selection))
        body = request_codec.scan_to_json(request)
        path = f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/export"
        return await http_streams.read(self._transport, path, encode(body), request.projection.fields)

    async def sql(
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
        answer = await self._transport.send(
            "POST", path, body, accept=content_negotiation.MEDIA_TYPE, repeatable=True
        )
        return await self._answered(content_negotiation.read_table, answer.content)

    async def query(self, collection: CollectionRef, request: QueryRequest) -> list[Hits]:
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
                known = await self.known_ids(collection, selection.ids)
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
            return await self._read_arrow(collection, "query", body, read)
        hits = await self._read(collection, "query", body, json_codec.hits_from_json)
        return hits if most is None else [within(hit, most) for hit in hits]

    async def search(
        self, collection: CollectionRef, requests: Sequence[SearchRequest]
    ) -> list[SearchAnswer]:
        body: dict[str, Any] = {"searches": [search_codec.search_to_json(request) for request in requests]}
        if any(request.explain for request in requests):
            body["explain"] = True
        rows = content_negotiation.search_rows(requests)
        fields = frozenset[Field]().union(*(request.fields for request in requests))
        if self._server.arrow and content_negotiation.pays_for_answer(rows, fields) and "explain" not in body:
            read = partial(content_negotiation.read_answers, requests=requests)
            return await self._read_arrow(collection, "search", body, read)
        try:
            return await self._read(collection, "search", body, search_codec.answers_from_json)
        except UnsupportedError:
            if self._server.own:
                raise
            self._server.unsupported("search, use query")  # Chroma offers it on hosted servers only

    async def count(self, collection: CollectionRef, selection: Selection) -> int:
        if selection.everything:
            return int(await self._get(f"{collection_path(collection)}/count"))
        if not self._server.own or selection.ids is not None:
            return len((await self._rows(collection, GetRequest(selection=selection))).ids)
        body = request_codec.filters_to_json(self._server.plain(selection))
        return await self._own(collection, "count", body, int)

    async def facets(self, collection: CollectionRef, request: FacetRequest) -> list[Facet]:
        body = request_codec.facets_to_json(request._replace(selection=self._server.plain(request.selection)))
        return await self._own(collection, "facets", body, json_codec.facets_from_json)

    # ------------------------------------------------------------------ upkeep

    async def index_status(self, collection: CollectionRef) -> IndexStatus:
        self._server.require_own("get_indexing_status")
        return json_codec.status_from_json(await self._get(f"{collection_path(collection)}/indexing_status"))

    async def recall(self, collection: CollectionRef, k: int, sample: int) -> float:
        return await self._own(collection, "recall", {"k": k, "sample": sample}, float)

    async def recall_by_ef(
        self, collection: CollectionRef, k: int, sample: int, efs: Sequence[int]
    ) -> list[EfRecall]:
        body = {"k": k, "sample": sample, "ef_search": list(efs)}
        return await self._own(collection, "recall", body, json_codec.recalls_from_json)

    async def compact(self, collection: CollectionRef) -> None:
        await self._compact(collection_path(collection))

    async def compact_all(self, scope: Scope) -> None:
        await self._compact(database_path(scope))

    async def _compact(self, path: str) -> None:
        self._server.require_own("compact")
        await self._transport.call("POST", f"{path}/{json_codec.OWN_PREFIX}/compact", repeatable=True)

    async def stats(self, collection: CollectionRef) -> CollectionStats:
        self._server.require_own("info")
        return json_codec.stats_from_json(
            await self._get(f"{collection_path(collection)}/{json_codec.OWN_PREFIX}/stats")
        )

    # ------------------------------------------------------------------ requests

    async def _get(self, path: str, query: dict[str, int] | None = None) -> Any:
        __tracebackhide__ = True
        return await self._transport.call("GET", path, query=query)

    async def _read(
        self, collection: CollectionRef, verb: str, body: json_codec.JSON, read: Callable[[Any], T]
    ) -> T:
        __tracebackhide__ = True
        path = f"{collection_path(collection)}/{verb}"
        answer: T = await self._transport.call("POST", path, body, repeatable=True, read=read)
        return answer

    async def _read_arrow(
        self, collection: CollectionRef, verb: str, body: json_codec.JSON, read: Callable[[bytes], T]
    ) -> T:
        __tracebackhide__ = True
        answer = await self._transport.send(
            "POST",
            f"{collection_path(collection)}/{verb}",
            encode(body | {"metadata": "json"}),
            accept=content_negotiation.MEDIA_TYPE,
            repeatable=True,
        )
        return await self._answered(read, answer.content)

    async def _answered(self, read: Callable[[bytes], T], content: bytes) -> T:
        url = self._transport.url
        answer: T = await async_bulk(len(content) // 1000, content_negotiation.answered, read, content, url)
        return answer

    async def _own(
        self, collection: CollectionRef, verb: str, body: json_codec.JSON, read: Callable[[Any], T]
    ) -> T:
        __tracebackhide__ = True
        self._server.require_own(verb)
        return await self._read(collection, f"{json_codec.OWN_PREFIX}/{verb}", body, read)
