"""The inverted indexes of a collection's segments and memtables.

Owns: where the postings of a view come from. A segment has an index file for each key with sparse vectors,
which is written with the segment. If the file is damaged or gone, the postings are made from the metadata,
and a new file is built in the background. A memtable has postings in memory, which grow when a search comes
after a write.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..index.segment_index import Content
from ..interface.sparse_vector import SparseVector
from ..postings import postings as inverted
from ..postings import postings_file
from ..postings.postings import Postings
from ..schema import sparse_entries
from ..schema.sparse_entries import Entries
from ..segments.memtable import Memtable
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView
from .segment_indexes import SegmentIndexes

_STEP = 16_384  # rows whose metadata is decoded at once
# Postings of a memtable are merged with the newer ones if they have at most this many times as many.
_MERGED = 2


class SparseVectorIndex(NamedTuple):
    """The kind of index of the sparse vectors at a metadata key."""

    key: str
    kind: str = postings_file.KIND
    settings: str = postings_file.SETTINGS

    def applies(self, segment: Segment) -> bool:
        return self.key in segment.sparse_keys

    def build(self, segment: Segment, stopped: Callable[[], bool]) -> Content | None:
        entries = self.entries(segment, 0, segment.rows, stopped)
        return None if entries is None else postings_file.content_of(inverted.build(entries))

    def open(self, content: Content, segment: Segment) -> Postings:
        return postings_file.opened(content, segment.rows)

    def entries(
        self, source: Segment | Memtable, start: int, stop: int, stopped: Callable[[], bool] = lambda: False
    ) -> Entries | None:
        """Read the vectors of consecutive rows from their metadata. None once `stopped()` is true."""
        parts = [sparse_entries.of_vectors(np.empty(0, np.uint32), [])]
        for first in range(start, stop, _STEP):
            if stopped():
                return None
            rows = np.arange(first, min(stop, first + _STEP))
            values = [None if entry is None else entry.get(self.key) for entry in source.mappings(rows)]
            having = [row for row, value in zip(rows.tolist(), values) if isinstance(value, SparseVector)]
            vectors = [value for value in values if isinstance(value, SparseVector)]
            parts.append(sparse_entries.of_vectors(np.array(having, np.uint32), vectors))
        return sparse_entries.join(parts)


class _InMemory:
    """The postings of the first rows of a memtable, or of a segment without a file, in parts."""

    def __init__(self) -> None:
        self.parts: tuple[Postings, ...] = ()
        self.rows = 0
        self.lock = threading.Lock()

    def up_to(self, stop: int, read: Callable[[int, int], Postings]) -> Sequence[Postings]:
        """Return postings of at least the first `stop` rows. `read` makes those of consecutive rows."""
        if self.rows < stop:
            with self.lock:
                if self.rows < stop:
                    new = read(self.rows, stop)
                    parts = list(self.parts)
                    while parts and len(parts[-1].rows) <= _MERGED * len(new.rows):
                        new = inverted.merge(parts.pop(), new)
                    self.parts, self.rows = (*parts, new), stop
        return self.parts


_Made: TypeAlias = "weakref.WeakKeyDictionary[Segment | Memtable, dict[str, _InMemory]]"


class PostingsCache:
    """The inverted indexes of one collection."""

    def __init__(self, indexes: SegmentIndexes) -> None:
        self._indexes = indexes
        self._made: _Made = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def of_vectors(self, key: str, view: SegmentView) -> Sequence[Postings]:
        """Return the postings of the sparse vectors at a key. They may have rows beyond those of the view."""
        index = SparseVectorIndex(key)
        source = view.source
        if isinstance(source, Segment):
            if key not in source.sparse_keys:
                return ()
            opened = self._indexes.get_now(view, index)
            if opened is not None:
                return (opened,)

        def read(start: int, stop: int) -> Postings:
            entries = index.entries(source, start, stop)
            assert entries is not None
            return inverted.build(entries)

        return self._in_memory(source, key).up_to(view.rows, read)

    def _in_memory(self, source: Segment | Memtable, key: str) -> _InMemory:
        with self._lock:
            return self._made.setdefault(source, {}).setdefault(key, _InMemory())
