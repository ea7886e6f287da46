"""Writes integers that JavaScript would round as texts.

A number of JavaScript is a float64, which has every integer only up to 2**53.
"""

from __future__ import annotations

from typing import Any

EXACT = 2**53 - 1


def as_texts(value: Any) -> Any:
    """A value of JSON whose integers beyond `EXACT` are texts. Arrays of numbers stay as they are."""
    if type(value) is int:
        return value if -EXACT <= value <= EXACT else str(value)
    if isinstance(value, dict):
        return {key: as_texts(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_texts(inner) for inner in value]
    return value
