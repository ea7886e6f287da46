"""Ranks, by which a search sorts. The lowest score is the best.

`Knn` gives the distances of the nearest records. Ranks are combined by arithmetic, and `Rrf` fuses rankings.
`to_dict` gives the wire form, which is checked when a search runs.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.ranking import EMBEDDING
from ..storage.interface.short_repr import shown
from .conditions import Key

__all__ = ["Abs", "Div", "Exp", "Knn", "Log", "Max", "Min", "Mul", "Rank", "Rrf", "Sub", "Sum", "Val"]


class Rank:
    """An expression that gives records a score. Subclasses define `to_dict`, which returns the wire form."""

    def to_dict(self) -> dict[str, Any]:
        """Return the rank as a dictionary, such as `{"$val": 1.0}`."""
        raise NotImplementedError(f"{type(self).__name__} must define `to_dict(self)`")

    @staticmethod
    def from_dict(data: Any) -> Rank:
        """Read a dictionary with one operator. Raises InvalidTypeError (a TypeError) or InvalidArgumentError
        (a ValueError)."""
        if not isinstance(data, Mapping):
            raise InvalidTypeError(f"Expected dict for a rank, got {shown(data)}")
        if not data:
            raise InvalidArgumentError("A rank cannot be empty; pass None for no rank")
        if len(data) != 1:
            raise InvalidArgumentError(f"Expected a rank to have exactly one operator, got {shown(data)}")
        operator, value = next(iter(data.items()))
        read = _READERS.get(operator)
        if read is None:
            raise InvalidArgumentError(
                f"Unknown operator {shown(operator)} in a rank; use one of {', '.join(_READERS)}"
            )
        found: Rank = read(operator, value)
        return found

    def __add__(self, other: Any) -> Rank:
        return _chain(Sum, self, other)

    def __radd__(self, other: Any) -> Rank:
        return _chain(Sum, _rank(other), self)

    def __mul__(self, other: Any) -> Rank:
        return _chain(Mul, self, other)

    def __rmul__(self, other: Any) -> Rank:
        return _chain(Mul, _rank(other), self)

    def __sub__(self, other: Any) -> Rank:
        return Sub(self, _rank(other))

    def __rsub__(self, other: Any) -> Rank:
        return Sub(_rank(other), self)

    def __truediv__(self, other: Any) -> Rank:
        return Div(self, _rank(other))

    def __rtruediv__(self, other: Any) -> Rank:
        return Div(_rank(other), self)

    def __neg__(self) -> Rank:
        return _chain(Mul, Val(-1), self)

    def __abs__(self) -> Rank:
        return Abs(self)

    def abs(self) -> Rank:
        """The absolute value."""
        return Abs(self)

    def exp(self) -> Rank:
        """The exponential function."""
        return Exp(self)

    def log(self) -> Rank:
        """The natural logarithm. The logarithm of 0 is minus infinity, of a negative number NaN."""
        return Log(self)

    def max(self, other: Any) -> Rank:
        """The greater of two scores."""
        return _chain(Max, self, other)

    def min(self, other: Any) -> Rank:
        """The lesser of two scores."""
        return _chain(Min, self, other)


def _rank(value: Any) -> Rank:
    if isinstance(value, Rank):
        return value
    if isinstance(value, (int, float)):
        return Val(int(value) if isinstance(value, bool) else value)
    if isinstance(value, numbers.Real):  # a scalar of numpy
        return Val(float(value))
    raise InvalidTypeError(f"Expected a rank or a number, got {shown(value)}")


def _chain(kind: type[_Chain], left: Rank, right: Any) -> Rank:
    """Join two ranks. A chain of one kind is one flat list."""
    parts: list[Rank] = []
    for part in (left, _rank(right)):
        parts.extend(part.ranks if type(part) is kind else [part])
    return kind(parts)


@dataclass
class Val(Rank):
    """A constant. It gives no record a score: an expression of constants alone finds nothing."""

    value: float

    def to_dict(self) -> dict[str, Any]:
        """Return `{"$val": value}`."""
        return {"$val": self.value}


@dataclass
class Knn(Rank):
    """The distances of the nearest records among those that match the filter.

    query        a vector, a text that the collection's function embeds, or a SparseVector
    key          "#embedding", or a metadata key with a sparse index
    limit        how many records get a score
    default      the score of all other records in arithmetic with this rank; None: they are left out
    return_rank  give the place of each record, 0 for the nearest, in place of its distance
    """

    query: Any
    key: Any = EMBEDDING
    limit: int = 16
    default: float | None = None
    return_rank: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.key, Key):
            self.key = self.key.name
        if hasattr(self.query, "tolist") and getattr(self.query, "ndim", 1) == 1:
            self.query = self.query.tolist()
        elif isinstance(self.query, tuple):
            self.query = list(self.query)

    def to_dict(self) -> dict[str, Any]:
        """Return `{"$knn": {"query", "key", "limit"[, "default"][, "return_rank"]}}`."""
        query = self.query.to_dict() if hasattr(self.query, "to_dict") else self.query
        found: dict[str, Any] = {"query": query, "key": self.key, "limit": self.limit}
        if self.default is not None:
            found["default"] = self.default
        if self.return_rank:
            found["return_rank"] = self.return_rank
        return {"$knn": found}


@dataclass
class _Chain(Rank):
    operator: ClassVar[str]
    ranks: list[Rank]

    def to_dict(self) -> dict[str, Any]:
        """Return `{operator: [ranks]}`."""
        return {self.operator: [rank.to_dict() for rank in self.ranks]}


@dataclass
class Sum(_Chain):
    """The sum of ranks."""

    operator = "$sum"


@dataclass
class Mul(_Chain):
    """The product of ranks."""

    operator = "$mul"


@dataclass
class Max(_Chain):
    """The greatest of several ranks."""

    operator = "$max"


@dataclass
class Min(_Chain):
    """The least of several ranks."""

    operator = "$min"


@dataclass
class _Pair(Rank):
    operator: ClassVar[str]
    left: Rank
    right: Rank

    def to_dict(self) -> dict[str, Any]:
        """Return `{operator: {"left", "right"}}`."""
        return {self.operator: {"left": self.left.to_dict(), "right": self.right.to_dict()}}


@dataclass
class Sub(_Pair):
    """The difference of two ranks."""

    operator = "$sub"


@dataclass
class Div(_Pair):
    """The quotient of two ranks. Dividing by 0 gives an infinity, or NaN."""

    operator = "$div"


@dataclass
class _Function(Rank):
    operator: ClassVar[str]
    rank: Rank

    def to_dict(self) -> dict[str, Any]:
        """Return `{operator: rank}`."""
        return {self.operator: self.rank.to_dict()}


@dataclass
class Abs(_Function):
    """The absolute value of a rank."""

    operator = "$abs"


@dataclass
class Exp(_Function):
    """The exponential function of a rank."""

    operator = "$exp"


@dataclass
class Log(_Function):
    """The natural logarithm of a rank."""

    operator = "$log"


@dataclass
class Rrf(Rank):
    """Reciprocal rank fusion: minus the sum of weight / (k + rank). The parts should have return_rank=True.

    Source: Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
    learning methods", SIGIR 2009.

    ranks      the rankings to fuse
    k          the larger it is, the less the first places count
    weights    one per rank; None: 1 each
    normalize  divide the weights by their sum
    """

    ranks: list[Rank]
    k: float = 60
    weights: Sequence[float] | None = None
    normalize: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the fusion as arithmetic."""
        weights = self._checked_weights()
        terms = [
            Div(Val(weight), _chain(Sum, Val(self.k), rank)) for weight, rank in zip(weights, self.ranks)
        ]
        total: Rank = terms[0] if len(terms) == 1 else Sum([*terms])
        return Mul([Val(-1), total]).to_dict()

    def _checked_weights(self) -> list[float]:
        if not isinstance(self.ranks, (list, tuple)):
            raise InvalidTypeError(f"Expected ranks of Rrf to be a list of ranks, got {shown(self.ranks)}")
        if not self.ranks:
            raise InvalidArgumentError("RRF requires at least one rank")
        given: list[Any] = [self.k, *(self.weights or ())]
        for number in given:
            if isinstance(number, bool) or not isinstance(number, numbers.Real):
                raise InvalidTypeError(f"Expected k and weights of Rrf to be numbers, got {shown(number)}")
        if not self.k > 0:
            raise InvalidArgumentError(f"k must be positive in Rrf, got {self.k}")
        weights = [1.0] * len(self.ranks) if self.weights is None else list(self.weights)
        if len(weights) != len(self.ranks):
            raise InvalidArgumentError(
                f"Number of weights ({len(weights)}) must match number of ranks ({len(self.ranks)}) in Rrf"
            )
        if any(weight < 0 for weight in weights):
            raise InvalidArgumentError(f"All weights must be non-negative in Rrf, got {weights}")
        if self.normalize:
            total = sum(weights)
            if not total > 0:
                raise InvalidArgumentError(
                    "Sum of weights must be positive in Rrf with normalize=True, got 0"
                )
            weights = [weight / total for weight in weights]
        return weights


