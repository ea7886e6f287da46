"""The metadata keys that records of a collection have, with the types of their values.

Owns: what was found in each segment and memtable, so that each is looked through only once. Records that were
deleted count until their segment is rewritten.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from ..interface.errors import Corruption
from ..interface.schema import ValueType
from ..interface.sparse_vector import SparseVector
from ..schema.record_columns import decode_metadata
from ..segments.segment import Segment
from ..segments.snapshot import Snapshot

_TYPES: dict[str, ValueType] = {
    "str": "string", "int": "int", "float": "float", "bool": "bool", "sparse_vector": "sparse_vector"
}  # fmt: skip
_OF_VALUES: dict[type, ValueType] = {
    str: "string", int: "int", float: "float", bool: "bool", SparseVector: "sparse_vector"
}  # fmt: skip

Found = set[tuple[str, ValueType]]


class FoundKeys:
    """The keys of one collection. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_segments: dict[str, Found] = {}
        self._of_logs: dict[
            str, tuple[int, Found]
        ] = {}  # by log: the rows that were looked at, and their keys

    def among(self, snapshot: Snapshot) -> list[tuple[str, ValueType]]:
        """Return the keys of a snapshot with the types of their values, sorted. Lists count as items."""
        with self._lock:
            segments: dict[str, Found] = {}
            logs: dict[str, tuple[int, Found]] = {}
            for view in snapshot.views:
                source = view.source
                if isinstance(source, Segment):
                    known = self._of_segments.get(source.name)
                    segments[source.name] = _of_segment(source) if known is None else known
                    continue
                start, found = self._of_logs.get(source.name, (0, set()))
                if start < view.rows:
                    found = found | _of_mappings(decode_metadata(source.metadata(start, view.rows)))
                logs[source.name] = max(start, view.rows), found
            self._of_segments, self._of_logs = segments, logs
            return sorted(set().union(*segments.values(), *(found for _, found in logs.values())))


def _of_segment(segment: Segment) -> Found:
    return {(key, _TYPES[kind.removesuffix("[]")]) for key, kind in segment.slots()}


def _of_mappings(mappings: Iterable[Mapping[str, Any] | None]) -> Found:
    found: Found = set()
    for mapping in mappings:
        for key, value in (mapping or {}).items():
            try:
                found.add((key, _OF_VALUES[type(value[0] if isinstance(value, list) else value)]))
            except LookupError as error:  # never accepted on input
                raise Corruption(
                    "the metadata of a record", f"{key!r} has a value of no known type: {value!r}"
                ) from error
    return found
