"""Refuses integers beyond 64 bits in JSON bodies.

orjson turns an integer beyond 64 bits into the nearest float. The body would be accepted, and another number
stored or compared. Such floats are large, so the body is parsed a second time only if it has a large float.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from ...errors import InvalidArgumentError
from ...storage.interface.short_repr import shown
from ...validation.metadata import INT64_MIN

_LARGE = float(1 << 63)
_LIMIT = 1 << 64  # orjson keeps integers from 2**63 up to this limit; the checks of the values refuse them
# The fields whose numbers are stored or compared.
_FIELDS = (
    "metadatas",
    "metadata",
    "new_metadata",
    "configuration",
    "new_configuration",
    "where",
    "parameters",
)
# A body of at most this size is searched for a run of digits first, which takes 1 µs for a query, not 10.
_SHORT, _RUN = 16_384, b"0" * 19
_DIGITS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256))
_CANDIDATE = re.compile(rb"[\[:,\s]-?[0-9]{19,}[\s,\]}]")  # or a part of a text


def check(body: dict[str, Any], raw: bytes) -> None:
    """Raise InvalidArgumentError for such an integer that would be stored or compared. It names the key.

    body  orjson's result for `raw`
    """
    if len(raw) <= _SHORT and _RUN not in raw.translate(_DIGITS):
        return
    fields = [field for field in _FIELDS if field in body]
    if not any(_has_large_float(body[field]) for field in fields) or not _CANDIDATE.search(raw):
        return
    try:
        told = json.loads(raw)
    except RecursionError:
        raise InvalidArgumentError("the body is nested too deeply") from None
    for field in fields:
        for path, value in _integers(told.get(field), field):
            if not INT64_MIN <= value < _LIMIT:
                raise InvalidArgumentError(
                    f"{path} is {shown(value)}: an int must fit in 64 bits; send it as text"
                )


def _has_large_float(value: Any) -> bool:
    """Whether a value of JSON has a float beyond 64 bits at any depth. Walks level by level, because one
    call may have half a million values."""
    level: list[Any] = [value]
    while level:
        types = set(map(type, level))

        def of(kind: type, level: list[Any] = level, types: set[type] = types) -> list[Any]:
            if kind not in types:
                return []
            return level if len(types) == 1 else [item for item in level if type(item) is kind]

        if (floats := of(float)) and not -_LARGE < min(floats) <= max(floats) < _LARGE:
            return True
        level = [*chain.from_iterable(map(dict.values, of(dict))), *chain.from_iterable(of(list))]
    return False


def _integers(value: Any, path: str) -> Iterator[tuple[str, int]]:
    """Yield all integers in a value of JSON, each with its path."""
    waiting = [(path, value)]
    while waiting:
        at, item = waiting.pop()
        if type(item) is int:
            yield at, item
        elif isinstance(item, dict):
            waiting += [(f"{at}[{shown(key)}]", inner) for key, inner in item.items()]
        elif isinstance(item, list):
            waiting += [(f"{at}[{index}]", inner) for index, inner in enumerate(item)]
