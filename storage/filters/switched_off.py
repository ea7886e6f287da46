"""Refuses conditions for which a collection's schema has no index.

A condition is refused by the type of its operand, so a filter is examined as the caller wrote it: the parsed
tree compares a number with integers and floats alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
        elif key == DOCUMENT:
            _check_documents(schema)
        elif not key.startswith("#"):
            kind = _type_of(value)
            if is_off(schema, key, kind):
                raise InvalidArgument(
                    f"Cannot filter using metadata key '{key}' with type '{_NAMES[kind]}' "
                    "because indexing is disabled"
                )


def _type_of(value: Any) -> ValueType:
    """Return the type of a condition's operand. Dates are compared with stored texts."""
    while isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    if isinstance(value, list):
        value = value[0]
        if isinstance(value, Mapping):
            return "string"
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
