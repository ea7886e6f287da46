"""Graphs with a right checksum and something wrong in them: refused, before native code sees any of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import orjson
import pytest
import xxhash

from chroma.storage.index import graph_file, hnsw
from chroma.storage.interface.errors import Corruption
from chroma.storage.io.checksummed_writer import Hashing
from chroma.storage.manifest import FileRef

ROWS, DIMENSION, NEIGHBORS = 400, 16, 4
VECTORS = np.random.default_rng(0).standard_normal((ROWS, DIMENSION)).astype(np.float32)


class Sink(Hashing):
    def __init__(self) -> None:
        super().__init__()
        self.out = BytesIO()

    def write(self, data: Any) -> int:
        return self.out.write(data)


def built() -> tuple[dict[str, Any], dict[str, Any]]:
    """The header of a graph's file, and its arrays."""
    graph = hnsw.build(
        "l2", VECTORS, max_neighbors=NEIGHBORS, ef_construction=40, threads=1, stopped=lambda: False
    )
    sink = Sink()
    assert graph is not None
    graph_file.write(graph, sink)
    data = sink.out.getvalue()
    _, length, _ = struct.unpack_from("<8sII", data)
    header = orjson.loads(data[16 : 16 + length])
    arrays = {
        name: np.frombuffer(data, kind, int(np.prod(shape)), 16 + length + offset).reshape(shape).copy()
        for name, (kind, shape, offset) in header["arrays"].items()
    }
    return header, arrays


def load(header: dict[str, Any], arrays: dict[str, Any], magic: bytes = b"CHROMHN2") -> hnsw.Graph | None:
    """The graph of such a file, and a walk through it."""
    body, entries = b"", {}
    for name, array in arrays.items():
        entries[name] = [array.dtype.str, list(array.shape), len(body)]
        body += array.tobytes() + bytes(-array.nbytes % 64)
    text = orjson.dumps({"arrays": entries, **header})
    text += b" " * (-(16 + len(text)) % 64)
    data = struct.pack("<8sII", magic, len(text), 0) + text + body
    ref = FileRef("graph", len(data), xxhash.xxh3_64_hexdigest(data))
    graph = graph_file.read("graph", memoryview(data), ref, space="l2", vectors=VECTORS)
    assert graph is not None
    graph.search(VECTORS[:50], 10, 50, 1)
    return graph


def header_of(header: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key != "arrays"}


HEADER, ARRAYS = built()
_LISTS = int(ARRAYS["levels"].sum())


def test_the_graph_itself_is_read() -> None:
    assert _LISTS > 5
    load(header_of(HEADER), ARRAYS)


def _links(array: np.ndarray[Any, Any]) -> Any:
    return array.view("<u2")  # 400 rows: two bytes each


def _upper(arrays: dict[str, Any]) -> Any:
    return arrays["upper"].view(np.uint32).reshape(_LISTS, NEIGHBORS + 1)


def _to_the_ground(arrays: dict[str, Any]) -> None:
    """A link of an upper layer to a row that is in none."""
    _upper(arrays)[0, :2] = 1, int(np.flatnonzero(arrays["levels"] == 0)[0])


