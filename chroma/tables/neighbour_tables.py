"""The tables that the neighbours of many records make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from ..errors import InvalidArgumentError
from ..storage.interface.values import Floats, Hits

_SLACK = 10_000  # pairs that are kept beyond twice the wanted ones before some are dropped
_PAIRS = 5_000_000  # of duplicates; as Python objects they take 1 GB


def vectors(batch: pa.RecordBatch) -> tuple[list[str], Floats]:
    """Return the ids and the vectors, float32 (n, dim), of a batch with the columns id and embedding."""
    column = batch.column(batch.schema.get_field_index("embedding"))
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    ids: list[str] = batch.column(batch.schema.get_field_index("id")).to_pylist()
    return ids, flat.reshape(len(ids), -1)


class Neighbours:
    """The nearest records to each of many records, as columns."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._batches: list[pa.RecordBatch] = []

    def add(self, ids: Sequence[str], found: Sequence[Hits]) -> None:
        """Add the hits of some records. A record may be among its own hits."""
        of: list[str] = []
        others: list[str] = []
        ranks: list[int] = []
        distances = []
        for id, hits in zip(ids, found, strict=True):
            rows = [row for row, other in enumerate(hits.rows.ids) if other != id][: self._k]
            of += [id] * len(rows)
            others += [hits.rows.ids[row] for row in rows]
            ranks += range(len(rows))
            distances.append(hits.distances[rows])
        columns = [
            pa.array(of, pa.string()),
            pa.array(others, pa.string()),
            pa.array(ranks, pa.int32()),
            pa.array(np.concatenate(distances) if distances else [], pa.float32()),
        ]
        self._batches.append(pa.RecordBatch.from_arrays(columns, schema=_NEIGHBOURS))

    def finish(self) -> pa.Table:
        return pa.Table.from_batches(self._batches, _NEIGHBOURS)


class Pairs:
    """Pairs of records that are near each other, each once.

    most  keep only so many of the nearest pairs; None: all, and too many are an error
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._farthest = np.inf  # of the pairs that can still be among the nearest
        self.complete = True  # whether no pair was left out
        self._order: dict[str, int] = {}
        self._distances: dict[tuple[str, str], float] = {}

    def begin(self, ids: Iterable[str]) -> None:
        """Register the next records, in insertion order. Their hits may then be added in any order."""
        for id in ids:
            self._order.setdefault(id, len(self._order))

    def add(self, ids: Iterable[str], found: Sequence[Hits]) -> None:
        """Add the hits of some records. Raises InvalidArgumentError if there are too many."""
        for id, hits in zip(ids, found, strict=True):
            for other, distance in zip(hits.rows.ids, hits.distances.tolist(), strict=True):
                if other != id and distance <= self._farthest:
                    self._distances[(id, other) if id < other else (other, id)] = distance
        if self._most is not None:
            self._keep_nearest(self._most)
        elif len(self._distances) > _PAIRS:
            raise InvalidArgumentError(
                f"more than {_PAIRS:,} pairs are that near: pass a smaller max_distance, or where=…"
            )

    def _keep_nearest(self, most: int) -> None:
        """Bound the memory: keep the first `most` pairs in the order of `finish`, of those that are known."""
        if len(self._distances) <= 2 * most + _SLACK:
            return
        ranked = sorted(self._distances.items(), key=lambda entry: (entry[1], *self._ranks(entry[0])))
        self._distances = dict(ranked[:most])
        self._farthest = ranked[most - 1][1] if most else -np.inf
        self.complete = False

    def _ranks(self, pair: tuple[str, str]) -> tuple[int, int]:
        """The ranks of two records in insertion order, the earlier one first."""
        last = len(self._order)  # of records that were added meanwhile
        first, second = (self._order.get(id, last) for id in pair)
        return min(first, second), max(first, second)

    def finish(self) -> pa.Table:
        rows = []
        for (one, other), distance in self._distances.items():
            first, second = self._ranks((one, other))
            swapped = first != self._order.get(one, len(self._order))
            rows.append((distance, first, second, *((other, one) if swapped else (one, other))))
        rows.sort()
        return pa.table(
            [
                pa.array([row[3] for row in rows], pa.string()),
                pa.array([row[4] for row in rows], pa.string()),
                pa.array([row[0] for row in rows], pa.float32()),
            ],
            schema=_PAIRS_SCHEMA,
        )


_NEIGHBOURS = pa.schema(
    [("id", pa.string()), ("neighbour", pa.string()), ("rank", pa.int32()), ("distance", pa.float32())]
)
_PAIRS_SCHEMA = pa.schema([("id", pa.string()), ("duplicate", pa.string()), ("distance", pa.float32())])
