"""The metadata keys that records of a collection have, with the types of their values.

Owns: the keys that were found in each segment and memtable, and the check whether a filter names only such
keys. Each part is searched only once. Records that were deleted count until their segment is rewritten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from ..filters import unmatched
from ..filters.parser import Exists, Node
from ..interface.errors import Corruption
from ..interface.schema import ValueType
from ..interface.sparse_vector import SparseVector
from ..schema.metadata_columns import Kind, Slot
from ..schema.record_columns import decode_metadata
from ..segments.memtable import Memtable
from ..segments.patched_segment import PatchedSegment, PatchTable, overlays
from ..segments.segment import Segment
from ..segments.snapshot import Snapshot

_TYPES: dict[str, ValueType] = {
    "str": "string", "int": "int", "float": "float", "bool": "bool", "sparse_vector": "sparse_vector"
}  # fmt: skip
_OF_VALUES: dict[type, Kind] = {
    str: "str", int: "int", float: "float", bool: "bool", SparseVector: "sparse_vector"
}  # fmt: skip
_OF_LISTS: dict[type, Kind] = {str: "str[]", int: "int[]", float: "float[]", bool: "bool[]"}

Found = set[Slot]


class FoundKeys:
    """The keys of one collection. Thread-safe.

    known  slots that records have, for a quick check of filters. It may lack some, and is forgotten when
           records are replaced or deleted
    """

    def __init__(self) -> None:
        self.known: unmatched.Known = frozenset()
        self._lock = threading.Lock()
        self._of_segments: dict[tuple[str, str], Found] = {}  # by name and content
        self._of_logs: dict[
            str, tuple[int, Found]
        ] = {}  # by log: the rows that were looked at, and their keys

    def among(self, snapshot: Snapshot) -> list[tuple[str, ValueType]]:
        """Return the keys of a snapshot with the types of their values, sorted. Lists count as items."""
        return sorted({(key, _TYPES[kind.removesuffix("[]")]) for key, kind in self.slots(snapshot)})

    def slots(self, snapshot: Snapshot) -> Found:
        """Return the keys of a snapshot with the types of their values."""
        with self._lock:
            segments = self._in_segments(snapshot)
            logs: dict[str, tuple[int, Found]] = {}
            for source, rows in _growing(snapshot):
                start, found = self._of_logs.get(source.name, (0, set()))
                if start < rows:
                    found = found | _of_mappings(decode_metadata(source.metadata(start, rows)))
                logs[source.name] = max(start, rows), found
            self._of_logs = logs
            return segments.union(*(found for _, found in logs.values()))

    def _in_segments(self, snapshot: Snapshot) -> Found:
        segments: dict[tuple[str, str], Found] = {}
        for view in snapshot.views:
            source = view.source
            if isinstance(source, Segment):
                key = source.name, source.content
                found = self._of_segments.get(key)
                segments[key] = set(source.base.slots()) if found is None else found
        self._of_segments = segments
        return set().union(*segments.values())

    def covers(self, node: Node, snapshot: Snapshot, has: Callable[[Node], bool]) -> bool:
        """Whether each condition of a filter concerns a key and a type that some record has.

        has  whether a record that is left matches a filter

        Memtables, whose rows have to be decoded, are looked at only if segments do not have all of them.
        """
        keys, dates = unmatched.keys_of(node), unmatched.with_dates(node, has)
        with self._lock:
            found = self._in_segments(snapshot)
        if self._learn(node, left(found, keys, snapshot, has), dates):
            return True
        return self._learn(node, left(self.slots(snapshot), keys, snapshot, has), dates)

    def _learn(self, node: Node, found: Found, dates: unmatched.Known) -> bool:
        """Whether `found` and `dates` cover the filter. Slots that were known before do not count, because
        another thread may have removed them."""
        now = unmatched.known(found) | dates
        self.known |= now
        return unmatched.covered(node, now)

    def forget_known(self) -> None:
        """Look again before the next filter: the last value of a key may be gone."""
        self.known = frozenset()


def left(found: Found, keys: Collection[str], snapshot: Snapshot, has: Callable[[Node], bool]) -> Found:
    """Return the slots without those of `keys` that only deleted and replaced records had.

    Of a snapshot with such records, only the slots of `keys` are known to be left, so no others are learnt.
    """
    if not any(view.deleted_rows or isinstance(view.source, PatchedSegment) for view in snapshot.views):
        return found
    there = {key for key in keys if has(Exists(key))}
    return {slot for slot in found if slot[0] in there}


def _growing(snapshot: Snapshot) -> Iterator[tuple[Memtable | PatchTable, int]]:
    """Yield the memtables and the tables of patches of a snapshot, and how many rows it has of each."""
    for view in snapshot.views:
        if not isinstance(view.source, Segment):
            yield view.source, view.rows
    for overlay in overlays(view.source for view in snapshot.views):
        if "metadata" in overlay.fields:
            yield overlay.table, overlay.count


def _of_mappings(mappings: Iterable[Mapping[str, Any] | None]) -> Found:
    found: Found = set()
    for mapping in mappings:
        for key, value in (mapping or {}).items():
            try:
                kind = _OF_LISTS[type(value[0])] if isinstance(value, list) else _OF_VALUES[type(value)]
            except LookupError as error:  # never accepted on input
                raise Corruption(
                    "the metadata of a record", f"{key!r} has a value of no known type: {value!r}"
                ) from error
            found.add((key, kind))
    return found
