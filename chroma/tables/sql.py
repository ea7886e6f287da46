"""Checks SQL statements, their parameters and tables, and converts requests and results."""

from __future__ import annotations

import binascii
import decimal
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..validation.sequences import check_encodable
from . import objects, readers, type_conversion
from .detect import is_table

_HUGE = pa.decimal128(38, 0)


def check_text(text: Any) -> str:
    """Check that the text of a statement is a non-blank str, and return it."""
    if not isinstance(text, str) or not text.strip():
        raise InvalidArgumentError(f"Expected an SQL statement, got {shown(text)}")
    check_encodable([text], "the SQL statement")
    return str.__str__(text)


def check_parameters(parameters: Any) -> Any:
    """Return the values for ? and $1 (a list) or for $name (a dict), with numpy values converted to
    Python values."""
    if parameters is None:
        return None
    if isinstance(parameters, Mapping):
        check_encodable([name for name in parameters if isinstance(name, str)], "the names of parameters")
        return {
            str.__str__(name) if isinstance(name, str) else str(name): _value(value, f"parameters[{name!r}]")
            for name, value in parameters.items()
        }
    if isinstance(parameters, (list, tuple)):
        return [_value(value, f"parameters[{index}]") for index, value in enumerate(parameters)]
    raise InvalidTypeError(
        f"Expected parameters to be a list or a dict of values, got {shown(parameters)}: for one value pass "
        "[value]"
    )


def _value(value: Any, name: str) -> Any:
    value = objects.plain(value)  # dates and times become the text that metadata have
    if isinstance(value, list):
        return [_value(item, name) for item in value]
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise InvalidArgumentError(
            f"{name} is {shown(value)}, which does not fit in 64 bits: pass it as a str, and write ?::hugeint"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgumentError(f"{name} is {value}: pass it as a str, and write ?::double")
    if isinstance(value, str):
        check_encodable([value], name)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise InvalidTypeError(
        f"Expected {name} to be a str, int, float, bool, None or a list of these, got {shown(value)}"
    )


def check_tables(tables: Mapping[str, Any] | None) -> dict[str, pa.Table]:
    """Convert tables of any kind, and results of get and query, to Arrow tables by their names in SQL."""
    found: dict[str, pa.Table] = {}
    for name, value in (tables or {}).items():
        _check_name(name, found)
        if not is_table(value):
            raise InvalidTypeError(
                f"Expected tables[{name!r}] to be a dataframe, an Arrow table or a result, got {shown(value)}"
            )
        found[name] = _decoded(readers.table(value, embedding=None))
    return found


def _check_name(name: Any, others: Mapping[str, Any]) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidTypeError(f"Expected the names of tables to be texts, got {shown(name)}")
    check_encodable([name], "the names of tables")
    for other in others:
        if other.lower() == name.lower():
            raise InvalidArgumentError(
                f"tables has {other!r} and {name!r}, which SQL does not tell apart: rename one"
            )


def _decoded(table: pa.Table) -> pa.Table:
    """Replace dictionary columns by their values, because a stream of batches cannot carry dictionaries."""
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            parts = table.column(index).chunks or [pa.nulls(0, field.type)]
            values = pa.chunked_array([type_conversion.decoded(part) for part in parts])
            table = table.set_column(index, field.name, values)
    return table


def plain(table: pa.Table) -> pa.Table:
    """Convert sums of integers, which SQL returns with 128 bits, to int64 if the values fit."""
    for index, field in enumerate(table.schema):
        if field.type == _HUGE:
            try:
                narrow = table.column(index).cast(pa.int64())
            except pa.ArrowInvalid:
                continue
            table = table.set_column(index, field.with_type(pa.int64()), narrow)
    return table


def to_json(text: str, parameters: Any, tables: Mapping[str, pa.Table], home: str | None) -> dict[str, Any]:
    """Build the body of a request."""
    return {
        "sql": text,
        "parameters": parameters,
        "tables": {name: _encoded(table) for name, table in tables.items()},
        "collection": home,
    }


def _encoded(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return binascii.b2a_base64(sink.getvalue(), newline=False).decode()
