"""Every route of the HTTP API, with its handler.

A handler runs in a thread after the whole request was read. It returns a value that is sent as JSON.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from ..backend.embedded_protocol import EmbeddedBackend
from ..config import DEFAULT_TENANT
from ..embedded.error_translation import translated
from ..errors import AuthorizationError, ChromaError, InvalidArgumentError, NotFoundError, UnsupportedError
from ..internal.optional_dependencies import installed
from ..requests.scope import Scope
from ..results.build import vectors_of_ids
from ..results.cut import Cut
from ..storage.interface.requests import (
    ALL_RECORDS,
    CollectionChanges,
    GetRequest,
    QueryRequest,
    Selection,
)
from ..storage.interface.schema import ValueType
from ..storage.interface.values import CollectionInfo, CollectionRef, Hits, Mode, Rows, Written
from ..validation.names import check_uuid
from ..validation.read_arguments import check_distance, check_read_level
from ..wire import content_negotiation, integer_texts, json_codec, request_codec, search_codec
from ..wire.json_codec import JSON
from ..wire.request_codec import AnswerForm
from . import console_pages, exploration, export_files, read_responses, sql_rows
from .answer_cache import AnswerCache
from .http.request_body import Feed
from .http.responses import Ready, Streamed
from .limits.thread_pool import Pool
from .observability.metrics import CONTENT_TYPE, Metrics
from .observability.route_times import RouteTimes
from .operating import own_backup
from .parsing import arrow_streams, exploration_bodies, json_bodies, sql_body
from .security.authorization import CONSOLE_HEADER, EVERYBODY, Caller, Need
from .security.guests import Guests, wrong_ticket
from .settings.server_settings import ServerSettings
from .sql import process_pool

_log = logging.getLogger("chroma")
_SHORT_BYTES, _SHORT_ROWS = 1 << 16, 100  # the largest body and answer of a call that may be short
_ID_LENGTH = 36  # of a UUID
_FILTERS = ("where", "where_document")
_CHOICES = (
    "ids", *_FILTERS, "exact", "max_distance", "diversity", "candidates", "explain", "mode", "query_ids",
    "offset",
)  # fmt: skip
_TICKET_BYTES = 4096  # of a body with a ticket, which anybody may send
SQL_MEMORY = 1 << 30  # the memory limit of one statement, in bytes


@dataclass(frozen=True, slots=True)
class Site:
    """The contents that a server publishes about itself."""

    metrics: Metrics | None
    pool: Pool
    times: RouteTimes
    document: bytes  # the OpenAPI document
    page: Ready  # the same document as a web page
    guests: Guests | None  # callers with tickets, if there are any
    answers: AnswerCache  # maps of embeddings, and lengths of documents


@dataclass
class Call:
    """One request. Its parts are decoded on access."""

    backend: EmbeddedBackend
    settings: ServerSettings
    encoded: Mapping[str, str]  # the parts of the path, percent-encoded
    options: Mapping[str, str]  # the parameters of the query string
    headers: Mapping[str, str]
    site: Site
    raw: bytes = b""
    stream: Feed | None = None  # replaces `raw` for handlers that read a stream
    caller: Caller = EVERYBODY
    unmatched: Sequence[str] = ()  # reports of conditions that no record can match
    at_end: Callable[[], None] = lambda: None
    on_loop: bool = False  # whether it runs on the event loop's thread, where handlers may raise NotShort

    def part(self, name: str) -> str:
        """A part of the path."""
        try:
            return unquote(self.encoded[name], errors="strict")
        except UnicodeDecodeError:
            raise InvalidArgumentError(f"the {name} in the path is not valid UTF-8") from None

    @property
    def scope(self) -> Scope:
        """The tenant and database of the path."""
        return Scope(self.part("tenant"), self.part("database"))

    @property
    def collection(self) -> CollectionRef:
        """The collection of the path, by its id."""
        return CollectionRef(*self.scope, check_uuid(self.part("collection")))

    @cached_property
    def body(self) -> JSON:
        """The JSON object in the request's body."""
        return json_bodies.parse(self.raw, self.settings.max_body_bytes)

    @property
    def accepts_arrow(self) -> bool:
        """Whether the client requests an Arrow stream."""
        return content_negotiation.MEDIA_TYPE in self.headers.get("accept", "").lower()

    def page(self) -> tuple[int | None, int | None]:
        """The limit and offset in the query string."""
        return (
            json_bodies.from_query_string(self.options, "limit"),
            json_bodies.from_query_string(self.options, "offset"),
        )


