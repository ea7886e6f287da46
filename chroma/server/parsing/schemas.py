"""JSON Schemas of the routes' request and response bodies, for the OpenAPI document.

The parsers in `json_bodies` are authoritative. Tests feed them values generated from these schemas, and
check the responses of many calls against the schemas. The parsers ignore unknown fields, so the schemas
allow them too.
"""

from __future__ import annotations

from typing import Any

from ...collection.configuration import MUTABLE, RANGES, SPACES
from ...schema.index_configs import SpannIndexConfig
from ...storage.interface import schema as of_collections
from ...validation.read_arguments import LARGEST_EF, MOST_EFS
from ...wire.content_negotiation import MEDIA_TYPE
from . import exploration_bodies

Schema = dict[str, Any]

BACKUP_NAME = "^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _object(required: str = "", **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required.split()
    return schema


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
SMALL_COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
FLAG: Schema = {"type": "boolean"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
FLOAT32: Schema = {"type": "number", "minimum": -3.4028234e38, "maximum": 3.4028234e38}
VECTOR = _list(FLOAT32, minItems=1)
BASE64: Schema = {
    "type": "string",
    "contentEncoding": "base64",
    "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "description": "float32 numbers, little-endian, packed",
}
NAME: Schema = {
    "type": "string", "minLength": 3, "maxLength": 512, "pattern": "^[a-zA-Z0-9][a-zA-Z0-9._-]*[a-zA-Z0-9]$",
    "description": "Without '..', and not an IP address",
}  # fmt: skip
ID: Schema = {"type": "string", "minLength": 1}
INTEGER: Schema = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
GIVEN_ID: Schema = {"anyOf": [ID, INTEGER], "description": "A whole number stands for its digits"}
SCALAR: Schema = {"anyOf": [TEXT, INTEGER, NUMBER, FLAG]}
LISTED: Schema = {"anyOf": [_list(kind, minItems=1) for kind in (TEXT, INTEGER, NUMBER, FLAG)]}
KEYS: Schema = {"pattern": "^[^#$]", "not": {"pattern": "^chroma:"}}
METADATA_KEY: Schema = {"type": "string", "minLength": 1, "pattern": "^[^#]"}
INCLUDE = _list({"enum": ["distances", "documents", "embeddings", "metadatas", "uris"]})
INTEGERS: Schema = {
    "enum": ["text", None],
    "description": "Integers of metadata beyond 2^53 as strings, since JavaScript would round them",
}
ENCODING: Schema = {"enum": ["base64", None], "description": "How embeddings are written in the answer"}
METADATA_FORM: Schema = {
    "enum": ["struct", "json", None],
    "description": "How metadata are written in an Arrow answer",
}

_TUNING: dict[str, Schema] = {
    key: {"type": "number" if key == "resize_factor" else "integer", "minimum": low, "maximum": high}
    for key, (low, high) in RANGES.items()
}


def _hnsw(keys: frozenset[str]) -> Schema:
    known: dict[str, Schema] = {key: _or_null(_TUNING[key]) for key in sorted(keys & _TUNING.keys())}
    if "space" in keys:
        known["space"] = {"enum": [*sorted(SPACES), None]}
    return {"type": "object", "properties": known, "additionalProperties": False}


def _index(config: Schema) -> Schema:
    return _or_null(_object("enabled config", enabled=FLAG, config=config))


def _values() -> Schema:
    """The indexes of one key in a collection's schema."""
    empty: Schema = {"type": "object"}
    spann = {key: _or_null({"type": "integer"}) for key in vars(SpannIndexConfig())}
    vectors = _object(
        space={"enum": [*sorted(SPACES), None]},
        embedding_function=_ref("Function"),
        source_key=_or_null(TEXT),
        hnsw=_or_null(_hnsw(MUTABLE | {"ef_construction"})),
        spann=_or_null({"type": "object", "properties": spann, "additionalProperties": False}),
    )
    sparse = _object(embedding_function=_ref("Function"), source_key=_or_null(TEXT), bm25=_or_null(FLAG))
    configs: dict[str, Schema] = {of_collections.VECTOR: vectors, of_collections.SPARSE: sparse}
    kinds: dict[str, Schema] = {}
    for kind, indexes in of_collections.INDEXES.items():
        found = {index: _index(configs.get(index, empty)) for index in indexes}
        kinds[kind] = _or_null({"type": "object", "properties": found})
    return {"type": "object", "properties": kinds}


COMPONENTS: dict[str, Schema] = {
    "IndexesOfKey": _values(),
    "CollectionSchema": _object(
        "defaults keys",
        defaults=_ref("IndexesOfKey"),
        keys={"type": "object", "additionalProperties": _ref("IndexesOfKey")},
    ),
    "Error": _object("error message", error=TEXT, message=TEXT, kind=TEXT),
    "Metadata": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": KEYS,
        "additionalProperties": {"anyOf": [SCALAR, LISTED, {"type": "null"}]},
        "description": "Numbers are integers of 64 bits or finite floats. null removes a key.",
    },
    "CollectionMetadata": {
        "type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [SCALAR, LISTED]},
    },
    "Function": {
        "description": "Data of the clients; the server never looks into it",
        "anyOf": [
            _object("type name", type={"const": "known"}, name=TEXT, config={}),
            _object("type", type={"enum": ["legacy", "unknown"]}),
            {"type": "null"},
        ],
    },
    "Where": {
        "anyOf": [{"type": "object"}, {"type": "string", "minLength": 1}],
        "description": 'A filter of metadata: {"key": value}, {"key": {"$gt": 1}}, {"$and": [...]}; '
        "$eq $ne $gt $gte $lt $lte $between $in $nin $contains $not_contains $like $ilike $regex $not_regex "
        "$exists $and $or $not. Or an SQL condition: \"key = 'a' and n > 1\"",
    },
    "WhereDocument": {
        "type": "object",
        "description": "A filter of documents: $contains $not_contains $regex $not_regex $like $ilike "
        "$and $or $not",
    },
    "Collection": _object(
        "id name tenant database metadata dimension version log_position configuration_json schema",
        id={"type": "string", "format": "uuid"}, name=TEXT, tenant=TEXT, database=TEXT,
        metadata=_or_null({"type": "object", "additionalProperties": {"anyOf": [SCALAR, LISTED]}}),
        dimension=_or_null({"type": "integer", "minimum": 1}), version=COUNT, log_position=COUNT,
        configuration_json=_object(
            "hnsw spann embedding_function",
            hnsw={"type": "object"}, spann={"type": "null"}, embedding_function=_ref("Function"),
        ),
        schema=_ref("CollectionSchema"),
    ),
    "Rows": _object(
        "ids embeddings documents uris metadatas include",
        ids=_list(ID), embeddings=_or_null(_list({"anyOf": [VECTOR, BASE64]})),
        documents=_or_null(_list(_or_null(TEXT))), uris=_or_null(_list(_or_null(TEXT))),
        metadatas=_or_null(_list(_or_null({"type": "object"}))), include=INCLUDE,
    ),
    "Hits": _object(
        "ids embeddings documents uris metadatas distances include",
        ids=_list(_list(ID)), embeddings=_or_null(_list(_list({"anyOf": [VECTOR, BASE64]}))),
        documents=_or_null(_list(_list(_or_null(TEXT)))), uris=_or_null(_list(_list(_or_null(TEXT)))),
        metadatas=_or_null(_list(_list(_or_null({"type": "object"})))),
        distances=_or_null(_list(_list(_or_null(NUMBER)))), include=INCLUDE, explain=_ref("Explanation"),
        lexical_scores=_list(_list(_or_null(NUMBER))), lexical_ranks=_list(_list(_or_null(COUNT))),
        dense_ranks=_list(_or_null(_list(_or_null(COUNT)))),
    ),
    "Explanation": {
        "description": "Only with explain: true. What ran on each segment and memtable, and times",
    } | _object(
        "parts seconds",
        parts=_list(_object(
            "knn name records matches indexed runs",
            knn=COUNT, name=TEXT, records=COUNT, matches=COUNT, indexed=FLAG,
            runs=_list(_object(
                "plan queries candidates misses",
                plan={"type": "object"}, queries=COUNT, candidates=COUNT, misses=COUNT,
            )),
        )),
        seconds={"type": "object", "additionalProperties": _or_null(NUMBER)},
    ),
    "Search": {
        "type": "object",
        "description": "filter (as where), rank ($knn $val $sum $mul $max $min $sub $div $abs $exp $log), "
        "group_by, limit, select; see docs/search.md",
        "properties": {
            "filter": _or_null(_ref("Where")),
            "rank": _or_null({"type": "object"}),
            "group_by": _or_null({"type": "object"}),
            "limit": _or_null({"type": "object"}),
            "select": _or_null({"type": "object"}),
        },
    },
    "Found": _object(
        "ids documents embeddings metadatas scores select",
        ids=_list(_list(ID)), documents=_list(_or_null(_list(_or_null(TEXT)))),
        embeddings=_list(_or_null(_list(VECTOR))),
        metadatas=_list(_or_null(_list(_or_null({"type": "object"})))),
        scores=_list(_or_null(_list(_or_null(NUMBER)))), select=_list(_list(TEXT)),
        explain=_list(_ref("Explanation")),
    ),
    "Written": _object("added updated skipped", added=COUNT, updated=COUNT, skipped=COUNT),
}  # fmt: skip

