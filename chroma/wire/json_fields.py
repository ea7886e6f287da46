"""Reads fields of a JSON body. A field whose type is not the one that the route expects is a ShapeError.

Owns: the checks of single fields, and vectors as lists of numbers or as base64.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..storage.interface.values import Floats
from ..validation.vectors import as_matrix, uneven_list
from .json_codec import ShapeError


@contextmanager
def shaped() -> Iterator[None]:
    """A context manager that raises the InvalidTypeError of a check as a ShapeError."""
    try:
        yield
    except ShapeError:
        raise
    except InvalidTypeError as error:
        raise ShapeError(error.message()) from error


def required(body: Mapping[str, Any], field: str) -> Any:
    """A field that must be present and not null."""
    value = body.get(field)
    if value is None:
        raise ShapeError(f"missing field `{field}` in the body")
    return value


def typed(body: Mapping[str, Any], field: str, kind: type, noun: str) -> Any:
    value = body.get(field)
    if value is not None and type(value) is not kind:
        raise ShapeError(f"Expected {field} to be {noun} or null, got {shown(value)}")
    return value


def count(body: Mapping[str, Any], field: str, largest: int = 2**63 - 1) -> int | None:
    value = typed(body, field, int, "an integer")
    if value is not None and not 0 <= value <= largest:
        raise ShapeError(f"Expected {field} to be between 0 and {largest}, got {value}")
    return value  # type: ignore[no-any-return]


def flag(body: Mapping[str, Any], field: str) -> bool:
    """A boolean field; False if it is missing."""
    return bool(typed(body, field, bool, "a boolean"))


def matrix(rows: list[Any], kinds: set[type], field: str) -> Floats:
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
        for index, row in enumerate(rows):
            if not set(map(type, row)) <= {int, float}:
                raise ShapeError(f"Expected {field}[{index}] to hold numbers, got {shown(row)}") from None
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
    index = next((index for index, part in enumerate(parts) if len(part) % 4 or not part), None)
    if index is not None:
        raise InvalidArgumentError(
            f"{field}[{index}] holds {len(parts[index])} bytes: expected a multiple of 4, and not none"
        )
    if len(sizes) > 1:
        raise uneven_list([len(part) // 4 for part in parts], field)
    matrix = np.frombuffer(b"".join(parts), dtype="<f4").reshape(len(parts), -1)
    return as_matrix(matrix, field)
