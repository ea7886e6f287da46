"""The compiled part: it is there, gives what its twins in numpy give, and refuses what is not of its kind."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.arrow.ipc_file import Column
from chroma.storage.arrow.text_column import Text
from chroma.storage.index.graph import SearchParameters
from chroma.storage.index.native_graph import NativeGraph
from chroma.storage.io import safe_open
from chroma.storage.native import kernel
from chroma.storage.vectors import distance

from ..index.shared import native_data

SPACES = ["cosine", "l2", "ip"]
compiled: Any = kernel.compiled


def test_it_is_compiled() -> None:
    assert kernel.compiled is not None, "run `pip install -e .` again; pip -v shows the compiler's words"


def without(call: Callable[[], Any]) -> Any:
    """The answer of the twin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "compiled", None)
        return call()


@st.composite
def pairs(draw: Any) -> tuple[str, Any, Any, Any]:
    """A space, a query, vectors with equal and zero ones among them, and some of their rows or None."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    rows, dimension = draw(st.integers(1, 60)), draw(st.integers(1, 40))
    vectors = random.integers(-3, 4, (rows, dimension)).astype(np.float32)
    if draw(st.booleans()):
        vectors += random.standard_normal((rows, dimension)).astype(np.float32)
    vectors[random.random(rows) < 0.1] = 0
    vectors[random.integers(0, rows, rows // 4)] = vectors[0]
    query = vectors[-1].copy() if draw(st.booleans()) else vectors.sum(axis=0)
    picked = np.flatnonzero(random.random(rows) < 0.7) if draw(st.booleans()) else None
    return draw(st.sampled_from(SPACES)), query, vectors, picked


@settings(deadline=None)
@given(pairs())
def test_distances_are_those_of_numpy_to_the_bit(case: Any) -> None:
    space, query, vectors, rows = case
    found = distance.exact(space, query, vectors, rows)
    assert np.array_equal(found, without(lambda: distance.exact(space, query, vectors, rows)))
    known = distance.lengths(vectors)
    assert np.array_equal(known, without(lambda: distance.lengths(vectors)))
    assert np.array_equal(found, distance.exact(space, query, vectors, rows, known)), (
        "known lengths, other bits"
    )


@settings(deadline=None)
@given(pairs(), st.integers(0, 70))
def test_the_nearest_are_the_first_of_the_sorted(case: Any, k: int) -> None:
    space, query, vectors, rows = case
    rows = np.arange(len(vectors)) if rows is None else rows[::-1].copy()
    found, distances = distance.ranked(space, query, vectors, rows=rows, k=k)
    whole = distance.exact(space, query, vectors)
    wanted = sorted((float(whole[row]), int(row)) for row in rows)[:k]
    assert list(zip(distances.tolist(), found.tolist())) == wanted
    twin, same = without(lambda: distance.ranked(space, query, vectors, rows=rows, k=k))
    assert np.array_equal(twin, found) and np.array_equal(same, distances)


@pytest.mark.parametrize("count", [100, 128, 129, 200])
def test_short_vectors_have_their_nearest_by_ip_although_all_distances_are_one(count: int) -> None:
    vectors = (np.random.default_rng(5).standard_normal((count, 16)) * 1e-5).astype(np.float32)
    query = vectors[-1].copy()
    norms = np.einsum("ij,ij->i", vectors, vectors)
    rows, distances = distance.nearest("ip", query, vectors, norms=norms, rows=None, k=5)
    wanted = np.argsort(-(vectors.astype(np.float64) @ query.astype(np.float64)))[:5]
    assert set(rows.tolist()) == set(wanted.tolist()) and distances.tolist() == [1] * 5


@pytest.mark.parametrize("count", [1, 7, 8, 9, 500, 3000])
@pytest.mark.parametrize("order", ["ascending", "descending", "random", "equal"])
def test_many_rows_are_ranked_whatever_their_order(count: int, order: str) -> None:
    values = np.arange(count, dtype=np.float32)
    if order == "descending":
        values = values[::-1]
    if order == "random":
        values = np.random.default_rng(3).permutation(values)
    if order == "equal":
        values = np.zeros(count, np.float32)
    vectors = np.ascontiguousarray(values)[:, None]
    for k in {1, 2, min(10, count), count}:
        rows, distances = distance.ranked("l2", np.zeros(1, np.float32), vectors, rows=np.arange(count), k=k)
        assert rows.tolist() == np.lexsort((np.arange(count), values))[:k].tolist()
        assert distances.tolist() == [value**2 for value in sorted(values.tolist())[:k]]


def test_beyond_float32_a_distance_is_infinite() -> None:
    vectors = np.array([[3e38], [-3e38], [1]], np.float32)
    for space, wanted in (("l2", [0, np.inf, np.inf]), ("ip", [-np.inf, np.inf, -3e38])):
        assert np.allclose(distance.exact(space, vectors[0], vectors), wanted)  # type: ignore[arg-type]


def texts_of(cells: list[str | None], type: pa.DataType) -> Text:
    array = pa.array(cells, type)
    buffers = [memoryview(buffer or b"").cast("B") for buffer in array.buffers()]
    return Text(Column(array.null_count, buffers, type == pa.large_string()), len(cells))


@settings(deadline=None)
@given(st.lists(st.none() | st.text(max_size=5), min_size=1, max_size=20), st.data())
def test_cells_are_those_of_the_column(cells: list[str | None], data: Any) -> None:
    rows = data.draw(st.lists(st.integers(0, len(cells) - 1), max_size=30))
    for type in (pa.string(), pa.large_string()):
        for dtype in (np.int64, np.uint32):
            column, asked = texts_of(cells, type), np.array(rows, dtype)
            assert column.take(asked) == [cells[row] for row in rows]
            assert without(lambda: column.take(asked)) == column.take(asked)  # noqa: B023


def test_cells_of_json_are_one_array_and_empty_ones_null() -> None:
    cells: list[str | None] = ['{"a":1}', None, '{"ü":"},{"}', ""]
    for type in (pa.string(), pa.large_string()):
        column = texts_of(cells, type)
        for rows in ([], [0], [3, 2, 1, 0, 2]):
            asked = np.array(rows, np.int64)
            wanted = [[{"a": 1}, None, {"ü": "},{"}, None][row] for row in rows]
            assert column.take_json(asked) == wanted
            assert without(lambda: column.take_json(asked)) == wanted  # noqa: B023


ROWS = np.arange(3)
VECTORS = np.ones((5, 4), np.float32)
QUERY = np.ones(4, np.float32)


@pytest.mark.parametrize(
    "change,error,said",
    [
        ({"space": "euclid"}, ValueError, "'euclid' is no space"),
        ({"space": 3}, ValueError, "3 is no space"),
        ({"query": QUERY.astype(np.float64)}, TypeError, "query has 1 dimensions of type d, not 1 of f"),
        ({"query": QUERY.astype(np.int32)}, TypeError, "of type i"),
        ({"query": QUERY.astype(">f4")}, TypeError, "of type >f"),
        ({"query": np.frombuffer(bytes(17), np.float32, 4, 1)}, TypeError, "not aligned"),
        ({"query": QUERY[:3]}, ValueError, "query has a length of 3, not 4"),
        ({"vectors": VECTORS[:, ::2]}, ValueError, "not C-contiguous"),
        ({"vectors": QUERY}, TypeError, "vectors has 1 dimensions"),
        ({"rows": np.array([0, 5, 1])}, IndexError, "row 5 of 5"),
        ({"rows": np.array([0, -1, 1])}, IndexError, "row -1 of 5"),
        ({"rows": ROWS.astype(np.int32)}, TypeError, "rows has 1 dimensions of type i"),
        ({"rows": [0, 1, 2]}, TypeError, "bytes-like"),
        ({"lengths": np.ones(4)}, ValueError, "lengths has a length of 4, not 5"),
        ({"lengths": np.ones(5, np.float32)}, TypeError, "lengths has 1 dimensions of type f"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(change: Any, error: Any, said: str) -> None:
    given = {"space": "cosine", "query": QUERY, "vectors": VECTORS, "rows": ROWS, "lengths": None, **change}
    found, distances = np.full(3, -1), np.full(3, -1, np.float32)
    for call in (
        lambda: compiled.distances(*given.values(), distances),
        lambda: compiled.nearest(*given.values(), found, distances),
    ):
        with pytest.raises(error, match=said):
            call()
    assert set(found) == {-1} and set(distances) == {-1}


def test_outputs_that_do_not_fit_are_refused() -> None:
    arguments = "l2", QUERY, VECTORS, ROWS, None
    three, four = np.zeros(3, np.float32), np.zeros(4, np.float32)
    locked = np.zeros(3, np.float32)
    locked.flags.writeable = False
    for call, error in (
        (lambda: compiled.distances(*arguments, four), ValueError),
        (lambda: compiled.distances(*arguments, locked), ValueError),
        (lambda: compiled.distances(*arguments), TypeError),
        (lambda: compiled.nearest(*arguments, np.zeros(2, np.int64), three), ValueError),
        (lambda: compiled.nearest(*arguments, np.zeros(4, np.int64), four), ValueError),
        (lambda: compiled.nearest(*arguments, np.zeros(3, np.int32), three), TypeError),
        (lambda: compiled.lengths(VECTORS, np.zeros(4)), ValueError),
        (lambda: compiled.lengths(VECTORS, np.zeros(5, np.float32)), TypeError),
        (lambda: compiled.lengths(VECTORS), TypeError),
    ):
        with pytest.raises(error):
            call()
    assert not three.any() and not four.any()


@pytest.mark.parametrize("call", ["texts", "json_array"])
def test_cells_that_cannot_be_are_refused(call: str) -> None:
    function = getattr(compiled, call)
    if call == "texts":
        function = lambda offsets, data, *rows: compiled.texts(offsets, data, None, *rows)  # noqa: E731
    offsets, data = np.array([0, 1, 3], np.int32), b"abc"
    for arguments, error in (
        ((offsets, data, np.array([2])), IndexError),
        ((offsets, data, np.array([-1])), IndexError),
        ((offsets, data, np.array([2**63 - 1])), IndexError),
        ((offsets, data, np.array([0], np.float32)), TypeError),
        ((offsets.view(np.float32), data, np.array([0])), TypeError),
        ((np.array([0, 4], np.int32), data, np.array([0])), ValueError),
        ((np.array([2, 1], np.int64), data, np.array([0])), ValueError),
        ((np.array([-1, 1], np.int64), data, np.array([0])), ValueError),
        ((offsets.astype(np.int16), data, np.array([0])), TypeError),
        ((offsets, data, np.array([[0]])), TypeError),
        ((offsets, data, [0]), TypeError),
        ((offsets, "abc", np.array([0])), TypeError),
        ((offsets, data), TypeError),
    ):
        with pytest.raises(error):
            function(*arguments)
    with pytest.raises(UnicodeDecodeError):
        compiled.texts(offsets, b"a\xff\xfe", None, np.array([1]))
    with pytest.raises(IndexError):
        compiled.texts(np.zeros(20, np.int32), data, b"\xff", np.array([8]))
    with pytest.raises(TypeError):
        compiled.texts(offsets, data, 3, np.array([1]))


def test_calls_let_go_of_what_they_were_given() -> None:
    data = bytearray(b"abc")
    offsets = np.array([0, 1, 3], np.int32)
    for rows in ([0, 1], [7]):
        for call in (compiled.json_array, lambda o, d, rows: compiled.texts(o, d, d, rows)):
            with contextlib.suppress(IndexError):
                call(offsets, data, np.array(rows))
    data.append(0)  # raises BufferError while somebody holds it
    for space in ("cosine", "none"):
        vectors, rows, out = bytearray(64), bytearray(16), bytearray(8)
        given = (np.ones(4, np.float32), memoryview(vectors).cast("f", (4, 4)), memoryview(rows).cast("q"))
        with contextlib.suppress(ValueError):
            compiled.distances(space, *given, None, memoryview(out).cast("f"))
        del given
        for held in (vectors, rows, out):
            held.append(0)


MISSING = """
import sys, types, warnings
if sys.argv[2] == "missing":
    sys.modules[f"chroma.storage.native.{sys.argv[3]}"] = None
