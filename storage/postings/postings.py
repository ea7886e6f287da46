"""`Postings`, an inverted index over the rows of a segment or memtable.

Owns: how postings are built from entries, and the check of postings from a file. A term is a number:
the index of a component of a sparse vector, or the hash of a word.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..native import kernel
from ..schema import sparse_entries
from ..schema.record_columns import Ints
from ..schema.sparse_entries import Entries

Terms = npt.NDArray[np.uint32]
RowIds = npt.NDArray[np.uint32]
Values = npt.NDArray[Any]


class Postings(NamedTuple):
    """An inverted index.

    terms    uint32 (t,), ascending
    starts   int64 (t + 1,): where the postings of each term begin, and the last ones end
    rows     uint32 (p,): the row of each posting; those of a term ascend
    values   float32 (p,), or uint16 (p,): how often a word occurs
    most     (t,), of the type of the values: the greatest absolute value of each term
    lengths  uint32 (rows,): the number of words of each row, if the values are frequencies. Otherwise None.
             A row that is not indexed here has 0
    positive whether no value is negative. False: it is not known
    """

    terms: Terms
    starts: Ints
    rows: RowIds
    values: Values
    most: Values
    lengths: npt.NDArray[np.uint32] | None = None
    positive: bool = False

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self if isinstance(array, np.ndarray))


def build(entries: Entries, lengths: npt.NDArray[np.uint32] | None = None) -> Postings:
    """Make the inverted index of some entries."""
    order = _order(entries.terms)
    sorted_terms = entries.terms[order]
    begins = np.flatnonzero(np.r_[True, sorted_terms[1:] != sorted_terms[:-1]]) if len(order) else _NONE
    starts = np.append(begins, len(order)).astype(np.int64)
    values = entries.values[order]
    greatest = np.abs(values) if values.dtype.kind == "f" else values
    most = np.maximum.reduceat(greatest, begins) if len(order) else greatest
    return Postings(
        terms=sorted_terms[begins],
        starts=starts,
        rows=entries.rows[order],
        values=values,
        most=most,
        lengths=lengths,
        positive=_is_positive(values),
    )


_NONE = np.empty(0, np.int64)


def _is_positive(values: Values) -> bool:
    return values.dtype.kind == "u" or not len(values) or float(values.min()) >= 0


def _order(terms: Terms) -> npt.NDArray[Any]:
    """Return the order that sorts the terms. Equal terms stay in the order of their rows."""
    if kernel.postings is None or len(terms) > np.iinfo(np.uint32).max:
        return np.argsort(terms, kind="stable")
    order = np.empty(len(terms), np.uint32)
    kernel.postings.order(np.ascontiguousarray(terms), order)
    return order


def merge(one: Postings, other: Postings) -> Postings:
    """Merge two inverted indexes into one. The rows of the second come after those of the first."""
    lengths = None
    if one.lengths is not None and other.lengths is not None:
        lengths = other.lengths.copy()
        lengths[: len(one.lengths)] += one.lengths
    return build(sparse_entries.join([entries_of(one), entries_of(other)]), lengths)


def entries_of(postings: Postings) -> Entries:
    """Return the entries that the postings were built from."""
    terms = np.repeat(postings.terms, np.diff(postings.starts))
    order = np.lexsort((terms, postings.rows))
    return Entries(postings.rows[order], terms[order], postings.values[order])


def checked(postings: Postings, rows: int) -> Postings:
    """Raise ValueError unless the arrays fit each other and the segment. Later reads rely on this.

    Returns the postings with `positive` set.
    """
    count = len(postings.rows)
    sizes = len(postings.values) == count and len(postings.most) == len(postings.terms)
    if not sizes or not _sound(postings, rows):
        raise ValueError("its postings do not fit each other")
    if postings.values.dtype.kind == "f":
        finite = bool(np.isfinite(postings.values).all() and np.isfinite(postings.most).all())
        if not finite or (len(postings.most) and float(postings.most.min()) < 0):
            raise ValueError("it has values that are not finite")
    if postings.lengths is not None and len(postings.lengths) != rows:
        raise ValueError(f"it has the lengths of {len(postings.lengths)} texts for {rows} rows")
    return postings._replace(positive=_is_positive(postings.values))


def _sound(postings: Postings, rows: int) -> bool:
    terms, starts, of = postings.terms, postings.starts, postings.rows
    if kernel.postings is not None:
        return bool(kernel.postings.sound(terms, starts, of, rows))
    if len(starts) != len(terms) + 1 or starts[0] or starts[-1] != len(of):
        return False
    if np.any(starts[1:] <= starts[:-1]) or np.any(terms[1:] <= terms[:-1]):
        return False
    rises = of[1:] > of[:-1]
    rises[starts[1:-1] - 1] = True  # between two terms
    return bool(rises.all()) and (not len(of) or int(of.max()) < rows)
