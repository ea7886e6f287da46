"""Converts filters to JSON data, and rejects values that JSON would lose or change.

The server parses the grammar of filters. This module only checks which values JSON can represent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidArgumentError
from ..storage.interface.iso_times import is_time, text_of
from ..storage.interface.short_repr import no_filter, shown

_INT64 = range(-(2**63), 2**63)


def plain_filter(name: str, clause: Any) -> Any:
    """A copy of `where` or `where_document` in plain Python values; None stays None.

    Raises InvalidArgumentError for a value that cannot be sent. The error names its path.
    """
    if clause is None:
        return None
    if not isinstance(clause, Mapping):
        raise InvalidArgumentError(no_filter(name, clause))
    try:
        return _plain(name, clause)
    except RecursionError:
        raise InvalidArgumentError(f"{name} is nested too deeply; use fewer, longer $and/$or lists") from None


def uses_key(clause: Any, key: str) -> bool:
    """Whether a plain filter has a condition on `key`."""
    if isinstance(clause, list):
        return any(uses_key(inner, key) for inner in clause)
    if not isinstance(clause, Mapping):
        return False
    return key in clause or any(uses_key(clause.get(join), key) for join in ("$and", "$or", "$not"))


def _plain(path: str, value: Any) -> Any:
    if is_time(value):
        if (text := text_of(value)) is None:
            raise InvalidArgumentError(f"{path} is {value}: expected a date, or a date and a time")
        return {"$date": text}
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # the value is a NumPy scalar
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidArgumentError(f"Expected {path} key to be a str, got {shown(key)}")
            _check_text(path, key)
        return {str.__str__(key): _plain(f"{path}[{key!r}]", inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return [_plain(path, inner) for inner in value]
    if value is None or type(value) is bool:
        return value
    if isinstance(value, int):
        value = int.__int__(value)  # `in` takes for ever for a subclass
        if value not in _INT64:
            raise InvalidArgumentError(f"{path} is outside the 64-bit integers: {shown(value)}")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidArgumentError(f"{path} must be finite, got {value}")
        return float.__float__(value)
    if isinstance(value, str):
        return _check_text(path, value)
    raise InvalidArgumentError(
        f"Expected {path} to be a str, int, float, bool, list or dict, got {shown(value)}"
    )


def _check_text(path: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"{path} is not valid Unicode: {shown(text)}") from None
    return str.__str__(text)
