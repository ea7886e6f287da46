"""Checks the metadata of records and collections, and converts values to exact Python types.

One call may have 560,000 metadata values. The checks therefore cover the values of many records
at once, and search for the offending value only after a check has failed. Messages end without a
full stop, and the caller puts the name of the method in front.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..errors import ChromaError, InvalidArgumentError, InvalidTypeError
from ..storage.interface.columnar_metadata import by_key
from ..storage.interface.short_repr import shown
from ..storage.interface.sparse_vector import check_again
from ..types import TYPE_KEY, SparseVector
from .sequences import as_list, check_encodable

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_LARGE = 2.0**63

# The number of records checked in one step. Bounds the temporary lists of a very large call.
_STEP = 32_768

_FEW = 16  # for at most this many records, checking key by key is no faster

_EXACT = frozenset({str, int, float, bool, type(None)})
_ITEMS = _EXACT - {type(None)}  # the types of the items of a list
_STORED = _EXACT | {SparseVector}
_STORED_OR_LIST = _STORED | {list}
_EXPECTED = "Expected metadata value to be a str, int, float, bool, SparseVector, list, or None"

_REMEDIES: dict[str, str] = {
    "dict": "flatten it into several keys",
    "set": "pass sorted(value), a list",
    "frozenset": "pass sorted(value), a list",
    "bytes": "decode it to str, or encode it as base64 text",
    "datetime": "store value.timestamp() or value.isoformat()",
    "date": "store value.isoformat()",
    "Timestamp": "store value.timestamp() or value.isoformat()",
    "datetime64": "store value.astype('int64').item() or str(value)",
    "Decimal": "store float(value) or str(value)",
    "UUID": "store str(value)",
}

Entries = Sequence[Mapping[str, Any] | None]


def check_metadatas(metadatas: Any) -> Entries:
    """Return the metadata as one mapping or None per record. Keeps None values, which mean "no such key"."""
    entries = as_list(metadatas)
    if not entries:
        raise InvalidArgumentError("Non-empty lists are required for ['metadatas'], got []")
    if not set(map(type, entries)) <= {dict, type(None)}:
        entries = [_as_dict(entry, index) for index, entry in enumerate(entries)]
    out: list[Mapping[str, Any] | None] | None = None
    for start in range(0, len(entries), _STEP):
        step = entries[start : start + _STEP]
        exact = _check_step(step, start)
        if exact is not step and out is None:
            out = list(entries)
        if out is not None:
            out[start : start + _STEP] = exact
    return entries if out is None else out


def check_collection_metadata(metadata: Any) -> dict[str, Any] | None:
    """Check the metadata of a collection. Same rules as for records, but None values are refused too."""
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        raise InvalidTypeError(f"Expected metadata to be a dict, got {shown(metadata)}")
    if not metadata:
        raise InvalidArgumentError("Metadata cannot be empty: pass a non-empty dict, or None for no metadata")
    exact = {}
    for key, value in metadata.items():
        if not isinstance(key, str):
            raise InvalidTypeError(f"Expected metadata key to be a str, got {shown(key)}")
        check_encodable([key], "metadata")
        key = str.__str__(key)
        if value is None:
            raise InvalidTypeError(
                f"Expected metadata value of {key!r} to be a str, int, float or bool, got None"
            )
        exact[key] = _exact(value, key, "metadata")
        check_values([exact[key]], key)
    return exact


def check_new_metadata(metadata: Any) -> dict[str, Any]:
    """Check the metadata for `modify`. Drops keys whose value is None, so the result may be empty ({})."""
    if isinstance(metadata, Mapping):
        if not metadata:
            raise InvalidArgumentError(
                "Expected metadata to be a non-empty dict: pass {key: None} to remove a key"
            )
        if "hnsw:space" in metadata:
            raise InvalidArgumentError(
                "Changing the distance function of a collection once it is created is not supported: "
                "leave 'hnsw:space' out of metadata"
            )
        kept = {key: value for key, value in metadata.items() if value is not None}
        if not kept and all(isinstance(key, str) for key in metadata):
            return {}
        metadata = kept
    return check_collection_metadata(metadata) or {}


def _as_dict(entry: Any, index: int) -> dict[str, Any] | None:
    if entry is None or type(entry) is dict:
        return entry
    if isinstance(entry, Mapping):
        return dict(entry)
    raise InvalidTypeError(
        f"Expected metadata to be a dict or None, got {shown(entry)} at index {index} of metadatas"
    )


def _check_step(entries: list[dict[str, Any] | None], start: int) -> list[dict[str, Any] | None]:
    """Return the entries with exact values. Returns the same list if no value needed conversion."""
    if len(entries) <= _FEW and all(entry is None or _is_plain(entry) for entry in entries):
        return entries
    given: list[dict[str, Any]] = [entry for entry in entries if entry is not None]
    if not all(given):
        index = entries.index({}) + start
        raise InvalidArgumentError(
            f"Expected metadata to be a non-empty dict, got {{}} at index {index} of metadatas: "
            "pass None for a record without metadata"
        )
    columns = by_key(given) if len(given) > _FEW else None
    keys: set[Any] = set().union(*given) if columns is None else set(columns)
    _check_keys(keys, entries, start)
    if not set(map(type, keys)) <= {str}:
        entries = [entry and {str.__str__(key): value for key, value in entry.items()} for entry in entries]
        return _check_step(entries, start)
    values = [list(chain.from_iterable(map(dict.values, given)))] if columns is None else columns.values()
    kinds = [set(map(type, column)) for column in values]
    types: set[type] = set().union(*kinds)
    if list in types and types <= _STORED_OR_LIST:
        types = _list_item_types(given)
    if not types <= _STORED:
        entries = [
            entry
            and {key: _exact_or_sparse(value, key, f"metadatas[{index}]") for key, value in entry.items()}
            for index, entry in enumerate(entries, start)
        ]
        values = [list(chain.from_iterable(entry.values() for entry in entries if entry is not None))]
        kinds = [set(map(type, values[0]))]
    try:
        for column, kind in zip(values, kinds, strict=True):
            check_values(column, "", types=kind)
    except InvalidArgumentError:
        for index, entry in enumerate(entries, start):  # checks again to name the key and the record
            for key, value in (entry or {}).items():
                check_values([value], key, f" at index {index} of metadatas")
        raise
    if SparseVector in types:
        _check_vectors(entries, start)
    return entries


def _check_vectors(entries: list[dict[str, Any] | None], start: int) -> None:
    """Check the sparse vectors, whose lists may have been changed since they were made."""
    for index, entry in enumerate(entries, start):
        for key, value in (entry or {}).items():
            if isinstance(value, SparseVector):
                try:
                    check_again(value)
                except ValueError as error:
                    raise InvalidArgumentError(f"{error}, for key {key!r} in metadatas[{index}]") from None


def _is_plain(entry: dict[str, Any]) -> bool:
    """Whether the metadata passes the quick check: valid ASCII keys, and valid scalar values or None."""
    for key, value in entry.items():
        if type(key) is not str or not key.isascii() or key.startswith(("#", "$", "chroma:")) or not key:
            return False
        kind = type(value)
        if kind is str:
            if not value.isascii():
                return False
        elif kind is int:
            if not INT64_MIN <= value <= INT64_MAX:
                return False
        elif kind is float:
            if not math.isfinite(value):
                return False
        elif kind is not bool and value is not None:
            return False
    return bool(entry)


def _list_item_types(entries: list[dict[str, Any]]) -> set[type]:
    """Return the types of the items of all lists. Returns {list} if one of the lists has to be checked by
    itself."""
    types: set[type] = set()
    for value in chain.from_iterable(map(dict.values, entries)):
        if type(value) is list:
            kinds = set(map(type, value))
            if len(kinds) != 1 or not kinds <= _ITEMS:
                return {list}
            types |= kinds
    return types


def _check_keys(keys: set[Any], entries: list[dict[str, Any] | None], start: int) -> None:
    def where(key: Any) -> str:
        index = next(index for index, entry in enumerate(entries, start) if entry and key in entry)
        return f"metadata at index {index}"

    check_keys(keys, where)


def check_keys(keys: Collection[Any], where: Callable[[Any], str]) -> None:
    """Check metadata keys. `where` returns the location of a key, for the error message."""
    for key in keys:
        if not isinstance(key, str):
            raise InvalidTypeError(f"Expected metadata key to be a str, got {shown(key)} in {where(key)}")
        if not key or key[0] in "#$":
            raise InvalidArgumentError(
                f"Invalid {where(key)}: the key {key!r} is empty or starts with '#' or '$', "
                "which filters use for themselves; rename it"
            )
        if key.startswith("chroma:"):
            raise InvalidArgumentError(
                f"Invalid {where(key)}: {key!r} is a reserved key, as is everything that starts "
                "with 'chroma:'; rename it"
            )
    check_encodable(list(keys), "metadata keys")


def check_values(values: Sequence[Any], key: str, at: str = "", types: set[type] | None = None) -> None:
    """Check that floats are finite, that ints fit in int64, and that strings can be encoded.

    The values have exact types. `types` is the set of these types, if the caller knows it.
    """
    types = types or set(map(type, values))
    if list in types:
        values = [*values, *chain.from_iterable([value for value in values if type(value) is list])]
        types = set(map(type, values))

    def of(kind: type) -> Sequence[Any]:
        if kind not in types:
            return []
        return values if len(types) == 1 else [value for value in values if type(value) is kind]

    name = f"metadata value of {key!r}{at}"
    ints = of(int)
    if ints and not (min(ints) >= INT64_MIN and max(ints) <= INT64_MAX):
        big = next(value for value in ints if not INT64_MIN <= value <= INT64_MAX)
        raise InvalidArgumentError(f"{name} is {shown(big)}: an int must fit in 64 bits; store it as text")
    floats = of(float)
    if not all(map(math.isfinite, floats)):
        odd = next(value for value in floats if not math.isfinite(value))
        raise InvalidArgumentError(f"{name} is {odd}: NaN and infinities cannot be stored; leave the key out")
    check_encodable(of(str), name)


def rounded_int(value: Mapping[str, Any], text: str | bytes) -> tuple[str, int] | None:
    """Return a key of a JSON object and its integer beyond 64 bits. None if the object has no such integer.

    orjson turns such an integer into a float. `value` is orjson's result for `text`. The search covers
    the lists and objects directly inside the object.
    """
    if not any(map(_large, value.values())):
        return None
    told = json.loads(text)
    for part in (told, *(part for part in told.values() if isinstance(part, dict))):
        for key, entry in part.items():
            for item in entry if isinstance(entry, list) else (entry,):
                if type(item) is int and not INT64_MIN <= item < 1 << 64:
                    return key, item
    return None


def _large(value: Any) -> bool:
    """Whether the value contains a float beyond 64 bits."""
    if type(value) is float:
        return not -_LARGE < value < _LARGE
    if type(value) is list:
        return any(type(item) is float and not -_LARGE < item < _LARGE for item in value)
    return type(value) is dict and any(map(_large, value.values()))


def _exact_or_sparse(value: Any, key: str, at: str) -> Any:
    """Return the value of a record's metadata as `_exact` does, or as a SparseVector."""
    if isinstance(value, SparseVector):
        return value
    if isinstance(value, Mapping) and TYPE_KEY in value:
        try:
            return SparseVector.from_dict(value)
        except ValueError as error:
            raise InvalidArgumentError(f"{error}, for key {key!r} in {at}") from None
    return _exact(value, key, at)


