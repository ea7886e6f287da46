"""A set of rows in a segment or memtable, as row numbers or as a mask.

Owns: the choice between the two forms, and union, intersection and complement. Row numbers are ascending and
distinct. Sets are read-only, because threads share the sets in the filter cache. The form that was not given
is computed on first use.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..schema.record_columns import Ints, Mask

# A set with up to this share of all rows is made by sorting row numbers, a larger one by filling a mask. With
# 1 % of 70k (1M) rows, sorting takes 5 (140) µs, and filling and reading a mask 16 (300) µs. With 10 %,
# sorting takes 100 (2,500) µs and the mask 52 (2,100) µs.
FEW_SHARE = 1 / 64


class RowSet:
    """A subset of `size` rows. One of `rows` and `mask` is given; neither is modified afterwards.

    All attributes are read-only and constant. Each form is computed at most once.
    """

    __slots__ = ("__weakref__", "_bits", "_by_rows", "_count", "_mask", "_rows", "_size")

    def __init__(self, size: int, rows: Ints | None = None, mask: Mask | None = None) -> None:
        self._size, self._by_rows = size, rows is not None
        self._rows, self._mask = rows, mask
        self._count = -1 if rows is None else len(rows)
        self._bits: npt.NDArray[np.uint8] | None = None

    @property
    def size(self) -> int:
        return self._size

    @property
    def by_rows(self) -> bool:
        """Whether the set was given by row numbers."""
        return self._by_rows

    @property
    def some(self) -> bool:
        """False if the set was given by row numbers and is empty. True otherwise, even if a mask is empty."""
        return not self._by_rows or self._count != 0

    @property
    def count(self) -> int:
        if self._count < 0:
            self._count = int(np.count_nonzero(self.mask))
        return self._count

    @property
    def rows(self) -> Ints:
        """The row numbers, int64, ascending."""
        if self._rows is None:
            self._rows = np.flatnonzero(self.mask)
        return self._rows

    @property
    def mask(self) -> Mask:
        """The mask, bool (size,). Callers must not modify it."""
        if self._mask is None:
            mask = np.zeros(self._size, np.bool_)
            mask[self._rows] = True
            self._mask = mask
        return self._mask

    def bytes(self) -> bytearray:
        """Copy the mask, with one byte per row, for hnswlib's filter callback. The copy is not kept."""
        return bytearray(self.mask.tobytes())

    @property
    def bits(self) -> npt.NDArray[np.uint8]:
        """The mask with one bit per row, the lowest bit of a byte first, uint8 ((size + 7) // 8,)."""
        if self._bits is None:
            self._bits = np.packbits(self.mask, bitorder="little")
        return self._bits

    @property
    def nbytes(self) -> int:
        """The memory of all forms in bytes, because a cached set may come to hold them."""
        return self.size + (self.size + 7) // 8 + 8 * self.count

    def without(self, tombstones: Mask) -> RowSet:
        """Return the rows in the set that are not deleted."""
        if self.by_rows:
            return RowSet(self.size, rows=self.rows[~tombstones[self.rows]])
        return RowSet(self.size, mask=self.mask & ~tombstones)

    def first(self, size: int) -> RowSet:
        """Restrict the set to the first `size` rows."""
        if size >= self.size:
            return self
        if self.by_rows:
            return RowSet(size, rows=self.rows[: int(self.rows.searchsorted(size))])
        return RowSet(size, mask=self.mask[:size])


_NO_ROWS: Ints = np.empty(0, np.int64)
_NO_ROWS.flags.writeable = False


def none(size: int) -> RowSet:
    return RowSet(size, rows=_NO_ROWS)


def everything(size: int) -> RowSet:
    return RowSet(size, mask=np.ones(size, np.bool_))


def complement(of: RowSet) -> RowSet:
    if not of.by_rows:
        return RowSet(of.size, mask=~of.mask)
    mask = np.ones(of.size, np.bool_)
    mask[of.rows] = False
    return RowSet(of.size, mask=mask)


def intersection(parts: Iterable[RowSet]) -> RowSet:
    """Return the intersection of at least one set.

    Stops iterating at the first empty set. Here and in `union`, masks are combined one by one, because
    keeping a hundred masks of a million rows would take 100 MB.
    """
    mask: Mask | None = None
    single: RowSet | None = None  # the first set with a mask, which must not be modified
    few: list[RowSet] = []
    size = 0
    for part in parts:
        size = part.size
        if not part.some:
            return part
        if part.by_rows:
            few.append(part)
        elif single is None:
            single = part
        elif mask is None:
            mask = single.mask & part.mask
        else:
            mask &= part.mask
    joined = single if mask is None else RowSet(size, mask=mask)
    if not few:
        assert joined is not None
        return joined
    few.sort(key=lambda part: part.count)
    rows = few[0].rows
    if joined is not None:
        rows = rows[joined.mask[rows]]
    for part in few[1:]:
        at = part.rows.searchsorted(rows)
        at[at == part.count] = 0
        rows = rows[part.rows[at] == rows]
    return few[0] if rows is few[0].rows else RowSet(size, rows=rows)


def union(size: int, parts: Iterable[RowSet]) -> RowSet:
    """Return the union of the sets."""
    mask: Mask | None = None
    single: RowSet | None = None
    few: list[RowSet] = []
    for part in parts:
        if not part.some:
            continue
        if part.by_rows:
            few.append(part)
        elif single is None:
            single = part
        elif mask is None:
            mask = single.mask | part.mask
        else:
            mask |= part.mask
    if not few:
        if single is None:
            return none(size)
        return single if mask is None else RowSet(size, mask=mask)
    if single is None:
        return few[0] if len(few) == 1 else gathered(size, np.concatenate([part.rows for part in few]))
    if mask is None:
        mask = single.mask.copy()
    for part in few:
        mask[part.rows] = True
    return RowSet(size, mask=mask)


def gathered(size: int, rows: npt.NDArray[np.uint32] | Ints) -> RowSet:
    """Make a set from row numbers in any order, with possible repetitions."""
    if len(rows) > size * FEW_SHARE:
        mask = np.zeros(size, np.bool_)
        mask[rows] = True
        return RowSet(size, mask=mask)
    ordered: Ints = distinct(np.sort(rows)).astype(np.int64, copy=False)
    return RowSet(size, rows=ordered)


def distinct(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Remove repetitions from ascending row numbers."""
    again = rows[1:] == rows[:-1]
    return rows[np.concatenate(([True], ~again))] if again.any() else rows
