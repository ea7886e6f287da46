"""Check a database folder, and repair damage if possible.

Owns: the pass that reads every file and checks everything in it. A repair drops damaged caches, which are
then rebuilt. It restores a manifest from its copy, and rewrites a damaged log with its intact frames. It
moves the damaged originals, and files that cannot be repaired, to `quarantine/` in the database folder. Each
step is reported as a finding.
"""

from __future__ import annotations

import os.path
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import xxhash

from .backup.marker import MARK, Mark
from .catalog.catalog import COPY as CATALOG_COPY
from .catalog.catalog import LOCK, CatalogState
from .catalog.catalog import NAME as CATALOG
from .interface.errors import Corruption, NotADatabase
from .interface.short_repr import shown
from .io.disk import DiskFolder
from .manifest import COPY, NAME, FileRef, Manifest, SegmentRef, unwrap_state
from .postings import postings_file
from .schema.patches import LEAST_BYTES, decode_patch, rows_of_damaged
from .schema.record_columns import Ints, decode_metadata
from .segments.segment import RECORDS, Segment, hash_ids, write_postings
from .segments.tombstones import decode_tombstones
from .validation import file_names
from .validation.json_fields import Fields
from .wal import log as logs
from .wal.follow import named_next, salvaged
from .wal.frames import decode_commit, decode_patched, decode_rows, decode_segment, encode_segment
from .wal.log import Frame, Log

