"""What a batch does to the records that are there: add, upsert, update made into whole rows.

Owns: the meaning of the three modes. Pure over a snapshot; writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .columns import Columns, Ints, encode_metadata, merge_metadata
from .commit import NO_KILLS
from .errors import InvalidArgument
from .snapshot import Place, Snapshot
from .types import EncodedMetadata, Floats, Mode, Records, Written


@dataclass(frozen=True, slots=True)
class Located:
    """A batch's ids in a snapshot: the number of the view (-1: new) and the row there."""

    snapshot: Snapshot
    part: Ints
    row: Ints


@dataclass(frozen=True, slots=True)
class Resolved:
    """`rows` is None when nothing changes; `kills` are the positions whose version is replaced."""

    written: Written
    kills: Ints
    rows: Columns | None


def resolve(mode: Mode, records: Records, at: Located) -> Resolved:
    """Whole rows from a batch. Raises InvalidArgument on a wrong dimension or a missing embedding."""
    _check_dimension(records, at.snapshot.dimension)
    known = at.part >= 0
    new = np.flatnonzero(~known) if mode != "update" else NO_KILLS
    old = np.flatnonzero(known) if mode != "add" else NO_KILLS
    written = Written(len(new), len(old), len(records.ids) - len(new) - len(old))
    parts = []
    if len(new):
        parts.append(_new_rows(records, new, at.snapshot.next_position))
    if len(old) and _changes(records):
        parts.append(_changed_rows(records, old, at))
    if not parts:
        return Resolved(written, NO_KILLS, None)
    rows = parts[0] if len(parts) == 1 else _join(*parts)
    kills = rows.positions[rows.positions < at.snapshot.next_position]
    return Resolved(written, kills, rows)


def _changes(records: Records) -> bool:
    columns = (records.embeddings, records.documents, records.metadatas, records.uris)
    return any(column is not None for column in columns)


def _check_dimension(records: Records, dimension: int | None) -> None:
    if records.embeddings is None or dimension is None:
        return
    got = records.embeddings.shape[1]
    if got != dimension:
        raise InvalidArgument(f"Collection expecting embedding with dimension of {dimension}, got {got}")


def _pick(column: Sequence[Any] | None, at: list[int], count: int) -> list[Any]:
    if column is None:
        return [None] * len(at)
    if len(at) == count:
        return list(column)
    return [column[index] for index in at]


def _new_rows(records: Records, new: Ints, next_position: int) -> Columns:
    at, count = new.tolist(), len(records.ids)
    given = records.has_embedding
    if records.embeddings is None or (given is not None and not given[new].all()):
        raise InvalidArgument(
            f"ids {[records.ids[index] for index in at[:3]]} do not exist yet: "
            "a new record needs an embedding, or a document to embed"
        )
    whole, metadatas = len(at) == count, records.metadatas
    if isinstance(metadatas, EncodedMetadata):
        texts, typed = _pick(metadatas.texts, at, count), metadatas.columns if whole else None
    else:
        picked = None if metadatas is None else _pick(metadatas, at, count)
        texts, typed = encode_metadata(picked, len(at)), None
    return Columns(
        next_position + np.arange(len(at), dtype=np.int64),
        _pick(records.ids, at, count),
        _pick(records.documents, at, count),
        _pick(records.uris, at, count),
        texts,
        records.embeddings if whole else records.embeddings[new],
        typed,
    )


def _changed_rows(records: Records, old: Ints, at: Located) -> Columns:
    """The stored records with what the batch gives laid over them."""
    held = _stored(at, old)
    indexes = old.tolist()
    if records.documents is not None:
        held.documents = _laid_over(held.documents, records.documents, indexes)
    if records.uris is not None:
        held.uris = _laid_over(held.uris, records.uris, indexes)
    if records.metadatas is not None:
        changes = [records.metadatas[index] for index in indexes]
        held.metadata = [merge_metadata(text, change) for text, change in zip(held.metadata, changes)]
    if records.embeddings is not None:
        if records.has_embedding is None:
            held.vectors = records.embeddings[old]
        else:
            given = records.has_embedding[old]
            held.vectors[given] = records.embeddings[old[given]]
    return held


def _laid_over(held: list[str | None], given: Sequence[str | None], at: list[int]) -> list[str | None]:
    return [was if given[index] is None else given[index] for was, index in zip(held, at)]


def _stored(at: Located, wanted: Ints) -> Columns:
    """The stored records of `wanted` (batch numbers), in that order."""
    count = len(wanted)
    dimension = at.snapshot.dimension or 0
    positions = np.empty(count, np.int64)
    vectors: Floats = np.empty((count, dimension), np.float32)
    texts: list[list[Any]] = [[None] * count for _ in range(4)]
    part, row = at.part[wanted], at.row[wanted]
    for number, view in enumerate(at.snapshot.views):
        here = np.flatnonzero(part == number)
        if not len(here):
            continue
        place = Place(view, row[here])
        positions[here] = place.positions()
        vectors[here] = view.source.vectors[place.rows]
        for out, field in zip(texts, ("id", "document", "uri", "metadata")):
            for index, value in zip(here.tolist(), view.source.texts(field, place.rows)):
                out[index] = value
    ids, documents, uris, metadata = texts
    return Columns(positions, ids, documents, uris, metadata, vectors)


def _join(one: Columns, two: Columns) -> Columns:
    return Columns(
        np.concatenate([one.positions, two.positions]),
        one.ids + two.ids,
        one.documents + two.documents,
        one.uris + two.uris,
        one.metadata + two.metadata,
        np.concatenate([one.vectors, two.vectors]),
    )
