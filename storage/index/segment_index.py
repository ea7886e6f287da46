"""The file of an index of a segment, other than a graph: a header and named arrays.

Owns: the layout, which is the same for all kinds of indexes. Layout of `index-<12 hex digits>.idx`:

    magic "CHROMIDX" | version u32 | header length u32 | header, JSON | arrays, each aligned to 64 bytes

The header has `kind`, `key` and `settings`, as in the manifest, and `rows`, the number of rows of the
segment. `facts` are numbers and texts that the kind keeps with its arrays. `arrays` has the type, shape and
offset of each array; offsets count from the end of the header.

The checksum of the file is in the manifest, and is verified before anything else. A forged file can have a
correct checksum, so every offset is checked, too. The kind of the index checks what the arrays contain.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import xxhash

from ..interface.errors import Corruption
from ..io.checksummed_writer import Sink
from ..manifest import IndexRef
from ..validation.file_names import json_shown
from ..validation.json_fields import Fields, parsed

Array = npt.NDArray[Any]
VERSION = 1
_MAGIC = b"CHROMIDX"
_HEAD = struct.Struct("<8sII")
_ALIGNED = 64
_TYPES = frozenset({"|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8"})
_MOST_DIMENSIONS = 2
_MOST_SIZE = 1 << 40  # of a dimension, and of an offset; numpy makes even an empty array of this shape
_BLOCK = 16 << 20  # bytes written at once


class Content(NamedTuple):
    """What is in an index file.

    arrays  one or two dimensions each; arrays that were read from a file are views of it
    facts   whole numbers, floats, texts and lists of them
    """

    arrays: Mapping[str, Array]
    facts: Mapping[str, Any]


def write(sink: Sink, content: Content, *, kind: str, key: str, settings: str, rows: int) -> None:
    """Write an index file of a segment with this number of rows."""
    header: dict[str, Any] = {"kind": kind, "key": key, "settings": settings, "rows": rows}
    header |= {"facts": dict(content.facts), "arrays": {}}
    offset = 0
    for name, array in content.arrays.items():
        if array.dtype.str not in _TYPES or not 1 <= array.ndim <= _MOST_DIMENSIONS:
            raise TypeError(f"the array {name} is of type {array.dtype.str} and {array.ndim} dimensions")
        header["arrays"][name] = [array.dtype.str, list(array.shape), offset]
        offset += -(-array.nbytes // _ALIGNED) * _ALIGNED
    text = orjson.dumps(header)
    text += b" " * (-(_HEAD.size + len(text)) % _ALIGNED)
    sink.write(_HEAD.pack(_MAGIC, VERSION, len(text)) + text)
    for array in content.arrays.values():
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for start in range(0, len(data), _BLOCK):
            sink.write(data[start : start + _BLOCK])
        sink.write(bytes(-array.nbytes % _ALIGNED))


def read(path: str, data: memoryview, ref: IndexRef, rows: int) -> Content:
    """Read an index file. The arrays are views of `data`.

    Raises Corruption unless it matches its checksum and belongs to `ref` and to a segment with these rows.
    """
    if len(data) != ref.file.bytes or xxhash.xxh3_64_hexdigest(data) != ref.file.xxh3:
        raise Corruption(path, "its content does not match its checksum")
    if len(data) < _HEAD.size:
        raise Corruption(path, "it is too short")
    magic, version, length = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise Corruption(path, "it is not an index file", 0)
    if version != VERSION:
        raise Corruption(path, f"it has version {version} instead of {VERSION}", len(_MAGIC))
    if length > len(data) - _HEAD.size:
        raise Corruption(path, f"its header has {length} bytes, more than the file")
    start = _HEAD.size + length
    header = parsed(path, data[_HEAD.size : start], "its header:")
    _check_belongs(path, header, ref, rows)
    body = data[start:]
    arrays = {name: _array(path, name, entry, body) for name, entry in header.mapping("arrays").items()}
    return Content(arrays, header.mapping("facts"))


def _check_belongs(path: str, header: Fields, ref: IndexRef, rows: int) -> None:
    found = header.text("kind"), header.text("key"), header.text("settings"), header.number("rows")
    if found != (ref.kind, ref.key, ref.settings, rows):
        raise Corruption(path, "it is the index of something else")


def _array(path: str, name: str, entry: Any, body: memoryview) -> Array:
    """Return one array, after checking that it lies within the file."""
    if type(entry) is not list or len(entry) != 3:
        raise Corruption(path, f"its array {name} is {json_shown(entry)}, not a type, a shape and an offset")
    kind, shape, offset = entry
    if type(kind) is not str or kind not in _TYPES:
        raise Corruption(path, f"its array {name} is of the type {json_shown(kind)}")
    if type(shape) is not list or not 1 <= len(shape) <= _MOST_DIMENSIONS or not all(map(_is_size, shape)):
        raise Corruption(path, f"its array {name} has the shape {json_shown(shape)}")
    size, count = np.dtype(kind).itemsize, math.prod(shape)
    if not _is_size(offset) or offset % _ALIGNED or offset + count * size > len(body):
        raise Corruption(path, f"its array {name} does not lie within the file")
    if not count:  # numpy makes no view of an empty buffer
        return np.empty(shape, kind)
    return np.frombuffer(body, kind, count, offset).reshape(shape)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_SIZE
