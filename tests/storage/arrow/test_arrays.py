"""Arrow arrays made by way of buffers are those that Arrow makes, and are read as it reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chroma.storage.arrow import arrays
from chroma.storage.arrow.arrays import number_array, numbers, text_array, to_list, valid
from chroma.storage.native import kernel

texts = st.lists(st.none() | st.text(max_size=5), max_size=40)
KINDS = [np.int32, np.int64, np.uint32, np.uint64, np.float32, np.float64, np.bool_]


def part(data: Any, array: pa.Array) -> tuple[pa.Array, slice]:
    """The array, or a part of it, which has an offset."""
    start = data.draw(st.integers(0, len(array)))
    stop = data.draw(st.integers(start, len(array)))
    return array[start:stop], slice(start, stop)


@pytest.fixture(params=["compiled", "numpy"])
def _both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel.compiled is not None
    if request.param == "numpy":
        monkeypatch.setattr(kernel, "compiled", None)


@pytest.mark.usefixtures("_both")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts, st.data())
def test_texts(values: list[str | None], data: Any) -> None:
    made = text_array(values)
    made.validate(full=True)
    assert made.type == pa.string() and made.equals(pa.array(values, pa.string()))
    for array in (made, pa.array(values, pa.string()), pa.array(values, pa.large_string())):
        some, span = part(data, array)
        assert to_list(some) == values[span]
        assert valid(some).tolist() == [value is not None for value in values[span]]


@pytest.mark.usefixtures("_both")
def test_texts_of_more_bytes_than_32_bits_can_count(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [None if number % 7 == 0 else f"text {number}" for number in range(200)]
    monkeypatch.setattr(arrays, "WIDE_TEXT", 1000)
    assert text_array(values).equals(pa.array(values, pa.large_string()))


@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize(
    ("wrong", "error"), [("\ud800", UnicodeEncodeError), (7, (TypeError, AttributeError))]
)
def test_what_is_no_text_is_refused(wrong: Any, error: Any) -> None:
    with pytest.raises(error):
        text_array(["a", wrong])


@settings(deadline=None)
@given(
    st.sampled_from(KINDS), st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=40), st.data()
)
def test_numbers(kind: type[np.generic], pairs: list[tuple[int, bool]], data: Any) -> None:
    values = np.array([value for value, _ in pairs]).astype(kind)
    there = np.array([each for _, each in pairs], np.bool_)
    for mask in (None, there):
        made = number_array(values, mask)
        made.validate(full=True)
        assert made.equals(pa.array(values, mask=None if mask is None else ~mask))
        some, span = part(data, made)
        read = numbers(some)
        assert read.dtype == values.dtype
        assert (
            valid(some).tolist() == (np.ones(len(values), np.bool_) if mask is None else there)[span].tolist()
        )
        assert read[valid(some)].tolist() == values[span][valid(some)].tolist()


@pytest.mark.parametrize("step", [2, -1])
def test_numbers_that_do_not_lie_side_by_side_are_copied(step: int) -> None:
    values = np.arange(10)[::step]
    assert number_array(values).to_pylist() == values.tolist()
