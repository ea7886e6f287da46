"""The file of a graph: what it gives back, older formats, and files that do not fit."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson
import pytest

from chroma.storage.index import graph_file
from chroma.storage.index.graph import GraphData, SearchParameters, StoredVectors, link_bytes
from chroma.storage.index.hnsw import HnswGraph
from chroma.storage.index.native_graph import NativeGraph
from chroma.storage.interface.errors import Corruption
from chroma.storage.native import kernel
from chroma.storage.vectors.distance import Space

from .shared import DIM, ROWS, VECTORS, Sink, hnsw_data, native_data, ref

PARAMETERS = SearchParameters(10, 40, 20)


def _written(data: GraphData) -> bytes:
    sink = Sink()
    graph_file.write(data, sink)
    return sink.out.getvalue()


def _loaded(data: bytes, space: Space, vectors: Any) -> graph_file.Loaded:
    loaded = graph_file.load(
        "graph",
        memoryview(data),
        ref(data),
        space=space,
        vectors=StoredVectors(*vectors.shape, lambda: vectors),
    )
    assert loaded is not None
    return loaded


def _found(graph: Any, vectors: Any) -> Any:
    return graph.search(vectors[::37] + np.float32(0.01), vectors, PARAMETERS, None, 1)


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
@pytest.mark.parametrize("rows", [200, ROWS])
def test_a_file_gives_the_same_graph_back(space: Space, rows: int) -> None:
    vectors = VECTORS[:rows]
    data = native_data(space, vectors)
    written = _written(data)
    kept = DIM if data.projection is None else data.projection.kept
    links = int(data.counts.sum()) * link_bytes(rows)
    assert len(written) < rows * (kept + 31 + 8 + 8) + links + 4 * DIM * 64 + 2048  # and no vectors
    again = _loaded(written, space, vectors)
    assert again.current and isinstance(again.graph, NativeGraph)
    assert again.graph.projected == (rows == ROWS)
    before = NativeGraph(data, DIM, mapped=False)
    for one, other in zip(_found(before, vectors), _found(again.graph, vectors), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("rows, size", [(2, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 3), (1 << 24, 3)])
def test_links_take_as_many_bytes_as_rows_need(rows: int, size: int) -> None:
    assert link_bytes(rows) == size


@pytest.mark.parametrize("make", [native_data, hnsw_data])
def test_a_file_of_many_neighbours_is_read(make: Any) -> None:
    vectors = np.random.default_rng(3).standard_normal((900, 64)).astype(np.float32)
    vectors[0] = 0  # near to all: it gets more links than a byte counts
    data = make("l2", vectors, 200, 200)
    assert data.counts.dtype == np.uint16 and int(data.counts.max()) > 255
    loaded = _loaded(_written(data), "l2", vectors)
    assert 0 in loaded.graph.search(vectors[:1], vectors, PARAMETERS, None, 1).rows


def test_a_graph_without_codes_is_searched_by_hnswlib() -> None:
    data = hnsw_data("l2", VECTORS)
    assert data.codes is None and data.measured
    loaded = _loaded(_written(data), "l2", VECTORS)
    assert loaded.current and isinstance(loaded.graph, HnswGraph)
    assert VECTORS.shape[1] > loaded.graph.dimension
    assert (_found(loaded.graph, VECTORS).rows[:, 0] == np.arange(ROWS)[::37]).mean() > 0.98


def test_a_graph_of_codes_is_searched_by_hnswlib_where_nothing_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = _written(native_data("cosine", VECTORS))
    monkeypatch.setattr(kernel, "graph", None)
    assert not graph_file.opens_at_once(memoryview(written))
    loaded = _loaded(written, "cosine", VECTORS)
    assert loaded.current and isinstance(loaded.graph, HnswGraph)
    assert (_found(loaded.graph, VECTORS).rows[:, 0] == np.arange(ROWS)[::37]).mean() > 0.98


def test_a_graph_that_was_built_where_nothing_is_compiled_is_outdated_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(kernel, "graph", None)
        written = _written(hnsw_data("l2", VECTORS[:500]))
        assert _loaded(written, "l2", VECTORS[:500]).current
    assert not _loaded(written, "l2", VECTORS[:500]).current


def test_only_files_with_codes_are_opened_at_once() -> None:
    coded, floats = _written(native_data("l2", VECTORS[:500])), _written(hnsw_data("l2", VECTORS[:500]))
    assert graph_file.opens_at_once(memoryview(coded))
    for other in (
        floats,
        old_format(hnsw_data("l2", VECTORS[:500]), 2),
        b"",
        coded[:15],
        b"CHROMHN3" + bytes(8),
    ):
        assert not graph_file.opens_at_once(memoryview(other))


def old_format(data: GraphData, version: int) -> bytes:
    """The file as formats 1 and 2 had it, with hnswlib's scalars."""
    rows, neighbors = data.rows, data.neighbors
    upper = data.upper.view(np.uint8).reshape(-1)
    arrays: dict[str, Any] = {"levels": data.levels, "upper": upper}
    if version == 2:
        arrays |= {"counts": data.counts, "links": data.links}
        if data.projection is not None:
            arrays["matrix"] = data.projection.matrix.astype(np.float16)
    else:  # rows in another order: that of their insertion
        assert data.projection is None
        order = np.random.default_rng(1).permutation(rows)
        lists = np.zeros((rows, 2 * neighbors + 1), np.uint32)
        lists[:, 0] = data.counts
        wide = np.zeros((int(data.counts.sum()), 4), np.uint8)
        wide[:, : link_bytes(rows)] = data.links.reshape(-1, link_bytes(rows))
        lists[:, 1:][np.arange(2 * neighbors) < data.counts[:, None]] = wide.view(np.uint32).reshape(-1)
        starts = np.cumsum(data.levels, dtype=np.int64) - data.levels
        picked = [data.upper[starts[row] : starts[row] + data.levels[row]] for row in order]
        arrays = {
            "links": np.ascontiguousarray(lists[order]).view(np.uint8),
            "labels": order.astype(np.uint32),
            "levels": data.levels[order],
            "upper": np.concatenate(picked).view(np.uint8).reshape(-1),
        }
    state = {"M": neighbors, "ef_construction": data.ef_construction, "enterpoint_node": data.entry}
    floor = None if data.projection is None else data.projection.floor
    header: dict[str, Any] = {
        "state": state, "rows": rows, "space": data.space, "link_bytes": link_bytes(rows), "floor": floor,
        "arrays": {},
    }  # fmt: skip
    body = b""
    for name, array in arrays.items():
        header["arrays"][name] = [array.dtype.str, list(array.shape), len(body)]
        body += array.tobytes() + bytes(-array.nbytes % 64)
    text = orjson.dumps(header)
    text += b" " * (-(16 + len(text)) % 64)
    return struct.pack("<8sII", b"CHROMHN2" if version == 2 else b"CHROMHNS", len(text), 0) + text + body


