"""Reads tables of any kind as Arrow record batches.

Accepts pandas and polars dataframes, Arrow tables, batches, readers and datasets, DuckDB relations,
results of get and query, datasets of the package datasets, and any object with the Arrow PyCapsule
interface (`__arrow_c_stream__`).
The module imports pyarrow, but no dataframe library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pyarrow as pa

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..validation.sequences import check_encodable
from ..wire.arrow_stream_decoder import BrokenStream, bare, check_names
from . import objects, type_conversion
from .detect import is_dataset, is_result

# The key of schema metadata with a JSON list of the columns that were split into several because their
# values have several types.
MIXED = b"chroma:mixed"


def mixed(schema: pa.Schema) -> list[str]:
    """Return the columns of a dataframe that had values of several types. Ignores an invalid MIXED entry."""
    try:
        names = orjson.loads((schema.metadata or {}).get(MIXED, b"[]"))
    except orjson.JSONDecodeError:
        return []
    return names if isinstance(names, list) else []


def table(value: Any, embedding: str | None = "embedding") -> pa.Table:
    """Read a whole table. Raises InvalidTypeError for a column that Arrow has no type for.

    embedding  the column of vectors, which may mix lists of ints and lists of floats. None: the table is not
               one of records, and objects get the types that Arrow infers
    """
    if _is_pandas(value):
        return _from_pandas(value, embedding)
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if is_dataset(value):
        value = _joined(value)
    return _checked(value if isinstance(value, pa.Table) else _stream(value).read_all())


def reader(value: Any, embedding: str = "embedding") -> Iterator[pa.RecordBatch]:
    """Read a table as a stream."""
    if _is_pandas(value):
        return iter(_from_pandas(value, embedding).to_reader())
    if is_dataset(value):
        parts = _dataset(value)
        return (_checked(batch) for part in parts for batch in part.to_batches())
    found = _stream(value)
    return iter(pa.RecordBatchReader.from_batches(found.schema, map(_checked, found)))


def _checked(value: Any) -> Any:
    """Validate the buffers of a table or batch and return it. The data may come from an untrusted source.
    Raises InvalidArgumentError."""
    try:
        check_names(value.schema)
        value.validate()
        row = 0
        for batch in value.to_batches() if isinstance(value, pa.Table) else [value]:
            try:
                bare(batch).validate(full=True)
            except pa.ArrowException:
                _check_texts(batch, row)
                raise
            row += batch.num_rows
    except (pa.ArrowException, BrokenStream) as error:
        raise InvalidArgumentError(f"the Arrow data of the table are broken: {error!s:.500}") from None
    return value


def _check_texts(batch: pa.RecordBatch, first: int) -> None:
    """Raise InvalidArgumentError for a text that is not UTF-8. `first` is the row number of the batch."""
    for field, column in zip(batch.schema, batch.columns):
        if not type_conversion.is_text(field.type) or pa.types.is_string_view(field.type):
            continue
        raw = column.view(pa.binary() if pa.types.is_string(field.type) else pa.large_binary())
        raw.validate(full=True)  # the offsets are in range, so that each value can be read
        for row, value in enumerate(raw.to_pylist()):
            try:
                _ = value is not None and value.decode()
            except UnicodeDecodeError:
                raise InvalidArgumentError(
                    f"the column {field.name!r} holds {shown(value)} at row {first + row}, which is not UTF-8"
                    ": decode the source with its own encoding, or with errors='replace'"
                ) from None


def _stream(value: Any) -> pa.RecordBatchReader:
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
        "Expected a table (pandas, polars, Arrow, DuckDB, datasets or with __arrow_c_stream__), got "
        f"{shown(value)}"
    )


def _dataset(value: Any) -> Iterator[pa.Table]:
    """Read a dataset of the package datasets in its own order, with the columns of its format."""
    if isinstance(value, dict):
        split = next(iter(value), "train")
        raise InvalidTypeError(
            f"a {type(value).__name__} is several datasets, {', '.join(map(repr, value))}: pass one of them, "
            f"as dataset[{split!r}]"
        )
    form = getattr(value, "format", None) or {}
    if form.get("type") == "custom":
        raise InvalidTypeError(
            "the dataset has a transform, whose results are no columns of it: apply it with "
            "dataset.with_format(None).map(…), or take the stored columns with dataset.with_format(None)"
        )
    plain = value.with_format("arrow")
    columns = form.get("columns")
    for part in plain.iter(batch_size=_DATASET_ROWS):
        yield part if columns is None else part.select(list(columns))


_DATASET_ROWS = 1000


def _joined(value: Any) -> pa.Table:
    parts = [*_dataset(value)]
    try:
        return pa.concat_tables(parts, promote_options="default") if parts else pa.table({})
    except pa.ArrowException as error:
        raise InvalidTypeError(f"the parts of the dataset have different columns: {error!s:.300}") from None


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


def _from_pandas(frame: Any, embedding: str | None) -> pa.Table:
    """Convert a dataframe column by column, so that objects keep the exact types that Arrow would unify."""
    names, arrays, mixed = [], [], []
    frame = _with_index(frame)
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise InvalidArgumentError(
            f"the dataframe has a column named {shown(odd[0])}: names are texts; "
            "frame.columns = frame.columns.map(str)"
        )
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InvalidArgumentError(f"the dataframe has several columns named {shown(twice[0])}: rename one")
    check_encodable(list(frame.columns), "the list of columns")
    for name in frame.columns:
        found = [*_columns(name, frame[name], embedding)]
        names += [column for column, _ in found]
        arrays += [array for _, array in found]
        if len(found) > 1:
            mixed.append(name)
    table = pa.table(arrays, names=names) if names else pa.table({})
    return table.replace_schema_metadata({MIXED: orjson.dumps(mixed)})


def _with_index(frame: Any) -> Any:
    """Make the named levels of the index columns, as `to_parquet` does. Other levels are ignored."""
    names = [name for name in frame.index.names if isinstance(name, str) and name not in frame.columns]
    if type(frame.index).__name__ == "RangeIndex" and names != ["id"]:
        return frame  # the numbers of the rows, which files do not have as a column either
    return frame.reset_index(level=names) if names else frame


def _columns(name: str, series: Any, embedding: str | None) -> Iterator[tuple[str, pa.Array]]:
    if series.dtype != object:
        if type(series.dtype).__name__ == "SparseDtype":
            series = series.sparse.to_dense()
        try:
            array = objects.array(name, series, pa.Array.from_pandas)
        except InvalidTypeError as error:
            raise InvalidTypeError(
                f"{error.message()}; its dtype is {series.dtype}: convert it with astype"
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
    if embedding is None:
        yield name, objects.array(name, values)
        return
    array = objects.matrix(values)
    if array is None and name == embedding:
        array = objects.vectors(name, values)
    if array is None and name == "metadata":
        array = objects.metadata(name, values)
    if array is not None:
        yield name, array
    else:
        yield from objects.columns(name, values)
