"""Check that a graph from a file is safe to search.

Owns: the checks of everything that hnswlib relies on without checking it. A link to a row beyond the last
one, or to a row that is not in the link's layer, makes hnswlib read memory outside the graph. The checks
raise ValueError.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..vectors.distance import Space

Array = npt.NDArray[Any]
_SEED = 100
SERIALISATION = 1  # the version of hnswlib's state
# The fields that determine the memory layout. The other fields are equal in all graphs, or have no effect.
_COMPARED = (
    "ser_version", "space", "dim", "offset_level0", "cur_element_count", "size_data_per_element",
    "label_offset", "offset_data", "max_level", "max_M", "max_M0", "M", "has_deletions",
    "size_links_per_element", "allow_replace_deleted", "normalize", "index_inited", "ep_added",
)  # fmt: skip


def scalars(
    space: Space, rows: int, kept: int, *, neighbors: int, ef_construction: int, entry: int, top: int
) -> dict[str, Any]:
    """Compute hnswlib's scalar state of a graph from its parameters, so that none of it is taken from a file.

    kept             the dimension of the graph's vectors
    neighbors        the most links per row in an upper layer; the ground layer has twice as many
    ef_construction  the value with which the graph was built
    entry            the row at which a search begins
    top              the uppermost layer, which contains `entry`
    """
    block = 4 * (2 * neighbors + 1)
    return {
        "ser_version": SERIALISATION,
        "space": "l2" if space == "l2" else "ip",
        "dim": kept,
        "index_inited": True,
        "ep_added": True,
        "normalize": False,
        "num_threads": 1,  # each search passes its own number
        "seed": _SEED,
        "offset_level0": 0,
        "max_elements": rows,
        "cur_element_count": rows,
        "size_data_per_element": block + 4 * kept + 8,
        "label_offset": block + 4 * kept,
        "offset_data": block,
        "max_level": top,
        "enterpoint_node": entry,
        "max_M": neighbors,
        "max_M0": 2 * neighbors,
        "M": neighbors,
        "mult": 1 / math.log(neighbors),
        "ef_construction": ef_construction,
        "ef": 10,
        "has_deletions": False,
        "size_links_per_element": 4 * (neighbors + 1),
        "allow_replace_deleted": False,
    }


def same(computed: dict[str, Any], given: dict[str, Any]) -> bool:
    """Whether the file's state and the computed state have the same values in the fields of `_COMPARED`."""
    return all(key in given and given[key] == computed[key] for key in _COMPARED)


def check_entry(levels: Array, entry: int) -> None:
    """Check that searches begin in the uppermost layer. `levels` has the uppermost layer of each row."""
    if entry >= len(levels) or levels[entry] != levels.max():
        raise ValueError(f"walks begin at row {entry}, which is not one of the uppermost layer")


def check_ground(lists: Array, rows: int) -> None:
    """Check link lists of the ground layer in hnswlib's form.

    lists  uint32 (n, 1 + most): the number of links, then the target rows
    """
    _check_lists(lists, rows)


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
    targets = _check_lists(numbers, len(levels))
    layer = np.arange(total) - np.repeat(np.cumsum(high) - high, high) + 1
    if np.any(levels[targets] < np.repeat(layer, numbers[:, 0])):
        raise ValueError("a link of an upper layer leads to a row that is not in it")


def _check_lists(lists: Array, rows: int) -> Array:
    """Check link lists, and return the target rows of all links."""
    most = lists.shape[1] - 1
    if int(lists[:, 0].max()) > most:
        raise ValueError(f"a row has {int(lists[:, 0].max())} links of {most} at most")
    targets: Array = lists[:, 1:][np.arange(most) < lists[:, :1]]
    check_targets(targets, rows)
    return targets


def check_targets(targets: Array, rows: int) -> None:
    if len(targets) and int(targets.max()) >= rows:
        raise ValueError(f"a link leads to row {int(targets.max())} of {rows}")