class NotWritable(OSError):
    """The folder can be read, and cannot be written."""


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A route and its handler.

    needs     the permission that the caller must have
    body      whether requests have a body
    largest   the largest body, in bytes; None: as the settings say
    threaded  whether the handler may block, and so runs in a thread
    kind      a function that returns the kind of a call that may be short. Calls of one kind take about
              equally long. It returns None for a call that must run in a thread
    streamed  handlers, by media type, that read the body from `call.stream` while it arrives
    offers    media types besides JSON that `Accept` may request; the handler reads `call.headers` and
              returns `Streamed`
    """

    method: str
    path: str
    handler: Handler
    needs: Need
    status: int = 200
    body: bool = False
    threaded: bool = True
    kind: Callable[[Call], Hashable] | None = None
    streamed: Mapping[str, Handler] = field(default_factory=dict)
    offers: tuple[str, ...] = ()
    largest: int | None = None

    @property
    def changes(self) -> bool:
        """Whether a call that timed out may still take effect."""
        return self.method != "GET" and self.handler not in _READS


# ---------------------------------------------------------------------------- system


def heartbeat(call: Call) -> JSON:
    """The server's time in nanoseconds since 1970."""
    return {"nanosecond heartbeat": call.backend.heartbeat()}


def root(call: Call) -> JSON:
    """The same as heartbeat."""
    return heartbeat(call)


def healthcheck(call: Call) -> Any:
    """Check that the database can be read and written; 503 if not. A backup need only be readable."""
    call.backend.get_tenant(DEFAULT_TENANT)  # reads the catalog, which fails if the folder is missing
    in_memory = call.backend.folder is None
    if not in_memory and not os.access(call.settings.path, os.R_OK | os.W_OK | os.X_OK):
        raise NotWritable(f"the folder {call.settings.path} cannot be written")
    healthy: JSON = {"is_executor_ready": True, "is_log_client_ready": True}
    if call.backend.read_only:
        return healthy | {"read_only": True, "state": "read-only"}
    return healthy | {"state": "ok"}


def version(call: Call) -> str:
    """The version of the package."""
    return call.backend.version()


def pre_flight_checks(call: Call) -> JSON:
    """The limits and features of the server."""
    return {
        "max_batch_size": min(call.backend.max_batch_size(), call.settings.max_batch_size),
        "supports_base64_encoding": True,
        json_codec.OWN_KEY: {
            "version": call.backend.version(),
            "max_body_bytes": call.settings.max_body_bytes,
            "arrow": content_negotiation.MEDIA_TYPE,
            "console": call.settings.console,
        },
    }


def identity(call: Call) -> JSON:
    """The caller's identity."""
    known = call.caller.identity() if call.caller is not EVERYBODY else call.backend.identity()
    told = json_codec.identity_to_json(known)
    if CONSOLE_HEADER in call.headers:  # other clients refuse fields that they do not know
        told["role"] = call.caller.role
        told["maps"] = [each for each in exploration_bodies.METHODS if each == "pca" or installed(each)]
    return told


def own_ticket(call: Call) -> JSON:
    """Exchange a ticket, from an address of `chroma browse`, for a token. It is good for one use."""
    ticket = json_bodies.ticket(call.body)
    if call.site.guests is None:
        raise wrong_ticket()
    return {"token": call.site.guests.redeem(ticket)}


def reset(call: Call) -> bool:
    """Delete all data in all tenants."""
    if not call.settings.allow_reset:
        raise AuthorizationError("Reset is disabled: start the server with --allow-reset to permit it")
    call.backend.reset()
    return True


def openapi(call: Call) -> Ready:
    """This document."""
    return Ready(call.site.document, "application/json")