# ---------------------------------------------------------------------------- reading dictionaries


def _read_val(operator: str, value: Any) -> Rank:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidTypeError(f"{operator} requires a number, got {shown(value)}")
    return Val(value)


def _read_function(operator: str, value: Any) -> Rank:
    if not isinstance(value, Mapping):
        raise InvalidTypeError(f"Expected {operator} to have a rank, got {shown(value)}")
    kinds: dict[str, type[_Function]] = {kind.operator: kind for kind in (Abs, Exp, Log)}
    return kinds[operator](Rank.from_dict(value))


def _read_chain(operator: str, value: Any) -> Rank:
    if not isinstance(value, list):
        raise InvalidTypeError(f"Expected {operator} to have a list of ranks, got {shown(value)}")
    if len(value) < 2:
        raise InvalidArgumentError(f"Expected {operator} to have at least two ranks, got {shown(value)}")
    kinds: dict[str, type[_Chain]] = {kind.operator: kind for kind in (Sum, Mul, Max, Min)}
    return kinds[operator]([Rank.from_dict(each) for each in value])


def _read_pair(operator: str, value: Any) -> Rank:
    if not isinstance(value, Mapping):
        raise InvalidTypeError(f"Expected {operator} to have left and right, got {shown(value)}")
    if not {"left", "right"} <= value.keys():
        raise InvalidArgumentError(f"Expected {operator} to have left and right, got {shown(value)}")
    kinds: dict[str, type[_Pair]] = {kind.operator: kind for kind in (Sub, Div)}
    return kinds[operator](Rank.from_dict(value["left"]), Rank.from_dict(value["right"]))


