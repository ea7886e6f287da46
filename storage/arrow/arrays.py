"""Convert between Arrow arrays and values of Python or numpy, through the arrays' buffers.

Owns: replacements for `pa.array` and Arrow's own conversions, for the engine's types. Arrow's conversions
import pandas if it is installed, which takes 0.2 s and 30 MB of memory. That is longer than opening a
database and searching it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..interface.values import Floats
from ..native import kernel
from .ipc_file import Column
from .lazy_pyarrow import pa
from .text_column import Text

WIDE_TEXT = 1 << 31  # a text column with this many bytes needs 64-bit offsets


def to_list(array: pa.Array) -> list[str | None]:
    """Convert a text array to Python strings."""
    start, end = array.offset, array.offset + len(array)
    if start == end:
        return []
    buffers = [memoryview(b"" if buffer is None else buffer).cast("B") for buffer in array.buffers()]
    column = Column(array.null_count, buffers, array.type == pa.large_string())
    return Text(column, end).take(np.arange(start, end))


def text_array(values: Sequence[str | None]) -> pa.Array:
    """Convert texts to an Arrow string array, with 32-bit offsets if they suffice, else 64-bit offsets."""
    given = list(values)
    offsets, data, nulls = _encoded(given) if kernel.compiled is None else kernel.compiled.encoded(given)
    ends = np.frombuffer(offsets, np.int64)
    wide = len(data) >= WIDE_TEXT
    there = np.fromiter((text is not None for text in given), np.bool_, len(given)) if nulls else None
    buffers = [
        None if there is None else _bits(there),
        pa.py_buffer(ends if wide else ends.astype(np.int32)),
        pa.py_buffer(data),
    ]
    return pa.Array.from_buffers(pa.large_string() if wide else pa.string(), len(given), buffers, nulls)


def _encoded(values: list[str | None]) -> tuple[bytes, bytes, int]:
    """Encode texts.

    Returns the offsets of the texts and of their end as int64, the texts as UTF-8, and the number of Nones.
    """
    encoded = [b"" if text is None else text.encode() for text in values]
    ends = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=ends[1:])
    return ends.tobytes(), b"".join(encoded), values.count(None)


def number_array(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Convert numbers or booleans to an Arrow array. Numbers are not copied. Values not `valid` are null."""
    nulls = 0 if valid is None else len(valid) - int(np.count_nonzero(valid))
    data = _bits(values) if values.dtype == np.bool_ else pa.py_buffer(np.ascontiguousarray(values))
    buffers = [None if valid is None else _bits(valid), data]
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), buffers, nulls)


def _bits(truths: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(truths, bitorder="little"))


def narrow_text(array: pa.Array) -> pa.Array:
    """Convert a text array to 32-bit offsets if they suffice."""
    if array.type == pa.string() or array.nbytes >= WIDE_TEXT:
        return array
    return array.cast(pa.string())  # imports Arrow's compute functions


def vector_array(vectors: Floats) -> pa.Array:
    """Convert float32 (n, dim) to a fixed-size list array, without copying."""
    flat = np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(number_array(flat), vectors.shape[1])


def matrix(array: pa.Array) -> Floats:
    """Return a fixed-size list array of float32 as a read-only view, (n, dim)."""
    width = array.type.list_size
    start, end = array.offset, array.offset + len(array)  # `flatten` would import Arrow's functions
    return numbers(array.values).reshape(-1, width)[start:end]


_NUMBERS: dict[str, np.dtype[Any]] = {
    "int32": np.dtype(np.int32),
    "int64": np.dtype(np.int64),
    "uint32": np.dtype(np.uint32),
    "uint64": np.dtype(np.uint64),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}


def numbers(array: pa.Array) -> npt.NDArray[Any]:
    """Return numbers as a read-only view, or booleans as a copy. Null entries have arbitrary values."""
    if pa.types.is_boolean(array.type):
        return _truths(array, 1)
    kind = _NUMBERS[str(array.type)]
    if not len(array):
        return np.empty(0, kind)
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize)


def valid(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Return whether each entry has a value, bool (n,)."""
    return _truths(array, 0) if array.null_count else np.ones(len(array), np.bool_)


def _truths(array: pa.Array, buffer: int) -> npt.NDArray[np.bool_]:
    if not len(array):
        return np.empty(0, np.bool_)
    first, start = divmod(array.offset, 8)
    line = np.frombuffer(array.buffers()[buffer], np.uint8, offset=first)
    return np.unpackbits(line, count=start + len(array), bitorder="little")[start:].view(np.bool_)
