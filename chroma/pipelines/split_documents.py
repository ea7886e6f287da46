"""Divides the documents of rows into pieces that the embedding model reads whole. Each piece is a record."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pyarrow as pa

from ..embedding.chunking import Spans
from ..errors import InvalidArgumentError
from ..tables import to_records, type_conversion
from ..tables.to_records import Mapped
from .chunks import Objects, Part, Rows, with_fields

CHUNK_OF, CHUNK, START, END = KEYS = ("chunk_of", "chunk", "chunk_start", "chunk_end")


class _Piece(NamedTuple):
    """A row after the division. `keys` is None for a row that was not divided."""

    row: int
    id: Any
    text: str | None
    keys: dict[str, Any] | None


def divided(part: Part, mapped: Mapped, spans: Spans) -> Part:
    """Return a row for each piece of a document.

    The id of a piece is that of its row and the number of the piece, as "a#0". Its metadata are those of the
    row, and `KEYS`: the id of the row, the number of the piece, and the places in the document where it
    begins and ends. Rows without an id or a document stay as they are.
    """
    return _rows(part, mapped, spans) if isinstance(part, Rows) else _objects(part, mapped, spans)


def with_keys(mapped: Mapped) -> Mapped:
    """Return the mapping for pieces. If it selects metadata, it also selects the keys that pieces have."""
    if mapped.metadata is None:
        return mapped
    return replace(mapped, metadata={**mapped.metadata, **{key: key for key in KEYS}})


def _pieces(ids: Sequence[Any], texts: Sequence[Any], spans: Spans) -> list[_Piece]:
    pieces = []
    for row, (id, text) in enumerate(zip(ids, texts, strict=True)):
        if not isinstance(id, str) or not isinstance(text, str):
            pieces.append(_Piece(row, id, text, None))
            continue
        for number, (start, end) in enumerate(spans(text)):
            keys = {CHUNK_OF: id, CHUNK: number, START: start, END: end}
            pieces.append(_Piece(row, f"{id}#{number}", text[start:end], keys))
    return pieces


def _rows(part: Rows, mapped: Mapped, spans: Spans) -> Part:
    table = type_conversion.without_views(part.table)
    name, id_name = to_records.document_name(table.schema, mapped), mapped.parts.get("id", "id")
    if name is None or id_name not in table.column_names:
        return part  # the check of the columns tells what is missing
    _check_names(table.column_names, mapped)
    if part.has_any_vector(mapped.embedding):
        raise _has_vectors(mapped.embedding)
    if mapped.metadata is None and "metadata" in table.column_names:
        raise InvalidArgumentError(
            f"split adds the metadata {', '.join(KEYS)}, and the column 'metadata' holds all metadata: "
            "give each key a column of its own"
        )
    texts = to_records.texts_of(table, name)
    pieces = _pieces(to_records.ids_of(table, mapped), texts, spans)
    table = table.take(pa.array([piece.row for piece in pieces], pa.int64()))
    for column, values in (
        (id_name, [piece.id for piece in pieces]),
        (name, [piece.text for piece in pieces]),
    ):
        index = table.schema.get_field_index(column)
        table = table.set_column(index, column, pa.array(values, pa.large_string()))
    for key in KEYS:
        kind = pa.large_string() if key == CHUNK_OF else pa.int64()
        table = table.append_column(key, pa.array([(piece.keys or {}).get(key) for piece in pieces], kind))
    return Rows(table, [part.row_numbers[piece.row] for piece in pieces], part.end, part.bad)


def _objects(part: Objects, mapped: Mapped, spans: Spans) -> Part:
    name, id_name = part.document_name(mapped), mapped.parts.get("id", "id")
    if name is None:
        return part
    if part.has_any_vector(mapped.embedding):
        raise _has_vectors(mapped.embedding)
    pieces = _pieces(part.ids(mapped), [value.get(name) for value in part.values], spans)
    values = []
    for piece in pieces:
        value = part.values[piece.row]
        _check_names(value, mapped)
        if piece.keys is not None:
            value = {**with_fields(value, piece.keys), id_name: piece.id, name: piece.text}
        values.append(value)
    return Objects(values, [part.row_numbers[piece.row] for piece in pieces], part.end, part.bad)


def _check_names(names: Collection[str], mapped: Mapped) -> None:
    """Raise InvalidArgumentError for a column that has the name of a key of pieces."""
    for key in KEYS:
        if key in names and key not in mapped.parts.values():
            raise InvalidArgumentError(
                f"split adds the metadata {key!r}, and there is a column of that name: rename it"
            )


def _has_vectors(name: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"split divides documents, and the column {name!r} has vectors of whole ones: leave it out, so that "
        "the pieces are embedded"
    )
