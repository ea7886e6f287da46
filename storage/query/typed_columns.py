"""Metadata of selected rows as typed Arrow columns, for scans.

Owns: making columns of any rows from the filter columns of a segment or memtable and of its patches, and the
cache of these columns between scans. A column is identified by its slot: a metadata key and the type of its
values.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ..arrow.arrays import number_array, valid
from ..arrow.lazy_pyarrow import pa
from ..memory_budget import MemoryBudget
from ..schema import metadata_columns as columns
from ..schema.metadata_columns import MetadataColumns, Slot, arrow_types
from ..schema.record_columns import Ints, Mask
from ..segments.memtable import Memtable
from ..segments.patched_segment import Overlay, PatchedSegment, overlays
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView, Snapshot

_Sorted: TypeAlias = "tuple[Ints, pa.Array]"

SomeColumns: TypeAlias = "TypedColumns | PatchedColumns"


def slot_type(slot: Slot) -> pa.DataType:
    """The Arrow type of a slot's column."""
    kind = slot[1]
    if kind == "sparse_vector":
        from ..interface import sparse_vector_arrow

        return sparse_vector_arrow.TYPE
    return pa.list_(arrow_types()[kind[:-2]]) if kind.endswith("[]") else arrow_types()[kind]


class TypedColumns:
    """The metadata of the first rows of a segment or memtable, by slot."""

    def __init__(self, columns: MetadataColumns) -> None:
        self._columns = columns
        self._sorted: dict[Slot, _Sorted] = {}
        self.nbytes = sum(array.nbytes for array in columns.wide.values()) + sum(
            rows.nbytes + values.nbytes for rows, values in columns.sparse.values()
        )

    def slots(self, rows: Ints) -> set[Slot]:
        """Return the slots for which at least one of the rows has a value."""
        columns = self._columns
        if len(rows) == columns.rows:
            return {*columns.wide, *columns.sparse}
        chosen = np.zeros(columns.rows, np.bool_)
        chosen[rows] = True
        found = {
            slot
            for slot, array in columns.wide.items()
            if not array.null_count or bool((valid(array) & chosen).any())
        }
        return found | {slot for slot, (at, _) in columns.sparse.items() if bool(chosen[at].any())}

    def column(self, slot: Slot, rows: Ints, span: slice | None) -> pa.Array:
        """Return the values of some rows, null for rows without a value.

        `span` is `rows` as a slice, or None. A span of a wide column is not copied.
        """
        array = self._columns.wide.get(slot)
        if array is not None:
            return array.take(number_array(rows)) if span is None else array[span]
        if slot not in self._columns.sparse:
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
        none = number_array(counts == 0)  # empty lists are never stored, so such a row has no list
        return pa.ListArray.from_arrays(offsets, values.take(number_array(picked)), mask=none)

    def has_vector(self, key: str, rows: Ints) -> Mask:
        """Return which of the rows have a sparse vector at a key. The columns do not contain the vectors."""
        vectors = self._columns.sparse.get((key, "sparse_vector"))
        return np.zeros(len(rows), np.bool_) if vectors is None else np.isin(rows, vectors[0])

    def _in_order(self, slot: Slot) -> _Sorted:
        """Return the rows of a slot, ascending, with their values. Elements of a list keep their order."""
        found = self._sorted.get(slot)
        if found is None:
            at, values = self._columns.sparse[slot]
            if np.any(at[1:] < at[:-1]):
                order = np.argsort(at, kind="stable")
                at, values = at[order], values.take(number_array(order))
            found = self._sorted[slot] = at.astype(np.int64), values
        return found


