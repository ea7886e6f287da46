"""Parses the stored form of an embedding function, which the server keeps without interpreting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import InvalidArgumentError
from ...storage.interface.short_repr import shown
from ...wire.json_codec import JSON, ShapeError

MAX_DEPTH = 64  # the nesting depth of values that clients store with a collection


def stored_function(function: Mapping[str, Any]) -> JSON:
    """Return the stored form without unknown fields."""
    if _deeper_than(MAX_DEPTH, function):
        raise InvalidArgumentError(f"embedding_function is nested more than {MAX_DEPTH} levels deep")
    kind = function.get("type")
    if kind == "known" and isinstance(function.get("name"), str):
        return {"type": "known", "name": function["name"], "config": function.get("config")}
    if kind in ("legacy", "unknown"):
        return {"type": kind}
    raise ShapeError(
        "Expected embedding_function to be {'type': 'known', 'name', 'config'}, {'type': 'legacy'} or "
        f"{{'type': 'unknown'}}, got {shown(function)}"
    )


def _deeper_than(levels: int, value: Any) -> bool:
    """Whether a value is nested too deeply. JSON writers have a limit too, so that no response could contain
    such a value."""
    if levels < 0:
        return True
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and any(_deeper_than(levels - 1, part) for part in value)
