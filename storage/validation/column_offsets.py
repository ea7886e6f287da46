"""Whether the columns of a file can be read by what checks nothing.

Owns: the questions that are asked of a column once, before its first use: whether the texts that its offsets
tell of lie in its bytes, whether positions ascend, whether row numbers name each row once. Compiled where
that could be done (`_kernel.c`), else in numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..native import kernel


def offsets_fit(offsets: memoryview, size: int) -> bool:
    """Whether offsets, int32 or int64, begin at 0 or later, never fall, and end within `size` bytes."""
    if kernel.compiled is not None:
        fits: bool = kernel.compiled.offsets_fit(offsets, size)
        return fits
    given = np.asarray(offsets)
    return bool(given[0] >= 0 and given[-1] <= size and np.all(given[1:] >= given[:-1]))


def ascends(numbers: npt.NDArray[np.int64]) -> bool:
    """Whether no number is less than the one before."""
    if kernel.compiled is not None:
        right: bool = kernel.compiled.ascends(numbers)
        return right
    return bool(np.all(numbers[1:] >= numbers[:-1]))


def names_each(rows: npt.NDArray[np.uint32]) -> bool:
    """Whether every number from 0 on, as many as there are, is among the rows."""
    if kernel.compiled is not None:
        right: bool = kernel.compiled.names_each(rows)
        return right
    seen: Any = np.zeros(len(rows), np.bool_)
    if not len(rows) or int(rows.max()) >= len(rows):
        return not len(rows)
    seen[rows] = True
    return bool(seen.all())
