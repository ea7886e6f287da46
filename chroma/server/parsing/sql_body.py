"""Parses the JSON bodies of SQL statements, a route of this package's own."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ...errors import InvalidArgumentError
from ...storage.interface.short_repr import shown
from ...validation.names import check_uuid
from ...wire.arrow_stream_decoder import BrokenStream, read_whole
from ...wire.json_codec import JSON, ShapeError
from ...wire.request_codec import integers_as_text
from .exploration_bodies import max_rows


@dataclass(frozen=True, slots=True)
class Sql:
    """A statement. `collection` is the id of the collection that it calls "records"."""

    text: str
    parameters: Sequence[Any] | Mapping[str, Any] | None
    tables: dict[str, pa.Table]
    collection: str | None


def sql(body: JSON) -> Sql:
    """Read {"sql", "parameters"?, "tables"?: {name: an Arrow stream in base64}, "collection"?: id,
    "max_rows"?, "integers"?}."""
    text, parameters = body.get("sql"), body.get("parameters")
    if not isinstance(text, str):
        raise ShapeError(f"Expected sql to be a SELECT statement, got {shown(text)}")
    if not isinstance(parameters, (list, dict, type(None))):
        raise ShapeError(f"Expected parameters to be a list or an object, got {shown(parameters)}")
    tables = body.get("tables")
    if not isinstance(tables, (dict, type(None))):
        raise ShapeError(f"Expected tables to be an object of Arrow streams in base64, got {shown(tables)}")
    max_rows(body)
    integers_as_text(body)
    home = body.get("collection")
    if home is not None and not isinstance(home, str):
        raise ShapeError(f"Expected collection to be the id of a collection, got {shown(home)}")
    return Sql(
        text,
        parameters,
        {name: _table(name, value) for name, value in (tables or {}).items()},
        None if home is None else check_uuid(home),
    )


def _table(name: str, value: object) -> pa.Table:
    if not isinstance(value, str):
        raise ShapeError(f"Expected tables[{name!r}] to be an Arrow stream in base64, got {shown(value)}")
    try:
        content = binascii.a2b_base64(value, strict_mode=True)
    except ValueError as error:
        raise InvalidArgumentError(f"tables[{name!r}] is not base64: {error}") from None
    try:
        schema, batches = read_whole(content)
    except BrokenStream as error:
        raise InvalidArgumentError(f"tables[{name!r}] is broken: {error.message()}") from None
    return pa.Table.from_batches(batches, schema)
