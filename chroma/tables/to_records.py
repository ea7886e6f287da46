"""Converts tables to the records of a write.

The columns id, document, embedding and uri hold the parts of a record. All other columns are metadata, with
one exception: without a column 'document', a column of texts called 'text', 'content' or similar is the
document. `columns` maps other names: {"id": "synset", "document": "text", "metadata": ["pos", "lemma"]}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface import metadata_json, sparse_vector_arrow
from ..storage.interface.nearest_names import nearest
from ..storage.interface.short_repr import shown
from ..storage.interface.values import EncodedMetadata, Floats
from ..validation.metadata import Entries, check_keys, check_metadatas, rounded_int
from ..validation.sequences import check_ids, check_texts
from ..validation.vectors import as_matrix, stacked
from ..validation.write_batch import Batch, scatter
from ..wire.arrow_codec import KEY_MARK
from . import objects, readers, type_conversion
from .column_names import (
    ANSWER,
    check_near_misses,
    document_column,
    is_unnamed_index,
    key_of,
    listed,
    mixed_key,
)
from .detect import is_result

PARTS = ("id", "document", "embedding", "uri")


@dataclass(frozen=True, slots=True)
class Mapped:
    """The mapping from columns to parts of a record.

    parts     the columns for "id", "document", "embedding" and "uri", if they have other names
    metadata  the metadata columns and their keys; None: all other columns
    verbatim  whether a column name is the metadata key. If not, `metadata[int].k` has the ints of the key "k"
    complete  whether the table is a result, whose documents have no other name
    """

    parts: dict[str, str]
    metadata: dict[str, str] | None = None
    verbatim: bool = False
    complete: bool = False

    @property
    def embedding(self) -> str:
        """The name of the column of vectors."""
        return self.parts.get("embedding", "embedding")


def mapping(columns: Any) -> Mapped:
    """Check the column mapping that a caller passes."""
    if columns is None:
        return Mapped({})
    if not isinstance(columns, Mapping):
        raise InvalidTypeError(
            "Expected columns to be a dict as {'id': 'key', 'document': 'text', 'metadata': ['pos']}, "
            f"got {shown(columns)}"
        )
    allowed = (*PARTS, "metadata")
    for part, name in columns.items():
        if part not in allowed:
            raise InvalidArgumentError(
                f"columns has the entry {part!r}: expected some of {', '.join(allowed)}, each with the name "
                "of your column"
            )
        if part != "metadata" and not isinstance(name, str):
            raise InvalidTypeError(f"Expected columns[{part!r}] to be a column's name, got {shown(name)}")
    parts = {part: name for part, name in columns.items() if part != "metadata"}
    taken = [name for name, times in Counter(parts.values()).items() if times > 1]
    if taken:
        raise InvalidArgumentError(f"columns names {taken[0]!r} twice: a column is one part of a record")
    return Mapped(parts, _metadata_columns(columns.get("metadata")))


def _metadata_columns(given: Any) -> dict[str, str] | None:
    if given is None:
        return None
    if isinstance(given, str):
        given = [given]
    names = [*given] if isinstance(given, (Mapping, list, tuple, set, frozenset)) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise InvalidTypeError(
            "Expected columns['metadata'] to be a list of columns, or a dict of columns and their keys, "
            f"got {shown(given)}"
        )
    return {name: given[name] if isinstance(given, Mapping) else key_of(name) for name in names}


def read(value: Any, columns: Any, *, new: bool = False) -> Batch:
    """Convert any table to one batch for a write. Errors name the column, the row and the remedy.

    new  the records are new, so that each needs a vector or something to embed
    """
    mapped = mapping(columns)
    table = readers.table(value, mapped.embedding)
    if is_result(value):
        mapped = replace(mapped, complete=True)
        if "distances" in value:
            table = table.drop_columns([name for name in ANSWER if name in table.column_names])
    batch = from_table(table, mapped)
    if new and batch.embeddings is None and batch.documents is None and batch.uris is None:
        raise InvalidArgumentError(
            "the table has neither embeddings nor documents: it has the columns "
            f"{listed(table.column_names)}; say which one is what with columns={{'document': ...}}"
        )
    return batch


def check_columns(table: pa.Table, mapped: Mapped) -> None:
    """Raise for columns whose type or name makes every row invalid."""
    empty = table.slice(0, 0)
    found = _parts(empty, mapped)
    for name in ("id", "document", "uri"):
        if name in found:
            type_conversion.texts(name, _chunks(found[name]))
    if "embedding" in found:
        type_conversion.vectors("embedding", _chunks(type_conversion.parsed_vectors(found["embedding"])))
    _metadatas(empty, mapped, set(found["#used"]))


def ids_of(table: pa.Table, mapped: Mapped) -> list[str | None]:
    """Return the ids, with None for a row that has no id."""
    return _plain_texts("id", _parts(table, mapped)["id"])


def texts_of(table: pa.Table, name: str) -> list[str | None]:
    """Return a column of texts, with None for nulls."""
    return _plain_texts("document", table.column(name))


def _plain_texts(part: str, column: pa.ChunkedArray) -> list[str | None]:
    out: list[str | None] = []
    for chunk in column.chunks:
        out += type_conversion.texts(part, chunk).to_numpy(zero_copy_only=False).tolist()
    return out


def from_table(table: pa.Table, mapped: Mapped) -> Batch:
    """Convert a table to checked records.

    Tables passed to a call, rows of a load and batches streamed to a server all take this path.
    """
    if not table.num_rows:
        raise InvalidArgumentError("the table has no rows")
    found = _parts(table, mapped)
    ids = check_ids(_listed("id", found["id"]))
    embeddings, given = _vectors(found.get("embedding"), len(ids))
    documents, uris = (
        None if name not in found else _texts(name, found[name], allow_none=True)
        for name in ("document", "uri")
    )
    metadatas = _metadatas(table, mapped, set(found["#used"]))
    return Batch(
        ids=ids,
        embeddings=embeddings,
        metadatas=metadatas,
        documents=documents,
        images=None,
        uris=uris,
        given=given,
    )


def _parts(table: pa.Table, mapped: Mapped) -> dict[str, Any]:
    """Return the columns that hold the parts of a record. The entry "#used" has their names."""
    names = table.column_names
    for name, times in Counter(names).items():
        if times > 1:
            raise InvalidArgumentError(f"the table has {times} columns named {name!r}: rename one")
    found: dict[str, Any] = {"#used": []}
    mixed = readers.mixed(table.schema)
    for part in PARTS:
        name = mapped.parts.get(part, part)
        if name in mixed:
            what = "lists of numbers" if part == "embedding" else "texts: make each of them a str"
            raise InvalidTypeError(f"the column {name!r} holds values of several types; expected {what}")
        if name in names:
            found[part] = table.column(name)
            found["#used"].append(name)
        elif part in mapped.parts:
            raise InvalidArgumentError(
                f"there is no column {name!r}: the table has {listed(names)}{nearest(name, names)}"
            )
    if mapped.metadata is None:
        check_near_misses(names, mapped.parts, mapped.verbatim)
    if "document" not in found and (name := _other_document(table.schema, mapped)) is not None:
        found["document"] = table.column(name)
        found["#used"].append(name)
    if "id" not in found:
        raise InvalidArgumentError(
            f"there is no column 'id': the table has {listed(names)}; say which one it is with "
            "columns={'id': ...}"
        )
    return found


def _other_document(schema: pa.Schema, mapped: Mapped) -> str | None:
    """Return the column that is the document, although it is not called so."""
    if mapped.verbatim or mapped.complete:
        return None
    taken = {*mapped.parts.values(), *(mapped.metadata or ())}
    return document_column(
        field.name
        for field in schema
        if field.name not in taken
        and type_conversion.is_text(
            field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        )
        and KEY_MARK not in (field.metadata or {})
    )


def document_name(schema: pa.Schema, mapped: Mapped) -> str | None:
    """Return the name of the column of documents. None if there is none."""
    name = mapped.parts.get("document", "document")
    return name if name in schema.names else _other_document(schema, mapped)


def _chunks(column: pa.ChunkedArray) -> pa.Array:
    if not column.num_chunks:
        return pa.array([], column.type)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _listed(name: str, column: pa.ChunkedArray) -> list[Any]:
    out: list[Any] = []
    for chunk in column.chunks:
        texts = type_conversion.texts(name, chunk)
        if name == "id" and texts.null_count:
            raise InvalidArgumentError(
                f"the column for 'id' is null at row {len(out) + _first_null(texts)}: every record has an id"
            )
        out += texts.to_numpy(zero_copy_only=False).tolist()
    return out


def _first_null(array: pa.Array) -> int:
    return int(np.argmin(array.is_valid().to_numpy(zero_copy_only=False)))


def _texts(name: str, column: pa.ChunkedArray, *, allow_none: bool) -> list[str | None] | None:
    if pa.types.is_null(column.type):
        return None
    texts = _listed(name, column)
    if column.null_count == len(column):
        return None
    return check_texts(texts, name, f"{name}s", allow_none=allow_none)


def _vectors(column: pa.ChunkedArray | None, rows: int) -> tuple[Floats | None, npt.NDArray[np.bool_] | None]:
    """Return the matrix of vectors, with zeros for a row without one, and the mask of rows with a vector."""
    if column is None or column.null_count == rows:
        return None, None
    column = type_conversion.parsed_vectors(column)
    blocks = [
        type_conversion.vectors("embedding", chunk.drop_null()) for chunk in column.chunks if len(chunk)
    ]
    matrix = as_matrix(stacked([block for block in blocks if len(block)], "embedding"), "embedding")
    if not column.null_count:
        return matrix, None
    given = np.concatenate([chunk.is_valid().to_numpy(zero_copy_only=False) for chunk in column.chunks])
    return scatter(matrix, given), given


# ---------------------------------------------------------------------------- metadata


def _metadatas(table: pa.Table, mapped: Mapped, used: set[str]) -> Entries | None:
    if mapped.metadata is not None:
        keys = {column: key for name, key in mapped.metadata.items() for column in _called(name, table)}
    else:
        keys = {
            field.name: _key(field, mapped.verbatim)
            for field in table.schema
            if field.name not in used and not is_unnamed_index(field.name)
        }
    if "metadata" in keys and mapped.metadata is None:
        whole = type_conversion.storage("metadata", _chunks(table.column("metadata")))
        others = sorted(keys.keys() - {"metadata"})
        if others:
            raise metadata_twice(f"the columns {listed(others)}", "a column")
        return _whole(whole, mapped.verbatim)
    check_keys(list(keys.values()), lambda key: "column")
    named = [(key, type_conversion.values(name, _chunks(table.column(name)))) for name, key in keys.items()]
    return entries(named, table.num_rows)


def _called(name: str, table: pa.Table) -> list[str]:
    """Return the column of that name, or the columns into which a column of several types was split."""
    if name in table.column_names:
        return [name]
    parts = [column for column in table.column_names if mixed_key(column) == key_of(name)]
    if not parts:
        names = table.column_names
        raise InvalidArgumentError(
            f"there is no column {name!r}: the table has {listed(names)}{nearest(name, names)}"
        )
    return parts


def metadata_twice(others: str, whole: str) -> InvalidArgumentError:
    """Return the error for a table that has both a metadata column and separate columns of metadata."""
    return InvalidArgumentError(
        f"{others} would be metadata, and there is {whole} 'metadata' too: give one or the other"
    )


def _key(field: pa.Field, verbatim: bool) -> str:
    mark = (field.metadata or {}).get(KEY_MARK)
    name: str = field.name if mark is None else mark.decode("utf-8", "replace")
    return name if verbatim or mark is not None else key_of(name)


def _whole(array: pa.Array, verbatim: bool) -> Entries | None:
    """Read a metadata column of structs, of maps, or of JSON objects as text."""
    if pa.types.is_null(array.type):
        return None
    if pa.types.is_map(array.type):
        return _maps(array)
    if pa.types.is_struct(array.type):
        keys = [_key(field, verbatim) for field in array.type]
        check_keys(keys, lambda key: "field of the column 'metadata'")
        named = [
            (key, type_conversion.values(f"metadata.{field.name}", part))
            for key, field, part in zip(keys, array.type, array.flatten())
        ]
        return entries(named, len(array))
    if not type_conversion.is_text(array.type):
        raise InvalidTypeError(
            f"the column 'metadata' is {array.type!s:.200}: expected structs, maps, or JSON objects as text; "
            "call it 'metadata.metadata' if it is a key of that name"
        )
    found: list[Any] = []
    for row, text in enumerate(array.to_numpy(zero_copy_only=False).tolist()):
        found.append(None if text is None else parsed_metadata(text, f"metadata at row {row}"))
    return check_metadatas(found) if found else None  # without rows, only the columns are checked


def parsed_metadata(text: str, where: str) -> dict[str, Any] | None:
    """Parse the complete metadata of a record, given as a JSON object. None for an empty object."""
    try:
        entry = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidArgumentError(
            f"{where} is not valid JSON: {error}, in {shown(text)}; call it 'metadata.metadata' if it is a "
            "key of that name"
        ) from None
    if not isinstance(entry, (dict, type(None))):
        raise InvalidArgumentError(f"{where} is {shown(entry)}: expected a JSON object")
    if entry and (big := rounded_int(entry, text)) is not None:
        raise InvalidArgumentError(
            f"{where}: {shown(big[0])} is {big[1]}: an int must fit in 64 bits; store it as text"
        )
    return entry or None


def _maps(array: pa.Array) -> Entries | None:
    found: list[Any] = []
    for row, pairs in enumerate(array.to_pylist()):
        entry = {key: objects.plain(value) for key, value in pairs or () if value is not None}
        if len({key for key, _ in pairs or ()}) < len(pairs or ()):
            raise InvalidArgumentError(f"metadata at row {row} has one key twice: {shown(pairs)}")
        found.append(entry or None)
    return check_metadatas(found) if found else None


def entries(columns: Sequence[tuple[str, pa.Array]], rows: int) -> Entries | None:
    """Build one mapping per row from columns that `type_conversion.values` returned. None for a row of nulls.

    Raises InvalidArgumentError for a row with two values for the same key.
    """
    columns = [(key, array) for key, array in columns if not pa.types.is_null(array.type)]
    if not columns:
        return None
    keys = [key for key, _ in columns]
    lists = [_values(array) for _, array in columns]
    if len(set(keys)) == len(keys) and not any(array.null_count for _, array in columns):
        return _encoded(map(dict, map(zip, repeat(keys), zip(*lists))), columns)
    found = [
        {key: value for key, value in zip(keys, row) if value is not None} or None for row in zip(*lists)
    ]
    if len(set(keys)) < len(keys):
        counts = np.zeros(rows, np.int64)
        for _, array in columns:
            counts += array.is_valid().to_numpy(zero_copy_only=False)
        sizes = np.fromiter((len(entry or ()) for entry in found), np.int64, rows)
        if (twice := np.flatnonzero(counts != sizes)).size:
            raise InvalidArgumentError(
                f"row {twice[0]} has several values of one metadata key: columns as 'metadata[int].k' and "
                "'metadata[str].k' are one key"
            )
    return _encoded(found, columns)


def _encoded(
    found: Iterable[Mapping[str, Any] | None], columns: Sequence[tuple[str, pa.Array]]
) -> EncodedMetadata:
    texts = [None if entry is None else metadata_json.dumps(entry).decode() for entry in found]
    if any(sparse_vector_arrow.is_sparse_vector(array.type) for _, array in columns):
        return EncodedMetadata(texts, None)
    slots = {(key, _KINDS[_scalar(array.type)] + ("[]" if type_conversion.is_list(array.type) else "")): array
             for key, array in columns}  # fmt: skip
    return EncodedMetadata(texts, slots if len(slots) == len(columns) else None)


_KINDS = {
    pa.string(): "str",
    pa.large_string(): "str",
    pa.int64(): "int",
    pa.float64(): "float",
    pa.bool_(): "bool",
}


def _scalar(type: pa.DataType) -> pa.DataType:
    return type.value_type if type_conversion.is_list(type) else type


def _values(array: pa.Array) -> list[Any]:
    """Return the column as Python values, None for null."""
    if sparse_vector_arrow.is_sparse_vector(array.type):
        return sparse_vector_arrow.from_array(array)
    if type_conversion.is_list(array.type) or (array.null_count and not type_conversion.is_text(array.type)):
        return array.to_pylist()  # type: ignore[no-any-return]
    return array.to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]
