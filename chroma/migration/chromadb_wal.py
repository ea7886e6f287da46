"""Determines the entries of chromadb's log that its tables and its index do not contain yet.

The tables lag behind the log if nothing has read since the last write; the index lags by up to
`sync_threshold` writes. This module applies no entry. It returns the log entry that is valid for each
record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

ADD, UPDATE, UPSERT, DELETE = range(4)

Entry = tuple[int, int, str, bool]  # number, operation, id, whether it has a vector


@dataclass(slots=True)
class UnappliedRows:
    """removed: numbers of deleted rows; changed: entries that change a row; new: entries that add a row."""

    removed: set[int] = field(default_factory=set)
    changed: dict[int, list[int]] = field(default_factory=dict)
    new: dict[str, list[int]] = field(default_factory=dict)

    def follow(self, entries: Iterable[Entry], row_of: Callable[[str], int | None]) -> None:
        for number, operation, id, _ in entries:
            row = row_of(id)
            stored = row is not None and row not in self.removed
            if operation == DELETE:
                if stored and row is not None:
                    self.removed.add(row)
                    self.changed.pop(row, None)
                self.new.pop(id, None)
            elif id in self.new:
                if operation != ADD:
                    self.new[id].append(number)
            elif stored and row is not None:
                if operation != ADD:
                    self.changed.setdefault(row, []).append(number)
            elif operation != UPDATE:
                self.new[id] = [number]


def unapplied_vectors(entries: Iterable[Entry], indexed: Container[str]) -> dict[str, int]:
    """Return the log entry with the vector, for each id whose vector in the index is missing or outdated."""
    logged: dict[str, int | None] = {}
    for number, operation, id, has_vector in entries:
        stored = logged[id] is not None if id in logged else id in indexed
        if operation == DELETE:
            logged[id] = None
        elif has_vector and (operation == UPSERT or (operation == ADD) != stored):
            logged[id] = number
    return {id: number for id, number in logged.items() if number is not None}


def entries_of(database: sqlite3.Connection, topic: str, after: int) -> Iterable[Entry]:
    """Return the log entries of one collection in order. Needs the temporary table of `FolderSource`."""
    return (
        (number, operation, id, bool(has_vector))
        for number, operation, id, has_vector in database.execute(
            "SELECT q.seq_id, q.operation, q.id, q.vector IS NOT NULL FROM temp.log_of AS l "
            "CROSS JOIN embeddings_queue AS q ON q.seq_id = l.number "
            "WHERE l.topic = ? AND l.number > ? ORDER BY l.number",
            (topic, after),
        )
    )
