"""Refuses conditions that need an index that a collection's schema switches off.

The type of the operand decides, so the filter is examined as the caller wrote it. In the parsed tree, a
number is compared with integers and with floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from ..interface.errors import InvalidArgument
from ..interface.requests import Selection
from ..interface.schema import DOCUMENT, SchemaJson, ValueType, full_text_off, is_off

# the names of types in the error, which programs written for Chroma may look for
_NAMES: dict[ValueType, str] = {"string": "Str", "int": "Int", "float": "Float", "bool": "Bool"}


def check(schema: SchemaJson, selection: Selection) -> None:
    """Raise InvalidArgument if a condition needs an index that is off. The filters are valid."""
    if selection.where_document:
        _check_documents(schema)
    if selection.where:
        _check_where(schema, selection.where)


def _check_where(schema: SchemaJson, where: Mapping[str, Any]) -> None:
    for key, value in where.items():
        if key in ("$and", "$or"):
            for each in value:
                _check_where(schema, each)
        elif key == "$not":
            _check_where(schema, value)
        elif key == DOCUMENT:
            _check_documents(schema)
        elif not key.startswith("#"):
            _check_key(schema, key, value)


def _check_key(schema: SchemaJson, key: str, condition: Any) -> None:
    for kind in _types_of(condition):
        if is_off(schema, key, kind):
            _refuse(key, kind)
    if _asks_exists(condition) and all(is_off(schema, key, kind) for kind in _NAMES):
        _refuse(key, "string")


def _refuse(key: str, kind: ValueType) -> NoReturn:
    raise InvalidArgument(
        f"Cannot filter using metadata key '{key}' with type '{_NAMES[kind]}' because indexing is disabled"
    )


def _types_of(condition: Any) -> Iterator[ValueType]:
    """Yield the types of the operands of a condition. Dates are compared with stored texts."""
    if isinstance(condition, Mapping):
        for operator, operand in condition.items():
            if operator != "$exists":
                yield from _types_of(operand)
    else:
        yield _type_of(condition[0] if isinstance(condition, (list, tuple)) else condition)


def _asks_exists(condition: Any) -> bool:
    return isinstance(condition, Mapping) and (
        "$exists" in condition or any(map(_asks_exists, condition.values()))
    )


def _type_of(value: Any) -> ValueType:
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "shape", None) == ():
        value = item()
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    return "float" if isinstance(value, float) else "string"


def _check_documents(schema: SchemaJson) -> None:
    if full_text_off(schema):
        raise InvalidArgument("Cannot filter using full-text search because FTS indexing is disabled")
