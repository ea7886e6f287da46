"""`Entries`: the components of the sparse vectors of many rows, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..interface.sparse_matrix import SparseMatrix
from ..interface.sparse_vector import SparseVector

Ids = npt.NDArray[np.uint32]


class Entries(NamedTuple):
    """The components of vectors, one entry each, in the order of the rows.

    rows    uint32 (n,), ascending
    terms   uint32 (n,), ascending within a row: the index of a component, or the hash of a word
    values  float32 (n,), or uint16 (n,) for frequencies of words
    """

    rows: Ids
    terms: Ids
    values: npt.NDArray[Any]


_INDICES, _VALUES = attrgetter("indices"), attrgetter("values")


def of_vectors(rows: Ids, vectors: Sequence[SparseVector]) -> Entries:
    """Return the entries of some vectors, given with their rows, ascending."""
    counts = np.fromiter(map(len, map(_INDICES, vectors)), np.int64, len(vectors))
    size = int(counts.sum())
    return Entries(
        np.repeat(rows, counts),
        np.fromiter(chain.from_iterable(map(_INDICES, vectors)), np.uint32, size),
        np.fromiter(chain.from_iterable(map(_VALUES, vectors)), np.float64, size).astype(np.float32),
    )


def of_matrix(rows: Ids, vectors: SparseMatrix) -> Entries:
    """Return the entries of some vectors, given with their rows, ascending."""
    owners = np.repeat(rows, np.diff(vectors.starts))
    return Entries(owners, vectors.indices, vectors.values.astype(np.float32))


def join(parts: Sequence[Entries]) -> Entries:
    """Concatenate entries of consecutive rows."""
    return parts[0] if len(parts) == 1 else Entries(*(np.concatenate(column) for column in zip(*parts)))
