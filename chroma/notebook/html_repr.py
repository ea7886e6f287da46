"""Renders clients and collections in notebooks.

The async objects cannot call the backend in a repr, so they show only their own state. The sync objects call
the backend within the time limit of `timeout`, and show the responses that arrived in time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..errors import NotFoundError, UnsupportedError
from ..http.connection_settings import MEMORY, location_of
from ..rendering import text
from ..rendering.html import Html, Node, caption, card, cell, facts, faint, joined, mono, pairs, safely, table
from ..rendering.result_tables import records_table
from ..requests.projection import ALL_FIELDS
from ..requests.scope import Scope
from ..results.build import get_result
from ..storage.interface.report_repr import size
from ..storage.interface.requests import ALL_RECORDS, GetRequest, Page
from ..storage.interface.values import CollectionInfo, CollectionRef, CollectionStats, Rows
from .timeout import ask

if TYPE_CHECKING:
    from ..backend.async_protocol import AsyncBackend
    from ..backend.protocol import Backend

COLLECTIONS = 20  # maximum collections shown for a client
SAMPLE = 5  # records shown for a collection


# ------------------------------------------------------------------------------ clients


@dataclass
class _Contents:
    """The data about a database received so far."""

    version: str | None = None
    total: int | None = None
    infos: list[CollectionInfo] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)  # by collection id


def client_html(backend: Backend, scope: Scope, settings: Settings, closed: bool) -> str:
    """Render the client's connection and a table of the collections."""

    def build() -> Html:
        known = _Contents()
        trouble = "the client was closed" if closed else ask(lambda: _look(backend, scope, known))
        return _client("Client", scope, settings, known, trouble)

    return safely("Client", build)


def async_client_html(backend: AsyncBackend, scope: Scope, settings: Settings, closed: bool) -> str:
    """Render the client's connection."""
    del backend
    waits = "the client was closed" if closed else "`await client.list_collections()` tells what is in it"
    return safely("AsyncClient", lambda: _client("AsyncClient", scope, settings, _Contents(), waits))


def _look(backend: Backend, scope: Scope, known: _Contents) -> None:
    known.version = backend.version()
    known.total = backend.count_collections(scope)
    known.infos = backend.list_collections(scope, COLLECTIONS, None)
    for info in list(known.infos):
        known.rows[info.id] = _rows(backend, info.ref)


def _rows(backend: Backend, collection: CollectionRef) -> str:
    try:
        return text.number(backend.count(collection, ALL_RECORDS))
    except NotFoundError:
        return "deleted"


def _client(kind: str, scope: Scope, settings: Settings, known: _Contents, trouble: str | None) -> Html:
    location = location_of(settings)
    known_facts: list[tuple[str, Node]] = [
        ("at", mono(text.short(location))) if location != MEMORY else ("kept", MEMORY),
        ("tenant", text.short(scope.tenant)),
        ("database", text.short(scope.database)),
    ]
    if known.version is not None:
        known_facts.append(("version", text.short(known.version)))
    if known.total is not None:
        known_facts.append(("collections", text.number(known.total)))
    parts: list[Node] = [facts(known_facts)]
    if known.infos:
        parts.append(_listing(known))
    if known.total is not None and known.total > len(known.infos) > 0:
        parts.append(caption(f"… and {known.total - len(known.infos):,} more"))
    if trouble is not None:
        parts.append(caption(trouble))
    return card(kind, *parts)


def _listing(known: _Contents) -> Html:
    rows = [
        [
            cell(text.short(info.name, 80)),
            cell(known.rows.get(info.id, "?"), right=True),
            cell("" if info.dimension is None else text.number(info.dimension), right=True),
            cell(_space(info)),
            cell(pairs(text.pairs(info.metadata))),
        ]
        for info in known.infos
    ]
    return table(["name", "rows", "dimension", "space", "metadata"], rows, right=("rows", "dimension"))


# ------------------------------------------------------------------------------ collections


@dataclass
class _Inside:
    """The data about a collection received so far."""

    info: CollectionInfo
    rows: int | None = None
    stats: CollectionStats | None = None
    sample: Rows | None = None


def collection_html(backend: Backend, info: CollectionInfo) -> str:
    """Render the collection's settings, sizes and first records."""

    def build() -> Html:
        known = _Inside(info)
        return _collection("Collection", known, ask(lambda: _look_into(backend, known)))

    return safely("Collection", build)


def async_collection_html(backend: AsyncBackend, info: CollectionInfo) -> str:
    """Render the collection's settings, as of the time it was opened."""
    del backend
    waits = "`await collection.peek()` and `await collection.info()` tell what is in it"
    return safely("AsyncCollection", lambda: _collection("AsyncCollection", _Inside(info), waits))


def _look_into(backend: Backend, known: _Inside) -> None:
    collection = known.info.ref
    known.info = backend.get_collection_by_id(collection)
    known.rows = backend.count(collection, ALL_RECORDS)
    first = GetRequest(page=Page(limit=SAMPLE), fields=ALL_FIELDS - {"embeddings"})
    known.sample = backend.get(collection, first)
    known.stats = _supported(lambda: backend.stats(collection))


def _supported(call: Callable[[], CollectionStats]) -> CollectionStats | None:
    """Return the result of `call`. None if the server does not support the call."""
    try:
        return call()
    except UnsupportedError:
        return None


def _collection(kind: str, known: _Inside, trouble: str | None) -> Html:
    info = known.info
    entries: list[tuple[str, Node]] = []
    if known.rows is not None:
        entries.append(("rows", text.number(known.rows)))
    dimension: Node = faint("not known yet") if info.dimension is None else text.number(info.dimension)
    entries += [("dimension", dimension), ("space", _space(info))]
    if known.stats is not None:
        entries += [("index", _index(known.stats)), ("size", size(known.stats.bytes))]
    entries.append(("embedding function", _function(info)))
    parts: list[Node] = [facts(entries)]
    if info.metadata:
        parts.append(facts([("metadata", pairs(text.pairs(info.metadata)))]))
    if known.sample is not None and known.sample.ids:
        parts.append(_sample(known.sample))
        if known.rows is not None and known.rows > len(known.sample.ids):
            parts.append(caption(f"… and {known.rows - len(known.sample.ids):,} more"))
    if trouble is not None:
        parts.append(caption(trouble))
    return card(joined((f"{kind} ", mono(text.short(info.name, 80)))), *parts)


def _sample(rows: Rows) -> Html:
    shown: dict[str, Any] = dict(get_result(rows, ["documents", "metadatas", "uris"], None))
    for column in ("documents", "metadatas", "uris"):
        if not any(entry is not None for entry in shown[column] or ()):
            shown[column] = None
    return records_table(shown, SAMPLE)


def _index(stats: CollectionStats) -> str:
    if not stats.live:
        return "empty"
    if stats.indexed >= stats.live:
        return "complete"
    return f"{stats.indexed:,} of {stats.live:,} rows, the others searched exactly"


def _space(info: CollectionInfo) -> str:
    return str(info.configuration.get("hnsw", {}).get("space", "l2"))


def _function(info: CollectionInfo) -> Node:
    stored = info.configuration.get("embedding_function")
    name = stored.get("name") if isinstance(stored, dict) else None
    return text.short(name) if isinstance(name, str) else faint("none stored")
