"""Count the values of a metadata key in some records.

Owns: which values are the same, and in which order they are. As in filters, integers and floats are the same
if they are equal, and bools and strings differ from them. A list counts once for each different element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrow.lazy_pyarrow import pa
from ..interface.values import Facet, Scalar
from ..schema.record_columns import Ints
from ..segments.snapshot import SegmentView, SelectedRows
from .typed_columns import TypedColumns
from .value_order import ascending_texts, exact_parts


class _Counted(NamedTuple):
    """The different values of one kind, in ascending order. `values` gives those at some indices."""

    counts: Ints
    values: Callable[[Ints], list[Scalar]]


_Column = list[tuple[Ints, Any]]  # for each part, the records of the values and the values


def count_values(
    key: str,
    selected: Sequence[SelectedRows],
    typed: Callable[[SegmentView], TypedColumns],
    limit: int | None,
) -> Facet:
    """Count the values of a key in the selected records.

    limit  the most values to return; None: all
    """
    columns: dict[str, _Column] = {}
    records = offset = 0
    for run in selected:
        source = typed(run.view)
        for slot in source.slots(run.rows):
            if slot[0] == key:
                at, values, having = _values(source.column(slot, run.rows, None), slot[1].endswith("[]"))
                columns.setdefault(slot[1].removesuffix("[]"), []).append((at + offset, values))
                records += having
        offset += len(run.rows)
    ways = (_bools, _numbers, _texts)
    counted = [found for way in ways if (found := way(columns)) is not None]
    best: list[tuple[Scalar, int]] = []
    for each in counted:
        order = np.argsort(-each.counts, kind="stable")[:limit]
        best += zip(each.values(order), each.counts[order].tolist(), strict=True)
    best.sort(key=lambda entry: -entry[1])  # stable, so that equally frequent values stay in order
    return Facet(best[:limit], sum(len(each.counts) for each in counted), records)


def _values(array: Any, is_list: bool) -> tuple[Ints, Any, int]:
    """Return the record and the value of each entry of a column, and the number of records that have one."""
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    at = np.flatnonzero(np.asarray(array.is_valid()))
    full = array.drop_null()
    if not is_list:
        return at, full, len(at)
    sizes = np.diff(np.asarray(full.offsets))
    return np.repeat(at, sizes), full.flatten(), len(at)


def _once(records: Ints, codes: Ints, count: int) -> Ints:
    """Count the records of each code. A record that has a code several times counts once."""
    pairs = np.unique(records * count + codes)
    return np.bincount(pairs % count, minlength=count)


def _bools(columns: dict[str, _Column]) -> _Counted | None:
    if (column := columns.get("bool")) is None:
        return None
    codes = np.concatenate([np.asarray(values).astype(np.int64) for _, values in column])
    counts = _once(_records(column), codes, 2)
    present = np.flatnonzero(counts)
    return _Counted(counts[present], lambda order: [bool(code) for code in present[order].tolist()])


def _texts(columns: dict[str, _Column]) -> _Counted | None:
    if (column := columns.get("str")) is None:
        return None
    encoded = pa.concat_arrays([values for _, values in column]).dictionary_encode()
    counts = _once(_records(column), np.asarray(encoded.indices).astype(np.int64), len(encoded.dictionary))
    ascending = ascending_texts(encoded.dictionary)
    return _Counted(
        counts[ascending], lambda order: encoded.dictionary.take(pa.array(ascending[order])).to_pylist()
    )


def _numbers(columns: dict[str, _Column]) -> _Counted | None:
    ints, floats = columns.get("int", []), columns.get("float", [])
    if not ints and not floats:
        return None
    whole = np.concatenate([np.empty(0, np.int64), *(np.asarray(values) for _, values in ints)])
    broken = np.concatenate([np.empty(0), *(np.asarray(values) for _, values in floats)]) + 0.0  # no -0.0
    near, more = exact_parts(whole)
    near, more = np.concatenate([near, broken]), np.concatenate([more, np.zeros(len(broken), np.int64)])
    order = np.lexsort((more, near))
    new = np.ones(len(order), np.bool_)
    near, more = near[order], more[order]
    new[1:] = (near[1:] != near[:-1]) | (more[1:] != more[:-1])
    codes = np.empty(len(order), np.int64)
    codes[order] = np.cumsum(new) - 1
    count = int(new.sum())
    as_int, as_float = np.zeros(count, np.int64), near[new]
    is_int = np.zeros(count, np.bool_)  # a value that is stored as both is returned as an integer
    as_int[codes[: len(whole)]], is_int[codes[: len(whole)]] = whole, True

    def values(chosen: Ints) -> list[Scalar]:
        triples = zip(is_int[chosen].tolist(), as_int[chosen].tolist(), as_float[chosen].tolist())
        return [integer if exact else number for exact, integer, number in triples]

    return _Counted(_once(_records([*ints, *floats]), codes, count), values)


def _records(column: _Column) -> Ints:
    records: Ints = np.concatenate([at for at, _ in column])
    return records
