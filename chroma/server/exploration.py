"""The handlers of routes by which the console explores a server: overview, facets, maps, pairs, its state.

Owns: how much one such call may read, so that a page of the console cannot occupy the server.
"""

from __future__ import annotations

import logging
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from ..embedded.error_translation import translated
from ..embedding.minilm.default import DefaultEmbeddingFunction
from ..errors import ChromaError, InvalidArgumentError
from ..notebook import projection as maps
from ..requests.scope import Scope
from ..storage.interface.requests import WHOLE, QueryRequest, Selection
from ..storage.interface.values import CollectionInfo, Floats
from ..tables import neighbour_tables
from ..validation.read_arguments import NO_VECTORS, check_distance
from ..wire import integer_texts, json_codec
from ..wire.json_codec import JSON
from . import document_lengths
from .http.responses import Ready, to_json
from .parsing import exploration_bodies

if TYPE_CHECKING:
    from ..backend.embedded_protocol import FoundRecords
    from .routes import Call

_log = logging.getLogger("chroma.server")

# Collections that are opened for the tree to read their sizes. An engine keeps 256 of them open.
_MOST_OPENED = 200
_MOST_NUMBERS = 1 << 26  # of the vectors of a map; as float64 they take 512 MB
_STEP, _NEAREST = 500, 16  # records whose pairs are searched by one call; their neighbours that are looked at
_PAIR_SECONDS = 60.0  # then the pairs that were found are returned
_JSON = "application/json"


def own_tree(call: Call) -> JSON:
    """The tenants, databases and collections that the caller may access, with their sizes."""
    backend, caller, left = call.backend, call.caller, _MOST_OPENED
    opened = backend.open_collections()
    tenants = []
    for tenant in backend.list_tenants():
        allowed, databases = caller.databases(tenant), []
        for entry in backend.list_databases(tenant, None, None):
            if allowed is not None and entry["name"] not in allowed:
                continue
            infos = backend.list_collections(Scope(tenant, entry["name"]), None, None)
            found = []
            for info in infos:
                left -= info.id not in opened
                found.append(_described(call, info, measured=left >= 0 or info.id in opened))
            databases.append({"name": entry["name"], "id": entry["id"], "collections": found})
        if databases or allowed is None:
            tenants.append({"name": tenant, "databases": databases})
    return {"tenants": tenants}


def _described(call: Call, info: CollectionInfo, *, measured: bool) -> JSON:
    stats = None
    if measured:
        try:
            info, stats = call.backend.get_collection_by_id(info.ref), call.backend.stats(info.ref)
        except ChromaError as error:  # it was deleted meanwhile, or is damaged: the others are still listed
            _log.warning("the sizes of %s cannot be read: %s", info.name, error)
    return {
        "id": info.id,
        "name": info.name,
        "rows": stats and stats.live,
        "dimension": info.dimension,
        "space": info.configuration["hnsw"]["space"],
        "function": _function(info),
        "indexed": stats and stats.indexed,
        "bytes": stats and stats.bytes + stats.log_bytes,
        "metadata": integer_texts.as_texts(info.metadata),
    }


def _function(info: CollectionInfo) -> str | None:
    """The name of the stored embedding function."""
    stored = info.configuration.get("embedding_function")
    name = stored.get("name") or stored.get("type") if isinstance(stored, dict) else None
    return None if name is None else str(name)


def own_facets(call: Call) -> JSON:
    """The most frequent values of metadata keys, with their counts among the matching records."""
    request = exploration_bodies.facets(call.body)
    if request.keys is None and request.documents is None:
        types: dict[str, list[str]] = {}
        for key, kind in call.backend.metadata_keys(call.collection):
            types.setdefault(key, []).append(kind)
        return {key: {"types": sorted(kinds)} for key, kinds in types.items()}
    found: JSON = {}
    if request.keys is not None:
        keys = request.keys
        found = json_codec.facets_to_json(keys.keys, call.backend.facets(call.collection, keys))
    if call.body.get("integers"):
        found = integer_texts.as_texts(found)
    if request.documents is None:
        return found
    return found | {exploration_bodies.DOCUMENT: _lengths(call, request.selection, request.documents)}


