"""Converts columns of any Arrow type to the types that records hold. No conversion loses information.

    Arrow                                      becomes
    string (large, view)                       str
    dictionary (categories)                    same as its values
    bool                                       bool
    intN, uintN                                int; beyond 64 bits refused
    float16, float32, float64                  float; NaN and infinities refused
    timestamp, date, time                      str in ISO 8601; timestamps with a time zone in UTC
    uuid (an extension), JSON (an extension)   str
    list (large, fixed-size, view) of these    list; empty ones, and nulls inside, refused
    null, or a null in any column              no such key
    decimal without a fraction (128-bit ints)  int; beyond 64 bits refused
    other decimals, duration, interval,        refused; the message names the remedy
    binary, struct, map, union, extensions

An integer id becomes its decimal digits. An embedding is a list of numbers of any type, or such a list as
JSON text. The numbers must be finite as float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface import sparse_vector_arrow
from ..storage.interface.short_repr import shown
from ..storage.interface.values import Floats
from ..validation.vectors import uneven_column

_is = pa.types
_REMEDIES = (
    (_is.is_decimal, "cast it to float64, or to string to keep every digit"),
    (_is.is_duration, "cast it to int64, or to seconds as float64"),
    (_is.is_binary, "decode it to string, or encode it as base64 text"),
    (_is.is_large_binary, "decode it to string, or encode it as base64 text"),
    (_is.is_fixed_size_binary, "decode it to string, or encode it as base64 text"),
    (_is.is_binary_view, "decode it to string, or encode it as base64 text"),
    (_is.is_interval, "cast it to int64, or to string"),
    (_is.is_struct, "flatten it into several columns"),
    (_is.is_map, "flatten it into several columns"),
    (_is.is_union, "split it into a column per type"),
)


def is_text(type: pa.DataType) -> bool:
    return bool(_is.is_string(type) or _is.is_large_string(type) or _is.is_string_view(type))


def is_list(type: pa.DataType) -> bool:
    views = (getattr(_is, name, lambda _: False)(type) for name in ("is_list_view", "is_large_list_view"))
    return bool(_is.is_list(type) or _is.is_large_list(type) or _is.is_fixed_size_list(type) or any(views))


def is_number(type: pa.DataType) -> bool:
    return bool(_is.is_integer(type) or _is.is_floating(type))


def values(name: str, array: pa.Array) -> pa.Array:
    """Convert a metadata column to string, int64, float64, bool, a list of one of these, or null.

    A column of sparse vectors stays as it is, once its vectors have been checked.
    """
    array = storage(name, array)
    if sparse_vector_arrow.is_sparse_vector(array.type):
        return _sparse_vectors(name, array)
    if is_list(array.type):
        return _lists(name, array)
    return _scalars(name, array)


def _sparse_vectors(name: str, array: pa.Array) -> pa.Array:
    try:
        return sparse_vector_arrow.to_array(sparse_vector_arrow.from_array(array))
    except ValueError as error:
        raise InvalidArgumentError(f"the column {name!r}: {error}") from None


def storage(name: str, array: pa.Array) -> pa.Array:
    """Decode dictionaries, run-end encoding and extension types."""
    while True:
        if _is.is_dictionary(array.type):
            array = decoded(array)
        elif getattr(_is, "is_run_end_encoded", lambda _: False)(array.type):
            array = pc.run_end_decode(array)
        elif isinstance(array.type, pa.BaseExtensionType):
            array = _without_extension(name, array)
        else:
            return array


def decoded(array: pa.Array) -> pa.Array:
    """Decode a dictionary array to its values."""
    values = array.dictionary
    if is_text(values.type):
        values = _narrow(values)  # Arrow cannot decode views
    return pa.DictionaryArray.from_arrays(array.indices, values).dictionary_decode()


def _without_extension(name: str, array: pa.Array) -> pa.Array:
    extension = array.type.extension_name
    if extension == "arrow.uuid":
        return _uuid_texts(array)
    if extension == "arrow.bool8":
        return array.storage.cast(pa.bool_())
    if extension != "arrow.json":  # e.g. the storage of pandas.period counts months or days
        raise InvalidTypeError(
            f"the column {name!r} is {array.type!s:.200}: cast it to string, or to what it is made of, "
            f"{array.type.storage_type!s:.200}"
        )
    return array.storage


def _uuid_texts(array: pa.Array) -> pa.Array:
    import uuid

    raw = array.storage.to_pylist()
    return pa.array([None if value is None else str(uuid.UUID(bytes=value)) for value in raw], pa.string())


def _scalars(name: str, array: pa.Array, rows: Any = None) -> pa.Array:
    """Convert values other than lists. `rows`: the row of each value, for messages; None: one per row."""
    kind = array.type
    if is_text(kind):
        return array if _is.is_string(kind) else _narrow(array)
    if _is.is_boolean(kind) or _is.is_null(kind):
        return array
    if _is.is_integer(kind) or _is_whole_number(kind):
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:
            index, big = next(
                (index, value)
                for index, value in enumerate(array.to_pylist())
                if value is not None and not -(2**63) <= value < 2**63
            )
            raise InvalidArgumentError(
                f"the column {name!r} holds {big} at row {_row(index, rows)}: an int must fit in 64 bits; "
                "cast the column to string"
            ) from None
    if _is.is_floating(kind):
        array = array.cast(pa.float64())
        _finite(name, array, rows)
        return array
    if _is.is_date64(kind):
        _whole_days(name, array, rows)
    if _is.is_timestamp(kind) or _is.is_date(kind) or _is.is_time(kind):
        return _iso(array)
    raise refused(name, kind, _first(array, rows))


def _is_whole_number(kind: pa.DataType) -> bool:
    """Whether a decimal has no fraction: how other programs pass on integers of 128 bits."""
    return bool(_is.is_decimal(kind)) and kind.scale == 0


def _first(array: pa.Array, rows: Any = None) -> str:
    """Describe the first value of a column for a message."""
    for index, value in enumerate(array):
        if value.is_valid:
            try:
                return f", as {shown(value.as_py())} at row {_row(index, rows)}"
            except (ValueError, OverflowError, NotImplementedError):  # a value that Python has no type for
                return f", as at row {_row(index, rows)}"
    return ""


def refused(name: str, kind: pa.DataType, first: str = "") -> InvalidTypeError:
    """Return the error for a type that metadata cannot hold. `first` describes a value."""
    remedy = next((text for is_it, text in _REMEDIES if is_it(kind)), "cast it to one of these")
    return InvalidTypeError(
        f"the column {name!r} is {kind!s:.200}{first}: metadata are str, int, float, bool and lists of one "
        f"of these; {remedy}, or leave it out with columns={{'metadata': [...]}}"
    )


def _narrow(array: pa.Array) -> pa.Array:
    """Cast to string with 32-bit offsets if they suffice, else with 64-bit offsets."""
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:
        return array.cast(pa.large_string())


def _row(index: int, rows: Any) -> int:
    return index if rows is None else int(rows[index])


def _finite(name: str, array: pa.Array, rows: Any) -> None:
    odd = pc.invert(pc.is_finite(array))
    if pc.any(odd).as_py():
        index = pc.index(odd, True).as_py()
        raise InvalidArgumentError(
            f"the column {name!r} holds {array[index].as_py()} at row {_row(index, rows)}: NaN and "
            "infinities cannot be stored; use null where there is no value"
        )


def _whole_days(name: str, array: pa.Array, rows: Any) -> None:
    """Raises InvalidArgumentError for a date64 with a time of day, which Arrow's format forbids."""
    odd = np.flatnonzero(array.view(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) % 86_400_000)
    if odd.size:
        raise InvalidArgumentError(
            f"the column {name!r} is date64 and holds a time of day at row {_row(int(odd[0]), rows)}: a date "
            "is a whole number of days; make the column a timestamp[ms]"
        )


