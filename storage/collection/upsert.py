"""Turn a batch into the whole rows and the patches to write, given the stored records.

Owns: the meaning of the modes add, upsert and update, and which updates are patches: those of records in
segments that keep their vectors. Its functions only read a snapshot and write nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..interface.errors import InvalidArgument, WrongDimension
from ..interface.values import EncodedMetadata, Floats, Mode, Records, Written
from ..schema.patches import UNCHANGED, Patch
from ..schema.record_columns import Columns, Ints, Mask, encode_metadata, merge_metadata
from ..segments.ingest_rows import NewRows, new_positions
from ..segments.segment import Segment
from ..segments.snapshot import SelectedRows, Snapshot
from ..wal.frames import NO_DELETES

PATCH_BYTES = 256 << 20  # a larger patch would be read from the log at once; it is written as whole rows


class Located(NamedTuple):
    """The place of each id of a batch in a snapshot: the number of the view (-1: new id), and the row in
    it."""

    snapshot: Snapshot
    part: Ints
    row: Ints


class Resolved(NamedTuple):
    """The changes to commit.

    deletes  positions whose stored row is replaced
    rows     the rows to write; None if there are none
    patch    the new values of records whose rows stay, by position; None if there are none
    """

    deletes: Ints
    rows: Columns | NewRows | None
    patch: Patch | None = None


def resolve(mode: Mode, records: Records, at: Located) -> Resolved:
    """Turn a batch into whole rows.

    Raises InvalidArgument if the dimension is wrong or a new record has no embedding.
    """
    _check_dimension(records, at.snapshot.dimension)
    known = at.part >= 0
    # True for nearly every batch. `any` takes 1.5 us more, which shows in the time of a single add.
    if mode != "update" and len(known) and b"\x01" not in known.tobytes():
        return Resolved(NO_DELETES, _new_rows(records, None, at.snapshot.next_position))
    new = np.flatnonzero(~known) if mode != "update" else NO_DELETES
    old = np.flatnonzero(known) if mode != "add" else NO_DELETES
    fresh = _new_rows(records, new, at.snapshot.next_position) if len(new) else None
    if not len(old) or not _changes(records):
        return Resolved(NO_DELETES, fresh)
    keeps = _keeps_rows(records, old, at)
    patch = _patch(records, old[keeps], at) if keeps.any() else None
    if patch is not None and patch.nbytes() > PATCH_BYTES:
        patch, keeps = None, np.zeros(len(old), np.bool_)
    if keeps.all():
        return Resolved(NO_DELETES, fresh, patch)
    rows = _changed_rows(records, old[~keeps], at)
    if fresh is not None:
        rows = _join(as_columns(fresh), rows)
    deletes = rows.positions[rows.positions < at.snapshot.next_position]
    return Resolved(deletes, rows, patch)


def written(mode: Mode, known: list[bool]) -> Written:
    """Count the outcomes of a write. `known` states for each id whether it was already stored."""
    old = known.count(True)
    new = len(known) - old
    if mode == "add":
        return Written(added=new, skipped=old)
    if mode == "update":
        return Written(updated=old, skipped=new)
    return Written(added=new, updated=old)


def _changes(records: Records) -> bool:
    columns = (records.embeddings, records.documents, records.metadatas, records.uris)
    return any(column is not None for column in columns)


def _check_dimension(records: Records, dimension: int | None) -> None:
    if records.embeddings is None or dimension is None:
        return
    got = records.embeddings.shape[1]
    if got != dimension:
        raise WrongDimension(dimension, got, "the vectors in embeddings, or those made of the documents,")


def _new_rows(records: Records, new: Ints | None, next_position: int) -> NewRows:
    """Return the new records in a batch. `new` lists their indices; None means all."""
    given = records.has_embedding
    if given is not None and new is not None:
        given = given[new]
    if records.embeddings is None or (given is not None and not given.all()):
        ids = records.ids[:3] if new is None else [records.ids[index] for index in new[:3].tolist()]
        raise InvalidArgument(
            f"ids {list(ids)} do not exist yet: a new record needs an embedding, or a document to embed"
        )
    if new is None:
        positions = new_positions(next_position, len(records.ids))
        return NewRows(
            positions=positions,
            ids=records.ids,
            documents=records.documents,
            uris=records.uris,
            metadatas=records.metadatas,
            vectors=records.embeddings,
        )
    at = new.tolist()
    return NewRows(
        positions=new_positions(next_position, len(at)),
        ids=[records.ids[index] for index in at],
        documents=_pick(records.documents, at),
        uris=_pick(records.uris, at),
        metadatas=_pick_metadata(records.metadatas, at),
        vectors=records.embeddings[new],
    )


def _pick(column: Sequence[Any] | None, at: list[int]) -> list[Any] | None:
    return None if column is None else [column[index] for index in at]


def _pick_metadata(
    column: Sequence[Mapping[str, Any] | None] | None, at: list[int]
) -> Sequence[Mapping[str, Any] | None] | None:
    if isinstance(column, EncodedMetadata):
        return EncodedMetadata([column.texts[index] for index in at], None)
    return _pick(column, at)


def as_columns(rows: NewRows) -> Columns:
    """Return new records with a Python string per text, the form that the log and its memtable use."""
    count = len(rows)
    return Columns(
        positions=rows.positions,
        ids=list(rows.ids),
        documents=[None] * count if rows.documents is None else list(rows.documents),
        uris=[None] * count if rows.uris is None else list(rows.uris),
        metadata=encode_metadata(rows.metadatas, count),
        vectors=rows.vectors,
    )


def _keeps_rows(records: Records, old: Ints, at: Located) -> Mask:
    """Return which of the stored records keep their rows: those in segments, if they get no vector.

    A row of a memtable is in no graph, and is written to a segment soon.
    """
    given = records.has_embedding
    if records.embeddings is not None and given is None:
        return np.zeros(len(old), np.bool_)
    segments = [isinstance(view.source, Segment) for view in at.snapshot.views]
    keeps: Mask = np.array(segments, np.bool_)[at.part[old]]
    return keeps if given is None else keeps & ~given[old]


def _patch(records: Records, old: Ints, at: Located) -> Patch | None:
    """Return the new values of stored records. None if there are none."""
    indexes = old.tolist()
    values: dict[str, list[Any]] = {}
    for field, column in (("document", records.documents), ("uri", records.uris)):
        if column is not None:
            given = [column[index] for index in indexes]
            values[field] = [UNCHANGED if value is None else value for value in given]
    if records.metadatas is not None:
        changes = [records.metadatas[index] for index in indexes]
        merged = merge_metadata(_texts(at, old, "metadata"), changes)
        values["metadata"] = [new if change else UNCHANGED for new, change in zip(merged, changes)]
    changed = np.zeros(len(old), np.bool_)
    for texts in values.values():
        changed |= np.fromiter((text is not UNCHANGED for text in texts), np.bool_, len(old))
    if not changed.any():
        return None
    there = {field: texts for field, texts in values.items() if any(text is not UNCHANGED for text in texts)}
    return Patch(_positions(at, old), there).take(np.flatnonzero(changed))


def _positions(at: Located, requested: Ints) -> Ints:
    """Return the positions of the stored records at some batch indices."""
    out = np.empty(len(requested), np.int64)
    part, row = at.part[requested], at.row[requested]
    for number in np.unique(part).tolist():
        here = part == number
        out[here] = at.snapshot.views[number].positions[row[here]]
    return out


def _texts(at: Located, requested: Ints, field: str) -> list[str | None]:
    """Read one field of the stored records at some batch indices, in that order."""
    out: list[str | None] = [None] * len(requested)
    part, row = at.part[requested], at.row[requested]
    for number in np.unique(part).tolist():
        here = np.flatnonzero(part == number)
        texts = at.snapshot.views[number].source.texts(field, row[here])
        for index, value in zip(here.tolist(), texts):
            out[index] = value
    return out


def _changed_rows(records: Records, old: Ints, at: Located) -> Columns:
    """Return the stored records, updated with the values in the batch."""
    stored = _stored(at, old)
    indexes = old.tolist()
    if records.documents is not None:
        stored.documents = _laid_over(stored.documents, records.documents, indexes)
    if records.uris is not None:
        stored.uris = _laid_over(stored.uris, records.uris, indexes)
    if records.metadatas is not None:
        changes = [records.metadatas[index] for index in indexes]
        stored.metadata = merge_metadata(stored.metadata, changes)
    if records.embeddings is not None:
        if records.has_embedding is None:
            stored.vectors = records.embeddings[old]
        else:
            given = records.has_embedding[old]
            stored.vectors[given] = records.embeddings[old[given]]
    return stored


def _laid_over(stored: list[str | None], given: Sequence[str | None], at: list[int]) -> list[str | None]:
    return [was if given[index] is None else given[index] for was, index in zip(stored, at)]


def _stored(at: Located, requested: Ints) -> Columns:
    """Read the stored records at the batch indices `requested`, in that order."""
    count = len(requested)
    dimension = at.snapshot.dimension or 0
    positions = np.empty(count, np.int64)
    vectors: Floats = np.empty((count, dimension), np.float32)
    texts: list[list[Any]] = [[None] * count for _ in range(4)]
    part, row = at.part[requested], at.row[requested]
    for number, view in enumerate(at.snapshot.views):
        here = np.flatnonzero(part == number)
        if not len(here):
            continue
        run = SelectedRows(view, row[here])
        positions[here] = run.positions()
        vectors[here] = view.source.vectors_to_read(run.rows)[run.rows]
        for out, field in zip(texts, ("id", "document", "uri", "metadata")):
            for index, value in zip(here.tolist(), view.source.texts(field, run.rows)):
                out[index] = value
    ids, documents, uris, metadata = texts
    return Columns(
        positions=positions, ids=ids, documents=documents, uris=uris, metadata=metadata, vectors=vectors
    )


def _join(one: Columns, two: Columns) -> Columns:
    return Columns(
        positions=np.concatenate([one.positions, two.positions]),
        ids=one.ids + two.ids,
        documents=one.documents + two.documents,
        uris=one.uris + two.uris,
        metadata=one.metadata + two.metadata,
        vectors=np.concatenate([one.vectors, two.vectors]),
    )
