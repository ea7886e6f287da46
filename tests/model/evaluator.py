"""What a filter means, in plain Python: the oracle for where and where_document.

Numbers compare by value, exactly (Python does that for int against float). True is not 1,
"1" is not 1, lists equal no scalar. The negative operators match whatever the positive ones
do not, records without the key or the document included.
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
    if key == "#document":
        return matches_document(condition, document)
    if not isinstance(condition, Mapping):
        condition = {"$eq": condition}
    [(name, operand)] = condition.items()
    return _holds(name, operand, (metadata or {}).get(key))


def matches_document(where: Mapping[str, Any] | None, document: str | None) -> bool:
    """Whether a record with this document satisfies `where_document`."""
    if where is None:
        return True
    [(name, operand)] = where.items()
    if name == "$and":
        return all(matches_document(clause, document) for clause in operand)
    if name == "$or":
        return any(matches_document(clause, document) for clause in operand)
    if name in _NEGATIVE:
        return not matches_document({_NEGATIVE[name]: operand}, document)
    if document is None:
        return False
    if name == "$contains":
        return operand in document
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
    return _is_number(value) and bool(_ORDER[name](value, operand))


def _same(a: Any, b: Any) -> bool:
    if _is_number(a) and _is_number(b):
        return bool(a == b)
    return type(a) is type(b) and not isinstance(a, list) and bool(a == b)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
