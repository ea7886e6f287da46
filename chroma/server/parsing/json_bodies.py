"""Parses JSON request bodies to checked values, and rejects everything that the client API would reject.

Owns: the fields in the bodies of writes and of requests on whole collections. `wire.request_codec` has those
of reads. `write_batch` checks the columns. Records are examined one by one only after a check has failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from ...collection.configuration import MUTABLE, SPACES, hnsw_for_create, hnsw_for_update, hnsw_of_spann
from ...collection.schemas import adopted
from ...errors import InvalidArgumentError
from ...results.cut import Cut
from ...storage.interface.ranking import SearchRequest
from ...storage.interface.requests import NewCollection, QueryRequest
from ...storage.interface.short_repr import shown
from ...storage.interface.sparse_vector import SPARSE_VECTOR_TYPE_VALUE, TYPE_KEY
from ...storage.interface.values import Floats, Mode, Records
from ...validation.metadata import check_collection_metadata, check_new_metadata
from ...validation.names import check_count, check_name, check_tenant_name
from ...validation.read_arguments import check_efs, check_read_level
from ...validation.sequences import check_ids
from ...validation.write_batch import Batch, read_batch, scatter
from ...wire import arrow_codec
from ...wire.json_codec import JSON, ShapeError
from ...wire.json_fields import count, flag, matrix, required, shaped, typed
from ...wire.request_codec import ids_from_json, integers_as_text
from ...wire.search_codec import search_from_json
from ..http.request_body import TooLarge
from . import exact_integers, schema_body
from .stored_function import stored_function

# The names of columns in tables and streams, which JSON bodies do not have.
_SINGULARS = {"id": "ids"} | dict(arrow_codec.FIELD_OF)
# A list or an object takes at least 64 bytes in memory, but as few as two in a body. In a body that has many
# of them, a record has ten.
_PART_BYTES = 8
MOST_QUERY_IDS = 1000  # a short id stands for a long vector


def parse(raw: bytes, largest: int) -> JSON:
    """The JSON object in a body. Raises TooLarge if it has too many lists and objects for `largest` bytes."""
    if _PART_BYTES * len(raw) > largest:  # a smaller body cannot have too many
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
    exact_integers.check(body, raw)
    return body


# ---------------------------------------------------------------------------- names


def tenant_name(body: JSON) -> str:
    """The name in {"name"}, for a new tenant."""
    with shaped():
        return check_tenant_name(required(body, "name"))


def resource_name(body: JSON) -> str:
    """The name in {"resource_name"} of a tenant."""
    name = required(body, "resource_name")
    if not isinstance(name, str):
        raise ShapeError(f"Expected resource_name to be a string, got {shown(name)}")
    return name


def checked_name(body: JSON, field: str = "name") -> str:
    """The name of a new database or collection."""
    with shaped():
        return check_name(required(body, field))


# ---------------------------------------------------------------------------- collections


def new_collection(body: JSON) -> NewCollection:
    """Read {"name", "metadata"?, "configuration"?, "schema"?, "get_or_create"?}."""
    schema = None if body.get("schema") is None else schema_body.checked(body["schema"])
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
    configuration, kept = {"hnsw": hnsw, "embedding_function": function}, None
    if schema is not None:
        with shaped():
            configuration, kept = adopted(schema, configuration, metadata)
    return NewCollection(
        name=name,
        metadata=metadata,
        configuration=configuration,
        get_or_create=flag(body, "get_or_create"),
        schema=kept,
    )


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes that a modify requests. None leaves a part unchanged; metadata {} removes all keys."""

    name: str | None
    metadata: dict[str, Any] | None
    hnsw: dict[str, Any] | None
    function: dict[str, Any] | None

    def configuration(self, stored: Mapping[str, Any]) -> dict[str, Any] | None:
        """The complete new configuration, or None if it does not change."""
        if self.hnsw is None and self.function is None:
            return None
        function = self.function if self.function is not None else stored.get("embedding_function")
        with shaped():
            hnsw = hnsw_for_update(stored["hnsw"], {"hnsw": self.hnsw})
        return {"hnsw": hnsw, "embedding_function": function}


def changes(body: JSON) -> Changes:
    """Read {"new_name"?, "new_metadata"?, "new_configuration"?}."""
    name = None if body.get("new_name") is None else checked_name(body, "new_name")
    metadata = body.get("new_metadata")
    with shaped():
        metadata = None if metadata is None else check_new_metadata(metadata)
    configuration = _configuration(body, "new_configuration")
    if configuration.get("spann") is not None:
        raise InvalidArgumentError("cannot update the spann configuration: schema has HNSW; pass hnsw")
    return Changes(name, metadata, _hnsw(configuration, MUTABLE), _function(configuration))


def _configuration(body: JSON, field: str) -> JSON:
    return typed(body, field, dict, "an object") or {}


def _hnsw(configuration: JSON, allowed: frozenset[str]) -> JSON | None:
    hnsw = typed(configuration, "hnsw", dict, "an object")
    spann = typed(configuration, "spann", dict, "an object")
    if hnsw is not None and spann is not None:
        raise InvalidArgumentError("hnsw and spann cannot both be provided: collections here use hnsw")
    if spann is not None:  # an index of hosted servers
        hnsw = hnsw_of_spann(spann)
    unknown = sorted(set(hnsw or ()) - allowed)
    if unknown:
        raise ShapeError(
            f"unknown key {unknown[0]!r} in configuration['hnsw']; allowed are {', '.join(sorted(allowed))}"
        )
    return hnsw  # type: ignore[no-any-return]


