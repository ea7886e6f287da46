"""Prepares searches before a collection sends them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.ranking import EMBEDDING
from ..storage.interface.short_repr import shown
from .conditions import Key
from .search import Search


def listed(searches: Any) -> list[Search]:
    """Return one search or several as a list. None gives an empty list."""
    if searches is None:
        return []
    several = [searches] if isinstance(searches, Search) else searches
    if not isinstance(several, Sequence) or isinstance(several, str):
        raise InvalidTypeError(f"Expected searches to be a Search or a list of them, got {shown(searches)}")
    for index, search in enumerate(several):
        if not isinstance(search, Search):
            raise InvalidTypeError(f"Expected searches[{index}] to be a Search, got {shown(search)}")
    return list(several)


def forms_of(searches: Sequence[Search]) -> list[dict[str, Any]]:
    """Return the wire forms of searches."""
    try:
        return [search.to_dict() for search in searches]
    except RecursionError:
        raise InvalidArgumentError("a search is nested too deeply; use fewer, longer lists") from None


def texts_of(forms: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the {"query": text} of every leaf in the ranks of searches."""
    waiting = [form.get("rank") for form in forms]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, dict):
            leaf = each.get("$knn")
            if isinstance(leaf, dict) and isinstance(leaf.get("query"), str):
                yield leaf
            waiting.extend(value for key, value in each.items() if key != "$knn")


def questions_of(forms: Sequence[dict[str, Any]]) -> list[str]:
    """Return the texts of each search, as one text. An empty list if no search has texts."""
    found = [" · ".join(dict.fromkeys(leaf["query"] for leaf in texts_of([form]))) for form in forms]
    return found if any(found) else []


def key_of(leaf: dict[str, Any]) -> str:
    """Return the name of the key that a leaf searches. A Key is not compared: that would make a condition."""
    key = leaf.get("key")
    name = key.name if isinstance(key, Key) else key
    if name is None:
        return EMBEDDING
    if not isinstance(name, str):
        raise InvalidTypeError(f"Expected key of $knn to be a string, got {shown(key)}")
    return name
