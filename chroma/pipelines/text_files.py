"""Opens CSV files and JSON lines as UTF-8, whatever their compression and encoding.

The first bytes of a file tell its compression, so that a gzip file called .csv is read too. A byte order
mark tells UTF-8, UTF-16 and UTF-32; every other encoding is named by the caller and is never guessed.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..wire.arrow_stream_decoder import BrokenStream

PIECE = 1 << 20  # bytes read at a time
_LONGEST_MAGIC = 6
_COMPRESSIONS = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
_OTHERS = (
    (b"PAR1", "a Parquet file: pass format='parquet'"),
    (b"ARROW1", "an Arrow file: pass format='arrow'"),
    (b"PK\x03\x04", "a zip archive, as spreadsheets are: unpack it, or save the sheet as CSV"),
    (b"\xfd7zXZ\x00", "compressed with xz: unpack it, or pack it with gzip, bz2, zstd or lz4"),
    (b"\x1f\x9d", "compressed with compress: unpack it, or pack it with gzip, bz2, zstd or lz4"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UTF8 = codecs.lookup("utf-8").name


def check_encoding(encoding: Any) -> str | None:
    """Return the name of an encoding as Python's codecs spell it."""
    if encoding is None:
        return None
    if not isinstance(encoding, str):
        raise InvalidTypeError(f"Expected encoding to be a name as 'cp1252', got {shown(encoding)}")
    try:
        "a".encode(encoding)  # unlike `lookup`, refuses codecs from bytes to bytes
        return codecs.lookup(encoding).name
    except (LookupError, ValueError, UnicodeError):
        raise InvalidArgumentError(
            f"there is no encoding {shown(encoding)}: expected one of Python's, as 'cp1252', 'latin-1' or "
            "'utf-16'"
        ) from None


def pieces(stream: Any, encoding: str | None) -> Iterator[bytes]:
    """Yield the content of an unpacked file as UTF-8, without a byte order mark.

    Bytes that are wrong in the given encoding are passed on unchanged, so that an error can name their
    record. Raises BrokenStream and UnicodeDecodeError.
    """
    first = _piece(stream)
    found = next((name for mark, name in _MARKS if first.startswith(mark)), None)
    encoding = encoding or found or _of_zeros(first) or _UTF8
    if encoding in (_UTF8, "utf-8-sig"):
        first = first.removeprefix(codecs.BOM_UTF8)
        while first:
            yield first
            first = _piece(stream)
        return
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    start = True
    while first:
        following = _piece(stream)
        text = decoder.decode(first, not following)
        text = text.removeprefix("\ufeff") if start and text else text
        start = start and not text
        yield text.encode("utf-8", "surrogateescape")
        first = following


def _piece(stream: Any) -> bytes:
    return stream.read_buffer(PIECE).to_pybytes()  # type: ignore[no-any-return]  # `read` leaks memory on errors


def unpacked(source: Any) -> Any:
    """Return a file, or its decompressed content. Raises BrokenStream for what is no text even then."""
    head = source.read(_LONGEST_MAGIC)
    source.seek(0)
    for magic, name in _COMPRESSIONS:
        if head.startswith(magic):
            return pa.CompressedInputStream(source, name)
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise BrokenStream(f"it is {what}")
    return source


def kind_of(head: bytes) -> str | None:
    """Return the type of a file by its first bytes, with a remedy. None if it is unknown."""
    for magic, name in _COMPRESSIONS:
        if head.startswith(magic):
            return f"it is compressed with {name}: unpack it"
    for magic, what in _OTHERS:
        if head.startswith(magic):
            return f"it is {what}"
    text = head.decode("utf-8", "ignore")
    if text and all(letter.isprintable() or letter.isspace() for letter in text):
        return f"it begins with the text {shown(text, 40)}: pass format='csv' or 'jsonl' if it is that"
    return None


def _of_zeros(first: bytes) -> str | None:
    """Raise BrokenStream for what seems to be UTF-16 without a byte order mark: every other byte is zero."""
    head = first[:1000]
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        other, zeros = head[1 - offset :: 2].count(0), head[offset::2].count(0)
        if len(head) > 3 and zeros > len(head) // 4 and not other:
            raise BrokenStream(f"it seems to be UTF-16 without a byte order mark: pass encoding='{name}'")
    return None
