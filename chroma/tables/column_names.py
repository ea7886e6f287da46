"""Maps metadata keys to column names of a table, and back. The functions have no side effects.

A key has the column of the same name, with two exceptions:

    metadata.id          holds the key "id", because the column "id" holds the record's id
    metadata[int].size   holds the ints of the key "size", if the key has values of several types
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence

from ..wire.arrow_codec import TYPES, TypedKey

# The columns of a record, names that users may confuse with them, and the extra columns of a query result.
OWN = ("id", "document", "uri", "embedding", "metadata")
_NEAR = ("ids", "documents", "uris", "embeddings", "metadatas")
ANSWER = ("query", "rank", "distance")
_PREFIXED = re.compile(r"metadata(?:\[(" + "|".join(TYPES) + r")\])?\.(.+)", re.DOTALL)


def column_names(typed_keys: Sequence[TypedKey], others: Sequence[str] = ()) -> list[str]:
    """Return a distinct column name for each key and type. No name is in `others`."""
    times = Counter(key for key, _ in typed_keys)
    return [_column_name(typed, times[typed.key] > 1, others) for typed in typed_keys]


def _column_name(typed: TypedKey, mixed: bool, others: Sequence[str]) -> str:
    if mixed:
        return f"metadata[{typed.kind}].{typed.key}"
    if typed.key in others or typed.key in OWN or typed.key in _NEAR or _PREFIXED.fullmatch(typed.key):
        return f"metadata.{typed.key}"
    return typed.key


def key_of(column: str) -> str:
    """Return the metadata key whose values the column holds."""
    match = _PREFIXED.fullmatch(column)
    return match[2] if match else column


def near_miss(column: str) -> str | None:
    """Return the column that the user meant with the name of an argument: "id" for "ids". Else None."""
    return OWN[_NEAR.index(column)] if column in _NEAR else None


def mixed_key(column: str) -> str | None:
    """Return the metadata key if the column holds only its values of one type. Else None."""
    match = _PREFIXED.fullmatch(column)
    return match[2] if match and match[1] else None


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the end of a message about a name that does not exist: the one that is spelled most alike."""
    folded = {each.casefold(): each for each in reversed(names)}
    found = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"; the nearest is {folded[found[0]]!r}" if found else ""


def listed(names: Sequence[str]) -> str:
    """Format names for a message."""
    shown = ", ".join(names[:20])
    return f"{shown}, … ({len(names)})" if len(names) > 20 else shown