def page(call: Call) -> Ready:
    """This document as a web page."""
    return call.site.page


def metrics(call: Call) -> Ready:
    """Metrics for Prometheus."""
    if call.site.metrics is None:
        raise NotFoundError("there are no metrics: the server was started with --no-metrics")
    return Ready(call.site.metrics.text(), CONTENT_TYPE)


# ---------------------------------------------------------------------------- tenants and databases


def create_tenant(call: Call) -> JSON:
    """Create a tenant without any databases."""
    call.backend.create_tenant(json_bodies.tenant_name(call.body))
    return {}


def get_tenant(call: Call) -> JSON:
    """Get a tenant."""
    return {"name": call.backend.get_tenant(call.part("tenant")), "resource_name": None}


def update_tenant(call: Call) -> JSON:
    """Accepted without effect; resource names exist on hosted servers only."""
    json_bodies.resource_name(call.body)
    call.backend.get_tenant(call.part("tenant"))
    return {}


def list_databases(call: Call) -> list[JSON]:
    """The databases of a tenant that the caller may access, sorted by name."""
    tenant, (limit, offset) = call.part("tenant"), call.page()
    seen = call.caller.databases(tenant)
    if seen is None:
        return call.backend.list_databases(tenant, limit, offset)
    found = [entry for entry in call.backend.list_databases(tenant, None, None) if entry["name"] in seen]
    start = offset or 0
    return found[start:] if limit is None else found[start : start + limit]


def create_database(call: Call) -> JSON:
    """Create a database."""
    call.backend.create_database(Scope(call.part("tenant"), json_bodies.checked_name(call.body)))
    return {}


def get_database(call: Call) -> JSON:
    """Get a database."""
    return call.backend.get_database(call.scope)


def delete_database(call: Call) -> JSON:
    """Delete a database and its collections."""
    call.backend.delete_database(call.scope)
    return {}


# ---------------------------------------------------------------------------- collections


def list_collections(call: Call) -> list[JSON]:
    """The collections of a database, in the order of their creation."""
    return [json_codec.info_to_json(info) for info in call.backend.list_collections(call.scope, *call.page())]


def _with_keys(call: Call, info: CollectionInfo) -> JSON:
    """The collection, with the keys of its records in the schema. An empty collection is not opened."""
    found: list[tuple[str, ValueType]] = []
    if info.dimension is not None:
        try:
            found = call.backend.metadata_keys(info.ref)
        except ChromaError as error:  # the collection can still be looked at, repaired and deleted
            _log.warning("the schema of %s lacks the keys of its records: %s", info.name, error)
    return json_codec.info_to_json(info, found)


def create_collection(call: Call) -> JSON:
    """Create a collection. With get_or_create, return an existing one of that name."""
    new = json_bodies.new_collection(call.body)
    return _with_keys(call, call.backend.create_collection(call.scope, new))


def count_collections(call: Call) -> int:
    """The number of collections in a database."""
    return call.backend.count_collections(call.scope)


def get_collection(call: Call) -> JSON:
    """Get a collection by its name."""
    return _with_keys(call, call.backend.get_collection(call.scope, call.part("collection")))


def get_collection_by_id(call: Call) -> JSON:
    """Get a collection by its id."""
    return _with_keys(call, call.backend.get_collection_by_id(call.collection))


def get_collection_by_crn(call: Call) -> JSON:
    """Hosted servers only: resource names are not supported here."""
    if call.part("crn").count(":") != 2:
        raise InvalidArgumentError(
            f"Expected a resource name tenant:database:collection, got {call.part('crn')!r:.100}"
        )
    raise UnsupportedError(
        "collections are found by resource name on hosted servers only: use "
        "/api/v2/tenants/{tenant}/databases/{database}/collections/{name}"
    )


def modify_collection(call: Call) -> JSON:
    """Rename a collection, replace its metadata or change its settings. Returns the changed collection."""
    collection, requested = call.collection, json_bodies.changes(call.body)
    info = call.backend.get_collection_by_id(collection)
    configuration = requested.configuration(info.configuration)
    if requested.name is not None or requested.metadata is not None or configuration is not None:
        changes = CollectionChanges(
            name=requested.name, metadata=requested.metadata, configuration=configuration
        )
        info = call.backend.modify_collection(collection, changes)
    return _with_keys(call, info)


