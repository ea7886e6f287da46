"""Graphs with a right checksum and something wrong in them: refused, before native code sees any of it."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from chroma.storage.filters.row_set import RowSet
from chroma.storage.index import graph_file
from chroma.storage.index.graph import Damaged, Graph, GraphData, SearchParameters, StoredVectors
from chroma.storage.interface.errors import Corruption
from chroma.storage.native import kernel

from ..storage.index.shared import Sink, hnsw_data, native_data, ref

ROWS, DIMENSION, NEIGHBORS = 400, 16, 4
VECTORS = np.random.default_rng(0).standard_normal((ROWS, DIMENSION)).astype(np.float32)


def built(make: Callable[..., GraphData]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header of a graph's file, and its arrays."""
    sink = Sink()
    graph_file.write(make("l2", VECTORS, NEIGHBORS, 40), sink)
    data = sink.out.getvalue()
    _, length, _ = struct.unpack_from("<8sII", data)
    header = orjson.loads(data[16 : 16 + length])
    arrays = {
        name: np.frombuffer(data, kind, int(np.prod(shape)), 16 + length + offset).reshape(shape).copy()
        for name, (kind, shape, offset) in header["arrays"].items()
    }
    return header, arrays


def load(header: dict[str, Any], arrays: dict[str, Any], magic: bytes = b"CHROMHN3") -> Graph:
    """The graph of such a file, after searches in it."""
    body, entries = b"", {}
    for name, array in arrays.items():
        entries[name] = [array.dtype.str, list(array.shape), len(body)]
        body += array.tobytes() + bytes(-array.nbytes % 64)
    text = orjson.dumps({"arrays": entries, **header})
    text += b" " * (-(16 + len(text)) % 64)
    data = struct.pack("<8sII", magic, len(text), 0) + text + body
    loaded = graph_file.load(
        "graph",
        memoryview(data),
        ref(data),
        space="l2",
        vectors=StoredVectors(*VECTORS.shape, lambda: VECTORS),
    )
    assert loaded is not None
    graph = loaded.graph
    for allowed in (None, RowSet(ROWS, mask=np.arange(ROWS) % 3 > 0)):
        hits = graph.search(VECTORS[:50], VECTORS, SearchParameters(10, 50, 20), allowed, 1)
        assert ((hits.rows >= -1) & (hits.rows < ROWS)).all()
        if graph.coded:
            graph.scan(VECTORS[:50], VECTORS, SearchParameters(10, 50, 20), allowed, 1)
    return graph