else:
    sys.modules[f"chroma.storage.native.{sys.argv[3]}"] = types.SimpleNamespace(VERSION=0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import chroma
    client = chroma.PersistentClient(sys.argv[1])
    notes = client.get_collection("notes")
    text = {"$contains": "o"}
    answers = [notes.query(query_embeddings=[[1.0, 2.0]], n_results=3, where_document=text) for _ in range(2)]
assert [w.category.__name__ for w in caught] == ["KernelMissing"], [str(w.message) for w in caught]
assert "pip install" in str(caught[0].message)
print(answers[0] == answers[1], answers[0])
"""


@pytest.mark.parametrize("part", ["_kernel", "_postings", "_text"])
@pytest.mark.parametrize("how", ["missing", "old"])
def test_without_it_answers_are_the_same_and_one_warning_says_so(tmp_path: Path, how: str, part: str) -> None:
    import chroma

    with chroma.PersistentClient(tmp_path / "db") as client:
        collection = client.create_collection("notes")
        collection.add(
            ids=["a", "b", "c", "d"],
            embeddings=[[1.0, 2.0], [2.0, 1.0], [-1.0, 0.5], [1.0, 2.0]],
            documents=["one", "zwei", "trois", "ü"],
            metadatas=[{"n": 1}, {"n": 2}, None, {"n": 4}],
        )
        answer = collection.query(
            query_embeddings=[[1.0, 2.0]], n_results=3, where_document={"$contains": "o"}
        )
    done = subprocess.run(
        [sys.executable, "-c", MISSING, str(tmp_path / "db"), how, part],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"True {answer}"


def test_a_file_is_the_same_until_its_name_refers_to_another(tmp_path: Path) -> None:
    name = tmp_path / "name"
    name.write_text("one")
    found = name.stat()

    def same(path: Path, device: int = found.st_dev) -> bool:
        arguments = os.fsencode(path), device, found.st_ino
        answer = safe_open.same_file(*arguments)
        assert answer == safe_open._same_file(*arguments)
        return answer

    assert same(name)
    assert not same(name, found.st_dev + 1)
    assert not same(tmp_path / "missing") and not same(name / "below a file")
    os.rename(name, tmp_path / "kept")  # so that its number is not given to the next file
    name.write_text("another")
    assert not same(name) and same(tmp_path / "kept")


@pytest.mark.parametrize("ask", [safe_open.same_file, safe_open._same_file])
def test_a_system_that_does_not_say_is_an_error(tmp_path: Path, ask: Callable[..., bool]) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError) as caught:
        ask(os.fsencode(loop), 1, 1)
    assert caught.value.errno == errno.ELOOP


def test_same_file_refuses_what_is_not_a_path_and_two_numbers() -> None:
    for arguments in (
        (),
        (b"a", 1),
        ("a", 1, 1),
        (b"a", "1", 1),
        (b"a", 1, None),
        (b"a", -1, 1),
        (b"a\0b", 1, 1),
    ):
        with pytest.raises((TypeError, OverflowError, ValueError)):
            compiled.same_file(*arguments)


def test_a_short_scan_of_rows_that_lie_far_apart_lets_other_threads_run() -> None:
    """Each of these rows may have to be read from the disk."""
    count, k = 1 << 17, 1 << 16
    vectors = np.random.default_rng(0).standard_normal((16 * count, 1)).astype(np.float32)
    norms, found, distances = vectors[:, 0] ** 2, np.empty(k, np.int64), np.empty(k, np.float32)
    query, turns, done = np.ones(1, np.float32), [0], threading.Event()

    def run() -> None:
        while not done.is_set():
            turns[0] += 1
            time.sleep(0.0001)

    def turns_during(rows: Any) -> int:
        before = turns[0]
        compiled.scan("l2", query, vectors, rows, None, norms, found, distances)
        return turns[0] - before

    interval = sys.getswitchinterval()
    sys.setswitchinterval(10.0)  # so a thread runs only if another one lets it
    other = threading.Thread(target=run)
    other.start()
    try:
        assert not turns_during(np.arange(count))
        assert turns_during(16 * np.arange(count))
    finally:
        sys.setswitchinterval(interval)
        done.set()
        other.join()


def _taken() -> Any:
    """When a search took the interpreter's lock back, in nanoseconds; 0: it was given away by another one."""
    api = ctypes.pythonapi
    api.PyInterpreterState_Get.restype = ctypes.c_void_p
    api.PyInterpreterState_GetDict.restype = ctypes.c_void_p  # borrowed
    api.PyInterpreterState_GetDict.argtypes = [ctypes.c_void_p]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    name = "chroma.storage.native.taken"
    shared = ctypes.c_void_p(api.PyInterpreterState_GetDict(api.PyInterpreterState_Get()))
    capsule = ctypes.cast(shared, ctypes.py_object).value[name]
    return ctypes.c_int64.from_address(api.PyCapsule_GetPointer(capsule, name.encode()))


LARGE = np.random.default_rng(0).standard_normal((20_000, 32)).astype(np.float32)


def _scan() -> None:
    found = np.empty(3, np.int64), np.empty(3, np.float32)
    compiled.scan("l2", LARGE[0], LARGE, None, None, (LARGE**2).sum(axis=1), *found)


def _search() -> None:
    data = native_data("l2", LARGE[:500])
    NativeGraph(data, 32, mapped=False).search(LARGE[:1], LARGE[:500], SearchParameters(3, 9, 9), None, 1)


@pytest.mark.parametrize("search", [_scan, _search])
def test_all_compiled_searches_note_in_one_variable_that_they_have_the_lock(search: Any) -> None:
    search()
    taken = _taken()
    for _ in range(3):
        taken.value = -1
        search()
        assert 0 < taken.value <= time.monotonic_ns()


def test_a_search_waits_actively_only_for_a_thread_that_took_the_lock_lately() -> None:
    """Another one does something else by now, and may not even have the lock."""
    rows = np.tile(LARGE, (50, 1))
    norms, found = (rows**2).sum(axis=1), (np.empty(3, np.int64), np.empty(3, np.float32))
    _scan()
    taken = _taken()

    def waits() -> bool:
        """Let another thread scan and claim meanwhile that the lock was taken in the future."""
        call = partial(compiled.scan, "l2", LARGE[0], rows, None, None, norms, *found)
        other = threading.Thread(target=call)
        other.start()
        while other.is_alive() and taken.value:  # until it gives the lock away
            time.sleep(0)
        taken.value = time.monotonic_ns() + 60 * 10**9
        other.join(1)
        waiting = other.is_alive()
        taken.value = time.monotonic_ns() - 10**6
        other.join(5)
        assert not other.is_alive()
        return waiting

    assert any(waits() for _ in range(5))  # the scan may have ended before the claim
