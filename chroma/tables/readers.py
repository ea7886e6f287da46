"""Reads tables of any kind as Arrow record batches.

Accepts pandas and polars dataframes, Arrow tables, batches, readers and datasets, DuckDB relations,
results of get and query, and any object with the Arrow PyCapsule interface (`__arrow_c_stream__`).
The module imports pyarrow, but no dataframe library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..wire.arrow_codec import TYPES, TypedKey
from ..wire.arrow_stream_decoder import BrokenStream, bare, check_names
from .column_names import column_names, key_of
from .detect import is_result

# Keys of schema metadata. INDEX: the name of the dataframe's index, which is not a column. MIXED: a JSON
# list of the columns that were split into several because their values have several types.
INDEX, MIXED = b"chroma:index", b"chroma:mixed"


def mixed(schema: pa.Schema) -> list[str]:
    """Return the columns of a dataframe that had values of several types. Ignores an invalid MIXED entry."""
    try:
        names = orjson.loads((schema.metadata or {}).get(MIXED, b"[]"))
    except orjson.JSONDecodeError:
        return []
    return names if isinstance(names, list) else []


def table(value: Any, embedding: str = "embedding") -> pa.Table:
    """Read a whole table. Raises InvalidTypeError for a column that Arrow has no type for.

    embedding  the column of vectors, which may mix lists of ints and lists of floats
    """
    if _is_pandas(value):
        return _from_pandas(value, embedding)
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    return _checked(value if isinstance(value, pa.Table) else _stream(value, embedding).read_all())


def reader(value: Any, embedding: str = "embedding") -> pa.RecordBatchReader:
    """Read a table as a stream."""
    if _is_pandas(value):
        return _from_pandas(value, embedding).to_reader()
    found = _stream(value, embedding)
    return pa.RecordBatchReader.from_batches(found.schema, map(_checked, found))


def _checked(value: Any) -> Any:
    """Validate the buffers of a table or batch and return it. The data may come from an untrusted source.
    Raises InvalidArgumentError."""
    try:
        check_names(value.schema)
        value.validate()
        for batch in value.to_batches() if isinstance(value, pa.Table) else [value]:
            bare(batch).validate(full=True)
    except (pa.ArrowException, BrokenStream) as error:
        raise InvalidArgumentError(f"the Arrow data of the table are broken: {error!s:.500}") from None
    return value


def _stream(value: Any, embedding: str) -> pa.RecordBatchReader:
    if isinstance(value, pa.RecordBatchReader):
        return value
    if isinstance(value, pa.Table):
        return value.to_reader()
    if isinstance(value, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(value.schema, [value])
    if hasattr(value, "scanner") and hasattr(value, "schema"):  # a dataset
        return value.scanner().to_reader()
    if is_result(value):
        return value.to_arrow().to_reader()
    if type(value).__name__ == "LazyFrame":
        value = value.collect()
    if hasattr(value, "__arrow_c_stream__"):
        try:
            return pa.RecordBatchReader.from_stream(value)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InvalidTypeError(f"{_blamed(value)} cannot be read as Arrow: {error}") from None
    read: Callable[[], Any] | None = getattr(
        value, "fetch_arrow_reader", None
    )  # DuckDB before it supported the PyCapsule interface
    if read is not None:
        found: pa.RecordBatchReader = read()
        return found
    raise InvalidTypeError(
        f"Expected a table (pandas, polars, Arrow, DuckDB or with __arrow_c_stream__), got {shown(value)}"
    )


def _blamed(value: Any) -> str:
    """Name the part of a table that Arrow refuses: the column if it can be found, else the table."""
    names = getattr(value, "columns", None)
    for name in names if isinstance(names, list) and hasattr(value, "select") else ():
        try:
            pa.RecordBatchReader.from_stream(value.select(name))
        except pa.ArrowException:
            return f"the column {name!r}"
    return f"a {type(value).__name__}"


# ---------------------------------------------------------------------------- pandas


def _is_pandas(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas"


def _from_pandas(frame: Any, embedding: str) -> pa.Table:
    """Convert a dataframe column by column, so that objects keep the exact types that Arrow would unify."""
    names, arrays, mixed = [], [], []
    if frame.index.name == "id" and "id" not in frame.columns:
        frame = frame.reset_index()
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise InvalidArgumentError(
            f"the dataframe has a column named {shown(odd[0])}: names are texts; "
            "frame.columns = frame.columns.map(str)"
        )
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InvalidArgumentError(f"the dataframe has several columns named {shown(twice[0])}: rename one")
    for name in frame.columns:
        found = [*_columns(name, frame[name], name == embedding)]
        names += [column for column, _ in found]
        arrays += [array for _, array in found]
        if len(found) > 1:
            mixed.append(name)
    table = pa.table(arrays, names=names) if names else pa.table({})
    index = [str(name) for name in frame.index.names if name is not None]
    notes = {INDEX: ", ".join(index).encode()} if index else {}
    return table.replace_schema_metadata(notes | {MIXED: orjson.dumps(mixed)})


def _columns(name: str, series: Any, embedding: bool) -> Iterator[tuple[str, pa.Array]]:
    if series.dtype != object:
        if type(series.dtype).__name__ == "SparseDtype":
            series = series.sparse.to_dense()
        try:
            array = pa.Array.from_pandas(series)
        except pa.ArrowException as error:
            raise InvalidTypeError(
                f"the column {name!r} of dtype {series.dtype} cannot be read: {error}; convert it with astype"
            ) from None
        if getattr(array.type, "extension_name", "").startswith("pandas."):
            raise InvalidTypeError(
                f"the column {name!r} of dtype {series.dtype} cannot be stored: convert it to string with "
                "astype(str)"
            )
        yield name, array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        return
    missing = series.isna().to_numpy()
    values = [None if gone else value for value, gone in zip(series.tolist(), missing)]
    if (matrix := _matrix(values)) is not None:
        yield name, matrix
        return
    if embedding and (vectors := _vectors(values)) is not None:
        yield name, vectors
        return
    yield from objects(name, values)


def _vectors(values: Sequence[Any]) -> pa.Array | None:
    """Convert lists of any numbers to lists of floats. None if a list contains anything else."""
    if not all(value is None or _numeric(value) for value in values):
        return None
    parts = [np.empty(0) if value is None else np.asarray(value, np.float64) for value in values]
    offsets = np.cumsum([0, *map(len, parts)])
    mask = pa.array([value is None for value in values], pa.bool_())
    flat = pa.array(np.concatenate([np.empty(0), *parts]))
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat, mask=mask)


def _numeric(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "fiu"
    numbers = (int, float, np.integer, np.floating)
    return isinstance(value, (list, tuple)) and all(
        issubclass(kind, numbers) and kind is not bool for kind in set(map(type, value))
    )


def _matrix(values: Sequence[Any]) -> pa.Array | None:
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


def objects(name: str, values: Sequence[Any]) -> Iterator[tuple[str, pa.Array]]:
    """Convert Python values to one column, or to one column per type if they have several types."""
    plain = [_plain(value) for value in values]
    kinds = {_kind(value) for value in plain} - {None}
    if (len(kinds) > 1 and not kinds <= set(TYPES)) or "list" in kinds:  # Arrow would unify their types
        raise _unstorable(name, plain, f"values of several types: {', '.join(sorted(map(str, kinds)))}")
    if len(kinds) > 1:
        typed_keys = [TypedKey(key_of(name), kind) for kind in TYPES if kind in kinds]
        for typed, column in zip(typed_keys, column_names(typed_keys)):
            yield column, _array(name, [value if _kind(value) == typed.kind else None for value in plain])
    else:
        yield name, _array(name, plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic) and value.dtype.kind not in "mM":
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def _kind(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        kinds = {_kind(item) for item in value} - {None}
        if len(kinds) == 1:
            return f"list of {kinds.pop()}"
        return "list" if kinds else "empty list"
    return type(value).__name__


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except OverflowError:
        raise _unstorable(name, values, "an int beyond 64 bits") from None
    except pa.ArrowException as error:
        raise _unstorable(name, values, str(error)) from None


def _unstorable(name: str, values: Sequence[Any], why: str) -> InvalidTypeError:
    """Return the error for a column of objects. It names the first value that cannot be stored."""
    row, bad = next(
        ((row, value) for row, value in enumerate(values) if value is not None and not _storable(value)),
        (None, None),
    )
    found = "" if row is None else f", as {shown(bad)} at row {row}"
    return InvalidTypeError(
        f"the column {name!r} holds values that cannot be stored{found}: {why}; convert them to str, int, "
        "float, bool or lists of one of these"
    )


def _storable(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    small = all(-(2**63) <= item < 2**63 for item in items if type(item) is int)
    return _kind(value) in TYPES and small
