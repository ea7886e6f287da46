"""The similarity index of one segment: build it, keep its graph in a sidecar, search it.

Owns: everything about hnswlib; the only module that imports it. An index is a cache of the vectors, never
changed after it is built, and never needed for a right answer.

hnswlib's own file repeats every vector. Its pickling state shows the ground layer as rows of
[links | vector | label]; the sidecar keeps links, labels and the upper layers only, and loading puts the
vectors back from the segment. Layout of `graph-<n>.hnsw`:

    magic "CHROMHNS" | header length u32 | 0 u32 | header, JSON | arrays, each on a 64-byte border

The header has the scalar state and, for each array, its type, shape and offset. The file's checksum is in
the manifest and is verified before anything is handed to native code.
"""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import xxhash

from .columns import Ints
from .distance import Space, normalised
from .errors import Corruption
from .files import Sink
from .manifest import FileRef
from .types import Floats

_MAGIC = b"CHROMHNS"
_HEAD = struct.Struct("<8sII")
SERIALISATION = 1  # of hnswlib's state
_CHUNK = 2048  # rows added between two looks at the stop flag: 0.2–0.5 s of building
_SEED = 100


class HnswMissing(UserWarning):
    """hnswlib cannot be imported; searches are exact and slower."""


_warned = threading.Event()


def available() -> bool:
    """Whether hnswlib can be used; warns once if not."""
    try:
        import hnswlib  # noqa: F401  compiled extension, loaded when an index is first needed
    except ImportError:
        if not _warned.is_set():
            _warned.set()
            warnings.warn(
                "hnswlib is not installed, so similarity searches scan every vector: exact, but slower on "
                "large collections. Install a C++ compiler and the Python headers (Debian: g++ python3-dev), "
                "then `pip install hnswlib`.",
                HnswMissing,
                stacklevel=2,
            )
        return False
    return True


def _prepared(space: Space, vectors: Floats) -> Floats:
    return normalised(vectors) if space == "cosine" else vectors


