"""Finds the changes that turn a collection into a version of it.

A record stays if both have it in the same row of the same segment, with the same values. It keeps its place
in the graph. All other records of the collection go. All other records of the version come again, with their
old positions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..schema.patches import PATCHED_FIELDS
from ..schema.record_columns import Ints, Mask
from ..segments.memtable import Memtable
from ..segments.patched_segment import overlays
from ..segments.segment import Segment, StoredRows
from ..segments.snapshot import SegmentView, Snapshot
from ..wal.frames import NO_DELETES


class Difference(NamedTuple):
    """The changes that turn a collection into a version of it.

    deletes  the positions of the records that go
    rows     the records that come, sorted by position within each group
    """

    deletes: Ints
    rows: list[StoredRows]


def difference(current: Snapshot, version: Snapshot) -> Difference:
    """Compare a collection with a version of it."""
    there = _segments(version)
    deletes, rows = [NO_DELETES], []
    for view in current.views:
        other = there.get(view.source.name) if isinstance(view.source, Segment) else None
        gone = _only_in(view, other)
        deletes.append(view.positions[gone])
    here = _segments(current)
    for view in version.views:
        other = here.get(view.source.name) if isinstance(view.source, Segment) else None
        come = _only_in(view, other)
        if len(come):
            rows.append(view.source.stored(come))
    return Difference(np.concatenate(deletes), rows)


def _segments(snapshot: Snapshot) -> dict[str, SegmentView]:
    return {view.source.name: view for view in snapshot.views if isinstance(view.source, Segment)}


def _only_in(view: SegmentView, other: SegmentView | None) -> Ints:
    """Return the live rows of a view that are not live, or have other values, in another one of its segment.

    other  None if there is none
    """
    if other is None:
        return view.live_rows()
    alive = np.ones(view.rows, np.bool_) if view.tombstones is None else ~view.tombstones
    elsewhere = np.ones(other.rows, np.bool_) if other.tombstones is None else ~other.tombstones
    return np.flatnonzero(alive & ~(elsewhere & _same_values(view.source, other.source)))


def _same_values(one: Segment | Memtable, other: Segment | Memtable) -> Mask:
    """Return which rows of a segment have the same texts and metadata at two moments."""
    assert isinstance(one, Segment) and isinstance(other, Segment)
    same = np.ones(one.rows, np.bool_)
    if one is other or (one.base is one and other.base is other and one.content == other.content):
        return same
    if one.content != other.content:
        rows = np.arange(one.rows)
    else:
        rows = np.unique(np.concatenate([each.rows for each in overlays((one, other))]))
    for field in PATCHED_FIELDS:
        pairs = zip(one.texts(field, rows), other.texts(field, rows), strict=True)
        same[rows] &= np.fromiter((a == b for a, b in pairs), np.bool_, len(rows))
    return same
