"""Evaluate a rank: which records have a score, and which one.

Owns: the arithmetic of scores. Scores are float64 arrays over positions, so no function works record by
record. The source of the rules is the contract of the Search API, in which every expression has a support and
perhaps a default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..interface.ranking import Apply, Combine, Constant, Leaf, Nearest, Rank, SparseNearest
from ..schema.record_columns import Ints

Doubles = npt.NDArray[np.float64]


class Scores(NamedTuple):
    """The scores of some records, the support, and of all others.

    positions  int64 (n,), ascending
    values     float64 (n,)
    default    the score of all other records; None: they have none
    """

    positions: Ints
    values: Doubles
    default: float | None

    def at(self, positions: Ints) -> Doubles:
        """Return the scores at some positions. All of them are in the support, or there is a default."""
        found = np.full(len(positions), np.nan if self.default is None else self.default)
        if len(self.positions):
            index = np.minimum(np.searchsorted(self.positions, positions), len(self.positions) - 1)
            hit = self.positions[index] == positions
            found[hit] = self.values[index[hit]]
        return found


_NO_POSITIONS, _NO_VALUES = np.empty(0, np.int64), np.empty(0, np.float64)

_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"abs": np.abs, "exp": np.exp, "log": np.log}
_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.fmax,  # beside NaN, the other operand
    "min": np.fmin,
}


def evaluate(rank: Rank, nearest: Callable[[Leaf], Scores]) -> Scores:
    """Evaluate a rank. `nearest` gives the scores of its leaves."""
    with np.errstate(all="ignore"):  # dividing by 0 gives infinities and NaN
        return _evaluate(rank, nearest)


def _evaluate(rank: Rank, nearest: Callable[[Leaf], Scores]) -> Scores:
    match rank:
        case Constant():
            return Scores(_NO_POSITIONS, _NO_VALUES, float(rank.value))
        case Nearest() | SparseNearest():
            return nearest(rank)
        case Apply():
            return _applied(_FUNCTIONS[rank.function], _evaluate(rank.rank, nearest))
        case Combine():
            first, *others = [_evaluate(each, nearest) for each in rank.ranks]
            for other in others:
                first = _combine(_OPERATIONS[rank.operation], first, other)
            return first


def _applied(function: Callable[[Any], Any], scores: Scores) -> Scores:
    default = None if scores.default is None else float(function(np.float64(scores.default)))
    return Scores(scores.positions, function(scores.values), default)


def _combine(operation: Callable[[Any, Any], Any], left: Scores, right: Scores) -> Scores:
    if right.default is not None and not len(right.positions):  # a constant, as in most combinations
        return _applied(lambda values: operation(values, np.float64(right.default)), left)
    if left.default is not None and not len(left.positions):
        return _applied(lambda values: operation(np.float64(left.default), values), right)
    if left.default is not None and right.default is not None:
        positions = np.union1d(left.positions, right.positions)
    elif left.default is not None:
        positions = right.positions
    elif right.default is not None:
        positions = left.positions
    else:
        positions = np.intersect1d(left.positions, right.positions, assume_unique=True)
    default = None
    if left.default is not None and right.default is not None:
        default = float(operation(np.float64(left.default), np.float64(right.default)))
    return Scores(positions, operation(left.at(positions), right.at(positions)), default)
