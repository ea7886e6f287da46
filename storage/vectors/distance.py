"""Exact distances.

Owns: the only kernel for the distances that users see, and the exact search for nearest rows. All functions
are pure.

l2 is the squared Euclidean distance, cosine is 1 - cos (1.0 if a vector is zero), ip is 1 - dot. `exact` sums
in float64 over the stored float32 values, row by row. A pair of vectors thus has the same distance on every
path. It is compiled (`_kernel.c`) if possible, otherwise it uses numpy. `nearest` first ranks by products in
float32. It keeps every row that rounding errors could have hidden, so its answer is exact.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..interface.values import Floats
from ..native import kernel
from ..schema.record_columns import Ints

Space: TypeAlias = Literal["l2", "cosine", "ip"]
Doubles: TypeAlias = npt.NDArray[np.float64]
_EXACT_BLOCK = 512  # rows converted to float64 at a time: 1.5 MB at 384 dimensions, which allocators reuse
# Beyond these squared lengths, float32 products are too inexact, and vectors are compared exactly.
_SHORT, _LONG = 1e-30, 1e30
_TINY = float(np.finfo(np.float64).tiny)
_BLOCK = 512  # rows gathered at a time: 0.75 MB at 384 dimensions, which stays in the second-level cache
_DENSE = 1.5  # gathering a row writes and reads it once more than reading it in place
_EPSILON = float(np.finfo(np.float32).eps)
# Up to this many numbers, comparing the rows with each query of a batch is faster than a matrix product: it
# takes 21 us per query instead of 28 for 700 x 384, and 76 instead of 67 (on two cores) for 3,000 x 384.
_FEW = 1 << 20
_scratch = threading.local()
# A product of this many numbers occupies all cores, and BLAS threads spin while other products use the cores.
_LARGE = 1 << 19
_whole = threading.Lock()
_PRODUCTS = 1 << 23  # the most numbers in a block of products: 32 MB
_GATHERED = 1 << 25  # the most numbers in rows that are copied to be multiplied: 128 MB


def _after_fork() -> None:
    """Make a new lock in a forked child, because the thread that held the old one does not exist there."""
    global _whole
    _whole = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def exact(
    space: Space, query: Floats, vectors: Floats, rows: Ints | None = None, lengths: Doubles | None = None
) -> Floats:
    """Compute the distances from `query` (dim,) to `vectors` (n, dim), as float32 (m,).

    rows     the rows of `vectors` to compare, (m,); None: all rows
    lengths  the lengths of all vectors, from the function `lengths`, if known
    """
    out = np.empty(len(vectors) if rows is None else len(rows), np.float32)
    if kernel.compiled is not None:
        kernel.compiled.distances(space, query, vectors, rows, lengths, out)
        return out
    wide = _wide(space, query)
    for start in range(0, len(out), _EXACT_BLOCK):  # all at once, float64 would take twice their memory
        block = slice(start, start + _EXACT_BLOCK)
        part = block if rows is None else rows[block]
        out[block] = _exact(space, wide, vectors[part], None if lengths is None else lengths[part])
    return out


def ranked(
    space: Space, query: Floats, vectors: Floats, *, rows: Ints, k: int, lengths: Doubles | None = None
) -> tuple[Ints, Floats]:
    """Return the `k` nearest of `rows` (all of them if there are fewer), and their distances.

    The distances ascend. Ties are ordered by row.
    """
    if kernel.compiled is not None:
        k = min(k, len(rows))
        found, distances = np.empty(k, np.int64), np.empty(k, np.float32)
        kernel.compiled.nearest(space, query, vectors, rows, lengths, found, distances)
        return found, distances
    distances = exact(space, query, vectors, rows, lengths)
    order = np.lexsort((rows, distances))[:k]
    return rows[order], distances[order]


def _wide(space: Space, query: Floats) -> Doubles:
    """Convert a query (dim,) for the kernel, to float64. For cosine, it is normalised."""
    wide: Doubles = query.astype(np.float64)
    return wide / _lengths(wide[None, :]) if space == "cosine" else wide


def _exact(space: Space, wide_query: Doubles, vectors: Floats, known: Doubles | None) -> Floats:
    """Compute `exact` in numpy for a block of vectors. `known` has their lengths, if known."""
    wide = vectors.astype(np.float64)
    if space == "l2":
        wide -= wide_query
        out = _sums(wide * wide)
    else:
        out = _sums(wide * wide_query)
        if space == "cosine":
            out /= _lengths(wide) if known is None else known
        np.subtract(1.0, out, out=out)
    with np.errstate(over="ignore"):
        return out.astype(np.float32)


def _sums(products: Doubles) -> Doubles:
    """Sum each row in the order of `_kernel.c`: first every eighth number, then these eight sums."""
    rows, count = products.shape
    if rest := -count % 8:
        products = np.concatenate([products, np.zeros((rows, rest))], axis=1)
    eight = products.reshape(rows, (count + rest) // 8, 8).sum(axis=1)
    four = eight[:, :4] + eight[:, 4:]
    out: Doubles = (four[:, 0] + four[:, 1]) + (four[:, 2] + four[:, 3])
    return out


def _lengths(wide: Doubles) -> Doubles:
    out = np.sqrt(_sums(wide * wide))
    return np.maximum(out, _TINY, out=out)  # each product with a zero vector is 0, so its distance is 1


def lengths(vectors: Floats) -> Doubles:
    """Compute the length of each vector (n, dim), float64 (n,). It is never 0, so dividing by it is safe."""
    out = np.empty(len(vectors), np.float64)
    if kernel.compiled is not None:
        kernel.compiled.lengths(vectors, out)
        return out
    for start in range(0, len(vectors), _EXACT_BLOCK):
        block = vectors[start : start + _EXACT_BLOCK].astype(np.float64)
        out[start : start + _EXACT_BLOCK] = _lengths(block)
    return out


def nearest(
    space: Space,
    query: Floats,
    vectors: Floats,
    *,
    norms: Floats,
    rows: Ints | None,
    k: int,
    lengths: Doubles | None = None,
    dots: Floats | None = None,
) -> tuple[Ints, Floats]:
    """Find the `k` nearest rows, and their distances. The distances ascend, and ties are ordered by row.

    norms    the squared length of each vector
    rows     the rows to compare, ascending; None: all rows
    lengths  the lengths of all vectors, from the function `lengths`, if known
    dots     the products of the query with these rows in float32, if known
    """
    count = len(vectors) if rows is None else len(rows)
    picked = np.arange(count) if rows is None else rows
    if count > k:
        if kernel.compiled is not None and dots is None:
            found, distances = np.empty(k, np.int64), np.empty(k, np.float32)
            kernel.compiled.scan(space, query, vectors, rows, lengths, norms, found, distances)
            return found, distances
        rough, slack = _rough(space, query, vectors, norms=norms, rows=rows, dots=dots)
        limit = np.partition(rough, k - 1)[k - 1]
        close = np.flatnonzero((rough <= limit + slack) | (rough == np.inf))
        picked = close if rows is None else rows[close]
    return ranked(space, query, vectors, rows=picked, k=k, lengths=lengths)


def _dense(rows: Ints) -> bool:
    """Whether reading the whole range of these rows is faster than gathering them."""
    return int(rows[-1] - rows[0]) < _DENSE * len(rows)


def nearest_lines(
    space: Space,
    queries: Floats,
    vectors: Floats,
    *,
    norms: Floats,
    rows: Ints | None,
    k: int,
    lengths: Doubles | None = None,
) -> list[tuple[Ints, Floats]]:
    """Do `nearest` for each of `queries` (n, dim).

    A matrix product handles a block of queries at a time, so the vectors are read once for many queries.
    """
    count = len(vectors) if rows is None else len(rows)
    step = _PRODUCTS // max(1, count)
    size = count * vectors.shape[1]
    alone = (kernel.compiled is not None and size <= _FEW) or (rows is not None and size > _GATHERED)
    if step < 2 or count <= k or alone:
        return [
            nearest(space, query, vectors, norms=norms, rows=rows, k=k, lengths=lengths) for query in queries
        ]
    picked = vectors if rows is None else vectors[rows]
    out = []
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        with _whole, np.errstate(over="ignore", invalid="ignore"):
            products = block @ picked.T
        out += [
            nearest(space, query, vectors, norms=norms, rows=rows, k=k, dots=dots)
            for query, dots in zip(block, products)
        ]
    return out


def _rough(
    space: Space,
    query: Floats,
    vectors: Floats,
    *,
    norms: Floats,
    rows: Ints | None,
    dots: Floats | None,
) -> tuple[Floats, np.float32]:
    """Return values that rank rows like their distances up to an error, and twice a bound on the error."""
    with np.errstate(over="ignore", invalid="ignore"):
        dots = _dots(query, vectors, rows) if dots is None else dots
        length = norms if rows is None else norms[rows]
        query_norm = float(np.dot(query.astype(np.float64), query.astype(np.float64)))
        # |error of a float32 dot product| <= about dim * eps * |a||b|. A typical error is sqrt(dim) * eps *
        # |a||b|. The bound here is more than four times the typical error.
        unit = 4 * _EPSILON * float(np.sqrt(len(query)) + 4)
        longest = float(length.max())
        if longest > _LONG or query_norm > _LONG or (space == "cosine" and query_norm < _SHORT):
            return _all_exact(space, query, vectors, rows)
        scale = float(np.sqrt(query_norm * longest))
        if space == "l2":
            rough = length - 2 * dots
            slack = unit * (longest + 2 * scale)
        elif space == "ip":
            rough, slack = -dots, unit * scale
        else:
            root = np.sqrt(length)
            rough = -np.divide(dots, root, out=np.zeros_like(dots), where=root > 0)
            slack = unit * float(np.sqrt(query_norm))
    if not np.all(np.isfinite(rough)):
        return _all_exact(space, query, vectors, rows)
    if space == "cosine":
        rough[length < _SHORT] = np.inf  # zero, or too short to rank: `nearest` compares these exactly
    return rough, np.float32(2 * slack)


def _all_exact(space: Space, query: Floats, vectors: Floats, rows: Ints | None) -> tuple[Floats, np.float32]:
    """Rank by exact distances, whose error is 0."""
    return exact(space, query, vectors, rows), np.float32(0)


def _dots(query: Floats, vectors: Floats, rows: Ints | None) -> Floats:
    if rows is None:
        return _product(vectors, query)
    if _dense(rows):
        first, last = int(rows[0]), int(rows[-1])
        return _dots(query, vectors[first : last + 1], None)[rows - first]
    if len(rows) <= _BLOCK:
        return _product(vectors[rows], query)
    buffer = _buffer(vectors.shape[1])
    result = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        block = buffer[: len(part)]
        np.take(vectors, part, axis=0, out=block, mode="clip")
        _product(block, query, result[start : start + len(part)])
    return result


def _product(vectors: Floats, query: Floats, out: Floats | None = None) -> Floats:
    """Multiply each vector by the query, float32. Large products run one at a time."""
    with _whole if vectors.size > _LARGE else contextlib.nullcontext():
        product: Floats = np.dot(vectors, query, out=out)
    return product


def _buffer(dimension: int) -> Floats:
    """Return this thread's reused buffer for gathered rows. New pages would cost more than the copy."""
    block: Any = getattr(_scratch, "block", None)
    if block is None or block.shape[1] != dimension:
        block = _scratch.block = np.empty((_BLOCK, dimension), np.float32)
    out: Floats = block
    return out


def normalised(vectors: Floats) -> Floats:
    """Scale rows to length one. Zero rows stay zero."""
    if len(vectors) == 1:
        length = float(np.vdot(vectors, vectors)) ** 0.5
        if 1e-18 < length < 1e18:  # outside this range, the float32 square is inexact
            return vectors / np.float32(length)
    out: Floats = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _EXACT_BLOCK):  # all at once, float64 would take twice their memory
        block = vectors[start : start + _EXACT_BLOCK]
        lengths = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
        lengths[lengths == 0] = 1
        out[start : start + _EXACT_BLOCK] = block / lengths[:, None]
    return out
