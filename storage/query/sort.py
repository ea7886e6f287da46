"""Sort rows by their metadata values. interface/metadata_order.py defines the order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from ..interface.metadata_order import sort_key
from ..schema.record_columns import Ints, Mask
from ..segments.snapshot import SegmentView, SelectedRows, in_runs
from . import value_order
from .typed_columns import SomeColumns

_LAST = np.iinfo(np.int64).max
_Located = Sequence[tuple[SegmentView, Ints, Ints]]


def sort_selected(
    selected: Sequence[SelectedRows],
    order_by: Sequence[tuple[str, bool]],
    offset: int,
    limit: int | None,
    typed: Callable[[SegmentView], SomeColumns],
) -> list[SelectedRows]:
    """Sort rows by metadata, then return `limit` rows after `offset`.

    order_by  pairs (metadata key, descending), the most important first. Ties are ordered by position
    typed     gives the metadata columns of a view
    """
    runs = [run for run in selected if len(run.rows)]
    if not runs:
        return []
    ends = np.cumsum([len(run.rows) for run in runs])
    located = [
        (run.view, run.rows, np.arange(end - len(run.rows), end)) for run, end in zip(runs, ends.tolist())
    ]
    ranks = [_ranks(key, descending, located, typed, int(ends[-1])) for key, descending in order_by]
    positions = np.concatenate([run.positions() for run in runs])
    order = np.lexsort((positions, *ranks[::-1]))[offset : None if limit is None else offset + limit]
    rows = np.concatenate([run.rows for run in runs])[order]
    return in_runs([run.view for run in runs], np.searchsorted(ends, order, "right"), rows)


def _ranks(
    key: str, descending: bool, located: _Located, typed: Callable[[SegmentView], SomeColumns], count: int
) -> Ints:
    """Return int64 (count,), which ascends as the rows are to be sorted. Rows without the key are last."""
    codes = value_order.codes(key, located, typed, count)
    ranks = codes.order()
    several = codes.unordered()
    if several.any():
        ranks[several] += _ranks_of_lists(key, located, several)
    if descending:
        ranks = -ranks
    ranks[codes.missing()] = _LAST
    return ranks


def _ranks_of_lists(key: str, located: _Located, several: Mask) -> Ints:
    """Return the ranks of lists among each other; sparse vectors come after them, and are equal."""
    keys = []
    for view, rows, at in located:
        for entry in view.source.mappings(rows[several[at]]):
            assert entry is not None
            keys.append(sort_key(entry[key]))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    larger = [False, *(keys[one] != keys[other] for one, other in itertools.pairwise(order))]
    out = np.empty(len(keys), np.int64)
    out[order] = np.cumsum(larger)
    return out
