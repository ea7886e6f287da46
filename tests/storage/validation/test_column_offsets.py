"""Columns that can be read without looking, and those that cannot: compiled and in numpy the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chroma.storage.native import kernel
from chroma.storage.validation import column_offsets

compiled: Any = kernel.compiled


@pytest.fixture(params=["compiled", "numpy"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "numpy":
        monkeypatch.setattr(kernel, "compiled", None)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_offsets_lie_in_the_bytes_and_never_fall(kind: type[Any]) -> None:
    def fits(*offsets: int) -> bool:
        return column_offsets.offsets_fit(memoryview(np.array(offsets, kind)), 9)

    assert fits(0) and fits(9) and fits(0, 0, 4, 9) and fits(2, 9)
    assert not any((fits(-1, 4), fits(0, 10), fits(10), fits(0, 5, 4, 9), fits(0, 9, 4), fits(-5, -5)))
    many = np.arange(1000).astype(kind)
    assert column_offsets.offsets_fit(memoryview(many), 999)
    for place in range(1, 999):
        wrong = many.copy()
        wrong[place] = many[place - 1] - 1
        assert not column_offsets.offsets_fit(memoryview(wrong), 999)


def test_numbers_ascend() -> None:
    numbers = np.arange(1000)
    assert (
        column_offsets.ascends(numbers)
        and column_offsets.ascends(numbers[:0])
        and column_offsets.ascends(numbers // 2)
    )
    for place in range(1, 1000):
        wrong = numbers.copy()
        wrong[place] = place - 2
        assert not column_offsets.ascends(wrong)


def test_rows_are_named_once() -> None:
    random = np.random.default_rng(0)
    for count in (0, 1, 2, 7, 8, 9, 1000):
        rows = random.permutation(count).astype(np.uint32)
        assert column_offsets.names_each(rows)
        for wrong in (count, 2**32 - 1, *([int(rows[0])] if count > 1 else [])):
            if count:
                changed = rows.copy()
                changed[-1] = wrong
                assert not column_offsets.names_each(changed)


@pytest.mark.parametrize(
    "call",
    [
        lambda: compiled.offsets_fit(memoryview(np.array([], np.int32)), 9),
        lambda: compiled.offsets_fit(memoryview(np.zeros(2, np.uint8)), 9),
        lambda: compiled.offsets_fit(memoryview(np.zeros(2, np.int32)), "9"),
        lambda: compiled.offsets_fit(7, 9),
        lambda: compiled.offsets_fit(memoryview(np.zeros(2, np.int32))),
        lambda: compiled.ascends(np.zeros(2, np.int32)),
        lambda: compiled.names_each(np.zeros(2, np.int32)),
    ],
)
def test_what_is_not_of_its_kind_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        call()
