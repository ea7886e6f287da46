"""Converts between the JSON of the HTTP API and a backend's plain values. No I/O.

A server and a client share this module. Bodies are plain dictionaries.
Columns of numbers in responses may be numpy arrays, which the server's JSON writer accepts. Fields that
another server leaves out get defaults when read. Keys specific to this package are additional, so other
clients ignore them. `request_codec` has the requests on records.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .. import errors
from ..collection.configuration import HNSW_DEFAULTS, MUTABLE, as_json
from ..collection.schemas import complete, requested
from ..errors import ChromaError
from ..requests.scope import Identity
from ..storage.interface import sparse_vector
from ..storage.interface.explanation import Explanation, PartExplanation, PlanRun
from ..storage.interface.requests import CollectionChanges, NewCollection
from ..storage.interface.schema import ValueType, misfit
from ..storage.interface.values import (
    CollectionInfo,
    CollectionSnapshot,
    CollectionStats,
    EfRecall,
    Facet,
    Floats,
    Hits,
    IndexStatus,
    Mode,
    Records,
    Rows,
    WordMatches,
    Written,
)

NO_DISTANCES = np.empty(0, dtype=np.float32)

# The path segment of this package's own routes, such as [collection]/chroma-arrow/count; see docs/http.md.
OWN_PREFIX = "chroma-arrow"

# The key in the pre-flight response that shows that a server has these routes and fields.
OWN_KEY = "chroma_arrow"

JSON = dict[str, Any]

# ---------------------------------------------------------------------------- errors

_CLASSES: dict[str, type[ChromaError]] = {
    name: found
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, ChromaError)
}

# The names of errors that existing clients know. They turn any other name into a bare Exception, so other
# errors are sent under the nearest of these names, with their class in "kind".
_SPOKEN: dict[str, type[ChromaError]] = {
    found.wire_name: found
    for found in (
        errors.ChromaError,
        errors.InvalidArgumentError,
        errors.DuplicateIDError,
        errors.NotFoundError,
        errors.InternalError,
        errors.UniqueConstraintError,
        errors.IDAlreadyExistsError,
        errors.AuthorizationError,
        errors.ChromaAuthError,
        errors.BatchSizeExceededError,
        errors.RateLimitError,
        errors.QuotaError,
        errors.VersionMismatchError,
    )
}

_ALL_NAMES = {found.wire_name: found for found in reversed(_CLASSES.values())} | _SPOKEN

# The meaning of an unspecific "ChromaError" from another server, by its status.
_BY_STATUS: dict[int, type[ChromaError]] = {
    400: errors.InvalidArgumentError,
    401: errors.ChromaAuthError,
    403: errors.AuthorizationError,
    404: errors.NotFoundError,
    409: errors.UniqueConstraintError,
    413: errors.BatchSizeExceededError,
    422: errors.InvalidArgumentError,
    429: errors.RateLimitError,
    501: errors.UnsupportedError,
}


class ShapeError(errors.InvalidTypeError):
    """The body is JSON, but does not have the structure that the route expects."""

    wire_name = "ChromaError"
    status = 422


def error_to_json(error: ChromaError) -> JSON:
    """The JSON of an error.

    error         a name that every client knows
    message       the text
    kind          this package's class, if it is more specific than `error`
    durable_rows  for a stream that failed midway, the number of rows that were written
    """
    kinds = [found for found in type(error).__mro__ if issubclass(found, ChromaError)]
    spoken = next(found for found in kinds if found.wire_name in _SPOKEN)
    body: JSON = {"error": spoken.wire_name, "message": error.message()}
    kind = next(found for found in kinds if _CLASSES.get(found.__name__) is found)
    if kind is not _SPOKEN[spoken.wire_name]:
        body["kind"] = kind.__name__
    if error.durable_rows is not None:
        body["durable_rows"] = error.durable_rows
    return body


def is_known_error(body: Any) -> bool:
    """Whether a body names an error for which this package has a class."""
    return isinstance(body, Mapping) and (body.get("error") in _ALL_NAMES or body.get("kind") in _CLASSES)


def error_from_json(status: int, body: Any, trace_id: str | None = None) -> ChromaError:
    """The exception for a response with `status` 400 or more. `body` is the parsed JSON, the text if the
    response is not JSON, or None."""
    name, message, kind = None, body, None
    if isinstance(body, Mapping):
        name, kind = body.get("error"), body.get("kind")
        message = body.get("message", name)
    found = _CLASSES.get(kind) if isinstance(kind, str) else None
    if found is None and isinstance(name, str) and name != ChromaError.wire_name:
        found = _ALL_NAMES.get(name)
    if found is None:
        found = _BY_STATUS.get(status, errors.InternalError if status >= 500 else ChromaError)
    error = found(str(message) if message else f"the server answered with status {status}")
    error.trace_id = trace_id
    if isinstance(body, Mapping) and type(body.get("durable_rows")) is int:
        error.durable_rows = body["durable_rows"]
    return error


# ---------------------------------------------------------------------------- system


def identity_to_json(identity: Identity) -> JSON:
    """The response of `auth/identity`."""
    return asdict(identity)


def identity_from_json(body: Mapping[str, Any]) -> Identity:
    """The identity in the response of `auth/identity`. A server with authentication may omit the tenant and
    the databases, which are then "*"."""
    return Identity(
        body.get("user_id") or "",
        body.get("tenant") or "*",
        list(body.get("databases") or ["*"]),
        body.get("attributes"),
    )


# ---------------------------------------------------------------------------- collections


def info_to_json(info: CollectionInfo, found: Sequence[tuple[str, ValueType]] = ()) -> JSON:
    """The JSON object of a collection. `found` are metadata keys of its records, with their types."""
    return {
        "id": info.id,
        "name": info.name,
        "tenant": info.tenant,
        "database": info.database,
        "metadata": info.metadata,
        "dimension": info.dimension,
        "version": 0,
        "log_position": 0,
        "configuration_json": as_json(info.configuration),
        "schema": complete(info.schema, info.configuration, found),
    }


def info_from_json(body: Mapping[str, Any]) -> CollectionInfo:
    """Read the collection object of any server. If it has an index of hosted servers, only the space is
    kept."""
    configuration = body.get("configuration_json") or {}
    hnsw = configuration.get("hnsw")
    if hnsw is None:
        spann = configuration.get("spann") or {}
        hnsw = {key: spann[key] for key in HNSW_DEFAULTS if spann.get(key) is not None}
    given = {key: value for key, value in hnsw.items() if value is not None}
    return CollectionInfo(
        id=str(body["id"]),
        name=body["name"],
        tenant=body["tenant"],
        database=body["database"],
        metadata=body.get("metadata") or None,
        configuration={
            "hnsw": HNSW_DEFAULTS | given,
            "embedding_function": configuration.get("embedding_function"),
        },
        dimension=body.get("dimension"),
        schema=_schema_from_json(body.get("schema")),
    )


def _schema_from_json(schema: Any) -> JSON | None:
    if schema is None:
        return None  # servers of releases before schemas
    why = misfit(schema)
    if why is not None:
        raise ShapeError(f"the collection's {why}")
    return dict(schema)


def create_to_json(new: NewCollection) -> JSON:
    """The body of a request that creates a collection, with a complete configuration."""
    return {
        "name": new.name,
        "metadata": None if new.metadata is None else dict(new.metadata),
        "configuration": as_json(new.configuration) if new.schema is None else None,
        "schema": None if new.schema is None else requested(new.schema, new.configuration),
        "get_or_create": new.get_or_create,
    }


def modify_to_json(changes: CollectionChanges) -> JSON:
    """The body of a request that changes a collection. Metadata {} removes all metadata."""
    body: JSON = {}
    if changes.name is not None:
        body["new_name"] = changes.name
    if changes.metadata is not None:
        body["new_metadata"] = dict(changes.metadata) or {"none": None}  # servers reject an empty {}
    if changes.configuration is not None:
        hnsw = {key: value for key, value in changes.configuration["hnsw"].items() if key in MUTABLE}
        body["new_configuration"] = {
            "hnsw": hnsw,
            "spann": None,
            "embedding_function": changes.configuration.get("embedding_function"),
        }
    return body


# ---------------------------------------------------------------------------- writing


def records_to_json(mode: Mode, records: Records, *, base64: bool = True) -> JSON:
    """The body of add, upsert or update, with all five columns present.

    Embeddings are base64 texts of little-endian float32, or lists of numbers if the server does not accept
    base64. An embedding is null if an update keeps the record's vector.
    """
    return {
        "ids": list(records.ids),
        "embeddings": _vectors_to_json(records, base64),
        "metadatas": _metadatas_to_json(mode, records.metadatas),
        "documents": _listed(records.documents),
        "uris": _listed(records.uris),
    }


def _vectors_to_json(records: Records, base64: bool) -> list[Any] | None:
    if records.embeddings is None:
        return None
    rows: list[Any] = encoded(records.embeddings) if base64 else records.embeddings.tolist()
    if records.has_embedding is not None:
        given = records.has_embedding.tolist()
        rows = [row if has else None for row, has in zip(rows, given, strict=True)]
    return rows


def _metadatas_to_json(mode: Mode, entries: Sequence[Mapping[str, Any] | None] | None) -> list[Any] | None:
    if entries is None:
        return None
    if mode == "add":  # an add gives nulls no meaning, and some servers reject them
        entries = [
            None if entry is None else {key: value for key, value in entry.items() if value is not None}
            for entry in entries
        ]
    return [None if entry is None else dict(sparse_vector.as_json(entry)) for entry in entries]


def _listed(column: Sequence[Any] | None) -> list[Any] | None:
    return None if column is None else list(column)


def encoded(vectors: Floats) -> list[str]:
    """A float32 matrix (n, dim) as one base64 text per row."""
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    return [binascii.b2a_base64(row, newline=False).decode("ascii") for row in rows]


def decoded(rows: Sequence[Any]) -> Floats:
    """A float32 matrix (n, dim) from rows of base64 texts or of numbers. Equal lengths are not checked."""
    if not len(rows):
        return np.empty((0, 0), dtype=np.float32)
    if isinstance(rows[0], str):
        flat = np.frombuffer(b"".join(map(binascii.a2b_base64, rows)), dtype="<f4")
        return flat.astype(np.float32).reshape(len(rows), -1)
    return np.asarray(rows, dtype=np.float32)


def written_to_json(written: Written) -> JSON:
    """The response of a write. The API requires `{}`; the counts are an addition of this package."""
    return asdict(written)


def written_from_json(body: Any) -> Written:
    """The counts in the response of a write; zeros if the server does not report them."""
    if not isinstance(body, Mapping):
        return Written()
    return Written(body.get("added", 0), body.get("updated", 0), body.get("skipped", 0))


# ---------------------------------------------------------------------------- reading


def rows_to_json(rows: Rows, include: Sequence[str], *, base64: bool = False) -> JSON:
    """The response of get. Columns that are not in `include` are null."""
    return {
        "ids": rows.ids,
        "embeddings": _embeddings(rows, base64) if "embeddings" in include else None,
        "documents": rows.documents if "documents" in include else None,
        "uris": rows.uris if "uris" in include else None,
        "metadatas": rows.metadatas if "metadatas" in include else None,
        "include": list(include),
    }


def hits_to_json(hits: Sequence[Hits], include: Sequence[str], *, base64: bool = False) -> JSON:
    """The response of query, in which every column has one list per query."""

    def column(field: str) -> list[Any] | None:
        return [getattr(hit.rows, field) for hit in hits] if field in include else None

    return {
        "ids": [hit.rows.ids for hit in hits],
        "embeddings": [_embeddings(hit.rows, base64) for hit in hits] if "embeddings" in include else None,
        "documents": column("documents"),
        "uris": column("uris"),
        "metadatas": column("metadatas"),
        "distances": (
            [np.ascontiguousarray(hit.distances) for hit in hits] if "distances" in include else None
        ),
        "include": list(include),
        **explained(hits[0].explanation if hits else None),
        **words_to_json([hit.words for hit in hits if hit.words is not None]),
    }


def explained(explanation: Explanation | None) -> JSON:
    """The field "explain" of a response, which is there only if the request asks for it."""
    return {} if explanation is None else {"explain": explanation_to_json(explanation)}


def explanation_to_json(explanation: Explanation) -> JSON:
    """Encode the explanation of a query or of one search."""
    parts = [part._asdict() | {"runs": [run._asdict() for run in part.runs]} for part in explanation.parts]
    return {"parts": parts, "seconds": dict(explanation.seconds)}


def explanation_from_json(body: Any) -> Explanation | None:
    """Read the JSON of `explanation_to_json`. Fields added by later versions are ignored."""
    if body is None:
        return None

    def known(kind: Any, entry: Mapping[str, Any]) -> Any:
        return kind(**{name: entry[name] for name in kind._fields})

    parts = [part | {"runs": tuple(known(PlanRun, run) for run in part["runs"])} for part in body["parts"]]
    return Explanation(tuple(known(PartExplanation, part) for part in parts), body["seconds"])


def _embeddings(rows: Rows, base64: bool) -> Any:
    if not rows.ids or rows.embeddings is None:
        return []
    return encoded(rows.embeddings) if base64 else np.ascontiguousarray(rows.embeddings)


def rows_from_json(body: Mapping[str, Any]) -> Rows:
    """Read the response of get from any server."""
    return rows_of(
        body["ids"],
        *(body.get(field) for field in ("documents", "metadatas", "uris", "embeddings")),
    )


def hits_from_json(body: Mapping[str, Any]) -> list[Hits]:
    """Read the response of query from any server."""

    def part(field: str, query: int) -> Any:
        column = body.get(field)
        return None if column is None else column[query]

    explanation = explanation_from_json(body.get("explain"))
    return [
        Hits(
            rows_of(ids, *(part(field, query) for field in ("documents", "metadatas", "uris", "embeddings"))),
            np.asarray(part("distances", query) or [], dtype=np.float32),
            explanation,
            _words_from_json(body, query),
        )
        for query, ids in enumerate(body["ids"])
    ]


def words_to_json(words: Sequence[WordMatches]) -> JSON:
    """The columns of an answer that say how well words match, one list per query. None without words."""
    if not words:
        return {}

    def numbers(ranks: Any) -> list[int | None] | None:
        return None if ranks is None else [rank if rank >= 0 else None for rank in ranks.tolist()]

    return {
        "lexical_scores": [
            [None if math.isnan(score) else score for score in each.scores.tolist()] for each in words
        ],
        "lexical_ranks": [numbers(each.word_ranks) for each in words],
        "dense_ranks": [numbers(each.vector_ranks) for each in words],
    }


def _words_from_json(body: Mapping[str, Any], query: int) -> WordMatches | None:
    if body.get("lexical_scores") is None:
        return None

    def numbers(column: str) -> Any:
        ranks = body[column][query]
        return None if ranks is None else np.array([-1 if rank is None else rank for rank in ranks], np.int64)

    scores = [np.nan if score is None else score for score in body["lexical_scores"][query]]
    return WordMatches(np.array(scores, np.float64), numbers("lexical_ranks"), numbers("dense_ranks"))


def rows_of(
    ids: list[str], documents: Any, metadatas: Any, uris: Any, embeddings: Sequence[Any] | None
) -> Rows:
    """Make records of the columns of a response."""
    if metadatas is not None:
        metadatas = sparse_vectors_of([entry or None for entry in metadatas])  # some servers write {}
    return Rows(ids, documents, metadatas, uris, None if embeddings is None else decoded(embeddings))


def sparse_vectors_of(entries: list[Any]) -> list[Any]:
    """The metadata in a response, in which the JSON of sparse vectors is replaced by instances."""
    if sparse_vector.has_objects(entries):
        try:
            sparse_vector.restore(entries)
        except ValueError as error:
            raise errors.InternalError(f"the server's answer has a bad sparse vector: {error}") from None
    return entries


def facets_to_json(keys: Sequence[str], facets: Sequence[Facet]) -> JSON:
    """The response of this package's route facets, which is also the result of `facets`."""
    return {
        key: {
            "values": [{"value": value, "count": count} for value, count in facet.values],
            "distinct": facet.distinct,
            "records": facet.records,
            **_range_to_json(facet),
        }
        for key, facet in zip(keys, facets)
    }


