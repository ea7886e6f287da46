"""Read the cells of a text column from its Arrow buffers.

Owns: decoding cells to Python strings, and JSON cells to mappings. The caller provides the buffers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from ..interface import sparse_vector
from ..native import kernel
from ..validation.column_offsets import offsets_fit
from .ipc_file import Column

_MARK = sparse_vector.MARK.decode()
_FEW = 16  # rows whose size is found faster without numpy
_OBJECT_OR_NONE = frozenset({dict, type(None)})


def objects(joined: bytes | str, count: int) -> list[dict[str, Any] | None]:
    """Parse a JSON array of `count` objects and nulls.

    Raises ValueError for any other text, for example if one of the joined cells is not an object.
    """
    parsed: list[dict[str, Any] | None] = orjson.loads(joined)
    if len(parsed) != count or not _OBJECT_OR_NONE.issuperset(map(type, parsed)):
        raise ValueError("metadata is other than objects")
    if (sparse_vector.MARK if isinstance(joined, bytes) else _MARK) in joined:  # type: ignore[operator]
        sparse_vector.restore(parsed)
    return parsed


class Text:
    """A text column with `rows` rows. Cells are returned in the order of the request."""

    def __init__(self, column: Column, rows: int) -> None:
        validity, offsets, self._data = column.buffers
        # Memory views are twice as fast as numpy or Arrow for ten rows.
        self._offsets = offsets[: (8 if column.wide else 4) * (rows + 1)].cast("q" if column.wide else "i")
        self._validity = validity if column.nulls else None
        self._mappings = (
            False  # whether all cells are known to be mappings; the check takes a thirtieth of a read
        )
        if len(self._offsets) != rows + 1:
            raise ValueError(f"a text column has {len(self._offsets)} offsets for {rows} rows")

    @property
    def nbytes(self) -> int:
        """The size of all texts in bytes."""
        return len(self._data)

    def check(self) -> None:
        """Raise ValueError unless every text lies within the column's bytes. Later reads rely on this."""
        if not offsets_fit(self._offsets, len(self._data)):
            raise ValueError("a text column has offsets that do not fit its bytes")

    def buffers(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
        """Return the offsets of the texts and of their end, the bytes of all texts, and a mask of the rows
        that have one. The mask is None if all rows have one."""
        there = None
        if self._validity is not None:
            bits = np.frombuffer(self._validity, np.uint8)
            there = np.unpackbits(bits, count=len(self._offsets) - 1, bitorder="little").view(np.bool_)
        data = np.frombuffer(self._data, np.uint8) if len(self._data) else np.empty(0, np.uint8)
        return np.asarray(self._offsets), data, there

    def take(self, rows: npt.NDArray[Any]) -> list[str | None]:
        offsets, data, validity = self._offsets, self._data, self._validity
        if kernel.compiled is not None:
            found: list[str | None] = kernel.compiled.texts(offsets, data, validity, rows)
            return found
        picked = rows.tolist()
        out: list[str | None] = [str(data[offsets[row] : offsets[row + 1]], "utf-8") for row in picked]
        if validity is not None:
            out = [text if validity[row >> 3] >> (row & 7) & 1 else None for text, row in zip(out, picked)]
        return out

    def sizes(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the size in bytes of the text in each row, int64. A row without text has 0."""
        offsets = np.asarray(self._offsets)
        sizes: npt.NDArray[np.int64] = (offsets[rows + 1] - offsets[rows]).astype(np.int64)
        return sizes

    def size(self, rows: npt.NDArray[Any]) -> int:
        """Return the size in bytes of the texts in these rows together."""
        if len(rows) > _FEW:
            return int(self.sizes(rows).sum())
        offsets = self._offsets
        return sum([offsets[row + 1] - offsets[row] for row in rows.tolist()])

    def take_json(self, rows: npt.NDArray[Any]) -> list[dict[str, Any] | None]:
        """Parse JSON cells without making a Python string per cell. A null cell gives None."""
        offsets, data = self._offsets, self._data
        if kernel.compiled is not None:
            joined = kernel.compiled.json_array(offsets, data, rows)
        else:
            cells = [data[offsets[row] : offsets[row + 1]] or b"null" for row in rows.tolist()]
            joined = b"[%b]" % b",".join(cells)
        if self._mappings:
            known: list[dict[str, Any] | None] = orjson.loads(joined)
            if sparse_vector.MARK in joined:
                sparse_vector.restore(known)
            return known
        found = objects(joined, len(rows))
        self._mappings = len(rows) == len(offsets) - 1 and bool(np.all(np.diff(rows) > 0))
        return found
