"""What a filter means, in plain Python: the oracle for where and where_document.

Numbers compare by value, exactly (Python does that for int against float). True is not 1,
"1" is not 1, lists equal no scalar. The negative operators match whatever the positive ones
do not, records without the key or the document included. Texts are ordered by code points.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import Any

_ORDER = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
_NEGATIVE = {"$ne": "$eq", "$nin": "$in", "$not_contains": "$contains", "$not_regex": "$regex"}


def matches(
    where: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None, document: str | None = None
) -> bool:
    """Whether a record with this metadata and document satisfies `where`."""
    if where is None:
        return True
    [(key, condition)] = where.items()
    if key == "$and":
        return all(matches(clause, metadata, document) for clause in condition)
    if key == "$or":
        return any(matches(clause, metadata, document) for clause in condition)
    if key == "$not":
        return not matches(condition, metadata, document)
    if key == "#document":
        return matches_document(condition, document)
    return _fits(condition, (metadata or {}).get(key))


def _fits(condition: Any, value: Any) -> bool:
    """Whether a value meets what stands beside its key."""
    if isinstance(condition, list):
        condition = {"$in": condition}
    if not isinstance(condition, Mapping):
        condition = {"$eq": condition}
    return all(_holds(name, operand, value) for name, operand in condition.items())


def matches_document(where: Mapping[str, Any] | None, document: str | None) -> bool:
    """Whether a record with this document satisfies `where_document`."""
    if where is None:
        return True
    [(name, operand)] = where.items()
    if name == "$and":
        return all(matches_document(clause, document) for clause in operand)
    if name == "$or":
        return any(matches_document(clause, document) for clause in operand)
    if name == "$not":
        return not matches_document(operand, document)
    if name in _NEGATIVE:
        return not matches_document({_NEGATIVE[name]: operand}, document)
    if document is None:
        return False
    if name == "$contains":
        return operand in document
    if name in ("$like", "$ilike"):
        return _like(operand, document, name == "$ilike")
    assert name == "$regex", name
    return re.search(operand, document) is not None


def _holds(name: str, operand: Any, value: Any) -> bool:
    """`value` is None where the record lacks the key."""
    if name in _NEGATIVE:
        return not _holds(_NEGATIVE[name], operand, value)
    if name == "$eq":
        return _same(value, operand)
    if name == "$in":
        return any(_same(value, member) for member in operand)
    if name == "$contains":
        return isinstance(value, list) and any(_same(member, operand) for member in value)
    if name == "$exists":
        return (value is not None) is operand
    if name == "$not":
        return not _fits(operand, value)
    if name == "$between":
        return _holds("$gte", operand[0], value) and _holds("$lte", operand[1], value)
    if name in ("$like", "$ilike"):
        return isinstance(value, str) and _like(operand, value, name == "$ilike")
    if name == "$regex":
        return isinstance(value, str) and re.search(operand, value) is not None
    if isinstance(operand, str):
        return isinstance(value, str) and bool(_ORDER[name](value, operand))
    return _is_number(value) and bool(_ORDER[name](value, operand))


def _like(pattern: str, text: str, any_case: bool) -> bool:
    """Whether a text is a pattern with % for any text, _ for any character, and \\ before either of them."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(_like(pattern[1:], text[start:], any_case) for start in range(len(text) + 1))
    quoted = pattern[0] == "\\"
    if not text or (pattern[0] != "_" and not _same_character(text[0], pattern[quoted], any_case)):
        return False
    return _like(pattern[1 + quoted :], text[1:], any_case)


def _same_character(one: str, other: str, any_case: bool) -> bool:
    return one == other or (any_case and one.lower() == other.lower())


def _same(a: Any, b: Any) -> bool:
    if _is_number(a) and _is_number(b):
        return bool(a == b)
    return type(a) is type(b) and not isinstance(a, list) and bool(a == b)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
