"""Projects vectors of any dimension to points in the plane. The functions are pure and deterministic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgumentError
from ..internal.optional_dependencies import require
from ..storage.interface.values import Floats

_FEWEST = 4  # minimum number of vectors for t-SNE and UMAP
_PERPLEXITY, _STEPS = 30, 500  # the usual perplexity; with more steps, 5,000 points hardly move any more

# For 5,000 vectors of 3,072 dimensions, all directions take 11 s, the first two by iteration take 1 s.
_LARGE = 768
_BLOCK = 24
_ROUNDS = 60
_EXACT = 1e-9
_ROWS = 2048  # rows that are float64 at a time

Points = npt.NDArray[np.float64]


class Projection(NamedTuple):
    """points: float64 (n, 2); axes: the names of the two axes; variance: the shares that PCA's axes show."""

    points: Points
    axes: tuple[str, str]
    variance: tuple[float, float] | None = None


def unit(vectors: Floats) -> Floats:
    """Scale the vectors to length 1, since cosine distances compare only directions. Zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    scaled: Floats = vectors / lengths
    return scaled


def pca(vectors: Floats) -> Projection:
    """Project onto the two directions in which the vectors (n, dim) vary most.

    The sign of a direction is chosen so that its farthest point is on the positive side. Vectors of one
    dimension lie on a line.
    """
    centred = _Centred(vectors)
    points = centred.times(_directions(centred))
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    farthest = points[np.abs(points).argmax(axis=0), [0, 1]]
    points *= np.where(farthest < 0, -1, 1)
    whole = sum(float(np.square(block).sum()) for block in centred.blocks())
    shares = np.square(points).sum(axis=0) / whole if whole > 0 else np.zeros(2)
    one, two = map(float, shares)
    return Projection(points, (_axis(1, one), _axis(2, two)), (one, two))


class _Centred:
    """Vectors (n, dim) less their mean. As float64, only blocks of them are in memory."""

    def __init__(self, vectors: Floats) -> None:
        self._vectors = vectors
        self.shape = vectors.shape
        self._mean = vectors.mean(axis=0, dtype=np.float64)

    def blocks(self) -> Iterator[Points]:
        for start in range(0, len(self._vectors), _ROWS):
            yield self._vectors[start : start + _ROWS] - self._mean

    def times(self, matrix: Points) -> Points:
        """The product with a matrix (dim, m): (n, m)."""
        return np.concatenate([block @ matrix for block in self.blocks()])

    def transposed_times(self, matrix: Points) -> Points:
        """The product of the transposed vectors with a matrix (n, m): (dim, m)."""
        out, start = np.zeros((self.shape[1], matrix.shape[1])), 0
        for block in self.blocks():
            out += block.T @ matrix[start : start + len(block)]
            start += len(block)
        return out

    def products(self) -> Points:
        """The products of all pairs of columns: (dim, dim)."""
        out = np.zeros((self.shape[1], self.shape[1]))
        for block in self.blocks():
            out += block.T @ block
        return out


def _directions(centred: _Centred) -> Points:
    """Return the first two principal directions as (dim, 2). (dim, 1) if there is only one dimension."""
    rows, dimension = centred.shape
    if min(rows, dimension) > _LARGE and (found := _iterated(centred)) is not None:
        return found
    # uses the smaller of the two matrices with the same eigenvalues
    if dimension <= rows:
        return np.asarray(np.linalg.eigh(centred.products())[1][:, :-3:-1])
    few = np.concatenate([*centred.blocks()])
    values, eigenvectors = np.linalg.eigh(few @ few.T)
    lengths = np.sqrt(np.clip(values[:-3:-1], 0, None))
    return np.asarray((few.T @ eigenvectors[:, :-3:-1]) / np.where(lengths > 0, lengths, 1))


def _iterated(centred: _Centred) -> Points | None:
    """Compute the same directions by simultaneous iteration. None if it does not converge.

    It is as exact, and much faster if a few directions dominate.
    """
    block = np.random.default_rng(0).normal(size=(centred.shape[1], _BLOCK))
    for _ in range(_ROUNDS):
        block = np.linalg.qr(block)[0]
        image = centred.transposed_times(centred.times(block))
        values, turned = np.linalg.eigh(block.T @ image)
        found = block @ turned[:, :-3:-1]
        error = image @ turned[:, :-3:-1] - found * values[:-3:-1]
        if np.abs(error).max() <= _EXACT * values[-1]:
            return np.asarray(found)
        block = image
    return None


def _axis(number: int, share: float) -> str:
    return f"component {number} ({100 * share:.0f} % of the variance)"


def project(method: str, vectors: Floats, space: str, seed: int) -> Projection:
    """Project with the method "pca", "tsne" or "umap"."""
    if method == "pca":
        return pca(vectors)
    if len(vectors) < _FEWEST:
        raise InvalidArgumentError(
            f"method={method!r} needs at least {_FEWEST} records, there are {len(vectors)}: use method='pca'"
        )
    return (tsne if method == "tsne" else umap)(vectors, space, seed)


def tsne(vectors: Floats, space: str, seed: int) -> Projection:
    """Project with scikit-learn's t-SNE, which keeps neighbours together. Large distances have no meaning."""
    module: Any = require("sklearn.manifold", "tsne", "plot(method='tsne')", "scikit-learn")
    layout = module.TSNE(
        perplexity=min(_PERPLEXITY, (len(vectors) - 1) / 3),
        max_iter=_STEPS,
        init="pca",
        random_state=seed,
    )
    points = layout.fit_transform(vectors if space == "l2" else unit(vectors))
    return Projection(np.asarray(points, dtype=np.float64), ("t-SNE 1", "t-SNE 2"))


def umap(vectors: Floats, space: str, seed: int) -> Projection:
    """Project with umap-learn, which keeps neighbours together. Large distances have no meaning."""
    module: Any = require("umap", "umap", "plot(method='umap')", "umap-learn")
    layout = module.UMAP(
        n_components=2,
        n_neighbors=min(15, len(vectors) - 1),
        metric="euclidean" if space == "l2" else "cosine",
        random_state=seed,
        n_jobs=1,  # with more threads, the result would depend on their order
    )
    return Projection(np.asarray(layout.fit_transform(vectors), dtype=np.float64), ("UMAP 1", "UMAP 2"))
