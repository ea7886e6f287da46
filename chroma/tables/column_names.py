"""Maps metadata keys to column names of a table, and back. The functions have no side effects.

A key has the column of the same name, with two exceptions:

    metadata.id          holds the key "id", because the column "id" holds the record's id
    metadata[int].size   holds the ints of the key "size", if the key has values of several types
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ..errors import InvalidArgumentError
from ..wire.arrow_codec import TYPES, TypedKey

# The columns of a record, names that users may confuse with them, and the extra columns of a query result.
OWN = ("id", "document", "uri", "embedding", "metadata")
_NEAR = ("ids", "documents", "uris", "embeddings", "metadatas")
DOCUMENTS = ("text", "content", "body", "page_content", "chunk", "passage")  # what else documents are called
_BLANKS = " \t\r\n\u00a0\ufeff"  # with the byte order mark, which some programs write before the first name
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
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


@lru_cache(1024)
def other_spelling(column: str) -> str | None:
    """Return the column whose name differs only in case, blanks or a plural s: "id" for " ID"."""
    plain = column.strip(_BLANKS).casefold()
    meant = near_miss(plain) or (plain if plain in OWN else None)
    return meant if column != meant and column not in _NEAR else None


def check_near_misses(names: Iterable[str], parts: Mapping[str, str], verbatim: bool = False) -> None:
    """Raise InvalidArgumentError for a column that would be metadata, but has nearly the name of a part.

    names     all columns, or all keys of a JSON object
    parts     the columns of the parts that have other names
    verbatim  whether the names are keys unchanged, so that "metadata.x" is not the key "x"

    Another spelling of a name is refused only if the table does not have that part. A column such as
    "Metadata" may be a key like any other.
    """
    names = [*names]
    taken = {*parts.values()}
    for name in names:
        if name in taken:
            continue
        if (meant := near_miss(name)) is not None:
            raise InvalidArgumentError(
                f"the column {name!r} is the name of an argument: call it {meant!r} if it is that, "
                f"{_said(name, meant, verbatim)}"
            )
        meant = other_spelling(name)
        if meant is not None and meant != "metadata" and meant not in parts and meant not in names:
            raise InvalidArgumentError(
                f"the column {name!r} is nearly called {meant!r}, and there is no column {meant!r}: call it "
                f"{meant!r} if it is that, {_said(name, meant, verbatim)}"
            )


def _said(name: str, meant: str, verbatim: bool) -> str:
    if verbatim:
        return "or make it a field of the column 'metadata' if it is metadata"
    mapped = "" if meant == "metadata" else f", or say columns={{{meant!r}: {name!r}}}"
    return f"or 'metadata.{name}' if it is metadata{mapped}"


def document_column(names: Iterable[str]) -> str | None:
    """Return the column of texts that is the document of a table without a column 'document'.

    Raises InvalidArgumentError if there are several.
    """
    found = [name for name in names if name.strip(_BLANKS).casefold() in DOCUMENTS]
    if len(found) > 1:
        raise InvalidArgumentError(
            f"the columns {' and '.join(map(repr, found))} may both be the document: say which one is with "
            f"columns={{'document': {found[0]!r}}}; the other is metadata then"
        )
    return found[0] if found else None


def is_unnamed_index(column: str) -> bool:
    """Whether pandas gave the column its name, because it is an index without one."""
    return bool(_UNNAMED_INDEX.fullmatch(column))


def mixed_key(column: str) -> str | None:
    """Return the metadata key if the column holds only its values of one type. Else None."""
    match = _PREFIXED.fullmatch(column)
    return match[2] if match and match[1] else None


def listed(names: Sequence[str]) -> str:
    """Format names for a message."""
    shown = ", ".join(names[:20])
    return f"{shown}, … ({len(names)})" if len(names) > 20 else shown