def delete_collection(call: Call) -> JSON:
    """Delete a collection by its name."""
    call.backend.delete_collection(call.scope, call.part("collection"))
    return {}


def fork(call: Call) -> JSON:
    """Copy a collection under another name."""
    name = json_bodies.checked_name(call.body, "new_name")
    return _with_keys(call, call.backend.fork_collection(call.collection, name))


def indexing_status(call: Call) -> JSON:
    """The number of records that the similarity index covers. Queries find the other records too."""
    return json_codec.status_to_json(call.backend.index_status(call.collection))


# ---------------------------------------------------------------------------- records


def _write(call: Call, mode: Mode) -> JSON:
    records = json_bodies.records(mode, call.body)
    if not records.ids:
        call.backend.get_collection_by_id(call.collection)  # raises NotFoundError if it is missing
        return json_codec.written_to_json(Written())
    return json_codec.written_to_json(call.backend.write(call.collection, mode, records))


def _write_stream(call: Call, mode: Mode) -> JSON:
    collection = call.collection
    call.backend.get_collection_by_id(collection)  # so that a missing one fails early
    assert call.stream is not None
    atomic = json_bodies.switch(call.options, "atomic")
    written, rows = (arrow_streams.receive_whole if atomic else arrow_streams.receive)(
        mode,
        call.stream,
        lambda records: call.backend.write(collection, mode, records),
        call.settings.max_body_bytes,
    )
    return json_codec.written_to_json(written) | {"rows": rows}


def add(call: Call) -> JSON:
    """Add records. Records whose id is already stored are left unchanged."""
    return _write(call, "add")


def upsert(call: Call) -> JSON:
    """Add the records whose id is new, and update the others."""
    return _write(call, "upsert")


def update(call: Call) -> JSON:
    """Change stored records. Ids that are not stored are skipped."""
    return _write(call, "update")


def delete(call: Call) -> JSON:
    """Delete the records that have one of the ids and match the filters."""
    request = request_codec.delete_from_json(call.body)
    if request.selection.everything:  # without a selection, nothing is deleted
        call.backend.get_collection_by_id(call.collection)
        return {"deleted": 0}
    return {"deleted": call.backend.delete(call.collection, request)}


def get(call: Call) -> JSON | Streamed:
    """Get records by id, by filter, or by both, in insertion order."""
    request, form = request_codec.get_from_json(call.body)
    if call.accepts_arrow:
        return _scanned(call, request, form)
    found = call.backend.scan(call.collection, request.selection, request.page)
    with translated():
        if call.on_loop:
            read_responses.check_short(found, request.fields, form)
        return read_responses.get(found, request.fields, form)


def own_export(call: Call) -> Streamed:
    """Like get, but as an Arrow stream or a file, and with all columns unless `include` is given."""
    body = call.body if call.raw else {}
    request, form = request_codec.get_from_json(body, request_codec.FIELDS)
    format = exploration_bodies.export_format(body)
    if format == "arrow":
        return _scanned(call, request, form)
    name = call.backend.get_collection_by_id(call.collection).name
    found = call.backend.scan(call.collection, request.selection, request.page)
    with translated():
        return export_files.exported(found, request.fields, form, format=format, name=name)


def _scanned(call: Call, request: GetRequest, form: AnswerForm) -> Streamed:
    """The response of a get as an Arrow stream."""
    found = call.backend.scan(call.collection, request.selection, request.page)
    if "metadatas" in request.fields and form.metadata == "struct":
        return Streamed(
            arrow_streams.send_struct(found, request.fields, form.keys), content_negotiation.MEDIA_TYPE
        )
    return Streamed(arrow_streams.send(found.read(request.fields)), content_negotiation.MEDIA_TYPE)


