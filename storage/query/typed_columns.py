"""Metadata of chosen rows as typed Arrow columns, for scans.

Owns: how the filter columns of a part become columns of any of its rows, and their memory between
scans. A column is named by its slot: a key and the type of its values.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ..arrow.arrays import number_array, valid
from ..arrow.lazy_pyarrow import pa
from ..memory_budget import MemoryBudget
from ..schema import metadata_columns as attributes
from ..schema.metadata_columns import Attributes, Slot, arrow_types
from ..schema.record_columns import Ints
from ..segments.segment import Segment
from ..segments.snapshot import Snapshot, View

_Sorted: TypeAlias = "tuple[Ints, pa.Array]"


def slot_type(slot: Slot) -> pa.DataType:
    """The Arrow type of a slot's column."""
    kind = slot[1]
    return pa.list_(arrow_types()[kind[:-2]]) if kind.endswith("[]") else arrow_types()[kind]


class TypedColumns:
    """The metadata of the first rows of a part, by slot."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._sorted: dict[Slot, _Sorted] = {}
        self.nbytes = sum(array.nbytes for array in attributes.wide.values()) + sum(
            rows.nbytes + values.nbytes for rows, values in attributes.sparse.values()
        )

    def slots(self, rows: Ints) -> set[Slot]:
        """Those that one of the rows at least has a value of."""
        attributes = self._attributes
        if len(rows) == attributes.rows:
            return {*attributes.wide, *attributes.sparse}
        chosen = np.zeros(attributes.rows, np.bool_)
        chosen[rows] = True
        found = {
            slot
            for slot, array in attributes.wide.items()
            if not array.null_count or bool((valid(array) & chosen).any())
        }
        return found | {slot for slot, (at, _) in attributes.sparse.items() if bool(chosen[at].any())}

    def column(self, slot: Slot, rows: Ints, span: slice | None) -> pa.Array:
        """The values of some rows, null where a row has none; `span` is `rows` as a slice, or None. A span
        of a column that most rows have is not copied."""
        array = self._attributes.wide.get(slot)
        if array is not None:
            return array.take(number_array(rows)) if span is None else array[span]
        if slot not in self._attributes.sparse:
            return pa.nulls(len(rows), slot_type(slot))
        at, values = self._in_order(slot)
        first = np.searchsorted(at, rows, "left")
        if not slot[1].endswith("[]"):
            hit = at[np.minimum(first, len(at) - 1)] == rows
            return values.take(number_array(first, hit))
        counts = np.searchsorted(at, rows, "right") - first
        ends = np.cumsum(counts)
        picked = np.repeat(first - (ends - counts), counts) + np.arange(int(ends[-1]) if len(ends) else 0)
        offsets = number_array(np.concatenate([[0], ends]).astype(np.int32))
        none = number_array(counts == 0)  # no list is stored empty
        return pa.ListArray.from_arrays(offsets, values.take(number_array(picked)), mask=none)

    def _in_order(self, slot: Slot) -> _Sorted:
        """The rows of a slot, ascending, and its values in that order; elements of a list stay in theirs."""
        found = self._sorted.get(slot)
        if found is None:
            at, values = self._attributes.sparse[slot]
            if np.any(at[1:] < at[:-1]):
                order = np.argsort(at, kind="stable")
                at, values = at[order], values.take(number_array(order))
            found = self._sorted[slot] = at.astype(np.int64), values
        return found


class ColumnCache:
    """The typed columns of one collection's parts. Those of segments are kept within the budget."""

    def __init__(self, budget: MemoryBudget, owner: str) -> None:
        self._budget, self._owner = budget, owner
        self._held: dict[str, tuple[Segment, TypedColumns]] = {}
        self._lock = threading.Lock()

    def for_scan(self) -> Callable[[View], TypedColumns]:
        """What gives the columns of a view. Those of tails are made once per scan, and not kept."""
        made: dict[int, tuple[View, TypedColumns]] = {}

        def typed(view: View) -> TypedColumns:
            source = view.source
            if isinstance(source, Segment):
                return self._of(source)
            held = made.get(id(view))
            if held is None:
                build = attributes.build(view.rows, [source.metadata(0, view.rows)])
                held = made[id(view)] = view, TypedColumns(build)
            return held[1]

        return typed

    def _of(self, source: Segment) -> TypedColumns:
        with self._lock:
            held = self._held.get(source.name)
        if held is None or held[0] is not source:
            held = source, TypedColumns(source.attributes())
            with self._lock:
                self._held[source.name] = held
        name = source.name
        self._budget.hold(self._key(name), held[1].nbytes, lambda: self._drop(name))
        return held[1]

    def keep_only(self, snapshot: Snapshot) -> None:
        """Forget parts that are gone."""
        names = {view.source.name for view in snapshot.views}
        for name in [name for name in list(self._held) if name not in names]:
            self._drop(name)
            self._budget.forget(self._key(name))

    def release(self) -> None:
        """Free what can be loaded again."""
        for name in list(self._held):
            self._drop(name)
            self._budget.forget(self._key(name))

    def _key(self, name: str) -> str:
        return f"columns {self._owner}/{name}"

    def _drop(self, name: str) -> None:
        with self._lock:
            self._held.pop(name, None)