@pytest.fixture(params=["codes", "hnswlib"])
def kind(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two searches the graph."""
    if request.param == "hnswlib":
        monkeypatch.setattr(kernel, "graph", None)
    return str(request.param)


def header_of(header: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key != "arrays"}


HEADER, ARRAYS = built(native_data)
_LISTS = int(ARRAYS["levels"].sum())


def test_the_graph_itself_is_read(kind: str) -> None:
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


_OFF_THE_WAY: list[Callable[[dict[str, Any]], Any]] = [
    lambda arrays: _links(arrays["links"]).__setitem__(0, ROWS),
    lambda arrays: _links(arrays["links"]).__setitem__(-1, 65535),
    lambda arrays: _upper(arrays).__setitem__((0, 0), NEIGHBORS + 1),
    lambda arrays: _upper(arrays).__setitem__((0, 0), 0x10001),
    lambda arrays: _upper(arrays).__setitem__((0, slice(2)), (1, ROWS)),
    lambda arrays: _upper(arrays).__setitem__((0, slice(2)), (1, 2**32 - 1)),
    _to_the_ground,
]


@pytest.mark.parametrize(
    "change",
    [
        *_OFF_THE_WAY,
        lambda arrays: arrays["counts"].__setitem__(0, 2 * NEIGHBORS + 1),
        lambda arrays: arrays["counts"].__setitem__(0, int(arrays["counts"][0]) - 1),
        lambda arrays: arrays.update(counts=arrays["counts"][:-1]),
        lambda arrays: arrays.update(counts=arrays["counts"].astype("<u4")),
        lambda arrays: arrays.update(links=arrays["links"][:-2]),
        lambda arrays: arrays.update(links=arrays["links"].reshape(2, -1)),
        _higher,
        lambda arrays: arrays["levels"].__setitem__(slice(None), 0),
        lambda arrays: arrays.update(levels=arrays["levels"].astype("<i4")),
        lambda arrays: arrays.update(levels=np.append(arrays["levels"], np.uint8(0))),
        lambda arrays: arrays.update(upper=arrays["upper"][:-4]),
        lambda arrays: arrays.update(labels=np.arange(ROWS, dtype="<u4")),
        lambda arrays: arrays.update(codes=arrays["codes"][:-1]),
        lambda arrays: arrays.update(codes=arrays["codes"][:, :-1]),
        lambda arrays: arrays.update(codes=arrays["codes"].reshape(-1)),
        lambda arrays: arrays.update(codes=arrays["codes"].view("<u2")),
        lambda arrays: arrays.update(matrix=np.full((DIMENSION, 8), np.nan, "<f2")),
        lambda arrays: arrays.update(matrix=np.zeros((DIMENSION, 0), "<f2")),
        lambda arrays: arrays.update(more=np.zeros(1, "<f2")),
        *(lambda arrays, name=name: arrays.pop(name) for name in ("counts", "links", "levels", "upper")),
    ],
)
def test_arrays_that_cannot_be_are_refused(kind: str, change: Callable[[dict[str, Any]], Any]) -> None:
    arrays = {name: array.copy() for name, array in ARRAYS.items()}
    change(arrays)
    if kind == "hnswlib" and arrays["codes"].shape != ARRAYS["codes"].shape:
        return  # it does not read them
    try:
        load(header_of(HEADER), arrays)
    except (Corruption, Damaged):
        return
    # The compiled part checks a link when it follows it, and these may lie off the way.
    assert kind == "codes" and change in _OFF_THE_WAY


def test_links_and_codes_of_any_content_are_searched_without_harm(kind: str) -> None:
    random = np.random.default_rng(2)
    for turn in range(60):
        arrays = {name: array.copy() for name, array in ARRAYS.items()}
        for name in ("links", "upper", "codes"):
            part = arrays[name].reshape(-1)
            at = random.integers(0, len(part), 1 + turn * len(part) // 200)
            part[at] = random.integers(0, 256, len(at))
        with contextlib.suppress(Corruption, Damaged):
            load(header_of(HEADER), arrays)


WRONG = [None, True, -1, 0, 1, 3, 5, 400, 2**31, 2**63, 2**64 - 1, 1.5, "l2", "x", [], {}]
# Values that are no lie: any row may be the entry of codes, if its links are followed safely.
_MAY_BE = [("measured", 0), ("measured", 1), *(("entry", row) for row in (0, 1, 3, 5))]
_MAY_BE += [("ef_construction", value) for value in (1, 3, 5, 400)]


@pytest.mark.parametrize(
    "key", ["neighbors", "ef_construction", "entry", "rows", "space", "link_bytes", "measured", "arrays"]
)
def test_headers_that_lie_are_refused(kind: str, key: str) -> None:
    for value in WRONG:
        if value == HEADER.get(key) and type(value) is type(HEADER[key]):
            continue
        if (key, value) in _MAY_BE:
            continue
        with pytest.raises((Corruption, Damaged)):
            load({**header_of(HEADER), key: value}, ARRAYS)


@pytest.mark.parametrize(
    "entry",
    [["|O", [1], 0], ["<u1", [2**63], 0], ["|u1", [400], -64], ["|u1", [-1], 0], ["|u1", 400, 0], [], None],
)
def test_arrays_of_no_shape_are_refused(entry: Any) -> None:
    given = {name: ["|u1", [0], 0] for name in ARRAYS}
    with pytest.raises(Corruption):
        load({**header_of(HEADER), "arrays": {**given, "counts": entry}}, ARRAYS)


FIRST = hnsw_data("l2", VECTORS, NEIGHBORS, 40)


def first_format(change: Callable[[dict[str, Any]], Any]) -> None:
    lists = np.zeros((ROWS, 2 * NEIGHBORS + 1), np.uint32)
    lists[:, 0] = FIRST.counts
    lists[:, 1:][np.arange(2 * NEIGHBORS) < FIRST.counts[:, None]] = FIRST.links.view("<u2")
    arrays = {
        "links": lists.view(np.uint8),
        "labels": np.arange(ROWS, dtype="<u4"),
        "levels": FIRST.levels.copy(),
        "upper": FIRST.upper.copy().view(np.uint8).reshape(-1),
    }
    change(arrays)
    state = {"M": NEIGHBORS, "ef_construction": 40, "enterpoint_node": FIRST.entry}
    load({"state": state, "rows": ROWS, "space": "l2"}, arrays, b"CHROMHNS")


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