def _read_knn(operator: str, value: Any) -> Rank:
    if not isinstance(value, Mapping):
        raise InvalidTypeError(f"Expected {operator} to have a dict, got {shown(value)}")
    if "query" not in value:
        raise InvalidArgumentError(f"Expected {operator} to have a query, got {shown(value)}")
    key, limit = value.get("key", EMBEDDING), value.get("limit", 16)
    flag, default = value.get("return_rank", False), value.get("default")
    if not isinstance(key, str):
        raise InvalidTypeError(f"Expected key of {operator} to be a str, got {shown(key)}")
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise InvalidTypeError(f"Expected limit of {operator} to be an int, got {shown(limit)}")
    if limit <= 0:
        raise InvalidArgumentError(f"Expected limit of {operator} to be positive, got {limit}")
    if not isinstance(flag, bool):
        raise InvalidTypeError(f"Expected return_rank of {operator} to be a bool, got {shown(flag)}")
    return Knn(_read_query(operator, value["query"]), key, limit, default, flag)


def _read_query(operator: str, query: Any) -> Any:
    if isinstance(query, str):
        raise InvalidTypeError(f"{operator} of a dict takes a vector: pass texts by Knn(query=…)")
    if isinstance(query, Mapping):
        from ..types import SparseVector

        return SparseVector.from_dict(dict(query))
    if hasattr(query, "tolist"):
        query = query.tolist()
    if not isinstance(query, list) or not query or isinstance(query[0], (list, tuple)):
        raise InvalidArgumentError(f"Expected query of {operator} to be one vector, got {shown(query)}")
    return query


_READERS: dict[str, Any] = {
    "$val": _read_val,
    "$knn": _read_knn,
    **dict.fromkeys(("$sum", "$mul", "$max", "$min"), _read_chain),
    **dict.fromkeys(("$sub", "$div"), _read_pair),
    **dict.fromkeys(("$abs", "$exp", "$log"), _read_function),
}


for _name in __all__:  # where programs import them; pickles name this path, too
    globals()[_name].__module__ = "chroma.execution.expression"
