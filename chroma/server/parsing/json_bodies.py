"""Request bodies to checked values: what the API layer would refuse is refused here as well.

Owns which fields a body has and what a wrong shape is: JSON of another type than the route
takes is a ShapeError (422), a value that cannot be used an InvalidArgumentError (400). The
checks of columns are those of `records`; there is no loop over records unless one has failed.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from ...collection.configuration import MUTABLE, SPACES, hnsw_for_create, hnsw_for_update
from ...errors import InvalidArgumentError, InvalidDimensionException, InvalidTypeError, UnsupportedError
from ...storage.interface.values import Field, Floats, Mode, Records
from ...validation.metadata import check_collection_metadata, check_new_metadata
from ...validation.names import check_count, check_name, check_tenant_name
from ...validation.read_arguments import check_order, given_filter
from ...validation.sequences import check_ids, shown
from ...validation.vectors import as_matrix
from ...validation.write_batch import Batch, read_batch, scatter
from ...wire.json_codec import JSON, ShapeError
from ..http.request_body import TooLarge

FIELDS: tuple[Field, ...] = ("documents", "embeddings", "metadatas", "uris")
INCLUDE = frozenset({*FIELDS, "distances"})
GET_INCLUDE = ["documents", "metadatas"]
QUERY_INCLUDE = ["documents", "metadatas", "distances"]
DEFAULT_RESULTS = 10
MAX_DEPTH = 64  # of what clients store with a collection
# A list or an object takes 64 bytes at least, and two in a body; where there are many, a record has ten.
_PART_BYTES = 8


@contextmanager
def shaped() -> Iterator[None]:
    """What the checks call a wrong type is a wrong shape of the body here."""
    try:
        yield
    except ShapeError:
        raise
    except InvalidTypeError as error:
        raise ShapeError(error.message()) from error


def parse(raw: bytes, largest: int) -> JSON:
    """The object in a body. Raises TooLarge where its lists and objects are too many for `largest`."""
    if _PART_BYTES * len(raw) > largest:  # else there cannot be too many
        parts = raw.count(b"[") + raw.count(b"{")
        if _PART_BYTES * parts > largest:
            raise TooLarge(
                f"the body has {parts:,} lists and objects, which exceeds what a limit of {largest:,} bytes "
                "has room for: send fewer records per call"
            )
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidArgumentError(f"the body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise ShapeError(f"the body must be a JSON object, got {shown(body)}")
    return body


def required(body: Mapping[str, Any], field: str) -> Any:
    """A field that must be there and not null."""
    value = body.get(field)
    if value is None:
        raise ShapeError(f"missing field `{field}` in the body")
    return value


def _typed(body: Mapping[str, Any], field: str, kind: type, noun: str) -> Any:
    value = body.get(field)
    if value is not None and type(value) is not kind:
        raise ShapeError(f"Expected {field} to be {noun} or null, got {shown(value)}")
    return value


def _count(body: Mapping[str, Any], field: str, largest: int = 2**63 - 1) -> int | None:
    value = _typed(body, field, int, "an integer")
    if value is not None and not 0 <= value <= largest:
        raise ShapeError(f"Expected {field} to be between 0 and {largest}, got {value}")
    return value  # type: ignore[no-any-return]


def flag(body: Mapping[str, Any], field: str) -> bool:
    """A boolean field; False when it is missing."""
    return bool(_typed(body, field, bool, "a boolean"))


# ---------------------------------------------------------------------------- names


def tenant_name(body: JSON) -> str:
    """{"name"} of a new tenant."""
    with shaped():
        return check_tenant_name(required(body, "name"))


def resource_name(body: JSON) -> str:
    """{"resource_name"} of a tenant."""
    name = required(body, "resource_name")
    if not isinstance(name, str):
        raise ShapeError(f"Expected resource_name to be a string, got {shown(name)}")
    return name


def checked_name(body: JSON, field: str = "name") -> str:
    """The name of a new database or collection."""
    with shaped():
        return check_name(required(body, field))


# ---------------------------------------------------------------------------- collections


@dataclass(frozen=True, slots=True)
class NewCollection:
    """What a create asks for, complete."""

    name: str
    metadata: dict[str, Any] | None
    configuration: dict[str, Any]
    get_or_create: bool


def new_collection(body: JSON) -> NewCollection:
    """{"name", "metadata"?, "configuration"?, "schema"?, "get_or_create"?}"""
    if body.get("schema") is not None:
        raise UnsupportedError(
            "schema is not supported yet: leave it out and pass configuration={'hnsw': {…}} instead"
        )
    name = checked_name(body)
    with shaped():
        metadata = check_collection_metadata(body.get("metadata"))
        given = _hnsw(_configuration(body, "configuration"), MUTABLE | {"space", "ef_construction"})
        space = (given or {}).get("space")
        if space is not None and space not in SPACES:
            raise ShapeError(
                f"configuration['hnsw']['space'] is {shown(space)}: expected {', '.join(SPACES)}"
            )
        hnsw = hnsw_for_create({"hnsw": given}, metadata, None)
    function = _function(_configuration(body, "configuration"))
    return NewCollection(
        name, metadata, {"hnsw": hnsw, "embedding_function": function}, flag(body, "get_or_create")
    )


@dataclass(frozen=True, slots=True)
class Changes:
    """What a modify asks for; None leaves a part alone. Metadata {} removes all keys."""

    name: str | None
    metadata: dict[str, Any] | None
    hnsw: dict[str, Any] | None
    function: dict[str, Any] | None

    def configuration(self, stored: Mapping[str, Any]) -> dict[str, Any] | None:
        """The complete new configuration, if it changes at all."""
        if self.hnsw is None and self.function is None:
            return None
        function = self.function if self.function is not None else stored.get("embedding_function")
        with shaped():
            hnsw = hnsw_for_update(stored["hnsw"], {"hnsw": self.hnsw})
        return {"hnsw": hnsw, "embedding_function": function}


def changes(body: JSON) -> Changes:
    """{"new_name"?, "new_metadata"?, "new_configuration"?}"""
    name = None if body.get("new_name") is None else checked_name(body, "new_name")
    metadata = body.get("new_metadata")
    with shaped():
        metadata = None if metadata is None else check_new_metadata(metadata)
    configuration = _configuration(body, "new_configuration")
    if configuration.get("spann") is not None:
        raise InvalidArgumentError("cannot update the spann configuration: schema has HNSW; pass hnsw")
    return Changes(name, metadata, _hnsw(configuration, MUTABLE), _function(configuration))


def _configuration(body: JSON, field: str) -> JSON:
    return _typed(body, field, dict, "an object") or {}


def _hnsw(configuration: JSON, allowed: frozenset[str]) -> JSON | None:
    hnsw = _typed(configuration, "hnsw", dict, "an object")
    spann = _typed(configuration, "spann", dict, "an object")  # a hosted index kind: becomes hnsw
    if hnsw is not None and spann is not None:
        raise InvalidArgumentError("hnsw and spann cannot both be provided: collections here use hnsw")
    unknown = sorted(set(hnsw or ()) - allowed)
    if unknown:
        raise ShapeError(
            f"unknown key {unknown[0]!r} in configuration['hnsw']; allowed are {', '.join(sorted(allowed))}"
        )
    return hnsw  # type: ignore[no-any-return]


def _function(configuration: JSON) -> JSON | None:
    """The stored form of an embedding function: data that the server keeps and never looks into."""
    function = _typed(configuration, "embedding_function", dict, "an object")
    if function is None:
        return None
    if _deeper_than(MAX_DEPTH, function):
        raise InvalidArgumentError(f"embedding_function is nested more than {MAX_DEPTH} levels deep")
    kind = function.get("type")
    if kind == "known" and isinstance(function.get("name"), str):
        return {"type": "known", "name": function["name"], "config": function.get("config")}
    if kind in ("legacy", "unknown"):
        return {"type": kind}
    raise ShapeError(
        "Expected embedding_function to be {'type': 'known', 'name', 'config'}, {'type': 'legacy'} or "
        f"{{'type': 'unknown'}}, got {shown(function)}"
    )


def _deeper_than(levels: int, value: Any) -> bool:
    """Answers that quote it could not be written: JSON writers have a limit as well."""
    if levels < 0:
        return True
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and any(_deeper_than(levels - 1, part) for part in value)


# ---------------------------------------------------------------------------- records


def records(mode: Mode, body: JSON) -> Records:
    """The columns of add, upsert or update. No records at all are fine."""
    if mode == "add":
        required(body, "embeddings")
    if type(body.get("ids")) is not list:
        raise ShapeError(f"Expected ids to be a list of strings, got {shown(body.get('ids'))}")
    columns = {
        field: _typed(body, field, list, "a list")
        for field in ("embeddings", "metadatas", "documents", "uris")
    }
    if not body["ids"] and not any(columns.values()):
        return Records([])
    with shaped():
        embeddings, rows = _embeddings(mode, columns["embeddings"])
        entries = columns["metadatas"]
        if entries is not None and {} in entries:
            entries = [entry or None if isinstance(entry, dict) else entry for entry in entries]

        def read(metadatas: Any) -> Batch:
            return read_batch(
                mode, body["ids"], embeddings, metadatas, columns["documents"], None, columns["uris"]
            )

        try:
            batch = read(entries)
        except InvalidArgumentError:
            relaxed = None if entries is None else _relaxed(entries)
            if relaxed is None:
                raise
            batch = read(relaxed)
    return batch.records(batch.embeddings, rows)


def _relaxed(entries: Sequence[Any]) -> list[Any] | None:
    """Metadata in which JSON could not say what was meant: 1.0 comes as 1 from some clients, so
    lists of ints and floats are floats, and empty lists are no values. None: nothing of that."""
    found = False
    out = []
    for entry in entries:
        if isinstance(entry, dict):
            kept = {}
            for key, value in entry.items():
                if isinstance(value, dict) and value.get("#type") == "sparse_vector":
                    raise UnsupportedError(f"sparse vectors are not supported in metadata: key {key!r}")
                if value == []:
                    found = True
                elif isinstance(value, list) and set(map(type, value)) == {int, float}:
                    found = True
                    kept[key] = [float(number) for number in value]
                else:
                    kept[key] = value
            entry = kept or None
        out.append(entry)
    return out if found else None


def _embeddings(mode: Mode, column: list[Any] | None) -> tuple[Floats | None, Any]:
    """The matrix, and with gaps in an update a mask of the rows that are given."""
    if column is None or not column:
        return None, None
    kinds = set(map(type, column))
    if type(None) not in kinds:
        return _matrix(column, kinds, "embeddings"), None
    if mode != "update":
        raise ShapeError(f"embeddings[{column.index(None)}] is null: {mode} needs one for every id")
    rows = np.fromiter((row is not None for row in column), dtype=np.bool_, count=len(column))
    given = [row for row in column if row is not None]
    if not given:
        return None, None
    return scatter(_matrix(given, kinds - {type(None)}, "embeddings"), rows), rows


def _matrix(rows: list[Any], kinds: set[type], field: str) -> Floats:
    if kinds == {str}:
        return _decoded(rows, field)
    if kinds != {list}:
        raise ShapeError(
            f"Expected {field} to be lists of numbers, or base64 texts of little-endian float32, all of "
            f"one kind, got {shown(rows)}"
        )
    try:
        return as_matrix(rows, field)
    except InvalidArgumentError:
        for place, row in enumerate(rows):
            if not set(map(type, row)) <= {int, float}:
                raise ShapeError(f"Expected {field}[{place}] to hold numbers, got {shown(row)}") from None
        raise


if sys.version_info >= (3, 11):

    def _bytes(text: str) -> bytes:
        return binascii.a2b_base64(text, strict_mode=True)

else:

    def _bytes(text: str) -> bytes:
        return base64.b64decode(text, validate=True)


def _decoded(rows: list[str], field: str) -> Floats:
    parts: list[bytes] = []
    try:
        parts.extend(map(_bytes, rows))
    except ValueError as error:
        raise InvalidArgumentError(f"{field}[{len(parts)}] is not base64: {error}") from None
    sizes = set(map(len, parts))
    place = next((place for place, part in enumerate(parts) if len(part) % 4 or not part), None)
    if place is not None:
        raise InvalidArgumentError(
            f"{field}[{place}] holds {len(parts[place])} bytes: expected a multiple of 4, and not none"
        )
    if len(sizes) > 1:
        place = next(place for place, part in enumerate(parts) if len(part) != len(parts[0]))
        raise InvalidDimensionException(
            f"Inconsistent dimensions in provided embeddings: {field}[0] has {len(parts[0]) // 4} and "
            f"{field}[{place}] has {len(parts[place]) // 4}; all vectors of a collection have one length"
        )
    matrix = np.frombuffer(b"".join(parts), dtype="<f4").reshape(len(parts), -1)
    return as_matrix(matrix, field)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records a delete is for. `ids` None: all that match."""

    ids: list[str] | None
    where: Any
    where_document: Any
    limit: int | None

    @property
    def empty(self) -> bool:
        """Whether nothing is selected at all: then nothing is deleted."""
        return self.ids is None and self.where is None and self.where_document is None