class PatchedColumns:
    """The metadata of a patched segment, by slot: that of its rows, and that of their patches.

    new  the columns of the rows that have new values, in the order of `overlay.rows`
    """

    def __init__(self, base: TypedColumns, new: TypedColumns, overlay: Overlay) -> None:
        self._base, self._new, self._overlay = base, new, overlay

    def _split(self, rows: Ints) -> tuple[Mask, Ints]:
        """Return which of the rows have new values, and the numbers of these among `overlay.rows`."""
        patched = self._overlay.mask[rows]
        return patched, np.searchsorted(self._overlay.rows, rows[patched])

    def slots(self, rows: Ints) -> set[Slot]:
        patched, new = self._split(rows)
        found = self._new.slots(new) if len(new) else set[Slot]()
        return found if patched.all() else found | self._base.slots(rows[~patched])

    def column(self, slot: Slot, rows: Ints, span: slice | None) -> pa.Array:
        patched, new = self._split(rows)
        if not len(new):
            return self._base.column(slot, rows, span)
        old = _one(self._base.column(slot, rows[~patched], None))
        values = _one(self._new.column(slot, new, None))
        order = np.empty(len(rows), np.int64)
        order[~patched] = np.arange(len(old))
        order[patched] = len(old) + np.arange(len(new))
        kind = old.type if len(old) else values.type
        return pa.concat_arrays([old.cast(kind), values.cast(kind)]).take(number_array(order))

    def has_vector(self, key: str, rows: Ints) -> Mask:
        patched, new = self._split(rows)
        out = np.empty(len(rows), np.bool_)
        out[patched], out[~patched] = (
            self._new.has_vector(key, new),
            self._base.has_vector(key, rows[~patched]),
        )
        return out


def _one(array: pa.Array) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


class ColumnCache:
    """The typed columns of one collection. The columns of segments are kept within the budget."""

    def __init__(self, budget: MemoryBudget, owner: str) -> None:
        self._budget, self._owner = budget, owner
        self._entries: dict[str, tuple[Segment | Overlay, TypedColumns]] = {}
        self._lock = threading.Lock()

    def for_scan(self) -> Callable[[SegmentView], SomeColumns]:
        """Return a function from a view to its columns.

        The columns of memtables are made once per scan and not kept.
        """
        made: dict[int, tuple[SegmentView, SomeColumns]] = {}

        def typed(view: SegmentView) -> SomeColumns:
            source = view.source
            overlay = source.overlay if isinstance(source, PatchedSegment) else None
            patched = overlay is not None and "metadata" in overlay.fields
            if isinstance(source, Segment) and not patched:
                return self._of(source.base)
            entry = made.get(id(view))
            if entry is None:
                entry = made[id(view)] = view, self._made(source, view.rows)
            return entry[1]

        return typed

    def _made(self, source: Segment | Memtable, rows: int) -> SomeColumns:
        if isinstance(source, PatchedSegment):
            return PatchedColumns(self._of(source.base), self._new(source.overlay), source.overlay)
        assert isinstance(source, Memtable)
        return TypedColumns(columns.build(rows, [source.metadata(0, rows)]))

    def _of(self, source: Segment) -> TypedColumns:
        return self._cached(source.name, source, source.metadata_columns)

    def _new(self, overlay: Overlay) -> TypedColumns:
        """Return the columns of the rows that have new values, in the order of `overlay.rows`."""

        def build() -> MetadataColumns:
            return columns.build(len(overlay.rows), [overlay.table.texts("metadata", overlay.entries)])

        return self._cached(overlay.table.name, overlay, build)

    def _cached(
        self, name: str, source: Segment | Overlay, build: Callable[[], MetadataColumns]
    ) -> TypedColumns:
        with self._lock:
            entry = self._entries.get(name)
        if entry is None or entry[0] is not source:
            entry = source, TypedColumns(build())
            with self._lock:
                self._entries[name] = entry
        self._budget.hold(self._key(name), entry[1].nbytes, lambda: self._drop(name))
        return entry[1]

    def keep_only(self, snapshot: Snapshot) -> None:
        """Forget the segments that the snapshot no longer has."""
        names = {view.source.name for view in snapshot.views}
        names.update(overlay.table.name for overlay in overlays(view.source for view in snapshot.views))
        for name in [name for name in list(self._entries) if name not in names]:
            self._drop(name)
            self._budget.forget(self._key(name))

    def release(self) -> None:
        """Free all columns that can be loaded again."""
        for name in list(self._entries):
            self._drop(name)
            self._budget.forget(self._key(name))

    def _key(self, name: str) -> str:
        return f"columns {self._owner}/{name}"

    def _drop(self, name: str) -> None:
        with self._lock:
            self._entries.pop(name, None)
