"""The order of records by their metadata.

The engine uses it to sort, and so do clients of servers that cannot sort. The functions are pure. In
ascending order, booleans are first, then numbers (integers and floats by value), strings, lists, sparse
vectors (which are all equal). Records without the key are last in both directions. Ties keep their previous
order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .sparse_vector import SparseVector

_RANK = {bool: 0, int: 1, float: 1, str: 2, list: 3}


def ordered(metadatas: Sequence[Mapping[str, Any] | None], order_by: Sequence[tuple[str, bool]]) -> list[int]:
    """Return the indices of `metadatas` in sorted order.

    `order_by` lists pairs (key, descending), the most important first.
    """
    entries = [entry or {} for entry in metadatas]
    order = list(range(len(entries)))
    for key, descending in reversed(order_by):
        present = [index for index in order if key in entries[index]]
        absent = [index for index in order if key not in entries[index]]
        values = {index: sort_key(entries[index][key]) for index in present}
        present.sort(key=values.__getitem__, reverse=descending)
        order = present + absent
    return order


def sort_key(value: Any) -> tuple[int, Any]:
    """What Python compares to order values of all types."""
    if isinstance(value, list):
        return 3, [sort_key(item) for item in value]
    if isinstance(value, SparseVector):
        return 4, None
    return _RANK[type(value)], value
