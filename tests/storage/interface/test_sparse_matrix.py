"""Sparse vectors as arrays: the same JSON as that of the objects, compiled and not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma import SparseVector
from chroma.storage.interface import metadata_json
from chroma.storage.interface.sparse_matrix import SparseMatrix
from chroma.storage.native import kernel

vectors = st.lists(
    st.dictionaries(
        st.integers(0, 2**32 - 1), st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=5
    ),
    max_size=6,
)


def matrix(found: list[dict[int, float]]) -> SparseMatrix:
    indices = [index for each in found for index in sorted(each)]
    values = [each[index] for each in found for index in sorted(each)]
    starts = np.cumsum([0, *map(len, found)])
    return SparseMatrix(starts, np.array(indices, np.uint32), np.array(values, np.float64))


@settings(max_examples=200, deadline=None)
@given(vectors)
def test_json_is_that_of_the_objects(found: list[dict[int, float]]) -> None:
    objects = [SparseVector(sorted(each), [each[index] for index in sorted(each)]) for each in found]
    expected = [metadata_json.dumps(each).decode() for each in objects]
    assert matrix(found).as_json() == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "postings", None)
        assert matrix(found).as_json() == expected


def test_zeros_keep_their_signs() -> None:
    assert matrix([{1: 0.0, 2: -0.0}]).as_json()[0].endswith('"values":[0.0,-0.0]}')


@pytest.mark.parametrize("different", [1, 300, 5000])
def test_different_values_are_numbered(different: int) -> None:
    values = np.random.default_rng(different).integers(0, different, 20_000).astype(np.uint32) * 65_537
    numbers = np.empty(len(values), np.uint32)
    found = np.frombuffer(kernel.postings.distinct(values, numbers), np.uint32)  # type: ignore[union-attr]
    assert sorted(found.tolist()) == np.unique(values).tolist()
    assert found[numbers].tolist() == values.tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        ([0, 2], [1, 2], [0, 0], [b"1.0"]),
        ([0, 3], [1, 2], [0, 0], (b"1.0",)),
        ([0, 2, 1, 2], [1, 2], [0, 0], (b"1.0",)),
        ([0, 2], [1, 2], [0, 1], (b"1.0",)),
        ([0, 2], [1, 2], [0], (b"1.0",)),
        ([], [], [], ()),
        ([0, 2], [1, 2], [0, 0], ("1.0",)),
        ([0, 2], [1, 2], [0, 0], ("ü".encode(),)),
    ],
)
def test_the_compiled_part_refuses_what_does_not_fit(arguments: Any) -> None:
    starts, indices, numbers, texts = arguments
    with pytest.raises((TypeError, ValueError)):
        kernel.postings.vectors_json(  # type: ignore[union-attr]
            np.array(starts, np.int64), np.array(indices, np.uint32), np.array(numbers, np.uint32), texts
        )
