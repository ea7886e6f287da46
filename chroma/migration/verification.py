"""Compares records of source and target: ids, documents, uris, metadata with its types, vectors bit for
bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..storage.interface.values import Floats, Rows
from .source import Part, Source, SourceCollection
from .target import Target

_RUNS = 24  # positions in a collection at which a sample is taken
_RUN = 16  # records in the sample at each position


def sample(count: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of positions to compare, including the first and the last records."""
    if count <= _RUNS * _RUN:
        yield 0, count
        return
    for start in np.linspace(0, count - _RUN, _RUNS).astype(int).tolist():
        yield start, start + _RUN


def differences(
    source: Source,
    target: Target,
    collection: SourceCollection,
    *,
    id: str,
    lost: list[int],
    everything: bool,
) -> tuple[int, list[str]]:
    """Compare records. Returns the number compared, and a few remarks on differences.

    lost  positions in the source that were skipped, ascending
    """
    compared = 0
    wrong: list[str] = []
    absent = set(lost)
    left_out = np.array(lost, np.int64)
    stretches = [(0, collection.count)] if everything else sample(collection.count)
    for start, stop in stretches:
        for part in source.read(collection, start, stop):
            kept = [index for index in range(len(part.ids)) if part.position + index not in absent]
            if not kept:
                continue
            before = int(np.searchsorted(left_out, part.position))
            rows = target.read(collection, id, part.position - before, len(kept))
            compared += len(kept)
            wrong += _wrong(part, kept, rows, target.exact)
            if len(wrong) >= 5:
                return compared, wrong[:5]
    return compared, wrong


def _wrong(part: Part, kept: list[int], rows: Rows, exact: bool) -> list[str]:
    ids = [part.ids[index] for index in kept]
    if ids != rows.ids:
        first = next((n for n, (a, b) in enumerate(zip(ids, rows.ids)) if a != b), len(rows.ids))
        there = repr(rows.ids[first]) if first < len(rows.ids) else "nothing"
        return [f"record {part.position + first:,} is {ids[first]!r} in the source, {there} in the target"]
    wrong = []
    columns: list[tuple[str, list[Any], list[Any]]] = [
        ("document", part.documents, rows.documents or []),
        ("uri", part.uris, rows.uris or []),
        ("metadata", [_typed(entry) for entry in part.metadatas], [_typed(e) for e in rows.metadatas or []]),
    ]
    for name, ours, theirs in columns:
        index = next((n for n, at in enumerate(kept) if ours[at] != theirs[n]), None)
        if index is not None:
            wrong.append(f"the {name} of {ids[index]!r} differs")
    if part.vectors is not None:
        index = _other_vector(part.vectors[kept], rows.embeddings, exact)
        if index is not None:
            wrong.append(f"the vector of {ids[index]!r} differs")
    return wrong


def _other_vector(ours: Floats, theirs: Floats | None, exact: bool) -> int | None:
    if theirs is None or ours.shape != theirs.shape:
        return 0
    if exact:
        same = (ours.view(np.uint32) == np.ascontiguousarray(theirs).view(np.uint32)).all(1)
    else:  # chromadb servers scale vectors to length 1 and back
        same = np.isclose(ours, theirs, rtol=1e-5, atol=1e-6).all(1)
    return None if same.all() else int(np.flatnonzero(~same)[0])


def _typed(metadata: Any) -> str | None:
    """Return a text that is equal only for equal keys, values and types. 1, 1.0 and true differ."""
    return json.dumps(metadata, sort_keys=True) if metadata else None
