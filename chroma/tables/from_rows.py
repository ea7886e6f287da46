"""Converts rows that a backend reads to table columns, with one metadata column per key and type.

Owns: the column order (id, document, uri, metadata, embedding).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from ..errors import InvalidArgumentError
from ..requests.projection import Projection
from ..storage.interface import metadata_json
from ..storage.interface.short_repr import shown
from ..storage.interface.values import Field, Rows
from ..validation.sequences import check_encodable
from ..wire.arrow_codec import KEY_MARK, TYPES, TypedKey, kind_of, typed_array, vectors
from .column_names import column_names, key_of, listed, near_miss

FIELDS: dict[str, Field] = {"document": "documents", "uri": "uris", "embedding": "embeddings"}


def projection(columns: Any, form: Any) -> Projection:
    """Check the columns that a caller selects: "id", "document", "uri", "embedding" and metadata keys."""
    if form not in ("columns", "json"):
        raise InvalidArgumentError(f'Expected metadata to be "columns" or "json", got {shown(form)}')
    if columns is None:
        return Projection(form=form)
    if isinstance(columns, str):
        columns = [columns]
    names = list(columns)
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidArgumentError(
            f"Expected columns to be a list of column names, or None for all, got {shown(columns)}"
        )
    check_encodable(names, "columns")
    if len(set(names)) < len(names):
        raise InvalidArgumentError(f"columns names some column twice: {shown(names)}")
    for name in names:
        if (meant := near_miss(name)) is not None:
            raise InvalidArgumentError(
                f"there is no column {name!r}: call it {meant!r}, or 'metadata.{name}' for the metadata key"
            )
    fields = {FIELDS[name] for name in names if name in FIELDS}
    keys = [key_of(name) for name in names if name not in FIELDS and name not in ("id", "metadata")]
    if "metadata" in names and (form != "json" or keys):
        raise InvalidArgumentError(
            "the column 'metadata' is there with metadata=\"json\", and then no key has a column of its own"
        )
    if form == "json" and keys:
        raise InvalidArgumentError(
            f"with metadata=\"json\" the metadata are one column, 'metadata'; it was asked for {shown(keys)}"
        )
    if keys or "metadata" in names:
        fields.add("metadatas")
    return Projection(tuple(names), frozenset(fields), tuple(dict.fromkeys(keys)), form)


def picked(schema: pa.Schema, columns: Sequence[str]) -> tuple[list[int], pa.Schema]:
    """Return the indexes of the requested columns in `schema`, in the requested order, and their schema.

    A key with values of several types has several columns. A column of null type has no value in any
    record that was read.
    """
    own = {"id", "metadata", *FIELDS}
    indices: list[int] = []
    for name in columns:
        if name in schema.names:
            indices.append(schema.names.index(name))
            continue
        for index, found in enumerate(schema.names):
            if found not in own and key_of(found) == key_of(name) and index not in indices:
                indices.append(index)
    indices = [*dict.fromkeys(indices)]
    return indices, pa.schema([schema.field(index) for index in indices])


def select(batch: pa.RecordBatch, indices: Sequence[int], schema: pa.Schema) -> pa.RecordBatch:
    """Return the columns at `indices`, with the names in `schema`."""
    return pa.RecordBatch.from_arrays([batch.column(index) for index in indices], schema=schema)


# ---------------------------------------------------------------------------- other forms of metadata


class Flat:
    """Converts a server's batches, which hold metadata in a struct, to batches with one column per key."""

    def __init__(self, schema: pa.Schema) -> None:
        self._at = schema.get_field_index("metadata")
        fields = list(schema)
        if self._at >= 0 and not pa.types.is_struct(fields[self._at].type):
            self._at = -1  # the metadata are JSON text
        if self._at >= 0:
            inner = list(schema.field(self._at).type)
            names = column_names([_typed_key(field) for field in inner])
            fields[self._at : self._at + 1] = [
                pa.field(name, field.type) for name, field in zip(names, inner)
            ]
        self.schema = pa.schema(fields)

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = batch.columns
        if self._at >= 0:
            arrays[self._at : self._at + 1] = arrays[self._at].flatten()
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _typed_key(field: pa.Field) -> TypedKey:
    key = (field.metadata or {}).get(KEY_MARK)
    kind = next((name for name, type in TYPES.items() if type == field.type), "str")
    return TypedKey(field.name if key is None else key.decode(), kind)


def typed_keys_of(pages: Iterable[Rows], keys: Sequence[str] | None) -> list[TypedKey]:
    """Return the metadata keys and types in the rows, keys by first appearance, types by name."""
    found: dict[TypedKey, None] = {}
    for page in pages:
        for entry in page.metadatas or ():
            for key, value in (entry or {}).items():
                if keys is None or key in keys:
                    found[TypedKey(key, kind_of(value))] = None
    order = {key: index for index, key in enumerate(dict.fromkeys(typed.key for typed in found))}
    return sorted(found, key=lambda typed: (order[typed.key], typed.kind))


def missing_keys(keys: Sequence[str] | None, known: Iterable[str]) -> None:
    """Raise InvalidArgumentError for a key that no record has."""
    known = sorted(set(known))
    unknown = [key for key in keys or () if key not in known]
    if unknown:
        raise InvalidArgumentError(
            f"no record has the metadata key {unknown[0]!r}: there are {listed(known) or 'none'}"
        )


class FromRows:
    """Converts the rows of a backend that does not store columns to record batches."""

    def __init__(
        self,
        projection: Projection,
        typed_keys: Sequence[TypedKey],
        dimension: int | None,
        others: Sequence[str] = (),
    ) -> None:
        self._projection, self._dimension = projection, dimension or 0
        self._columns = dict(zip(typed_keys, column_names(typed_keys, others)))
        fields = [pa.field("id", pa.string())]
        fields += [
            pa.field(name, pa.string()) for name in ("document", "uri") if FIELDS[name] in projection.fields
        ]
        if projection.form == "json" and "metadatas" in projection.fields:
            fields.append(pa.field("metadata", pa.string()))
        fields += [pa.field(name, TYPES[typed.kind]) for typed, name in self._columns.items()]
        if "embeddings" in projection.fields:
            fields.append(pa.field("embedding", pa.list_(pa.float32(), self._dimension)))
        self.schema = pa.schema(fields)

    def batch(self, rows: Rows) -> pa.RecordBatch:
        arrays: list[Any] = [pa.array(rows.ids, pa.string())]
        arrays += [
            pa.array(column, pa.string())
            for name, column in (("document", rows.documents), ("uri", rows.uris))
            if FIELDS[name] in self._projection.fields
        ]
        entries = rows.metadatas or [None] * len(rows.ids)
        if self._projection.form == "json" and "metadatas" in self._projection.fields:
            texts = [None if entry is None else metadata_json.dumps(entry).decode() for entry in entries]
            arrays.append(pa.array(texts, pa.string()))
        for typed in self._columns:
            values = [_value(entry, typed) for entry in entries]
            arrays.append(typed_array(values, typed.kind))
        if "embeddings" in self._projection.fields:
            if rows.embeddings is None or not len(rows.ids):
                arrays.append(pa.array([], self.schema.field("embedding").type))
            else:
                arrays.append(vectors(rows.embeddings))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _value(entry: Any, typed: TypedKey) -> Any:
    value = None if entry is None else entry.get(typed.key)
    return value if value is not None and kind_of(value) == typed.kind else None