def selection(body: JSON) -> Selection:
    """{"ids"?, "where"?, "where_document"?, "limit"?} of a delete."""
    with shaped():
        ids = _ids(body, may_be_empty=False)
    where, where_document = body.get("where"), body.get("where_document")
    for field, value in (("where", where), ("where_document", where_document)):
        if value is not None and not value:
            raise InvalidArgumentError(
                f"Expected {field} to have exactly one operator, got {value!r}; an empty filter would "
                "delete everything"
            )
    limit = _count(body, "limit")
    if limit is not None and where is None and where_document is None:
        raise InvalidArgumentError(
            f"limit={limit} can only be used with where or where_document; pass fewer ids instead"
        )
    return Selection(ids, where, where_document, limit)


def _ids(body: JSON, *, may_be_empty: bool = True) -> list[str] | None:
    """Ids that are looked up: each counts once."""
    column = _typed(body, "ids", list, "a list of strings")
    if column is None:
        return None
    return [*dict.fromkeys(check_ids(column, distinct=False, may_be_empty=may_be_empty))]


def _include(body: JSON, default: list[str]) -> list[str]:
    include = body.get("include", default)
    if type(include) is not list or not all(isinstance(item, str) and item in INCLUDE for item in include):
        raise ShapeError(
            f"Expected include to be a list of some of {', '.join(sorted(INCLUDE))}, got {shown(include)}"
        )
    return include


