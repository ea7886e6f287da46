"""Compaction: flush the memtables, merge segments, reclaim space.

Owns: when and how a collection's files are rewritten. Only one compaction runs at a time, among all processes
(`maintain.lock`). Writers continue meanwhile. The collection stays intact if the process crashes after any of
these steps:

    1. start a new log under the write lock, and keep the state of that moment
    2. write merged segments, tombstone files and the new values of patched rows from that state
    3. publish a manifest whose first log is the new one
    4. remove the files that neither the manifest nor its logs name
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xxhash

from ..interface.errors import Corruption
from ..io.disk import Folder
from ..manifest import COPY, FileRef, Manifest, SegmentRef, random_name
from ..schema.record_columns import Mask
from ..segments.memtable import Memtable
from ..segments.patched_segment import Overlay, PatchedSegment, overlays
from ..segments.segment import Segment, StoredRows, rewrite_values, write_segment
from ..segments.snapshot import SegmentView, Snapshot
from ..segments.tombstones import encode_tombstones
from ..wal import log as logs
from ..wal.log import START, Log
from .live_state import State, log_name
from .record_store import RecordStore, log_file, new_segment_name

# A flush at about 16k rows keeps the scan of a memtable near 1 ms at 384 dimensions. The number of frames is
# limited too, because a log of 100k single-row frames takes 4 s to replay.
FLUSH_ROWS, FLUSH_BYTES, FLUSH_FRAMES = 16_384, 64 << 20, 16_384
# In a pause, so many new values are taken from the logs, which a process that opens the collection reads one
# by one. Fewer are enough if the columns are then written again.
UNSAVED, FEW_UNSAVED = 4096, 1024
MOST_UNMANIFESTED = 32  # this many unmanifested bulk segments are merged without waiting for a pause
DELETED_SHARE = 0.2  # a segment is rewritten once a larger share of its rows is deleted
MAX_SEGMENT_ROWS = 8_000_000  # larger segments are not merged
# The columns of a segment are written again once a larger share of its rows, or more rows, have new values,
# or once these take more bytes. Until then, new values are in a file of their own, and in the memory of each
# process. A compaction that has more of them writes that file again.
PATCHED_SHARE, PATCHED_ROWS, PATCHED_BYTES = 0.2, 131_072, 16 << 20


def due(snapshot: Snapshot) -> bool:
    """Whether a compaction should run without waiting for a pause in writing."""
    if snapshot.frames >= FLUSH_FRAMES:
        return True
    rows = size = unmanifested = 0
    for view in snapshot.views:  # each write runs this loop
        source = view.source
        if isinstance(source, Memtable):
            rows += source.rows
            size += source.nbytes
        else:
            unmanifested += not view.named
            if type(source) is PatchedSegment:
                rows += source.overlay.unsaved
                size += source.overlay.table.nbytes
    return rows >= FLUSH_ROWS or size >= FLUSH_BYTES or unmanifested >= MOST_UNMANIFESTED


def outrun(snapshot: Snapshot) -> bool:
    """Whether writers should wait, because too many rows, or new values, are only in memory and in logs."""
    if sum(memtable.rows for memtable in snapshot.memtables) > 4 * FLUSH_ROWS:
        return True
    patched = overlays(view.source for view in snapshot.views)  # without vectors, rows are small
    return sum(overlay.table.nbytes for overlay in patched) > 4 * FLUSH_BYTES


def useful(snapshot: Snapshot) -> bool:
    """Whether a compaction is worthwhile once writes pause.

    It is worthwhile if a segment is not named in the manifest yet, has many deleted rows, or many new values
    that are only in logs.
    """
    return any(
        isinstance(view.source, Segment) and (not view.named or _worn(view) or _unsaved(view.source))
        for view in snapshot.views
    )


def _unsaved(segment: Segment) -> bool:
    """Whether many new values are only in logs, or enough for the columns to be written again."""
    if not isinstance(segment, PatchedSegment):
        return False
    unsaved = segment.overlay.unsaved
    return unsaved >= UNSAVED or (unsaved >= FEW_UNSAVED and _many(segment.overlay))


def _many(overlay: Overlay) -> bool:
    """Whether so many rows have new values that the columns are written again."""
    return overlay.patched > PATCHED_SHARE * overlay.size or overlay.patched > PATCHED_ROWS


def _worn(view: SegmentView) -> bool:
    return isinstance(view.source, Segment) and view.deleted_rows > DELETED_SHARE * view.rows


class Base(NamedTuple):
    """The collection's state at the moment when a new log began."""

    snapshot: Snapshot
    refs: dict[str, SegmentRef]
    log: str
    version: int


