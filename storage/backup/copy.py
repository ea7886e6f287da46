"""Copy the files of a database folder to another folder while the database is in use.

Owns: which files are copied, in which order, and which files of an earlier copy are kept.

Copying only reads the source. Copying takes no locks in the source, so no writer has to wait, and the source
may be read-only. Copying a collection begins with opening every file that its manifest and logs name. If a
file is missing, a compaction has removed it, and the manifest is read again. Logs are copied up to the last
intact frame, so the copy is the collection at one moment. A crash after any of these steps is safe:

    1. copy segment files, under their own unique names, and logs, under temporary names
    2. per collection, give the logs and then the manifest their names
    3. write the catalog, as read at the beginning, without the collections that were deleted meanwhile
    4. remove the files that nothing names any more

Before step 2, an earlier copy in the folder is unchanged. During step 2, each collection is in either its
earlier or its new state.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import xxhash

from .. import manifest
from ..catalog import catalog
from ..catalog.catalog import CatalogState
from ..interface.errors import Corruption
from ..interface.values import BackupReport
from ..io.disk import GONE, DiskFolder
from ..io.open_file import OpenFile
from ..manifest import FileRef, Manifest, SegmentRef, unwrap_state
from ..wal.follow import follow, read_stable
from ..wal.frames import named_segment
from ..wal.log import Log

_ASIDE = ".tmp"
_ATTEMPTS = 100

Progress = Callable[[int, int], None]
"""Called with the bytes done so far, and all of them."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A collection at one moment: its manifest and logs, and the segments that these name."""

    manifest: Manifest
    segments: list[SegmentRef]
    logs: list[Log]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A collection at one moment, its open segment files to copy, and the resources to close."""

    seen: _Seen
    files: list[tuple[str, FileRef, OpenFile]]
    resources: ExitStack


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A collection whose files are in the target, under their own or temporary names."""

    id: str
    manifest: Manifest
    segments: dict[str, set[str]]  # file names by segment
    logs: list[str]
    aside: list[str]  # logs that were copied under temporary names, oldest first


