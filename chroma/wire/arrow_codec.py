"""Converts records, rows and hits between a backend's plain values and Arrow record batches. No I/O.

A server and a client share this module. The columns of a stream, in any order:

    id         string
    document   string; null: none
    uri        string; null: none
    metadata   string that holds one JSON object, or a struct with a field per key, where null means that
               the record does not have the key; null: none
    embedding  fixed-size list of float32; null in an update: keep the stored embedding

The result of a query has two more columns: `query`, int32, the number of the query vector, and `distance`,
float32. The result of searches has the column `search`, int32, the number of the search. If a search selects
scores, it also has `score`, float64; null is a score that is not finite. It has each column that one of the
searches selects. In the rows of the other searches, the values of such a column have no meaning.

Metadata as JSON text is exact and cheap; a struct is convenient in dataframes. A key that has values of
several types becomes one field per type, named "key (type)". The Arrow metadata of such a field holds the key
(KEY_MARK).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from ..storage.interface import metadata_json, sparse_vector_arrow
from ..storage.interface.ranking import SearchRequest
from ..storage.interface.sparse_vector import SparseVector
from ..storage.interface.values import (
    EncodedMetadata,
    Field,
    Floats,
    Hits,
    Mode,
    Records,
    Rows,
    SearchAnswer,
)
from .arrow_stream_decoder import BrokenStream, read_whole
from .json_codec import sparse_vectors_of
from .search_codec import scores_of

# The name of each column, and the field that requests it. `id` is always present.
FIELD_OF: dict[str, Field] = {
    "document": "documents",
    "uri": "uris",
    "metadata": "metadatas",
    "embedding": "embeddings",
}
KEY_MARK = b"chroma:key"
END = b"\xff\xff\xff\xff\0\0\0\0"


class TypedKey(NamedTuple):
    """A metadata key and the type of its values, one of TYPES.

    If a key has values of several types, its columns are named "key (type)" in a struct, and
    "metadata[type].key" in a table. The engine uses pairs of a key and "str", "str[]" and so on.
    """

    key: str
    kind: str


TYPES: dict[str, pa.DataType] = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
}
TYPES |= {f"list of {kind}": pa.list_(type) for kind, type in [*TYPES.items()]}
TYPES["sparse_vector"] = sparse_vector_arrow.TYPE
_KIND_OF: dict[type, str] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    SparseVector: "sparse_vector",
}


# ---------------------------------------------------------------------------- writing


def records_to_batch(mode: Mode, records: Records) -> pa.RecordBatch:
    """The records as one record batch, with metadata as JSON text. Columns that are not given are left out.

    Raises pyarrow.ArrowInvalid if a column exceeds 2 GiB.
    """
    columns: dict[str, pa.Array] = {"id": pa.array(records.ids, pa.string())}
    if records.documents is not None:
        columns["document"] = pa.array(records.documents, pa.string())
    if records.uris is not None:
        columns["uri"] = pa.array(records.uris, pa.string())
    if records.metadatas is not None:
        if isinstance(records.metadatas, EncodedMetadata):
            columns["metadata"] = pa.array(records.metadatas.texts, pa.string())
        else:
            texts = [None if entry is None else metadata_json.dumps(entry) for entry in records.metadatas]
            columns["metadata"] = pa.array(texts, pa.binary()).cast(pa.string())
    if records.embeddings is not None:
        columns["embedding"] = vectors(records.embeddings, records.has_embedding)
    return pa.RecordBatch.from_pydict(columns)


def vectors(matrix: Floats, given: Any = None) -> pa.Array:
    """A float32 matrix (n, dim) as a fixed-size list array, not copied; null where `given` is False."""
    flat = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1))
    mask = None if given is None else pa.array(~given)
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1], mask=mask)


def messages(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Buffer]:
    """Yields the parts of a stream in order: the schema, each batch, the end mark."""
    yield schema.serialize()
    yield from map(pa.RecordBatch.serialize, batches)  # a loop would keep each batch as well as its bytes
    yield pa.py_buffer(END)


# ---------------------------------------------------------------------------- reading


def read(content: bytes) -> pa.Table:
    """The table in a whole stream. Raises BrokenStream if the stream is invalid."""
    schema, batches = read_whole(content)
    return pa.Table.from_batches(batches, schema)


def check_answer(
    schema: pa.Schema, fields: Collection[Field], others: dict[str, pa.DataType] | None = None
) -> None:
    """Raises BrokenStream if a response lacks a requested column, has it twice, or has it with another type.
    `others` are columns in addition to those of records."""
    expected = {name: type for name, type in _ANSWER.items() if FIELD_OF.get(name, "ids") in ("ids", *fields)}
    for name, type in (expected | (others or {})).items():
        indices = schema.get_all_field_indices(name)
        if len(indices) != 1:
            raise BrokenStream(f"the answer has the column {name!r} {len(indices)} times")
        found = schema.field(indices[0]).type
        if not (_is_vector(found) if name == "embedding" else found == type):
            raise BrokenStream(f"the answer has the column {name!r} as {found!s:.100}, not as {type}")


_ANSWER = {
    "id": pa.string(),
    "document": pa.string(),
    "uri": pa.string(),
    "metadata": pa.string(),
    "embedding": pa.list_(pa.float32()),
}


def _is_vector(type: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(type)) and type.value_type == pa.float32()


def check_stream(schema: pa.Schema, fields: Collection[Field]) -> None:
    """Like `check_answer`, but the metadata may also be a struct, whose keys must be valid UTF-8."""
    index = schema.get_field_index("metadata")
    if "metadatas" in fields and index >= 0 and pa.types.is_struct(schema.field(index).type):
        check_answer(schema, [field for field in fields if field != "metadatas"])
        for field in schema.field(index).type:
            try:
                (field.metadata or {}).get(KEY_MARK, b"").decode()
            except UnicodeDecodeError:
                raise BrokenStream(f"the metadata key of {field.name!r} is not valid UTF-8") from None
    else:
        check_answer(schema, fields)


def rows_from_table(
    table: pa.Table, fields: Collection[Field] | None = None, most: int | None = None
) -> Rows:
    """The rows in a response whose metadata is JSON text.

    fields  the columns that were requested; None: those that the response has
    most    the largest number of rows allowed
    Raises BrokenStream if the response does not match.
    """
    if fields is None:
        fields = [FIELD_OF[name] for name in table.column_names if name in FIELD_OF]
    check_answer(table.schema, fields)
    if most is not None and table.num_rows > most:
        raise BrokenStream(f"the answer has {table.num_rows} rows, and at most {most} were asked for")
    _check_full(table, "id")

    def column(name: str) -> Any:
        return _listed(table[name]) if FIELD_OF[name] in fields else None

    return Rows(
        _listed(table["id"]),
        column("document"),
        _parsed(column("metadata")),
        column("uri"),
        matrix(table["embedding"]) if "embeddings" in fields else None,
    )


def _parsed(texts: list[str | None] | None) -> list[Any] | None:
    """The values of JSON texts, which are objects or None."""
    if texts is None:
        return None
    try:
        entries: list[Any] = orjson.loads(f"[{','.join([text or 'null' for text in texts])}]")
    except orjson.JSONDecodeError as error:
        raise BrokenStream(f"the answer has metadata that are not valid JSON: {error}") from None
    if len(entries) != len(texts) or not set(map(type, entries)) <= {dict, type(None)}:
        raise BrokenStream("the answer has metadata that are no JSON objects")
    return sparse_vectors_of(entries)


def _check_full(table: pa.Table, *names: str) -> None:
    for name in names:
        if table[name].null_count:
            raise BrokenStream(f"the answer has nulls in the column {name!r}")


def hits_from_table(table: pa.Table, queries: int, k: int, fields: Collection[Field]) -> list[Hits]:
    """One Hits per query vector, each with at most k rows. The rows of the response must be in the order of
    the queries. Raises BrokenStream if the response does not match."""
    check_answer(table.schema, fields, _RANKED)
    _check_full(table, *_RANKED)
    rows = rows_from_table(table, fields)
    distances = table["distance"].to_numpy()
    return [Hits(_part(rows, each), distances[each]) for each in _parts(table["query"], [k] * queries)]


def _parts(numbers: pa.ChunkedArray, most: Sequence[int | None]) -> list[slice]:
    """The rows of each query or search, from the column with their numbers. `most` has the largest number of
    rows of each. Raises BrokenStream if the numbers do not match."""
    found = numbers.to_numpy()
    bounds = np.searchsorted(found, np.arange(len(most) + 1)).tolist()
    parts = list(itertools.starmap(slice, itertools.pairwise(bounds)))
    more = any(limit is not None and part.stop - part.start > limit for part, limit in zip(parts, most))
    if bounds[0] or bounds[-1] != len(found) or (np.diff(found) < 0).any() or more:
        raise BrokenStream(f"the answer is none to {len(most)} queries, or has more records than asked for")
    return parts


def _part(rows: Rows, part: slice) -> Rows:
    return Rows(*(None if column is None else column[part] for column in rows))  # type: ignore[arg-type]


def answers_from_table(table: pa.Table, requests: Sequence[SearchRequest]) -> list[SearchAnswer]:
    """One answer per search. Raises BrokenStream if the response does not match."""
    fields: set[Field] = set().union(*(request.fields for request in requests))
    scored = any(request.score for request in requests)
    check_answer(table.schema, fields, _SEARCHED | (_SCORED if scored else {}))
    _check_full(table, *_SEARCHED)
    rows = rows_from_table(table, fields)
    scores = table["score"].to_numpy() if scored else None  # null is NaN
    out = []
    for request, part in zip(requests, _parts(table["search"], [request.limit for request in requests])):
        mine = _part(rows, part)
        given = mine._replace(**dict.fromkeys(fields - request.fields))  # type: ignore[arg-type]
        out.append(SearchAnswer(given, None if scores is None or not request.score else scores[part]))
    return out


_SEARCHED = {"search": pa.int32()}
_SCORED = {"score": pa.float64()}
_RANKED = {"query": pa.int32(), "distance": pa.float32()}


def _listed(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = []
    for chunk in column.chunks:  # numpy is several times faster here than to_pylist
        values += chunk.to_numpy(zero_copy_only=False).tolist()
    return values


def matrix(column: pa.ChunkedArray) -> Floats:
    """The column as float32 (n, dim), a view if it has one chunk. Raises BrokenStream if it has nulls."""
    width = column.type.list_size
    flat = [chunk.flatten() for chunk in column.chunks]
    if column.null_count or any(part.null_count for part in flat):
        raise BrokenStream("the answer has nulls in the column 'embedding'")
    blocks = [
        part.to_numpy(zero_copy_only=True).reshape(len(chunk), width)
        for chunk, part in zip(column.chunks, flat)
    ]
    if len(blocks) == 1:
        only: Floats = blocks[0]
        return only
    return np.concatenate([np.empty((0, width), np.float32), *blocks])


# ---------------------------------------------------------------------------- answers of a server


def hits_to_batch(hits: Sequence[Hits], fields: frozenset[Field], dimension: int) -> pa.RecordBatch:
    """The result of a query as one record batch, with metadata as JSON text."""
    rows = [hit.rows for hit in hits]
    counts = [len(part.ids) for part in rows]
    ranked: dict[str, pa.Array] = {
        "query": pa.array(np.repeat(np.arange(len(hits), dtype=np.int32), counts)),
        "distance": pa.array(np.concatenate([np.empty(0, np.float32), *(hit.distances for hit in hits)])),
    }
    return pa.RecordBatch.from_pydict(ranked | _columns(rows, fields, dimension))


def _columns(rows: Sequence[Rows], fields: frozenset[Field], dimension: int) -> dict[str, pa.Array]:
    """The ids and the columns `fields` of all rows."""

    def texts(column: str) -> pa.Array:
        return pa.array([text for part in rows for text in getattr(part, column) or ()], pa.string())

    columns: dict[str, pa.Array] = {"id": texts("ids")}
    if "documents" in fields:
        columns["document"] = texts("documents")
    if "uris" in fields:
        columns["uri"] = texts("uris")
    if "metadatas" in fields:
        entries = [entry for part in rows for entry in part.metadatas or ()]
        columns["metadata"] = pa.array(
            [None if entry is None else metadata_json.dumps(entry).decode() for entry in entries], pa.string()
        )
    if "embeddings" in fields:
        blocks = [part.embeddings for part in rows if part.embeddings is not None and len(part.ids)]
        columns["embedding"] = vectors(np.concatenate([np.empty((0, dimension), np.float32), *blocks]))
    return columns


def answers_to_batch(requests: Sequence[SearchRequest], answers: Sequence[SearchAnswer]) -> pa.RecordBatch:
    """The result of searches as one record batch, with metadata as JSON text."""
    fields = frozenset[Field]().union(*(request.fields for request in requests))
    widths = [each.rows.embeddings.shape[1] for each in answers if each.rows.embeddings is not None]
    width = max(widths, default=0) or 1  # an empty collection has vectors without a width
    filled = [_filled(answer.rows, fields, width) for answer in answers]
    numbers = np.repeat(np.arange(len(filled), dtype=np.int32), [len(rows.ids) for rows in filled])
    columns = {"search": pa.array(numbers)} | _columns(filled, fields, width)
    if any(request.score for request in requests):
        scores: list[float | None] = []
        for request, answer in zip(requests, answers):
            scores += scores_of(request, answer) or [None] * len(answer.rows.ids)
        columns["score"] = pa.array(scores, pa.float64())
    return pa.RecordBatch.from_pydict(columns)


def _filled(rows: Rows, fields: frozenset[Field], width: int) -> Rows:
    """The rows with every one of `fields`. Those that a search did not select have no meaning."""
    nothing: list[Any] = [None] * len(rows.ids)
    vectors = rows.embeddings
    if "embeddings" in fields and vectors is None:
        vectors = np.zeros((len(rows.ids), width), np.float32)
    return Rows(rows.ids, rows.documents or nothing, rows.metadatas or nothing, None, vectors)


def typed_keys_of(texts: Iterable[pa.Array]) -> list[TypedKey]:
    """The keys and types in arrays of JSON objects, in the order of their first appearance."""
    found: dict[TypedKey, None] = {}
    for entry in _entries(texts):
        for key, value in entry.items():
            found[TypedKey(key, kind_of(value))] = None
    return [*found]


def _entries(texts: Iterable[pa.Array]) -> Iterator[Mapping[str, Any]]:
    for array in texts:
        for text in array.to_numpy(zero_copy_only=False).tolist():
            if text is not None:
                yield _entry(text)


def _entry(text: str) -> dict[str, Any]:
    entry: dict[str, Any] = orjson.loads(text)
    return sparse_vectors_of([entry])[0]  # type: ignore[no-any-return]


def kind_of(value: Any) -> str:
    return f"list of {_KIND_OF[type(value[0])]}" if type(value) is list else _KIND_OF[type(value)]


def typed_array(values: Sequence[Any], kind: str) -> pa.Array:
    """Values of one of TYPES as an array. None becomes null."""
    return sparse_vector_arrow.to_array(values) if kind == "sparse_vector" else pa.array(values, TYPES[kind])


def struct_type(typed_keys: Sequence[TypedKey]) -> pa.StructType:
    """A struct type with a field per key and type. If a key's values have one type, the field has the key's
    name."""
    times = [key for key, _ in typed_keys]
    plain = {key for key, count in Counter(times).items() if count == 1}
    fields, taken = [], set(plain)
    for key, kind in typed_keys:
        name = key
        if key not in plain:
            name = f"{key} ({kind})"
            while name in taken:  # another key has this name
                name += "'"
            taken.add(name)
        mark = None if name == key else {KEY_MARK: key.encode()}
        fields.append(pa.field(name, TYPES[kind], metadata=mark))
    return pa.struct(fields)


def to_struct(texts: pa.Array, typed_keys: Sequence[TypedKey]) -> pa.Array:
    """JSON objects as a struct array of the type `struct_type(typed_keys)`. Null stays null."""
    number = {typed: index for index, typed in enumerate(typed_keys)}
    columns: list[list[Any]] = [[None] * len(texts) for _ in typed_keys]
    values = texts.to_numpy(zero_copy_only=False).tolist()
    for row, text in enumerate(values):
        if text is not None:
            for key, value in _entry(text).items():
                columns[number[TypedKey(key, kind_of(value))]][row] = value
    type = struct_type(typed_keys)
    arrays = [typed_array(column, kind) for column, (_, kind) in zip(columns, typed_keys)]
    mask = pa.array([text is None for text in values], pa.bool_())
    if not typed_keys:
        return pa.array([None] * len(texts), type)
    return pa.StructArray.from_arrays(arrays, fields=list(type), mask=mask)