def _iso(array: pa.Array) -> pa.Array:
    """Format as ISO 8601: 2024-05-01T12:30:00, with a fraction if it is not zero and Z if a zone is known."""
    kind = array.type
    if _is.is_timestamp(kind):
        suffix = "Z" if kind.tz else ""
        texts = pc.strftime(array.cast(pa.timestamp(kind.unit)), "%Y-%m-%dT%H:%M:%S")
        return pc.binary_join_element_wise(_short(texts), suffix, "")
    if _is.is_date(kind):
        return pc.strftime(array.cast(pa.timestamp("s")), "%Y-%m-%d")
    return _short(array.cast(pa.string()))


def _short(texts: pa.Array) -> pa.Array:
    """Remove a fraction that consists of zeros."""
    return pc.replace_substring_regex(texts, r"\.0+$", "")


def _lists(name: str, array: pa.Array) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    given = array.is_valid().to_numpy(zero_copy_only=False)
    if (empty := np.flatnonzero((lengths == 0) & given)).size:
        raise InvalidArgumentError(
            f"the column {name!r} holds an empty list at row {empty[0]}, which metadata cannot: use null"
        )
    lengths = np.where(given, lengths, 0)  # a null in a fixed-size list column has a length
    items = storage(name, array.flatten())
    rows = np.repeat(np.arange(len(array)), lengths)
    if items.null_count and not _is.is_null(items.type):
        index = int(np.argmin(items.is_valid().to_numpy(zero_copy_only=False)))
        raise InvalidArgumentError(
            f"the column {name!r} holds a list with a null in it at row {rows[index]}: leave it "
            "out of the list"
        )
    if is_list(items.type) or _is.is_null(items.type):
        raise refused(name, array.type, _first(array))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64()), _scalars(name, items, rows), mask=pa.array(~given)
    )