def _higher(arrays: dict[str, Any]) -> None:
    arrays["levels"][int(np.flatnonzero(arrays["levels"] == 0)[0])] += 1


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: _links(arrays["links"]).__setitem__(0, ROWS),
        lambda arrays: _links(arrays["links"]).__setitem__(-1, 65535),
        lambda arrays: arrays["counts"].__setitem__(0, 2 * NEIGHBORS + 1),
        lambda arrays: arrays["counts"].__setitem__(0, int(arrays["counts"][0]) - 1),
        lambda arrays: arrays.update(counts=arrays["counts"][:-1]),
        lambda arrays: arrays.update(counts=arrays["counts"].astype("<u4")),
        lambda arrays: arrays.update(links=arrays["links"][:-2]),
        lambda arrays: arrays.update(links=arrays["links"].reshape(2, -1)),
        lambda arrays: _upper(arrays).__setitem__((0, 0), NEIGHBORS + 1),
        lambda arrays: _upper(arrays).__setitem__((0, 0), 0x10001),
        lambda arrays: _upper(arrays).__setitem__((0, slice(2)), (1, ROWS)),
        lambda arrays: _upper(arrays).__setitem__((0, slice(2)), (1, 2**32 - 1)),
        _to_the_ground,
        _higher,
        lambda arrays: arrays["levels"].__setitem__(slice(None), 0),
        lambda arrays: arrays.update(levels=arrays["levels"].astype("<i4")),
        lambda arrays: arrays.update(levels=np.append(arrays["levels"], np.uint8(0))),
        lambda arrays: arrays.update(upper=arrays["upper"][:-4]),
        lambda arrays: arrays.update(labels=np.arange(ROWS, dtype="<u4")),
        lambda arrays: arrays.update(matrix=np.full((DIMENSION, 8), np.nan, "<f2")),
        lambda arrays: arrays.update(matrix=np.zeros((DIMENSION, 0), "<f2")),
        lambda arrays: arrays.update(more=np.zeros(1, "<f2")),
        *(lambda arrays, name=name: arrays.pop(name) for name in ("counts", "links", "levels", "upper")),
    ],
)
def test_arrays_that_cannot_be_are_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    arrays = {name: array.copy() for name, array in ARRAYS.items()}
    change(arrays)
    with pytest.raises(Corruption):
        load(header_of(HEADER), arrays)


WRONG = [None, True, -1, 0, 1, 3, 5, 400, 2**31, 2**63, 2**64 - 1, 1.5, "l2", "x", [], {}]


@pytest.mark.parametrize("key", sorted(HEADER["state"]))
def test_scalars_that_lie_are_refused_or_of_no_account(key: str) -> None:
    for value in WRONG:
        header = header_of(HEADER)
        header["state"] = {**header["state"], key: value}
        try:
            graph = load(header, ARRAYS)
        except Corruption:
            continue
        state = graph.state() if graph is not None else {}
        assert (
            state["dim"] == DIMENSION and state["max_M"] == NEIGHBORS and state["cur_element_count"] == ROWS
        )


@pytest.mark.parametrize("key", ["state", "rows", "space", "link_bytes", "floor", "arrays"])
def test_headers_that_lie_are_refused(key: str) -> None:
    for value in WRONG:
        if value == HEADER.get(key) or key == "floor":
            continue
        with pytest.raises(Corruption):
            load({**header_of(HEADER), key: value}, ARRAYS)


@pytest.mark.parametrize(
    "entry",
    [["|O", [1], 0], ["<u1", [2**63], 0], ["|u1", [400], -64], ["|u1", [-1], 0], ["|u1", 400, 0], [], None],
)
def test_arrays_of_no_shape_are_refused(entry: Any) -> None:
    given = {name: ["|u1", [0], 0] for name in ARRAYS}
    with pytest.raises(Corruption):
        load({**header_of(HEADER), "arrays": {**given, "counts": entry}}, ARRAYS)


def first_format(change: Callable[[dict[str, Any]], Any]) -> None:
    graph = load(header_of(HEADER), ARRAYS)
    assert graph is not None
    state = graph.state()
    ground = state["data_level0"].reshape(ROWS, -1)[:, : state["offset_data"]]
    arrays = {
        "links": np.ascontiguousarray(ground),
        "labels": np.arange(ROWS, dtype="<u4"),
        "levels": ARRAYS["levels"].copy(),
        "upper": ARRAYS["upper"].copy(),
    }
    change(arrays)
    load(header_of(HEADER), arrays, b"CHROMHNS")


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays["labels"].__setitem__(0, 1),
        lambda arrays: arrays["labels"].__setitem__(0, ROWS),
        lambda arrays: arrays["links"].view(np.uint32).__setitem__((3, 0), 2 * NEIGHBORS + 1),
        lambda arrays: arrays["links"].view(np.uint32).__setitem__((3, 0), 0x10001),
        lambda arrays: arrays["links"].view(np.uint32).__setitem__((3, 1), ROWS),
        lambda arrays: arrays.update(links=arrays["links"][:, :-4]),
        lambda arrays: arrays.pop("labels"),
    ],
)
def test_the_first_format_is_looked_at_as_well(change: Callable[[dict[str, Any]], Any]) -> None:
    first_format(lambda arrays: None)
    with pytest.raises(Corruption):
        first_format(change)
