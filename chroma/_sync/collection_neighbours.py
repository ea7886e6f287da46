# Made from chroma/_async/collection_neighbours.py by scripts/twins.py: change that file, and run `make fix`.
"""Finds the neighbours of each record, and groups of records that are nearly the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..internal.error_context import during
from ..internal.optional_dependencies import require_arrow
from ..internal.progress import bar
from ..requests.projection import ScanRequest
from ..storage.interface.requests import QueryRequest, Selection
from ..storage.interface.values import Floats, Hits
from ..types import Where
from ..validation.read_arguments import NO_VECTORS, check_bool, check_distance, check_positive, selected
from .collection_keys import Keys

if TYPE_CHECKING:
    import pyarrow as pa

_STEP = 500  # records whose neighbours are searched by one call
_MOST_HITS = 200_000  # of one such call
_FIRST = 16  # neighbours of a record that are looked at for duplicates, before more are


class Neighbours(Keys):
    """The methods of a collection that query it with its own vectors."""

    def neighbours(
        self,
        k: int = 10,
        where: Where | str | None = None,
        *,
        exact: bool = False,
        progress: bool | None = None,
    ) -> pa.Table:
        """The `k` nearest records to each record, itself left out.

            collection.neighbours(5).to_pandas()

        k         the number of neighbours per record; fewer only if there are fewer records
        where     only among the records that match
        exact     True: compare all of them, without the index
        progress  show a bar; None: on terminals and in notebooks

        Returns an Arrow table with the columns id, neighbour (string), rank (int32, from 0) and distance
        (float32). The rows are ordered by record, in insertion order, then by rank. The vectors are read and
        searched 500 at a time.
        """
        require_arrow()
        from ..tables import neighbour_tables

        with during("neighbours"):
            most = check_positive(k, "k")
            request = QueryRequest(vectors=NO_VECTORS, k=most + 1, selection=selected(None, where, None))
            request = request._replace(exact=check_bool(exact, "exact"))
        table = neighbour_tables.Neighbours(most)
        for ids, vectors in self._vectors("neighbours", request.selection, progress):
            table.add(ids, self._backend.query(self._ref, request._replace(vectors=vectors)))
        return table.finish()

    def duplicates(
        self,
        max_distance: float,
        where: Where | str | None = None,
        *,
        exact: bool = False,
        progress: bool | None = None,
    ) -> pa.Table:
        """The pairs of records whose distance is at most `max_distance`, the nearest pairs first.

            pairs = collection.duplicates(0.02)
            collection.delete(ids=pairs["duplicate"].unique().to_pylist())

        where     only among the records that match
        exact     True: compare all of them, without the index, which may overlook pairs
        progress  show a bar; None: on terminals and in notebooks

        Returns an Arrow table with the columns id, duplicate (string) and distance (float32). Each pair is
        there once. `duplicate` is the record that was added later. If you delete all of these, one record of
        each group of equal records is left. Distances are those of the collection's space.
        """
        require_arrow()
        from ..tables import neighbour_tables

        with during("duplicates"):
            limit = check_distance(max_distance, "max_distance", self._info.configuration["hnsw"]["space"])
            request = QueryRequest(vectors=NO_VECTORS, k=_FIRST, selection=selected(None, where, None))
            request = request._replace(exact=check_bool(exact, "exact"), max_distance=limit)
        pairs = neighbour_tables.Pairs()
        for ids, vectors in self._vectors("duplicates", request.selection, progress):
            pairs.begin(ids)
            for near, found in self._all_within(request, ids, vectors):
                pairs.add(near, found)
        return pairs.finish()

    def _all_within(
        self, request: QueryRequest, ids: Sequence[str], vectors: Floats
    ) -> Iterator[tuple[list[str], list[Hits]]]:
        """For each vector, all records within the distance, for a part of the vectors at a time.

        If a vector gets as many records as were asked for, it may have more. It is then asked again, together
        with few others. This bounds the answer: in a group of 100,000 equal records, each has all others.
        """
        waiting, k = list(range(len(ids))), request.k
        while waiting:
            full: list[int] = []
            step = max(1, _MOST_HITS // k)
            for start in range(0, len(waiting), step):
                rows = waiting[start : start + step]
                found = self._backend.query(self._ref, request._replace(vectors=vectors[rows], k=k))
                done = [
                    (ids[row], hits) for row, hits in zip(rows, found, strict=True) if len(hits.rows.ids) < k
                ]
                if done:
                    yield [id for id, _ in done], [hits for _, hits in done]
                full += [row for row, hits in zip(rows, found) if len(hits.rows.ids) == k]
            waiting, k = full, 8 * k

    def _vectors(
        self, name: str, selection: Selection, progress: bool | None
    ) -> Iterator[tuple[list[str], Floats]]:
        """The ids and vectors of records, in insertion order, from one snapshot. A bar `name` shows how many
        were worked on."""
        from ..tables import from_rows, neighbour_tables

        total = self._backend.count(self._ref, selection)
        shown = bar(progress, name, total=total, option="progress=True")

        projection = from_rows.projection(["id", "embedding"], "columns")
        batches = self._backend.batches(
            self._ref, ScanRequest(selection=selection, projection=projection)
        )
        for batch in batches:
            for start in range(0, batch.num_rows, _STEP):
                ids, vectors = neighbour_tables.vectors(batch.slice(start, _STEP))
                yield ids, vectors
                if shown is not None:
                    shown.update(len(ids))
        if shown is not None:
            shown.close()