def query(call: Call) -> JSON | Streamed:
    """The nearest records to each query, by ascending distance."""
    request, form = request_codec.query_from_json(call.body)
    cut = json_bodies.cut(call.body, request)
    if cut is not None:
        return _cut_query(call, request, form, cut)
    queries = len(request.vectors)
    if request.mode != "dense" and call.accepts_arrow:
        raise InvalidArgumentError(f"mode={request.mode!r} has no Arrow answer: accept application/json")
    if not queries or request.k == 0:
        call.backend.get_collection_by_id(call.collection)
        if call.accepts_arrow:
            raise InvalidArgumentError(
                "an Arrow answer needs at least one query vector and n_results of at least 1"
            )
        none = Rows([], [], [], [], None)
        return json_codec.hits_to_json([Hits(none, json_codec.NO_DISTANCES)] * queries, form.include)
    _check_query(call, request)
    most = call.settings.max_answer_bytes
    ranked = call.backend.ranked(call.collection, request)
    with translated():
        if call.accepts_arrow and not request.explain:  # an Arrow stream has no place for an explanation
            return read_responses.query_as_arrow(ranked, request, form, most)
        if call.on_loop:
            read_responses.check_short(ranked, request.fields, form)
        return read_responses.query(ranked, request.fields, form)


def _cut_query(call: Call, request: QueryRequest, form: AnswerForm, cut: Cut) -> JSON:
    """The answer of a query by ids, or of a later page of its hits."""
    if call.accepts_arrow:
        raise InvalidArgumentError("query_ids and offset have no Arrow answer: accept application/json")
    if cut.ids is not None:
        chosen = Selection(ids=[*dict.fromkeys(cut.ids)])
        read = GetRequest(selection=chosen, fields=frozenset({"embeddings"}))
        request = request._replace(vectors=vectors_of_ids(call.backend.get(call.collection, read), cut.ids))
    hits: list[Hits] = []
    left = call.settings.max_answer_bytes
    for each in cut.requests(request) if len(request.vectors) and request.k else ():
        _check_query(call, each)
        with translated():
            found = call.backend.ranked(call.collection, each)
            size = found.size(each.fields)
            left -= size
            if left < 0:
                raise read_responses.too_large_page(size, call.settings.max_answer_bytes)
            hits += found.hits(each.fields)
    if not hits:
        call.backend.get_collection_by_id(call.collection)
        none = Hits(Rows([], [], [], [], None), json_codec.NO_DISTANCES)
        return json_codec.hits_to_json([none] * len(request.vectors), form.include)
    return read_responses.hits_as_json(cut.applied(hits), form)


def _check_query(call: Call, request: QueryRequest) -> None:
    """Check what depends on the collection: the limit of distances, and the number of hits."""
    if request.max_distance is not None and request.max_distance < 0:
        info = call.backend.get_collection_by_id(call.collection)
        check_distance(request.max_distance, "max_distance", info.configuration["hnsw"]["space"])
    queries = len(request.vectors)
    if queries * request.considered > read_responses.FEW:
        stored = call.backend.count(call.collection, ALL_RECORDS)
        most = call.settings.max_answer_bytes
        read_responses.check_hits(queries, min(request.considered, stored), most)


def _kind_of(call: Call, k: int = 0) -> Hashable:
    """The kind of a short call of one route: its collection, and the number of its results if that differs.
    Kinds are remembered, so what cannot be the id of a collection has none."""
    id = call.encoded["collection"]
    return (id, k) if len(id) == _ID_LENGTH else None


def _kind_of_query(call: Call) -> Hashable:
    """The kind of a query that compares one vector with all records. A filter may take long to evaluate."""
    if len(call.raw) > _SHORT_BYTES or call.accepts_arrow:
        return None
    body = call.body
    vectors, k = body.get("query_embeddings"), body.get("n_results", request_codec.DEFAULT_RESULTS)
    one = type(vectors) is list and len(vectors) == 1 and type(k) is int and 0 < k <= _SHORT_ROWS
    if not one or any(body.get(key) for key in _CHOICES):
        return None
    return _kind_of(call, k)


