"""Checks that the columns of a file are safe for code that does not check them again.

Owns: the checks that a column gets once, before its first use. They check that the texts lie within the
column's bytes, that positions ascend, and that row numbers contain each row once. The checks are compiled
(`_kernel.c`) if possible, otherwise they use numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..native import kernel


def offsets_fit(offsets: memoryview, size: int) -> bool:
    """Whether offsets, int32 or int64, begin at 0 or more, never decrease, and end within `size` bytes."""
    if kernel.compiled is not None:
        fits: bool = kernel.compiled.offsets_fit(offsets, size)
        return fits
    given = np.asarray(offsets)
    return bool(given[0] >= 0 and given[-1] <= size and np.all(given[1:] >= given[:-1]))


def ascends(numbers: npt.NDArray[np.int64]) -> bool:
    """Whether no number is less than its predecessor."""
    if kernel.compiled is not None:
        right: bool = kernel.compiled.ascends(numbers)
        return right
    return bool(np.all(numbers[1:] >= numbers[:-1]))


def names_each(rows: npt.NDArray[np.uint32]) -> bool:
    """Whether the rows are a permutation of the numbers from 0 to n - 1."""
    if kernel.compiled is not None:
        right: bool = kernel.compiled.names_each(rows)
        return right
    seen: Any = np.zeros(len(rows), np.bool_)
    if not len(rows) or int(rows.max()) >= len(rows):
        return not len(rows)
    seen[rows] = True
    return bool(seen.all())
