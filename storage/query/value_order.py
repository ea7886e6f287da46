"""Give metadata values numbers that are equal for equal values and ascend as the values do.

Owns: the order of values in groups: missing values, bools, numbers, strings by code point, then lists and
sparse vectors. All of the last two have the same place in the order, but not the same group. Integers and
floats compare by value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrow.lazy_pyarrow import pa
from ..interface.sparse_vector import SparseVector
from ..schema.record_columns import Ints, Mask
from ..segments.snapshot import SegmentView
from .typed_columns import SomeColumns

_MISSING, _BOOL, _NUMBER, _TEXT, _OTHER = range(5)


class Codes(NamedTuple):
    """The values of one key in some records.

    kind   int8 (n,): missing, bool, number, text, or list or sparse vector
    value  int64 (n,): the place of the value among those of its kind
    """

    kind: Any
    value: Ints

    def order(self) -> Ints:
        """Return int64 (n,), which ascends as the values do."""
        value = np.where(self.kind == _OTHER, 0, self.value)
        out: Ints = self.kind.astype(np.int64) * (len(value) + 1) + value
        return out

    def missing(self) -> Mask:
        """Return which records lack the key."""
        out: Mask = self.kind == _MISSING
        return out

    def unordered(self) -> Mask:
        """Return which records have a list or a sparse vector."""
        out: Mask = self.kind == _OTHER
        return out

    def identity(self) -> Ints:
        """Return int64 (n,), which is equal for equal values."""
        out: Ints = self.kind.astype(np.int64) * (len(self.value) + 1) + self.value
        return out


def codes(
    key: str,
    runs: Sequence[tuple[SegmentView, Ints, Ints]],
    typed: Callable[[SegmentView], SomeColumns],
    count: int,
) -> Codes:
    """Number the values of a metadata key.

    runs   for each view, its rows and their indices among all `count` records
    typed  gives the columns of a view
    """
    kind = np.zeros(count, np.int8)
    value = np.zeros(count, np.int64)
    parts: dict[str, list[tuple[Ints, Any]]] = {}
    others: dict[Any, int] = {}
    for view, rows, at in runs:
        columns = typed(view)
        for slot in columns.slots(rows):
            if slot == (key, "sparse_vector"):
                there = columns.has_vector(key, rows)
                kind[at[there]] = _OTHER
                value[at[there]] = _numbered_vectors(view.source.mappings(rows[there]), key, others)
            elif slot[0] == key:
                array = columns.column(slot, rows, None)
                array = array.combine_chunks() if hasattr(array, "combine_chunks") else array
                there = np.asarray(array.is_valid())
                parts.setdefault(slot[1], []).append((at[there], array.drop_null()))
    for name, found in parts.items():
        if name == "bool":
            for at, array in found:
                kind[at], value[at] = _BOOL, np.asarray(array).astype(np.int64)
    _number_numbers(parts, kind, value)
    for at, array in _joined(parts.get("str", ())):
        kind[at], value[at] = _TEXT, _ranks_of_texts(array)
    _number_lists(parts, kind, value, others)
    return Codes(kind, value)


def _joined(found: Sequence[tuple[Ints, Any]]) -> list[tuple[Ints, Any]]:
    if not found:
        return []
    return [(np.concatenate([at for at, _ in found]), pa.concat_arrays([array for _, array in found]))]


def _number_numbers(parts: dict[str, list[tuple[Ints, Any]]], kind: Any, value: Ints) -> None:
    """Number integers and floats together, by exact value: a float, and what an integer exceeds it by."""
    indices, rough, rest = [], [], []
    if "int" in parts and "float" not in parts:  # the usual case, in a third of the time
        at, whole = (np.concatenate(each) for each in zip(*((at, np.asarray(a)) for at, a in parts["int"])))
        kind[at], value[at] = _NUMBER, _dense(whole)
        return
    for at, array in parts.get("int", ()):
        near, more = exact_parts(np.asarray(array))
        indices.append(at)
        rough.append(near)
        rest.append(more)
    for at, array in parts.get("float", ()):
        indices.append(at)
        rough.append(np.asarray(array) + 0.0)  # -0.0 becomes 0.0
        rest.append(np.zeros(len(at), np.int64))
    if indices:
        at, near, more = np.concatenate(indices), np.concatenate(rough), np.concatenate(rest)
        kind[at], value[at] = _NUMBER, _dense(near, more)


def exact_parts(whole: Ints) -> tuple[Any, Ints]:
    """Split integers into the nearest float64 and the difference to it, to compare them with floats."""
    near = whole.astype(np.float64)
    top = near >= 2.0**63
    safe = np.where(top, 0.0, near).astype(np.int64)
    return near, np.where(top, whole - np.int64(2**63 - 1) - 1, whole - safe)


def _dense(*columns: Any) -> Ints:
    """Return the place of each row of the columns among the distinct rows, in their order."""
    order = np.lexsort(columns[::-1])
    changes = np.zeros(len(order), np.bool_)
    for column in columns:
        ordered = column[order]
        changes[1:] |= ordered[1:] != ordered[:-1]
    out = np.empty(len(order), np.int64)
    out[order] = np.cumsum(changes)
    return out


def ascending_texts(texts: Any) -> Ints:
    """Return the indices that sort different texts, by bytes of UTF-8, so by code point."""
    import pyarrow.compute as pc

    ascending: Ints = np.asarray(pc.array_sort_indices(texts)).astype(np.int64)
    return ascending


def _ranks_of_texts(array: Any) -> Ints:
    encoded = array.dictionary_encode()
    encoded = encoded.combine_chunks() if hasattr(encoded, "combine_chunks") else encoded
    ascending = ascending_texts(encoded.dictionary)
    ranks = np.empty(len(ascending), np.int64)
    ranks[ascending] = np.arange(len(ascending))
    out: Ints = ranks[np.asarray(encoded.indices)]
    return out


def _numbered_vectors(entries: Sequence[Mapping[str, Any] | None], key: str, known: dict[Any, int]) -> Ints:
    """Return the number of each entry's sparse vector. Vectors that were not met before are added."""
    vectors: list[SparseVector] = [entry[key] for entry in entries if entry is not None]
    parts = ((tuple(each.indices), tuple(each.values), tuple(each.labels or ())) for each in vectors)
    return np.array([known.setdefault(("vector", part), len(known)) for part in parts], np.int64)


def _number_lists(
    parts: dict[str, list[tuple[Ints, Any]]], kind: Any, value: Ints, known: dict[Any, int]
) -> None:
    for name, found in parts.items():
        if name.endswith("[]"):
            family = "number" if name in ("int[]", "float[]") else name
            for at, array in found:
                for index, each in zip(at.tolist(), array.to_pylist()):
                    kind[index], value[index] = _OTHER, known.setdefault((family, tuple(each)), len(known))
