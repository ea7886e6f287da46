"""Sort rows by their metadata values. interface/metadata_order.py defines the order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..interface.metadata_order import ordered
from ..schema.record_columns import decode_metadata
from ..segments.snapshot import SelectedRows, in_order


def sort_selected(
    selected: Sequence[SelectedRows], order_by: Sequence[tuple[str, bool]], offset: int, limit: int | None
) -> list[SelectedRows]:
    """Sort rows by metadata, then return `limit` rows after `offset`.

    `order_by` lists pairs (metadata key, descending), the most important first. Ties are ordered by position.
    """
    runs = in_order(selected)
    rows = [(run, row) for run in runs for row in run.rows.tolist()]
    metadatas = [
        mapping for run in runs for mapping in decode_metadata(run.view.source.texts("metadata", run.rows))
    ]
    stop = None if limit is None else offset + limit
    picked = [rows[index] for index in ordered(metadatas, order_by)[offset:stop]]
    return [SelectedRows(run.view, np.asarray([row], np.int64)) for run, row in picked]
