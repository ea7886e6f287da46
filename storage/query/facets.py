"""Count the values of a metadata key in some records.

Owns: which values are the same, and in which order they are. As in filters, integers and floats are the same
if they are equal, and bools and strings differ from them. A list counts once for each different element.
Sparse vectors are not counted as values, but their records count as having the key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrow.lazy_pyarrow import pa
from ..interface.values import Facet, FacetRange, Scalar
from ..schema.record_columns import Ints
from ..segments.snapshot import SegmentView, SelectedRows
from .typed_columns import SomeColumns
from .value_order import ascending_texts, exact_parts


class _Counted(NamedTuple):
    """The different values of one kind, in ascending order. `values` gives those at some indices."""

    counts: Ints
    values: Callable[[Ints], list[Scalar]]

    def ends(self) -> list[Scalar]:
        """The smallest and the largest value."""
        return self.values(np.array([0, len(self.counts) - 1]))


class _Part(NamedTuple):
    """Some of the entries of a key.

    records  the record of each entry
    values   an Arrow array without nulls
    lists    whether a record may have several entries
    """

    records: Ints
    values: Any
    lists: bool


def count_values(
    key: str,
    selected: Sequence[SelectedRows],
    typed: Callable[[SegmentView], SomeColumns],
    limit: int | None,
    bins: int | None = None,
) -> Facet:
    """Count the values of a key in the selected records.

    limit  the most values to return; None: all
    bins   the parts of the histogram; None: without the range of the values
    """
    types: set[str] = set()
    parts: dict[str, list[_Part]] = {}
    records = offset = 0
    for run in selected:
        source = typed(run.view)
        for slot in source.slots(run.rows):
            if slot[0] == key:
                types.add(slot[1].replace("str", "string") if slot[1] in ("str", "str[]") else slot[1])
            if slot == (key, "sparse_vector"):
                records += int(np.count_nonzero(source.has_vector(key, run.rows)))
            elif slot[0] == key:
                column = source.column(slot, run.rows, None)
                there = np.flatnonzero(np.asarray(column.is_valid()))
                parts.setdefault(slot[1].removesuffix("[]"), []).append(
                    _part(column.drop_null(), there + offset, slot[1].endswith("[]"))
                )
                records += len(there)
        offset += len(run.rows)
    counted = [way(parts) for way in (_bools, _numbers, _texts)]
    best: list[tuple[Scalar, int]] = []
    for each in counted:
        order = np.argsort(-each.counts, kind="stable")[:limit]
        best += zip(each.values(order), each.counts[order].tolist(), strict=True)
    best.sort(key=lambda entry: -entry[1])  # stable, so that equally frequent values stay in order
    found = None if bins is None else _range(sorted(types), counted[1], counted[2], bins)
    return Facet(best[:limit], sum(len(each.counts) for each in counted), records, found)


def _range(types: list[str], numbers: _Counted, texts: _Counted, bins: int) -> FacetRange:
    if not len(numbers.counts):
        low, high = texts.ends() if len(texts.counts) else (None, None)
        return FacetRange(types, low, high, [], [])
    low, high = numbers.ends()
    values = np.array(numbers.values(np.arange(len(numbers.counts))), np.float64)
    share = np.linspace(0, 1, bins + 1)
    edges = values[0] * (1 - share) + values[-1] * share  # the difference of the ends may be infinite
    edges[-1] = values[-1]
    if values[0] == values[-1]:
        edges, bins = values[[0, 0]], 1
    at = np.clip(np.searchsorted(edges, values, "right") - 1, 0, bins - 1)
    counts = np.bincount(at, numbers.counts, minlength=bins).astype(np.int64)
    return FacetRange(types, low, high, edges.tolist(), counts.tolist())


def _part(full: Any, records: Ints, lists: bool) -> _Part:
    full = full.combine_chunks() if isinstance(full, pa.ChunkedArray) else full
    if not lists:
        return _Part(records, full, False)
    return _Part(np.repeat(records, np.diff(np.asarray(full.offsets))), full.flatten(), True)


def _tally(parts: Sequence[_Part], kind: Any) -> tuple[Any, Ints]:
    """Return the different values, as an Arrow array, and the number of records that have each."""
    arrays = [part.values for part in parts]
    if kind == pa.float64():
        arrays = [pa.array(np.asarray(values) + 0.0) for values in arrays]  # -0.0 becomes 0.0
    encoded = pa.concat_arrays([pa.array([], kind), *(values.cast(kind) for values in arrays)])
    encoded = encoded.dictionary_encode()
    codes, count = np.asarray(encoded.indices).astype(np.int64), len(encoded.dictionary)
    if any(part.lists for part in parts):  # a record that has a value several times counts once
        codes = np.unique(np.concatenate([part.records for part in parts]) * count + codes) % count
    return encoded.dictionary, np.bincount(codes, minlength=count)


def _bools(parts: dict[str, list[_Part]]) -> _Counted:
    values, counts = _tally(parts.get("bool", ()), pa.bool_())
    ascending = np.argsort(np.asarray(values).astype(np.int64))
    return _Counted(counts[ascending], lambda order: values.take(pa.array(ascending[order])).to_pylist())


def _texts(parts: dict[str, list[_Part]]) -> _Counted:
    values, counts = _tally(parts.get("str", ()), pa.large_string())
    ascending = ascending_texts(values)
    return _Counted(counts[ascending], lambda order: values.take(pa.array(ascending[order])).to_pylist())


def _numbers(parts: dict[str, list[_Part]]) -> _Counted:
    ints, of_ints = _tally(parts.get("int", ()), pa.int64())
    floats, of_floats = _tally(parts.get("float", ()), pa.float64())
    whole, broken = np.asarray(ints), np.asarray(floats)
    near, more = exact_parts(whole)
    near, more = np.concatenate([near, broken]), np.concatenate([more, np.zeros(len(broken), np.int64)])
    order = np.lexsort((more, near))
    near, more = near[order], more[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (near[1:] != near[:-1]) | (more[1:] != more[:-1])
    codes = np.empty(len(order), np.int64)
    codes[order] = np.cumsum(new) - 1
    counts = np.zeros(int(new.sum()), np.int64)
    np.add.at(counts, codes, np.concatenate([of_ints, of_floats]))
    as_int, as_float = np.zeros(len(counts), np.int64), near[new]
    is_int = np.zeros(len(counts), np.bool_)  # a value that is stored as both is returned as an integer
    as_int[codes[: len(whole)]], is_int[codes[: len(whole)]] = whole, True

    def values(chosen: Ints) -> list[Scalar]:
        triples = zip(is_int[chosen].tolist(), as_int[chosen].tolist(), as_float[chosen].tolist())
        return [integer if exact else number for exact, integer, number in triples]

    return _Counted(counts, values)
