"""Converts columns of Python objects to Arrow columns, each value by its own type.

Arrow would unify the types of a column: it drops offsets of times, makes floats of ints, and stops at the
first value that does not fit. Here a value is kept, or an error names the column, the row and the value.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from ..errors import ChromaError, InvalidArgumentError, InvalidTypeError
from ..storage.interface import metadata_json, sparse_vector_arrow
from ..storage.interface.iso_times import text_of
from ..storage.interface.short_repr import shown
from ..types import SparseVector
from ..validation.metadata import check_metadatas
from ..validation.vectors import readable
from ..wire.arrow_codec import TYPES, TypedKey
from .column_names import column_names, key_of

_PLAIN = {str, int, float, bool, type(None)}
_REMEDIES = {
    "dict": "flatten it into several columns, or call the column 'metadata'",
    "bytes": "decode it to str, or encode it as base64 text",
    "Decimal": "store float(value), or str(value) to keep every digit",
    "timedelta": "store value.total_seconds()",
    "timedelta64": "store value.astype('int64'), or the seconds as float",
}


def columns(name: str, values: Sequence[Any]) -> Iterator[tuple[str, pa.Array]]:
    """Convert Python values to one column, or to one column per type if they have several types."""
    given = [plain(value) for value in values]
    kinds = {_kind(value) for value in given} - {None}
    if (len(kinds) > 1 and not kinds <= set(TYPES)) or "list" in kinds:  # Arrow would unify their types
        raise _unstorable(name, given, f"values of several types: {', '.join(sorted(map(str, kinds)))}")
    if len(kinds) > 1:
        typed_keys = [TypedKey(key_of(name), kind) for kind in TYPES if kind in kinds]
        for typed, column in zip(typed_keys, column_names(typed_keys)):
            mine = [value if _kind(value) == typed.kind else None for value in given]
            yield column, _sparse_or_array(name, mine, typed.kind)
    else:
        yield name, _sparse_or_array(name, given, next(iter(kinds), None))


def _sparse_or_array(name: str, values: Sequence[Any], kind: str | None) -> pa.Array:
    return sparse_vector_arrow.to_array(values) if kind == "sparse_vector" else _array(name, values)


def plain(value: Any) -> Any:
    """Convert a value to a plain Python value if that loses nothing. Dates and times become ISO text."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, np.ma.core.MaskedConstant):
        return None
    if isinstance(value, (datetime.date, datetime.time, np.datetime64)):
        return iso(value)
    if isinstance(value, SparseVector):
        return value
    if isinstance(value, Mapping) and {"indices", "values"} <= value.keys():  # a row of such an Arrow column
        return SparseVector(value["indices"], value["values"], value.get("labels", value.get("tokens")))
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "mM" or np.ma.isMaskedArray(value):
            return [plain(item) for item in value]
        return [plain(item) for item in value.tolist()] if value.ndim else plain(value[()])
    if isinstance(value, np.generic) and value.dtype.kind not in "mM":
        return value.item()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    for kind in (str, int, float):  # an enum, or another subclass
        if isinstance(value, kind):
            return getattr(kind, f"__{kind.__name__}__")(value)
    return str(value) if isinstance(value, UUID) else value


def iso(value: Any) -> str | None:
    """Return a date or time in ISO 8601: with a zone in UTC as "…Z", without one as it is. None for NaT.

    A time of day keeps its offset, because without a date it cannot be converted.
    """
    if value != value:
        return None
    if isinstance(value, np.datetime64):
        whole, _, fraction = str(text_of(value)).partition(".")
        return f"{whole}.{fraction}" if fraction.strip("0") else whole
    if isinstance(value, datetime.datetime) and value.utcoffset() is not None:
        try:
            text = value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat()
        except OverflowError:
            raise InvalidArgumentError(f"{shown(value)} is not a time in UTC: store it as text") from None
        return f"{text}Z"
    return str(value.isoformat())


def matrix(values: Sequence[Any]) -> pa.Array | None:
    """Convert numpy vectors of equal length and type to a fixed-size list array. None for other values."""
    given = [value for value in values if value is not None]
    if not given or any(type(value) is not np.ndarray or value.ndim != 1 for value in given):
        return None
    if len({(len(value), value.dtype) for value in given}) != 1 or given[0].dtype.kind not in "fiu":
        return None
    width = len(given[0])
    if not width:
        return None
    if len(given) == len(values):
        return pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(given)), width)
    filler = np.zeros(width, given[0].dtype)
    flat = np.concatenate([filler if value is None else value for value in values])
    mask = pa.array([value is None for value in values])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), width, mask=mask)


