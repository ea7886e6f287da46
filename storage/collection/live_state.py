"""The in-memory state of a collection: the manifest plus the changes in its logs.

Owns: applying frames in order, and adopting a newer manifest. The state is not thread-safe: the caller holds
the collection's lock around every method. A manifest names a first log, and its segments hold the records as
they were when that log began. So every delete and patch in that log or a later one applies to these
segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..interface.errors import Corruption
from ..io.disk import Folder
from ..manifest import Manifest, SegmentRef
from ..schema.patches import UNCHANGED, Patch, Value
from ..schema.record_columns import Columns, Ints, Mask
from ..segments.memtable import Memtable
from ..segments.patched_segment import Overlay, PatchedSegment, PatchTable, read_overlay
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView, Snapshot
from ..segments.tombstones import decode_tombstones
from ..wal import log as logs
from ..wal.follow import follow
from ..wal.frames import Commit, decode_commit, decode_patched, decode_rows, decode_segment
from ..wal.log import Frame, Log

MOST_REPLACED = 2  # a table of patches is made anew once it has this many entries per row


class State:
    """The mutable state. `snapshot()` returns an immutable view of it."""

    def __init__(self, folder: Folder, manifest: Manifest, log: Log) -> None:
        self._folder = folder
        self.manifest = manifest
        self.log = log
        self.dimension = manifest.dimension
        self.next_position = manifest.next_position
        self.refs: dict[str, SegmentRef] = {}
        self.frames = 0  # number of frames in logs that are not flushed yet
        self._segments: dict[str, Segment] = {}
        self._patched: dict[str, PatchedSegment] = {}  # those segments whose rows have new values
        self._memtables: dict[str, Memtable] = {}
        self._tombstones: dict[str, Mask | None] = {}
        self._deletes: dict[str, list[Ints]] = {log_name(log): []}
        self._patches: dict[str, list[Patch]] = {log_name(log): []}
        # by log, the tables of patches when it began, and how many entries they had
        self._begun: dict[str, dict[str, tuple[PatchTable, int]]] = {log_name(log): {}}
        # by log, the segments that are named only in that log
        self._unmanifested: dict[str, list[str]] = {log_name(log): []}
        self._rewrote = False  # whether rows of memtables were written again for patches
        self._previous: Log | None = None  # a log that has ended and may not be synced yet
        self._snapshot: Snapshot | None = None
        for ref in manifest.segments:
            self._add_segment(ref)

    # ------------------------------------------------------------------ applying frames

    def follow(self, writing: bool = False) -> None:
        """Read and apply the new frames of the log and of the logs that follow it."""
        if self.log.at_end(writing):  # true for nearly every call
            return
        for step in follow(self._folder, self.log, writing=writing):
            self.apply(step.frame)
            if step.following is not None:
                self.begin(step.following)
                self._previous = step.log

    def begin(self, log: Log) -> None:
        """Continue with the next log."""
        self.log = log
        self._deletes[log_name(log)] = []
        self._patches[log_name(log)] = []
        self._begun[log_name(log)] = {
            name: (each.overlay.table, each.overlay.count) for name, each in self._patched.items()
        }
        self._unmanifested[log_name(log)] = []

    def before_append(self) -> None:
        """Sync the log before this one. Otherwise a crash could lose its last frames and keep later ones."""
        if self._previous is not None:
            self._previous.sync_all()
            self._previous = None

    def apply(self, frame: Frame) -> None:
        if frame.kind == logs.PATCH:
            patched = decode_patched(self.log.path, frame.payload)
            self.apply_patch(patched.patch)
            if patched.kind:
                self._apply(patched.kind, patched.payload)
        elif frame.kind != logs.END and not self._apply(frame.kind, frame.payload):
            raise Corruption(self.log.path, f"frame {frame.sequence} has the unknown kind {frame.kind}")

    def _apply(self, kind: int, payload: bytes) -> bool:
        """Apply a change of whole rows. Returns False for a frame of another kind."""
        if kind == logs.ROWS:
            self.apply_commit(self._fitting(decode_rows(self.log.path, payload)))
        elif kind == logs.COMMIT:
            self.apply_commit(self._fitting(decode_commit(self.log.path, payload)))
        elif kind == logs.SEGMENT:
            deletes, ref = decode_segment(self.log.path, payload)
            self._check_dimension(ref.dimension)
            if ref.name in self.refs:
                raise Corruption(self.log.path, f"it names {ref.name}, which is there already")
            self.apply_segment(deletes, ref)
        else:
            return False
        return True

    def _fitting(self, commit: Commit) -> Commit:
        if commit.rows is not None:
            self._check_dimension(commit.rows.vectors.shape[1])
        return commit

    def _check_dimension(self, dimension: int) -> None:
        if self.dimension not in (None, dimension):
            raise Corruption(
                self.log.path, f"it has vectors of dimension {dimension} in a collection of {self.dimension}"
            )

    def apply_commit(self, commit: Commit) -> None:
        self._delete(commit.deletes)
        if commit.rows is not None:
            self._append(commit.rows)
        self._step()

    def _append(self, rows: Columns) -> None:
        name = log_name(self.log)
        self._set_dimension(rows.vectors.shape[1])
        memtable = self._memtables.get(name)
        if memtable is None:
            memtable = self._memtables[name] = Memtable(name, rows.vectors.shape[1])
            self._tombstones[name] = None
        memtable.append(rows)
        self.next_position = max(self.next_position, max(rows.positions.tolist()) + 1)

    def apply_patch(self, patch: Patch) -> None:
        """Give records new values. A record that is gone since, in a repaired collection, has none."""
        self._patches[log_name(self.log)].append(patch)
        for name, segment in self._segments.items():
            self._patch(name, segment, patch)
        for rows in [self._rewritten(name, memtable, patch) for name, memtable in self._memtables.items()]:
            if rows is not None:
                self._rewrote = True
                self._delete(rows.positions)
                self._append(rows)
        self._step()

    def _has_values(self, ref: SegmentRef) -> bool:
        """Whether the patches in memory are those of a segment's new values file and of later logs.

        Then the file is not read, and the filters keep what they know of the patches. If many patches were
        replaced by later ones, the file is read, and the memory of the old ones is freed.
        """
        patched, begun = self._patched.get(ref.name), self._begun[self.manifest.log].get(ref.name)
        if patched is None or begun is None or ref.values is None:
            return False
        overlay, (table, entries) = patched.overlay, begun
        if overlay.table is not table or table.rows > MOST_REPLACED * overlay.patched:
            return False
        table.stored, table.nbytes = entries, 0
        return True

    def _live(self, name: str, part: Segment | Memtable, positions: Ints) -> tuple[Ints, Ints]:
        """Return the indices of the positions that are live in a part, and their rows."""
        rows, tombstones = part.locate_positions(positions), self._tombstones[name]
        there = np.flatnonzero(rows >= 0)
        if tombstones is not None:
            known = rows[there] < len(tombstones)
            known[known] = tombstones[rows[there][known]]
            there = there[~known]
        return there, rows[there]

    def _patch(self, name: str, segment: Segment, patch: Patch) -> None:
        there, rows = self._live(name, segment, patch.at)
        if len(there):
            patched = self._patched.get(name)
            overlay = Overlay.of(segment) if patched is None else patched.overlay
            changed = overlay.with_patch(patch.take(there)._replace(at=rows))
            self._patched[name] = PatchedSegment(segment, changed)

    def _rewritten(self, name: str, memtable: Memtable, patch: Patch) -> Columns | None:
        """Return the rows of a memtable that a patch changes, with their new values. None if there are none.

        The writer of the patch had them in a segment already: it knew a newer manifest.
        """
        there, rows = self._live(name, memtable, patch.at)
        if not len(there):
            return None
        values = patch.take(there).values
        ids: Any = memtable.texts("id", rows)

        def texts(field: str) -> list[str | None]:
            new = values.get(field, [UNCHANGED] * len(rows))
            return [_replaced(old, value) for old, value in zip(memtable.texts(field, rows), new)]

        return Columns(
            positions=memtable.positions[rows],
            ids=ids,
            documents=texts("document"),
            uris=texts("uri"),
            metadata=texts("metadata"),
            vectors=memtable.vectors[rows],
        )

    def apply_segment(self, deletes: Ints, ref: SegmentRef, segment: Segment | None = None) -> None:
        self._delete(deletes)
        self._set_dimension(ref.dimension)
        self._unmanifested[log_name(self.log)].append(ref.name)
        opened = self._add_segment(ref, segment)
        self.next_position = max(self.next_position, int(opened.positions[-1]) + 1)
        self._step()

    def _step(self) -> None:
        self.frames += 1
        self._snapshot = None

    def _set_dimension(self, dimension: int) -> None:
        if self.dimension is None:
            self.dimension = dimension

    def _add_segment(self, ref: SegmentRef, segment: Segment | None = None) -> Segment:
        opened = segment or Segment(self._folder, ref)
        self._segments[ref.name], self.refs[ref.name] = opened, ref
        self._tombstones[ref.name] = self._read_tombstones(ref)
        self._read_values(ref)
        return opened

    def _read_values(self, ref: SegmentRef) -> None:
        self._patched.pop(ref.name, None)
        if ref.values is not None:
            segment, home = self._segments[ref.name], self._folder.child(ref.name)
            data = home.map(ref.values.name, ref.values.bytes)
            overlay = read_overlay(f"{home.path}/{ref.values.name}", data, ref, segment)
            self._patched[ref.name] = PatchedSegment(segment, overlay)

    def _read_tombstones(self, ref: SegmentRef) -> Mask | None:
        if ref.tombstones is None:
            return None
        home = self._folder.child(ref.name)
        data = home.map(ref.tombstones.name, ref.tombstones.bytes)
        return decode_tombstones(f"{home.path}/{ref.tombstones.name}", data, ref)

    def _delete(self, positions: Ints) -> None:
        if not len(positions):
            return
        self._deletes[log_name(self.log)].append(positions)
        parts: dict[str, Segment | Memtable] = {**self._segments, **self._memtables}
        for name, part in parts.items():
            self._mark(name, part, positions)
        self._snapshot = None

    def _mark(self, name: str, part: Segment | Memtable, positions: Ints) -> None:
        rows = part.locate_positions(positions)
        rows = rows[rows >= 0]
        if not len(rows):
            return
        # The mask is copied, because snapshots share the old one.
        marked = self._tombstones[name]
        mask = np.zeros(part.rows, np.bool_)
        if marked is not None:
            mask[: len(marked)] = marked
        mask[rows] = True
        self._tombstones[name] = mask

    # ------------------------------------------------------------------ moving on

    def adopt(self, manifest: Manifest) -> bool:
        """Switch to a newer manifest, keeping the open segments and logs that it still needs.

        Returns False if this state does not know the manifest's log, or has rows of its own that the manifest
        has in segments. The caller then loads a new state.
        """
        if manifest.log not in self._deletes or (self._rewrote and manifest.log != self.manifest.log):
            return False
        known = list(self._deletes)
        dropped, kept = known[: known.index(manifest.log)], known[known.index(manifest.log) :]
        manifest_refs = {ref.name: ref for ref in manifest.segments}
        unmanifested = {name for log in kept for name in self._unmanifested[log]}
        for name in [
            name for name in self._segments if name not in manifest_refs and name not in unmanifested
        ]:
            del self._segments[name], self.refs[name], self._tombstones[name]
            self._patched.pop(name, None)
        self.manifest = manifest
        for log in dropped:
            self._memtables.pop(log, None)
            self._tombstones.pop(log, None)
            del self._deletes[log], self._patches[log], self._begun[log], self._unmanifested[log]
        for name, ref in manifest_refs.items():
            if name in self._segments:
                old, self.refs[name] = self.refs[name], ref
                if ref.files != old.files:  # other files have the values of the same rows
                    self._segments[name] = self._segments[name].with_files(self._folder, ref)
                elif ref.values == old.values or self._has_values(ref):
                    continue
                self._read_values(ref)
            else:
                self._add_segment(ref)
                for log in kept:
                    for deletes in self._deletes[log]:
                        self._mark(name, self._segments[name], deletes)
            for log in kept:
                for patch in self._patches[log]:
                    self._patch(name, self._segments[name], patch)
        changes = (len(self._deletes[log]) + len(self._patches[log]) for log in kept)
        self.frames = sum(changes) + sum(memtable.rows for memtable in self._memtables.values())
        self._snapshot = None
        return True

    # ------------------------------------------------------------------ reading

    @property
    def latest(self) -> Snapshot | None:
        """The snapshot, or None if the state has changed since. May be read without the lock."""
        return self._snapshot

    def snapshot(self) -> Snapshot:
        if self._snapshot is None:
            parts: Mapping[str, Segment | Memtable] = {**self._segments, **self._memtables}
            named = {ref.name for ref in self.manifest.segments}
            views = []
            for name, part in parts.items():
                tombstones = self._tombstones[name]
                part = self._patched.get(name, part)
                if tombstones is not None and len(tombstones) < part.rows:
                    tombstones = self._tombstones[name] = np.concatenate(
                        [tombstones, np.zeros(part.rows - len(tombstones), np.bool_)]
                    )
                count = 0 if tombstones is None else int(np.count_nonzero(tombstones))
                views.append(
                    SegmentView(part, part.rows, tombstones, count, self.refs.get(name), named=name in named)
                )
            self._snapshot = Snapshot(tuple(views), self.dimension, self.next_position, self.frames)
        return self._snapshot

    def live_logs(self) -> list[str]:
        """Return the names of the logs that are needed to rebuild this state."""
        return list(self._deletes)


def _replaced(old: str | None, new: Value) -> str | None:
    return old if new is UNCHANGED else new


def log_name(log: Log) -> str:
    return log.path.rsplit("/", 1)[-1]
