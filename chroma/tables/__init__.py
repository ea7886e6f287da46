"""Converts tables to records and records to tables. Importing the package loads only `detect`.

detect           tells whether a value is a table
column_names     maps metadata keys to column names
readers          reads any table as Arrow record batches
objects          converts columns of Python objects to Arrow columns
type_conversion  converts Arrow types to types that metadata can have
to_records       converts a table to the records of a write
from_rows        converts rows of a backend to tables
from_results     converts results of get and query to tables
dataframes       converts Arrow tables to dataframes
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..internal.optional_dependencies import require_arrow
from .detect import is_table

if TYPE_CHECKING:
    from ..validation.write_batch import Batch


def read(table: Any, columns: Any, *, new: bool = False) -> Batch:
    """Convert any table to one batch for a write; see `to_records`."""
    require_arrow()
    from .to_records import read

    return read(table, columns, new=new)


__all__ = ["is_table", "read"]