def _exact(value: Any, key: str, at: str) -> Any:
    """Return the value as an exact str, int, float, bool or None, or as a list of one of the first four."""
    if type(value) in _EXACT:
        return value
    if isinstance(value, (str, int, float, np.generic)):
        return _exact_scalar(value, key, at)
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        items = value.tolist() if isinstance(value, np.ndarray) else list(value)
        return _exact_list(items, key, at)
    raise _refused(value, key, at)


def _exact_scalar(value: Any, key: str, at: str) -> Any:
    """Convert an instance of a subclass (an enum, a numpy scalar) to the plain Python type."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, np.generic):
        plain = value.item()
        if value.dtype.kind not in "biuf" or type(plain) not in _EXACT:
            raise _refused(value, key, at)
        return plain
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _exact_list(items: list[Any], key: str, at: str) -> list[Any]:
    def refuse(why: str) -> ChromaError:
        return InvalidArgumentError(f"{_EXPECTED}, got {shown(items)} for key {key!r} in {at}: {why}")

    if not items:
        raise refuse("a list must be non-empty; leave the key out or pass None")
    for item in items:
        if item is None or not isinstance(item, (str, int, float, np.generic)):
            raise refuse(f"a list may hold str, int, float, or bool, but this one holds {shown(item)}")
    plain = [item if type(item) in _EXACT else _exact_scalar(item, key, at) for item in items]
    if len(set(map(type, plain))) > 1:
        raise refuse("all items of a list must be of the same type; an int beside a float counts as two")
    return plain


def _refused(value: Any, key: str, at: str) -> InvalidTypeError:
    name = type(value).__name__
    if isinstance(value, SparseVector):
        return InvalidTypeError(
            f"only the metadata of records can hold sparse vectors: key {key!r} in {at}; leave it out"
        )
    remedy = _REMEDIES.get(name, "convert it to one of these")
    return InvalidTypeError(
        f"{_EXPECTED}, got {shown(value)} of type {name} for key {key!r} in {at}: {remedy}"
    )
