"""Index files: what is written is read again; damage and lies are refused, whatever the checksum says."""

from __future__ import annotations

import random
import struct
from io import BytesIO
from typing import Any

import numpy as np
import orjson
import pytest
import xxhash

from chroma.storage.index import segment_index
from chroma.storage.index.segment_index import Content
from chroma.storage.interface.errors import Corruption
from chroma.storage.io.checksummed_writer import Hashing
from chroma.storage.manifest import FileRef, IndexRef

ROWS = 7
ARRAYS: dict[str, Any] = {
    "numbers": np.arange(10, dtype="<u4"),
    "bytes": np.frombuffer(b"some bytes of any length", np.uint8),
    "matrix": np.arange(6, dtype="<f4").reshape(2, 3),
    "empty": np.empty(0, "<i8"),
    "wide": np.empty((0, 3), "<u2"),
}
FACTS = {"count": 3, "mean": 1.5, "names": ["a", "ü"]}


class Sink(Hashing):
    def __init__(self) -> None:
        super().__init__()
        self.out = BytesIO()

    def write(self, data: Any) -> int:
        return self.out.write(data)


def written() -> bytes:
    sink = Sink()
    segment_index.write(sink, Content(ARRAYS, FACTS), kind="toy", key="#document", settings="v1", rows=ROWS)
    return sink.out.getvalue()


def read(data: bytes, kind: str = "toy", key: str = "#document", settings: str = "v1") -> Content:
    """Read it with a right checksum."""
    file = FileRef("index-0123456789ab.idx", len(data), xxhash.xxh3_64_hexdigest(data))
    return segment_index.read("there", memoryview(data), IndexRef(kind, key, settings, file), ROWS)


def parts(data: bytes) -> tuple[bytes, int, dict[str, Any], bytes]:
    magic, version, length = struct.unpack_from("<8sII", data)
    return magic, version, orjson.loads(data[16 : 16 + length]), data[16 + length :]


def joined(magic: bytes, version: int, header: Any, body: bytes, length: int | None = None) -> bytes:
    text = orjson.dumps(header)
    text += b" " * (-(16 + len(text)) % 64)
    return struct.pack("<8sII", magic, version, len(text) if length is None else length) + text + body


def test_what_is_written_is_read_again() -> None:
    data = written()
    content = read(data)
    assert content.facts == FACTS and list(content.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        found = content.arrays[name]
        assert found.dtype == array.dtype and found.shape == array.shape and np.array_equal(found, array)
    magic, version, header, body = parts(data)
    assert all(offset % 64 == 0 for _, _, offset in header["arrays"].values())
    assert np.shares_memory(content.arrays["numbers"], np.frombuffer(data, np.uint8))
    assert joined(magic, version, header, body) == data


@pytest.mark.parametrize(
    "other", [{"kind": "other"}, {"key": "other"}, {"settings": "v2"}], ids=lambda other: next(iter(other))
)
def test_the_index_of_something_else_is_refused(other: dict[str, str]) -> None:
    with pytest.raises(Corruption, match="something else"):
        read(written(), **other)


def test_damage_is_found_by_the_checksum() -> None:
    data = written()
    ref = IndexRef("toy", "#document", "v1", FileRef("there", len(data), xxhash.xxh3_64_hexdigest(data)))
    for at in (0, 20, len(data) - 1):
        damaged = bytearray(data)
        damaged[at] ^= 1
        with pytest.raises(Corruption, match="checksum"):
            segment_index.read("there", memoryview(bytes(damaged)), ref, ROWS)
    with pytest.raises(Corruption, match="checksum"):
        segment_index.read("there", memoryview(data[:-1]), ref, ROWS)


WRONG = [
    None,
    True,
    -1,
    -64,
    1,
    63,
    2**40,
    2**63,
    2**64 - 1,
    1.5,
    "x",
    "|O",
    "<u4",
    [],
    [3],
    [-1],
    [2**62],
    {},
]


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("name", ["numbers", "empty", "matrix"])
def test_arrays_that_lie_are_refused_or_lie_within_the_file(name: str, at: int) -> None:
    magic, version, header, body = parts(written())
    for wrong in WRONG:
        header["arrays"][name] = [*ARRAYS_OF[name][:at], wrong, *ARRAYS_OF[name][at + 1 :]]
        try:
            content = read(joined(magic, version, header, body))
        except Corruption:
            continue
        assert content.arrays[name].nbytes <= len(body)
        content.arrays[name].tobytes()


ARRAYS_OF = {name: list(entry) for name, entry in parts(written())[2]["arrays"].items()}


@pytest.mark.parametrize("entry", [None, 7, "x", [], ["<u4", [10]], {}, ["<u4", [2**39, 2**39], 0]])
def test_entries_of_no_shape_are_refused(entry: Any) -> None:
    magic, version, header, body = parts(written())
    header["arrays"]["numbers"] = entry
    with pytest.raises(Corruption):
        read(joined(magic, version, header, body))


@pytest.mark.parametrize("field", ["kind", "key", "settings", "rows", "facts", "arrays"])
def test_headers_that_lie_are_refused(field: str) -> None:
    magic, version, header, body = parts(written())
    for wrong in WRONG:
        if wrong == {} and field in ("facts", "arrays"):
            continue  # an empty one is none
        with pytest.raises(Corruption):
            read(joined(magic, version, {**header, field: wrong}, body))
    del header[field]
    with pytest.raises(Corruption):
        read(joined(magic, version, header, body))


def test_other_files_and_lengths_are_refused() -> None:
    magic, version, header, body = parts(written())
    for other in (
        joined(b"CHROMHN2", version, header, body),
        joined(magic, version + 1, header, body),
        joined(magic, version, header, body, length=1 << 31),
        joined(magic, version, header, body, length=5),
        joined(magic, version, [header], body),
        joined(magic, version, header, b""),
        written()[:12],
        b"",
    ):
        with pytest.raises(Corruption):
            read(other)


def test_random_changes_are_refused_or_harmless() -> None:
    dice, data = random.Random(5), written()
    for _ in range(500):
        changed = bytearray(data)
        for _ in range(dice.randint(1, 3)):
            changed[dice.randrange(400 if dice.random() < 0.9 else len(data))] = dice.randrange(256)
        try:
            content = read(bytes(changed))
        except Corruption:
            continue
        assert all(
            array.nbytes <= len(data) and array.tobytes() is not None for array in content.arrays.values()
        )


def test_arrays_that_readers_would_refuse_are_not_written() -> None:
    for array in (np.zeros(1, np.complex64), np.zeros((1, 1, 1), "<u4"), np.array(3, "<u4")):
        with pytest.raises(TypeError, match="the array odd"):
            content = Content({"odd": array}, {})
            segment_index.write(Sink(), content, kind="toy", key="k", settings="", rows=ROWS)
