"""PCA: projected vectors with fewer dimensions for the graph search.

Owns: the projection and its dimension. A graph search spends nearly all its time reading vectors. Most of the
length of embeddings lies in few directions. Embeddings that are projected to half the dimension have the same
neighbours, and the exact kernel reranks the candidates by the stored vectors. The same holds for codes, which
have one byte for each number. `choose` measures on the vectors themselves whether this is so. If it is not,
for example for random vectors, the graph has more dimensions, or float32 vectors.

The directions are the eigenvectors of the vectors' second moments, with the largest eigenvalues first. No
other choice of the same number of directions keeps more of the squared lengths (Eckart and Young, 1936).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..interface.values import Floats
from .distance import Space, normalised

# A search in a graph of projected vectors returns at least and at most this many times k candidates, and all
# that it finds between these limits. They are then reranked by the stored vectors. Compared with always
# returning the least, recall@10 is 0.003 higher at an ef of 28, and 0.990 instead of 0.985 at an ef of 100.
# This costs 2 % of the time.
RERANK_LEAST, RERANK_MOST = 2, 3
# Of a large k, half as many again suffice: with 70,000 sentences and a k of 100, recall is 0.970 with 120
# candidates, 0.985 with 150 and 0.992 with 200, in 268, 333 and 405 us.
RERANK_MORE, RERANK_SHARE = 25, 1.5
# The mean share of the ten nearest rows that must be among the 20 nearest by projected vectors. 70,000
# sentences of 384 dimensions need 192 or 224 dimensions for this, depending on their order. Recall@10 is then
# about 0.005 lower than with the stored vectors at the same ef, and a graph search takes 0.6 of the time
# (docs/decisions/0011).
KEPT = 0.997
_NEAREST = 10
LEAST_DIMENSION = 128  # shorter vectors are only a few cache lines, so a projection saves little
LEAST_ROWS = 8192
MOST_CODED = 1 << 17  # numbers whose products, each up to 127 * 127, have sums of 32 bits
_STEP = 16  # the dimension is a multiple of this, the width of hnswlib's widest instructions
_SHARES = (1 / 4, 1 / 3, 5 / 12, 1 / 2, 7 / 12, 2 / 3, 3 / 4)
_SAMPLE, _QUERIES = 32_768, 64
_MOMENTS = 8192  # rows from which the directions are computed, but at least four times the dimension
_SEED = 7
_BLOCK = 2048  # rows rotated between two checks of the stop flag
_ROUNDING = 1e-5  # rounding error of shares near 1 in float32
_LONG = 1e30  # the largest square whose sums still fit into float32


def rerank_least(k: int) -> int:
    """Return how many candidates must at least be reranked for the `k` nearest rows."""
    return max(min(RERANK_LEAST * k, k + RERANK_MORE), int(RERANK_SHARE * k))


class Projection(NamedTuple):
    """A projection to fewer dimensions.

    matrix  (dimension, kept), with orthonormal columns; its values are exact in float16, the type on disk
    floor   the least share of their squared length that 999 of 1,000 rows keep
    """

    matrix: Floats
    floor: float

    @property
    def kept(self) -> int:
        """The dimension of projected vectors."""
        return int(self.matrix.shape[1])

    def apply(self, vectors: Floats) -> Floats:
        """Project vectors (n, dimension) to float32 (n, kept)."""
        with np.errstate(over="ignore", invalid="ignore"):  # a query that overflows is near to no row
            out: Floats = vectors @ self.matrix
        return out

    def out_of_distribution(self, queries: Floats, projected: Floats) -> list[int]:
        """Return the indices of the queries that keep less of their length than `floor`."""
        left = np.einsum("ij,ij->i", projected, projected)
        less = left < self.floor * np.einsum("ij,ij->i", queries, queries)
        return np.flatnonzero(less).tolist()


def choosing_bytes(rows: int, dimension: int) -> int:
    """Return the memory that `choose` takes, in bytes: a sample, and about as much for measuring."""
    return 14 * dimension * min(rows, _SAMPLE)


class Choice(NamedTuple):
    """How the vectors of a graph are represented.

    projection  None: the vectors are not projected
    coded       whether codes keep the neighbours
    """

    projection: Projection | None
    coded: bool


def choose(
    space: Space,
    vectors: Floats,
    *,
    coded: bool,
    stopped: Callable[[], bool] = lambda: False,
) -> Choice | None:
    """Choose the smallest representation that keeps the neighbours. None: `stopped` returned True.

    vectors  float32 (n, dimension)
    coded    whether codes of one byte per number may be used; then the projection is measured with them
    stopped  polled while measuring
    """
    rows, dimension = vectors.shape
    sample, picks = _sampled(space, vectors)
    exact = _Exact.of(space, sample, picks)
    coded = coded and dimension <= MOST_CODED and exact.keeps(sample, picks, True)
    if rows < LEAST_ROWS or dimension < LEAST_DIMENSION:
        return None if stopped() else Choice(None, coded)
    few = sample[:: max(1, len(sample) // max(_MOMENTS, 4 * dimension))]
    with np.errstate(over="ignore", invalid="ignore"):
        moments = few.T @ few
    if stopped():
        return None
    if not float(np.abs(moments).max()) < _LONG:
        return Choice(None, coded)
    _, directions = np.linalg.eigh(moments)
    directions = np.ascontiguousarray(directions[:, ::-1])
    turned = sample  # rotated in place, in blocks, so that it can be stopped and takes no more memory
    for block in _blocks(turned):
        if stopped():
            return None
        block[:] = block @ directions
    for kept in _dimensions(dimension):
        if stopped():
            return None
        first = turned[:, :kept]
        if exact.keeps(first, picks, coded):
            matrix = directions[:, :kept].astype(np.float16).astype(np.float32)
            return Choice(Projection(matrix, _floor(turned, directions.T @ matrix)), coded)
    return Choice(None, coded)


def judge(
    space: Space,
    vectors: Floats,
    projection: Projection | None,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Choice | None:
    """Judge a projection, or None, by other vectors than those for which it was chosen.

    `coded` is whether codes keep their neighbours as well as `choose` demands, and far fewer dimensions would
    not. The sample is that of `choose`, the floor that of these vectors. None: `stopped` returned True.
    """
    sample, picks = _sampled(space, vectors)
    changed = sample if projection is None else projection.apply(sample)
    if stopped():
        return None
    if projection is not None:
        projection = projection._replace(floor=_lowest(_squares(changed), _squares(sample)))
    exact = _Exact.of(space, sample, picks)
    coded = exact.keeps(changed, picks, True)
    if coded and projection is not None:
        smaller = [kept for kept in _dimensions(vectors.shape[1]) if kept < projection.kept]
        if len(smaller) > 1:  # one fewer may be just enough for one sample, and just not for another
            first = changed[:, : smaller[-2]]
            coded = not exact.keeps(first, picks, True)
    return None if stopped() else Choice(projection, coded)


def _blocks(vectors: Floats) -> Iterator[Floats]:
    """Views of the rows, `_BLOCK` at a time."""
    return (vectors[start : start + _BLOCK] for start in range(0, len(vectors), _BLOCK))


def _dimensions(dimension: int) -> list[int]:
    """Return the dimensions of projections that are tried, ascending."""
    return [round(dimension * share / _STEP) * _STEP for share in _SHARES]


def _sampled(space: Space, vectors: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return some vectors, and which of them are the queries; each also finds itself."""
    random = np.random.default_rng(_SEED)
    sample = vectors[np.sort(random.choice(len(vectors), min(len(vectors), _SAMPLE), replace=False))]
    if space == "cosine":
        for block in _blocks(sample):
            block[:] = normalised(block)
    return sample, random.choice(len(sample), min(len(sample), _QUERIES), replace=False)