def _lengths(call: Call, selection: Selection, bins: int) -> JSON:
    """How long the documents of matching records are, and which share of them the built-in model cuts."""
    info = call.backend.get_collection_by_id(call.collection)
    with translated():
        records = call.backend.scan(info.ref, selection, WHOLE)
    key, state = (info.ref, "lengths", call.raw), (records.state, info.configuration)
    known = call.site.answers.get(key, state)
    if known is None:
        known = to_json(_measured(info, records, bins))
        call.site.answers.put(key, state, known)
    found: JSON = orjson.loads(known)
    return found


def _measured(info: CollectionInfo, records: FoundRecords, bins: int) -> JSON:
    found = document_lengths.Lengths(records.rows)
    with translated():
        for batch in records.read(frozenset({"documents"})):
            found.add(batch.column(batch.schema.get_field_index("document")))
    counts, edges = found.histogram(bins)
    cut = None
    if found.filled and _function(info) == DefaultEmbeddingFunction.name():
        cut = found.cut(DefaultEmbeddingFunction())
    return {
        "filled": found.filled,
        "lengths": {"edges": edges, "counts": counts},
        "minimum": found.shortest,
        "maximum": found.longest,
        "cut": cut,
    }


def own_embed(call: Call) -> JSON | Ready:
    """The vectors of texts by the built-in model. 409 if the collection has another embedding function."""
    texts = exploration_bodies.texts(call.body)
    function = _function(call.backend.get_collection_by_id(call.collection))
    if function != DefaultEmbeddingFunction.name():
        stored = "no embedding function" if function is None else f"the embedding function {function!r:.200}"
        return _conflict(
            f"the collection has {stored}, and a server runs only the built-in default: search by a vector "
            "or a record, or from a client that has the function",
            function=function,
        )
    return {"embeddings": [np.asarray(vector).tolist() for vector in DefaultEmbeddingFunction()(texts)]}


def own_projection(call: Call) -> Ready:
    """A map of the vectors of matching records in the plane. If they are too many, of some by chance."""
    request = exploration_bodies.map_request(call.body)
    info = call.backend.get_collection_by_id(call.collection)
    with translated():
        found = call.backend.scan(info.ref, request.selection, WHOLE)
    key, state = (info.ref, "map", call.raw), (found.state, info.configuration)
    known = call.site.answers.get(key, state)
    if known is None:
        made = _projected(call, request, info, found)
        if isinstance(made, Ready):
            return made
        known = to_json(made)
        call.site.answers.put(key, state, known)
    return Ready(known, _JSON)


