"""Which rows of a part match a filter tree.

Owns: splitting a tree between DuckDB (metadata), Arrow (documents) and the id look-up, and the memory of
recent answers. Rows of a part never change, so an answer holds for ever; who is dead is added per snapshot.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from . import attributes
from .background import Budget
from .columns import Ints, Mask
from .errors import InvalidArgument
from .filter import (
    And,
    DocumentContains,
    DocumentMatches,
    Everything,
    IdOneOf,
    Node,
    Not,
    Nothing,
    Or,
    both,
    metadata_only,
    size,
)
from .filter_tables import FilterDatabase, FilterTable
from .segment import Segment, hash_ids
from .snapshot import Snapshot, View
from .tail import Tail

_ONE_QUERY = (
    200  # conditions in one SQL query: DuckDB plans 20,000 of them for minutes, 100 x 200 in a second
)
# Answers kept per part and per collection: the same filter with another vector costs nothing again.
_REMEMBERED, _REMEMBERED_BYTES = 64, 16 << 20


class Allowed:
    """The rows of a view that match a filter and are alive."""

    far = 0  # so many searches more are to expect them far from the query, see search.py

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.count = int(np.count_nonzero(mask))
        self._rows: Ints | None = None
        self._bytes: bytearray | None = None

    @property
    def rows(self) -> Ints:
        """Row numbers, ascending."""
        if self._rows is None:
            self._rows = np.flatnonzero(self.mask)
        return self._rows

    @property
    def bytes(self) -> bytearray:
        """One byte per row; hnswlib's filter callback reads it."""
        if self._bytes is None:
            self._bytes = bytearray(self.mask.tobytes())
        return self._bytes


class _Memory:
    """The most recent answers, by question."""

    def __init__(self) -> None:
        self._held: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self.nbytes = 0
        self._lock = threading.Lock()

    def get(self, key: Any) -> Any:
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def drop(self, key: Any) -> None:
        with self._lock:
            if key in self._held:
                self.nbytes -= self._held.pop(key)[1]

    def put(self, key: Any, value: Any, size: int) -> None:
        with self._lock:
            if key not in self._held:
                self._held[key] = value, size
                self.nbytes += size
            while len(self._held) > _REMEMBERED or (self.nbytes > _REMEMBERED_BYTES and len(self._held) > 1):
                self.nbytes -= self._held.popitem(last=False)[1][1]


class Block:
    """Filter answers for fixed rows."""

    def __init__(
        self,
        database: FilterDatabase,
        rows: int,
        load: Callable[[], attributes.Attributes],
        documents: Callable[[], pa.Array],
        locate: Callable[[tuple[str, ...]], Ints],
    ) -> None:
        self.rows = rows
        self._database = database
        self._load, self._documents, self._locate = load, documents, locate
        self._table: FilterTable | None = None
        self._lock = threading.Lock()
        self._masks = _Memory()

    @property
    def nbytes(self) -> int:
        """Memory held by the loaded filter columns."""
        table = self._table  # another thread may release it meanwhile
        return self._masks.nbytes + (0 if table is None else table.nbytes)

    def release(self) -> None:
        """Forget the filter columns; they are loaded again when needed."""
        self._table = None
        self._masks = _Memory()

    def table(self) -> FilterTable:
        with self._lock:
            if self._table is None:
                self._table = FilterTable(self._database, self._load())
            return self._table

    def mask(self, node: Node) -> Mask:
        """bool (rows,); not to be written to."""
        found: Mask | None = self._masks.get(node)
        if found is None:
            found = self._evaluate(node)
            self._masks.put(node, found, found.nbytes)
        return found

    def _evaluate(self, node: Node) -> Mask:
        if isinstance(node, Everything):
            return np.ones(self.rows, np.bool_)
        if isinstance(node, Nothing):
            return np.zeros(self.rows, np.bool_)
        if metadata_only(node) and size(node) <= _ONE_QUERY:
            return self.table().mask(node)
        match node:
            case Not(child):
                return ~self._evaluate(child)
            case And(children):
                return self._fold(children, np.logical_and, both)
            case Or(children):
                return self._fold(
                    children, np.logical_or, lambda *nodes: nodes[0] if len(nodes) == 1 else Or(nodes)
                )
            case DocumentContains(text):
                return _filled(pc.match_substring(self._documents(), text))
            case DocumentMatches(pattern):
                try:
                    return _filled(pc.match_substring_regex(self._documents(), pattern))
                except pa.ArrowInvalid as error:
                    raise InvalidArgument(
                        f"Regex syntax: the $regex pattern {pattern} cannot be used: {error}"
                    ) from None
            case IdOneOf(values):
                mask = np.zeros(self.rows, np.bool_)
                rows = self._locate(values)
                mask[rows[(rows >= 0) & (rows < self.rows)]] = True
                return mask
            case _:
                raise AssertionError(node)

    def _fold(self, children: tuple[Node, ...], join: Any, group: Callable[..., Node]) -> Mask:
        """One query for the children that metadata answers, or several if they are many; then the others."""
        out: Mask | None = None

        def fold(mask: Mask) -> None:
            nonlocal out  # one at a time: a thousand masks of a million rows would take a gigabyte
            out = mask.copy() if out is None else join(out, mask, out=out)

        waiting: list[Node] = []
        room = _ONE_QUERY
        for child in children:
            if not metadata_only(child) or size(child) > _ONE_QUERY:
                fold(self._evaluate(child))
                continue
            if size(child) > room:
                fold(self.table().mask(group(*waiting)))
                waiting, room = [], _ONE_QUERY
            waiting.append(child)
            room -= size(child)
        if waiting:
            fold(self.table().mask(group(*waiting)))
        assert out is not None
        return out