def vectors(name: str, values: Sequence[Any]) -> pa.Array | None:
    """Convert lists, arrays and tensors of any numbers to lists of floats. None if there is anything else."""
    read = [_vector(name, row, value) for row, value in enumerate(values)]
    if not all(value is None or _numeric(value) for value in read):
        return None
    parts = [np.empty(0) if value is None else np.asarray(value, np.float64) for value in read]
    offsets = np.cumsum([0, *map(len, parts)])
    mask = pa.array([value is None for value in read], pa.bool_())
    flat = pa.array(np.concatenate([np.empty(0), *parts]))
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat, mask=mask)


def _vector(name: str, row: int, value: Any) -> Any:
    """Return a vector as a list or array. Tensors become arrays."""
    if value is None or isinstance(value, (list, tuple, str, bytes)) or type(value) is np.ndarray:
        return value
    return readable(value, f"{name}[{row}]")


def _numeric(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "fiu"
    numbers = (int, float, np.integer, np.floating)
    return isinstance(value, (list, tuple)) and all(
        issubclass(kind, numbers) and kind is not bool for kind in set(map(type, value))
    )


def metadata(name: str, values: Sequence[Any]) -> pa.Array | None:
    """Convert dicts to JSON objects as text, which keeps the type of each value. None if there is no dict.

    Texts among the dicts must be JSON objects already. An entry that is None means "no such key".
    """
    if not any(isinstance(value, Mapping) for value in values):
        return None
    entries: list[Any] = []
    for row, value in enumerate(values):
        if not isinstance(value, (Mapping, str, type(None))):
            raise InvalidTypeError(
                f"the column {name!r} holds {shown(value)} at row {row}: expected dicts, JSON objects as "
                "text, or None"
            )
        if isinstance(value, Mapping):
            pairs = ((key, plain(item)) for key, item in value.items())
            value = {key: item for key, item in pairs if item is not None} or None
        entries.append(value)
    dicts = [None if isinstance(entry, str) else entry for entry in entries]
    try:
        checked = check_metadatas(dicts)
    except ChromaError as error:
        raise type(error)(f"the column {name!r}: {error.message()}") from None
    texts = [
        entry if isinstance(entry, str) else told and metadata_json.dumps(told).decode()
        for entry, told in zip(entries, checked)
    ]
    return array(name, texts)


def _kind(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        kinds = {_kind(item) for item in value} - {None}
        if len(kinds) == 1:
            return f"list of {kinds.pop()}"
        return "list" if kinds else "empty list"
    return "sparse_vector" if isinstance(value, SparseVector) else type(value).__name__


def array(name: str, values: Any, convert: Any = pa.array) -> pa.Array:
    """Convert values with `convert`. Errors name the column, the row and the value."""
    try:
        return convert(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        values = values.tolist() if hasattr(values, "tolist") else values
        if isinstance(error, UnicodeEncodeError):
            raise _not_unicode(name, values) from None
        why = "an int beyond 64 bits" if isinstance(error, OverflowError) else str(error)
        raise _unstorable(name, values, why) from None


_array = array


def _not_unicode(name: str, values: Sequence[Any]) -> InvalidArgumentError:
    """Return the error for a column with a text that UTF-8 cannot encode. It names the first one."""
    for row, value in enumerate(values):
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not _encodable(text):
                return InvalidArgumentError(
                    f"the column {name!r} holds {shown(text)} at row {row}, with a lone surrogate: it is not "
                    "valid Unicode; decode the source with errors='replace'"
                )
    return InvalidArgumentError(f"the column {name!r} holds a text that is not valid Unicode")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unstorable(name: str, values: Sequence[Any], why: str) -> InvalidTypeError:
    """Return the error for a column of objects. It names the first value that cannot be stored."""
    row, bad = next(
        ((row, value) for row, value in enumerate(values) if value is not None and not _storable(value)),
        (None, None),
    )
    found = "" if row is None else f", as {shown(bad)} at row {row}"
    item = next((item for item in bad if not _storable(item)), None) if isinstance(bad, list) else bad
    remedy = _REMEDIES.get(
        type(item).__name__, "convert them to str, int, float, bool or lists of one of these"
    )
    return InvalidTypeError(f"the column {name!r} holds values that cannot be stored{found}: {why}; {remedy}")


def _storable(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    small = all(-(2**63) <= item < 2**63 for item in items if type(item) is int)
    return _kind(value) in TYPES and small
