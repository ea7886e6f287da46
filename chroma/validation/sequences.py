"""Converts columns of ids, texts and similar values from any accepted form to a checked Python list.

A check covers the whole column at C speed. The search for the offending entry runs only after the
check has failed. Messages end without a full stop, and the caller puts the name of the method in front.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import DuplicateIDError, InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..storage.interface.whole_numbers import digits

_STEP = 1024  # texts encoded at a time in a check, so that long documents are not all copied at once


def as_list(column: Any) -> list[Any]:
    """Convert a single value, any sequence, a numpy array, pandas Series or Arrow array to a list.

    Missing values of a Series become None. A list is returned without a copy.
    """
    if isinstance(column, list):
        return column
    if isinstance(column, tuple):
        return list(column)
    if isinstance(column, (str, bytes, Mapping)):
        return [column]
    if hasattr(column, "to_pylist"):  # Arrow
        return list(column.to_pylist())
    if hasattr(column, "isna") and hasattr(column, "tolist"):  # pandas
        missing = column.isna()
        values = column.tolist()
        return (
            [None if gone else value for value, gone in zip(values, missing, strict=True)]
            if missing.any()
            else values
        )
    if hasattr(column, "tolist") and getattr(column, "ndim", False):  # numpy
        return list(column.tolist())
    if isinstance(column, Sequence):  # a column of the package datasets, a deque
        return list(column)
    return [column]


def check_ids(
    ids: Any, *, distinct: bool = True, may_be_empty: bool = False, argument: str = "ids"
) -> list[str]:
    """Return ids as a list of non-empty exact str. Refuses duplicates unless `distinct` is False.

    A whole number becomes its decimal digits, as in the ids of a table.
    """
    if ids is None:
        raise InvalidArgumentError("Expected IDs to be a list, got None: pass a str or a list of str")
    column = as_list(ids)
    if not column and not may_be_empty:
        raise InvalidArgumentError(f"Non-empty lists are required for ['{argument}'], got []")
    if column and set(map(type, column)) != {str}:
        column = [digits(value) for value in column]
    column = _texts(column, "ID", argument, allow_none=False)
    seen = set(column)
    if "" in seen:
        raise InvalidArgumentError(
            f"Empty ID at index {column.index('')} of ids: an id needs at least one character"
        )
    if distinct and len(seen) != len(column):
        repeated = [text for text, times in Counter(column).items() if times > 1]
        raise DuplicateIDError(
            f"Expected IDs to be unique, found {len(repeated)} duplicated: "
            f"{', '.join(shown(text, 40) for text in repeated[:10])}"
            f"{', …' if len(repeated) > 10 else ''}; give each record one id"
        )
    return column


def check_texts(column: Any, noun: str, field: str, *, allow_none: bool) -> list[str | None]:
    """Return documents or uris as a list of exact str, with None entries if `allow_none` is True."""
    texts = as_list(column)
    if not texts:
        raise InvalidArgumentError(f"Non-empty lists are required for ['{field}'], got []")
    checked: list[str | None] = _texts(texts, noun, field, allow_none=allow_none)
    return checked


def _texts(column: list[Any], noun: str, field: str, *, allow_none: bool) -> list[Any]:
    types = set(map(type, column))
    if not types <= ({str, type(None)} if allow_none else {str}):
        for index, text in enumerate(column):
            if not (isinstance(text, str) or (text is None and allow_none)):
                raise _not_text(index, text, noun, field)
        column = [text if text is None else str.__str__(text) for text in column]  # np.str_ and enums
    check_encodable([text for text in column if text is not None] if type(None) in types else column, field)
    return column


def _not_text(index: int, value: object, noun: str, field: str) -> InvalidArgumentError:
    message = f"Expected {noun} to be a str, got {shown(value)} at index {index} of {field}"
    if field == "ids" and isinstance(value, float):
        return InvalidTypeError(
            f"{message}: whole numbers are taken as their digits, so pass int(id) or str(id)"
        )
    if value is None and field == "documents":
        # The type is right; the call lacks the embeddings.
        return InvalidArgumentError(f"{message}: a document may be None only where embeddings are given")
    return InvalidTypeError(message)


def check_encodable(texts: Sequence[str], field: str) -> None:
    """Refuse lone surrogates, which UTF-8 cannot encode."""
    if all(map(str.isascii, texts)):  # a str stores this flag, so the call is cheap
        return
    try:
        for start in range(0, len(texts), _STEP):
            "\x00".join(texts[start : start + _STEP]).encode()
    except UnicodeEncodeError:
        for index, text in enumerate(texts):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise InvalidArgumentError(
                    f"{field} has a lone surrogate {text[error.start]!r} at index {index}, character "
                    f"{error.start}: it is not valid Unicode; decode the source with errors='replace'"
                ) from None
        raise


def check_lengths(ids: Sequence[str], **columns: Sequence[Any] | None) -> None:
    """Check that all columns have one entry per id."""
    sizes = {"ids": len(ids)} | {
        field: len(column) for field, column in columns.items() if column is not None
    }
    if len(set(sizes.values())) > 1:
        different = ", ".join(
            f"{field}: {size}" for field, size in sizes.items() if field == "ids" or size != len(ids)
        )
        raise InvalidArgumentError(f"Unequal lengths for fields: {different}; give one entry per id")