def _kind_of_get(call: Call) -> Hashable:
    """The kind of a get by a few ids."""
    if len(call.raw) > _SHORT_BYTES or call.accepts_arrow:
        return None
    ids = call.body.get("ids")
    few = type(ids) is list and 0 < len(ids) <= _SHORT_ROWS
    return _kind_of(call) if few and not any(map(call.body.get, _FILTERS)) else None


def count(call: Call) -> int:
    """The number of records. Every read level counts all acknowledged records."""
    if "read_level" in call.options:
        check_read_level(call.options["read_level"])
    return call.backend.count(call.collection, ALL_RECORDS)


# ---------------------------------------------------------------------------- our own


def own_count(call: Call) -> int:
    """The number of records that match filters."""
    return call.backend.count(call.collection, request_codec.filters_from_json(call.body))


def own_known_ids(call: Call) -> list[str]:
    """The subset of the ids that is stored."""
    ids = json_bodies.known_ids(call.body)
    known = call.backend.known_ids(call.collection, ids)
    return [id for id in ids if id in known]


def own_recall(call: Call) -> float | JSON:
    """The fraction of the true nearest records that queries find; with ef_search that of each, and times."""
    k, size, efs = json_bodies.sample(call.body)
    stored = call.backend.count(call.collection, ALL_RECORDS)
    read_responses.check_recall(min(k, stored), min(size, stored), call.settings.max_answer_bytes)
    if efs is None:
        return call.backend.recall(call.collection, k, size)
    return json_codec.recalls_to_json(call.backend.recall_by_ef(call.collection, k, size, efs))


def own_compact(call: Call) -> JSON:
    """Compact one collection now."""
    call.backend.compact(call.collection)
    return {}


def own_compact_all(call: Call) -> JSON:
    """Compact all collections of a database now."""
    call.backend.get_database(call.scope)
    call.backend.compact_all(call.scope)
    return {}


def own_sql(call: Call) -> JSON | Streamed:
    """Run one SELECT statement over the collections of a database. Returns an Arrow stream, or JSON."""
    sql_body.sql(call.body)
    call.backend.get_database(call.scope)
    if call.backend.folder is None:
        raise UnsupportedError(
            "a statement runs in a process of its own, which does not see a database in memory: call "
            "client.sql(…) in the program that has it"
        )
    job = {
        "path": os.path.abspath(call.settings.path),
        "tenant": call.scope.tenant,
        "database": call.scope.database,
        "memory": SQL_MEMORY,
        "largest": call.settings.max_body_bytes,
    }
    answer = process_pool.Answer(job, call.raw, call.settings.request_seconds)
    if "application/json" in call.headers.get("accept", "").lower() and not call.accepts_arrow:
        most, texts = exploration_bodies.max_rows(call.body), request_codec.integers_as_text(call.body)
        call.at_end = answer.close  # a client that has gone leaves no statement behind
        return sql_rows.as_json(answer, most, call.settings.max_answer_bytes, texts=texts)
    return Streamed(answer, content_negotiation.MEDIA_TYPE)


def own_create_snapshot(call: Call) -> JSON:
    """Keep the records of a collection as they are now, under a name."""
    name = json_bodies.checked_name(call.body)
    return json_codec.snapshot_to_json(call.backend.create_snapshot(call.collection, name))


def own_list_snapshots(call: Call) -> list[JSON]:
    """The snapshots of a collection, the oldest first."""
    return list(map(json_codec.snapshot_to_json, call.backend.list_snapshots(call.collection)))


def own_restore_snapshot(call: Call) -> JSON:
    """Make the records of a collection those of a snapshot."""
    call.backend.restore_snapshot(call.collection, call.part("snapshot"))
    return {}


def own_delete_snapshot(call: Call) -> JSON:
    """Delete a snapshot."""
    call.backend.delete_snapshot(call.collection, call.part("snapshot"))
    return {}


def own_stats(call: Call) -> JSON:
    """The sizes of one collection."""
    return json_codec.stats_to_json(call.backend.stats(call.collection))


# ---------------------------------------------------------------------------- hosted only