def _fields(include: list[str]) -> frozenset[Field]:
    return frozenset(field for field in FIELDS if field in include)


def _base64(body: JSON) -> bool:
    encoding = body.get("encoding")
    if encoding not in (None, "base64"):
        raise ShapeError(f'Expected encoding to be "base64" or null, got {shown(encoding)}')
    return encoding is not None


def _metadata_form(body: JSON) -> str:
    form = body.get("metadata")
    if form not in (None, "struct", "json"):
        raise ShapeError(f'Expected metadata to be "struct", "json" or null, got {shown(form)}')
    return form or "struct"


def _keys(body: JSON) -> list[str] | None:
    keys: list[str] | None = _typed(body, "keys", list, "a list of metadata keys")
    if keys is not None and not all(isinstance(key, str) for key in keys):
        raise ShapeError(f"Expected keys to be a list of metadata keys, got {shown(keys)}")
    return keys


@dataclass(frozen=True, slots=True)
class Get:
    """What a get asks for. `order` is our own, and `metadata`, its form in an Arrow stream, and `keys`, the
    fields of a struct."""

    ids: list[str] | None
    where: Any
    where_document: Any
    limit: int | None
    offset: int
    order: list[tuple[str, bool]] | None
    include: list[str]
    fields: frozenset[Field]
    base64: bool
    metadata: str
    keys: list[str] | None