def compact(store: RecordStore, everything: bool, most_rows: int = MAX_SEGMENT_ROWS) -> bool:
    """Flush and merge. With `everything`, merge all that fits into segments of `most_rows`.

    Returns False if another compaction is running.
    """
    with (
        store.existing(),
        store.folder.lock("maintain.lock", wait=everything, timeout=None) as locked,
    ):
        if not locked:
            return False
        if store.unclean:  # failed attempts must not fill the disk
            _clean(store)
        with store.writing(), store.changing() as state:
            base = _rotate(store, state)
        dimension, position = base.snapshot.dimension, base.snapshot.next_position
        try:
            refs = _merge(store, base, everything, min(most_rows, MAX_SEGMENT_ROWS))
            store.folder.sync()
            Manifest(base.version + 1, base.log, dimension, position, tuple(refs)).publish(store.folder)
        except BaseException:
            # There may be files that nothing names, or the manifest or its copy may already name the new
            # segment. The next attempt reads both before it removes any file.
            store.unclean = True
            raise
        store.refresh()
        _clean(store)
        return True


def _rotate(store: RecordStore, state: State) -> Base:
    """Begin a new log, so that the older logs end exactly at the current state."""
    if state.log.offset > START:
        name = log_file(state.log.sequence + 1)
        store.folder.remove(name)  # an interrupted rotation may have left it
        log = Log.create(store.folder, name, state.log.sequence + 1)
        store.folder.sync()
        # Synced before the first write to the new log, because no later frame may survive a crash without
        # the END frame.
        state.before_append()
        state.log.sync(state.log.append(logs.END, name.encode()))
        state.log.record_watermark()
        state.begin(log)
    return Base(state.snapshot(), dict(state.refs), log_name(state.log), state.manifest.version)


def _merge(store: RecordStore, base: Base, everything: bool, most_rows: int) -> list[SegmentRef]:
    """Write new segments and the new files of the others. Returns the references to all segments."""
    groups = _groups(_choose(base.snapshot, everything, most_rows), most_rows)
    merging = {view.source.name for group in groups for view in group}
    kept = [view for view in base.snapshot.views if view.source.name not in merging and view.live]
    refs = [_kept(store, base, view, everything) for view in kept]
    for group in groups:
        rows = _gather(group, store.folder)
        if rows is not None:
            refs.append(write_segment(store.folder, new_segment_name(), rows))
            store.before_merge(group, refs[-1].name, rows.positions)
        del rows
    return refs


def _groups(views: Sequence[SegmentView], most_rows: int) -> list[list[SegmentView]]:
    """Divide views into groups that become a segment each. No group is a segment that would only be copied.

    A segment must not have so many rows that its graph could not be built.
    """
    groups: list[list[SegmentView]] = []
    for view in sorted((view for view in views if view.rows), key=lambda view: int(view.positions[0])):
        if not groups or sum(each.live for each in groups[-1]) + view.live > most_rows:
            groups.append([])
        groups[-1].append(view)
    return [group for group in groups if len(group) > 1 or not _whole(group[0])]


def _whole(view: SegmentView) -> bool:
    """Whether the view is a segment without deleted rows."""
    return isinstance(view.source, Segment) and not view.deleted_rows


def _choose(snapshot: Snapshot, everything: bool, most_rows: int) -> list[SegmentView]:
    """Choose the views to rewrite.

    Memtables are always included. A segment is included as soon as everything newer has together at least as
    many rows. On the way to a million rows, this rule writes each row 3.6 times and keeps 3 segments, on
    average.
    """
    memtables = [view for view in snapshot.views if isinstance(view.source, Memtable)]
    segments = [view for view in snapshot.views if isinstance(view.source, Segment)]
    segments.sort(key=lambda view: int(view.positions[0]))
    small = [view for view in segments if view.live < most_rows]
    newer = sum(view.live for view in memtables)
    if everything:
        done = len(segments) == 1 and not newer and not segments[0].deleted_rows
        return [] if done else memtables + small
    chosen: list[SegmentView] = []
    pending: list[SegmentView] = []
    for view in reversed(small):
        pending.append(view)
        if newer >= view.live:
            chosen.extend(pending)
            pending = []
        newer += view.live
    chosen.extend(view for view in small if _worn(view) and view not in chosen)
    return memtables + chosen


def _gather(views: Sequence[SegmentView], folder: Folder) -> StoredRows | None:
    """Collect the live records of the views, sorted by position.

    The vectors of several views are copied to scratch space in the folder.
    """
    live = [view for view in views if view.live]
    parts = [view.source.stored(view.live_rows()) for view in live]
    if not parts:
        return None
    if len(parts) == 1:
        return parts[0]

    def copied(number: int) -> None:
        source = live[number].source
        if isinstance(source, Segment):  # its pages count as memory of the process until they are given back
            source.evict_vectors()

    return StoredRows.concatenate(parts, folder.scratch, copied)


