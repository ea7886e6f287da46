"""Converts Arrow tables to dataframes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..internal.optional_dependencies import require
from ..wire.arrow_codec import TypedKey
from . import type_conversion
from .column_names import ANSWER, column_names, mixed_key

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def check_pandas() -> None:
    """Raise InvalidArgumentError if pandas is not installed."""
    require("pandas", "pandas", "A dataframe of pandas")


def check_polars() -> None:
    """Raise InvalidArgumentError if polars is not installed."""
    require("polars", "polars", "A dataframe of polars")


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Convert a table to a DataFrame without losing types; see `Collection.to_pandas`."""
    import pandas as pd

    columns: dict[str, Any] = {}
    mixed: dict[str, list[pa.ChunkedArray]] = {}
    answer = [name for name in ANSWER if name in table.column_names]
    for field, column in zip(table.schema, table.columns):
        key = mixed_key(field.name)
        if key is None:
            columns[field.name] = _series(pd, field.type, column)
            continue
        name = column_names([TypedKey(key, "str")], answer)[0]
        mixed.setdefault(name, []).append(column)
        columns.setdefault(name, None)
    for name, parts in mixed.items():
        columns[name] = pd.Series(_merged(parts), dtype=object)
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def _merged(parts: Sequence[pa.ChunkedArray]) -> list[Any]:
    """Merge the columns of several types into one list, with None for a row that has no value."""
    values: list[Any] = parts[0].to_pylist()
    for part in parts[1:]:
        values = [old if new is None else new for old, new in zip(values, part.to_pylist())]
    return values


def _series(pd: Any, kind: pa.DataType, column: pa.ChunkedArray) -> Any:
    if pa.types.is_fixed_size_list(kind) and type_conversion.is_number(kind.value_type):
        return pd.Series(_vectors(column), dtype=object)
    if type_conversion.is_list(kind):
        return pd.Series(column.to_pylist(), dtype=object)
    if column.null_count and pa.types.is_integer(kind):
        return column.to_pandas(types_mapper={kind: pd.Int64Dtype()}.get)
    if column.null_count and pa.types.is_boolean(kind):
        return column.to_pandas(types_mapper={kind: pd.BooleanDtype()}.get)
    return column.to_pandas()


def _vectors(column: pa.ChunkedArray) -> list[Any]:
    """Return one numpy array per row, None for null."""
    out: list[Any] = []
    for chunk in column.chunks:
        if not len(chunk):  # the lists may have size 0, which `reshape` cannot handle
            continue
        rows = list(
            chunk.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, chunk.type.list_size)
        )
        if chunk.null_count:
            given = iter(rows)
            rows = [next(given) if valid else None for valid in chunk.is_valid().to_pylist()]
        out += rows
    return out


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Convert a table to a polars DataFrame with the same columns."""
    import polars as pl

    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