_EMPTY: Schema = {"type": "object", "maxProperties": 0}
_DATABASE = _object("id name tenant", id={"type": "string", "format": "uuid"}, name=TEXT, tenant=TEXT)
_HEARTBEAT = {
    "type": "object",
    "properties": {"nanosecond heartbeat": INTEGER},
    "required": ["nanosecond heartbeat"],
}


def _records(required: str, embeddings: Schema, documents: Schema | None = None) -> Schema:
    texts = _or_null(_list(_or_null(TEXT)))
    return _object(
        required,
        ids=_list(GIVEN_ID, uniqueItems=True, description="All columns have one entry per id"),
        embeddings=embeddings,
        metadatas=_or_null(_list({"anyOf": [_ref("Metadata"), {"type": "null"}, _EMPTY]})),
        documents=documents or texts,
        uris=texts,
    )


def _matrix(*, gaps: bool = False, least: int = 0) -> Schema:
    rows: list[Schema] = [VECTOR, BASE64 | {"minLength": 1}]
    return {"anyOf": [_list(_or_null(row) if gaps else row, minItems=least) for row in rows]}


_FILTERS: dict[str, Any] = {
    "where": _or_null(_ref("Where")),
    "where_document": _or_null(_ref("WhereDocument")),
}
_LOOKED_UP = _or_null(_list(GIVEN_ID))