class Copier:
    """One run that copies `source` to `target`. `exists` checks whether the catalog has a collection."""

    def __init__(
        self,
        source: DiskFolder,
        target: DiskFolder,
        exists: Callable[[str], bool],
        *,
        link: bool,
        verify: bool,
        progress: Progress | None,
    ) -> None:
        self._source, self._target, self._exists = source, target, exists
        self._link, self._verify, self._progress = link, verify, progress
        self.files = self.copied = self.linked = self.reused = self.removed = 0
        self._total = 0
        self._counted: set[str] = set()

    def run(self, state: CatalogState) -> None:
        """Run all four steps. Removes collections that are deleted meanwhile from `state`."""
        if self._progress is not None:
            self._total = sum(map(self._expected, state.collections))
        homes = self._target.child("collections")
        homes.create()
        prepared = []
        for id, info in list(state.collections.items()):
            written = info.dimension is not None
            found = self._prepare(id, written)
            if found is not None:
                prepared.append(found)
            elif not self._exists(id):
                state.apply({"do": "delete collection", "id": id})
        homes.sync()
        for collection in prepared:
            self._publish(collection)
        self._publish_catalog(state)
        self._clean(state, {collection.id: collection for collection in prepared})

    def report(self, path: str, collections: int, began: float) -> BackupReport:
        seconds = time.monotonic() - began
        counts = self.files, self.copied, self.linked, self.reused, self.removed
        return BackupReport(path, collections, *counts, seconds)

    def _expected(self, id: str) -> int:
        home = self._source.child("collections").child(id)
        try:
            return sum(file.bytes for ref in Manifest.load(home).segments for file in ref.all_files())
        except Corruption:  # not written yet, or damaged; `_prepare` reports damage
            return 0

    # ------------------------------------------------------------------ 1: files

    def _prepare(self, id: str, written: bool) -> _Prepared | None:
        """Copy or link one collection's files. Returns None if it has no files."""
        home = self._source.child("collections").child(id)
        path = f"{home.path}/{manifest.NAME}"

        def file_version() -> tuple[object, object]:
            return home.file_version(manifest.NAME), home.file_version(manifest.COPY)

        def read(file_version: tuple[object, object]) -> _Opened | None:
            if file_version == (None, None):
                if written and self._exists(id):
                    raise Corruption(path, "the file is missing, but its collection has records")
                return None
            with ExitStack() as opened:
                seen = _look(home, manifest.NAME if file_version[0] else manifest.COPY, opened)
                files = [] if self._link else _hold(home, seen, opened)
                if self._link:
                    self._link_all(home, id, seen, opened)
                return _Opened(seen, files, opened.pop_all())

        found = read_stable(path, file_version, read, attempts=_ATTEMPTS)
        if found is None:
            return None
        with found.resources:
            for segment, file, source in found.files:
                self._copy(self._target.child("collections").child(id).child(segment), file, source)
            return self._with_logs(id, found.seen)

    def _link_all(self, home: DiskFolder, id: str, seen: _Seen, opened: ExitStack) -> None:
        for ref in seen.segments:
            source, target = home.child(ref.name), self._target.child("collections").child(id).child(ref.name)
            target.create()
            for file in ref.all_files():
                open_file = source.hold(file.name)
                opened.callback(open_file.close)
                shared = open_file.is_at(f"{target.path}/{file.name}")
                if shared and self._verify:
                    _check(open_file, file)
                if shared or self._keeps(target, file):
                    self._done(target, file, "reused")
                elif target.link(source, file.name):
                    if self._verify:
                        _check(open_file, file)
                    self._done(target, file, "linked")
                else:
                    self._copy(target, file, open_file)
            target.sync()

    def _keeps(self, home: DiskFolder, file: FileRef) -> bool:
        """Whether a file from an earlier backup can be kept. Removes it if not.

        Such a file is complete, because it gets its name last.
        """
        if not home.exists(file.name):
            return False
        if home.size(file.name) == file.bytes and not (self._verify and _damaged(home, file)):
            return True
        home.remove(file.name)
        return False

    def _copy(self, home: DiskFolder, file: FileRef, source: OpenFile) -> None:
        """Copy a file, unless the target already has a copy. A hard link to the source is not a copy."""
        home.create()
        if not source.is_at(f"{home.path}/{file.name}") and self._keeps(home, file):
            self._done(home, file, "reused")
            return
        aside = file.name + _ASIDE
        with home.write_file(aside) as sink:
            for block in source.blocks():
                sink.write(block)
        if (sink.size, sink.digest()) != (file.bytes, file.xxh3):
            home.remove(aside)
            raise _damage(source.path, sink.size, file)
        home.rename(aside, file.name)
        home.sync()
        self._done(home, file, "copied")

    def _done(self, home: DiskFolder, file: FileRef | str, how: str, size: int = 0) -> None:
        """Count a file. `size` is the size of a log, which has no FileRef."""
        name, bytes = (file, size) if isinstance(file, str) else (file.name, file.bytes)
        path = f"{home.path}/{name}"
        if path in self._counted:  # it was counted in an earlier attempt
            return
        self._counted.add(path)
        self.files += 1
        setattr(self, how, getattr(self, how) + bytes)
        if self._progress is not None:
            done = self.copied + self.linked + self.reused
            self._total = max(self._total, done)
            self._progress(done, self._total)

    def _with_logs(self, id: str, seen: _Seen) -> _Prepared:
        home = self._target.child("collections").child(id)
        home.create()
        names = [_name(log) for log in seen.logs]
        aside = []
        for name, log in zip(names, seen.logs, strict=True):
            if _same(home, name, log):
                self._done(home, name, "reused", log.offset)
            else:
                with home.write_file(name + _ASIDE) as sink:
                    for block in log.image():
                        sink.write(block)
                aside.append(name)
                self._done(home, name, "copied", log.offset)
        if aside or not home.exists(manifest.NAME):
            home.sync()
        segments = {ref.name: {file.name for file in ref.all_files()} for ref in seen.segments}
        return _Prepared(id, seen.manifest, segments, names, aside)

    # ------------------------------------------------------------------ 2 and 3: names

    def _publish(self, collection: _Prepared) -> None:
        home = self._target.child("collections").child(collection.id)
        for name in reversed(collection.aside):  # a log gets its name after the log that follows it
            home.rename(name + _ASIDE, name)
            home.sync()
        data = collection.manifest.encode()
        if any(not home.exists(name) or home.read(name) != data for name in (manifest.NAME, manifest.COPY)):
            collection.manifest.publish(home)
        self.files += 2

    def _publish_catalog(self, state: CatalogState) -> None:
        self.files += 3
        if self._has(state):
            return
        first = max([0, *(_sequence(name) for name in self._target.names() if _is_catalog_log(name))])
        catalog.write(self._target, state, catalog.begin_log(self._target, first + 1))

    def _has(self, state: CatalogState) -> bool:
        """Whether the target's catalog has this state. Only backups write to that catalog."""
        if not self._target.exists(catalog.NAME) or not self._target.exists(catalog.COPY):
            return False
        try:
            states = [unwrap_state(self._target, name) for name in (catalog.NAME, catalog.COPY)]
        except Corruption:
            return False  # the catalog will be written again
        log = str(states[0]["log"])
        return states == 2 * [{"log": log, **state.to_json()}] and self._target.exists(log)

    # ------------------------------------------------------------------ 4: remove the rest

    def _clean(self, state: CatalogState, kept: dict[str, _Prepared]) -> None:
        current = catalog.log_of(self._target)
        for name in self._target.names():
            if (_is_catalog_log(name) and name != current) or name.endswith(_ASIDE):
                self._remove(self._target, name)
            elif GONE in name:
                self._target.child(name).remove_tree()
        homes = self._target.child("collections")
        for id in homes.names():
            if id not in kept:
                self.removed += _count(homes.child(id))
                homes.child(id).remove_tree()
            else:
                self._clean_collection(homes.child(id), kept[id])

    def _clean_collection(self, home: DiskFolder, kept: _Prepared) -> None:
        names = {manifest.NAME, manifest.COPY, *kept.logs, *kept.segments}
        for name in home.names():
            if name not in names:
                if name.startswith("seg-"):
                    self.removed += _count(home.child(name))
                    home.child(name).remove_tree()
                else:
                    self._remove(home, name)
            elif name in kept.segments:
                segment = home.child(name)
                for file in set(segment.names()) - kept.segments[name]:
                    self._remove(segment, file)

    def _remove(self, home: DiskFolder, name: str) -> None:
        home.remove(name)
        self.removed += 1


