"""Records as Arrow record batches, a bounded number at a time.

Owns: how rows of several views become columns without passing through Python objects. What a scan
holds at any moment is one batch; the files it reads from are mapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from .columns import Ints, vector_array
from .snapshot import Place, View
from .types import Field

BATCH_BYTES = 8 << 20
MOST_ROWS = 65_536
_TEXT_BYTES = 512  # what the texts of a record are taken for before the first batch

# The columns by their names outside, in this order, and what a caller asks for to get them.
COLUMNS: tuple[tuple[str, Field | None], ...] = (
    ("id", None),
    ("document", "documents"),
    ("uri", "uris"),
    ("metadata", "metadatas"),
    ("embedding", "embeddings"),
)


def scan_schema(fields: frozenset[Field], dimension: int | None) -> pa.Schema:
    """What a scan yields: id, and of document, uri, metadata and embedding those asked for.

    All text is string; metadata is a JSON object as text. The embedding is a fixed-size list of
    float32, of length 0 as long as a collection has no dimension.
    """
    return pa.schema(
        [
            pa.field(
                name,
                pa.list_(pa.float32(), dimension or 0) if name == "embedding" else pa.string(),
                nullable=name not in ("id", "embedding"),
            )
            for name, field in COLUMNS
            if field is None or field in fields
        ]
    )


@dataclass(frozen=True, slots=True)
class Scan:
    """Rows of one snapshot in an order. They may be read any number of times, and are the same then."""

    places: tuple[Place, ...]
    dimension: int | None

    def read(self, fields: frozenset[Field]) -> pa.RecordBatchReader:
        """A stream of record batches of `scan_schema(fields, dimension)`, of BATCH_BYTES each at most unless
        one record has more."""
        schema = scan_schema(fields, self.dimension)
        return pa.RecordBatchReader.from_batches(schema, _batches(self.places, schema))


def _batches(places: Sequence[Place], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    at = schema.get_field_index("embedding")
    width = 4 * schema.field(at).type.list_size if at >= 0 else 0
    texts = [name for name in schema.names if name != "embedding"]
    rows = max(1, BATCH_BYTES // (_TEXT_BYTES + width))
    waiting = list(reversed(places))
    while waiting:
        taken = _take(waiting, rows)
        fitting = _fitting(taken, texts, width)
        if fitting < sum(len(place.rows) for place in taken):
            waiting.extend(reversed(taken))
            taken = _take(waiting, fitting)
        rows = min(MOST_ROWS, 2 * fitting)
        yield _batch(taken, schema)


def _fitting(places: Sequence[Place], texts: Sequence[str], width: int) -> int:
    """How many of the rows come to BATCH_BYTES, and one at least. `width`: bytes of a vector."""
    sizes = np.full(sum(len(place.rows) for place in places), width, np.int64)
    for view, rows, slots in _by_view(places):
        for name in texts:
            sizes[slots] += view.source.sizes(name, rows)
    return max(1, int(np.searchsorted(np.cumsum(sizes), BATCH_BYTES, "right")))


def _by_view(places: Sequence[Place]) -> Iterator[tuple[View, Ints, Ints]]:
    """Each view once, with its rows, and where these are in the order of the places."""
    runs: dict[int, list[int]] = {}
    for number, place in enumerate(places):
        runs.setdefault(id(place.view), []).append(number)
    starts = np.cumsum([0, *(len(place.rows) for place in places)])
    for numbers in runs.values():
        rows = np.concatenate([places[number].rows for number in numbers])
        slots = np.concatenate([np.arange(starts[number], starts[number + 1]) for number in numbers])
        yield places[numbers[0]].view, rows, slots


def _take(waiting: list[Place], rows: int) -> list[Place]:
    """So many rows off the end of the list, which is in reverse order."""
    taken: list[Place] = []
    while waiting and rows:
        place = waiting.pop()
        if len(place.rows) > rows:
            waiting.append(Place(place.view, place.rows[rows:]))
            place = Place(place.view, place.rows[:rows])
        rows -= len(place.rows)
        taken.append(place)
    return taken


def _batch(places: Sequence[Place], schema: pa.Schema) -> pa.RecordBatch:
    if len(places) == 1:
        return _columns(places[0], schema)
    # Many short runs of few views: one take per column and view, then put in order.
    parts, slots = [], []
    for view, rows, places_of in _by_view(places):
        parts.append(_columns(Place(view, rows), schema))
        slots.append(places_of)
    table = pa.Table.from_batches(parts, schema)
    if len(parts) < len(places):
        table = table.take(pa.array(np.argsort(np.concatenate(slots))))
    return table.combine_chunks().to_batches()[0]


def _columns(place: Place, schema: pa.Schema) -> pa.RecordBatch:
    """Rows of one view. Neighbouring rows of a segment are slices of its files, not copies."""
    source, rows = place.view.source, place.rows
    span = _span(rows)
    arrays = []
    for name in schema.names:
        if name == "embedding":
            arrays.append(vector_array(source.vectors[rows if span is None else span]))
        else:
            arrays.append(source.column(name, rows, span))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _span(rows: Ints) -> slice | None:
    """The rows as a slice, if each follows the one before."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 != len(rows) or not np.all(np.diff(rows) == 1):
        return None
    return slice(first, last + 1)
