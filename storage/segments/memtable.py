"""The records of one log that are not yet in a segment.

Owns: growing columns, and looking up their rows by id and position. Rows are only appended, so the table does
not change for a reader that keeps to its own row count. The snapshot keeps the tombstones.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrow.arrays import text_array
from ..arrow.lazy_pyarrow import pa
from ..interface.values import Floats
from ..schema.record_columns import TEXT_FIELDS, Columns, Ints, decode_metadata
from .segment import StoredRows, squared_norms


class Memtable:
    """The table. Appending needs the collection's lock; reading does not."""

    def __init__(self, log: str, dimension: int) -> None:
        self.name = log
        self.rows = 0
        self.nbytes = 0
        self.ordered = True  # whether positions ascend with the rows: no record was updated yet
        self.dimension = dimension
        self._texts: dict[str, list[str | None]] = {field: [] for field in TEXT_FIELDS}
        self._sizes = dict.fromkeys(TEXT_FIELDS, np.empty(0, np.int64))  # text lengths computed so far
        self._positions: Ints = np.empty(64, np.int64)
        self._vectors: Floats = np.empty((64, dimension), np.float32)
        self._norms: Floats = np.empty(64, np.float32)
        self._row_of_id: dict[str, int] = {}
        self._row_of_position: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"Memtable({self.name}, rows={self.rows})"

    def append(self, rows: Columns) -> None:
        start, end = self.rows, self.rows + len(rows)
        self._grow(end)
        self._positions[start:end] = rows.positions
        self._vectors[start:end] = rows.vectors
        self._norms[start:end] = squared_norms(rows.vectors)
        for field, values in zip(TEXT_FIELDS, rows.texts()):
            self._texts[field].extend(values)
        self._row_of_id.update(zip(rows.ids, range(start, end)))
        positions = rows.positions.tolist()
        self._row_of_position.update(zip(positions, range(start, end)))
        if self.ordered:
            last = int(self._positions[start - 1]) if start else -1
            self.ordered = all(map(operator.lt, [last, *positions], positions))
        self.nbytes += rows.vectors.nbytes
        self.rows = end

    def _grow(self, rows: int) -> None:
        if rows <= len(self._positions):
            return
        size = max(rows, 2 * len(self._positions))
        # Readers keep the old arrays, which contain all the rows that they read.
        for name in ("_positions", "_vectors", "_norms"):
            old = getattr(self, name)
            new = np.empty((size, *old.shape[1:]), old.dtype)
            new[: self.rows] = old[: self.rows]
            setattr(self, name, new)

    @property
    def positions(self) -> Ints:
        return self._positions

    @property
    def vectors(self) -> Floats:
        return self._vectors

    def vectors_to_read(self, rows: Ints) -> Floats:
        """Return `vectors`, which are in memory."""
        return self._vectors

    @property
    def norms(self) -> Floats:
        return self._norms

    def texts(self, field: str, rows: npt.NDArray[Any]) -> list[str | None]:
        column = self._texts[field]
        return [column[row] for row in rows.tolist()]

    def mappings(self, rows: npt.NDArray[Any]) -> list[dict[str, Any] | None]:
        """Decode the metadata of some rows."""
        return decode_metadata(self.texts("metadata", rows))

    def column(self, field: str, rows: npt.NDArray[Any], span: slice | None) -> pa.Array:
        """Return a text column of some rows as Arrow strings. `span` is `rows` as a slice, or None."""
        return text_array(self.texts(field, rows) if span is None else self._texts[field][span])

    def sizes(self, field: str, rows: Ints) -> Ints:
        """Return the number of characters of some rows in a text column, int64. A row without text has 0."""
        known, have = self._sizes[field], self.rows
        if len(known) < have:
            more = [len(text) if text else 0 for text in self._texts[field][len(known) : have]]
            known = self._sizes[field] = np.concatenate([known, np.array(more, np.int64)])
        found: Ints = known[rows]
        return found

    def size(self, field: str, rows: Ints) -> int:
        """Return the number of bytes of some rows in a text column together."""
        return int(self.sizes(field, rows).sum())

    def documents(self, start: int, stop: int) -> pa.Array:
        return text_array(self._texts["document"][start:stop])

    def metadata(self, start: int, stop: int) -> list[str | None]:
        return self._texts["metadata"][start:stop]

    def find(self, id: str) -> int:
        """Return the latest row with this id, even if it is deleted, or -1 if there is none."""
        return self._row_of_id.get(id, -1)

    def locate_ids(self, ids: Sequence[str]) -> Ints:
        """Return the latest row with each id, even if it is deleted, or -1 if there is none."""
        find = self._row_of_id.get
        return np.fromiter((find(id, -1) for id in ids), np.int64, len(ids))

    def locate_positions(self, positions: Ints) -> Ints:
        """Return the latest row with each position, or -1 if there is none."""
        find = self._row_of_position.get
        return np.fromiter((find(position, -1) for position in positions.tolist()), np.int64, len(positions))

    def stored(self, rows: Ints) -> StoredRows:
        """Copy the whole records of some rows."""
        ids, documents, uris, metadata = (self.texts(field, rows) for field in TEXT_FIELDS)
        names: Any = ids
        columns = Columns(
            positions=self._positions[rows],
            ids=names,
            documents=documents,
            uris=uris,
            metadata=metadata,
            vectors=self._vectors[rows],
        )
        return StoredRows.from_columns(columns)
