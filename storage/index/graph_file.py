"""The file of a graph, which contains links but no vectors.

Owns: the file's layout, and the conversion between it and hnswlib's state. hnswlib's own file repeats every
vector. Its pickled state contains the ground layer as rows of [links | vector | label]. This file contains
only the links, and loading inserts the segment's vectors again. Layout of `graph-<n>.hnsw`:

    magic "CHROMHN2" | header length u32 | 0 u32 | header, JSON | arrays, each aligned to 64 bytes

The header has the scalar state, with the dimension of the projected vectors, and the type, shape and offset
of each array. The elements are in the order of the segment's rows:

    counts  uint8    number of links of each row in the ground layer; uint16 if it may exceed 255
    links   uint8    target rows of these links, concatenated by row, with `link_bytes` bytes each
    levels  uint8    number of upper layers of each row
    upper   uint8    hnswlib's link lists in the upper layers, concatenated by row
    matrix  float16  (dimension, kept), present if vectors are projected

Files of format 1 (magic "CHROMHNS") can be read too. Their `links` are the ground layer's link lists in
hnswlib's form and in insertion order, and `labels` (uint32) has the rows.

The file's checksum is in the manifest, and is verified before any data is passed to native code. A forged
file can have a correct checksum. So the scalar state is computed, and every link is checked
(graph_validation.py).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import xxhash

from ..interface.errors import Corruption
from ..interface.values import Floats
from ..io.checksummed_writer import Sink
from ..manifest import MOST_NEIGHBORS, FileRef
from ..validation.column_offsets import names_each
from ..validation.file_names import json_shown
from ..validation.json_fields import LARGEST, Fields, parsed
from ..vectors.distance import Space, normalised
from ..vectors.pca import Projection
from . import graph_validation
from .hnsw import Graph, nbytes

Array = npt.NDArray[Any]
_MAGIC, _MAGIC_1 = b"CHROMHN2", b"CHROMHNS"
_HEAD = struct.Struct("<8sII")
_ANOTHER = "it does not belong to these vectors or to this version of hnswlib"
_BLOCK = 512
_STAYING = 16 << 20  # bytes of vectors that are read between two calls of `passed`


def write(graph: Graph, sink: Sink) -> None:
    """Write the file of a graph."""
    state = graph.state()
    rows, width = graph.rows, state["size_data_per_element"]
    ground = state.pop("data_level0").reshape(-1, width)[:rows]
    row_of = np.empty(rows, np.uint32)  # maps an element to its row
    row_of[:] = ground[:, state["label_offset"] :].copy().view(np.uint64).reshape(-1)
    order = np.argsort(row_of)
    counts, links = _packed(ground, state["offset_data"] // 4, order, row_of)
    del ground
    levels = state.pop("element_levels")[:rows]
    arrays: dict[str, Array] = {
        "counts": counts,
        "links": links,
        "levels": levels[order].astype(np.uint8),
        "upper": _moved_lists(state.pop("link_lists"), levels, order, row_of),
    }
    if graph.projection is not None:
        arrays["matrix"] = graph.projection.matrix.astype(np.float16)
    state["enterpoint_node"] = int(row_of[state["enterpoint_node"]])
    scalars = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
    header: dict[str, Any] = {
        "state": scalars,
        "rows": rows,
        "space": graph.space,
        "link_bytes": _link_bytes(rows),
        "floor": graph.projection.floor if graph.projection is not None else None,
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
        sink.write(array.tobytes())
        sink.write(bytes(-array.nbytes % 64))


def _link_bytes(rows: int) -> int:
    """Return how many bytes a row number takes."""
    return max(1, (max(rows - 1, 1).bit_length() + 7) // 8)


def _packed(ground: Array, width: int, order: Array, row_of: Array) -> tuple[Array, Array]:
    """Return the number of links of each row, and their target rows. Works in blocks of rows."""
    size = _link_bytes(len(order))
    counts, links = [], []
    for start in range(0, len(order), _BLOCK):
        lists = ground[order[start : start + _BLOCK], : 4 * width].view(np.uint32)
        count = lists[:, 0] & 0xFFFF
        used = lists[:, 1:][np.arange(width - 1) < count[:, None]]
        counts.append(count.astype(np.uint8 if width <= 256 else np.uint16))
        links.append(row_of[used].view(np.uint8).reshape(-1, 4)[:, :size].reshape(-1))
    return np.concatenate(counts), np.concatenate(links)


def _moved_lists(lists: Array, levels: Array, order: Array, row_of: Array) -> Array:
    """Reorder the link lists of the upper layers by row, and translate their targets to rows."""
    high = np.flatnonzero(levels)
    if not len(high):
        return lists.view(np.uint8)
    lists = lists.view(np.uint32).reshape(int(levels.sum()), -1)
    used = np.arange(lists.shape[1] - 1) < (lists[:, :1] & 0xFFFF)
    moved = lists.copy()
    moved[:, 1:][used] = row_of[lists[:, 1:][used]]
    starts = np.cumsum(levels) - levels
    kept = order[levels[order] > 0]
    picked = np.concatenate([np.arange(starts[each], starts[each] + levels[each]) for each in kept.tolist()])
    out: Array = moved[picked].view(np.uint8).reshape(-1)
    return out


def read(
    path: str,
    data: memoryview,
    file: FileRef,
    *,
    space: Space,
    vectors: Floats,
    stopped: Callable[[], bool] = lambda: False,
    passed: Callable[[], None] = lambda: None,
    reserve: Callable[[int], bool] = lambda size: True,
) -> Graph | None:
    """Load a graph from its file and the segment's vectors. Raises Corruption if they do not match.

    stopped  polled while loading; once it returns True, the result is None
    passed   called when the pages of the vectors read so far may be evicted
    reserve  called with the bytes that loading takes, before they are allocated; if it returns False, the
             result is None
    """
    if xxhash.xxh3_64_hexdigest(data) != file.xxh3:
        raise Corruption(path, "its content does not match its checksum")
    try:
        return _loaded(path, data, space, vectors=vectors, stopped=stopped, passed=passed, reserve=reserve)
    except (ValueError, TypeError, LookupError, OverflowError, RuntimeError, struct.error) as error:
        raise Corruption(path, f"it cannot be read as a graph: {error}") from error


def _loaded(
    path: str,
    data: memoryview,
    space: Space,
    *,
    vectors: Floats,
    stopped: Callable[[], bool],
    passed: Callable[[], None],
    reserve: Callable[[int], bool],
) -> Graph | None:
    header, arrays = _parse(path, data)
    given = header.fields("state")
    rows, dimension = vectors.shape
    matrix = arrays.get("matrix")
    kept = dimension if matrix is None else matrix.shape[1]
    levels, upper = arrays["levels"], arrays["upper"].view(np.uint8)
    labels: Array = arrays.get("labels", np.arange(rows, dtype=np.uint32))
    if (
        header.number("rows") != rows
        or not len(levels) == len(labels) == rows
        or header.text("space") != space
    ):
        raise Corruption(path, _ANOTHER)
    neighbors, entry = given.number("M", 2, MOST_NEIGHBORS), given.number("enterpoint_node")
    ef_construction, top = given.number("ef_construction", neighbors, (1 << 31) - 1), int(levels.max())
    state = graph_validation.scalars(
        space, rows, kept, neighbors=neighbors, ef_construction=ef_construction, entry=entry, top=top
    )
    if not graph_validation.same(state, header.mapping("state")) or (
        matrix is not None and len(matrix) != dimension
    ):
        raise Corruption(path, _ANOTHER)
    block = state["offset_data"]
    if "labels" in arrays and not names_each(labels):
        raise ValueError("its labels do not name each row once")
    graph_validation.check_entry(levels, entry)
    graph_validation.check_upper(upper, levels, neighbors)
    _check_links(header, arrays, rows, block)
    projection = None
    if matrix is not None:
        if not (np.isfinite(matrix).all() and 0 < kept <= dimension):
            raise ValueError(f"it reduces {dimension} numbers to {kept}, or by what is no number")
        projection = Projection(matrix.astype(np.float32), header.real("floor", -1, 1))
    if not reserve(2 * nbytes(rows, kept, neighbors)):  # hnswlib copies the state that it is given
        return None
    ground = np.empty((rows, int(state["size_data_per_element"])), np.int8)
    ground[:, block + 4 * kept :] = labels.astype(np.uint64).view(np.int8).reshape(rows, 8)
    _put_links(ground[:, :block], rows, arrays)
    read_bytes = 0
    for start in range(0, rows, _BLOCK):
        if stopped():
            return None
        part = (
            vectors[labels[start : start + _BLOCK]] if "labels" in arrays else vectors[start : start + _BLOCK]
        )
        part = normalised(part) if space == "cosine" else part
        part = part if projection is None else projection.apply(part)
        ground[start : start + _BLOCK, block : block + 4 * kept] = part.view(np.int8)
        read_bytes += 4 * dimension * len(part)
        if read_bytes >= _STAYING:
            passed()
            read_bytes = 0
    passed()
    state |= {
        "data_level0": ground.reshape(-1),
        "link_lists": upper.view(np.int8),
        "element_levels": levels.astype(np.int32),
        "label_lookup_external": labels.astype(np.uint64),
        "label_lookup_internal": np.arange(rows, dtype=np.uint32),
    }
    return Graph.from_state(space, state, rows, projection)


def _check_links(header: Fields, arrays: Mapping[str, Array], rows: int, block: int) -> None:
    """Raise ValueError if the ground layer has another number of links than stated.

    `_put_links` checks the targets of the links.
    """
    links = arrays["links"]
    if "labels" in arrays:
        fits = links.shape == (rows, block)
    else:
        counts, size = arrays["counts"], _link_bytes(rows)
        fits = (
            len(counts) == rows
            and header.number("link_bytes") == size
            and int(counts.max()) < block // 4
            and links.shape == (size * int(counts.sum(dtype=np.int64)),)
        )
    if not fits:
        raise ValueError("it has other links than it says")


def _put_links(ground: Array, rows: int, arrays: Mapping[str, Array]) -> None:
    """Write the ground layer's link lists into `ground`, in hnswlib's form."""
    if "labels" in arrays:
        for start in range(0, rows, _BLOCK):
            lists = np.ascontiguousarray(arrays["links"][start : start + _BLOCK])
            graph_validation.check_ground(lists.view(np.uint32), rows)
            ground[start : start + _BLOCK] = lists.view(np.int8)
        return
    counts, size = arrays["counts"], _link_bytes(rows)
    packed = arrays["links"].reshape(-1, size)
    width = ground.shape[1] // 4
    end = 0
    for start in range(0, len(counts), _BLOCK):
        count = counts[start : start + _BLOCK].astype(np.uint32)
        begin, end = end, end + int(count.sum())
        wide = np.zeros((end - begin, 4), np.uint8)
        wide[:, :size] = packed[begin:end]
        targets = wide.view(np.uint32).reshape(-1)
        graph_validation.check_targets(targets, rows)
        lists = np.zeros((len(count), width), np.uint32)
        lists[:, 0] = count
        lists[:, 1:][np.arange(width - 1) < count[:, None]] = targets
        ground[start : start + _BLOCK] = lists.view(np.int8)


# The allowed types of each array, and its number of dimensions (None: any).
_ARRAYS = {
    "counts": (("|u1", "<u2"), 1),
    "links": (("|u1", "|i1"), None),
    "labels": (("<u4",), 1),
    "levels": (("|u1",), 1),
    "upper": (("|u1", "|i1"), 1),
    "matrix": (("<f2",), 2),
}


def _parse(path: str, data: memoryview) -> tuple[Fields, dict[str, Array]]:
    if len(data) < _HEAD.size:
        raise Corruption(path, "it is too short")
    magic, length, _ = _HEAD.unpack_from(data)
    if magic not in (_MAGIC, _MAGIC_1):
        raise Corruption(path, "it is not an index file", 0)
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
    if ("labels" in arrays) != (magic == _MAGIC_1):
        raise ValueError("it has the arrays of another format")
    return header, arrays


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST
