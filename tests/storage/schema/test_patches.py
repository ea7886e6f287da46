"""The bytes of a patch: what is written is read, and everything else is refused by name."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson
import pytest

from chroma.storage.interface.errors import Corruption
from chroma.storage.schema.patches import UNCHANGED, Patch, decode_patch


def encoded(at: list[int], values: Any) -> bytes:
    return struct.pack("<II", len(at), 0) + np.array(at, np.int64).tobytes() + orjson.dumps(values)


def test_what_is_written_is_read() -> None:
    patch = Patch(
        np.array([7, 3, 1 << 40]),
        {"document": ["", "日本", UNCHANGED], "metadata": [None, '{"n":1}', UNCHANGED]},
    )
    found = decode_patch("file", patch.encode(), "it")
    assert found.at.tolist() == [7, 3, 1 << 40]
    assert found.values == patch.values


def test_a_part_of_a_patch() -> None:
    patch = Patch(np.array([5, 6, 7]), {"uri": ["a", UNCHANGED, None]})
    some = patch.take(np.array([2, 0]))
    assert (some.at.tolist(), some.values) == ([7, 5], {"uri": [None, "a"]})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (encoded([1], {"uri": ["a"]})[:12], "cannot be read"),
        (encoded([1], {"uri": ["a"]})[:-1], "cannot be read"),
        (encoded([], {"uri": []}), "has 0 records"),
        (encoded([-1], {"uri": ["a"]}), "not from 0 to 9"),
        (encoded([10], {"uri": ["a"]}), "not from 0 to 9"),
        (encoded([1], ["a"]), "not an object of lists"),
        (encoded([1], {}), "not an object of lists"),
        (encoded([1], {"id": ["a"]}), "not an object of lists"),
        (encoded([1], {"uri": "a"}), "other than as many of uri"),
        (encoded([1], {"uri": ["a", "b"]}), "other than as many of uri"),
        (encoded([1], {"uri": [1]}), "values of uri that are no texts"),
        (encoded([1], {"uri": [True]}), "values of uri that are no texts"),
        (encoded([2, 1, 2], {"uri": ["a", "b", "c"]}), "a record twice"),
    ],
)
def test_everything_else_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(Corruption, match=f"file.*it .*{message}"):
        decode_patch("file", data, "it", 9)
