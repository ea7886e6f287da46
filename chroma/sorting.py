"""Ids in the order of their metadata values, for servers that do not sort.

The order is the engine's (`storage.sorting`): booleans, numbers by value, strings, lists;
records without the key come last, whichever the direction; ties keep their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_RANK = {bool: 0, int: 1, float: 1, str: 2, list: 3}


def sorted_ids(
    ids: Sequence[str],
    metadatas: Sequence[Mapping[str, Any] | None],
    order_by: Sequence[tuple[str, bool]],
) -> list[str]:
    """`order_by` lists (metadata key, descending), most important first."""
    entries = [entry or {} for entry in metadatas]
    order = list(range(len(ids)))
    for key, descending in reversed(order_by):
        present = [row for row in order if key in entries[row]]
        absent = [row for row in order if key not in entries[row]]
        values = {row: _sort_key(entries[row][key]) for row in present}
        present.sort(key=values.__getitem__, reverse=descending)
        order = present + absent
    return [ids[row] for row in order]


def _sort_key(value: Any) -> tuple[int, Any]:
    if isinstance(value, list):
        return 3, [_sort_key(item) for item in value]
    return _RANK[type(value)], value