def _range_to_json(facet: Facet) -> JSON:
    found = facet.range
    if found is None:
        return {}
    return {
        "filled": facet.records,
        "types": found.types,
        "minimum": found.minimum,
        "maximum": found.maximum,
        "bins": {"edges": found.edges, "counts": found.counts},
    }


def facets_from_json(body: Mapping[str, Any]) -> list[Facet]:
    """Read the response of this package's route facets."""
    found = []
    for facet in body.values():
        values = [(each["value"], each["count"]) for each in facet["values"]]
        found.append(Facet(values, facet["distinct"], facet["records"]))
    return found


def status_to_json(status: IndexStatus) -> JSON:
    """The response of `indexing_status`. Each record is reported as one operation."""
    progress = 1.0 if not status.total else status.indexed / status.total
    return {
        "num_indexed_ops": status.indexed,
        "num_unindexed_ops": status.total - status.indexed,
        "total_ops": status.total,
        "op_indexing_progress": progress,
    }


def status_from_json(body: Mapping[str, Any]) -> IndexStatus:
    """Read the response of `indexing_status`."""
    return IndexStatus(body["num_indexed_ops"], body["total_ops"])


def snapshot_to_json(info: CollectionSnapshot) -> JSON:
    """A snapshot in the responses of this package's routes."""
    return asdict(info)


def snapshot_from_json(body: Mapping[str, Any]) -> CollectionSnapshot:
    """Read a snapshot of a response."""
    return CollectionSnapshot(**{key: body[key] for key in CollectionSnapshot.__dataclass_fields__})


def recalls_to_json(found: Sequence[EfRecall]) -> JSON:
    """The response of this package's route recall, if it compares several `ef_search`."""
    return {"recalls": [asdict(each) for each in found]}


def recalls_from_json(answer: Any) -> list[EfRecall]:
    """Read the same."""
    return [EfRecall(**each) for each in answer["recalls"]]


def stats_to_json(stats: CollectionStats) -> JSON:
    """The response of this package's route `stats`."""
    return asdict(stats)


def stats_from_json(body: Mapping[str, Any]) -> CollectionStats:
    """Read the response of this package's route `stats`. Fields added by later versions are ignored."""
    known = CollectionStats.__dataclass_fields__
    return CollectionStats(**{key: value for key, value in body.items() if key in known})
