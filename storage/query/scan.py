"""Read records as Arrow record batches of bounded size.

Owns: how rows in several views become columns without passing through Python objects. A scan keeps one batch
in memory at a time. The files that it reads are memory-mapped.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrow.arrays import number_array, vector_array
from ..arrow.lazy_pyarrow import pa
from ..interface.sparse_vector import SparseVector
from ..interface.values import Field, Rows
from ..schema.metadata_columns import Slot
from ..schema.record_columns import Ints, decode_metadata
from ..segments.snapshot import SegmentView, SelectedRows, read
from .typed_columns import SomeColumns, slot_type

BATCH_BYTES = 8 << 20
WHOLE_BYTES = 1 << 30  # with batches of this size, a whole table is read as fast as the files
MOST_ROWS = 65_536
_TEXT_BYTES = 512  # the estimated size of a record's texts, used for the first batch
_LONG = 1024  # a run of at least this many rows is a batch of its own and is not copied
_FIRST = 100  # the number of first records whose keys determine the order of the columns

# The public names of the columns, in order, with the field that requests each column.
COLUMNS: tuple[tuple[str, Field | None], ...] = (
    ("id", None),
    ("document", "documents"),
    ("uri", "uris"),
    ("metadata", "metadatas"),
    ("embedding", "embeddings"),
)


def scan_schema(
    fields: frozenset[Field], dimension: int | None, slots: Sequence[Slot] | None = None
) -> pa.Schema:
    """Return the schema of a scan: id, and document, uri, metadata and embedding if requested.

    Texts have the Arrow type string. Metadata is a JSON object as text. With `slots`, it is one column per
    slot instead, named "type:key". The embedding is a fixed-size list of float32, whose length is 0 while the
    collection has no dimension.
    """
    columns = []
    for name, field in COLUMNS:
        if field is not None and field not in fields:
            continue
        if name == "embedding":
            columns.append(pa.field(name, pa.list_(pa.float32(), dimension or 0), nullable=False))
        elif name == "metadata" and slots is not None:
            columns.extend(pa.field(_name(slot), slot_type(slot)) for slot in slots)
        else:
            columns.append(pa.field(name, pa.string(), nullable=name != "id"))
    return pa.schema(columns)


def _name(slot: Slot) -> str:
    return f"{slot[1]}:{slot[0]}"


@dataclass(frozen=True, slots=True)
class Scan:
    """Rows of one snapshot in a fixed order. They may be read any number of times, with the same result.

    views  the views of the snapshot, which may have rows that are not selected
    typed  returns the typed columns of a view
    """

    selected: tuple[SelectedRows, ...]
    dimension: int | None
    views: tuple[SegmentView, ...]
    typed: Callable[[SegmentView], SomeColumns]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(len(run.rows) for run in self.selected)

    @property
    def state(self) -> tuple[Any, ...]:
        """A value that equals that of another scan only if the collection has not changed between them.

        It refers weakly to the parts of the snapshot, so keeping it keeps no files open. After a compaction
        it differs, although the records are the same.
        """
        return tuple(
            (weakref.ref(view.source), view.rows, view.deleted_rows, _digest(view.tombstones))
            for view in self.views
        )

    def take(self, fields: frozenset[Field]) -> Rows:
        """All rows as plain values."""
        return read(self.selected, fields, self.dimension)

    def size(self, fields: frozenset[Field]) -> int:
        """Return the stored size in bytes of the columns `fields` of the rows, including their ids."""
        views, rows = [run.view for run in self.selected], [run.rows for run in self.selected]
        return weigh(views, rows, fields, self.dimension)

    def slots(self, keys: Sequence[str] | None = None) -> list[Slot]:
        """Return the keys and types in the rows' metadata.

        Keys are in the order in which the first records have them. The others follow by name. If no rows are
        selected, the result has the keys of the whole snapshot, so that code that reads a column finds it.
        With `keys`, the result has every type that these keys have in the snapshot, in the order of `keys`.
        """
        found: set[Slot] = set()
        if keys is not None:
            for view in self.views:
                found |= self.typed(view).slots(view.live_rows())
            order = {key: rank for rank, key in enumerate(keys)}
            return sorted(
                (slot for slot in found if slot[0] in order), key=lambda slot: (order[slot[0]], slot)
            )
        selected = self.selected if self.rows else _live(self.views)
        for view, rows, _ in _by_view(selected):
            found |= self.typed(view).slots(rows)
        order = {}
        for run in _head(selected, _FIRST):
            for entry in decode_metadata(run.view.source.texts("metadata", run.rows)):
                for key in entry or ():
                    order.setdefault(key, len(order))
        return sorted(found, key=lambda slot: (order.get(slot[0], len(order)), slot))

    def read(
        self,
        fields: frozenset[Field],
        slots: Sequence[Slot] | None = None,
        batch_bytes: int = BATCH_BYTES,
    ) -> pa.RecordBatchReader:
        """Return a stream of record batches with the schema `scan_schema(fields, dimension, slots)`.

        A batch has at most `batch_bytes`, unless a single record is larger.
        """
        schema = scan_schema(fields, self.dimension, slots)
        return pa.RecordBatchReader.from_batches(
            schema, _Reading(schema, self.typed, slots or (), batch_bytes).batches(self.selected)
        )


def _digest(tombstones: Any) -> int:
    return 0 if tombstones is None else hash(np.packbits(tombstones).tobytes())


def weigh(
    views: Sequence[SegmentView], rows: Sequence[Ints], fields: frozenset[Field], dimension: int | None
) -> int:
    """Return the stored bytes of the given rows of each view: their ids, and the columns `fields`."""
    names = [name for name, field in COLUMNS if name != "embedding" and (field is None or field in fields)]
    whole = 4 * (dimension or 0) * sum(map(len, rows)) if "embeddings" in fields else 0
    for view, some in zip(views, rows):
        if len(some):
            whole += sum([view.source.size(name, some) for name in names])
    return whole


def _live(views: Sequence[SegmentView]) -> list[SelectedRows]:
    """Select all rows that are not deleted."""
    selected = (SelectedRows(view, view.live_rows()) for view in views)
    return [run for run in selected if len(run.rows)]


def _head(selected: Sequence[SelectedRows], rows: int) -> Iterator[SelectedRows]:
    """Yield the first `rows` rows."""
    for run in selected:
        if rows <= 0:
            return
        yield SelectedRows(run.view, run.rows[:rows])
        rows -= len(run.rows)


class _Reading:
    """One pass over the rows of a scan."""

    def __init__(
        self,
        schema: pa.Schema,
        typed: Callable[[SegmentView], SomeColumns],
        slots: Sequence[Slot],
        batch_bytes: int,
    ) -> None:
        self._schema = schema
        self._typed = typed
        self._slots = {_name(slot): slot for slot in slots}
        self._batch_bytes = batch_bytes
        at = schema.get_field_index("embedding")
        self._width = 8 * len(slots) + (4 * schema.field(at).type.list_size if at >= 0 else 0)
        plain = [name for name in schema.names if name != "embedding" and name not in self._slots]
        self._texts = [*plain, "metadata"] if slots else plain  # JSON is about as large as typed columns

    def batches(self, selected: Sequence[SelectedRows]) -> Iterator[pa.RecordBatch]:
        rows = max(1, self._batch_bytes // (_TEXT_BYTES + self._width))
        waiting = list(reversed(selected))
        while waiting:
            taken = _take(waiting, rows)
            fitting = self._fitting(taken)
            if fitting < sum(len(run.rows) for run in taken):
                waiting.extend(reversed(taken))
                taken = _take(waiting, fitting)
            rows = 2 * fitting if self._batch_bytes > BATCH_BYTES else min(MOST_ROWS, 2 * fitting)
            yield self._batch(taken)

    def _fitting(self, selected: Sequence[SelectedRows]) -> int:
        """Return how many of the rows fit into a batch: at least one."""
        sizes = np.full(sum(len(run.rows) for run in selected), self._width, np.int64)
        for view, rows, slots in _by_view(selected):
            for name in self._texts:
                sizes[slots] += view.source.sizes(name, rows)
        return max(1, int(np.searchsorted(np.cumsum(sizes), self._batch_bytes, "right")))

    def _batch(self, selected: Sequence[SelectedRows]) -> pa.RecordBatch:
        if len(selected) == 1:
            return self._columns(selected[0])
        # There are many short runs in few views: take the rows once per column and view, then reorder them.
        parts, slots = [], []
        for view, rows, slots_of in _by_view(selected):
            parts.append(self._columns(SelectedRows(view, rows)))
            slots.append(slots_of)
        table = pa.Table.from_batches(parts, self._schema)
        if len(parts) < len(selected):
            table = table.take(number_array(np.argsort(np.concatenate(slots))))
        return table.combine_chunks().to_batches()[0]

    def _columns(self, run: SelectedRows) -> pa.RecordBatch:
        """Read rows of one view. Consecutive rows of a segment are slices of its files, not copies."""
        source, rows = run.view.source, run.rows
        span = _span(rows)
        typed = self._typed(run.view) if self._slots else None
        arrays = []
        for name in self._schema.names:
            slot = self._slots.get(name)
            if slot is not None and slot[1] == "sparse_vector":
                arrays.append(_sparse_vectors(source, slot[0], rows))
            elif typed is not None and slot is not None:
                arrays.append(typed.column(slot, rows, span))
            elif name == "embedding":
                arrays.append(vector_array(source.vectors[rows if span is None else span]))
            else:
                arrays.append(source.column(name, rows, span))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _sparse_vectors(source: Any, key: str, rows: Ints) -> pa.Array:
    """Read the sparse vectors of a key from the metadata texts, which alone have their values."""
    from ..interface import sparse_vector_arrow

    values = [None if entry is None else entry.get(key) for entry in source.mappings(rows)]
    return sparse_vector_arrow.to_array(
        [value if isinstance(value, SparseVector) else None for value in values]
    )


def _by_view(selected: Sequence[SelectedRows]) -> Iterator[tuple[SegmentView, Ints, Ints]]:
    """Yield each view once, with its rows and their places in the order of `selected`."""
    runs: dict[int, list[int]] = {}
    for number, run in enumerate(selected):
        runs.setdefault(id(run.view), []).append(number)
    starts = np.cumsum([0, *(len(run.rows) for run in selected)])
    for numbers in runs.values():
        rows = np.concatenate([selected[number].rows for number in numbers])
        slots = np.concatenate([np.arange(starts[number], starts[number + 1]) for number in numbers])
        yield selected[numbers[0]].view, rows, slots


def _take(waiting: list[SelectedRows], rows: int) -> list[SelectedRows]:
    """Remove at most `rows` rows from the end of `waiting`, which is in reverse order."""
    taken: list[SelectedRows] = []
    while waiting and rows:
        if taken and len(waiting[-1].rows) >= _LONG:
            break
        run = waiting.pop()
        if len(run.rows) > rows:
            waiting.append(SelectedRows(run.view, run.rows[rows:]))
            run = SelectedRows(run.view, run.rows[:rows])
        rows -= len(run.rows)
        taken.append(run)
    return taken


def _span(rows: Ints) -> slice | None:
    """Return the rows as a slice if they are consecutive, otherwise None."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 != len(rows) or not np.all(np.diff(rows) == 1):
        return None
    return slice(first, last + 1)
