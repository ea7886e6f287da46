"""Divides CSV text into blocks of whole records, whatever the cells hold.

Owns the syntax of CSV: a cell is quoted if it begins with the quote, a quote within it is doubled, and LF, CR
LF or CR outside quoted cells ends a record. A quote inside a cell that is not quoted is a plain character.
Arrow then parses each block by itself, with the same syntax. Arrow cannot divide the text: if CR LF falls on
the border of two blocks, it loses the CR.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgumentError
from ..storage.interface.short_repr import shown
from ..wire.arrow_stream_decoder import BrokenStream

LONGEST = 256 << 20  # maximum bytes of a record
_LONGEST_HEADER = 4 << 20
_MOST_COLUMNS = 10_000  # Arrow allocates kilobytes per column before the first row
_LF, _CR = 10, 13
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The separator and the quote of a CSV file. An empty quote: there are no quoted cells."""

    separator: bytes
    quote: bytes


class Block(NamedTuple):
    """The records up to `end`, and the positions of the quotes with which quoted cells begin."""

    data: bytes
    end: int
    quoted: Positions

    def whole(self) -> memoryview:
        """Return the records."""
        return memoryview(self.data)[: self.end]


class Record(NamedTuple):
    """One record with its line end. Each cell is between two positions; quotes are part of it."""

    start: int
    end: int
    cells: list[tuple[int, int]]
    closed: bool  # False if the file ends within a quoted cell


def check_dialect(separator: Any, quoting: Any) -> None:
    """Raise InvalidArgumentError for a separator or quote that CSV cannot have."""
    for name, value, example in (("separator", separator, "';'"), ("quoting", quoting, "'\"'")):
        if value is None or (name == "quoting" and value == ""):
            continue
        if not isinstance(value, str) or len(value) != 1 or not value.isascii() or value in "\r\n\0":
            none = ", or '' if no cell is quoted" if name == "quoting" else ""
            raise InvalidArgumentError(
                f"Expected {name} to be one ASCII character as {example}{none}, got {shown(value)}"
            )
    if separator is not None and separator == quoting:
        raise InvalidArgumentError(f"separator and quoting are both {shown(separator)}")


def header(pieces: Iterator[bytes], dialect: Dialect) -> tuple[list[str], bytes]:
    """Return the names in the first record, and the bytes after it that were read. Raises BrokenStream."""
    data, whole = b"", False
    while True:
        piece = next(pieces, b"")
        whole = not piece
        data += piece
        if not whole:
            data = data.lstrip(b"\r\n")
        record = next(records(data, dialect), None)
        if record is not None and (whole or record.end < len(data)):
            break
        if whole:
            raise BrokenStream("it is empty: expected a line with the names of the columns")
        if len(data) > _LONGEST_HEADER:
            raise BrokenStream(f"its first line has more than {_LONGEST_HEADER:,} bytes")
    if not record.closed:
        raise BrokenStream("its first line has a quoted cell without an end")
    try:
        names = [cell_text(data[slice(*cell)], dialect) for cell in record.cells]
    except UnicodeDecodeError as error:
        raise BrokenStream(f"its first line is not UTF-8 ({byte_of(error)}): {ENCODING}") from None
    return names, data[record.end :]


ENCODING = "pass encoding='cp1252', or the encoding that it was written with"


def byte_of(error: UnicodeDecodeError) -> str:
    """Name the byte that is not of the encoding."""
    return f"byte 0x{error.object[error.start]:02x}"


def bytes_of(error: UnicodeDecodeError) -> str:
    """Describe bytes that are not UTF-8, with some bytes around them."""
    around = error.object[max(0, error.start - 20) : error.start + 20].decode("utf-8", "replace")
    return f"holds {byte_of(error)}, which is not UTF-8, in {shown(around)}"


def cell_text(cell: bytes, dialect: Dialect) -> str:
    """Return the text of a cell, without its quotes. Raises UnicodeDecodeError."""
    quote = dialect.quote
    if quote and cell.startswith(quote):
        inner, _, rest = cell[1:].replace(quote * 2, b"\0\0").partition(quote)
        cell = inner.replace(b"\0\0", quote) + rest
    return cell.decode()


