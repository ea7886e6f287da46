"""Arrow record batches to checked records: what a stream of any program may hold.

Owns which columns and types are taken. What the values of a column may be is checked where all
writes are, in `records`. A batch that cannot be taken is an InvalidArgumentError that names the
column; nothing of it is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InvalidArgumentError, InvalidDimensionException
from ...storage.interface.short_repr import shown
from ...storage.interface.values import Floats, Mode, Records
from ...validation.sequences import check_ids
from ...validation.write_batch import read_batch, scatter
from ...wire.arrow_codec import FIELD_OF, KEY_MARK

_PLURALS = {"ids": "id"} | {plural: name for name, plural in FIELD_OF.items()}
_REMEDIES = (
    (pa.types.is_dictionary, "decode it: array.dictionary_decode() in pyarrow"),
    (pa.types.is_timestamp, "cast it to int64, or to string"),
    (pa.types.is_date, "cast it to string"),
    (pa.types.is_decimal, "cast it to float64, or to string"),
    (pa.types.is_binary, "encode it as base64 text"),
    (pa.types.is_struct, "flatten it into several columns"),
)


def check_schema(schema: pa.Schema) -> None:
    """Refuses columns that no batch of a stream could be right with."""
    names = schema.names
    for name, times in Counter(names).items():
        if times > 1:
            raise InvalidArgumentError(f"the column {name!r} is there {times} times: rename one")
        if name in _PLURALS:
            raise InvalidArgumentError(f"there is no column {name!r}: call it {_PLURALS[name]!r}")
    if "id" not in names:
        raise InvalidArgumentError(f"the column 'id' is missing: the stream has {shown(names)}")
    for field in schema:
        if field.name in ("id", "document", "uri"):
            if not (_is_text(field.type) or (field.name != "id" and pa.types.is_null(field.type))):
                raise _refused(field.name, field.type, "string")
        elif field.name == "embedding":
            vector = _is_list(field.type) and _is_number(field.type.value_type)
            if not (vector or pa.types.is_null(field.type)):
                raise _refused(field.name, field.type, "a fixed-size list of float32")
        elif field.name != "metadata":
            _check_value_type(field.name, field.type)
        elif pa.types.is_struct(field.type):
            for inner in field.type:
                _check_value_type(f"metadata.{inner.name}", inner.type)
        elif not (_is_text(field.type) or pa.types.is_null(field.type)):
            raise _refused("metadata", field.type, "a struct, or string with JSON objects")


def _check_value_type(name: str, type: pa.DataType) -> None:
    item = type.value_type if _is_list(type) else type
    if not (_is_text(item) or _is_number(item) or pa.types.is_boolean(item) or pa.types.is_null(type)):
        raise _refused(name, type, "string, bool, an integer, a float, or a list of one of these")


def _refused(name: str, type: pa.DataType, expected: str) -> InvalidArgumentError:
    remedy = next((text for is_it, text in _REMEDIES if is_it(type)), f"cast it to {expected}")
    if isinstance(type, pa.BaseExtensionType):
        remedy = "send its storage: array.storage in pyarrow"
    return InvalidArgumentError(f"the column {name!r} is {type!s:.200}: expected {expected}; {remedy}")


def _is_text(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type))


def _is_number(type: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type) or pa.types.is_floating(type))


def _is_list(type: pa.DataType) -> bool:
    is_it = pa.types
    return bool(is_it.is_list(type) or is_it.is_large_list(type) or is_it.is_fixed_size_list(type))


def records(mode: Mode, batch: pa.RecordBatch) -> Records:
    """One record batch whose schema was checked, and that was weighed. None at all are fine."""
    if not batch.num_rows:
        return Records([])
    columns = {name: batch.column(place) for place, name in enumerate(batch.schema.names)}
    embeddings, given = _embeddings(mode, columns.pop("embedding", None))
    texts = {name: _texts(columns.pop(name, None)) for name in ("id", "document", "uri")}
    metadatas = _metadatas(columns.pop("metadata", None), batch.schema, columns)
    if texts["document"] is not None and embeddings is None and mode != "update":
        raise InvalidArgumentError(
            "the column 'embedding' is missing: texts are embedded by clients, never by the server"
        )
    read = read_batch(mode, texts["id"], embeddings, metadatas, texts["document"], None, texts["uri"])
    return read.records(read.embeddings, given)


def _texts(array: pa.Array | None) -> list[Any] | None:
    if array is None or pa.types.is_null(array.type):
        return None
    return array.to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]


def joined(parts: Sequence[Records]) -> Records:
    """Batches of one stream as one. Raises DuplicateIDError for an id in several of them."""
    if len(parts) == 1:
        return parts[0]
    ids = check_ids(list(chain.from_iterable(part.ids for part in parts)))

    def column(name: str) -> Any:
        lists = [getattr(part, name) for part in parts]
        return None if lists[0] is None else list(chain.from_iterable(lists))

    embeddings, given = _stacked(parts)
    return Records(ids, embeddings, column("documents"), column("metadatas"), column("uris"), given)


def _stacked(parts: Sequence[Records]) -> tuple[Floats | None, Any]:
    blocks = [part.embeddings for part in parts if part.embeddings is not None]
    widths = {block.shape[1] for block in blocks}
    if len(widths) > 1:
        raise InvalidDimensionException(
            f"Inconsistent dimensions in the column 'embedding': {sorted(widths)}; all vectors of a "
            "collection have one length"
        )
    if not blocks:
        return None, None
    width = widths.pop()
    if all(part.embeddings is not None and part.has_embedding is None for part in parts):
        return np.concatenate(blocks), None
    rows = [
        (part.embeddings is not None) & np.ones(len(part.ids), np.bool_)
        if part.has_embedding is None
        else part.has_embedding
        for part in parts
    ]
    filled = [
        np.zeros((len(part.ids), width), np.float32) if part.embeddings is None else part.embeddings
        for part in parts
    ]
    return np.concatenate(filled), np.concatenate(rows)


# ---------------------------------------------------------------------------- embeddings


def _embeddings(mode: Mode, array: pa.Array | None) -> tuple[Floats | None, Any]:
    """The matrix, and with gaps in an update a mask of the rows that are given."""
    if array is None or array.null_count == len(array):
        if array is not None and mode == "add":
            raise InvalidArgumentError("embedding is null at row 0: add needs one for every id")
        return None, None
    if not array.null_count:
        return _matrix(array), None
    rows = array.is_valid().to_numpy(zero_copy_only=False)
    if mode != "update":
        raise InvalidArgumentError(
            f"embedding is null at row {int(np.argmin(rows))}: {mode} needs one for every id"
        )
    return scatter(_matrix(array.drop_null()), rows), rows


def _matrix(array: pa.Array) -> Floats:
    if pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
    else:
        sizes = pc.list_value_length(array).to_numpy()
        if (odd := np.flatnonzero(sizes != sizes[0])).size:
            raise InvalidDimensionException(
                f"Inconsistent dimensions in the column 'embedding': row 0 has {sizes[0]} and row "
                f"{odd[0]} has {sizes[odd[0]]}; all vectors of a collection have one length"
            )
        width = int(sizes[0])
    flat = array.flatten()
    if flat.null_count:
        place = int(np.argmin(flat.is_valid().to_numpy(zero_copy_only=False)))
        raise InvalidArgumentError(f"embedding holds a null at row {place // width}")
    if width == 0:
        raise InvalidArgumentError("embedding holds empty lists: a vector has at least one number")
    numbers: Floats = flat.to_numpy(zero_copy_only=False).reshape(-1, width)
    return numbers


# ---------------------------------------------------------------------------- metadata


def _metadatas(
    array: pa.Array | None, schema: pa.Schema, others: dict[str, pa.Array]
) -> list[dict[str, Any] | None] | None:
    """One mapping per record from JSON text, from a struct, or from the columns with other names."""
    if array is None or pa.types.is_null(array.type):
        if not others:
            return None
        return _gathered([schema.field(name) for name in others], [*others.values()], None)
    if others:
        raise InvalidArgumentError(
            f"the columns {shown(sorted(others))} would be metadata, and there is a column 'metadata' too: "
            "give one or the other"
        )
    if pa.types.is_struct(array.type):
        present = array.is_valid().to_numpy(zero_copy_only=False).tolist()
        return _gathered([*array.type], array.flatten(), present)
    return [_parsed(text, row) for row, text in enumerate(array.to_numpy(zero_copy_only=False).tolist())]


def _parsed(text: str | None, row: int) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        entry = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidArgumentError(f"metadata at row {row} is not valid JSON: {error}") from None
    if not isinstance(entry, dict):
        raise InvalidArgumentError(f"metadata at row {row} is {shown(entry)}: expected a JSON object")
    return entry or None


def _gathered(
    fields: Sequence[pa.Field], arrays: Sequence[pa.Array], present: list[bool] | None
) -> list[dict[str, Any] | None]:
    """Columns to one mapping per row, nulls left out."""
    count = len(arrays[0]) if arrays else len(present or ())
    out: list[dict[str, Any]] = [{} for _ in range(count)]
    for field, array in zip(fields, arrays):
        if pa.types.is_null(field.type):
            continue
        key = (field.metadata or {}).get(KEY_MARK, field.name.encode()).decode("utf-8", "replace")
        for row, value in enumerate(_values(array)):
            if value is not None:
                if key in out[row]:
                    raise InvalidArgumentError(f"metadata at row {row} has the key {key!r} twice")
                out[row][key] = value
    return [entry or None for entry in out]


def _values(array: pa.Array) -> list[Any]:
    """Python values of a column; NaN stays NaN, so that it is refused by its name."""
    if array.null_count or _is_list(array.type) or pa.types.is_boolean(array.type):
        return array.to_pylist()  # type: ignore[no-any-return]
    return array.to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]