def _function(configuration: JSON) -> JSON | None:
    """The stored form of an embedding function. The server keeps it without interpreting it."""
    function = typed(configuration, "embedding_function", dict, "an object")
    return None if function is None else stored_function(function)


# ---------------------------------------------------------------------------- records


def records(mode: Mode, body: JSON) -> Records:
    """The records of an add, upsert or update. There may be none."""
    for name, field in _SINGULARS.items():
        if name in body and field not in body:
            raise ShapeError(f"there is no field {name!r}: call it {field!r}, a list with one entry per id")
    if mode == "add":
        required(body, "embeddings")
    if type(body.get("ids")) is not list:
        raise ShapeError(f"Expected ids to be a list of strings, got {shown(body.get('ids'))}")
    columns = {
        field: typed(body, field, list, "a list")
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
                mode,
                body["ids"],
                embeddings=embeddings,
                metadatas=metadatas,
                documents=columns["documents"],
                images=None,
                uris=columns["uris"],
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
    """Return the metadata with three ambiguities of JSON resolved. None if the given metadata has none.

    Some clients write 1.0 as 1, so the numbers in a list of ints and floats all become floats. Empty lists
    are dropped. An object with indices and values is a sparse vector even if the mark of its type is missing.
    """
    found = False
    out = []
    for entry in entries:
        if isinstance(entry, dict):
            kept: dict[str, Any] = {}
            for key, value in entry.items():
                if _untagged(value):
                    found = True
                    kept[key] = value | {TYPE_KEY: SPARSE_VECTOR_TYPE_VALUE}
                elif value == []:
                    found = True
                elif isinstance(value, list) and set(map(type, value)) == {int, float}:
                    found = True
                    kept[key] = [float(number) for number in value]
                else:
                    kept[key] = value
            entry = kept or None
        out.append(entry)
    return out if found else None


def _untagged(value: Any) -> bool:
    """Whether a value is a sparse vector without the mark of its type."""
    return isinstance(value, dict) and TYPE_KEY not in value and {"indices", "values"} <= value.keys()


def _embeddings(mode: Mode, column: list[Any] | None) -> tuple[Floats | None, Any]:
    """The matrix of embeddings. If an update has some null embeddings, also return the mask of the others."""
    if column is None or not column:
        return None, None
    kinds = set(map(type, column))
    if type(None) not in kinds:
        return matrix(column, kinds, "embeddings"), None
    if mode != "update":
        raise ShapeError(f"embeddings[{column.index(None)}] is null: {mode} needs one for every id")
    rows = np.fromiter((row is not None for row in column), dtype=np.bool_, count=len(column))
    given = [row for row in column if row is not None]
    if not given:
        return None, None
    return scatter(matrix(given, kinds - {type(None)}, "embeddings"), rows), rows


def searches(body: JSON) -> list[SearchRequest]:
    """The searches in {"searches", "read_level"?, "explain"?, "integers"?}."""
    integers_as_text(body)
    found = required(body, "searches")
    if type(found) is not list:
        raise ShapeError(f"Expected searches to be a list of objects, got {shown(found)}")
    with shaped():
        level = body.get("read_level")
        if level is not None:
            try:
                check_read_level(level)
            except InvalidArgumentError as error:
                raise ShapeError(error.message()) from None
        explain = flag(body, "explain")
        requests = [search_from_json(each) for each in found]
        return [each._replace(explain=True) for each in requests] if explain else requests


def known_ids(body: JSON) -> list[str]:
    """The ids in {"ids"} of this package's route known_ids."""
    required(body, "ids")
    with shaped():
        return ids_from_json(body) or []


def sample(body: JSON) -> tuple[int, int, list[int] | None]:
    """k, sample and ef_search in {"k"?, "sample"?, "ef_search"?} of this package's route recall."""
    k, size = count(body, "k", 2**31 - 1), count(body, "sample", 2**31 - 1)
    if k == 0 or size == 0:
        raise InvalidArgumentError("Expected k and sample to be positive, got 0")
    efs = typed(body, "ef_search", list, "a list of integers")
    with shaped():
        checked = None if efs is None else check_efs(efs)
    return 10 if k is None else k, 200 if size is None else size, checked


def cut(body: JSON, request: QueryRequest) -> Cut | None:
    """The part of a query's hits that {"query_ids"?, "offset"?} ask for. None: all of them."""
    ids, offset = typed(body, "query_ids", list, "a list of strings"), count(body, "offset", 2**31 - 1) or 0
    if ids is None and not offset:
        return None
    with shaped():
        if ids is not None:
            ids = check_ids(ids, distinct=False, argument="query_ids")
            if len(ids) > MOST_QUERY_IDS:
                raise ShapeError(f"Expected query_ids to have at most {MOST_QUERY_IDS} ids, got {len(ids)}")
        return Cut.checked(ids, offset, request, reranks=False)


def ticket(body: JSON) -> str:
    """The ticket in {"ticket"}."""
    found = required(body, "ticket")
    if type(found) is not str:
        raise ShapeError("Expected ticket to be a string")  # which is not repeated, for it is a secret
    return found


def from_query_string(values: Mapping[str, str], field: str) -> int | None:
    """A limit or offset in the query string."""
    text = values.get(field)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidArgumentError(f"Expected {field} to be zero or a positive integer, got {shown(text)}")
    return check_count(int(text), field)


def switch(values: Mapping[str, str], field: str) -> bool:
    """A true or false in the query string; False if it is missing."""
    text = values.get(field, "false")
    if text not in ("true", "false"):
        raise InvalidArgumentError(f"Expected {field} to be true or false, got {shown(text)}")
    return text == "true"
