"""Groups of a search: of the records with the same values of some keys, which ones stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from .conditions import Key

__all__ = ["Aggregate", "GroupBy", "MaxK", "MinK"]


def key_names(keys: Any) -> list[Any]:
    """Return the names of one key or of several; a key is a `Key` or a str."""
    several = keys if isinstance(keys, Sequence) and not isinstance(keys, str) else [keys]
    return [key.name if isinstance(key, Key) else key for key in several]


class Aggregate:
    """Which records of a group stay."""

    def to_dict(self) -> dict[str, Any]:
        """Return the aggregate as a dictionary, such as `{"$min_k": {"keys": ["price"], "k": 1}}`."""
        raise NotImplementedError(f"{type(self).__name__} must define `to_dict(self)`")

    @staticmethod
    def from_dict(data: Any) -> Aggregate:
        """Read a dictionary. Raises InvalidTypeError (a TypeError) or InvalidArgumentError (a ValueError)."""
        if not isinstance(data, Mapping):
            raise InvalidTypeError(f"Expected dict for an aggregate, got {shown(data)}")
        kinds: dict[str, type[_FirstK]] = {kind.operator: kind for kind in (MinK, MaxK)}
        if len(data) != 1 or next(iter(data)) not in kinds:
            raise InvalidArgumentError(
                f"Unknown aggregate operator in {shown(data)}; pass $min_k or $max_k, and nothing else"
            )
        operator, parts = next(iter(data.items()))
        if not isinstance(parts, Mapping):
            raise InvalidTypeError(f"Expected {operator} to have keys and k, got {shown(parts)}")
        _check_fields(parts, operator, ("keys", "k"))
        keys, k = _checked_keys(parts["keys"], operator), parts["k"]
        if isinstance(k, bool) or not isinstance(k, int):
            raise InvalidTypeError(f"Expected k of {operator} to be an int, got {shown(k)}")
        if k <= 0:
            raise InvalidArgumentError(f"k must be positive in {operator}, got {k}")
        return kinds[operator](keys, k)


def _check_fields(data: Mapping[str, Any], owner: str, fields: tuple[str, ...]) -> None:
    for field in fields:
        if field not in data:
            raise InvalidArgumentError(f"{owner} requires {field!r} field, got {shown(data)}")


def _checked_keys(keys: Any, owner: str) -> list[str]:
    if not isinstance(keys, (list, tuple, set)):
        raise InvalidTypeError(f"Expected keys of {owner} to be a list of str, got {shown(keys)}")
    if not keys:
        raise InvalidArgumentError(f"{owner} keys cannot be empty, got {shown(keys)}")
    names = [key.name if isinstance(key, Key) else key for key in keys]
    if not all(isinstance(name, str) for name in names):
        raise InvalidTypeError(f"Expected keys of {owner} to be a list of str, got {shown(keys)}")
    return names


@dataclass
class _FirstK(Aggregate):
    operator: ClassVar[str]
    keys: Any
    k: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return `{operator: {"keys", "k"}}`."""
        return {self.operator: {"keys": key_names(self.keys), "k": self.k}}


@dataclass
class MinK(_FirstK):
    """From each group, the k records with the least values. The first key counts most, then the second.

    A record without a key comes before all others. `K.SCORE` is the score of a record.
    """

    operator = "$min_k"


@dataclass
class MaxK(_FirstK):
    """From each group, the k records with the greatest values. The first key counts most, then the second."""

    operator = "$max_k"


@dataclass
class GroupBy:
    """Groups records by the values of metadata keys, and keeps some records of each group.

    keys       one key or several; all records without the key form one group
    aggregate  MinK or MaxK
    """

    keys: Any = None
    aggregate: Aggregate | None = None

    def __post_init__(self) -> None:
        if (self.keys is None or key_names(self.keys) == []) != (self.aggregate is None):
            raise InvalidArgumentError(
                f"GroupBy needs both keys and aggregate, got keys={shown(self.keys)}, "
                f"aggregate={shown(self.aggregate)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return `{"keys", "aggregate"}`, or `{}` for no groups."""
        if self.aggregate is None:
            return {}
        return {"keys": key_names(self.keys), "aggregate": self.aggregate.to_dict()}

    @staticmethod
    def from_dict(data: Any) -> GroupBy:
        """Read a dictionary. `{}` means no grouping. Raises InvalidTypeError or InvalidArgumentError."""
        if not isinstance(data, Mapping):
            raise InvalidTypeError(f"Expected dict for group_by, got {shown(data)}")
        if not data:
            return GroupBy()
        _check_fields(data, "group_by", ("keys", "aggregate"))
        return GroupBy(_checked_keys(data["keys"], "group_by"), Aggregate.from_dict(data["aggregate"]))


for _name in __all__:  # where programs import them; pickles name this path, too
    globals()[_name].__module__ = "chroma.execution.expression"
