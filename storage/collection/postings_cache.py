"""The inverted indexes of a collection's segments and memtables.

Owns: where the postings of a view come from. A segment has an index file for each key with sparse vectors,
which is written with the segment. If the file is damaged or gone, the postings are made from the metadata,
and a new file is built in the background. A memtable has postings in memory, which grow when a search comes
after a write.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np

from ..index.segment_index import Content
from ..interface.errors import ReadOnly, WriteFailed
from ..interface.sparse_vector import SparseVector
from ..interface.words import Tokenizer
from ..postings import postings as inverted
from ..postings import postings_file
from ..postings.postings import Postings
from ..query.sparse import Indexed
from ..schema import sparse_entries
from ..schema.sparse_entries import Entries
from ..segments.memtable import Memtable
from ..segments.patched_segment import PatchedSegment, PatchTable
from ..segments.segment import Segment
from ..segments.snapshot import SegmentView, Snapshot
from .segment_indexes import SegmentIndexes

_log = logging.getLogger("chroma")

_STEP = 4_096  # rows whose metadata or documents are read at once, while other threads wait: 10 ms
FEW_DOCUMENTS = 2_048  # the words of fewer are counted in each process: 20 ms
_MOST_TIMES = (1 << 16) - 1  # more occurrences of a word count as so many, which weigh the same
# Postings of a memtable are merged with the newer ones if they have at most this many times as many.
_MERGED = 2
_Source: TypeAlias = "Segment | Memtable | PatchTable"


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
        self, source: _Source, start: int, stop: int, stopped: Callable[[], bool] = lambda: False
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


class LexicalIndex(NamedTuple):
    """The kind of index of the words of documents. It is made when a query first asks for words."""

    tokenizer: Tokenizer
    kind: str = "lexical"
    key: str = "#document"
    settings: str = "1"

    def applies(self, segment: Segment) -> bool:
        return segment.rows >= FEW_DOCUMENTS

    def build(self, segment: Segment, stopped: Callable[[], bool]) -> Content | None:
        found = self.postings(segment, 0, segment.rows, stopped)
        return None if found is None else postings_file.content_of(found)

    def open(self, content: Content, segment: Segment) -> Postings:
        found = postings_file.opened(content, segment.rows)
        if found.lengths is None:
            raise ValueError("it has no lengths of texts")
        return found

    def postings(
        self, source: _Source, start: int, stop: int, stopped: Callable[[], bool] = lambda: False
    ) -> Postings | None:
        """Index the documents of consecutive rows. None once `stopped()` is true."""
        lengths = np.zeros(stop, np.uint32)
        parts = [Entries(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint16))]
        for first in range(start, stop, _STEP):
            if stopped():
                return None
            rows = np.arange(first, min(stop, first + _STEP))
            words = self.tokenizer.count([text or "" for text in source.texts("document", rows)])
            lengths[rows] = words.lengths
            times = np.minimum(words.counts, _MOST_TIMES).astype(np.uint16)
            parts.append(Entries((words.texts + first).astype(np.uint32), words.hashes, times))
        return inverted.build(sparse_entries.join(parts), lengths)


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


_Made: TypeAlias = "weakref.WeakKeyDictionary[_Source, dict[str, _InMemory]]"
_Counted: TypeAlias = "weakref.WeakKeyDictionary[Segment | Memtable, tuple[tuple[int, int], Counted]]"


class Counted(NamedTuple):
    """How many words the documents have, and how many documents have any."""

    words: int
    documents: int


class PostingsCache:
    """The inverted indexes of one collection.

    lexical  the kind of index of words, once a query has asked for words or a segment has such an index
    """

    def __init__(self, indexes: SegmentIndexes) -> None:
        self._indexes = indexes
        self._made: _Made = weakref.WeakKeyDictionary()
        self._counted: _Counted = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._words = LexicalIndex(Tokenizer())
        self.lexical: LexicalIndex | None = None

    @property
    def tokenizer(self) -> Tokenizer:
        return self._words.tokenizer

    def adopt(self, snapshot: Snapshot) -> None:
        """Look whether a segment has an index of words."""
        kind, key = self._words.kind, self._words.key
        if self.lexical is None and any(
            view.ref is not None and view.ref.index_of(kind, key) is not None for view in snapshot.views
        ):
            self.lexical = self._words

    def of_vectors(self, key: str, view: SegmentView) -> Sequence[Indexed]:
        """Return the postings of the sparse vectors at a key. They may have rows beyond those of the view."""
        index = SparseVectorIndex(key)

        def read(source: _Source, start: int, stop: int) -> Postings:
            entries = index.entries(source, start, stop)
            assert entries is not None
            return inverted.build(entries)

        return self._indexed(view, index, "metadata", read)

    def _indexed(
        self,
        view: SegmentView,
        index: SparseVectorIndex | LexicalIndex,
        field: str,
        read: Callable[[_Source, int, int], Postings],
    ) -> Sequence[Indexed]:
        """Return the inverted indexes of a view: that of its rows, and that of their patches, if it has some.

        field  what is indexed
        read   makes the postings of consecutive rows
        """
        source = view.source
        if not isinstance(source, Segment):
            return [Indexed(each) for each in self._made_of(source, index, view.rows, read)]
        overlay = None
        if isinstance(source, PatchedSegment) and field in source.overlay.fields:
            overlay = source.overlay
        hidden = None if overlay is None else overlay.mask
        found: list[Indexed] = []
        if isinstance(index, LexicalIndex) or index.applies(source.base):
            opened = self._opened(source.base, view, index)
            made = self._made_of(source.base, index, view.rows, read) if opened is None else [opened]
            found = [Indexed(each, hidden) for each in made]
        if overlay is not None:
            rows, current = overlay.table.row_of(np.arange(overlay.count)), np.sort(overlay.entries)
            made = self._made_of(overlay.table, index, overlay.count, read)
            found += [Indexed(each, None, rows, current) for each in made]
        return found

    def _made_of(
        self,
        source: _Source,
        index: SparseVectorIndex | LexicalIndex,
        stop: int,
        read: Callable[[_Source, int, int], Postings],
    ) -> Sequence[Postings]:
        return self._in_memory(source, index.key).up_to(stop, partial(read, source))

    def prepare_words(self, snapshot: Snapshot) -> None:
        """Build the indexes of words that segments lack. The query for words that comes first waits for this.

        If they cannot be written, or not during a compaction, the words are counted in this process.
        """
        self.lexical = self._words
        if not self._indexes.missing(snapshot, [self._words]):
            return
        if not self._indexes.can_publish():
            self._indexes.schedule(self._words)
            return
        try:
            self._indexes.build([self._words], wait=False)
        except (WriteFailed, ReadOnly) as error:
            _log.warning("an index of words could not be stored: %s", error)

    def of_words(self, view: SegmentView) -> Sequence[Indexed]:
        """Return the postings of the words of documents. They may have rows beyond those of the view."""

        def read(source: _Source, start: int, stop: int) -> Postings:
            found = self._words.postings(source, start, stop)
            assert found is not None
            return found

        return self._indexed(view, self._words, "document", read)

    def count_words(self, view: SegmentView) -> Counted:
        """Count the words of a view's live records."""
        state = view.rows, view.deleted_rows
        known = self._counted.get(view.source)
        if known is not None and known[0] == state:
            return known[1]
        words = documents = 0
        for index in self.of_words(view):
            assert index.postings.lengths is not None
            lengths = index.postings.lengths[: index.stop(view)]
            if (ignored := index.ignored(view)) is not None:
                lengths = lengths[~ignored[: len(lengths)]]
            words += int(lengths.sum(dtype=np.int64))
            documents += int(np.count_nonzero(lengths))
        found = Counted(words, documents)
        self._counted[view.source] = state, found
        return found

    def _opened(
        self, segment: Segment, view: SegmentView, index: SparseVectorIndex | LexicalIndex
    ) -> Postings | None:
        """Return the postings in the file of a segment. Those in memory were for the time without it."""
        opened: Postings | None = self._indexes.get_now(view, index)
        if opened is not None and (made := self._made.get(segment)):
            made.pop(index.key, None)
        return opened

    def _in_memory(self, source: _Source, key: str) -> _InMemory:
        with self._lock:
            return self._made.setdefault(source, {}).setdefault(key, _InMemory())