_SHOWN = 10  # ids in a message
_LEFT = "left over from a deleted collection; it will be removed"
Severity = Literal["ok", "repaired", "damaged"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about one file or collection.

    ids  the records that it is about, where they are known
    """

    path: str
    severity: Severity
    message: str
    ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The findings. `ok` is true if no damage is left."""

    findings: list[Finding]

    @property
    def ok(self) -> bool:
        return all(finding.severity != "damaged" for finding in self.findings)


def check_folder(path: str, repair: bool = False) -> CheckReport:
    """Check every checksum and cross-file invariant of a database.

    Raises NotADatabase if the folder has no database, and FormatTooNew for a later format. With `repair`, no
    other process should have the folder open for writing. Locks are held only while a file is changed.
    """
    folder = DiskFolder(path)
    if not os.path.isdir(path):
        raise NotADatabase(f"path {path} is not a folder")
    if not folder.exists(CATALOG) and not folder.exists("collections"):
        raise NotADatabase(f"{path} holds no database: there is no {CATALOG}")
    check = _Check(folder, repair)
    check.run()
    return CheckReport(check.findings)


class _Kept(NamedTuple):
    """What is left of a frame.

    frame  the frame to keep, which names the repaired caches of its segment; None if nothing is left
    whole  whether no change of the frame is lost
    """

    frame: Frame | None
    whole: bool = True


_NOTHING_LEFT = _Kept(None, whole=False)


class _Check:
    def __init__(self, folder: DiskFolder, repair: bool) -> None:
        self.folder, self.repair = folder, repair
        self.findings: list[Finding] = []
        self._moment = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"

    def report(self, path: str, severity: Severity, message: str, ids: Sequence[str] = ()) -> None:
        self.findings.append(Finding(path, severity, message, [*ids]))

    def run(self) -> None:
        self._mark()
        known = self._catalog()
        home = self.folder.child("collections")
        try:
            found = home.names()
        except Corruption as error:
            self.report(error.path, "damaged", str(error))
            return
        for name in found:
            if known is not None and name not in known.collections:
                self.report(
                    f"{home.path}/{name}",
                    "ok",
                    _LEFT if file_names.COLLECTION.fits(name) else "not ours; it is left alone",
                )
                continue
            try:
                home.child(name).check_real()
                self._collection(home.child(name))
            except Corruption as error:  # damage that no step handles, for example a symbolic link
                self.report(error.path, "damaged", str(error))

    def _mark(self) -> None:
        """Check the marker of a backup."""
        path = f"{self.folder.path}/{MARK}"
        mark, problem = _attempt(lambda _: Mark.load(self.folder), MARK)
        if problem is not None:
            self.report(path, "damaged", problem)
        elif mark is not None and mark.finished is None:
            self.report(path, "damaged", "the backup was not finished: make it again")
        elif mark is not None:
            self.report(path, "ok", f"a backup of {mark.source}, finished {mark.finished}")

    # ------------------------------------------------------------------ catalog

    def _catalog(self) -> CatalogState | None:
        path = f"{self.folder.path}/{CATALOG}"
        read = self._with_copy(
            self.folder, CATALOG, CATALOG_COPY, lambda name: _read_catalog(self.folder, name)
        )
        if read is None:
            return None
        state, name = read
        self.report(path, "ok", f"{len(state.collections)} collections when its log began")
        following: str | None = name
        while following is not None:  # a log has a successor here if a rewrite of the catalog was killed
            following = self._catalog_log(state, following)
        return state

    def _catalog_log(self, state: CatalogState, name: str) -> str | None:
        """Apply the changes in a log of the catalog. Returns the name of the next log, if any."""
        path = f"{self.folder.path}/{name}"
        found = salvaged(self.folder, name)
        good, problem = [], found.problem
        for frame in found.frames:
            try:
                if frame.kind == logs.CATALOG:
                    state.replay(path, frame.payload)
                elif frame.kind == logs.END:
                    file_names.following(path, frame.payload)
                else:
                    raise Corruption(path, f"frame {frame.sequence} has the unknown kind {frame.kind}")
            except Corruption as error:  # perhaps it changes an object whose creation is lost
                problem = problem or str(error)
            else:
                good.append(frame)
        lost = found.lost + len(found.frames) - len(good)
        if problem is None:
            self.report(path, "ok", f"{len(good)} frames")
        elif not self.repair:
            self.report(path, "damaged", problem)
        else:
            with self.folder.lock(LOCK):
                self._replace_log(self.folder, name, good)
            self.report(path, "repaired", f"{problem}; {lost} changes are lost, {len(good)} kept")
        return named_next(path, good)

    # ------------------------------------------------------------------ collections

    def _collection(self, home: DiskFolder) -> None:
        manifest = self._manifest(home)
        if manifest is None:
            return
        good: list[SegmentRef] = []
        for ref in manifest.segments:
            checked = self._segment(home, ref)
            if checked is not None:
                good.append(checked)
        changed = tuple(good) != manifest.segments
        if changed and self.repair:
            manifest = manifest._replace(version=manifest.version + 1, segments=tuple(good))
            with home.lock("maintain.lock"):
                manifest.publish(home)
        self._logs(home, manifest)

    def _manifest(self, home: DiskFolder) -> Manifest | None:
        if not home.exists(NAME) and not home.exists(COPY):
            return None  # no record was ever written
        if not home.exists(NAME) and (begun := _begun(home)) is not None:
            self.report(f"{home.path}/{COPY}", "ok", "stands in for a manifest that the next write makes")
            return begun
        manifest = self._with_copy(home, NAME, COPY, lambda name: Manifest.load(home, name))
        if manifest is None and self.repair:
            self._quarantine(home, "")
        return manifest

    def _with_copy(self, home: DiskFolder, name: str, copy: str, load: Callable[[str], T]) -> T | None:
        """Load a file that has a copy. With `repair`, restore either of them from the other."""
        path, copy_path = f"{home.path}/{name}", f"{home.path}/{copy}"
        (main, problem), (spare, spare_problem) = _attempt(load, name), _attempt(load, copy)
        if main is not None:
            self.report(path, "ok", "matches its checksum")
            if spare_problem is None:
                self.report(copy_path, "ok", "matches its checksum")
            elif self.repair:
                self._make_room(home, copy)
                home.replace(copy, home.read(name))
                self.report(copy_path, "repaired", f"{spare_problem}; copied from {name}")
            else:
                self.report(copy_path, "damaged", spare_problem)
            return main
        if spare is not None and self.repair:
            self._make_room(home, name)
            home.replace(name, home.read(copy))
            self.report(path, "repaired", f"{problem}; restored from {copy}")
            return spare
        self.report(path, "damaged", problem or "unreadable")
        return spare

    def _make_room(self, home: DiskFolder, name: str) -> None:
        """Move a folder that has the name of a file to quarantine. A file cannot replace a folder."""
        if os.path.isdir(f"{home.path}/{name}"):
            self._quarantine(home, name)

    def _segment(self, home: DiskFolder, ref: SegmentRef) -> SegmentRef | None:
        """Check a segment. Returns its reference without damaged caches, or None if its records are lost."""
        folder = home.child(ref.name)
        try:
            _certain(lambda: _verify(home, ref))
        except Corruption as error:
            self.report(error.path, "damaged", str(error))
            if self.repair:
                ids = _ids(home, ref, _live_rows(folder, ref))
                self._quarantine(home, ref.name)
                lost = f"{ref.rows - ref.deleted_rows} records are lost to queries{_named(ids)}"
                self.report(folder.path, "repaired", f"the segment's {lost}; in quarantine", ids)
            return None
        ref = self._cache(home, ref, "dead", ref.tombstones)
        ref = self._cache(home, ref, "values", ref.values)
        ref = self._cache(home, ref, "graph", ref.graph.file if ref.graph else None)
        for index in ref.indexes:
            kept = self._cache(home, ref, "index", index.file)
            if kept is not ref and index.kind == postings_file.KIND:
                # A segment is known to have sparse vectors at a key by this index.
                kept = kept.with_index(index.kind, index.key, write_postings(home, ref, index))
            ref = kept
        for file in ref.files:
            self.report(f"{folder.path}/{file.name}", "ok", f"{file.bytes} bytes match their checksum")
        self.report(folder.path, "ok", f"{ref.rows} records, {ref.deleted_rows} deleted")
        return ref

    def _cache(self, home: DiskFolder, ref: SegmentRef, kind: str, file: FileRef | None) -> SegmentRef:
        if file is None:
            return ref
        folder = home.child(ref.name)
        path = f"{folder.path}/{file.name}"
        try:
            _certain(lambda: _verify_cache(folder, ref, kind, file))
        except Corruption as error:
            lost, ids = _lost_with(home, ref, kind, file)
            if not self.repair:
                self.report(path, "damaged", f"{error}; {lost}" if kind == "values" else str(error), ids)
                return ref
            self._quarantine(folder, file.name)
            self.report(path, "repaired", f"{error}; {lost}", ids)
            if kind == "graph":
                return ref._replace(graph=None)
            if kind == "index":
                return ref._replace(indexes=tuple(each for each in ref.indexes if each.file != file))
            if kind == "values":
                return ref._replace(values=None)
            return ref._replace(tombstones=None, deleted_rows=0)
        self.report(path, "ok", f"{file.bytes} bytes match their checksum")
        return ref

    def _logs(self, home: DiskFolder, manifest: Manifest) -> None:
        """Check the chain of logs. With `repair`, rewrite a damaged log with its intact frames."""
        name: str | None = manifest.log
        named = {ref.name for ref in manifest.segments}
        rewritten: list[tuple[str, list[Frame], str | None]] = []
        damaged = False
        while name is not None:
            path = f"{home.path}/{name}"
            found = salvaged(home, name)
            kept = [self._frame(home, path, frame, named) for frame in found.frames]
            good = [each.frame for each in kept if each.frame is not None]
            changed = any(old is not new for old, (new, _) in zip(found.frames, kept))
            following = named_next(path, good)
            ended = following is not None
            if found.problem is not None and not ended:
                following = _next_log(home, name)  # the frame with its name may be lost
            dropped = len(found.frames) - len(good)
            partly = len(good) - sum(whole for _, whole in kept)
            if found.problem is None and not dropped and not partly:
                if changed:
                    rewritten.append((name, good, None))
                self.report(path, "ok", f"{len(good)} frames")
            elif not self.repair:
                damaged = True
                if found.problem is not None:
                    self.report(path, "damaged", found.problem)
            else:
                damaged = True
                rewritten.append((name, good, None if ended else following))
                what = found.problem or f"{dropped + partly} frames are damaged, or their segments"
                some = f" and {partly} in part" if partly else ""
                lost = f"{found.lost + dropped} writes are lost{some}"
                self.report(path, "repaired", f"{what}; {lost}, {len(good)} kept")
            name = following
        if damaged and self.repair:
            # If no frame names a segment, its frame may be among the lost ones.
            for folder in home.names():
                if folder.startswith("seg-") and folder not in named:
                    self._quarantine(home, folder)
                    self.report(
                        f"{home.path}/{folder}", "repaired", "no log names it any more; in quarantine"
                    )
        # Last: as long as a log is damaged, another repair finds the segments that it may have named.
        for name, good, following in rewritten if self.repair else ():
            with home.lock("write.lock"):
                self._replace_log(home, name, good, following)

    def _replace_log(
        self, home: DiskFolder, name: str, good: list[Frame], following: str | None = None
    ) -> None:
        """Replace a log by one with these frames. The old one goes to quarantine.

        Wherever this stops, the name refers to one of the two logs, and both have these frames.
        """
        aside = f"{name}.tmp"
        home.remove(aside)  # an interrupted repair may have left it
        _write_log(home, aside, file_names.sequence(name), good, following)
        original = Path(f"{home.path}/{name}")
        if original.is_file() and not original.is_symlink():
            target = self._quarantine_of(home)
            target.link_from(home, name)
            target.sync()
        else:
            self._quarantine(home, name)
        home.rename(aside, name)
        home.sync()

    def _frame(self, home: DiskFolder, path: str, frame: Frame, named: set[str]) -> _Kept:
        """Return what is left of a frame. Adds the segment that it names to `named`."""
        try:
            if frame.kind == logs.PATCH:
                return self._patch(home, path, frame, named)
            if frame.kind == logs.SEGMENT:
                deletes, ref = decode_segment(path, frame.payload)
                named.add(ref.name)
                checked = self._segment(home, ref)
                if checked is None:  # its deletes would remove the rows that the segment replaces
                    return _NOTHING_LEFT
                if checked == ref:
                    return _Kept(frame)
                return _Kept(frame._replace(payload=encode_segment(deletes, checked)))
            if frame.kind == logs.COMMIT:
                decode_commit(path, frame.payload)
            elif frame.kind == logs.ROWS:
                decode_rows(path, frame.payload)
            elif frame.kind == logs.END:
                file_names.following(path, frame.payload)
            else:
                raise Corruption(path, f"frame {frame.sequence} has the unknown kind {frame.kind}")
        except Corruption as error:
            self.report(path, "damaged", str(error))
            return _NOTHING_LEFT
        return _Kept(frame)

    def _patch(self, home: DiskFolder, path: str, frame: Frame, named: set[str]) -> _Kept:
        """Return what is left of a PATCH frame: at least its patch, of other records than its rows."""
        patched = decode_patched(path, frame.payload)
        if not patched.kind:
            return _Kept(frame)
        rows = frame._replace(kind=patched.kind, payload=patched.payload)
        kept, whole = self._frame(home, path, rows, named)
        if kept is rows:
            return _Kept(frame, whole)
        left = (
            patched._replace(kind=0, payload=b"") if kept is None else patched._replace(payload=kept.payload)
        )
        return _Kept(frame._replace(payload=left.encode()), whole)

    def _quarantine(self, home: DiskFolder, name: str) -> None:
        """Move a file or folder to quarantine. A link itself is moved, not its target."""
        source = Path(home.path, name)
        target = self._quarantine_of(home if name else DiskFolder(str(source.parent)))
        if os.path.lexists(source):
            source.rename(f"{target.path}/{source.name}")

    def _quarantine_of(self, home: DiskFolder) -> DiskFolder:
        """Make the folder of `quarantine/` for what is in a folder."""
        target = self.folder.child("quarantine").child(self._moment)
        for part in filter(None, home.path[len(self.folder.path) + 1 :].split("/")):
            target = target.child(part)
        target.create()
        return target


def _begun(home: DiskFolder) -> Manifest | None:
    """Return the copy of a collection's first manifest, if the collection has no records yet.

    Called if the manifest is missing: the creation of the collection stopped between copy and manifest.
    """
    manifest, _ = _attempt(lambda name: Manifest.load(home, name), COPY)
    if manifest is None or manifest.version > 1 or manifest.segments:
        return None
    used, _ = _attempt(lambda name: logs.has_frames(home, name), manifest.log)
    return manifest if used is False else None


def _certain(read: Callable[[], T]) -> T:
    """Call `read`, and a second time after Corruption, because a disk error may be temporary.

    Other errors, for example if no descriptor is free, end the check before any file is moved.
    """
    try:
        return read()
    except Corruption:
        return read()


def _attempt(load: Callable[[str], T], name: str) -> tuple[T | None, str | None]:
    try:
        return _certain(lambda: load(name)), None
    except Corruption as error:
        return None, str(error)


def _verify(home: DiskFolder, ref: SegmentRef) -> None:
    segment = Segment(home, ref)
    segment.verify()
    _check_segment(segment)


def _verify_cache(folder: DiskFolder, ref: SegmentRef, kind: str, file: FileRef) -> None:
    path = f"{folder.path}/{file.name}"
    data = folder.map(file.name, file.bytes)
    if xxhash.xxh3_64_hexdigest(data) != file.xxh3:
        raise Corruption(path, "its content does not match its checksum")
    if kind == "dead" and int(np.count_nonzero(decode_tombstones(path, data, ref))) != ref.deleted_rows:
        raise Corruption(path, f"it does not mark {ref.deleted_rows} rows")
    if kind == "values":
        decode_patch(path, data, "its content", ref.rows - 1)


def _lost_with(home: DiskFolder, ref: SegmentRef, kind: str, file: FileRef) -> tuple[str, list[str]]:
    """Say what is lost with a damaged file. Returns also the ids of the records, where they are known."""
    if kind in ("graph", "index"):
        return "the index is built anew", []
    folder = home.child(ref.name)
    if kind == "dead":
        rows = _marked_rows(folder, ref)
        ids = [] if rows is None else _ids(home, ref, rows)
        return f"{ref.deleted_rows} deleted records are back{_named(ids)}", ids
    try:
        rows = rows_of_damaged(folder.map(file.name), ref.rows - 1)
    except Corruption:
        rows = None
    if rows is None:
        most = max(1, min(ref.rows, file.bytes // LEAST_BYTES))
        return f"new values of up to {most} records are lost; they have the values of before", []
    ids = _ids(home, ref, rows)
    return f"new values of {len(rows)} records are lost{_named(ids)}; they have the values of before", ids


def _marked_rows(folder: DiskFolder, ref: SegmentRef) -> Ints | None:
    """Return the rows that a tombstone file marks, damaged or not. None if it marks another number."""
    if ref.tombstones is None:
        return None
    try:
        data = folder.map(ref.tombstones.name, ref.tombstones.bytes)
        rows = np.flatnonzero(decode_tombstones(folder.path, data, ref._replace(tombstones=None)))
    except (Corruption, ValueError):
        return None
    return rows if len(rows) == ref.deleted_rows else None


def _live_rows(folder: DiskFolder, ref: SegmentRef) -> Ints | None:
    """Return the rows of a segment that are not deleted. None if they are not known."""
    if ref.tombstones is None:
        return np.arange(ref.rows)
    marked = _marked_rows(folder, ref)
    return None if marked is None else np.delete(np.arange(ref.rows), marked)


def _ids(home: DiskFolder, ref: SegmentRef, rows: Ints | None) -> list[str]:
    """Return the ids of rows of a segment, whose other files may be damaged. Empty if they are not known."""
    records = tuple(file for file in ref.files if file_names.role(file.name) == RECORDS)
    if rows is None or not records:
        return []
    try:
        return [id or "" for id in Segment(home, ref._replace(files=records)).texts("id", rows)]
    except Corruption:
        return []


def _named(ids: Sequence[str]) -> str:
    """Show the first of some ids in a message."""
    if not ids:
        return ""
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f" ({', '.join(map(shown, ids[:_SHOWN]))}{more})"


def _check_segment(segment: Segment) -> None:
    """Check the invariants between the files of a segment."""
    home = f"segment {segment.name}"
    if np.any(np.diff(segment.positions) <= 0):
        raise Corruption(f"{home}/records.arrow", "its positions do not ascend")
    if segment.vectors.shape != (segment.rows, segment.dimension):
        raise Corruption(f"{home}/vectors.arrow", f"it holds {segment.vectors.shape}")
    every = np.arange(segment.rows)
    ids = [id or "" for id in segment.texts("id", every)]
    if np.any(segment.locate_ids(ids, hash_ids(ids)) != every):
        raise Corruption(f"{home}/ids.arrow", "it does not find every id")
    decode_metadata(segment.texts("metadata", every))
    segment.metadata_columns()


def _read_catalog(folder: DiskFolder, name: str) -> tuple[CatalogState, str]:
    """Read the state of a catalog, and the name of its first log."""
    data = Fields(f"{folder.path}/{name}", unwrap_state(folder, name))
    return CatalogState.read(data), data.name("log", file_names.CATALOG_LOG)


def _next_log(home: DiskFolder, name: str) -> str | None:
    """Return the first existing log after `name`, if any. Log names sort by their sequence numbers."""
    later = [other for other in home.names() if file_names.LOG.fits(other) and other > name]
    return later[0] if later else None


def _write_log(
    folder: DiskFolder, name: str, sequence: int, frames: list[Frame], following: str | None
) -> None:
    """Write a new log with these frames. If `following` is given, an END frame names it as the next log.

    sequence  the number of the first frame
    """
    log = Log.create(folder, name, sequence)
    for frame in frames:
        log.append(frame.kind, frame.payload)
    if following is not None:
        log.append(logs.END, following.encode())
    log.sync(log.offset)
    folder.sync()
    log.close()