def _look(home: DiskFolder, name: str, opened: ExitStack) -> _Seen:
    """Read a manifest and follow its logs to their end."""
    current = Manifest.load(home, name)
    segments, found = list(current.segments), []
    first = Log.open(home, current.log)
    opened.callback(first.close)
    found.append(first)
    for log, frame, following in follow(home, first):
        named = named_segment(log.path, frame.kind, frame.payload)
        if named is not None:
            segments.append(named)
        elif following is not None:
            opened.callback(following.close)
            found.append(following)
    return _Seen(current, segments, found)


def _hold(home: DiskFolder, seen: _Seen, opened: ExitStack) -> list[tuple[str, FileRef, OpenFile]]:
    """Open all files of the segments. After that, a compaction may remove their names."""
    files = []
    for ref in seen.segments:
        for file in ref.all_files():
            source = home.child(ref.name).hold(file.name)
            opened.callback(source.close)
            files.append((ref.name, file, source))
    return files


def _check(open_file: OpenFile, file: FileRef) -> None:
    digest, size = xxhash.xxh3_64(), 0
    for block in open_file.blocks():
        digest.update(block)
        size += len(block)
    if (size, digest.hexdigest()) != (file.bytes, file.xxh3):
        raise _damage(open_file.path, size, file)


def _damaged(home: DiskFolder, file: FileRef) -> bool:
    open_file = home.hold(file.name)
    try:
        _check(open_file, file)
    except Corruption:
        return True
    finally:
        open_file.close()
    return False


def _damage(path: str, size: int, file: FileRef) -> Corruption:
    if size != file.bytes:
        return Corruption(path, f"it has {size} bytes instead of {file.bytes}")
    return Corruption(path, "its content does not match its checksum")


def _same(home: DiskFolder, name: str, log: Log) -> bool:
    """Whether an earlier backup has the same log, up to the same frame."""
    if not home.exists(name) or home.size(name) != log.offset:
        return False
    open_file = home.hold(name)
    try:
        mine, theirs = xxhash.xxh3_64(), xxhash.xxh3_64()
        for block in open_file.blocks():
            mine.update(block)
        for block in log.image():
            theirs.update(block)
        return bool(mine.digest() == theirs.digest())
    finally:
        open_file.close()


def _count(home: DiskFolder) -> int:
    """Count the files of a collection or segment."""
    return sum(_count(home.child(name)) if name.startswith("seg-") else 1 for name in home.names())


def _name(log: Log) -> str:
    return log.path.rsplit("/", 1)[-1]


def _is_catalog_log(name: str) -> bool:
    return name.startswith("catalog-") and name.endswith(".wal")


def _sequence(name: str) -> int:
    return int(name.removeprefix("catalog-").removesuffix(".wal"))
