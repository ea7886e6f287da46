"""The records of a collection: commit a batch, take a snapshot, find rows in it.

Owns: the lock around the state, and the write path. Any number of processes may have the same collection
open. A writer holds the folder's write lock while it reads new frames and appends its own. It releases the
lock, then syncs, then acknowledges the write. Readers look for the next frame in a memory map of the log, and
never wait for a writer in another process.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np

from ..filters.evaluator import Filters
from ..filters.parser import Everything, Node
from ..interface.errors import Corruption, InvalidArgument, Missing, NotFound, StorageError
from ..interface.values import Mode, Records, Written
from ..io.disk import Folder
from ..manifest import COPY, NAME, Manifest, random_name
from ..query.typed_columns import ColumnCache
from ..schema.patches import Patch
from ..schema.record_columns import Columns, Ints
from ..segments.ingest_rows import NewRows
from ..segments.segment import Segment, Storable, StoredRows, write_segment
from ..segments.snapshot import SegmentView, SelectedRows, Snapshot, in_order
from ..wal import log as logs
from ..wal.frames import NO_DELETES, Commit, Patched, encode_segment
from ..wal.log import Log
from .difference import difference
from .group_commit import Call, CommitQueue, joined
from .host import Services, StoreOwner
from .live_state import State
from .upsert import Located, as_columns, resolve, written

# A batch of at least this size skips the log and is written directly as a segment. With batches of 4,096
# rows, direct segments reach 120k rows/s and the log 80k. With batches of 2,048 rows, direct segments reach
# 60k and the log 95k, because each file of a segment waits for the disk.
BULK_ROWS, BULK_BYTES = 4096, 32 << 20
# A batch of at most this size is resolved under the readers' lock, which avoids checking the files twice.
AT_ONCE_ROWS = 1024
_RETRIES = 50
LOOK_SECONDS = 0.05
NOTHING = Snapshot((), None, 0, 0)


class _Change:
    """Context manager for a change of the state; see `RecordStore.changing`.

    It is a class because a generator takes several times as long.
    """

    __slots__ = ("_of",)

    def __init__(self, of: RecordStore) -> None:
        self._of = of

    def __enter__(self) -> State:
        return self._of.begin_change()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(
            error, (InvalidArgument, NotFound)
        ):  # these two are raised before the state changes
            self._of.forget_state()


class _Existing:
    """Context manager that raises NotFound for a missing file if the collection was deleted meanwhile."""

    __slots__ = ("_of",)

    def __init__(self, of: RecordStore) -> None:
        self._of = of

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Missing):
            self._of.check_exists()


class RecordStore:
    """The records of one collection: write-ahead logs, memtables, segments, and snapshots of them."""

    def __init__(self, folder: Folder, id: str, services: Services, owner: StoreOwner) -> None:
        self.folder, self.id, self.services = folder, id, services
        self.filters = Filters(services.database, services.budget, id, owner.ngrams)
        self.columns = ColumnCache(services.budget, id)
        self._owner = owner
        self._writers = threading.RLock()  # admits one writer in this process at a time
        self._queue = CommitQueue()
        self.unclean = False  # whether a failed write may have left files that nothing names
        self._made = False  # whether this object created the folder, durably
        self._owner_waits = False  # whether a commit was synced but `after_sync` was not called yet
        self._without_watermark: Log | None = None  # the log written last; the state may have a newer one
        self._lock = threading.RLock()  # guards the state; held only briefly
        self._state: State | None = None
        self._file_version: tuple[int, ...] | None = None
        self._look_again = 0.0  # when to check for a newer manifest; every call checks for new records

    def __repr__(self) -> str:
        return f"RecordStore({self.id}, {self._state.snapshot() if self._state else 'not open'})"

    # ------------------------------------------------------------------ the present

    def snapshot(self) -> Snapshot:
        """Return the collection as of now, with every write that was acknowledged before this call."""
        state = self._state
        if state is not None and not state.log.has_more() and time.monotonic() < self._look_again:
            snapshot = state.latest  # set by the last change of the state
            if snapshot is not None:
                return snapshot
        return self.refresh()

    def last_seen(self) -> tuple[Snapshot, int] | None:
        """Return the latest snapshot and the size of its log in bytes, or None if there is no snapshot.

        Does not access the disk.
        """
        state = self._state
        snapshot = state.latest if state is not None else None
        return None if state is None or snapshot is None else (snapshot, state.log.offset)

    def refresh(self) -> Snapshot:
        """Check for a newer manifest, then return a snapshot.

        A newer manifest has the same records in other files.
        """
        with self._lock:
            current = self.refreshed()
            self._look_again = time.monotonic() + LOOK_SECONDS
            return current.snapshot() if current else NOTHING

    def refreshed(self, writing: bool = False) -> State | None:
        """Return the up-to-date state, or None before the first write. The caller holds the lock."""
        for _ in range(_RETRIES):
            file_version, fresh = self.folder.file_version(NAME), self._state is None
            renewed = file_version != self._file_version or fresh
            try:
                if file_version is None and writing and self.folder.exists(COPY):
                    # The creation was interrupted, or the file was removed from outside.
                    self.folder.replace(NAME, Manifest.load(self.folder, COPY).encode())
                    continue
                if self._state is None:
                    name = NAME if file_version is not None else COPY
                    if file_version is None and not self.folder.exists(COPY):
                        self._check_never_written()
                        return None
                    manifest = Manifest.load(self.folder, name)
                    self._state = State(self.folder, manifest, Log.open(self.folder, manifest.log))
                    self._file_version = file_version
                elif renewed:
                    self._state.follow()
                    manifest = Manifest.load(self.folder)
                    if manifest.version != self._state.manifest.version and not self._state.adopt(manifest):
                        self._state = None
                        continue
                    self._file_version = file_version
                self._state.follow(writing)
                if renewed:  # a state that was loaded again may have other files, too
                    adopted = self._state.snapshot()
                    self.filters.keep_only(adopted)
                    self.columns.keep_only(adopted)
                    self._owner.after_adoption(adopted)
                return self._state
            except Corruption:
                # Another process may have replaced the files during the read. They are damaged only if a
                # freshly loaded state fails too while the manifest does not change.
                if fresh and self.folder.file_version(NAME) == file_version:
                    self._state = None
                    self.check_exists()
                    raise
                self._state = None
            except BaseException:
                self._state = None  # a frame may have been read but not applied
                raise
        self.check_exists()
        raise Corruption(f"{self.folder.path}/{NAME}", "it keeps changing")

    def before_merge(self, views: Sequence[SegmentView], segment: str, positions: Ints) -> None:
        """See `StoreOwner`."""
        self._owner.before_merge(views, segment, positions)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock against all other threads and processes. Readers are not blocked."""
        with self.existing(), self._writers, self._write_lock():
            self.check_exists()
            yield

    def _write_lock(self) -> contextlib.AbstractContextManager[bool]:
        try:
            return self.folder.lock("write.lock")
        except Missing:  # the collection was never written to, or was deleted
            self.check_exists()
            self.folder.create()
            self._made = True
            return self.folder.lock("write.lock")

    @contextlib.contextmanager
    def changing(self) -> Iterator[State]:
        """Yield the up-to-date state, to append to it. Call it inside `writing`.

        Keep the block short: readers wait meanwhile.
        """
        with self._lock, _Change(self) as state:
            yield state

    def begin_change(self) -> State:
        """See `changing`. The caller holds the lock."""
        if self._state is not None and self._state.log.broken:
            self._state = None  # opening the log again rewrites the frames that may not be on the disk
        return self.refreshed(writing=True) or self._create()

    def forget_state(self) -> None:
        """Drop the state, so that it is read from the log again.

        Called after an interruption between writing a frame and applying it.
        """
        self._state = None

    def existing(self) -> _Existing:
        """Return a context manager for a block that writes or opens files of the collection.

        If the collection was deleted meanwhile, a missing file raises NotFound.
        """
        return _Existing(self)

    def check_exists(self) -> None:
        """Raise NotFound if the catalog no longer has the collection."""
        if not self._owner.exists():
            raise NotFound(
                f"Collection [{self._owner.name}] does not exist any more: it was deleted; its id was "
                f"{self.id}"
            )

    def _check_never_written(self) -> None:
        """Raise Corruption if there are signs of earlier records. The caller holds the lock."""
        begun = any(
            name.startswith("seg-") or (name.startswith("log-") and logs.has_frames(self.folder, name))
            for name in self.folder.names()
        )
        if begun or self._owner.has_records():
            path = f"{self.folder.path}/{NAME}"
            raise Corruption(path, "the file is missing, but its collection has records")

    def _create(self) -> State:
        name = log_file(1)
        self.folder.remove(name)  # an interrupted creation may have left it
        log = Log.create(self.folder, name, 1)
        self.folder.sync()
        if not self._made:
            self.folder.sync_name()  # the process that created the folder may not have synced its name
        manifest = Manifest(1, name)
        manifest.publish(self.folder)
        self._file_version = self.folder.file_version(NAME)
        self._state = State(self.folder, manifest, log)
        return self._state

    # ------------------------------------------------------------------ writing

    def write(self, mode: Mode, records: Records) -> Written:
        """Commit a batch atomically. The batch is durable on return."""
        call = Call(mode, records)
        try:
            try:
                while not call.done():
                    if self._queue.enter(call):
                        self._lead(call)
            except BaseException:
                self._queue.leave(call)
                raise
            return call.result()
        finally:
            if self._owner_waits:  # any thread may call it, not only the leader
                self._owner_waits = False
                self._owner.after_sync()

    def _lead(self, call: Call) -> None:
        """Commit the waiting calls. Other processes may write while this process syncs."""
        try:
            with self.existing(), self._writers, self._write_lock():
                self.check_exists()
                group = self._queue.take(call)
                try:
                    log, end = self._write(group)
                except InvalidArgument as error:
                    if len(group) == 1:
                        raise
                    log, end = self._write_each(group, error)
            self._finish(log, end)
            self._owner_waits = True
        except BaseException as error:
            self._queue.finish(call, error)
        else:
            self._queue.finish(call)

    def _finish(self, log: Log, end: int) -> None:
        """Schedule the upkeep, then sync. Returns once the commit is durable."""
        try:
            self._owner.after_commit()
        finally:
            self._sync(log, end)

    def _sync(self, log: Log, end: int) -> None:
        log.sync(end)
        with self._lock:
            self._without_watermark = log if log.lacks_watermark() and not self.folder.in_memory else None

    def _write(self, group: Sequence[Call]) -> tuple[Log, int]:
        """Commit calls as one batch and return the log and the offset to sync. Call it inside `writing`."""
        mode, records = group[0].mode, joined(group)
        with self._lock, _Change(self) as state:
            snapshot = state.snapshot()
            part, row = snapshot.locate(records.ids)
            at = Located(snapshot, part, row)
            few = len(records.ids) <= AT_ONCE_ROWS
            resolved = resolve(mode, records, at) if few else None
            log: Log | None = None
            if resolved is not None and not self._is_bulk(resolved.rows):
                log, end = self._append(state, *resolved)
        if log is None:  # done without the lock, because it takes long and readers must not wait
            resolved = resolved or resolve(mode, records, at)
            log, end = self._commit(*resolved)
        known, start = (part >= 0).tolist(), 0
        for call in group:
            stop = start + len(call.records.ids)
            call.written = written(mode, known[start:stop])
            start = stop
        return log, end

    def _write_each(self, group: Sequence[Call], error: InvalidArgument) -> tuple[Log, int]:
        """Write the calls one by one, because the batch was rejected with `error`."""
        synced: tuple[Log, int] | None = None
        for call in group:
            try:
                synced = self._write([call])
            except (InvalidArgument, StorageError) as own:
                call.error = own
        if synced is None:
            raise error
        return synced

    def delete(self, ids: Sequence[str] | None, node: Node, limit: int | None) -> int:
        """Delete records and return how many were deleted. The deletion is durable on return."""
        with self.existing(), self._writers, self._write_lock():
            self.check_exists()
            _, selected = self.select(ids, node)
            if limit is not None:
                selected = in_order(selected, 0, limit)
            deletes = np.concatenate([NO_DELETES, *(run.positions() for run in selected)])
            log, end = self._commit(deletes, None)
        self._finish(log, end)
        self._owner.after_sync()
        return len(deletes)

    def restore(self, version: Snapshot) -> Written:
        """Make the records those of a version of the collection, by one commit. It is durable on return."""
        with self.existing(), self._writers, self._write_lock():
            self.check_exists()
            found = difference(self.refresh(), version)
            if not found.rows and not len(found.deletes):
                return Written()
            if found.rows:
                rows = found.rows[0]
                if len(found.rows) > 1:
                    rows = StoredRows.concatenate(found.rows, self.folder.scratch)
                log, end = self._commit_segment(found.deletes, rows)
            else:
                log, end = self._commit(found.deletes, None)
        self._finish(log, end)
        self._owner.after_sync()
        came = sum(len(rows.positions) for rows in found.rows)
        return Written(added=came, skipped=len(found.deletes))

    def _is_bulk(self, rows: Columns | NewRows | None) -> bool:
        return rows is not None and (len(rows) >= BULK_ROWS or rows.nbytes() >= BULK_BYTES)

    def _commit(
        self, deletes: Ints, rows: Columns | NewRows | None, patch: Patch | None = None
    ) -> tuple[Log, int]:
        """Write a change, apply it and return the log and the offset to sync. Call it inside `writing`."""
        if rows is not None and self._is_bulk(rows):
            bulk = rows if isinstance(rows, NewRows) else StoredRows.from_columns(rows)
            return self._commit_segment(deletes, bulk, patch)
        with self._lock, _Change(self) as state:
            return self._append(state, deletes, rows, patch)

    def _append(
        self, state: State, deletes: Ints, rows: Columns | NewRows | None, patch: Patch | None
    ) -> tuple[Log, int]:
        """Write a change to the log and apply it. Call it inside `changing`."""
        commit = None
        if rows is not None or len(deletes):
            commit = Commit(deletes, as_columns(rows) if isinstance(rows, NewRows) else rows)
        if commit is not None or patch is not None:
            state.before_append()
            if commit is None:
                _log_change(state, patch, 0, b"")
            else:
                _log_change(state, patch, logs.ROWS, commit.encode())
                state.apply_commit(commit)
            state.snapshot()
        return state.log, state.log.offset

    def _commit_segment(self, deletes: Ints, rows: Storable, patch: Patch | None = None) -> tuple[Log, int]:
        ref, named = write_segment(self.folder, new_segment_name(), rows), False
        try:
            self.folder.sync()
            segment = Segment(self.folder, ref)
            with self._lock, _Change(self) as state:
                state.before_append()
                named = True  # even a failed write may leave the segment's name in the log
                _log_change(state, patch, logs.SEGMENT, encode_segment(deletes, ref))
                state.apply_segment(deletes, ref, segment)
                state.snapshot()
                return state.log, state.log.offset
        except BaseException:
            if named:
                self.unclean = True
            else:
                self.folder.child(ref.name).discard()
            raise

    def lacks_watermark(self) -> bool:
        """Whether the log's durable watermark is behind its last sync; see `record_watermark`."""
        return self._without_watermark is not None

    def record_watermark(self) -> None:
        """Record the durable watermark in the log, after a burst of writes."""
        log = self._without_watermark
        if log is not None:
            log.record_watermark()
            with self._lock:
                if self._without_watermark is log and not log.lacks_watermark():
                    self._without_watermark = None

    # ------------------------------------------------------------------ reading

    def locate(self, ids: Sequence[str]) -> tuple[Snapshot, Ints, Ints]:
        """Return a snapshot, and the view number and row of each id in it."""
        with self._lock:
            state = self.refreshed()
            snapshot = state.snapshot() if state else NOTHING
            return (snapshot, *snapshot.locate(ids))

    def known(self, ids: Sequence[str]) -> set[str]:
        """Return the subset of `ids` that exists."""
        _, part, _ = self.locate(ids)
        return {ids[index] for index in np.flatnonzero(part >= 0).tolist()}

    def select(self, ids: Sequence[str] | None, node: Node) -> tuple[Snapshot, list[SelectedRows]]:
        """Select the matching records with one of these ids, grouped by view. `ids` None allows any id."""
        if ids is None:
            snapshot = self.snapshot()
            return snapshot, self._matching(snapshot, node)
        with self._lock:
            state = self.refreshed()
            snapshot = state.snapshot() if state else NOTHING
            selected = snapshot.select(ids)
        return snapshot, self._narrow(selected, node)

    def _matching(self, snapshot: Snapshot, node: Node) -> list[SelectedRows]:
        if isinstance(node, Everything):
            return snapshot.everything()
        views = [view for view in snapshot.views if view.live]
        return [SelectedRows(view, self.filters.allowed(view, node).rows) for view in views]

    def _narrow(self, selected: list[SelectedRows], node: Node) -> list[SelectedRows]:
        if isinstance(node, Everything):
            return selected
        allowed = ((run, self.filters.allowed(run.view, node)) for run in selected)
        return [SelectedRows(run.view, run.rows[found.mask[run.rows]]) for run, found in allowed]

    def count(self, node: Node) -> int:
        snapshot = self.snapshot()
        if isinstance(node, Everything):
            return snapshot.live
        return sum(self.filters.allowed(view, node).count for view in snapshot.views if view.live)

    def close(self) -> None:
        """Free the memory and close the files. A later call opens them again."""
        with self._lock:
            self._state = None
            self.filters.release()
            self.columns.release()
            self.record_watermark()


def _log_change(state: State, patch: Patch | None, kind: int, payload: bytes) -> None:
    """Append the frame of a write to the log, and apply its patch."""
    if patch is None:
        state.log.append(kind, payload)
    else:
        state.log.append(logs.PATCH, Patched(patch, kind, payload).encode())
        state.apply_patch(patch)


def log_file(sequence: int) -> str:
    """Return the name of the log whose first frame has this sequence number."""
    return f"log-{sequence:016d}.wal"


def new_segment_name() -> str:
    """Return a unique name. It is random, because several processes may create segments at the same time."""
    return f"seg-{random_name()}"