class Graph:
    """A loaded index over the rows of one segment; labels are row numbers."""

    def __init__(self, space: Space, index: Any, rows: int, dimension: int) -> None:
        self.space = space
        self.rows = rows
        self._index = index
        self._ef = 0
        # hnswlib keeps its own copy of the vectors beside the links.
        self.nbytes = rows * (4 * dimension + 8 + 4 * (2 * int(index.M) + 1) + 16)

    def search(self, queries: Floats, k: int, ef: int, threads: int) -> list[Ints]:
        """Up to `k` row numbers per query, roughly nearest first."""
        k = min(k, self.rows)
        if ef != self._ef:
            self._index.set_ef(ef)
            self._ef = ef
        queries = _prepared(self.space, queries)
        while True:
            try:
                labels, _ = self._index.knn_query(queries, k=k, num_threads=threads)
                return list(labels.astype(np.int64))
            except RuntimeError:
                # Fewer than k rows can be reached from the entry point: take what there is.
                if k == 1:
                    return [np.empty(0, np.int64)] * len(queries)
                k = max(1, k // 2)

    def search_allowed(self, query: Floats, k: int, ef: int, allowed: bytearray, count: int) -> Ints:
        """As `search`, among rows whose byte in `allowed` is not zero (`count` of them)."""
        k = min(k, count)
        ef = max(ef, k)
        if ef != self._ef:
            self._index.set_ef(ef)
            self._ef = ef
        while k:
            try:
                labels, _ = self._index.knn_query(
                    _prepared(self.space, query[None, :]), k=k, num_threads=1, filter=allowed.__getitem__
                )
                found: Ints = labels[0].astype(np.int64)
                return found
            except RuntimeError:
                k //= 2
        return np.empty(0, np.int64)


def build(
    space: Space,
    vectors: Floats,
    max_neighbors: int,
    ef_construction: int,
    threads: int,
    stopped: Callable[[], bool],
) -> Graph | None:
    """Index `vectors`; None if `stopped` said so on the way. Vectors are read a chunk at a time."""
    import hnswlib

    rows, dimension = vectors.shape
    index = hnswlib.Index("l2" if space == "l2" else "ip", dimension)
    index.init_index(rows, ef_construction=ef_construction, M=max_neighbors, random_seed=_SEED)
    for start in range(0, rows, _CHUNK):
        if stopped():
            return None
        block = _prepared(space, vectors[start : start + _CHUNK])
        index.add_items(block, np.arange(start, start + len(block)), num_threads=threads)
    return Graph(space, index, rows, dimension)


def write(graph: Graph, sink: Sink) -> None:
    """The sidecar of a graph."""
    state = graph._index.__getstate__()[0]
    rows, width = graph.rows, state["size_data_per_element"]
    ground = state["data_level0"].reshape(-1, width)[:rows]
    links = np.ascontiguousarray(ground[:, : state["offset_data"]])
    labels = np.ascontiguousarray(ground[:, state["label_offset"] :]).view(np.uint64).reshape(-1)
    levels = state["element_levels"][:rows]
    arrays: dict[str, npt.NDArray[Any]] = {
        "links": links,
        "labels": labels.astype(np.uint32),
        "levels": levels.astype(np.uint8),
        "upper": state["link_lists"],
    }
    scalars = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
    header: dict[str, Any] = {"state": scalars, "rows": rows, "space": graph.space, "arrays": {}}
    offset = 0
    for name, array in arrays.items():
        header["arrays"][name] = [array.dtype.str, list(array.shape), offset]
        offset += -(-array.nbytes // 64) * 64
    text = orjson.dumps(header, option=orjson.OPT_SERIALIZE_NUMPY)
    text += b" " * (-(_HEAD.size + len(text)) % 64)
    sink.write(_HEAD.pack(_MAGIC, len(text), 0) + text)
    for array in arrays.values():
        data = array.tobytes()
        sink.write(data)
        sink.write(bytes(-len(data) % 64))


def read(path: str, data: pa.Buffer, file: FileRef, space: Space, vectors: Floats) -> Graph:
    """A graph from its sidecar and the segment's vectors. Raises Corruption when they do not fit."""
    if xxhash.xxh3_64_hexdigest(data) != file.xxh3:
        raise Corruption(path, "its content does not match its checksum")
    header, arrays = _parse(path, data)
    state: dict[str, Any] = header["state"]
    rows, dimension = vectors.shape
    block = arrays["links"].shape[1]
    fits = (
        state["ser_version"] == SERIALISATION
        and header["space"] == space
        and header["rows"]
        == rows
        == state["cur_element_count"]
        == len(arrays["labels"])
        == len(arrays["levels"])
        and state["dim"] == dimension
        and state["offset_data"] == block
        and state["label_offset"] == block + 4 * dimension
        and state["size_data_per_element"] == block + 4 * dimension + 8
        and len(arrays["upper"]) == int(arrays["levels"].sum()) * state["size_links_per_element"]
    )
    if not fits:
        raise Corruption(path, "it does not belong to these vectors or to this version of hnswlib")
    labels = arrays["labels"]
    ground = np.empty((rows, state["size_data_per_element"]), np.int8)
    ground[:, :block] = arrays["links"]
    ground[:, block + 4 * dimension :] = labels.astype(np.uint64).view(np.int8).reshape(rows, 8)
    for start in range(0, rows, 8192):
        part = _prepared(space, vectors[labels[start : start + 8192]])
        ground[start : start + 8192, block : block + 4 * dimension] = part.view(np.int8)
    import hnswlib

    state |= {
        "max_elements": rows,
        "data_level0": ground.reshape(-1),
        "link_lists": arrays["upper"],
        "element_levels": arrays["levels"].astype(np.int32),
        "label_lookup_external": labels.astype(np.uint64),
        "label_lookup_internal": np.arange(rows, dtype=np.uint32),
    }
    index = hnswlib.Index.__new__(hnswlib.Index)
    index.__setstate__((state,))
    return Graph(space, index, rows, dimension)


def _parse(path: str, data: pa.Buffer) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    if data.size < _HEAD.size:
        raise Corruption(path, "it is too short")
    magic, length, _ = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise Corruption(path, "it is not an index file", 0)
    start = _HEAD.size + length
    header = orjson.loads(data.slice(_HEAD.size, length).to_pybytes())
    arrays = {}
    for name, (kind, shape, offset) in header["arrays"].items():
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(data, np.dtype(kind), count, start + offset).reshape(shape)
    return header, arrays
