"""A filter column as arrays, and the search for the rows that satisfy a condition on it.

Owns: how a column is searched. At first all its values are compared; after a number of conditions the column
gets an index. A column has the values of one key and one type, so values are compared only with values of the
same type.
"""

from __future__ import annotations

import bisect
import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xxhash

from ..arrow.arrays import number_array, numbers, text_array, to_list, valid
from ..arrow.lazy_pyarrow import pa
from ..schema.metadata_columns import RowIds
from ..schema.record_columns import Ints, Mask
from ..segments.segment import hash_ids
from . import row_set, times
from .document_scan import Documents
from .parser import Comparison
from .regex_scan import matching
from .row_set import RowSet

# A column gets its index after this many conditions. For 70k (1M) rows, building an index of numbers takes
# 6 (130) ms and saves 0.03 (1) ms per range condition. An index of texts takes 2 to 17 (30 to 300) ms and
# saves 0.15 (2.5) ms per equality. So an index pays off after 15 to 200 further conditions, which are likely
# once there have been 16.
_INDEX_AFTER = 16
# Smaller columns get no index: comparing all of up to 8,192 numbers or 256 texts takes 3 and 6 µs, no more
# than the index.
_INDEX_NUMBERS, _INDEX_TEXTS = 8192, 256

_HOLDS: dict[Comparison, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Conditions = Sequence[tuple[Comparison, Any]]  # a conjunction
_BLOCK = 65_536  # the most texts that exist as Python strings at the same time


class Column(Protocol):
    """The values of one type, by row. Building the index changes `nbytes` and reports the difference."""

    nbytes: int

    def where(self, conditions: Conditions) -> RowSet:
        """Return the rows with a value that meets all conditions."""

    def present(self) -> RowSet:
        """Return the rows with a value."""

    def one_of(self, values: tuple[Any, ...]) -> RowSet: ...


class Numbers:
    """A column of integers, floats or booleans."""

    def __init__(self, size: int, array: pa.Array, at: RowIds | None, changed: Callable[[int], None]) -> None:
        self._size, self._at, self._changed = size, at, changed
        self._valid: Mask | None = None
        if array.null_count:
            self._valid = valid(array)
        values = numbers(array)
        self._values = values if self._valid is None else np.where(self._valid, values, values.dtype.type(0))
        self._requests = 0
        self._indexed = len(self._values) >= _INDEX_NUMBERS and self._values.dtype != np.bool_
        self._index: tuple[npt.NDArray[Any], RowIds] | None = None  # sorted values, and their rows
        self._lock = threading.Lock()
        self.nbytes = self._values.nbytes + sum(
            array.nbytes for array in (at, self._valid) if array is not None
        )

    def where(self, conditions: Conditions) -> RowSet:
        index = self._ready(len(conditions))
        if index is not None:
            values, rows = index
            first, last = 0, len(values)
            for op, value in conditions:
                if op in ("=", ">", ">="):
                    first = max(first, int(values.searchsorted(value, "right" if op == ">" else "left")))
                if op in ("=", "<", "<="):
                    last = min(last, int(values.searchsorted(value, "left" if op == "<" else "right")))
            if first >= last:
                return row_set.none(self._size)
            if last - first <= self._size * row_set.FEW_SHARE:
                return row_set.gathered(self._size, rows[first:last])
        hits = None
        for op, value in conditions:
            hit = _HOLDS[op](self._values, value)
            hits = hit if hits is None else np.logical_and(hits, hit, out=hits)
        return self._as_row_set(hits)

    def one_of(self, values: tuple[Any, ...]) -> RowSet:
        members = np.array(values, self._values.dtype)
        index = self._ready(len(values))
        if index is None:
            return self._as_row_set(np.isin(self._values, members))
        known, rows = index
        first = known.searchsorted(members, "left")
        return row_set.gathered(self._size, rows[_spans(first, known.searchsorted(members, "right"))])

    def present(self) -> RowSet:
        return self._as_row_set(np.ones(len(self._values), np.bool_))

    def _as_row_set(self, hits: Any) -> RowSet:
        """Convert a mask over the values to a set of rows."""
        if self._at is not None:
            return RowSet(self._size, rows=row_set.distinct(self._at[hits]).astype(np.int64))
        return RowSet(self._size, mask=hits if self._valid is None else hits & self._valid)

    def _ready(self, conditions: int) -> tuple[npt.NDArray[Any], RowIds] | None:
        """Count the conditions, build the index if it is due, and return it, or None if there is none."""
        self._requests += conditions
        if self._index is None and self._indexed and self._requests > _INDEX_AFTER:
            with self._lock:
                if self._index is None:
                    self._index = self._sorted()
                    more = sum(array.nbytes for array in self._index)
                    self.nbytes += more
                    self._changed(more)
        return self._index

    def _sorted(self) -> tuple[npt.NDArray[Any], RowIds]:
        values, rows = self._values, self._at
        if self._valid is not None:
            rows = np.flatnonzero(self._valid).astype(np.uint32)
            values = values[rows]
        order = np.argsort(values).astype(np.uint32)
        return values[order], order if rows is None else rows[order]


class Texts:
    """A column of strings. Its index, which maps each distinct text to its rows, replaces the array."""

    def __init__(self, size: int, array: pa.Array, at: RowIds | None, changed: Callable[[int], None]) -> None:
        self._size, self._changed = size, changed
        self._plain: tuple[pa.Array, RowIds | None] | None = array, at
        self._requests = 0
        self._indexed = len(array) >= _INDEX_TEXTS
        self._index: _TextIndex | None = None
        self._times: Times | None = None
        self._lock = threading.Lock()
        self.nbytes = array.nbytes + (0 if at is None else at.nbytes)

    def where(self, conditions: Conditions) -> RowSet:
        equal = {value for op, value in conditions if op == "="}
        if not equal:
            return self._matching(lambda texts: _compared(texts, conditions))
        text = equal.pop()  # Python compares texts by their code points, as Arrow does
        if equal or not all(_HOLDS[op](text, value) for op, value in conditions):
            return row_set.none(self._size)
        return self.one_of((text,))

    def matching(self, pattern: str) -> RowSet:
        """Return the rows with a text in which a regular expression matches somewhere."""
        return self._matching(lambda texts: matching(Documents.of_array(texts), pattern, lambda: texts).mask)

    def present(self) -> RowSet:
        plain = self._plain
        if plain is not None:
            return self._of_hits(plain[1], valid(plain[0]))
        assert self._index is not None
        return row_set.gathered(self._size, self._index.all_rows)

    def _matching(self, test: Callable[[pa.Array], Mask]) -> RowSet:
        """Return the rows with a text that passes a test. An index tests each distinct text once."""
        plain, index = self._ready(1)
        if index is not None:
            return row_set.gathered(self._size, index.rows_of(test(index.texts)))
        assert plain is not None
        return self._of_hits(plain[1], test(plain[0]))

    def _ready(self, conditions: int) -> tuple[tuple[pa.Array, RowIds | None] | None, _TextIndex | None]:
        """Count the conditions, and build the index if it is due. Returns the array or the index."""
        self._requests += conditions
        plain = self._plain  # read before the index: another thread sets the index, then clears this
        if self._index is None and self._indexed and self._requests > _INDEX_AFTER:
            with self._lock:
                if self._plain is not None:
                    self._index = _TextIndex(*self._plain)
                    self._plain = None
                    before, self.nbytes = self.nbytes, self._index.nbytes
                    self._changed(self.nbytes - before)
        return plain, self._index

    def one_of(self, values: tuple[Any, ...]) -> RowSet:
        plain, index = self._ready(len(values))
        if index is None:
            assert plain is not None
            return self._look(*plain, values)
        rows = index.rows(values)
        if len(values) == 1:  # the rows of one text already ascend
            return RowSet(self._size, rows=rows.astype(np.int64))
        return row_set.gathered(self._size, rows)

    def times(self) -> Times:
        """Return the texts that name a time, as times."""
        found = self._times
        if found is None:
            with self._lock:
                found = self._times
                if found is None:
                    if self._plain is None:
                        assert self._index is not None
                        texts, codes, rows = self._index.coded()
                    else:
                        texts, codes, rows = _coded(*self._plain)
                    found = self._times = Times(self._size, texts, codes, rows, self._grew)
                    self._grew(found.nbytes)
        return found

    def _grew(self, by: int) -> None:
        self.nbytes += by
        self._changed(by)

    def _look(self, array: pa.Array, at: RowIds | None, values: tuple[Any, ...]) -> RowSet:
        from pyarrow import compute  # takes 20 ms to import, and only few columns need it

        texts = text_array(values).cast(array.type)
        found = compute.equal(array, texts[0]) if len(values) == 1 else compute.is_in(array, texts)
        return self._of_hits(at, numbers(found) & valid(found))

    def _of_hits(self, at: RowIds | None, hits: Mask) -> RowSet:
        if at is None:
            return RowSet(self._size, mask=hits)
        return RowSet(self._size, rows=row_set.distinct(at[hits]).astype(np.int64))


def _compared(texts: pa.Array, conditions: Conditions) -> Mask:
    """Return for each text whether it meets all conditions. Arrow compares the bytes of UTF-8, whose order is
    that of code points."""
    from pyarrow import compute  # takes 20 ms to import, and only few columns need it

    compare = {
        "<": compute.less,
        "<=": compute.less_equal,
        ">": compute.greater,
        ">=": compute.greater_equal,
    }
    hits = None
    for op, value in conditions:
        hit = compare[op](texts, text_array((value,)).cast(texts.type)[0])
        hits = hit if hits is None else compute.and_(hits, hit)
    return numbers(hits) & valid(hits)


class Times:
    """The times that the texts of a column name, as the ranks of the distinct times."""

    def __init__(
        self, size: int, texts: pa.Array, codes: Ints, rows: RowIds, grew: Callable[[int], None]
    ) -> None:
        """Read the times.

        texts  the distinct texts
        codes  for each value, the position of its text in `texts`
        rows   the row of each value
        """
        told = [times.nanoseconds(text or "") for text in to_list(texts)]
        self._moments = sorted({moment for moment in told if moment is not None})
        rank = {moment: index for index, moment in enumerate(self._moments)}
        ranks = np.array([-1 if moment is None else rank[moment] for moment in told], np.int32)[codes]
        named = ranks >= 0
        self._ranks = Numbers(size, number_array(ranks[named]), rows[named], grew)
        self.nbytes = self._ranks.nbytes + 40 * len(self._moments)

    def where(self, op: Comparison, at: int) -> RowSet:
        """Return the rows with a time in the relation `op` to `at`."""
        first, last = bisect.bisect_left(self._moments, at), bisect.bisect_right(self._moments, at)
        conditions: dict[Comparison, Conditions] = {
            "=": [(">=", first), ("<", last)],
            "<": [("<", first)],
            "<=": [("<", last)],
            ">": [(">=", last)],
            ">=": [(">=", first)],
        }
        return self._ranks.where(conditions[op])


def _coded(array: pa.Array, at: RowIds | None) -> tuple[pa.Array, Ints, RowIds]:
    """Return the distinct texts of a column, and the code and the row of each value."""
    encoded = array.dictionary_encode()
    codes = encoded.indices
    if codes.null_count:
        at = np.flatnonzero(valid(codes)).astype(np.uint32)
        codes = codes.drop_null()
    values = numbers(codes)
    return encoded.dictionary, values, np.arange(len(values), dtype=np.uint32) if at is None else at


class _TextIndex:
    """The rows of each distinct text, grouped by text, and the texts sorted by hash."""

    def __init__(self, array: pa.Array, at: RowIds | None) -> None:
        encoded = array.dictionary_encode()
        self.texts = encoded.dictionary
        count = len(self.texts)
        codes = encoded.indices
        if codes.null_count:
            at = np.flatnonzero(valid(codes)).astype(np.uint32)
            codes = codes.drop_null()
        codes = numbers(codes)
        if count <= 1 << 16:
            codes = codes.astype(np.uint16)  # gets a radix sort: 0.3 instead of 2 ms for 70k values
        order = np.argsort(codes, kind="stable").astype(np.uint32)
        self._rows: RowIds = order if at is None else at[order]
        ends = np.cumsum(np.bincount(codes, minlength=count))
        if at is not None:  # a list may contain a text twice
            rows, groups = self._rows, codes[order]
            again = np.concatenate(([False], (rows[1:] == rows[:-1]) & (groups[1:] == groups[:-1])))
            if again.any():
                self._rows = rows[~again]
                ends = np.cumsum(np.bincount(groups[~again], minlength=count))
        self._ends: Ints = np.concatenate(([0], ends))
        hashes = [
            hash_ids(to_list(self.texts[start : start + _BLOCK]))  # type: ignore[arg-type]
            for start in range(0, count, _BLOCK)
        ]
        unsorted = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        self._by_hash: RowIds = np.argsort(unsorted).astype(np.uint32)
        self._hashes = unsorted[self._by_hash]
        self.nbytes = self.texts.nbytes + sum(
            array.nbytes for array in (self._rows, self._ends, self._by_hash, self._hashes)
        )

    @property
    def all_rows(self) -> RowIds:
        """The row numbers of all values, grouped by distinct text."""
        return self._rows

    def rows_of(self, chosen: Mask) -> RowIds:
        """Return the rows of the chosen distinct texts."""
        codes = np.flatnonzero(chosen)
        return self._rows[_spans(self._ends[codes], self._ends[codes + 1])]

    def coded(self) -> tuple[pa.Array, Ints, RowIds]:
        """Return the distinct texts, and the code and the row of each value. The rows ascend."""
        codes = np.repeat(np.arange(len(self._ends) - 1), np.diff(self._ends))
        order = np.argsort(self._rows)
        return self.texts, codes[order], self._rows[order]

    def rows(self, values: tuple[str, ...]) -> RowIds:
        """Return the rows that have one of the texts. The rows of each text ascend."""
        if len(values) == 1:
            code = self._code(values[0], int(self._hashes.searchsorted(_hash(values[0]))))
            return self._rows[:0] if code < 0 else self._rows[self._ends[code] : self._ends[code + 1]]
        at = self._hashes.searchsorted(hash_ids(values)).tolist()
        found = [code for value, location in zip(values, at) if (code := self._code(value, location)) >= 0]
        codes = np.asarray(found, np.int64)
        return self._rows[_spans(self._ends[codes], self._ends[codes + 1])]

    def _code(self, text: str, at: int) -> int:
        """Return the code of a text, or -1 if no row has it. `at` is the first place of its hash."""
        hashes = self._hashes
        if at == len(hashes) or hashes[at] != (digest := _hash(text)):
            return -1
        while at < len(hashes) and hashes[at] == digest:
            code = int(self._by_hash[at])
            if self.texts[code].as_py() == text:
                return code
            at += 1
        return -1


def _hash(text: str) -> np.uint64:
    return np.uint64(xxhash.xxh3_64_intdigest(text.encode()))


def _spans(first: Ints, last: Ints) -> Ints:
    """Concatenate the ranges from each `first` up to, but not including, its `last`."""
    counts = last - first
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    out: Ints = np.arange(total) + np.repeat(first - (ends - counts), counts)
    return out