def search(call: Call) -> JSON | Streamed:
    """The records that each search finds, over one snapshot."""
    requests = json_bodies.searches(call.body)
    found = call.backend.searched(call.collection, requests)
    read_responses.check_searches(found, call.settings.max_answer_bytes)
    with translated():
        if call.accepts_arrow and not any(request.explain for request in requests):
            return read_responses.searches_as_arrow(requests, found)
        answer = search_codec.answers_to_json(requests, [each.answer() for each in found])
    if call.body.get("integers") is None:
        return answer
    return answer | {"metadatas": integer_texts.as_texts(answer["metadatas"])}


def fork_count(call: Call) -> JSON:
    """Not supported, because forks share no history."""
    raise UnsupportedError("fork_count is not kept here: forks share no history")


def attach_function(call: Call) -> JSON:
    """Hosted servers only."""
    raise UnsupportedError("attached functions exist on hosted servers only")


def get_attached_function(call: Call) -> JSON:
    """Hosted servers only. Always not found here."""
    raise NotFoundError(
        f"Attached function [{call.part('function')}] not found: they exist on hosted servers only"
    )


def detach_function(call: Call) -> JSON:
    """Hosted servers only."""
    raise UnsupportedError("attached functions exist on hosted servers only")


# ---------------------------------------------------------------------------- the table

# handlers of POST requests that change nothing
_READS = frozenset(
    {
        query,
        get,
        search,
        own_count,
        own_export,
        exploration.own_facets,
        own_known_ids,
        own_recall,
        own_sql,
        exploration.own_embed,
        exploration.own_projection,
        exploration.own_pairs,
    }
)

_FILES = tuple(kind.partition(";")[0] for kind in export_files.MEDIA_TYPES.values())
_JSON_TOO = ("application/json",)
_ARROW = (content_negotiation.MEDIA_TYPE,)


def _streams(mode: Mode) -> Mapping[str, Handler]:
    return {content_negotiation.MEDIA_TYPE: lambda call: _write_stream(call, mode)}


_API = "/api/v2"
_TENANT = f"{_API}/tenants/{{tenant}}"
_DATABASE = f"{_TENANT}/databases/{{database}}"
_COLLECTIONS = f"{_DATABASE}/collections"
_COLLECTION = f"{_COLLECTIONS}/{{collection}}"
_OWN = f"{_COLLECTION}/{json_codec.OWN_PREFIX}"