def _filled(matches: pa.Array) -> Mask:
    out: npt.NDArray[np.bool_] = pc.fill_null(matches, False).to_numpy(zero_copy_only=False)
    return out


class PartFilter(Protocol):
    """What can be asked of a segment's or a tail's filter."""

    nbytes: int

    def mask(self, node: Node, rows: int) -> Mask: ...
    def release(self) -> None: ...


class SegmentFilter:
    """A segment is one block."""

    def __init__(self, database: FilterDatabase, segment: Segment) -> None:
        self.source = segment
        self._block = Block(
            database,
            segment.rows,
            segment.attributes,
            lambda: segment.documents(0, segment.rows),
            lambda ids: segment.locate_ids(ids, hash_ids(ids)),
        )

    @property
    def nbytes(self) -> int:
        return self._block.nbytes

    def release(self) -> None:
        self._block.release()

    def mask(self, node: Node, rows: int) -> Mask:
        return self._block.mask(node)


class TailFilter:
    """A tail grows: blocks over what it had when asked, of doubling size, so that little is built twice."""

    def __init__(self, database: FilterDatabase, tail: Tail) -> None:
        self._database, self._tail = database, tail
        self.source = tail
        self._blocks: list[tuple[int, Block]] = []  # first row and block
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for _, block in self._blocks)

    def release(self) -> None:
        with self._lock:
            self._blocks = []

    def mask(self, node: Node, rows: int) -> Mask:
        with self._lock:
            self._cover(rows)
            blocks = [(start, block) for start, block in self._blocks if start < rows]
        masks = [block.mask(node)[: rows - start] for start, block in blocks]
        return np.concatenate(masks) if masks else np.zeros(0, np.bool_)

    def _cover(self, rows: int) -> None:
        end = self._blocks[-1][0] + self._blocks[-1][1].rows if self._blocks else 0
        if end >= rows:
            return
        start = end
        while self._blocks and self._blocks[-1][1].rows <= 2 * (rows - start):
            start = self._blocks.pop()[0]
        tail, stop = self._tail, rows
        self._blocks.append(
            (
                start,
                Block(
                    self._database,
                    stop - start,
                    lambda: attributes.build(stop - start, [tail.metadata(start, stop)]),
                    lambda: tail.documents(start, stop),
                    lambda ids: _in_block(tail, ids, start, stop),
                ),
            )
        )


def _in_block(tail: Tail, ids: tuple[str, ...], start: int, stop: int) -> Ints:
    # A row of the block may hold an older version of the id, which is dead; the texts tell them all.
    wanted = set(ids)
    names = tail.texts("id", np.arange(start, stop))
    return np.asarray([row for row, name in enumerate(names) if name in wanted], np.int64)


class Filters:
    """The filters of one collection's parts."""

    def __init__(self, database: FilterDatabase, budget: Budget, owner: str) -> None:
        self._database, self._budget, self._owner = database, budget, owner
        self._parts: dict[str, SegmentFilter | TailFilter] = {}
        self._allowed = _Memory()
        self._lock = threading.Lock()

    def part(self, source: Segment | Tail) -> SegmentFilter | TailFilter:
        with self._lock:
            held = self._parts.get(source.name)
            if held is None or held.source is not source:  # loaded anew, the same log gives another tail
                make: Any = TailFilter if isinstance(source, Tail) else SegmentFilter
                held = self._parts[source.name] = make(self._database, source)
            return held

    def allowed(self, view: View, node: Node) -> Allowed:
        """The living rows of a view that match."""
        key = (view.source.name, view.rows, node)
        held = self._allowed.get(key)
        if held is not None and held[0] is view.dead:
            answer: Allowed = held[1]
            return answer
        part = self.part(view.source)
        mask = part.mask(node, view.rows)
        self._budget.hold(f"filter {self._owner}/{view.source.name}", part.nbytes, part.release)
        answer = Allowed(mask if view.dead is None else mask & ~view.dead)
        self._allowed.drop(key)
        self._allowed.put(key, (view.dead, answer), 9 * view.rows)  # its mask and row numbers
        return answer

    def keep_only(self, snapshot: Snapshot) -> None:
        """Forget parts that are gone."""
        names = {view.source.name for view in snapshot.views}
        with self._lock:
            for name in [name for name in self._parts if name not in names]:
                del self._parts[name]
                self._budget.forget(f"filter {self._owner}/{name}")
            self._allowed = _Memory()

    def release(self) -> None:
        """Free what can be loaded again."""
        with self._lock:
            for name, part in self._parts.items():
                part.release()
                self._budget.forget(f"filter {self._owner}/{name}")
            self._allowed = _Memory()
