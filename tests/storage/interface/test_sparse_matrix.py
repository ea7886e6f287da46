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
    same = [text.replace("-0.0", "0.0") for text in expected]  # equal values have one text
    assert [text.replace("-0.0", "0.0") for text in matrix(found).as_json()] == same
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "postings", None)
        assert [text.replace("-0.0", "0.0") for text in matrix(found).as_json()] == same


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
