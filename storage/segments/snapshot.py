"""A snapshot: a consistent view of a collection.

Owns: which rows in which parts are live, and reading records by (part, row). A part is a segment or a
memtable. A snapshot never changes. Readers may keep it for any time, and keeping it blocks no writer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..interface.values import Field, Floats, Rows
from ..manifest import SegmentRef
from ..schema.record_columns import Ints, Mask, decode_metadata
from ..validation.column_offsets import ascends
from .memtable import Memtable
from .segment import Segment, hash_ids

# Sorting 700k rows takes 10 ms even if they are sorted; finding that out takes 0.5 ms.
_MANY = 1000


class SegmentView(NamedTuple):
    """The first `rows` rows of a segment or memtable.

    tombstones  marks the deleted rows; None if no row is deleted
    ref         the reference to a segment's files; None for a memtable
    named       whether the manifest names the segment; otherwise only a log does
    """

    source: Segment | Memtable
    rows: int
    tombstones: Mask | None
    deleted_rows: int
    ref: SegmentRef | None = None
    named: bool = False

    @property
    def live(self) -> int:
        return self.rows - self.deleted_rows

    @property
    def positions(self) -> Ints:
        return self.source.positions[: self.rows]

    @property
    def ordered(self) -> bool:
        """Whether positions ascend with the rows. In a memtable, updates append rows with old positions."""
        return isinstance(self.source, Segment) or self.source.ordered

    @property
    def vectors(self) -> Floats:
        return self.source.vectors[: self.rows]

    @property
    def unchecked_vectors(self) -> Floats:
        """The same, for a reader that checks those that it reads."""
        source = self.source
        return source.unchecked_vectors if isinstance(source, Segment) else self.vectors

    def vectors_to_read(self, rows: Ints | None) -> Floats:
        """Return `vectors`, for a reader of these rows; None: all rows."""
        return self.vectors if rows is None else self.source.vectors_to_read(rows)[: self.rows]

    @property
    def norms(self) -> Floats:
        return self.source.norms[: self.rows]

    @property
    def lengths(self) -> npt.NDArray[np.float64] | None:
        """The length of each vector; None for a memtable, which does not keep them."""
        return self.source.lengths if isinstance(self.source, Segment) else None

    def known_lengths(self) -> npt.NDArray[np.float64] | None:
        """Return `lengths`, or None if it would first have to read all vectors of a large segment."""
        return self.lengths if isinstance(self.source, Segment) and self.source.knows_lengths() else None

    def live_rows(self) -> Ints:
        """Return the live row numbers, ascending."""
        if self.tombstones is None:
            return np.arange(self.rows)
        return np.flatnonzero(~self.tombstones)

    def locate_positions(self, positions: Ints) -> Ints:
        """Return the live row with each position, or -1 if there is none.

        The memtable's own look-up knows only the latest row with a position, which may be newer than this.
        """
        if isinstance(self.source, Segment):
            rows = self.source.locate_positions(positions)
            if self.tombstones is not None:
                rows[(rows >= 0) & self.tombstones[rows]] = -1
            return rows
        live = self.live_rows()
        mine = self.positions[live]
        if not self.ordered:
            order = np.argsort(mine, kind="stable")
            live, mine = live[order], mine[order]
        at = np.minimum(np.searchsorted(mine, positions), len(mine) - 1)
        out: Ints = np.where(mine[at] == positions, live[at], -1) if len(mine) else np.full(len(at), -1)
        return out


class SelectedRows(NamedTuple):
    """Some rows of one view, in the order in which they are read."""

    view: SegmentView
    rows: Ints

    def positions(self) -> Ints:
        return self.view.source.positions[self.rows]

    def by_position(self) -> SelectedRows:
        """Return the same rows in the order of their positions."""
        if len(self.rows) == 1:
            return self
        if isinstance(self.view.source, Segment):  # its positions ascend with the rows
            if len(self.rows) > _MANY and ascends(self.rows):  # as those that a filter found do
                return self
            return SelectedRows(self.view, np.sort(self.rows))
        return SelectedRows(self.view, self.rows[np.argsort(self.positions(), kind="stable")])


class Snapshot(NamedTuple):
    """The live records at one moment. `frames` is the number of frames in logs that are not flushed yet."""

    views: tuple[SegmentView, ...]
    dimension: int | None
    next_position: int
    frames: int

    @property
    def live(self) -> int:
        count = 0
        for view in self.views:  # `sum` would take a tenth of a count
            count += view.rows - view.deleted_rows
        return count

    @property
    def memtables(self) -> list[Memtable]:
        return [view.source for view in self.views if isinstance(view.source, Memtable)]

    def locate(self, ids: Sequence[str]) -> tuple[Ints, Ints]:
        """Return, for each id, the number of its view (-1 if absent) and its row in that view.

        The caller holds the collection's lock, because a memtable knows only the latest row of an id.
        """
        if len(ids) == 1:  # the most frequent add; with arrays it would take twice as long
            one, at = self._find(ids[0])
            return np.array([one]), np.array([at])
        part, row = np.full(len(ids), -1, np.int64), np.full(len(ids), -1, np.int64)
        hashes = None
        for number in range(len(self.views) - 1, -1, -1):
            view = self.views[number]
            if not view.rows:
                continue
            if isinstance(view.source, Memtable):
                found = view.source.locate_ids(ids)
            else:
                if hashes is None:
                    hashes = hash_ids(ids)
                found = view.source.locate_ids(ids, hashes)
            hit = (found >= 0) & (found < view.rows) & (part < 0)
            if view.tombstones is not None:
                hit &= ~view.tombstones[np.where(hit, found, 0)]
            part[hit], row[hit] = number, found[hit]
        return part, row

    def _find(self, id: str) -> tuple[int, int]:
        for number in range(len(self.views) - 1, -1, -1):
            view = self.views[number]
            row = view.source.find(id)
            if 0 <= row < view.rows and (view.tombstones is None or not view.tombstones[row]):
                return number, row
        return -1, -1

    def select(self, ids: Sequence[str]) -> list[SelectedRows]:
        """Return the rows that have one of the ids, by view. The caller holds the collection's lock."""
        if len(ids) == 1:
            number, at = self._find(ids[0])
            return [] if number < 0 else [SelectedRows(self.views[number], np.array([at]))]
        part, row = self.locate(ids)
        out = []
        for number, view in enumerate(self.views):
            rows = row[part == number]
            if len(rows):
                out.append(SelectedRows(view, rows))
        return out

    def everything(self) -> list[SelectedRows]:
        return [SelectedRows(view, view.live_rows()) for view in self.views if view.live]