def blocks(begin: bytes, pieces: Iterable[bytes], dialect: Dialect) -> Iterator[Block]:
    """Yield the records that follow `begin` in `pieces`, divided into blocks. The last may lack a line end.

    Raises BrokenStream for a record of more than LONGEST bytes.
    """
    waiting, size, need = [begin], len(begin), 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size < need:
            continue
        data = b"".join(waiting)
        end, quoted = _lexed(data, dialect)
        if end:
            yield Block(data, end, quoted[: int(np.searchsorted(quoted, end))])
            data, need = data[end:], 0
        else:
            need = min(
                2 * size, LONGEST + 1
            )  # so that a long record is not searched again for each piece of it
            if size > LONGEST:
                raise BrokenStream(
                    f"a record has more than {LONGEST:,} bytes: the quote of one of its cells may lack its "
                    "other half; quoting='' reads quotes as they are"
                )
        waiting, size = [data], len(data)
    data = b"".join(waiting)
    if data:
        yield Block(data, len(data), _lexed(data, dialect)[1])


_NONE: Positions = np.empty(0, np.int64)


def _lexed(data: bytes, dialect: Dialect) -> tuple[int, Positions]:
    """Return the end of the last whole record, and the positions of the quotes that begin a cell."""
    if not dialect.quote or dialect.quote not in data:
        return _last_end(data, _NONE), _NONE
    text = np.frombuffer(data, np.uint8)
    mark = dialect.quote[0]
    quotes = np.flatnonzero(text == mark)
    opening, closing = quotes[0::2], quotes[1::2]
    before = text[opening - 1]
    if opening[0] == 0:
        before[0] = _LF
    after = text[closing[closing < len(text) - 1] + 1]
    beside = _beside(dialect)
    if not (beside[before].all() and beside[after].all()):
        return _lexed_slowly(data, dialect)
    return _last_end(data, quotes), opening[before != mark]


@lru_cache
def _beside(dialect: Dialect) -> npt.NDArray[np.bool_]:
    """Return which bytes may stand beside a quoted cell. If all do, the quotes are paired in order."""
    found = np.zeros(256, np.bool_)
    found[[dialect.separator[0], dialect.quote[0], _LF, _CR]] = True
    return found


def _last_end(data: bytes, quotes: Positions) -> int:
    """Return the end of the last record if `quotes` are paired in order."""
    for line_end in (b"\n", b"\r"):
        stop = len(data) if line_end == b"\n" else len(data) - 1  # the last CR may be half of a CR LF
        while (at := data.rfind(line_end, 0, stop)) >= 0:
            before = int(np.searchsorted(quotes, at))
            if before % 2 == 0:
                return at + 1
            stop = int(quotes[before - 1])
    return 0


def _lexed_slowly(data: bytes, dialect: Dialect) -> tuple[int, Positions]:
    end, quoted = 0, []
    for record in records(data, dialect):
        if record.end == len(data) and not data.endswith(b"\n"):
            whole = False  # more bytes may follow
        else:
            whole = record.closed
        end = record.end if whole else end
        quoted += [start for start, stop in record.cells if data[start : start + 1] == dialect.quote]
    return end, np.asarray(quoted, np.int64)


def records(data: bytes, dialect: Dialect) -> Iterator[Record]:
    """Yield the records one by one. Much slower than `blocks`, for what Arrow refuses. No empty lines."""
    pattern, start, cells = _cell(dialect.separator, dialect.quote), 0, list[tuple[int, int]]()
    at = 0
    while at < len(data) or cells:
        found = pattern.match(data, at)
        assert found is not None  # the pattern matches the empty cell
        cells.append(found.span(1))
        at = found.end()
        if found[3] == dialect.separator:
            if len(cells) > _MOST_COLUMNS:
                raise BrokenStream(f"a line has more than {_MOST_COLUMNS:,} cells")
            continue
        if len(cells) > 1 or cells[0][0] < cells[0][1]:
            yield Record(start, at, cells, found[2] != b"")
        start, cells = at, []


@lru_cache
def _cell(separator: bytes, quote: bytes) -> re.Pattern[bytes]:
    """Return a pattern of any cell and what ends it. Group 2 is empty if the quote is not closed."""
    plain = rb"[^%s\r\n]*" % re.escape(separator)
    ends = rb"(%s|\r\n|\n|\r|\Z)" % re.escape(separator)
    if not quote:
        return re.compile(rb"(((?!))?%s)%s" % (plain, ends))
    mark = re.escape(quote)
    quoted = rb"(?:%s[^%s]*(?:%s%s[^%s]*)*(%s|\Z))?" % (mark, mark, mark, mark, mark, mark)
    return re.compile(rb"(%s%s)%s" % (quoted, plain, ends))
