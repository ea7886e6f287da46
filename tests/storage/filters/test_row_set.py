"""Sets of rows are read-only: threads share those that the filter cache keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma.storage.filters.row_set import RowSet, none

MASK = np.array([False, True, False, True])
PUBLIC = ("bits", "by_rows", "count", "mask", "nbytes", "rows", "size", "some")


def test_no_attribute_of_a_set_can_be_assigned() -> None:
    one = RowSet(4, mask=MASK)
    assert {name for name in dir(RowSet) if not name.startswith("_")} == {
        *PUBLIC,
        "bytes",
        "first",
        "without",
    }
    for name in (*PUBLIC, "far"):
        with pytest.raises(AttributeError):
            setattr(one, name, 1)
        with pytest.raises(AttributeError):
            delattr(one, name)


def _read(one: RowSet, names: Any) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in names}
    return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in values.items()}


@pytest.mark.parametrize("given", [{"rows": np.array([1, 3])}, {"mask": MASK}, {"mask": ~MASK & MASK}])
def test_an_attribute_is_the_same_whatever_was_asked_before(given: Any) -> None:
    fresh = {name: _read(RowSet(4, **given), [name])[name] for name in PUBLIC}
    for first in PUBLIC:
        one = RowSet(4, **given)
        getattr(one, first)
        assert _read(one, PUBLIC) == _read(one, reversed(PUBLIC)) == fresh


def test_a_set_by_row_numbers_knows_that_it_is_empty() -> None:
    assert not none(4).some
    assert RowSet(4, rows=np.array([1])).some