@pytest.mark.parametrize(("version", "rows"), [(1, 3000), (2, 3000), (2, ROWS)])
def test_files_of_older_formats_are_read_and_outdated(version: int, rows: int) -> None:
    vectors = VECTORS[:rows]
    data = hnsw_data("l2", vectors)
    loaded = _loaded(old_format(data, version), "l2", vectors)
    assert not loaded.current and isinstance(loaded.graph, HnswGraph)
    right = _loaded(_written(data), "l2", vectors)
    assert np.array_equal(_found(loaded.graph, vectors).rows, _found(right.graph, vectors).rows)


def test_a_file_that_does_not_fit_is_refused() -> None:
    vectors = VECTORS[:3000]
    data = _written(native_data("l2", vectors))
    for space, others in (("l2", vectors[:-1]), ("l2", vectors[:, :64]), ("ip", vectors)):
        with pytest.raises(Corruption, match="does not belong|cannot be read"):
            _loaded(data, space, np.ascontiguousarray(others))  # type: ignore[arg-type]
    with pytest.raises(Corruption, match="checksum"):
        graph_file.load(
            "graph",
            memoryview(data),
            ref(data[:-1] + b"x"),
            space="l2",
            vectors=StoredVectors(*vectors.shape, lambda: vectors),
        )
    with pytest.raises(Corruption, match="not an index file"):
        _loaded(b"CHROMHN9" + data[8:], "l2", vectors)
