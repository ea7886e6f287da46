"""Tables of any kind into records, and records into tables. Only `detect` is loaded with the package.

detect    what a table is
naming    what metadata keys are called as columns
sources   any table as Arrow record batches
convert   Arrow types to what metadata can be
records   record batches to the records of a write
columns   answers of a backend to tables
frames    tables to dataframes
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..internal.optional_dependencies import require_arrow
from .detect import is_table

if TYPE_CHECKING:
    from ..validation.write_batch import Batch


def read(table: Any, columns: Any) -> Batch:
    """Any table as one batch of a write; see `records`."""
    require_arrow()
    from .to_records import read

    return read(table, columns)


__all__ = ["is_table", "read"]
