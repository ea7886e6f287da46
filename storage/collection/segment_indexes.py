"""Build, load and publish the indexes of a collection's segments, other than the graphs.

Owns: which segment has which index. An index is a cache: its file is named in the manifest, mapped, and
checked before its first use in a process. While a segment has no index, or a damaged one, callers find their
answers without it. Builds run in the background. They are published as graphs are (cache_files.py). The kinds
of indexes are `IndexBuilder`s: this module does not know what is in an index.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from ..index import segment_index
from ..index.segment_index import Content
from ..interface.errors import Corruption
from ..manifest import FileRef, IndexRef, SegmentRef, random_name
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView, Snapshot
from .cache_files import publish
from .record_store import RecordStore

LOAD_SECONDS = 0.05  # so that a process that asks once and exits does not wait for the load
BUILD_SECONDS = 0.2  # a build that a read asks for waits this long, for others that are asked for meanwhile
PATIENCE_SECONDS = 30.0  # a build waits this long at most for a pause in writing
LOCK = "segment-index.lock"


class IndexBuilder(Protocol):
    """A kind of index of one column.

    kind      its name in the manifest
    key       what it indexes: a metadata key, or #document
    settings  how it is built; an index with other settings is built anew
    """

    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def settings(self) -> str: ...
    def applies(self, segment: Segment) -> bool:
        """Whether a segment gets this index. Called often, so it reads no file."""
        ...

    def build(self, segment: Segment, stopped: Callable[[], bool]) -> Content | None:
        """Build the index of a segment. Returns None once `stopped()` is true, which it checks often."""
        ...

    def open(self, content: Content, segment: Segment) -> Any:
        """Return the index that callers use. Raises ValueError for impossible content, because a file may be
        forged."""
        ...


class _Opened(NamedTuple):
    ref: IndexRef
    index: Any
    content: str  # the content of the segment for which it was opened

    def fits(self, view: SegmentView, builder: IndexBuilder) -> bool:
        """Whether it is the index of this view. Another content may have kept it, or have another one."""
        if self.ref.settings != builder.settings:
            return False
        if isinstance(view.source, Segment) and view.source.content == self.content:
            return True
        return view.ref is not None and view.ref.index_of(builder.kind, builder.key) == self.ref


class SegmentIndexes:
    """The indexes of one collection's segments.

    builders  returns the kinds of indexes that segments should have, to be built after each compaction
    guarded   runs a background job, and ignores its errors if the collection was deleted meanwhile
    writable  whether indexes are built; in a folder that cannot be written, they are only loaded
    """

    def __init__(
        self,
        store: RecordStore,
        builders: Callable[[], Sequence[IndexBuilder]],
        guarded: Callable[[Callable[[], object]], object],
        writable: bool,
    ) -> None:
        self._store, self._builders, self._guarded, self._writable = store, builders, guarded, writable
        self._opened: dict[tuple[str, str, str], _Opened] = {}  # by segment, kind and key
        self._broken: set[str] = set()  # files that are damaged and must be built anew
        self._failed: set[tuple[str, str, str, str]] = (
            set()
        )  # segment, kind, key and settings of failed builds
        self._lock = threading.Lock()
        self._due: float | None = None  # when a build that waits for a pause in writing begins at the latest
        self._released = False

    # ------------------------------------------------------------------ reading

    def get(self, view: SegmentView, builder: IndexBuilder) -> Any | None:
        """Return the opened index of a view, or None. Then it is loaded or built in the background.

        A memtable has no index, and neither has a segment to which the kind does not apply.
        """
        opened = self._opened.get((view.source.name, builder.kind, builder.key))
        if opened is not None and opened.fits(view, builder):
            return opened.index
        if not isinstance(view.source, Segment):
            return None
        ref = self._usable(view, builder)
        if ref is not None:
            source = view.source.base
            key = f"{self._store.id}/{source.name}/{builder.kind}/{builder.key}"
            background = self._store.services.background
            background.submit("load", key, lambda: self._load(source, ref, builder), LOAD_SECONDS)
        elif self._misses(view, builder):
            self.schedule(builder, BUILD_SECONDS)
        return None

    def get_now(self, view: SegmentView, builder: IndexBuilder) -> Any | None:
        """Return the opened index of a view, and load it in this thread if it has a file.

        If it has none, return None, and build it in the background.
        """
        if isinstance(view.source, Segment) and (ref := self._usable(view, builder)) is not None:
            self._load(view.source.base, ref, builder)
        return self.get(view, builder)

    def _usable(self, view: SegmentView, builder: IndexBuilder) -> IndexRef | None:
        """Return the reference to a view's index, if it has these settings and is not damaged."""
        ref = None if view.ref is None else view.ref.index_of(builder.kind, builder.key)
        return ref if self._is_usable(ref, builder) else None

    def _is_usable(self, ref: IndexRef | None, builder: IndexBuilder) -> bool:
        return ref is not None and ref.settings == builder.settings and ref.file.name not in self._broken

    def _load(self, segment: Segment, ref: IndexRef, builder: IndexBuilder) -> None:
        key = segment.name, builder.kind, builder.key
        if self._released or ((opened := self._opened.get(key)) is not None and opened.ref == ref):
            return
        home = self._store.folder.child(segment.name)
        path = f"{home.path}/{ref.file.name}"
        try:
            content = segment_index.read(path, home.map(ref.file.name, ref.file.bytes), ref, segment.rows)
            try:
                index = builder.open(content, segment)
            except (ValueError, TypeError, LookupError, OverflowError) as error:
                raise Corruption(path, f"it cannot be read as {builder.kind}: {error}") from error
        except Corruption:
            # An index is only a cache, so a new one is built. `check` reports the damaged file.
            self._broken.add(ref.file.name)
            self.schedule(builder)
            return
        self._keep(key, _Opened(ref, index, segment.content))

    def _keep(self, key: tuple[str, str, str], opened: _Opened) -> None:
        with self._lock:
            if not self._released:
                self._opened[key] = opened

    def forget_gone(self, snapshot: Snapshot) -> None:
        """Drop the indexes of segments that were merged away or have another index now."""
        refs = {view.source.name: view.ref for view in snapshot.views if view.ref is not None}
        with self._lock:
            for key, opened in list(self._opened.items()):
                name, kind, column = key
                if name not in refs or refs[name].index_of(kind, column) != opened.ref:
                    del self._opened[key]

    def release(self) -> None:
        """Close the indexes, and load no more."""
        with self._lock:
            self._released = True
            self._opened.clear()

    # ------------------------------------------------------------------ building

    def _misses(self, view: SegmentView, builder: IndexBuilder) -> bool:
        """Whether a missing index of a view has to be built. Only segments that the manifest names can have
        one."""
        return (
            self._writable
            and view.named
            and isinstance(view.source, Segment)
            and (view.source.name, builder.kind, builder.key, builder.settings) not in self._failed
            and builder.applies(view.source.base)
        )

    def missing(
        self, snapshot: Snapshot, builders: Sequence[IndexBuilder] | None = None
    ) -> list[tuple[Segment, IndexBuilder]]:
        """Return the indexes that have to be built, those of the largest segments first."""
        kinds = self._builders() if builders is None else builders
        found = []
        for view in snapshot.views:
            # There may be thousands of indexes.
            refs = {} if view.ref is None else {(ref.kind, ref.key): ref for ref in view.ref.indexes}
            for builder in kinds:
                lacks = not self._is_usable(refs.get((builder.kind, builder.key)), builder)
                if lacks and isinstance(view.source, Segment) and self._misses(view, builder):
                    found.append((view.source.base, builder))
        return sorted(found, key=lambda each: -each[0].rows)

    def schedule_all(self, quiet: float) -> None:
        """Build what all segments should have, once writes have paused for `quiet` seconds.

        Segments may be merged soon, which would waste a build. It waits PATIENCE_SECONDS at most.
        """
        now = time.monotonic()
        if self._due is None:
            self._due = now + PATIENCE_SECONDS
        self._submit(self._store.id, None, quiet, push=now + quiet < self._due)

    def after_commit(self, quiet: float) -> None:
        """Let a build that waits for a pause begin its wait again."""
        if self._due is not None:
            self.schedule_all(quiet)

    def can_publish(self) -> bool:
        """Whether nobody compacts the collection now. A build would wait for the end of that."""
        with self._store.folder.lock("maintain.lock", wait=False, timeout=None) as locked:
            return bool(locked)

    def schedule(self, builder: IndexBuilder, delay: float = 0.0) -> None:
        """Build what is missing of one kind in the background."""
        self._submit(f"{self._store.id}/{builder.kind}/{builder.key}", [builder], delay, push=False)

    def _submit(self, key: str, builders: Sequence[IndexBuilder] | None, delay: float, push: bool) -> None:
        if not self._released and self._writable:
            job = partial(self._in_background, builders)
            self._store.services.background.submit("segment-index", key, job, delay, push)

    def _in_background(self, builders: Sequence[IndexBuilder] | None) -> None:
        if builders is None:
            self._due = None
        if not self._released:
            self._guarded(partial(self.build, builders, wait=False))

    def build(self, builders: Sequence[IndexBuilder] | None = None, wait: bool = True) -> bool:
        """Build now what is missing. Returns False if the build was stopped, or another process is building.

        builders  the kinds to build; None for those that all segments should have
        wait      wait for another process, and then build what is still missing, also what failed before
        """
        if wait:
            self._failed.clear()
        if not self._writable or not self.missing(self._store.refresh(), builders):
            return True
        with self._store.folder.lock(LOCK, wait=wait, timeout=None) as locked:
            if not locked:
                return False
            while pending := self.missing(self._store.refresh(), builders):
                if not self._build_one(*pending[0]):
                    return False
            return True

    def _build_one(self, segment: Segment, builder: IndexBuilder) -> bool:
        background = self._store.services.background
        try:
            content = builder.build(segment, lambda: background.stopping() or self._released)
            if content is not None:
                self._publish(segment, builder, content)
        except Exception:
            # Not tried again until `compact` or another process does: a read would start it each time.
            self._failed.add((segment.name, builder.kind, builder.key, builder.settings))
            raise
        return content is not None

    def _publish(self, segment: Segment, builder: IndexBuilder, content: Content) -> None:
        kind, key, settings = builder.kind, builder.key, builder.settings

        def replaced(ref: SegmentRef, file: FileRef) -> tuple[SegmentRef, FileRef | None]:
            old = ref.index_of(kind, key)
            new = ref.with_index(kind, key, IndexRef(kind, key, settings, file))
            return new, None if old is None else old.file

        write = partial(
            segment_index.write, content=content, kind=kind, key=key, settings=settings, rows=segment.rows
        )
        name = f"index-{random_name()}.idx"
        file = publish(self._store, segment.name, name, write, replaced, content=segment.content)
        if file is not None:  # mapped anew, so that what was built takes no memory
            self._load(segment, IndexRef(kind, key, settings, file), builder)