# The request body of each handler whose route has one.
# what a query has in every mode
_QUERY: Schema = {
    "n_results": _or_null(SMALL_COUNT),
    "ids": _LOOKED_UP,
    **_FILTERS,
    "include": INCLUDE,
    "exact": _or_null(FLAG),
    "max_distance": _or_null(NUMBER | {"description": "Records that are farther away are left out"}),
    "diversity": _or_null({"type": "number", "minimum": 0, "maximum": 1}),
    "candidates": _or_null(
        SMALL_COUNT
        | {"description": "Diversity chooses n_results of as many, hybrid queries fuse as many of each list"}
    ),
    "explain": _or_null(FLAG),
    "offset": _or_null(
        SMALL_COUNT | {"description": "How many of the nearest records of each query to skip"}
    ),
    "encoding": ENCODING,
    "metadata": METADATA_FORM,
    "integers": INTEGERS,
}
_TEXTS: Schema = {"anyOf": [TEXT, _list(TEXT, minItems=1)]}
BODIES: dict[str, Schema] = {
    "create_tenant": _object("name", name={"type": "string", "minLength": 3}),
    "update_tenant": _object("resource_name", resource_name=TEXT),
    "create_database": _object("name", name=NAME),
    "create_collection": _object(
        "name",
        name=NAME,
        metadata=_or_null(_ref("CollectionMetadata")),
        configuration=_or_null(
            _object(
                hnsw=_or_null(_hnsw(MUTABLE | {"space", "ef_construction"})),
                spann={
                    "type": ["object", "null"],
                    "description": "Becomes hnsw with its space, ef_construction, ef_search, max_neighbors",
                },
                embedding_function=_ref("Function"),
            )
        ),
        schema=_or_null(_ref("CollectionSchema")),
        get_or_create=_or_null(FLAG),
    ),
    "modify_collection": _object(
        new_name=_or_null(NAME),
        new_metadata=_or_null(
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"anyOf": [SCALAR, LISTED, {"type": "null"}]},
            }
        ),
        new_configuration=_or_null(
            _object(
                hnsw=_or_null(_hnsw(MUTABLE)), spann={"type": "null"}, embedding_function=_ref("Function")
            )
        ),
    ),
    "fork": _object("new_name", new_name=NAME),
    "add": _records("ids embeddings", _matrix()),
    "upsert": {
        "type": "object",
        "anyOf": [
            _records("ids embeddings", _matrix(least=1)),
            # without embeddings, for records that are already stored
            _records("ids", _or_null(_list({}, maxItems=0)), documents=_or_null(_list(TEXT))),
        ],
    },
    "update": _records("ids", _or_null(_matrix(gaps=True))),
    "delete": _object(
        ids=_or_null(_list(GIVEN_ID, minItems=1)),
        where=_or_null(_ref("Where") | {"minProperties": 1}),
        where_document=_or_null(_ref("WhereDocument") | {"minProperties": 1}),
        limit=_or_null(COUNT),
        missing_ok=_or_null(
            FLAG | {"description": "False: a filter with a key or a type that no record has is an error"}
        ),
    ),
    "get": _object(
        ids=_LOOKED_UP,
        **_FILTERS,
        limit=_or_null(COUNT),
        offset=_or_null(COUNT),
        include=INCLUDE,
        order_by=_or_null({"anyOf": [TEXT, _list(TEXT, minItems=1)]}),
        encoding=ENCODING,
        metadata=METADATA_FORM,
        keys=_or_null(_list(TEXT)),
        integers=INTEGERS,
    ),
    "own_export": _object(
        format={"enum": [*exploration_bodies.FORMATS, None]},
        ids=_LOOKED_UP,
        **_FILTERS,
        limit=_or_null(COUNT),
        offset=_or_null(COUNT),
        include=INCLUDE,
        order_by=_or_null({"anyOf": [TEXT, _list(TEXT, minItems=1)]}),
        metadata=METADATA_FORM,
        keys=_or_null(_list(TEXT)),
        integers=INTEGERS,
    ),
    "query": {
        "anyOf": [
            _object(
                "query_embeddings",
                query_embeddings=_matrix(),
                mode={"enum": ["dense", None]},
                query_texts={"description": "Without effect in this mode"},
                query_ids={"type": "null"},
                **_QUERY,
            ),
            _object(
                "query_ids",
                query_ids=_list(GIVEN_ID, minItems=1, maxItems=1000)
                | {"description": "Records near these ones, without themselves"},
                query_embeddings={"type": "null"},
                mode={"enum": ["dense", None]},
                query_texts={"type": "null"},
                **_QUERY,
            ),
            _object(
                "query_embeddings mode query_texts",
                query_embeddings=_matrix(),
                mode={"const": "hybrid"},
                query_texts=_TEXTS,
                query_ids={"type": "null"},
                **_QUERY,
            ),
            _object(
                "mode query_texts",
                query_embeddings={"type": "null"},
                mode={"const": "lexical"},
                query_texts=_TEXTS,
                query_ids={"type": "null"},
                **_QUERY,
            ),
        ]
    },
    "search": _object(
        "searches",
        searches=_list(_ref("Search")),
        read_level=_or_null({"enum": ["index_and_wal", "index_only", "index_and_bounded_wal"]}),
        explain=_or_null(FLAG),
        integers=INTEGERS,
    ),
    "attach_function": {"type": "object"},
    "detach_function": {"type": "object"},
    "own_count": _object(**_FILTERS),
    "own_known_ids": _object("ids", ids=_list(GIVEN_ID)),
    "own_facets": _object(
        keys=_or_null(
            _list({"anyOf": [METADATA_KEY, {"const": exploration_bodies.DOCUMENT}]}, minItems=1)
            | {"description": "null: all, types only. #document: the lengths of documents"}
        ),
        bins=_or_null({"type": "integer", "minimum": 1, "maximum": 1000}),
        integers=INTEGERS,
        ids=_LOOKED_UP,
        **_FILTERS,
        limit=_or_null(COUNT | {"minimum": 1, "description": "Values per key; default 10, null for all"}),
    ),
    "own_embed": _object("texts", texts=_list(TEXT, minItems=1, maxItems=exploration_bodies.MOST_TEXTS)),
    "own_projection": _object(
        **_FILTERS,
        limit=_or_null({"type": "integer", "minimum": 0, "maximum": exploration_bodies.MOST_POINTS}),
        seed=_or_null(SMALL_COUNT),
        method={"enum": [*exploration_bodies.METHODS, None]},
        color_by=_or_null(TEXT),
    ),
    "own_pairs": _object(
        where=_FILTERS["where"],
        max_distance=_or_null(NUMBER),
        limit=_or_null({"type": "integer", "minimum": 0, "maximum": exploration_bodies.MOST_PAIRS}),
    ),
    "own_create_snapshot": _object("name", name=NAME),
    "own_ticket": _object(
        "ticket", ticket=TEXT | {"description": "The ticket in an address of chroma browse"}
    ),
    "own_backup": _object(
        name=_or_null(
            {
                "type": "string",
                "pattern": BACKUP_NAME,
                "description": "Default: the time, which `keep` counts",
            }
        ),
        keep=_or_null(SMALL_COUNT | {"minimum": 1, "description": "Remove all but so many, the newest"}),
        verify=_or_null(FLAG),
    ),
    "own_recall": _object(
        k=_or_null(SMALL_COUNT | {"minimum": 1}),
        sample=_or_null(SMALL_COUNT | {"minimum": 1}),
        ef_search=_or_null(
            _list({"type": "integer", "minimum": 1, "maximum": LARGEST_EF}, minItems=1, maxItems=MOST_EFS)
        ),
    ),
}

