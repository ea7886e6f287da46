"""Vectors of any dimension to points in the plane. Pure functions; the same input gives the same points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgumentError
from ..packages import require
from ..storage.types import Floats

_FEWEST = 4  # that umap can lay out

Points = npt.NDArray[np.float64]


class Projection(NamedTuple):
    """points: float64 (n, 2); axes: what the two stand for."""

    points: Points
    axes: tuple[str, str]


def unit(vectors: Floats) -> Floats:
    """The directions of the vectors, which are what cosine distances compare. Zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    scaled: Floats = vectors / lengths
    return scaled


def pca(vectors: Floats) -> Projection:
    """Onto the two directions in which the vectors (n, dim) differ most.

    A direction's sign is such that its farthest point is on the positive side. Vectors of one dimension
    lie on a line.
    """
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=0)
    rows, dimension = centred.shape
    # of the two matrices with the same eigenvalues, the smaller one
    if dimension <= rows:
        values, directions = np.linalg.eigh(centred.T @ centred)
        points = centred @ directions[:, :-3:-1]
    else:
        values, directions = np.linalg.eigh(centred @ centred.T)
        points = directions[:, :-3:-1] * np.sqrt(np.clip(values[:-3:-1], 0, None))
    points = np.pad(points[:, :2], ((0, 0), (0, 2 - min(2, points.shape[1]))))
    farthest = points[np.abs(points).argmax(axis=0), [0, 1]]
    points *= np.where(farthest < 0, -1, 1)
    total = values.sum()
    shares = [*(np.clip(values[::-1][:2], 0, None) / total if total > 0 else ()), 0, 0]
    return Projection(points, (_axis(1, shares[0]), _axis(2, shares[1])))


def _axis(number: int, share: float) -> str:
    return f"component {number} ({100 * share:.0f} % of the variance)"


def umap(vectors: Floats, space: str, seed: int) -> Projection:
    """With the package umap-learn, which keeps neighbours together and says nothing of far distances."""
    module: Any = require("umap", "umap", "plot(method='umap')", "umap-learn")
    if len(vectors) < _FEWEST:
        raise InvalidArgumentError(
            f"method='umap' needs at least {_FEWEST} records, there are {len(vectors)}: use method='pca'"
        )
    layout = module.UMAP(
        n_components=2,
        n_neighbors=min(15, len(vectors) - 1),
        metric="euclidean" if space == "l2" else "cosine",
        random_state=seed,
        n_jobs=1,  # more threads would make it depend on their order
    )
    return Projection(np.asarray(layout.fit_transform(vectors), dtype=np.float64), ("UMAP 1", "UMAP 2"))