def _kept(store: RecordStore, base: Base, view: SegmentView, everything: bool) -> SegmentRef:
    """Return the reference to a segment that stays, with its current tombstones and values.

    everything  write its columns again if any row has a new value
    """
    ref = base.refs[view.source.name]
    if view.tombstones is not None and view.deleted_rows != ref.deleted_rows:
        ref = ref._replace(
            tombstones=_write_tombstones(store, ref, view.tombstones), deleted_rows=view.deleted_rows
        )
    if not isinstance(view.source, PatchedSegment):
        return ref
    try:
        return _with_values(store, ref, view.source, everything)
    except BaseException:
        store.unclean = True  # there may be files that nothing names
        raise


def _with_values(
    store: RecordStore, ref: SegmentRef, segment: PatchedSegment, everything: bool
) -> SegmentRef:
    """Write the new values of a segment: beside its columns, or with them if there are many."""
    overlay = segment.overlay
    many = _many(overlay)
    data = b"" if everything or many or not overlay.unsaved else overlay.as_patch().encode()
    if everything or many or len(data) > PATCHED_BYTES:
        kept = {"#document"} if "document" not in overlay.fields else set[str]()
        return rewrite_values(store.folder, ref, segment.stored(np.arange(segment.rows)), kept)
    if not overlay.unsaved:
        return ref
    return ref._replace(values=_write_new(store, ref, "values", data))


def _write_tombstones(store: RecordStore, ref: SegmentRef, tombstones: Mask) -> FileRef:
    return _write_new(store, ref, "deleted", encode_tombstones(tombstones))


def _write_new(store: RecordStore, ref: SegmentRef, kind: str, data: bytes) -> FileRef:
    """Write a file with a new name into the folder of a segment."""
    name = f"{kind}-{random_name()}"
    store.folder.child(ref.name).replace(name, data)
    return FileRef(name, len(data), xxhash.xxh3_64_hexdigest(data))


def _clean(store: RecordStore) -> None:
    """Remove the files that no manifest, copy of a manifest or log names.

    Other processes can still read the files that they have mapped.
    """
    folder = store.folder
    with store.writing(), store.changing() as state:
        logs_kept = set(state.live_logs())
        copied = _copied(folder)
        named: dict[str, list[SegmentRef]] = {}
        for ref in (*state.manifest.segments, *state.refs.values(), *copied):
            named.setdefault(ref.name, []).append(ref)
        for name in folder.names():
            stale_log = name.startswith("log-") and name not in logs_kept
            if stale_log or name.endswith(".tmp"):
                folder.remove(name)
            elif name.startswith("seg-") and name not in named:
                folder.child(name).remove_tree()
            elif name.startswith("seg-"):
                _clean_segment(folder.child(name), named[name])
        # If a publication stopped between the copy and the manifest, the next attempt removes the files that
        # only the copy names.
        store.unclean = copied != state.manifest.segments


def _copied(folder: Folder) -> tuple[SegmentRef, ...]:
    """Return the segments that the manifest's copy names.

    The copy is written first, so it is newer than the manifest if a publication stopped in between.
    """
    try:
        return Manifest.load(folder, COPY).segments
    except Corruption:  # a damaged copy cannot serve for repairs
        return ()


def _clean_segment(home: Folder, refs: Sequence[SegmentRef]) -> None:
    """Remove the files that `refs` do not name.

    refs  the references to the segment in the manifest, its copy and the logs
    """
    keep = {file.name for ref in refs for file in ref.all_files()}
    for name in home.names():
        if name not in keep:
            home.remove(name)


def share(store: RecordStore, target: Folder) -> None:
    """Fork the collection into `target`: flush its log, then link its immutable files."""
    compact(store, everything=False)
    target.create()
    with (
        store.folder.lock("maintain.lock", timeout=None),
        store.writing(),
        store.changing() as state,
    ):
        base = _rotate(store, state)
        refs = []
        for view in base.snapshot.views:
            if isinstance(view.source, Memtable):
                if (rows := _gather([view], target)) is not None:
                    refs.append(write_segment(target, new_segment_name(), rows))
                continue
            ref = _kept(store, base, view, everything=False)
            source, home = store.folder.child(ref.name), target.child(ref.name)
            home.create()
            for file in ref.all_files():
                if file.bytes:  # graphs in memory have no file
                    home.link_from(source, file.name)
            if store.folder.in_memory:
                ref = ref._replace(graph=None)
            home.sync()
            refs.append(ref)
        name = log_file(1)
        Log.create(target, name, 1).close()
        target.sync()
        Manifest(1, name, base.snapshot.dimension, base.snapshot.next_position, tuple(refs)).publish(target)