def texts(name: str, array: pa.Array) -> pa.Array:
    """Convert a column of ids, documents or uris to strings."""
    array = storage(name, array)
    if is_text(array.type) or _is.is_null(array.type):
        return array
    if name == "id" and (_is.is_integer(array.type) or _is_whole_number(array.type)):
        return array.cast(pa.string())
    raise InvalidTypeError(
        f"the column for {name!r} is {array.type!s:.200}{_first(array)}: expected texts; cast it to string"
    )


def parsed_vectors(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Parse vectors that are texts such as "[0.1, 0.2]". Columns of other types are returned unchanged."""
    kind = column.type.value_type if _is.is_dictionary(column.type) else column.type
    if not is_text(kind):
        return column
    found = [
        None if text is None else parsed_vector(text, f" at row {row}")
        for row, text in enumerate(column.to_pylist())
    ]
    return pa.chunked_array([pa.array(found, pa.large_list(pa.float64()))])


def parsed_vector(text: str, where: str = "") -> list[float]:
    """Parse a vector given as text."""
    try:
        vector = orjson.loads(text)
    except orjson.JSONDecodeError:
        vector = None
    if not isinstance(vector, list) or not set(map(type, vector)) <= {int, float}:
        raise InvalidArgumentError(
            f"the embedding {shown(text)}{where} is not a list of numbers as [0.1, 0.2]"
        )
    return vector


def vectors(name: str, array: pa.Array) -> Floats:
    """Return the vectors of a column without nulls as an array (n, dim) of the column's number type."""
    if _is.is_fixed_size_list(array.type):
        width = array.type.list_size
    elif is_list(array.type):
        sizes = pc.list_value_length(array).to_numpy()
        if len(sizes) and (odd := np.flatnonzero(sizes != sizes[0])).size:
            raise uneven_column(name, sizes[0], odd[0], sizes[odd[0]])
        width = int(sizes[0]) if len(sizes) else 0
    else:
        raise InvalidTypeError(
            f"the column {name!r} is {array.type!s:.200}: expected lists of numbers, best fixed-size lists "
            "of float32"
        )
    flat = array.flatten()
    if isinstance(flat.type, pa.BaseExtensionType):
        flat = flat.storage
    if not is_number(flat.type):
        raise InvalidTypeError(f"the column {name!r} holds {flat.type!s:.100}: vectors are numbers")
    if flat.null_count:
        index = int(np.argmin(flat.is_valid().to_numpy(zero_copy_only=False)))
        raise InvalidArgumentError(
            f"the column {name!r} holds a null inside a vector at row {index // width}"
        )
    if width == 0 and len(array):
        raise InvalidArgumentError(f"the column {name!r} holds empty lists: a vector has at least one number")
    numbers: Any = flat.to_numpy(zero_copy_only=False)
    out: Floats = numbers.reshape(len(array), width)
    return out


def without_views(table: pa.Table) -> pa.Table:
    """Convert view columns to plain columns, because `take` in Arrow does not support views."""
    for index, field in enumerate(table.schema):
        plain = _PLAIN.get(field.type)
        if plain is not None:
            table = table.set_column(index, field.with_type(plain), table.column(index).cast(plain))
    return table


_PLAIN = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
