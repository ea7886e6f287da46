"""The index over n-grams: no unit in which a text begins is left out, compiled or in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.index import ngrams
from chroma.storage.index.ngrams import Ngrams
from chroma.storage.index.segment_index import Content
from chroma.storage.native import kernel

CHECKED = settings(max_examples=150, derandomize=True, database=None, deadline=None)
native: Any = kernel.text


def build(data: bytes) -> Content:
    content = ngrams.build(
        np.frombuffer(data, np.uint8), lambda: False, lambda size: memoryview(bytearray(size))
    )
    assert content is not None
    return content


@CHECKED
@given(
    seed=st.binary(min_size=1, max_size=8),
    times=st.integers(1, 200),
    more=st.binary(max_size=300),
    wider=st.integers(0, 40),
    overlap=st.integers(1, 20),
    slices=st.integers(1, 70),
    step=st.integers(1, 3),
)
def test_units_are_those_in_which_the_text_begins_and_others(
    seed: bytes, times: int, more: bytes, wider: int, overlap: int, slices: int, step: int
) -> None:
    data, unit = seed * times + more, overlap + wider
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"UNIT": unit, "OVERLAP": overlap, "SLICES": slices, "_STEP": step}.items():
            patch.setattr(ngrams, name, value)
        content = build(data)
        patch.setattr(kernel, "text", None)
        assert np.array_equal(build(data).arrays["bits"], content.arrays["bits"])
        index = Ngrams.read(content, len(data))
        for start in range(0, len(data), max(1, len(data) // 9)):
            for length in (3, 4, overlap + 2, overlap + 9):
                needle = data[start : start + length]
                units = index.units(needle)
                if units is None:
                    assert len(needle) < 3
                    continue
                begins = [at for at in range(len(data)) if data.startswith(needle, at)]
                bits = np.unpackbits(units.view(np.uint8), bitorder="little")
                assert bits[np.array(begins) // unit].all()


def test_the_bits_are_those_that_the_format_describes() -> None:
    data = "aé日 some text, longer than a unit: ".encode() * 20
    bits = build(data).arrays["bits"]
    assert bits.shape == (512, 1) and bits.dtype == np.uint64
    expected = np.zeros((512, 1), np.uint64)
    for at in range(len(data) - 2):
        gram = (data[at] * 256 + data[at + 1]) * 256 + data[at + 2]
        slice = (gram * 2654435761 % 2**32) * 512 // 2**32
        for unit in {at // 256, max(at - 32, 0) // 256}:
            expected[slice, 0] |= np.uint64(1 << unit)
    assert np.array_equal(bits, expected)


def test_rare_texts_have_few_units() -> None:
    words = [f"word{number * 7919 % 100003}" for number in range(40_000)]
    data = " ".join(words).encode()
    content = build(data)
    index = Ngrams.read(content, len(data))
    assert content.arrays["bits"].nbytes <= 0.26 * len(data) + 4096
    units = index.units(b" word7919 ")
    assert units is not None
    bits = np.unpackbits(units.view(np.uint8), bitorder="little")
    assert bits[data.index(b" word7919 ") // ngrams.UNIT] and bits.sum() < 0.05 * len(data) / ngrams.UNIT
    absent = index.units(b"zyxqwv")
    assert absent is not None and np.unpackbits(absent.view(np.uint8)).sum() <= 5


def test_a_build_stops() -> None:
    assert ngrams.build(np.zeros(10, np.uint8), lambda: True, bytearray) is None  # type: ignore[arg-type]


def test_no_text_has_no_units() -> None:
    for data in (b"", b"a", b"ab", b"abc"):
        index = Ngrams.read(build(data), len(data))
        units = index.units(b"abc")
        assert units is not None and units.any() == (data == b"abc")


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, facts: facts.update(bytes=601),
        lambda arrays, facts: facts.pop("bytes"),
        lambda arrays, facts: facts.update(bytes="600"),
        lambda arrays, facts: arrays.pop("bits"),
        lambda arrays, facts: arrays.update(bits=arrays["bits"].view(np.int64)),
        lambda arrays, facts: arrays.update(bits=arrays["bits"][:-1]),
        lambda arrays, facts: arrays.update(bits=arrays["bits"].reshape(-1)),
        lambda arrays, facts: arrays.update(bits=np.concatenate([arrays["bits"]] * 2, axis=1)),
    ],
)
def test_content_that_cannot_be_is_refused(change: Any) -> None:
    content = build(b"some text" * 100)
    Ngrams.read(content, 900)
    arrays, facts = dict(content.arrays), dict(content.facts)
    change(arrays, facts)
    with pytest.raises(ValueError, match="not the index of 900 bytes"):
        Ngrams.read(Content(arrays, facts), 900)


OFFSETS, DATA, OUT = np.array([0, 3, 6], np.int32), np.frombuffer(b"abcdef", np.uint8), np.zeros(2, np.bool_)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.array([0, 4, 3, 6], np.int32), DATA, b"b", 0, 0, 0, None, 1, np.zeros(3, np.bool_)),
        (np.array([0, 3, 7], np.int32), DATA, b"b", 0, 0, 0, None, 1, OUT),
        (np.array([-1, 3, 6], np.int32), DATA, b"b", 0, 0, 0, None, 1, OUT),
        (np.array([0, 3, 5], np.int64), DATA, b"b", 0, 0, 0, None, 1, OUT),
        (np.array([], np.int64), DATA, b"b", 0, 0, 0, None, 1, OUT),
        (OFFSETS.astype(np.int16), DATA, b"b", 0, 0, 0, None, 1, OUT),
        (OFFSETS, DATA, b"", 0, 0, 0, None, 1, OUT),
        (OFFSETS, DATA, b"b", 1, 0, 0, None, 1, OUT),
        (OFFSETS, DATA, b"b", 0, -1, 0, None, 1, OUT),
        (OFFSETS, DATA, b"b", 0, 0, 1, None, 1, OUT),
        (OFFSETS, DATA, b"b", 0, 0, 0, None, 0, OUT),
        (OFFSETS, DATA, b"b", 0, 0, 0, np.zeros(1, np.uint8), 1, OUT),
        (OFFSETS, DATA, b"b", 0, 0, 0, None, 1, np.zeros(3, np.bool_)),
        (OFFSETS, DATA, "b", 0, 0, 0, None, 1, OUT),
        (OFFSETS, DATA, b"b", 0, 0, 0, None, 1, DATA),
        (OFFSETS, DATA, b"b", 0, 0, 0, None, 2**70, OUT),
        (OFFSETS, DATA, b"b", 0, 0, 0, None, 2**40, OUT),
        (OFFSETS, DATA),
    ],
)
def test_the_compiled_scan_refuses_what_does_not_fit(arguments: Any) -> None:
    with pytest.raises((TypeError, ValueError, BufferError, OverflowError)):
        native.contains(*arguments)


def test_more_units_than_bytes_do_no_harm() -> None:
    units = np.zeros(100, np.uint64)
    units[0], units[95:] = 1, ~np.uint64(0)  # few enough to be looked at one by one
    assert native.contains(OFFSETS, DATA, b"b", 0, 0, 0, units, 1, OUT.copy()) == 0
    assert native.contains(OFFSETS, DATA, b"a", 0, 0, 0, units, 1 << 20, OUT.copy()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (DATA, 0, 1, 0, np.zeros((4, 1), np.uint64)),
        (DATA, 1, -1, 0, np.zeros((4, 1), np.uint64)),
        (DATA, 1, 1, -1, np.zeros((4, 1), np.uint64)),
        (DATA, 1, 1, 2**62, np.zeros((4, 1), np.uint64)),
        (DATA, 1, 1, 0, np.zeros(4, np.uint64)),
        (DATA, 1, 1, 0, np.zeros((0, 4), np.uint64)),
        (DATA, 1, 1, 0, np.zeros((4, 4), np.uint64)[:, ::2]),
        (DATA, 1, 1, 0, np.zeros((4, 1), np.uint32)),
        (DATA.view(np.uint16), 1, 1, 0, np.zeros((4, 1), np.uint64)),
        (DATA, 1, 1, 0),
    ],
)
def test_the_compiled_build_refuses_what_does_not_fit(arguments: Any) -> None:
    with pytest.raises((TypeError, ValueError, BufferError, OverflowError)):
        native.ngrams(*arguments)
