"""The file of a graph: its links and codes, but not the stored vectors.

Owns: the file's layout, and its conversion from and to `GraphData`. Layout of `graph-<n>.hnsw`:

    magic "CHROMHN3" | header length u32 | 0 u32 | header, JSON | arrays, each aligned to 64 bytes

The header has the numbers of GraphData, and the type, shape and offset of each array. The elements are in the
order of the segment's rows:

    codes   uint8    (rows, bytes of a code), see native/_graph.c; absent if neighbours would be lost
    counts  uint8    number of links of each row in the ground layer; uint16 if it may exceed 255
    links   uint8    target rows of these links, concatenated by row, with `link_bytes` bytes each
    levels  uint8    number of upper layers of each row
    upper   uint8    uint32 link lists in the upper layers, concatenated by row
    matrix  float16  (dimension, kept), present if vectors are projected
    sums    uint64   XXH64 of each block of stored vectors, present with codes

Older files can be read, too, and are searched by hnswlib until the graph is built again. Format 2 (magic
"CHROMHN2") has no codes, and `state`, the scalars of hnswlib's state. In format 1 (magic "CHROMHNS"),
`links` are the ground layer's link lists in hnswlib's form and in insertion order, and `labels` (uint32) has
the rows.

The file's checksum is in the manifest, and is verified before any of its data is used. A forged file can have
a correct checksum. So the shapes are checked here, and each link before it is followed.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson
import xxhash

from ..interface.errors import Corruption
from ..io.checksummed_writer import Sink
from ..manifest import MOST_NEIGHBORS, FileRef
from ..native import kernel
from ..validation.column_offsets import names_each
from ..validation.file_names import json_shown
from ..validation.json_fields import LARGEST, Fields, parsed
from ..vectors.distance import Space
from ..vectors.pca import Projection
from . import hnsw
from .graph import Array, Graph, GraphData, StoredVectors, link_bytes
from .graph_validation import check_lists
from .native_graph import NativeGraph

_MAGIC, _MAGIC_2, _MAGIC_1 = b"CHROMHN3", b"CHROMHN2", b"CHROMHNS"
_HEAD = struct.Struct("<8sII")
_ANOTHER = "it does not belong to these vectors or to this version of hnswlib"
_MOST_EF = (1 << 31) - 1
_MOST_HEADER = 4096  # bytes
_UNREADABLE = (ValueError, TypeError, LookupError, OverflowError, RuntimeError, struct.error)


class Loaded(NamedTuple):
    """A graph from a file. `current`: whether a graph that is built now would be of the same kind."""

    graph: Graph
    current: bool


def write(data: GraphData, sink: Sink) -> None:
    """Write the file of a graph."""
    arrays: dict[str, Array] = {} if data.codes is None else {"codes": data.codes}
    arrays |= {
        "counts": data.counts,
        "links": data.links,
        "levels": data.levels,
        "upper": np.ascontiguousarray(data.upper).view(np.uint8).reshape(-1),
    }
    if data.sums is not None:
        arrays["sums"] = data.sums
    projection = data.projection
    if projection is not None:
        arrays["matrix"] = projection.matrix.astype(np.float16)
    header: dict[str, Any] = {
        "rows": data.rows,
        "space": data.space,
        "neighbors": data.neighbors,
        "ef_construction": data.ef_construction,
        "entry": data.entry,
        "link_bytes": link_bytes(data.rows),
        "block_rows": data.block_rows,
        "measured": int(data.measured),
        "floor": None if projection is None else projection.floor,
        "arrays": {},
    }
    offset = 0
    for name, array in arrays.items():
        header["arrays"][name] = [array.dtype.str, list(array.shape), offset]
        offset += -(-array.nbytes // 64) * 64
    text = orjson.dumps(header, option=orjson.OPT_SERIALIZE_NUMPY)
    text += b" " * (-(_HEAD.size + len(text)) % 64)
    sink.write(_HEAD.pack(_MAGIC, len(text), 0) + text)
    for array in arrays.values():
        sink.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        sink.write(bytes(-array.nbytes % 64))


def load(
    path: str,
    content: memoryview,
    file: FileRef,
    *,
    space: Space,
    vectors: StoredVectors,
    stopped: Callable[[], bool] = lambda: False,
    passed: Callable[[], None] = lambda: None,
    reserve: Callable[[int], bool] = lambda size: True,
) -> Loaded | None:
    """Open a graph in a mapped file. Raises Corruption if the file does not match the segment's vectors.

    stopped, passed, reserve  see hnsw.opened; a graph of codes does not need them
    """
    _verify(path, content, file)
    try:
        data = _read(path, content, space, (vectors.rows, vectors.dimension))
        if data.codes is not None and kernel.graph is not None:
            return Loaded(NativeGraph(data, vectors.dimension, mapped=True), True)
        if not hnsw.available():
            return None
        graph = hnsw.opened(data, vectors.read(), stopped=stopped, passed=passed, reserve=reserve)
        return None if graph is None else Loaded(graph, data.measured or kernel.graph is None)
    except _UNREADABLE as error:
        raise Corruption(path, f"it cannot be read as a graph: {error}") from error


def read(
    path: str, content: memoryview, file: FileRef, *, space: Space, rows: int, dimension: int
) -> GraphData:
    """Read a graph in a mapped file, without its segment. Raises Corruption if the file is damaged.

    rows, dimension  of the vectors that it is for
    """
    _verify(path, content, file)
    try:
        return _read(path, content, space, (rows, dimension))
    except _UNREADABLE as error:
        raise Corruption(path, f"it cannot be read as a graph: {error}") from error


def _verify(path: str, content: memoryview, file: FileRef) -> None:
    if xxhash.xxh3_64_hexdigest(content) != file.xxh3:
        raise Corruption(path, "its content does not match its checksum")


def opens_at_once(content: memoryview) -> bool:
    """Whether a file says that it has codes, which can be searched where they are."""
    if kernel.graph is None or len(content) < _HEAD.size:
        return False
    magic, length, _ = _HEAD.unpack_from(content)
    return magic == _MAGIC and b'"codes"' in bytes(
        content[_HEAD.size : _HEAD.size + min(length, _MOST_HEADER)]
    )


def _read(path: str, content: memoryview, space: Space, shape: tuple[int, int]) -> GraphData:
    header, arrays, version = _parse(path, content)
    rows, dimension = shape
    numbers = header if version == 3 else header.fields("state")
    neighbors = numbers.number("neighbors" if version == 3 else "M", 2, MOST_NEIGHBORS)
    entry = numbers.number("entry" if version == 3 else "enterpoint_node")
    levels = arrays["levels"]
    if header.number("rows") != rows or len(levels) != rows or header.text("space") != space or entry >= rows:
        raise Corruption(path, _ANOTHER)
    if version == 1:
        counts, links = _first_links(arrays, rows, neighbors)
        order = np.argsort(arrays["labels"])
        upper = _reordered(arrays["upper"].view(np.uint8), levels, order, neighbors)
        levels = levels[order]
    else:
        counts, links = _links(header, arrays, rows, neighbors)
        upper = arrays["upper"].view(np.uint8)
    lists = int(levels.sum(dtype=np.int64))
    if upper.nbytes != lists * 4 * (neighbors + 1):
        raise ValueError(f"it has {upper.nbytes} bytes of upper layers for {lists} lists of links")
    return GraphData(
        space=space,
        rows=rows,
        neighbors=neighbors,
        ef_construction=numbers.number("ef_construction", 1, _MOST_EF),
        entry=entry,
        counts=counts,
        links=links,
        levels=levels,
        upper=upper.view(np.uint32).reshape(-1, neighbors + 1),
        projection=_projection(header, arrays, dimension),
        codes=arrays.get("codes"),
        sums=arrays.get("sums"),
        block_rows=header.number("block_rows", 1) if version == 3 else 1,
        measured=version == 3 and header.number("measured", 0, 1) == 1,
    )


def _projection(header: Fields, arrays: Mapping[str, Array], dimension: int) -> Projection | None:
    matrix = arrays.get("matrix")
    if matrix is None:
        return None
    height, kept = matrix.shape
    if height != dimension or not (np.isfinite(matrix).all() and 0 < kept <= dimension):
        raise ValueError(f"it reduces {height} numbers to {kept}, or by what is no number")
    return Projection(np.ascontiguousarray(matrix.astype(np.float32)), header.real("floor", -1, 1))


def _links(header: Fields, arrays: Mapping[str, Array], rows: int, neighbors: int) -> tuple[Array, Array]:
    """Return the number of links of each row, and their targets, which are not checked."""
    counts, links, size = arrays["counts"], arrays["links"].view(np.uint8), link_bytes(rows)
    if (
        len(counts) != rows
        or header.number("link_bytes") != size
        or int(counts.max()) > 2 * neighbors
        or links.shape != (size * int(counts.sum(dtype=np.int64)),)
    ):
        raise ValueError("it has other links than it says")
    return counts, links


def _first_links(arrays: Mapping[str, Array], rows: int, neighbors: int) -> tuple[Array, Array]:
    """Convert the links of format 1."""
    labels, width = arrays["labels"], 2 * neighbors + 1
    if len(labels) != rows or arrays["links"].shape != (rows, 4 * width):
        raise ValueError("it has other links than it says")
    if not names_each(labels):
        raise ValueError("its labels do not name each row once")
    lists = np.ascontiguousarray(arrays["links"]).view(np.uint32)[np.argsort(labels)]
    check_lists(lists, rows)
    counts = lists[:, 0].astype(np.uint8 if width <= 256 else np.uint16)
    targets = lists[:, 1:][np.arange(width - 1) < lists[:, :1]]
    links = targets.view(np.uint8).reshape(-1, 4)[:, : link_bytes(rows)]
    return counts, np.ascontiguousarray(links).reshape(-1)


def _reordered(upper: Array, levels: Array, order: Array, neighbors: int) -> Array:
    """Put the upper link lists of format 1, which are in the order of insertion, in the order of rows."""
    lists = upper.reshape(-1, 4 * (neighbors + 1))
    starts = np.cumsum(levels, dtype=np.int64) - levels
    picked = [np.arange(starts[each], starts[each] + levels[each]) for each in order[levels[order] > 0]]
    return lists[np.concatenate(picked)].reshape(-1) if picked else upper


# The allowed types of each array, and its number of dimensions (None: any).
_ARRAYS = {
    "codes": (("|u1",), 2),
    "counts": (("|u1", "<u2"), 1),
    "links": (("|u1", "|i1"), None),
    "labels": (("<u4",), 1),
    "levels": (("|u1",), 1),
    "upper": (("|u1", "|i1"), 1),
    "matrix": (("<f2",), 2),
    "sums": (("<u8",), 1),
}


def _parse(path: str, data: memoryview) -> tuple[Fields, dict[str, Array], int]:
    if len(data) < _HEAD.size:
        raise Corruption(path, "it is too short")
    magic, length, _ = _HEAD.unpack_from(data)
    if magic not in (_MAGIC, _MAGIC_2, _MAGIC_1):
        raise Corruption(path, "it is not an index file", 0)
    version = {_MAGIC: 3, _MAGIC_2: 2, _MAGIC_1: 1}[magic]
    start = _HEAD.size + length
    header = parsed(path, data[_HEAD.size : start], "its header:")
    arrays = {}
    for name, (kind, shape, offset) in header.mapping("arrays").items():
        kinds, dimensions = _ARRAYS[name]
        if (
            kind not in kinds
            or len(shape) != (dimensions or len(shape))
            or not all(map(_is_size, [*shape, offset]))
        ):
            raise ValueError(f"its array {name} is of type {json_shown(kind)}, or of no shape")
        count = math.prod(shape)
        arrays[name] = np.frombuffer(data, np.dtype(kind), count, start + offset).reshape(shape)
    if ("labels" in arrays) != (version == 1) or ("codes" in arrays and version != 3):
        raise ValueError("it has the arrays of another format")
    return header, arrays, version


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST
