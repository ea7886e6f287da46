"""Converts Arrow record batches, which any program may have sent, to checked records.

Owns: the columns and types that a stream may have, and the rule which rows of a write need an embedding.
`tables.to_records` converts the columns to records. A batch that is not accepted raises an
InvalidArgumentError that names the column, and none of its rows are written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import InvalidArgumentError
from ...storage.interface.short_repr import shown
from ...storage.interface.values import EncodedMetadata, Floats, Mode, Records
from ...tables import to_records
from ...tables.type_conversion import is_number, is_text
from ...validation.sequences import check_ids
from ...validation.vectors import stacked
from ...validation.write_batch import Batch
from ...wire.arrow_codec import FIELD_OF

_PLURALS = {"ids": "id"} | {plural: name for name, plural in FIELD_OF.items()}
_REMEDIES = (
    (pa.types.is_dictionary, "decode it: array.dictionary_decode() in pyarrow"),
    (pa.types.is_decimal, "cast it to float64, or to string"),
    (pa.types.is_binary, "encode it as base64 text"),
    (pa.types.is_struct, "flatten it into several columns"),
)


def check_schema(schema: pa.Schema) -> None:
    """Raises InvalidArgumentError for a schema that makes every batch of the stream invalid."""
    names = schema.names
    for name, times in Counter(names).items():
        if times > 1:
            raise InvalidArgumentError(f"the column {name!r} is there {times} times: rename one")
        if name in _PLURALS:
            raise InvalidArgumentError(f"there is no column {name!r}: call it {_PLURALS[name]!r}")
    if "id" not in names:
        raise InvalidArgumentError(f"the column 'id' is missing: the stream has {shown(names)}")
    for field in schema:
        if field.name == "id":
            if not (is_text(field.type) or pa.types.is_integer(field.type)):
                raise _refused(field.name, field.type, "string")
        elif field.name in ("document", "uri"):
            if not (is_text(field.type) or pa.types.is_null(field.type)):
                raise _refused(field.name, field.type, "string")
        elif field.name == "embedding":
            vector = _is_list(field.type) and is_number(field.type.value_type)
            if not (vector or is_text(field.type) or pa.types.is_null(field.type)):
                raise _refused(field.name, field.type, "a fixed-size list of float32")
        elif field.name != "metadata":
            _check_value_type(field.name, field.type)
        elif pa.types.is_struct(field.type):
            for inner in field.type:
                _check_value_type(f"metadata.{inner.name}", inner.type)
        elif not (is_text(field.type) or pa.types.is_null(field.type)):
            raise _refused("metadata", field.type, "a struct, or string with JSON objects")


def _check_value_type(name: str, type: pa.DataType) -> None:
    item = type.value_type if _is_list(type) else type
    of = pa.types
    date = of.is_timestamp(item) or of.is_date(item) or of.is_time(item)
    if not (is_text(item) or is_number(item) or date or of.is_boolean(item) or of.is_null(type)):
        raise _refused(name, type, "string, bool, an integer, a float, a date, or a list of one of these")


def _refused(name: str, type: pa.DataType, expected: str) -> InvalidArgumentError:
    remedy = next((text for is_it, text in _REMEDIES if is_it(type)), f"cast it to {expected}")
    if isinstance(type, pa.BaseExtensionType):
        remedy = "send its storage: array.storage in pyarrow"
    return InvalidArgumentError(f"the column {name!r} is {type!s:.200}: expected {expected}; {remedy}")


def _is_list(type: pa.DataType) -> bool:
    """Whether the type is a list. List views do not count, because their rows may share values."""
    of = pa.types
    return bool(of.is_list(type) or of.is_large_list(type) or of.is_fixed_size_list(type))


def records(mode: Mode, batch: pa.RecordBatch) -> Records:
    """The records of one batch, whose schema and size were already checked. The batch may be empty."""
    if not batch.num_rows:
        return Records([])
    index = batch.schema.get_field_index("metadata")
    if index >= 0 and pa.types.is_null(batch.schema.field(index).type):
        batch = batch.remove_column(index)
    read = to_records.from_table(pa.Table.from_batches([batch]), _AS_NAMED)
    _check_embeddings(mode, batch, read)
    return read.records(read.embeddings, read.given)


_AS_NAMED = to_records.Mapped({}, verbatim=True)


def _check_embeddings(mode: Mode, batch: pa.RecordBatch, read: Batch) -> None:
    """Raises InvalidArgumentError for rows without an embedding, which only an update may have."""
    if read.embeddings is None:
        if mode == "add" and "embedding" in batch.schema.names:
            raise _missing(mode, 0)
        if read.documents is not None and mode != "update":
            raise InvalidArgumentError(
                "the column 'embedding' is missing: texts are embedded by clients, never by the server"
            )
    elif read.given is not None and mode != "update":
        raise _missing(mode, int(np.argmin(read.given)))


def _missing(mode: Mode, row: int) -> InvalidArgumentError:
    return InvalidArgumentError(f"embedding is null at row {row}: {mode} needs one for every id")


def joined(parts: Sequence[Records]) -> Records:
    """Joins the batches of one stream. Raises DuplicateIDError for an id that occurs twice."""
    if len(parts) == 1:
        return parts[0]
    embeddings, given = _stacked(parts)
    return Records(
        ids=check_ids(list(chain.from_iterable(part.ids for part in parts))),
        embeddings=embeddings,
        documents=_one_after_another([(part.documents, len(part.ids)) for part in parts]),
        metadatas=_metadatas(parts),
        uris=_one_after_another([(part.uris, len(part.ids)) for part in parts]),
        has_embedding=given,
    )


def _one_after_another(columns: Sequence[tuple[Any, int]]) -> list[Any] | None:
    """A column joined over all batches, each given with its number of rows. A batch whose values are all
    null has None for the column."""
    if all(column is None for column, _ in columns):
        return None
    return list(chain.from_iterable([None] * rows if column is None else column for column, rows in columns))


def _metadatas(parts: Sequence[Records]) -> Any:
    """The joined metadata, in the engine's encoded form if every batch has that form."""
    columns = [part.metadatas for part in parts]
    if not all(isinstance(column, EncodedMetadata) for column in columns):
        return _one_after_another([(part.metadatas, len(part.ids)) for part in parts])
    encoded = [column for column in columns if isinstance(column, EncodedMetadata)]
    texts = list(chain.from_iterable(column.texts for column in encoded))
    slots = [set(column.columns or ()) for column in encoded]
    if not slots[0] or any(each != slots[0] for each in slots):
        return EncodedMetadata(texts, None)
    arrays = {
        slot: pa.concat_arrays([column.columns[slot] for column in encoded if column.columns])
        for slot in slots[0]
    }
    return EncodedMetadata(texts, arrays)


def _stacked(parts: Sequence[Records]) -> tuple[Floats | None, Any]:
    blocks = [part.embeddings for part in parts if part.embeddings is not None]
    if not blocks:
        return None, None
    if len(blocks) == len(parts) and all(part.has_embedding is None for part in parts):
        return stacked(blocks, "embedding"), None
    width = blocks[0].shape[1]
    filled = [
        np.zeros((len(part.ids), width), np.float32) if part.embeddings is None else part.embeddings
        for part in parts
    ]
    return stacked(filled, "embedding"), np.concatenate([_given(part) for part in parts])


def _given(part: Records) -> Any:
    """The mask of the rows of a batch that have an embedding."""
    if part.has_embedding is not None:
        return part.has_embedding
    return np.full(len(part.ids), part.embeddings is not None, np.bool_)
