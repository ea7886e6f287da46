"""Check that the links of a graph from a file are safe to search with hnswlib.

Owns: the checks of everything that hnswlib relies on without checking it. A link to a row beyond the last
one, or to a row that is not in the link's layer, makes hnswlib read memory outside the graph. The checks
raise ValueError. The compiled part of the engine checks each link when it follows it.
"""

from __future__ import annotations

import numpy as np

from .graph import Array


def check_entry(levels: Array, entry: int) -> None:
    """Check that searches begin in the uppermost layer. `levels` has the uppermost layer of each row."""
    if entry >= len(levels) or levels[entry] != levels.max():
        raise ValueError(f"searches begin at row {entry}, which is not one of the uppermost layer")


def check_upper(lists: Array, levels: Array, neighbors: int) -> None:
    """Check the link lists of the upper layers.

    lists  uint8, concatenated by row; within a row, from the lowest layer up
    """
    high = levels[levels > 0].astype(np.int64)
    total = int(high.sum())
    if lists.nbytes != total * 4 * (neighbors + 1):
        raise ValueError(f"it has {lists.nbytes} bytes of upper layers for {total} lists of links")
    if not total:
        return
    numbers = lists.view(np.uint32).reshape(total, neighbors + 1)
    targets = check_lists(numbers, len(levels))
    layer = np.arange(total) - np.repeat(np.cumsum(high) - high, high) + 1
    if np.any(levels[targets] < np.repeat(layer, numbers[:, 0])):
        raise ValueError("a link of an upper layer leads to a row that is not in it")


def check_lists(lists: Array, rows: int) -> Array:
    """Check link lists, uint32 (n, 1 + most): the number of links, then the targets. Returns all targets."""
    most = lists.shape[1] - 1
    if int(lists[:, 0].max()) > most:
        raise ValueError(f"a row has {int(lists[:, 0].max())} links of {most} at most")
    targets: Array = lists[:, 1:][np.arange(most) < lists[:, :1]]
    check_targets(targets, rows)
    return targets


def check_targets(targets: Array, rows: int) -> None:
    if len(targets) and int(targets.max()) >= rows:
        raise ValueError(f"a link leads to row {int(targets.max())} of {rows}")