def in_order(
    selected: Sequence[SelectedRows], offset: int = 0, limit: int | None = None
) -> list[SelectedRows]:
    """Sort the rows by position, skip `offset` of them, and return at most `limit`.

    Each run in the result has rows from one view.
    """
    stop = None if limit is None else offset + limit
    selected = [run.by_position() for run in selected if len(run.rows)]
    if len(selected) == 1:  # the most frequent case; with bounds it would take twice as long
        view, rows = selected[0]
        page = rows[offset:stop]
        return [SelectedRows(view, page)] if len(page) else []
    bounds = [(int(run.positions()[0]), int(run.positions()[-1])) for run in selected]
    order = sorted(range(len(selected)), key=bounds.__getitem__)
    if all(bounds[a][1] < bounds[b][0] for a, b in itertools.pairwise(order)):
        return list(_slice([selected[number] for number in order], offset, stop))
    # An updated record keeps its position but is in a newer part, so the parts must be merged by position.
    part = np.concatenate([np.full(len(run.rows), number) for number, run in enumerate(selected)])
    rows = np.concatenate([run.rows for run in selected])
    by_position = np.argsort(np.concatenate([run.positions() for run in selected]), kind="stable")[
        offset:stop
    ]
    return in_runs([run.view for run in selected], part[by_position], rows[by_position])


