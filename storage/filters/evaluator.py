"""Find the rows of a part (a segment or memtable) that match a filter tree.

Owns: splitting a tree between metadata (evaluated with arrays or DuckDB), documents and the id look-up, and
the cache of recent answers. The rows of a part never change, so an answer stays valid. Each snapshot then
subtracts its tombstones.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..arrow.arrays import text_array
from ..arrow.lazy_pyarrow import pa
from ..index.ngrams import Ngrams
from ..memory_budget import MemoryBudget
from ..schema import metadata_columns
from ..schema.record_columns import Ints
from ..segments.memtable import Memtable
from ..segments.patched_segment import PatchedSegment, PatchTable, overlays
from ..segments.segment import Segment, hash_ids
from ..segments.snapshot import SegmentView, Snapshot
from . import row_set
from .document_scan import Documents, documents_with
from .duckdb_tables import FilterDatabase, FilterTable
from .metadata_filter import FilterArrays
from .parser import (
    And,
    DocumentContains,
    DocumentMatches,
    IdOneOf,
    Matches,
    Node,
    Not,
    Or,
    metadata_only,
    size,
)
from .regex_scan import FindNgrams, matching, regex_matches
from .row_set import RowSet

# The most conditions in a tree that is evaluated with arrays. DuckDB was faster for only one kind of tree,
# more than 64 wide ranges over a million rows (200 ranges: 44 instead of 141 ms). It was 2 to 20 times slower
# for all others (docs/decisions/0010). Larger filters take long with either, but DuckDB uses several threads.
_ARRAYS_MOST = 1000
_ONE_QUERY = 200  # conditions per SQL query: DuckDB plans 20,000 at once in minutes, 100 x 200 in a second
# Answers kept per part and per collection. Repeating a filter with another query vector then costs nothing.
_REMEMBERED, _REMEMBERED_BYTES = 64, 16 << 20


def _no_ngrams() -> None:
    return None


class _Memory:
    """A cache of the most recent answers."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self.nbytes = 0
        self._lock = threading.Lock()

    def get(self, key: Any) -> Any:
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: Any, value: Any, size: int) -> None:
        """Keep an answer, and drop the oldest ones if there are too many."""
        with self._lock:
            before = self._entries.pop(key, None)
            self._entries[key] = value, size
            self.nbytes += size - (0 if before is None else before[1])
            while len(self._entries) > _REMEMBERED or (
                self.nbytes > _REMEMBERED_BYTES and len(self._entries) > 1
            ):
                self.nbytes -= self._entries.popitem(last=False)[1][1]


class Block:
    """Answers filters for a fixed range of rows."""

    def __init__(
        self,
        database: FilterDatabase,
        rows: int,
        load: Callable[[], metadata_columns.MetadataColumns],
        documents: Callable[[], pa.Array],
        locate: Callable[[tuple[str, ...]], Ints],
        *,
        scanned: Callable[[], Documents] | None = None,
    ) -> None:
        self.rows = rows
        self._database = database
        self._load, self._locate = load, locate
        self._documents = documents
        self._scanned = scanned or (lambda: Documents.of_array(documents()))
        self._arrays = FilterArrays(rows, load)
        self._table: FilterTable | None = None
        self._lock = threading.Lock()
        self._answers = _Memory()

    @property
    def nbytes(self) -> int:
        """The memory of the loaded filter columns and the answers, in bytes."""
        arrays, table = self._arrays, self._table  # another thread may release these meanwhile
        return self._answers.nbytes + arrays.nbytes + (0 if table is None else table.nbytes)

    def release(self) -> None:
        """Forget the filter columns and the answers. They are loaded again when needed."""
        self._arrays, self._table = FilterArrays(self.rows, self._load), None
        self._answers = _Memory()

    def table(self) -> FilterTable:
        with self._lock:
            if self._table is None:
                self._table = FilterTable(self._database, self._load())
            return self._table

    def answer(self, node: Node, ngrams: FindNgrams = _no_ngrams) -> RowSet:
        """Return the rows that match.

        ngrams  returns the index over the documents, if there is one
        """
        found: RowSet | None = self._answers.get(node)
        if found is None:
            found = self._evaluate(node, ngrams)
            self._answers.put(node, found, found.nbytes)
        return found

    def _evaluate(self, node: Node, ngrams: FindNgrams) -> RowSet:
        if size(node) > _ARRAYS_MOST:
            return self._large(node, ngrams)
        return self._arrays.answer(node, partial(self._leaf, ngrams))

    def _large(self, node: Node, ngrams: FindNgrams) -> RowSet:
        """Evaluate a tree of many conditions. DuckDB evaluates its metadata conditions."""
        match node:
            case Not(child):
                return row_set.complement(self._evaluate(child, ngrams))
            case And(children):
                return row_set.intersection(self._queries(children, And, ngrams))
            case Or(children):
                return row_set.union(self.rows, self._queries(children, Or, ngrams))
            case _:
                raise AssertionError(node)

    def _queries(
        self, children: tuple[Node, ...], join: Callable[[tuple[Node, ...]], Node], ngrams: FindNgrams
    ) -> Iterator[RowSet]:
        """Yield answers that cover all children. One query may answer many children."""
        waiting: list[Node] = []
        room = _ONE_QUERY
        for child in children:
            if size(child) > _ONE_QUERY or not metadata_only(child):
                yield self._evaluate(child, ngrams)
                continue
            if size(child) > room:
                yield RowSet(self.rows, mask=self.table().mask(join(tuple(waiting))))
                waiting, room = [], _ONE_QUERY
            waiting.append(child)
            room -= size(child)
        if waiting:
            yield RowSet(self.rows, mask=self.table().mask(join(tuple(waiting))))

    def _leaf(self, ngrams: FindNgrams, node: Node) -> RowSet:
        """Return the rows that match a leaf that is not about metadata."""
        match node:
            case DocumentContains(text):
                return documents_with(self._scanned(), text, ngrams())
            case DocumentMatches(pattern):
                return matching(self._scanned(), pattern, self._documents, ngrams)
            case IdOneOf(values):
                rows = self._locate(values)
                return row_set.gathered(self.rows, rows[(rows >= 0) & (rows < self.rows)])
            case _:
                raise AssertionError(node)


