"""Calculates the size of values that many rows share: views of the same bytes, categories, bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .type_conversion import is_list

_VALUE_BYTES = 16  # the minimum size of a value other than a text as an object
_is: Any = pa.types


def weigh_all(table: pa.Table | pa.RecordBatch, embedding: str = "embedding") -> int:
    """Return the total size of the values of all columns in bytes, with the vectors of the column
    `embedding` as float32."""
    return sum(
        _numbers(part) * 4 if name == embedding else weigh(part)
        for name, column in zip(table.schema.names, table.columns)
        for part in (column.chunks if isinstance(column, pa.ChunkedArray) else [column])
    )


def _numbers(vectors: pa.Array) -> int:
    return len(vectors.flatten()) if is_list(vectors.type) else 0


def weigh(array: pa.Array) -> int:
    """Return the size in bytes of the values of a column when each value is a separate object.

    The size exceeds that of the column if a value takes one bit, or if several texts share bytes.
    The column must have been validated.
    """
    if _is.is_null(array.type) or not len(array):
        return 0
    if isinstance(array, pa.ExtensionArray):
        return weigh(array.storage)
    if _is.is_struct(array.type):
        return sum(map(weigh, array.flatten()))
    if _is.is_dictionary(array.type):
        return _weigh_categories(array)
    if is_list(array.type):
        return _VALUE_BYTES * len(array) + weigh(array.flatten())
    if _is.is_string_view(array.type) or _is.is_binary_view(array.type):
        end = array.offset + len(array)
        views = np.frombuffer(array.buffers()[1], np.int32, 4 * end).reshape(-1, 4)
        lengths = views[array.offset :, 0].astype(np.int64)
        return int(lengths[array.is_valid().to_numpy(zero_copy_only=False)].sum())
    return max(int(array.nbytes), _VALUE_BYTES * len(array) if not _is_bytes(array.type) else 0)


def _weigh_categories(array: pa.DictionaryArray) -> int:
    values = array.dictionary
    if not _is_bytes(values.type) and not _is.is_string_view(values.type):
        return _VALUE_BYTES * len(array)
    indices = array.indices.drop_null().cast(pa.int64()).to_numpy()
    lengths = pc.binary_length(values.cast(pa.large_binary())).fill_null(0).to_numpy()
    return int(lengths[indices].sum()) + _VALUE_BYTES * len(array)


def _is_bytes(type: pa.DataType) -> bool:
    return bool(
        _is.is_string(type) or _is.is_large_string(type) or _is.is_binary(type) or _is.is_large_binary(type)
    )
