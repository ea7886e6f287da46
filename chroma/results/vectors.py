"""`Vectors`: the vectors of records as a matrix."""

from typing import Any, NamedTuple

import numpy as np

from ..storage.interface.values import Rows


class Vectors(NamedTuple):
    """The vectors of some records.

    ids     list[str]
    matrix  float32 (n, dim), with the vector of ids[row] in each row
    """

    ids: list[str]
    matrix: np.ndarray[Any, np.dtype[np.float32]]


Vectors.__module__ = "chroma.api.types"


def vectors_of(rows: Rows, dimension: int | None) -> Vectors:
    """Return the vectors of rows that were read."""
    empty = np.empty((0, dimension or 0), np.float32)
    return Vectors(rows.ids, empty if rows.embeddings is None or not len(rows.ids) else rows.embeddings)
