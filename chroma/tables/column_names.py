"""What metadata keys are called as columns of a table. Pure, and its own inverse.

A key is a column of the same name. Two kinds of keys are not:

    metadata.id          the key "id", for the column of that name is the record's id
    metadata[int].size   the ints of the key "size", where that has values of several types
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ..wire.arrow_codec import TYPES, TypedKey

# Columns of a record, what people may have called them, and the further columns of an answer.
OWN = ("id", "document", "uri", "embedding", "metadata")
_NEAR = ("ids", "documents", "uris", "embeddings", "metadatas")
ANSWER = ("query", "rank", "distance")
_PREFIXED = re.compile(r"metadata(?:\[(" + "|".join(TYPES) + r")\])?\.(.+)", re.DOTALL)


def column_names(typed_keys: Sequence[TypedKey], others: Sequence[str] = ()) -> list[str]:
    """A distinct column name for each key and type, none of them one of `others`."""
    times = Counter(key for key, _ in typed_keys)
    return [_column_name(typed, times[typed.key] > 1, others) for typed in typed_keys]


def _column_name(typed: TypedKey, mixed: bool, others: Sequence[str]) -> str:
    if mixed:
        return f"metadata[{typed.kind}].{typed.key}"
    if typed.key in others or typed.key in OWN or typed.key in _NEAR or _PREFIXED.fullmatch(typed.key):
        return f"metadata.{typed.key}"
    return typed.key


def key_of(column: str) -> str:
    """The metadata key that a column holds values of."""
    match = _PREFIXED.fullmatch(column)
    return match[2] if match else column


def near_miss(column: str) -> str | None:
    """The column that was meant by one with the name of an argument: "id" for "ids"."""
    return OWN[_NEAR.index(column)] if column in _NEAR else None


def mixed_key(column: str) -> str | None:
    """The key, if the column holds its values of one of several types."""
    match = _PREFIXED.fullmatch(column)
    return match[2] if match and match[1] else None


def listed(names: Sequence[str]) -> str:
    """Names for a message."""
    shown = ", ".join(names[:20])
    return f"{shown}, … ({len(names)})" if len(names) > 20 else shown
