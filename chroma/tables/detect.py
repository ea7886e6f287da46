"""Tells whether a value is a table, without importing any dataframe library."""

from __future__ import annotations

from typing import Any


def is_table(value: Any) -> bool:
    """Whether a value is a table, rather than a column or a list of values."""
    if isinstance(value, (str, bytes, list, tuple, dict)):
        return is_result(value) or is_dataset(value)
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    if kind.__name__ in ("Series", "ChunkedArray", "Index") or module == "numpy":
        return False
    if module in ("pandas", "polars"):
        return kind.__name__ in ("DataFrame", "LazyFrame")
    if module == "pyarrow":
        return hasattr(value, "schema")
    return hasattr(value, "__arrow_c_stream__") or _is_relation(value) or is_dataset(value)


def is_result(value: Any) -> bool:
    """Whether a value is a result of get or query."""
    return isinstance(value, dict) and "included" in value and hasattr(value, "to_arrow")


def is_dataset(value: Any) -> bool:
    """Whether a value is a dataset of the package datasets, or several splits of one."""
    if isinstance(value, dict):
        return type(value).__name__ in ("DatasetDict", "IterableDatasetDict")
    return all(hasattr(value, name) for name in ("with_format", "iter", "features"))


def _is_relation(value: Any) -> bool:
    return type(value).__name__ == "DuckDBPyRelation"
