"""Evaluate filters over the metadata of some rows, with arrays.

Owns: the meaning of a tree's nodes as sets of rows. A row without a value is in no set of that key, so Not is
the complement. A condition on a key that no row has with that type costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from ..arrow.arrays import number_array
from ..schema.metadata_columns import KINDS, MetadataColumns, Slot
from . import row_set
from .column_index import Column, Numbers, Texts
from .parser import (
    And,
    Compare,
    CompareTime,
    Everything,
    Exists,
    Matches,
    Member,
    Never,
    Node,
    Not,
    Nothing,
    OneOf,
    Or,
)
from .row_set import RowSet


class FilterArrays:
    """The filter columns of some consecutive rows.

    `load` is called for the first filter on metadata. Each column is removed from its result when the column
    is first used.
    """

    def __init__(self, rows: int, load: Callable[[], MetadataColumns]) -> None:
        self.rows = rows
        self.nbytes = 0  # memory of all columns and of the indexes that they have so far
        self._load_all = load
        self._metadata_columns: MetadataColumns | None = None
        self._slots: frozenset[Slot] | None = None
        self._columns: dict[Slot, Column] = {}
        self._lock, self._counting = threading.Lock(), threading.Lock()

    def answer(self, node: Node, other: Callable[[Node], RowSet]) -> RowSet:
        """Return the rows that match. `other` answers the leaves that are not about metadata."""
        if isinstance(node, Compare):
            slot: Slot = node.key, node.kind
            if slot not in self._all_slots():
                return row_set.none(self.rows)
            return self._column(slot).where(((node.op, node.value),))
        if isinstance(node, And):
            return self._all(node.children, other)
        if isinstance(node, Or):
            return row_set.union(self.rows, (self.answer(child, other) for child in node.children))
        if isinstance(node, Not):
            return row_set.complement(self.answer(node.child, other))
        if isinstance(node, OneOf):
            slot = node.key, node.kind
            return (
                self._column(slot).one_of(node.values)
                if slot in self._all_slots()
                else row_set.none(self.rows)
            )
        if isinstance(node, Member):
            slot = node.key, f"{node.kind}[]"  # type: ignore[assignment]
            if slot not in self._all_slots():
                return row_set.none(self.rows)
            return self._column(slot).where((("=", node.value),))
        if isinstance(node, CompareTime):
            slot = node.key, "str"
            if slot not in self._all_slots():
                return row_set.none(self.rows)
            column = self._column(slot)
            assert isinstance(column, Texts)
            return column.times().where(node.op, node.at)
        if isinstance(node, Matches):
            slot = node.key, "str"
            if slot not in self._all_slots():
                return row_set.none(self.rows)
            column = self._column(slot)
            assert isinstance(column, Texts)
            return column.matching(node.pattern)
        if isinstance(node, Exists):
            slots = [slot for kind in KINDS if (slot := (node.key, kind)) in self._all_slots()]
            return row_set.union(self.rows, map(self._present, slots))
        if isinstance(node, Everything):
            return row_set.everything(self.rows)
        if isinstance(node, (Nothing, Never)):
            return row_set.none(self.rows)
        return other(node)

    def _all(self, children: Sequence[Node], other: Callable[[Node], RowSet]) -> RowSet:
        """Evaluate a conjunction. Comparisons on one key are evaluated together.

        A range condition thus takes two searches in an index.
        """
        by_key: dict[str, dict[Slot, list[Compare]]] = {}
        rest: list[Node] = []
        for child in children:
            leaves = _comparisons(child)
            if leaves is None:
                rest.append(child)
                continue
            present = self._all_slots()
            found: dict[Slot, list[Compare]] = {
                (leaf.key, leaf.kind): [leaf] for leaf in leaves if (leaf.key, leaf.kind) in present
            }
            key = leaves[0].key
            if key in by_key:  # a row has one value per key, so both comparisons concern the same type
                before = by_key[key]
                found = {slot: before[slot] + more for slot, more in found.items() if slot in before}
            if not found:
                return row_set.none(self.rows)
            by_key[key] = found
        compared = (
            row_set.union(
                self.rows,
                (
                    self._column(slot).where([(leaf.op, leaf.value) for leaf in leaves])
                    for slot, leaves in slots.items()
                ),
            )
            for slots in by_key.values()
        )
        return row_set.intersection(chain(compared, (self.answer(node, other) for node in rest)))

    def _present(self, slot: Slot) -> RowSet:
        """Return the rows with a value in a slot."""
        if slot[1] != "sparse_vector":  # whose values are not part of the columns
            return self._column(slot).present()
        assert self._metadata_columns is not None
        return row_set.gathered(self.rows, self._metadata_columns.sparse[slot][0])

    def _all_slots(self) -> frozenset[Slot]:
        """Return the slots for which at least one row has a value."""
        slots = self._slots
        if slots is None:
            with self._lock:
                if self._metadata_columns is None:
                    self._metadata_columns = found = self._load_all()
                    self._changed(sum(array.nbytes for array in found.wide.values()))
                    self._changed(sum(at.nbytes + values.nbytes for at, values in found.sparse.values()))
                    self._slots = frozenset([*found.wide, *found.sparse])
                assert self._slots is not None
                slots = self._slots
        return slots

    def _column(self, slot: Slot) -> Column:
        """Return the column of a slot that is in `_all_slots`."""
        column = self._columns.get(slot)
        if column is None:
            with self._lock:
                column = self._columns.get(slot)
                if column is None:
                    column = self._columns[slot] = self._made(slot)
        return column

    def _made(self, slot: Slot) -> Column:
        assert self._metadata_columns is not None
        make = Texts if slot[1].startswith("str") else Numbers
        array = self._metadata_columns.wide.pop(slot, None)
        if array is not None:
            column: Column = make(self.rows, array, None, self._changed)
            self._changed(column.nbytes - array.nbytes)
            return column
        at, values = self._metadata_columns.sparse.pop(slot)
        before = at.nbytes + values.nbytes
        if np.any(at[1:] < at[:-1]):
            order = np.argsort(at, kind="stable")
            at, values = at[order], values.take(number_array(order))
        column = make(self.rows, values, at, self._changed)
        self._changed(column.nbytes - before)
        return column

    def _changed(self, by: int) -> None:
        with self._counting:
            self.nbytes += by


def _comparisons(node: Node) -> tuple[Compare, ...] | None:
    """Return the leaves of a comparison on one key, one per type. None for any other node."""
    if isinstance(node, Compare):
        return (node,)
    if not isinstance(node, Or):
        return None
    leaves = tuple(child for child in node.children if isinstance(child, Compare))
    if len(leaves) < len(node.children) or len({leaf.key for leaf in leaves}) > 1:
        return None
    return leaves if len({leaf.kind for leaf in leaves}) == len(leaves) else None
