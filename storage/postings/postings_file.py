"""Inverted indexes as index files of a segment.

Owns: which arrays of an index file hold which part of the postings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..index.segment_index import Content
from . import postings as inverted
from .postings import Postings

KIND = "postings"  # of sparse vectors
SETTINGS = "1"  # the version of what is in the arrays
_TYPES = {"terms": "<u4", "starts": "<i8", "rows": "<u4"}


def content_of(postings: Postings) -> Content:
    """Return the content of an inverted index's file."""
    arrays = {name: array for name, array in postings._asdict().items() if isinstance(array, np.ndarray)}
    return Content(arrays, {})


def opened(content: Content, rows: int) -> Postings:
    """Return the inverted index in a file of a segment with these rows. Raises ValueError for another."""
    arrays = dict(content.arrays)
    number = "<u2" if "lengths" in arrays else "<f4"
    types = _TYPES | {"values": number, "most": number} | ({"lengths": "<u4"} if "lengths" in arrays else {})
    if {name: array.dtype.str for name, array in arrays.items()} != types:
        raise ValueError(f"it has the arrays {sorted(arrays)}")
    if any(array.ndim != 1 for array in arrays.values()):
        raise ValueError("it has an array of two dimensions")
    columns: dict[str, Any] = arrays
    return inverted.checked(Postings(**columns), rows)