def as_coded(vectors: Floats) -> Floats:
    """Round each number as a code does: to a 127th of the largest number of its vector."""
    step = np.abs(vectors).max(axis=1, keepdims=True) / np.float32(127)
    step[step == 0] = 1
    out: Floats = np.rint(vectors / step)
    out *= step
    return out


class _Exact(NamedTuple):
    """The exact nearest rows of some queries.

    scores  float64 (queries, rows), see `scores`
    limits  the greatest score of the nearest rows; rows at one distance are as good
    """

    space: Space
    scores: npt.NDArray[np.float64]
    limits: npt.NDArray[np.float64]

    @classmethod
    def of(cls, space: Space, vectors: Floats, picks: npt.NDArray[np.int64]) -> _Exact:
        queries, count = vectors[picks].astype(np.float64), min(_NEAREST + 1, len(vectors))
        # in float64, because float32 loses small differences of long vectors
        parts = [scores(space, block.astype(np.float64), queries) for block in _blocks(vectors)]
        found = np.concatenate(parts, axis=1)
        return cls(space, found, np.partition(found, count - 1, axis=1)[:, count - 1 : count])

    def keeps(self, changed: Floats, picks: npt.NDArray[np.int64], coded: bool) -> bool:
        """Whether the nearest rows are among the candidates that are found with changed vectors.

        picks  the rows that are the queries; they are not coded, because a search does not code them
        coded  whether the other rows are coded, in blocks, because whole copies would be the most memory
               that a build takes
        """
        count, queries = min(_NEAREST + 1, len(changed)), changed[picks]
        candidates = min(rerank_least(count), len(changed))
        parts = [
            scores(self.space, as_coded(block) if coded else block, queries) for block in _blocks(changed)
        ]
        rough = np.concatenate(parts, axis=1)
        if not np.isfinite(rough).all():
            return False
        found = np.argpartition(rough, candidates - 1, axis=1)[:, :candidates]
        good = (np.take_along_axis(self.scores, found, axis=1) <= self.limits).sum(axis=1)
        return bool(np.minimum(good, count).mean() >= KEPT * count)


def scores(space: Space, vectors: npt.NDArray[Any], queries: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers that order the vectors like their distances, with a line per query."""
    with np.errstate(over="ignore", invalid="ignore"):
        out: npt.NDArray[Any] = queries @ vectors.T
        out *= -1 if space != "l2" else -2
        if space == "l2":
            out += np.einsum("ij,ij->i", vectors, vectors)
    return out


def _floor(turned: Floats, matrix: Floats) -> float:
    """Compute `Projection.floor`. `matrix` projects rotated vectors with the same rounding as queries."""
    left = np.concatenate([_squares(block @ matrix) for block in _blocks(turned)])
    return _lowest(left, _squares(turned))


def _squares(vectors: Floats) -> Floats:
    """Return the squared length of each vector."""
    out: Floats = np.einsum("ij,ij->i", vectors, vectors)
    return out


def _lowest(left: Floats, whole: Floats) -> float:
    share = left / np.maximum(whole, np.finfo(np.float32).tiny)
    return float(np.quantile(share, 0.001)) - _ROUNDING