_SNAPSHOT = _object(
    "name created records id",
    name=NAME,
    created={"type": "string", "format": "date-time"},
    records=COUNT,
    id={"type": "string", "format": "uuid"},
)
BODIES["own_sql"] = _object(
    "sql",
    sql=TEXT,
    parameters={"anyOf": [_list({}), {"type": "object"}, {"type": "null"}]},
    tables=_or_null({"type": "object", "additionalProperties": TEXT}),
    collection=_or_null(TEXT),
    max_rows=_or_null(
        {
            "type": "integer",
            "minimum": 0,
            "maximum": exploration_bodies.MOST_ROWS,
            "description": "Of an answer in JSON",
        }
    ),
    integers=INTEGERS,
)

_MANY = "null where it would take too long: some of more than 200 collections. GET …/stats has it"
_UNUSED: Schema = {"description": "Never answered here"}

# The body of each handler's successful response.
ANSWERS: dict[str, Schema] = {
    "root": _HEARTBEAT,
    "heartbeat": _HEARTBEAT,
    "healthcheck": _object(
        "is_executor_ready is_log_client_ready",
        is_executor_ready=FLAG,
        is_log_client_ready=FLAG,
        read_only={"const": True},
        state={"enum": ["ok", "read-only"]},
    ),
    "version": TEXT,
    "pre_flight_checks": _object(
        "max_batch_size supports_base64_encoding chroma_arrow",
        max_batch_size=COUNT,
        supports_base64_encoding=FLAG,
        chroma_arrow=_object(
            "version max_body_bytes arrow console",
            version=TEXT,
            max_body_bytes=COUNT,
            arrow={"const": MEDIA_TYPE},
            console=FLAG,
        ),
    ),
    "identity": _object(
        "user_id tenant databases",
        user_id=_or_null(TEXT),
        tenant=_or_null(TEXT),
        databases=_or_null(_list(TEXT)),
        attributes=_or_null({"type": "object"}),
        role={"type": "string", "description": "Only for requests of the console"},
    ),
    "reset": FLAG,
    "create_tenant": _EMPTY,
    "get_tenant": _object("name resource_name", name=TEXT, resource_name=_or_null(TEXT)),
    "update_tenant": _EMPTY,
    "list_databases": _list(_DATABASE),
    "create_database": _EMPTY,
    "get_database": _DATABASE,
    "delete_database": _EMPTY,
    "list_collections": _list(_ref("Collection")),
    "create_collection": _ref("Collection"),
    "count_collections": COUNT,
    "get_collection": _ref("Collection"),
    "get_collection_by_id": _ref("Collection"),
    "get_collection_by_crn": _UNUSED,
    "modify_collection": _ref("Collection"),
    "delete_collection": _EMPTY,
    "fork": _ref("Collection"),
    "fork_count": _UNUSED,
    "indexing_status": _object(
        "num_indexed_ops num_unindexed_ops total_ops op_indexing_progress",
        num_indexed_ops=COUNT,
        num_unindexed_ops=COUNT,
        total_ops=COUNT,
        op_indexing_progress={"type": "number", "minimum": 0, "maximum": 1},
    ),
    "add": _ref("Written"),
    "upsert": _ref("Written"),
    "update": _ref("Written"),
    "delete": _object("deleted", deleted=COUNT),
    "get": _ref("Rows"),
    "query": _ref("Hits"),
    "count": COUNT,
    "search": _ref("Found"),
    "attach_function": _UNUSED,
    "get_attached_function": _UNUSED,
    "detach_function": _UNUSED,
    "own_count": COUNT,
    "own_known_ids": _list(ID),
    "own_facets": {
        "type": "object",
        "properties": {
            exploration_bodies.DOCUMENT: _object(
                "filled lengths minimum maximum cut",
                filled=COUNT,
                lengths=_object("edges counts", edges=_list(NUMBER), counts=_list(COUNT)),
                minimum=_or_null(COUNT),
                maximum=_or_null(COUNT),
                cut=_or_null(
                    {"description": "The share of documents that the built-in model does not read whole"}
                    | _object("share limit sampled", share=_SHARE, limit=COUNT, sampled=COUNT)
                ),
            )
        },
        "additionalProperties": _object(
            values=_list(_object("value count", value=SCALAR, count=COUNT)),
            distinct=COUNT,
            records=COUNT,
            filled=COUNT,
            types=_list(TEXT),
            minimum=_or_null(SCALAR),
            maximum=_or_null(SCALAR),
            bins=_object("edges counts", edges=_list(NUMBER), counts=_list(COUNT)),
        ),
    },
    "own_embed": _object("embeddings", embeddings=_list(VECTOR)),
    "own_projection": _object(
        "ids x y colors sampled matches variance",
        ids=_list(ID),
        x=BASE64,
        y=BASE64,
        colors=_or_null(_list({})),
        sampled=FLAG,
        matches=COUNT,
        variance=_or_null(_list(NUMBER)),
    ),
    "own_pairs": _object(
        "pairs complete",
        pairs=_list(_object("a b distance", a=ID, b=ID, distance=NUMBER)),
        complete=FLAG,
    ),
    "own_tree": _object(
        "tenants",
        tenants=_list(
            _object(
                "name databases",
                name=TEXT,
                databases=_list(
                    _object(
                        "name id collections",
                        name=TEXT,
                        id=TEXT,
                        collections=_list(
                            _object(
                                "id name rows dimension space function indexed bytes metadata",
                                id=TEXT,
                                name=TEXT,
                                rows=_or_null(COUNT | {"description": _MANY}),
                                dimension=_or_null(COUNT),
                                space=TEXT,
                                function=_or_null(TEXT),
                                indexed=_or_null(COUNT | {"description": _MANY}),
                                bytes=_or_null(COUNT | {"description": _MANY}),
                                metadata=_or_null({"type": "object"}),
                            )
                        ),
                    )
                ),
            )
        ),
    ),
    "own_state": _object(
        "version uptime_seconds running waiting routes background bytes",
        version=TEXT,
        uptime_seconds=NUMBER,
        running=COUNT,
        waiting=COUNT,
        routes=_list(
            _object("route calls mean_ms max_ms", route=TEXT, calls=COUNT, mean_ms=NUMBER, max_ms=NUMBER)
        ),
        background=_list({"type": "object"}),
        bytes=COUNT,
    ),
    "own_recall": {
        "anyOf": [
            _SHARE,
            {"description": "With ef_search: medians of one search in milliseconds"}
            | _object(
                "recalls",
                recalls=_list(
                    _object(
                        "ef_search recall ms exact_ms",
                        ef_search=COUNT,
                        recall=_SHARE,
                        ms=NUMBER,
                        exact_ms=NUMBER,
                    )
                ),
            ),
        ]
    },
    "own_ticket": _object("token", token=TEXT),
    "own_backup": _object(
        "name files copied reused pruned seconds",
        name=TEXT,
        files=COUNT,
        copied=COUNT,
        reused=COUNT,
        pruned=_list(TEXT),
        seconds=NUMBER,
    ),
    "own_create_snapshot": _SNAPSHOT,
    "own_list_snapshots": _list(_SNAPSHOT),
    "own_restore_snapshot": _EMPTY,
    "own_delete_snapshot": _EMPTY,
    "own_compact": _EMPTY,
    "own_compact_all": _EMPTY,
    "own_stats": _object(
        "live deleted unsealed segments indexed bytes log_bytes files",
        live=COUNT,
        deleted=COUNT,
        unsealed=COUNT,
        segments=COUNT,
        indexed=COUNT,
        bytes=COUNT,
        log_bytes=COUNT,
        files={"type": "object", "additionalProperties": COUNT},
    ),
    "openapi": {"type": "object"},
}

# The parameters that the query string of a handler's route may have.
_ATOMIC: Schema = {
    "enum": ["true", "false"],
    "description": "Whether an Arrow stream is one write, all of it or nothing",
}
OPTIONS: dict[str, dict[str, Schema]] = {
    "add": {"atomic": _ATOMIC},
    "upsert": {"atomic": _ATOMIC},
    "update": {"atomic": _ATOMIC},
    "list_databases": {"limit": COUNT | {"maximum": 10**18 - 1}, "offset": COUNT | {"maximum": 10**18 - 1}},
    "list_collections": {"limit": COUNT | {"maximum": 10**18 - 1}, "offset": COUNT | {"maximum": 10**18 - 1}},
    "count": {"read_level": {"enum": ["index_and_wal", "index_only", "index_and_bounded_wal"]}},
}
