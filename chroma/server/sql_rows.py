"""The result of an SQL statement as JSON, for pages in browsers, which read no Arrow."""

from __future__ import annotations

import io
import itertools
import math
from base64 import b64encode
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from ..wire import integer_texts
from ..wire.json_codec import JSON
from .http.request_body import TooLarge

_INT64 = 1 << 63
_EXACT_DIGITS = 15  # that a float64 keeps


class _Stream(io.RawIOBase):
    """The parts of a stream as a file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._left = parts, memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill the buffer with the next bytes. Return their number, 0 at the end."""
        if not self._left:
            self._left = memoryview(next(self._parts, b""))
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def as_json(parts: Any, most: int, largest: int, *, texts: bool) -> JSON:
    """At most `most` rows of a result, an Arrow stream whose parts are generated. Closes `parts`.

    largest  the most bytes of these rows; beyond that, TooLarge is raised
    texts    whether integers that JavaScript would round are texts
    """
    try:
        first = next(parts)  # raises the error of a statement that fails
        reader = pa.ipc.open_stream(io.BufferedReader(_Stream(itertools.chain([first], parts))))
        rows: list[list[Any]] = []
        truncated, size = False, 0
        for batch in reader:
            left = most - len(rows)
            truncated = batch.num_rows > left
            batch = batch.slice(0, left)
            size += batch.nbytes
            if size > largest:
                raise TooLarge(
                    f"the rows take more than --max-answer-bytes of the server, {largest:,}: select fewer "
                    "columns, or ask for fewer rows by max_rows"
                )
            rows += map(list, zip(*map(_values, batch.columns)))
            if truncated:
                break
    finally:
        parts.close()
    columns = [{"name": field.name, "type": str(field.type)} for field in reader.schema]
    found: Any = integer_texts.as_texts(rows) if texts else rows
    return {"columns": columns, "rows": found, "truncated": truncated}


def _values(column: pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind):
        column = column.cast(pa.string())  # Python's types have no nanoseconds
    elif pa.types.is_duration(kind):
        column = column.cast(pa.int64())
    return list(map(_plain, column.to_pylist()))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no such numbers
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else str(value)
    if isinstance(value, (bytes, bytearray)):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_plain, value))
    return str(value)  # UUIDs, times within lists


def _number(value: Decimal) -> int | float | str:
    """A decimal, such as a sum of integers, as a number if that says the same, else as text."""
    if value == value.to_integral_value():
        whole = int(value)
        return whole if -_INT64 <= whole < _INT64 else str(whole)
    return float(value) if len(value.as_tuple().digits) <= _EXACT_DIGITS else str(value)
