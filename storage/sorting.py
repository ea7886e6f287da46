"""Records in the order of their metadata values.

Owns: the order between values of different types: booleans, numbers (integers and floats by value),
strings, lists; records without the key come last, whichever the direction. Ties keep insertion order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .columns import decode_metadata
from .snapshot import Place, in_order

_RANK = {bool: 0, int: 1, float: 1, str: 2, list: 3}


def sort_places(
    places: Sequence[Place], order_by: Sequence[tuple[str, bool]], offset: int, limit: int | None
) -> list[Place]:
    """`order_by` lists (metadata key, descending), most important first."""
    runs = in_order(places)
    rows = [(place, row) for place in runs for row in place.rows.tolist()]
    metadata = [
        mapping or {}
        for place in runs
        for mapping in decode_metadata(place.view.source.texts("metadata", place.rows))
    ]
    order = list(range(len(rows)))
    for key, descending in reversed(order_by):
        present = [index for index in order if key in metadata[index]]
        absent = [index for index in order if key not in metadata[index]]
        present.sort(key=lambda index: _sort_key(metadata[index][key]), reverse=descending)
        order = present + absent
    stop = None if limit is None else offset + limit
    picked = [rows[index] for index in order[offset:stop]]
    return [Place(place.view, np.asarray([row], np.int64)) for place, row in picked]


def _sort_key(value: Any) -> tuple[int, Any]:
    if isinstance(value, list):
        return 3, [_sort_key(item) for item in value]
    return _RANK[type(value)], value