def _projected(
    call: Call, request: exploration_bodies.MapRequest, info: CollectionInfo, found: FoundRecords
) -> JSON | Ready:
    with translated():
        most = min(request.limit, _MOST_NUMBERS // max(1, info.dimension or 1))
        chosen = np.arange(found.rows)
        if most < found.rows:
            chosen = np.sort(np.random.default_rng(request.seed).choice(found.rows, most, replace=False))
        table = _chosen(found, chosen, request.color_by)
    ids = table.column("id").to_pylist()
    points, variance = np.zeros((len(ids), 2)), None
    if ids:
        try:
            projected = maps.project(request.method, _scaled(table, info), _space(info), request.seed)
        except InvalidArgumentError as error:  # the package is not installed, or there are too few records
            return _conflict(error.message())
        points, variance = projected.points, projected.variance
    return {
        "ids": ids,
        "x": _packed(points[:, 0]),
        "y": _packed(points[:, 1]),
        "colors": None if request.color_by is None else _colors(table),
        "sampled": len(ids) < found.rows,
        "matches": found.rows,
        "variance": variance,
    }


def _chosen(found: FoundRecords, chosen: Any, key: str | None) -> pa.Table:
    """The ids and vectors of some rows of a scan, and the values of a key, one column per type."""
    slots = [] if key is None else [slot for slot in found.slots([key]) if slot[1] != "sparse_vector"]
    fields = frozenset({"embeddings", "metadatas"} if slots else {"embeddings"})
    reader = found.read(fields, slots) if slots else found.read(fields)  # type: ignore[arg-type]
    parts, begin = [], 0
    for batch in reader:
        first, last = np.searchsorted(chosen, [begin, begin + batch.num_rows])
        if first < last:
            parts.append(batch.take(pa.array(chosen[first:last] - begin)))
        begin += batch.num_rows
    return pa.Table.from_batches(parts, reader.schema)


def _scaled(table: pa.Table, info: CollectionInfo) -> Floats:
    flat = table.column("embedding").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors = flat.reshape(table.num_rows, -1)
    return maps.unit(vectors) if _space(info) == "cosine" else vectors


def _colors(table: pa.Table) -> list[Any]:
    """The value of each row: of the first type that it has."""
    columns = [table.column(at).to_pylist() for at, name in enumerate(table.schema.names) if ":" in name]
    if not columns:
        return [None] * table.num_rows
    values = [next((value for value in row if value is not None), None) for row in zip(*columns)]
    return integer_texts.as_texts(values)  # type: ignore[no-any-return]


def _packed(values: Any) -> str:
    return b64encode(values.astype("<f4").tobytes()).decode()


def _space(info: CollectionInfo) -> str:
    return str(info.configuration["hnsw"]["space"])


def own_pairs(call: Call) -> JSON:
    """Pairs of matching records that are near each other, the nearest first. Each record is compared with its
    nearest ones, by the index."""
    request = exploration_bodies.pairs_request(call.body)
    info = call.backend.get_collection_by_id(call.collection)
    distance = check_distance(request.max_distance, "max_distance", _space(info))
    query = QueryRequest(vectors=NO_VECTORS, k=_NEAREST, selection=request.selection, max_distance=distance)
    pairs, complete, until = neighbour_tables.Pairs(), True, time.monotonic() + _PAIR_SECONDS
    for ids, vectors in _vectors(call, query):
        found = call.backend.query(info.ref, query._replace(vectors=vectors))
        pairs.begin(ids)
        pairs.add(ids, found)
        complete &= all(len(hits.rows.ids) < _NEAREST for hits in found)
        if time.monotonic() > until:
            complete = False
            break
    table = pairs.finish()
    complete &= table.num_rows <= request.limit
    rows = table.slice(0, request.limit).rename_columns(["a", "b", "distance"]).to_pylist()
    return {"pairs": rows, "complete": complete}


def _vectors(call: Call, query: QueryRequest) -> Iterator[tuple[list[str], Floats]]:
    with translated():
        found = call.backend.scan(call.collection, query.selection, WHOLE)
        for batch in found.read(frozenset({"embeddings"})):
            for start in range(0, batch.num_rows, _STEP):
                yield neighbour_tables.vectors(batch.slice(start, _STEP))


def own_state(call: Call) -> JSON:
    """The state of this process: its calls, its routes with their times, its work in the background."""
    metrics, site = call.backend.metrics(), call.site
    return {
        "version": call.backend.version(),
        "uptime_seconds": site.times.uptime(),
        "running": site.pool.running,
        "waiting": site.pool.queued,
        "routes": site.times.routes(),
        "background": [{"name": "rows without an index", "count": metrics.not_indexed}],
        "bytes": 0 if call.backend.folder is None else _folder_bytes(call.backend.folder),
    }


def _folder_bytes(path: str) -> int:
    """The size of a folder. Files that forks and snapshots share count once."""
    sizes: dict[tuple[int, int], int] = {}
    for file in Path(path).rglob("*"):
        try:
            found = file.stat(follow_symlinks=False)
        except FileNotFoundError:  # a compaction has removed it meanwhile
            continue
        sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())


def _conflict(message: str, **more: Any) -> Ready:
    return Ready(to_json({"error": "ChromaError", "message": message, **more}), _JSON, status=409)
