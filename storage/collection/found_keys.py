"""The metadata keys that records of a collection have, with the types of their values.

Owns: the keys that were found in each segment and memtable, and the check whether a filter names only such
keys. Each part is searched only once. Records that were deleted count until their segment is rewritten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ..filters import unmatched
from ..filters.parser import Exists, Node
from ..interface.errors import Corruption
from ..interface.schema import ValueType
from ..interface.sparse_vector import SparseVector
from ..schema.metadata_columns import Kind, Slot
from ..schema.record_columns import decode_metadata
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
        self._of_segments: dict[str, Found] = {}
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
            for view in snapshot.views:
                source = view.source
                if isinstance(source, Segment):
                    continue
                start, found = self._of_logs.get(source.name, (0, set()))
                if start < view.rows:
                    found = found | _of_mappings(decode_metadata(source.metadata(start, view.rows)))
                logs[source.name] = max(start, view.rows), found
            self._of_logs = logs
            return segments.union(*(found for _, found in logs.values()))

    def _in_segments(self, snapshot: Snapshot) -> Found:
        segments: dict[str, Found] = {}
        for view in snapshot.views:
            source = view.source
            if isinstance(source, Segment):
                found = self._of_segments.get(source.name)
                segments[source.name] = set(source.slots()) if found is None else found
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
    if not any(view.deleted_rows for view in snapshot.views):
        return found
    there = {key for key in keys if has(Exists(key))}
    return {slot for slot in found if slot[0] in there}


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