def check_patterns(node: Node) -> None:
    """Raise InvalidArgument for an invalid pattern, even if other conditions leave no document to match."""
    match node:
        case And(children) | Or(children):
            for child in children:
                check_patterns(child)
        case Not(child):
            check_patterns(child)
        case DocumentMatches(pattern) | Matches(pattern=pattern):
            regex_matches(text_array([""]), pattern)  # an empty array would not validate the pattern


class SegmentFilter:
    """The filter of a segment, which is a single block."""

    def __init__(self, database: FilterDatabase, segment: Segment) -> None:
        self.source = segment
        self._documents: Documents | None = None
        self._block = Block(
            database,
            segment.rows,
            segment.metadata_columns,
            lambda: segment.documents(0, segment.rows),
            lambda ids: segment.locate_ids(ids, hash_ids(ids)),
            scanned=self._scanned,
        )

    def _scanned(self) -> Documents:
        if self._documents is None:
            self._documents = Documents.of_text(self.source.text("document"))
        return self._documents

    @property
    def nbytes(self) -> int:
        return self._block.nbytes

    def release(self) -> None:
        self._block.release()

    def answer(self, node: Node, rows: int, ngrams: FindNgrams = _no_ngrams) -> RowSet:
        return self._block.answer(node, ngrams)


class MemtableFilter:
    """The filter of a memtable or a table of patches.

    Its blocks double in size as it grows, so that few rows are indexed twice.
    """

    def __init__(self, database: FilterDatabase, memtable: Memtable | PatchTable) -> None:
        self._database, self._memtable = database, memtable
        self.source = memtable
        self._blocks: list[tuple[int, Block]] = []  # first row and block
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for _, block in self._blocks)

    def release(self) -> None:
        with self._lock:
            self._blocks = []

    def answer(self, node: Node, rows: int, ngrams: FindNgrams = _no_ngrams) -> RowSet:
        with self._lock:
            self._cover(rows)
            blocks = [(start, block) for start, block in self._blocks if start < rows]
        parts = [block.answer(node).first(rows - start) for start, block in blocks]
        if len(parts) == 1:
            return parts[0]
        if all(part.by_rows for part in parts):
            return RowSet(rows, rows=np.concatenate([part.rows + at for part, (at, _) in zip(parts, blocks)]))
        return RowSet(rows, mask=np.concatenate([part.mask for part in parts]))

    def _cover(self, rows: int) -> None:
        end = self._blocks[-1][0] + self._blocks[-1][1].rows if self._blocks else 0
        if end >= rows:
            return
        start = end
        while self._blocks and self._blocks[-1][1].rows <= 2 * (rows - start):
            start = self._blocks.pop()[0]
        memtable, stop = self._memtable, rows
        self._blocks.append(
            (
                start,
                Block(
                    self._database,
                    stop - start,
                    lambda: metadata_columns.build(stop - start, [memtable.metadata(start, stop)]),
                    lambda: memtable.documents(start, stop),
                    lambda ids: _in_block(memtable, ids, start, stop),
                ),
            )
        )