def in_runs(views: Sequence[SegmentView], part: Ints, rows: Ints) -> list[SelectedRows]:
    """Divide rows, in the order in which they are read, into runs that have rows from one view each.

    part  the index of each row's view in `views`
    """
    if not len(part):
        return []
    starts = np.flatnonzero(np.r_[True, part[1:] != part[:-1]])
    ends = np.r_[starts[1:], len(part)]
    return [SelectedRows(views[part[a]], rows[a:b]) for a, b in zip(starts.tolist(), ends.tolist())]


def _slice(selected: list[SelectedRows], start: int, stop: int | None) -> Iterator[SelectedRows]:
    for run in selected:
        size = len(run.rows)
        end = size if stop is None else min(stop, size)
        if start < end:
            yield SelectedRows(run.view, run.rows[start:end])
        start = max(0, start - size)
        if stop is not None:
            stop -= size
            if stop <= 0:
                return


def read(selected: Sequence[SelectedRows], fields: frozenset[Field], dimension: int | None) -> Rows:
    """Read the records at these rows, in this order."""
    if len(selected) == 1:
        return read_one(selected[0], fields)
    numbers: dict[int, int] = {}  # by view, so that the runs of one view are read together
    views: list[SegmentView] = []
    part = []
    for run in selected:
        number = numbers.setdefault(id(run.view), len(views))
        if number == len(views):
            views.append(run.view)
        part.append(np.full(len(run.rows), number))
    if not selected:
        return no_rows(fields, dimension)
    return read_rows(
        views, np.concatenate(part), np.concatenate([p.rows for p in selected]), fields, dimension
    )


def read_rows(
    views: Sequence[SegmentView],
    part: Ints | None,
    rows: Ints,
    fields: frozenset[Field],
    dimension: int | None,
) -> Rows:
    """Read the records at `rows`, in this order.

    part  the index in `views` of each row's view; None: all rows are in the first view
    """
    if not len(rows):
        return no_rows(fields, dimension)
    if part is None or len(views) == 1:
        return read_one(SelectedRows(views[0], rows), fields)
    order = np.argsort(part, kind="stable")  # rows are read per column and view, then reordered
    bounds = np.searchsorted(part[order], np.arange(len(views) + 1)).tolist()
    merged = [
        SelectedRows(view, rows[order[start:end]])
        for view, start, end in zip(views, bounds, bounds[1:])
        if end > start
    ]
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    destinations = back.tolist()

    def text(field: str) -> list[Any]:
        out: list[Any] = []
        for run in merged:
            out.extend(run.view.source.texts(field, run.rows))
        return [out[index] for index in destinations]

    embeddings = None
    if "embeddings" in fields:
        blocks = [run.view.source.vectors_to_read(run.rows)[run.rows] for run in merged]
        embeddings = np.concatenate(blocks)[back]
    return Rows(
        text("id"),
        text("document") if "documents" in fields else None,
        decode_metadata(text("metadata")) if "metadatas" in fields else None,
        text("uri") if "uris" in fields else None,
        embeddings,
    )


def no_rows(fields: frozenset[Field], dimension: int | None) -> Rows:
    """Return the requested columns without any rows."""
    return Rows(
        [],
        [] if "documents" in fields else None,
        [] if "metadatas" in fields else None,
        [] if "uris" in fields else None,
        np.empty((0, dimension or 0), np.float32) if "embeddings" in fields else None,
    )


def read_one(run: SelectedRows, fields: frozenset[Field]) -> Rows:
    """Read rows of one view, which need no reordering."""
    source, rows = run.view.source, run.rows
    ids: Any = source.texts("id", rows)
    return Rows(
        ids,
        source.texts("document", rows) if "documents" in fields else None,
        source.mappings(rows) if "metadatas" in fields else None,
        source.texts("uri", rows) if "uris" in fields else None,
        source.vectors_to_read(rows)[rows] if "embeddings" in fields else None,
    )
