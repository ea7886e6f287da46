"""Finds the conditions of a filter that no record can match, because of their key or type.

Owns: which columns a condition needs, and the text of a report. Numbers are one type here: a key that only
has integers today may have fractions tomorrow. The functions are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ..interface.short_repr import shown
from ..schema.metadata_columns import KINDS, Slot
from .parser import (
    And,
    Compare,
    CompareTime,
    Exists,
    Matches,
    Member,
    Never,
    Node,
    Not,
    OneOf,
    Or,
    parse_where,
)

Known = frozenset[tuple[str, str]]  # keys with the types of their values

_MOST_KEYS = 8  # the keys that a report lists if none is similar
_MOST_FOUND = 5  # the conditions that are reported
# Similar keys are looked for among this many keys of this length, which takes at most 30 ms.
_COMPARED_KEYS, _COMPARED_LENGTH = 1000, 60
_OTHER_NUMBERS = {"int": "float", "float": "int", "int[]": "float[]", "float[]": "int[]"}
_DATE = "date"  # in place of the type, in what is known: a text of the key names a time
_PATTERNS = frozenset(("$like", "$ilike", "$regex", "$not_regex"))
_WORDS = {
    "str": "texts", "int": "whole numbers", "float": "numbers", "bool": "booleans",
    "str[]": "lists of texts", "int[]": "lists of whole numbers", "float[]": "lists of numbers",
    "bool[]": "lists of booleans", "sparse_vector": "sparse vectors",
}  # fmt: skip


def known(slots: Collection[Slot]) -> Known:
    """Return the slots, and for each of numbers the same of the other type of numbers."""
    found: set[tuple[str, str]] = set(slots)
    found.update((key, _OTHER_NUMBERS[kind]) for key, kind in slots if kind in _OTHER_NUMBERS)
    return frozenset(found)


def covered(node: Node, slots: Known) -> bool:
    """Whether each condition of a tree on metadata concerns a slot that some record has.

    Every read with a filter calls this, so it looks into the tree directly.
    """
    kind = type(node)
    if kind is Compare or kind is OneOf:
        return node[:2] in slots
    if isinstance(node, (And, Or)):
        for child in node.children:
            if child[:2] not in slots if type(child) is Compare else not covered(child, slots):
                return False
        return True
    if isinstance(node, Not):
        return covered(node.child, slots)
    if isinstance(node, Member):
        return (node.key, f"{node.kind}[]") in slots
    if isinstance(node, Matches):
        return (node.key, "str") in slots
    if isinstance(node, CompareTime):
        return (node.key, _DATE) in slots
    if isinstance(node, Exists):
        return any((node.key, kind) in slots for kind in KINDS)
    return not isinstance(node, Never)


def keys_of(node: Node) -> set[str]:
    """Return the metadata keys that the conditions of a tree name."""
    named = (Compare, CompareTime, Exists, Matches, Member, OneOf)
    return {each.key for each in _leaves(node) if isinstance(each, named)}


def _leaves(node: Node) -> Iterator[Node]:
    if isinstance(node, (And, Or)):
        for child in node.children:
            yield from _leaves(child)
    elif isinstance(node, Not):
        yield from _leaves(node.child)
    else:
        yield node


def with_dates(node: Node, has: Callable[[Node], bool]) -> Known:
    """Return the keys that a tree compares with dates, and that have a text which is one.

    has  whether a record matches a tree
    """
    keys = {each.key for each in _leaves(node) if isinstance(each, CompareTime)}
    either = {key: Or((CompareTime(key, "<", 0), CompareTime(key, ">=", 0))) for key in keys}
    return frozenset((key, _DATE) for key, any_time in either.items() if has(any_time))


def messages(where: Mapping[str, Any], slots: Collection[Slot], dates: Known) -> list[str]:
    """Return a report for each condition that no record can match. `where` is valid."""
    everything = known(slots) | dates
    found: dict[str, None] = {}
    for key, condition in _conditions(where):
        node = parse_where({key: condition})
        if not covered(node, everything):
            found[_message(key, condition, node, slots)] = None
            if len(found) == _MOST_FOUND:
                break
    return list(found)


def _conditions(where: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in where.items():
        if key in ("$and", "$or"):
            for each in value:
                yield from _conditions(each)
        elif key == "$not":
            yield from _conditions(value)
        else:
            yield key, value


def key_messages(argument: str, keys: Collection[str], slots: Collection[Slot]) -> list[str]:
    """Return a report for each key, given as an argument, that no record has."""
    names = {name for name, _ in slots}
    return [
        f"{argument}={shown(key)}: no record has the key {shown(key)}{_nearest(key, slots)}"
        for key in keys
        if key not in names
    ]


def _message(key: str, condition: Any, node: Node, slots: Collection[Slot]) -> str:
    written = f"where={{{shown(key)}: {shown(condition)}}}"
    kinds = sorted(kind for name, kind in slots if name == key)
    if not kinds:
        return f"{written}: no record has the key {shown(key)}{_nearest(key, slots)}"
    has = " and ".join(_WORDS[kind] for kind in kinds)
    if (reversed_bounds := _never(node)) is not None:
        low, high = reversed_bounds.bounds
        return f"{written}: no value is between {low} and {high}; write the lower bound first"
    if "str" in kinds and any(isinstance(each, CompareTime) for each in _leaves(node)):
        return (
            f"{written}: none of the texts of {shown(key)} is a date; dates are texts such as '2024-01-31' "
            "or '2024-01-31T12:30:00Z'"
        )
    missing = {kind for kind in _kinds(node) if (key, kind) not in slots}
    needs = " or ".join(
        _WORDS[kind]
        for kind in sorted(missing)
        if not (kind.startswith("int") and _OTHER_NUMBERS[kind] in missing)
    )
    text = f"{written} compares with {needs}, but all values of {shown(key)} are {has}"
    return text + _remedy(set(_kinds(node)), set(kinds), condition)


def _nearest(key: str, slots: Collection[Slot]) -> str:
    from difflib import get_close_matches  # only for a report

    keys = sorted({name for name, _ in slots})
    if not keys:
        return ": the records have no metadata"
    folded = {
        name.casefold(): name
        for name in reversed(keys[:_COMPARED_KEYS])
        if abs(len(name) - len(key)) < _COMPARED_LENGTH
    }
    near = []
    if len(key) <= _COMPARED_LENGTH:
        near = [folded[name] for name in get_close_matches(key.casefold(), folded, 3)]
    if near:
        return f"; similar keys are {', '.join(map(shown, near))}"
    more = f" and {len(keys) - _MOST_KEYS} more" if len(keys) > _MOST_KEYS else ""
    return f"; the keys are {', '.join(map(shown, keys[:_MOST_KEYS]))}{more}"


def _never(node: Node) -> Never | None:
    """Find a range whose lower bound is above its upper bound, among the conditions on one key."""
    if isinstance(node, Never):
        return node
    children: tuple[Node, ...] = ()
    if isinstance(node, Not):
        children = (node.child,)
    elif isinstance(node, (And, Or)):
        children = node.children
    return next((found for child in children if (found := _never(child)) is not None), None)


def _kinds(node: Node) -> Iterator[str]:
    """Yield the types that the conditions of one key need."""
    if isinstance(node, (Compare, OneOf)):
        yield node.kind
    elif isinstance(node, Member):
        yield f"{node.kind}[]"
    elif isinstance(node, (CompareTime, Matches)):
        yield "str"
    elif isinstance(node, (And, Or)):
        for child in node.children:
            yield from _kinds(child)
    elif isinstance(node, Not):
        yield from _kinds(node.child)


def _remedy(needs: set[str], has: set[str], condition: Any) -> str:
    if "str[]" in needs and "str" in has:
        return "; $contains looks for an item of a list, $like and $regex for a part of a text"
    if any(f"{kind}[]" in has for kind in needs):
        return "; use $contains for an item of a list"
    if isinstance(condition, Mapping) and not _PATTERNS.isdisjoint(condition):
        return "; patterns are for texts"
    if needs == {"str"} and has & {"int", "float"}:
        if not _has_text(condition):
            return "; dates are compared with texts such as '2024-01-31', so compare this key with a number"
        return "; write the number without quotes"
    if needs <= {"int", "float"} and "str" in has:
        return "; write the value as a text"
    if needs <= {"int", "float"} and "bool" in has:
        return "; write true or false"
    return ""


def _has_text(condition: Any) -> bool:
    """Whether the operands of a condition are texts. Otherwise, they are dates."""
    if isinstance(condition, Mapping):
        return any(_has_text(value) for key, value in condition.items() if key != "$date")
    if isinstance(condition, (list, tuple)):
        return any(map(_has_text, condition))
    return isinstance(condition, str)
