"""Find the documents that contain a text, by an exact, case-sensitive scan of their bytes.

Owns: the scan of the bytes of all documents, one after the other. Comparing bytes is enough: in UTF-8, a
match can only begin at the beginning of a character. An index over n-grams may say in which units of the
bytes matches can begin; then only these are scanned. The scan is compiled (`_text.c`) if possible, otherwise
it uses numpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrow.arrays import valid
from ..arrow.lazy_pyarrow import pa
from ..arrow.text_column import Text
from ..index import ngrams
from ..index.ngrams import Bytes, Ngrams, Words
from ..native import kernel
from ..schema.record_columns import Ints, Mask
from .row_set import FEW_SHARE, RowSet, distinct

# Bytes scanned by numpy in one step. In 70,000 documents (5.3 MB), finding a word takes 1.9 ms with this
# size, 3 ms with 64 KB (numpy is called more often), and 2.5 ms with 1 MB (the intermediate masks do not fit
# into the cache). Arrow's match_substring takes 11 to 20 ms, and bytes.find on a copy 3 to 10 ms. The
# compiled scan takes 0.4 ms.
_STEP = 1 << 18
_SAMPLE = 1 << 16  # bytes in the sample that determines which byte values are rare
# Of a long text, numpy compares only this many bytes. The rest is compared for the few documents that contain
# them, in a time that does not depend on the number of partial matches ("aaaa" in "aaaaaaaa…").
_COMPARED = 16
_FEW_UNITS = 1 / 250  # up to this share, numpy scans single units faster than everything


class Documents:
    """The bytes of some documents.

    offsets  where each document begins in `data`, and where the last one ends
    data     the bytes of all documents, uint8
    there    whether each row has a document; None if all have
    """

    def __init__(self, offsets: npt.NDArray[Any], data: Bytes, there: Mask | None) -> None:
        first, last = int(offsets[0]), int(offsets[-1])
        if first or not offsets.flags.aligned:
            offsets = offsets - first
        self.offsets = offsets
        self.data, self.there = data[first:last], there
        self._often: Ints | None = None

    @classmethod
    def of_text(cls, text: Text) -> Documents:
        return cls(*text.buffers())

    @classmethod
    def of_array(cls, array: pa.Array) -> Documents:
        _, offsets, data = array.buffers()
        kind = np.int64 if pa.types.is_large_string(array.type) else np.int32
        if not len(array) or data is None:
            return cls(np.zeros(len(array) + 1, kind), np.empty(0, np.uint8), np.zeros(len(array), np.bool_))
        begins = np.frombuffer(offsets, kind)[array.offset : array.offset + len(array) + 1]
        return cls(begins, np.frombuffer(data, np.uint8), valid(array) if array.null_count else None)

    @property
    def rows(self) -> int:
        return len(self.offsets) - 1

    def first(self, rows: int) -> Documents:
        """Return the first rows, as views."""
        there = None if self.there is None else self.there[:rows]
        return Documents(self.offsets[: rows + 1], self.data, there)

    def rarest(self, needle: bytes) -> list[int]:
        """Return the places of the bytes of `needle` among the first ones, those with the rarest first."""
        if self._often is None:
            self._often = np.bincount(self.data[:_SAMPLE], minlength=256)
        often = self._often[np.frombuffer(needle[:_COMPARED], np.uint8)]
        order: list[int] = np.argsort(often, kind="stable").tolist()
        return order


def documents_with(documents: Documents, text: str, index: Ngrams | None = None) -> RowSet:
    """Return the documents that contain `text`. A row without a document contains no text."""
    needle = text.encode()
    units = None if index is None else index.units(needle)
    if kernel.text is None:
        return _in_numpy(documents, needle, units)
    found = np.zeros(documents.rows, np.bool_)
    order = documents.rarest(needle)
    one, two, three = (*order, order[-1], order[-1])[:3]
    count = kernel.text.contains(
        documents.offsets, documents.data, needle, one, two, three, units, ngrams.UNIT, found
    )
    if documents.there is not None:
        found &= documents.there
    if count <= documents.rows * FEW_SHARE:
        return RowSet(documents.rows, rows=np.flatnonzero(found))
    return RowSet(documents.rows, mask=found)


def _in_numpy(documents: Documents, needle: bytes, units: Words | None) -> RowSet:
    """The twin of the compiled `contains`."""
    offsets, data = documents.offsets, documents.data
    found: list[Ints] = []
    for matches in _matches(documents, needle, units):
        rows = offsets.searchsorted(matches.astype(offsets.dtype), "right") - 1
        rows = rows[offsets[rows + 1] >= matches + len(needle)]  # drops matches that span two documents
        if len(rows):
            found.append(distinct(rows))
    rows = distinct(np.concatenate(found)) if found else np.empty(0, np.int64)
    if documents.there is not None:
        rows = rows[documents.there[rows]]
    if len(needle) > _COMPARED:
        rows = rows[[needle in data[offsets[row] : offsets[row + 1]].tobytes() for row in rows.tolist()]]
    return RowSet(documents.rows, rows=rows)


def _matches(documents: Documents, needle: bytes, units: Words | None) -> Iterator[Ints]:
    """Yield, step by step, the offsets at which the first bytes of `needle` begin.

    Its two rarest bytes are compared everywhere, and the other bytes only where these match.
    """
    data, stop = documents.data, len(documents.data) - len(needle) + 1
    rarest, *others = documents.rarest(needle)
    for start, end in _ranges(units, max(stop, 0)):
        hits = data[start + rarest : end + rarest] == needle[rarest]
        for at in others[:1]:
            hits &= data[start + at : end + at] == needle[at]
        matches = np.flatnonzero(hits)
        if not len(matches):
            continue
        matches += start
        for at in others[1:]:
            matches = matches[data[matches + at] == needle[at]]
        yield matches


def _ranges(units: Words | None, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of bytes to scan, up to `stop`: everything, or only the given units if few."""
    if units is not None:
        bits = np.unpackbits(units.view(np.uint8), bitorder="little")
        if np.count_nonzero(bits) <= len(bits) * _FEW_UNITS:
            edges = np.flatnonzero(np.diff(bits, prepend=0, append=0)) * ngrams.UNIT
            for start, end in edges.reshape(-1, 2).tolist():
                if start < stop:
                    yield start, min(end, stop)
            return
    for start in range(0, stop, _STEP):
        yield start, min(start + _STEP, stop)