def get(body: JSON) -> Get:
    """{"ids"?, "where"?, "where_document"?, "limit"?, "offset"?, "include"?, "order_by"?, "encoding"?,
    "metadata"?, "keys"?}"""
    include = _include(body, GET_INCLUDE)
    order = body.get("order_by")
    with shaped():
        return Get(
            _ids(body),
            given_filter(body.get("where")),
            given_filter(body.get("where_document")),
            _count(body, "limit"),
            _count(body, "offset") or 0,
            None if order is None else check_order(order),
            include,
            _fields(include),
            _base64(body),
            _metadata_form(body),
            _keys(body),
        )


@dataclass(frozen=True, slots=True)
class Query:
    """What a query asks for. `vectors` None: there are no queries. `exact` and `metadata` are our own."""

    vectors: Floats | None
    k: int
    ids: list[str] | None
    where: Any
    where_document: Any
    include: list[str]
    fields: frozenset[Field]
    exact: bool
    base64: bool
    metadata: str


def query(body: JSON) -> Query:
    """{"query_embeddings", "n_results"?, "ids"?, "where"?, "where_document"?, "include"?, "exact"?,
    "encoding"?, "metadata"?}"""
    rows = required(body, "query_embeddings")
    if type(rows) is not list:
        raise ShapeError(f"Expected query_embeddings to be lists of numbers, got {shown(rows)}")
    include = _include(body, QUERY_INCLUDE)
    k = _count(body, "n_results", 2**31 - 1)
    with shaped():
        return Query(
            _matrix(rows, set(map(type, rows)), "query_embeddings") if rows else None,
            DEFAULT_RESULTS if k is None else k,
            _ids(body),
            given_filter(body.get("where")),
            given_filter(body.get("where_document")),
            include,
            _fields(include),
            flag(body, "exact"),
            _base64(body),
            _metadata_form(body),
        )


