"""Rows in the order of their metadata values; the order itself is in ordering.py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..interface.metadata_order import ordered
from ..schema.record_columns import decode_metadata
from ..segments.snapshot import Place, in_order


def sort_places(
    places: Sequence[Place], order_by: Sequence[tuple[str, bool]], offset: int, limit: int | None
) -> list[Place]:
    """`order_by` lists (metadata key, descending), most important first; ties by position."""
    runs = in_order(places)
    rows = [(place, row) for place in runs for row in place.rows.tolist()]
    metadatas = [
        mapping
        for place in runs
        for mapping in decode_metadata(place.view.source.texts("metadata", place.rows))
    ]
    stop = None if limit is None else offset + limit
    picked = [rows[index] for index in ordered(metadatas, order_by)[offset:stop]]
    return [Place(place.view, np.asarray([row], np.int64)) for place, row in picked]
