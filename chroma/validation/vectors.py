"""Converts vectors in any accepted form to one checked, finite float32 matrix in C order.

Accepts lists, tuples, numpy arrays of any float or integer type, pandas Series, Arrow arrays
(FixedSizeList included) and objects that numpy can read. Refuses booleans and texts.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgumentError, InvalidDimensionException
from ..storage.interface.short_repr import shown
from ..storage.interface.values import Floats

# The number of rows checked in one step, chosen so that temporary arrays stay in the CPU cache.
_STEP = 4096

_ACCEPTED = (
    "Expected embeddings to be a list of floats or ints, a list of lists, a numpy array, "
    "or a list of numpy arrays"
)
_TEXTS = {"embeddings": "documents", "query_embeddings": "query_texts"}  # the arguments beside them


def as_matrix(vectors: Any, field: str = "embeddings") -> Floats:
    """Convert one vector or several to a float32 array of shape (n, dim).

    The result may share memory with an argument that is already a float32 matrix.
    """
    matrix = _matrix(vectors, field)
    if matrix.shape[0] == 0 or matrix.shape[1] == 0:
        raise InvalidArgumentError(
            f"Expected Embeddings to be non-empty list or numpy array, got {field} of shape {matrix.shape}"
        )
    return matrix


def _matrix(vectors: Any, field: str) -> Floats:
    if type(vectors) is list and len(vectors) == 1 and type(vectors[0]) is np.ndarray:
        if vectors[0].ndim == 1 and vectors[0].dtype != object:
            return _from_array(vectors[0], field)  # the usual query: no mixed rows to check for
    if vectors is None:
        raise InvalidArgumentError(f"{_ACCEPTED}, got {field}=None")
    if isinstance(vectors, (str, bytes, dict, set)):
        text = f"{_ACCEPTED}, got {field}={shown(vectors)}"
        if isinstance(vectors, str) and field in _TEXTS:
            text += f"; texts are given as {_TEXTS[field]}=…"
        raise InvalidArgumentError(text)
    if hasattr(vectors, "to_pylist"):
        vectors = _from_arrow(vectors, field)
    if isinstance(vectors, np.ndarray) and vectors.dtype != object and not np.ma.isMaskedArray(vectors):
        return _from_array(vectors, field)
    if isinstance(vectors, Sequence) and not isinstance(vectors, (list, tuple, array, memoryview)):
        vectors = list(vectors)
    if not isinstance(vectors, (list, tuple)):
        vectors = readable(vectors, field)
        if vectors.dtype != object:
            return _from_array(vectors, field)
    if len(vectors) == 0:
        return np.empty((0, 0), dtype=np.float32)
    if _is_number(vectors[0]):
        return _from_lists([list(vectors)], field)
    return _from_rows(list(vectors), field)


def _is_number(value: Any) -> bool:
    """Whether the entry is a plain number, which means that the argument is a single vector."""
    return isinstance(value, (int, float, np.generic)) and not isinstance(value, (str, bytes))


def readable(value: Any, field: str) -> npt.NDArray[Any]:
    """Convert an object that numpy can read (Series, tensor, buffer) to an array. Refuses scalars."""
    if np.ma.isMaskedArray(value):
        return _unmasked(value, field)
    try:
        if hasattr(value, "__array__") or isinstance(value, (array, memoryview)):
            return np.asarray(value)
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
    except Exception as error:  # of any library: a tensor of another device, or one with a gradient
        if hasattr(value, "tolist"):
            return np.asarray(value.tolist(), np.float32)
        raise InvalidArgumentError(
            f"{field} is a {type(value).__name__} that numpy cannot read: {error}; copy it to the main "
            "memory and convert it, with .detach().cpu().numpy() in torch"
        ) from None
    raise InvalidArgumentError(f"{_ACCEPTED}, got {field}={shown(value)}")


def _unmasked(vectors: Any, field: str) -> npt.NDArray[Any]:
    """Return the numbers of a masked array. Refuses an array in which a number is masked."""
    if (masked := np.argwhere(np.ma.getmaskarray(vectors))).size:
        at = "".join(f"[{index}]" for index in masked[0])
        raise InvalidArgumentError(
            f"{field}{at} is masked: a vector has all its numbers; fill it, or drop it"
        )
    plain: npt.NDArray[Any] = vectors.data
    return plain


def _from_arrow(column: Any, field: str) -> Any:
    """Convert a list array, fixed-size or not, to a matrix without creating a Python object per number."""
    if hasattr(column, "combine_chunks"):
        column = column.combine_chunks()
    if column.null_count:
        raise InvalidArgumentError(f"{_ACCEPTED}, got {column.null_count} null entries in {field}")
    if not hasattr(column, "flatten"):
        return column.to_numpy(zero_copy_only=False)
    numbers = column.flatten()
    if numbers.null_count:
        raise InvalidArgumentError(f"{_ACCEPTED}, got {numbers.null_count} null numbers in {field}")
    if len(column) == 0:
        return np.empty((0, 0), dtype=np.float32)
    dims = column.value_lengths().to_numpy(zero_copy_only=False) if hasattr(column, "value_lengths") else None
    if dims is not None and (dims != dims[0]).any():
        raise uneven_list(dims.tolist(), field)
    return numbers.to_numpy(zero_copy_only=False).reshape(len(column), -1)


def _from_array(vectors: npt.NDArray[Any], field: str) -> Floats:
    if vectors.dtype.kind not in "fiu":
        raise InvalidArgumentError(f"{_ACCEPTED}, got {field} of dtype {vectors.dtype}")
    if vectors.ndim == 1:
        vectors = vectors.reshape(1, -1)
    if vectors.ndim != 2:
        raise InvalidArgumentError(f"{_ACCEPTED}, got {field} with {vectors.ndim} dimensions: pass (n, dim)")
    if vectors.dtype == np.float32:
        matrix = np.ascontiguousarray(vectors)
        return _finite(matrix if matrix.flags.aligned else matrix.copy(), vectors, field)
    with np.errstate(over="ignore"):  # the next check refuses numbers that overflow to infinity
        matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    return _finite(matrix, vectors, field)


def _from_rows(rows: list[Any], field: str) -> Floats:
    """Convert several vectors. Rows of one type take a fast path; mixed rows are converted one by one."""
    kinds = set(map(type, rows))
    if kinds == {list}:
        return _from_lists(rows, field)
    if kinds != {np.ndarray}:
        rows = [_row(row, row_index, field) for row_index, row in enumerate(rows)]
    forms = {(row.ndim, row.dtype.kind) for row in rows}
    if not forms <= {(1, "f"), (1, "i"), (1, "u")}:
        row_index, odd = next(
            (row_index, row)
            for row_index, row in enumerate(rows)
            if row.ndim != 1 or row.dtype.kind not in "fiu"
        )
        raise InvalidArgumentError(
            f"{_ACCEPTED}, got {field}[{row_index}] of dtype {odd.dtype} with {odd.ndim} dimensions"
        )
    _check_even(rows, field)
    with np.errstate(over="ignore"):
        matrix = np.concatenate(rows, dtype=np.float32, casting="unsafe").reshape(len(rows), -1)
    return _finite(matrix, rows, field)


def _row(row: Any, row_index: int, field: str) -> npt.NDArray[Any]:
    """Convert one vector of a mixed column to an array, keeping its number type."""
    if np.ma.isMaskedArray(row):
        row = _unmasked(row, f"{field}[{row_index}]")
    if isinstance(row, np.ndarray) and row.dtype != object:
        return row
    if isinstance(row, np.ndarray):
        row = row.tolist()
    elif hasattr(row, "to_pylist"):
        row = row.to_pylist()
    if isinstance(row, (list, tuple)):
        vector: npt.NDArray[Any] = _from_lists([list(row)], f"{field}[{row_index}]")[0]
        return vector
    if row is not None and not isinstance(row, (str, bytes)):
        return readable(row, f"{field}[{row_index}]")
    raise InvalidArgumentError(f"{_ACCEPTED}, got {field}[{row_index}]={shown(row)}")


def _from_lists(rows: list[list[Any]], field: str) -> Floats:
    """Convert rows of Python numbers. `array.fromlist` is as fast as numpy's own conversion, but refuses
    the texts and None values that numpy would parse or guess."""
    _check_even(rows, field)
    numbers = array("f")
    for row_index, row in enumerate(rows):
        try:
            numbers.fromlist(row)
        except (TypeError, OverflowError):
            raise _bad_entry(rows, row_index, field) from None
    matrix: Floats = np.frombuffer(numbers, dtype=np.float32).reshape(len(rows), -1)
    _refuse_bools(rows, matrix, field)
    return _finite(matrix, rows, field)


def _bad_entry(rows: list[list[Any]], row_index: int, field: str) -> InvalidArgumentError:
    at = f"{field}[{row_index}]" if len(rows) > 1 else field
    for index, number in enumerate(rows[row_index]):
        try:
            float(number) if not isinstance(number, (str, bytes)) else _not_number()
        except OverflowError:
            return _not_finite(f"{at}[{index}]", number)
        except (TypeError, ValueError):
            return InvalidArgumentError(f"{_ACCEPTED}, got {at}[{index}]={shown(number)}")
    return InvalidArgumentError(f"{_ACCEPTED}, got {at}={shown(rows[row_index])}")


def _not_number() -> None:
    raise TypeError


def _refuse_bools(rows: list[list[Any]], matrix: Floats, field: str) -> None:
    """Refuse booleans. A bool became 0.0 or 1.0, so only entries with these values can have been a bool.
    If there are many such entries, one pass over all types is cheaper than a check of each entry."""
    bools = (bool, np.bool_)
    small = matrix.size <= _STEP  # true for most queries
    suspects = None if small else np.flatnonzero((matrix == 0) | (matrix == 1))
    if suspects is None or len(suspects) > matrix.size // 64 + 16:
        if not set(map(type, chain.from_iterable(rows))).isdisjoint(bools):
            row_index, number = next(
                (i, x) for i, row in enumerate(rows) for x in row if isinstance(x, bools)
            )
            raise InvalidArgumentError(f"{_ACCEPTED}, got {number!r} in {field}[{row_index}]")
        return
    for row_index, index in zip(*np.unravel_index(suspects, matrix.shape), strict=True):
        if isinstance(rows[row_index][index], bools):
            raise InvalidArgumentError(f"{_ACCEPTED}, got {rows[row_index][index]!r} in {field}[{row_index}]")


def _check_even(rows: Sequence[Any], field: str) -> None:
    dims = set(map(len, rows))
    if len(dims) > 1:
        raise uneven_list([len(row) for row in rows], field)


def uneven_list(dims: Sequence[int], field: str) -> InvalidArgumentError:
    """Return the error for a list of vectors of different lengths."""
    row_index = next(row_index for row_index, dim in enumerate(dims) if dim != dims[0])
    return InvalidDimensionException(
        f"Inconsistent dimensions in provided embeddings: {field}[0] has {dims[0]} and "
        f"{field}[{row_index}] has {dims[row_index]}; all vectors of a collection have one length"
    )


def uneven_column(name: str, first: int, row: int, other: int) -> InvalidArgumentError:
    """Return the error for a column with `first` numbers in row 0 and `other` numbers in row `row`."""
    return InvalidDimensionException(
        f"Inconsistent dimensions in the column {name!r}: row 0 has {first} and row {row} has {other}; all "
        "vectors of a collection have one length"
    )


def stacked(blocks: Sequence[Floats], name: str) -> Floats:
    """Concatenate parts of a column of vectors. Raises InvalidDimensionException if their widths differ."""
    row = 0
    for block in blocks:
        if block.shape[1] != blocks[0].shape[1]:
            raise uneven_column(name, blocks[0].shape[1], row, block.shape[1])
        row += len(block)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _finite(matrix: Floats, source: Any, field: str) -> Floats:
    """Refuse NaN, infinities, and numbers outside the range of float32."""
    if len(matrix) == 1 and math.isfinite(np.vdot(matrix, matrix)):
        return matrix  # one non-finite number would make the product non-finite
    for start in range(0, len(matrix), _STEP):
        block = matrix[start : start + _STEP]
        with np.errstate(invalid="ignore", over="ignore"):
            # One non-finite number makes its row's product non-finite. Four times as fast as `isfinite`.
            if np.isfinite(np.einsum("ij,ij->i", block, block)).all():
                continue
        good = np.isfinite(block)
        if not good.all():
            row, index = (int(at) for at in np.argwhere(~good)[0])
            raise _not_finite(f"{field}[{start + row}][{index}]", source[start + row][index])
    return matrix


def _not_finite(at: str, value: Any) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"embeddings must not contain NaN or Infinity (Non-finite float value) once stored as float32: "
        f"{at} is {shown(value)}; drop or replace such vectors"
    )