def searches(body: JSON) -> list[Any]:
    """{"searches"} of a search."""
    found = required(body, "searches")
    if type(found) is not list or not all(type(one) is dict for one in found):
        raise ShapeError(f"Expected searches to be a list of objects, got {shown(found)}")
    return found


def filters(body: JSON) -> tuple[Any, Any]:
    """{"where"?, "where_document"?} of our own count."""
    return given_filter(body.get("where")), given_filter(body.get("where_document"))


def known_ids(body: JSON) -> list[str]:
    """{"ids"} of our own known_ids."""
    required(body, "ids")
    with shaped():
        return _ids(body) or []


def sample(body: JSON) -> tuple[int, int]:
    """{"k"?, "sample"?} of our own recall."""
    k, size = _count(body, "k", 2**31 - 1), _count(body, "sample", 2**31 - 1)
    if k == 0 or size == 0:
        raise InvalidArgumentError("Expected k and sample to be positive, got 0")
    return 10 if k is None else k, 200 if size is None else size


def from_query_string(values: Mapping[str, str], field: str) -> int | None:
    """A limit or offset in the address."""
    text = values.get(field)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidArgumentError(f"Expected {field} to be zero or a positive integer, got {shown(text)}")
    return check_count(int(text), field)


def switch(values: Mapping[str, str], field: str) -> bool:
    """true or false in the address; false when it is missing."""
    text = values.get(field, "false")
    if text not in ("true", "false"):
        raise InvalidArgumentError(f"Expected {field} to be true or false, got {shown(text)}")
    return text == "true"
