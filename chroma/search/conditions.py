"""Keys of a record, and conditions on them: the filter of a search.

`K("year") >= 2020` makes a condition. `&` and `|` join conditions, and `~` negates one. `to_dict` gives the
form of `where`, which is sent to a server. Conditions are checked when a search runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown

__all__ = [
    "And", "Between", "Contains", "Eq", "Exists", "Gt", "Gte", "ILike", "In", "K", "Key", "Like", "Lt", "Lte",
    "Ne", "Nin", "Not", "NotContains", "NotRegex", "Or", "Regex", "SearchWhere", "Where",
]  # fmt: skip


class Where:
    """A condition on records. Subclasses define `to_dict`, which returns the wire form."""

    def to_dict(self) -> dict[str, Any]:
        """Return the condition as a dictionary, such as `{"year": {"$gte": 2020}}`."""
        raise NotImplementedError(f"{type(self).__name__} must define `to_dict(self)`")

    @staticmethod
    def from_dict(data: Any) -> Where:
        """Read a dictionary: a field with a value or an operator, or $and or $or with a list.

        Raises InvalidTypeError (a TypeError) or InvalidArgumentError (a ValueError).
        """
        if not isinstance(data, Mapping):
            raise InvalidTypeError(f"Expected dict for a filter, got {shown(data)}")
        if not data:
            raise InvalidArgumentError("A filter cannot be empty; pass None for no filter")
        if len(data) != 1:
            raise InvalidArgumentError(
                f"Expected a filter to have exactly one field or operator, got {shown(data)}; join "
                "conditions with $and or $or"
            )
        field, value = next(iter(data.items()))
        if not isinstance(field, str):
            raise InvalidTypeError(f"Expected the field of a filter to be a str, got {shown(field)}")
        if field in ("$and", "$or"):
            return _joined(field, value)
        if field == "$not":
            return Not(Where.from_dict(value))
        if field.startswith("$"):
            raise InvalidArgumentError(f"Unknown operator {field!r} in a filter; use $and, $or or $not")
        return _of_field(field, value)

    def __and__(self, other: Any) -> And:
        return And([*_parts(self, And), *_parts(_condition(other, "&"), And)])

    def __or__(self, other: Any) -> Or:
        return Or([*_parts(self, Or), *_parts(_condition(other, "|"), Or)])

    def __invert__(self) -> Not:
        return Not(self)


SearchWhere = Where


def _condition(other: Any, operator: str) -> Where:
    if not isinstance(other, Where):
        raise InvalidTypeError(f"{operator} joins two conditions, got {shown(other)}")
    return other


def _parts(condition: Where, kind: type[And] | type[Or]) -> list[Where]:
    return list(condition.conditions) if isinstance(condition, kind) else [condition]


def _joined(operator: str, value: Any) -> Where:
    if not isinstance(value, list):
        raise InvalidTypeError(f"Expected {operator} to have a list of filters, got {shown(value)}")
    if not value:
        raise InvalidArgumentError(f"{operator} requires at least one condition, got []")
    conditions = [Where.from_dict(each) for each in value]
    if len(conditions) == 1:
        return conditions[0]
    return And(conditions) if operator == "$and" else Or(conditions)


def _of_field(field: str, value: Any) -> Where:
    if isinstance(value, (list, tuple)):
        return In(field, list(value))
    if not isinstance(value, Mapping):
        return Eq(field, value)
    if not value:
        raise InvalidArgumentError(f"Expected the field {field!r} of a filter to have an operator, got {{}}")
    if len(value) > 1:
        return And([_of_field(field, {operator: operand}) for operator, operand in value.items()])
    operator, operand = next(iter(value.items()))
    if operator == "$date":
        return Eq(field, value)
    if operator == "$not":
        if not isinstance(operand, Mapping):
            raise InvalidTypeError(f"Expected $not of {field!r} to have operators, got {shown(operand)}")
        return Not(_of_field(field, operand))
    kind = _BY_OPERATOR.get(operator)
    if kind is None:
        raise InvalidArgumentError(
            f"Unknown operator {shown(operator)} for {field!r}; use one of {', '.join(_BY_OPERATOR)}"
        )
    if issubclass(kind, _OfValues):
        if not isinstance(operand, (list, tuple)):
            raise InvalidTypeError(f"Expected {operator} of {field!r} to have a list, got {shown(operand)}")
        return kind(field, list(operand))
    if kind in (Contains, NotContains) and isinstance(operand, (list, Mapping)):
        raise InvalidTypeError(
            f"{operator} requires a str, an int, a float or a bool for {field!r}, got {shown(operand)}"
        )
    return kind(field, operand)


def _joined_dict(operator: str, conditions: list[Where]) -> dict[str, Any]:
    found = [each.to_dict() for each in conditions]
    return found[0] if len(found) == 1 else {operator: found}


@dataclass
class And(Where):
    """All conditions hold."""

    conditions: list[Where]

    def to_dict(self) -> dict[str, Any]:
        """Return `{"$and": […]}`, or the condition if there is only one."""
        return _joined_dict("$and", self.conditions)


@dataclass
class Or(Where):
    """At least one condition holds."""

    conditions: list[Where]

    def to_dict(self) -> dict[str, Any]:
        """Return `{"$or": […]}`, or the condition if there is only one."""
        return _joined_dict("$or", self.conditions)


@dataclass
class Not(Where):
    """The condition does not hold."""

    condition: Where

    def to_dict(self) -> dict[str, Any]:
        """Return `{"$not": condition}`."""
        return {"$not": self.condition.to_dict()}


@dataclass
class _OfValue(Where):
    operator: ClassVar[str]
    key: str
    value: Any

    def to_dict(self) -> dict[str, Any]:
        """Return `{key: {operator: value}}`."""
        return {self.key: {self.operator: self.value}}


@dataclass
class _OfValues(Where):
    operator: ClassVar[str]
    key: str
    values: list[Any]

    def to_dict(self) -> dict[str, Any]:
        """Return `{key: {operator: values}}`."""
        return {self.key: {self.operator: self.values}}


@dataclass
class Eq(_OfValue):
    """The value of the key equals `value`."""

    operator = "$eq"


@dataclass
class Ne(_OfValue):
    """The value of the key does not equal `value`, or the record lacks the key."""

    operator = "$ne"


@dataclass
class Gt(_OfValue):
    """The value of the key is a number or a text greater than `value`."""

    operator = "$gt"


@dataclass
class Gte(_OfValue):
    """The value of the key is a number or a text greater than `value`, or equal to it."""

    operator = "$gte"


@dataclass
class Lt(_OfValue):
    """The value of the key is a number or a text less than `value`."""

    operator = "$lt"


@dataclass
class Lte(_OfValue):
    """The value of the key is a number or a text less than `value`, or equal to it."""

    operator = "$lte"


@dataclass
class In(_OfValues):
    """The value of the key is one of `values`."""

    operator = "$in"


@dataclass
class Nin(_OfValues):
    """The value of the key is not one of `values`, or the record lacks the key."""

    operator = "$nin"


@dataclass
class Contains(_OfValue):
    """The document contains the text, or the list under the key contains the value."""

    operator = "$contains"


@dataclass
class NotContains(_OfValue):
    """The document does not contain the text, or the list under the key does not contain the value."""

    operator = "$not_contains"


@dataclass
class Regex(_OfValue):
    """The regular expression matches somewhere in the document, or in the text under the key."""

    operator = "$regex"


@dataclass
class NotRegex(_OfValue):
    """The regular expression matches nowhere in the document, or in the value of the key."""

    operator = "$not_regex"


@dataclass
class Between(_OfValues):
    """The value of the key is one of the two bounds `values`, or between them."""

    operator = "$between"


@dataclass
class Like(_OfValue):
    """The text under the key, or the document, is as the pattern: % is any text, _ any character."""

    operator = "$like"


@dataclass
class ILike(_OfValue):
    """The same as Like, and capital and small letters are equal."""

    operator = "$ilike"


@dataclass
class Exists(_OfValue):
    """The record has the key (`value` True), or lacks it (`value` False)."""

    operator = "$exists"


_BY_OPERATOR: dict[str, type[_OfValue] | type[_OfValues]] = {
    kind.operator: kind
    for kind in (
        Eq,
        Ne,
        Gt,
        Gte,
        Lt,
        Lte,
        Between,
        In,
        Nin,
        Contains,
        NotContains,
        Regex,
        NotRegex,
        Like,
        ILike,
        Exists,
    )
}


class Key:
    """A part of a record that a search can name: a metadata key, or one of the constants of this class.

    Comparing a key makes a condition, so `key == "year"` is never a test; compare `key.name`.
    """

    ID: ClassVar[Key]
    DOCUMENT: ClassVar[Key]
    EMBEDDING: ClassVar[Key]
    METADATA: ClassVar[Key]
    SCORE: ClassVar[Key]

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Key({self.name!r})"

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, value: Any) -> Eq:  # type: ignore[override]
        return Eq(self.name, value)

    def __ne__(self, value: Any) -> Ne:  # type: ignore[override]
        return Ne(self.name, value)

    def __gt__(self, value: Any) -> Gt:
        return Gt(self.name, value)

    def __ge__(self, value: Any) -> Gte:
        return Gte(self.name, value)

    def __lt__(self, value: Any) -> Lt:
        return Lt(self.name, value)

    def __le__(self, value: Any) -> Lte:
        return Lte(self.name, value)

    def is_in(self, values: Any) -> In:
        """The value is one of `values`."""
        return In(self.name, list(values))

    def not_in(self, values: Any) -> Nin:
        """The value is not one of `values`, or there is no value."""
        return Nin(self.name, list(values))

    def contains(self, value: Any) -> Contains:
        """The document contains a text, or a list of the metadata contains a value."""
        return Contains(self.name, self._checked(value, "$contains"))

    def not_contains(self, value: Any) -> NotContains:
        """The document does not contain a text, or a list of the metadata does not contain a value."""
        return NotContains(self.name, self._checked(value, "$not_contains"))

    def regex(self, pattern: str) -> Regex:
        """The regular expression matches somewhere in the document, or in the text under the key."""
        return Regex(self.name, pattern)

    def not_regex(self, pattern: str) -> NotRegex:
        """The regular expression matches nowhere in the document, or in the value of the key."""
        return NotRegex(self.name, pattern)

    def between(self, low: Any, high: Any) -> Between:
        """The value is `low`, `high`, or between them: numbers, texts or dates."""
        return Between(self.name, [low, high])

    def like(self, pattern: str) -> Like:
        """The text is as the pattern: % is any text, _ any character, and a backslash quotes them."""
        return Like(self.name, pattern)

    def ilike(self, pattern: str) -> ILike:
        """The same as `like`, and capital and small letters are equal."""
        return ILike(self.name, pattern)

    def exists(self, expected: bool = True) -> Exists:
        """The record has a value under the key. With False: it has none."""
        return Exists(self.name, expected)

    def _checked(self, value: Any, operator: str) -> Any:
        if self.name == "#document" and not isinstance(value, str):
            raise InvalidTypeError(f"{operator} on #document requires a string, got {shown(value)}")
        return value


Key.ID, Key.DOCUMENT, Key.EMBEDDING = Key("#id"), Key("#document"), Key("#embedding")
Key.METADATA, Key.SCORE = Key("#metadata"), Key("#score")
K = Key


for _name in __all__:  # where programs import them; pickles name this path, too
    globals()[_name].__module__ = "chroma.execution.expression"