def _in_block(memtable: Memtable | PatchTable, ids: tuple[str, ...], start: int, stop: int) -> Ints:
    # A row in the block may be an older, deleted version of the record. Comparing the ids finds all versions.
    requested = set(ids)
    names = memtable.texts("id", np.arange(start, stop))
    return np.asarray([row for row, name in enumerate(names) if name in requested], np.int64)


class Filters:
    """The filters of one collection's segments and memtables.

    ngrams  returns the index over the documents of a view, if there is one
    """

    def __init__(
        self,
        database: FilterDatabase,
        budget: MemoryBudget,
        owner: str,
        ngrams: Callable[[SegmentView], Ngrams | None] = lambda view: None,
    ) -> None:
        self._database, self._budget, self._owner = database, budget, owner
        self._ngrams = ngrams
        self._parts: dict[str, SegmentFilter | MemtableFilter] = {}
        self._allowed = _Memory()
        self._lock = threading.Lock()

    def part(self, source: Segment | Memtable | PatchTable) -> SegmentFilter | MemtableFilter:
        with self._lock:
            entry = self._parts.get(source.name)
            # After a reload, the same log has a new memtable.
            if entry is None or entry.source is not source:
                make: Any = SegmentFilter if isinstance(source, Segment) else MemtableFilter
                entry = self._parts[source.name] = make(self._database, source)
            return entry

    def allowed(self, view: SegmentView, node: Node) -> RowSet:
        """Return the live rows of a view that match."""
        key = (view.source.name, view.rows, node)
        entry = self._allowed.get(key)
        if entry is not None and entry[0] is view.tombstones and entry[1] is view.source:
            answer: RowSet = entry[2]
            return answer
        if not metadata_only(node):
            check_patterns(node)
        source = view.source
        base = source.base if isinstance(source, Segment) else source
        answer = self._answer(base, node, view.rows, lambda: self._ngrams(view))
        if isinstance(source, PatchedSegment):
            answer = self._patched(source, answer, node)
        if view.tombstones is not None:
            answer = answer.without(view.tombstones)
        self._allowed.put(key, (view.tombstones, source, answer), answer.nbytes)
        self._budget.hold(f"filter {self._owner}#allowed", self._allowed.nbytes, self._forget_allowed)
        return answer

    def _forget_allowed(self) -> None:
        self._allowed = _Memory()

    def _answer(
        self,
        source: Segment | Memtable | PatchTable,
        node: Node,
        rows: int,
        ngrams: FindNgrams = _no_ngrams,
    ) -> RowSet:
        part = self.part(source)
        answer = part.answer(node, rows, ngrams)
        self._budget.hold(f"filter {self._owner}/{source.name}", part.nbytes, part.release)
        return answer

    def _patched(self, source: PatchedSegment, answer: RowSet, node: Node) -> RowSet:
        """Return the answer for a patched segment, given that for the segment without patches."""
        overlay = source.overlay
        found = self._answer(overlay.table, node, overlay.count)
        matching = overlay.rows[found.mask[overlay.entries]]
        return row_set.union(answer.size, [answer.without(overlay.mask), RowSet(answer.size, rows=matching)])

    def keep_only(self, snapshot: Snapshot) -> None:
        """Forget the parts that the snapshot no longer has."""
        names = {view.source.name for view in snapshot.views}
        names.update(overlay.table.name for overlay in overlays(view.source for view in snapshot.views))
        with self._lock:
            for name in [name for name in self._parts if name not in names]:
                del self._parts[name]
                self._budget.forget(f"filter {self._owner}/{name}")
            self._forget_allowed()
            self._budget.forget(f"filter {self._owner}#allowed")

    def release(self) -> None:
        """Free everything that can be loaded again."""
        with self._lock:
            for name, part in self._parts.items():
                part.release()
                self._budget.forget(f"filter {self._owner}/{name}")
            self._forget_allowed()
            self._budget.forget(f"filter {self._owner}#allowed")