ROUTES = (
    # routes are tried in order, so the busiest ones are first
    Route("POST", f"{_COLLECTION}/query", query, "read", body=True, kind=_kind_of_query, offers=_ARROW),
    Route("POST", f"{_COLLECTION}/get", get, "read", body=True, kind=_kind_of_get, offers=_ARROW),
    Route("POST", f"{_COLLECTION}/add", add, "write", status=201, body=True, streamed=_streams("add")),
    Route("POST", f"{_COLLECTION}/upsert", upsert, "write", body=True, streamed=_streams("upsert")),
    Route("POST", f"{_COLLECTION}/update", update, "write", body=True, streamed=_streams("update")),
    Route("GET", f"{_COLLECTION}/count", count, "read", kind=_kind_of),
    Route("POST", f"{_COLLECTION}/delete", delete, "write", body=True),
    Route("GET", _API, root, "none", threaded=False),
    Route("GET", f"{_API}/heartbeat", heartbeat, "none", threaded=False),
    Route("GET", f"{_API}/healthcheck", healthcheck, "none"),
    Route("GET", f"{_API}/version", version, "none", threaded=False),
    Route("GET", f"{_API}/pre-flight-checks", pre_flight_checks, "none", threaded=False),
    Route("GET", f"{_API}/auth/identity", identity, "known", threaded=False),
    Route(
        "POST", f"{_API}/{json_codec.OWN_PREFIX}/ticket", own_ticket, "none", body=True, largest=_TICKET_BYTES
    ),
    Route("POST", f"{_API}/reset", reset, "admin"),
    Route("POST", f"{_API}/{json_codec.OWN_PREFIX}/backup", own_backup, "admin", body=True),
    Route("GET", f"{_API}/openapi.json", openapi, "none", threaded=False),
    Route("GET", "/docs", page, "none", threaded=False),
    Route("GET", "/metrics", metrics, "read"),
    Route("POST", f"{_API}/tenants", create_tenant, "admin", body=True),
    Route("GET", _TENANT, get_tenant, "read"),
    Route("PATCH", _TENANT, update_tenant, "admin", body=True),
    Route("GET", f"{_TENANT}/databases", list_databases, "read"),
    Route("POST", f"{_TENANT}/databases", create_database, "admin", body=True),
    Route("GET", _DATABASE, get_database, "read"),
    Route("DELETE", _DATABASE, delete_database, "admin"),
    Route("GET", _COLLECTIONS, list_collections, "read"),
    Route("POST", _COLLECTIONS, create_collection, "write", body=True),
    Route("GET", f"{_DATABASE}/collections_count", count_collections, "read"),
    Route("GET", _COLLECTION, get_collection, "read"),
    Route("PUT", _COLLECTION, modify_collection, "write", body=True),
    Route("DELETE", _COLLECTION, delete_collection, "write"),
    Route("GET", f"{_COLLECTIONS}/by-id/{{collection}}", get_collection_by_id, "read"),
    Route("GET", f"{_API}/collections/{{crn}}", get_collection_by_crn, "known"),
    Route("GET", f"{_COLLECTION}/indexing_status", indexing_status, "read"),
    Route("POST", f"{_COLLECTION}/fork", fork, "write", body=True),
    Route("GET", f"{_COLLECTION}/fork_count", fork_count, "read"),
    Route("POST", f"{_COLLECTION}/search", search, "read", body=True, offers=_ARROW),
    Route("POST", f"{_COLLECTION}/functions/attach", attach_function, "write", body=True),
    Route("GET", f"{_COLLECTION}/functions/{{function}}", get_attached_function, "read"),
    Route(
        "POST", f"{_COLLECTION}/attached_functions/{{function}}/detach", detach_function, "write", body=True
    ),
    Route("POST", f"{_OWN}/count", own_count, "read", body=True),
    Route("POST", f"{_OWN}/known_ids", own_known_ids, "read", body=True),
    Route("POST", f"{_OWN}/export", own_export, "read", body=True, offers=_FILES),
    Route("POST", f"{_OWN}/facets", exploration.own_facets, "read", body=True),
    Route("POST", f"{_OWN}/embed", exploration.own_embed, "read", body=True),
    Route("POST", f"{_OWN}/projection", exploration.own_projection, "read", body=True),
    Route("POST", f"{_OWN}/pairs", exploration.own_pairs, "read", body=True),
    Route("GET", f"{_API}/{json_codec.OWN_PREFIX}/tree", exploration.own_tree, "known"),
    Route("GET", f"{_API}/{json_codec.OWN_PREFIX}/state", exploration.own_state, "admin"),
    Route("POST", f"{_OWN}/recall", own_recall, "read", body=True),
    Route("POST", f"{_OWN}/compact", own_compact, "write"),
    Route("POST", f"{_OWN}/snapshots", own_create_snapshot, "write", body=True),
    Route("GET", f"{_OWN}/snapshots", own_list_snapshots, "read"),
    Route("POST", f"{_OWN}/snapshots/{{snapshot}}/restore", own_restore_snapshot, "write"),
    Route("DELETE", f"{_OWN}/snapshots/{{snapshot}}", own_delete_snapshot, "write"),
    Route("GET", f"{_OWN}/stats", own_stats, "read"),
    Route("POST", f"{_DATABASE}/{json_codec.OWN_PREFIX}/compact", own_compact_all, "write"),
    Route(
        "POST",
        f"{_DATABASE}/{json_codec.OWN_PREFIX}/sql",
        own_sql,
        "read",
        body=True,
        offers=_JSON_TOO,
    ),
)

# Pages for people, which the OpenAPI document leaves out.
PAGES = (Route("GET", "/", console_pages.greeting, "none", threaded=False),)
CONSOLE = (
    Route("GET", "/console", console_pages.console, "none", threaded=False),
    Route("GET", "/console/", console_pages.console_index, "none", threaded=False),
    Route("GET", "/console/static/{path:path}", console_pages.console_file, "none", threaded=False),
)
