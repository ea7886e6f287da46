"""Columns of Arrow files are found where Arrow finds them; what is not such a file is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.arrow import ipc_file
from chroma.storage.interface.errors import Corruption
from chroma.storage.io.disk import DiskFolder
from chroma.storage.manifest import FileRef, SegmentRef
from chroma.storage.segments.segment import Segment

ROOT = Path(__file__).resolve().parents[3]


def written(batch: pa.RecordBatch, times: int = 1, compression: str | None = None) -> memoryview:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(sink, batch.schema, options=options) as writer:
        for _ in range(times):
            writer.write_batch(batch)
    return memoryview(sink.getvalue()).cast("B")


def check(data: memoryview) -> None:
    batch = pa.ipc.open_file(pa.BufferReader(data)).get_batch(0)
    found = ipc_file.columns(data, batch.num_rows)
    assert list(found) == batch.schema.names
    for name, column in found.items():
        array = batch.column(name)
        assert column.nulls == array.null_count
        assert column.wide == (array.type == pa.large_string())
        for mine, theirs in zip(column.buffers, array.buffers(), strict=True):
            assert bytes(mine) == (b"" if theirs is None else theirs.to_pybytes())


@st.composite
def batches(draw: Any) -> pa.RecordBatch:
    rows = draw(st.integers(0, 20))
    columns: dict[str, pa.Array] = {}
    for number in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["numbers", "text", "wide", "vectors"]))
        name = f"{kind} {number} {draw(st.text(max_size=3))}"
        if kind == "numbers":
            type = draw(st.sampled_from([pa.int64(), pa.uint64(), pa.uint32(), pa.float32()]))
            columns[name] = pa.array(range(rows), type)
        elif kind == "vectors":
            width = draw(st.integers(1, 9))
            flat = pa.array(np.arange(rows * width, dtype=np.float32))
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, width)
        else:
            texts = draw(st.lists(st.none() | st.text(max_size=4), min_size=rows, max_size=rows))
            columns[name] = pa.array(texts, pa.string() if kind == "text" else pa.large_string())
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


@settings(deadline=None)
@given(batches())
def test_columns_are_where_arrow_finds_them(batch: pa.RecordBatch) -> None:
    check(written(batch))


def test_files_of_older_versions_are_read() -> None:
    files = sorted((ROOT / "tests" / "data").rglob("*.arrow"))
    assert files
    for file in files:
        check(memoryview(file.read_bytes()))


BATCH = pa.RecordBatch.from_arrays([pa.array([1, 2]), pa.array(["a", None])], ["n", "t"])


@pytest.mark.parametrize("size", [0, 5, 10, 40, 200])
def test_a_part_of_a_file_is_refused(size: int) -> None:
    whole = written(BATCH)
    for data in (whole[:size], whole[len(whole) - size :]):
        with pytest.raises(ipc_file.NOT_READABLE):
            ipc_file.columns(data, 2)


def test_other_arrow_files_are_refused() -> None:
    with pytest.raises(ValueError, match="it has 2 record batches"):
        ipc_file.columns(written(BATCH, times=2), 2)
    with pytest.raises(ValueError, match="compressed"):
        ipc_file.columns(written(BATCH, compression="zstd"), 2)
    with pytest.raises(ValueError, match="it has 2 rows instead of 3"):
        ipc_file.columns(written(BATCH), 3)


@settings(deadline=None)
@given(st.data())
def test_damaged_footers_are_read_or_refused(data: Any) -> None:
    content = bytearray(written(BATCH))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(*ipc_file.NOT_READABLE):
        ipc_file.columns(memoryview(content), 2)


def test_buffers_that_lie_outside_of_the_file_are_refused() -> None:
    whole, refused = bytes(written(BATCH)), 0
    for at in range(0, len(whole), 8):  # one of these numbers is where a buffer is, one how long
        for number in (1 << 20, -(1 << 20)):
            content = whole[:at] + number.to_bytes(8, "little", signed=True) + whole[at + 8 :]
            try:
                ipc_file.columns(memoryview(content), 2)
            except ValueError as error:
                refused += "lies outside" in str(error)
            except ipc_file.NOT_READABLE:
                continue
    assert refused >= 20  # five buffers, and where they begin


def segment(folder: Path, content: bytes) -> Segment:
    """One whose records were written by somebody else: the checksum is right."""
    (folder / "seg-1").mkdir()
    (folder / "seg-1" / "records.arrow").write_bytes(content)
    ref = FileRef("records.arrow", len(content), xxhash.xxh3_64_hexdigest(content))
    return Segment(DiskFolder(str(folder)), SegmentRef("seg-1", 2, 2, (ref,)))


def batch(**columns: pa.Array) -> pa.RecordBatch:
    """Records, but for these columns."""
    whole = {
        "position": pa.array([1, 2]),
        "id": TWO,
        "document": TWO,
        "uri": TWO,
        "metadata": NULLS,
    } | columns
    return pa.RecordBatch.from_arrays(list(whole.values()), list(whole))


TWO, NULLS = pa.array(["a", "b"]), pa.array([None, None], pa.string())
NUMBERS = pa.array([1, 2], pa.int32())
TEXTS = pa.array([b"\xff", b"b"]).view(pa.string())
ODD = [
    (b"not Arrow at all", "not an Arrow file|ArrowInvalid"),
    (bytes(written(BATCH.slice(1))), "1 rows instead of 2"),
    (bytes(written(BATCH)), "KeyError"),
]
OF_OTHER_TYPES = bytes(written(batch(position=NUMBERS)))
NOT_UTF8 = bytes(written(batch(id=TEXTS, document=TEXTS, metadata=TEXTS)))


def with_offsets(*offsets: int) -> bytes:
    """Documents that begin and end elsewhere."""
    data = pa.py_buffer(np.array(offsets, np.int32).tobytes())
    texts = pa.Array.from_buffers(pa.string(), 2, [None, data, pa.py_buffer(b"ab")])
    return bytes(written(batch(document=texts)))


@pytest.mark.parametrize(
    ("read", "content", "why"),
    [
        *((read, *odd) for read in ("texts", "positions", "documents") for odd in ODD),
        ("texts", OF_OTHER_TYPES, "ValueError"),
        ("positions", OF_OTHER_TYPES, "ValueError"),
        ("texts", bytes(written(batch(id=NULLS))), "2 of its ids are null"),
        ("positions", bytes(written(batch(position=pa.array([2, 1])))), "do not ascend"),
        ("positions", bytes(written(batch(position=pa.array([-1, 1])))), "do not ascend"),
        ("positions", bytes(written(batch(position=pa.array([1, 2**63 - 1])))), "do not ascend"),
        ("mappings", bytes(written(batch(metadata=pa.array(["{}", "7"])))), "other than objects"),
        ("texts", with_offsets(0, 2, 1), "offsets"),
        ("texts", NOT_UTF8, "UnicodeDecodeError"),
        ("documents", NOT_UTF8, "Invalid UTF8"),
        ("mappings", NOT_UTF8, "JSONDecodeError"),
    ],
)
def test_a_segment_whose_file_is_not_what_it_has_is_corrupt(
    tmp_path: Path, read: str, content: bytes, why: str
) -> None:
    opened = segment(tmp_path, content)
    calls: dict[str, Callable[[], Any]] = {
        "texts": lambda: opened.texts("id", np.array([0])),
        "positions": lambda: opened.positions,
        "documents": lambda: opened.documents(0, 1),
        "mappings": lambda: opened.mappings(np.array([1])),
    }
    with pytest.raises(Corruption, match=rf"records\.arrow.*cannot be read as a segment's file.*({why})"):
        calls[read]()
