"""PCA: shorter, projected vectors for the graph search.

Owns: the projection and its dimension. Nearly all time of a graph search goes into reading vectors. Most of
the length of embeddings lies in few directions. Projected on half as many numbers, they have the same
neighbours, and the exact kernel reranks the candidates by whole vectors. `choose` measures on the vectors
themselves whether that holds. Where it does not, as with random vectors, the graph has the whole vectors.

The directions are the eigenvectors of the vectors' second moments, the largest first. No other choice of as
many directions keeps more of the squared lengths (Eckart and Young, 1936).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..interface.values import Floats
from ..native import kernel
from .distance import Space, normalised

# A search in a graph of projected vectors returns at least and at most this many times k candidates, and
# between these bounds all that it finds. The stored vectors then rerank them. Compared with the least,
# recall@10 is 0.003 higher at an ef of 28, and 0.990 instead of 0.985 at an ef of 100, for 2 % of the time.
RERANK_LEAST, RERANK_MOST = 2, 3
# The mean share of the ten nearest that must be among the 20 nearest by projected vectors. 70,000 sentences
# of 384 numbers need 192 or 224 for that, depending on their order. Recall@10 is then some 0.005 lower than
# with whole vectors at the same ef, and a graph search takes 0.6 of the time (docs/decisions/0011).
KEPT = 0.997
_NEAREST = 10
LEAST_DIMENSION = 128  # below, a vector is a few cache lines, and there is little to spare
LEAST_ROWS = 8192
_STEP = 16  # numbers; hnswlib's widest instructions take so many at a time
_SHARES = (1 / 4, 1 / 3, 5 / 12, 1 / 2, 7 / 12, 2 / 3, 3 / 4)
_SAMPLE, _QUERIES = 32_768, 64
_MOMENTS = 8192  # rows that the directions are taken from, or four times as many as there are numbers
_SEED = 7
_BLOCK = 2048  # rows turned between two looks at whether to stop
_QUICK = 1 << 20  # numbers of a matrix; larger ones are multiplied sooner by more than one core
_ROUNDING = 1e-5  # of shares near 1 in float32
_LONG = 1e30  # squares that leave room in float32 for sums of them


class Projection(NamedTuple):
    """`matrix`: (dimension, kept), orthonormal columns, of numbers that float16 holds, as the disk has them.
    `floor`: the share of the squared length that all rows but one in a thousand keep at least."""

    matrix: Floats
    floor: float

    @property
    def kept(self) -> int:
        """How many numbers are left of a vector."""
        return int(self.matrix.shape[1])

    def apply(self, vectors: Floats) -> Floats:
        """float32 (n, kept) from (n, dimension)."""
        with np.errstate(over="ignore", invalid="ignore"):  # far beyond the rows: nothing is near
            out: Floats = vectors @ self.matrix
        return out

    def apply_to_one(self, vector: Floats) -> tuple[Floats, float, float]:
        """float32 (1, kept) from (dimension,), and the squared lengths of both, the given one first."""
        if kernel.compiled is not None and self.matrix.size <= _QUICK:
            out = np.empty((1, self.kept), np.float32)
            square, left = kernel.compiled.reduce(vector, self.matrix, out[0])
            return out, square, left
        out = self.apply(vector[None, :])
        return out, float(np.vdot(vector, vector)), float(np.vdot(out, out))

    def out_of_distribution(self, queries: Floats, projected: Floats) -> list[int]:
        """The numbers of the queries that keep less of their length than the rows do."""
        left = np.einsum("ij,ij->i", projected, projected)
        less = left < self.floor * np.einsum("ij,ij->i", queries, queries)
        return np.flatnonzero(less).tolist()


def choose(space: Space, vectors: Floats, stopped: Callable[[], bool] = lambda: False) -> Projection | None:
    """The smallest projection that keeps the neighbours, or None, also when `stopped` says so on the way.
    `vectors`: float32 (n, dimension)."""
    rows, dimension = vectors.shape
    if rows < LEAST_ROWS or dimension < LEAST_DIMENSION:
        return None
    random = np.random.default_rng(_SEED)
    sample = vectors[np.sort(random.choice(rows, min(rows, _SAMPLE), replace=False))]
    if space == "cosine":
        sample = normalised(sample)
    few = sample[:: max(1, len(sample) // max(_MOMENTS, 4 * dimension))]
    with np.errstate(over="ignore", invalid="ignore"):
        moments = few.T @ few
    if not float(np.abs(moments).max()) < _LONG or stopped():
        return None
    _, directions = np.linalg.eigh(moments)
    directions = np.ascontiguousarray(directions[:, ::-1])
    turned = sample  # in place, a block at a time: so that it can be stopped, and takes no more memory
    for start in range(0, len(sample), _BLOCK):
        if stopped():
            return None
        turned[start : start + _BLOCK] = sample[start : start + _BLOCK] @ directions
    queries = turned[random.choice(len(turned), _QUERIES, replace=False)]
    nearest = _nearest(space, turned, queries, _NEAREST + 1)  # each finds itself, too
    for share in _SHARES:
        kept = round(dimension * share / _STEP) * _STEP
        found = _nearest(space, turned[:, :kept], queries[:, :kept], RERANK_LEAST * (_NEAREST + 1))
        shared = [len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(nearest, found)]
        if stopped():
            return None
        if np.mean(shared) >= KEPT * (_NEAREST + 1):
            matrix = directions[:, :kept].astype(np.float16).astype(np.float32)
            return Projection(matrix, _floor(turned, directions.T @ matrix))
    return None


def _nearest(space: Space, vectors: Floats, queries: Floats, count: int) -> npt.NDArray[np.intp]:
    """The rows of the nearest vectors in any order, a line per query."""
    scores = queries @ vectors.T
    scores *= -1 if space != "l2" else -2
    if space == "l2":
        scores += np.einsum("ij,ij->i", vectors, vectors)
    return np.argpartition(scores, count, axis=1)[:, :count]


def _floor(turned: Floats, matrix: Floats) -> float:
    """`matrix` projects vectors that are turned already, with the rounding that queries get as well."""
    projected = turned @ matrix
    whole = np.einsum("ij,ij->i", turned, turned)
    left = np.einsum("ij,ij->i", projected, projected)
    share = left / np.maximum(whole, np.finfo(np.float32).tiny)
    return float(np.quantile(share, 0.001)) - _ROUNDING
