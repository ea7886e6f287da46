"""Streams the engine's scans with a column per metadata key, for tables and SQL.

Owns: the public names of the engine's columns. Only `chroma.embedded.backend` uses this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.embedded_protocol import FoundRecords
from ..errors import InvalidArgumentError, NotFoundError
from ..requests.projection import ALL_FIELDS, Projection, ScanRequest
from ..storage.interface.short_repr import shown
from ..storage.interface.values import CollectionRef
from ..storage.query.scan import BATCH_BYTES, WHOLE_BYTES, Scan
from ..storage.schema.metadata_columns import Slot
from ..tables.column_names import column_names, mixed_key
from ..tables.from_rows import missing_keys
from ..wire.arrow_codec import TypedKey

__all__ = ["RECORDS", "batches", "named", "slots", "table", "translating"]

if TYPE_CHECKING:
    from ..requests.scope import Scope
    from .backend import LocalBackend

Guard = Callable[[], AbstractContextManager[object]]


def slots(found: FoundRecords, keys: Sequence[str] | None = None) -> list[Slot]:
    """The metadata columns of a scan. Raises InvalidArgumentError for a key that no record has."""
    known: list[Slot] = [*found.slots(keys)]
    if keys is not None and any(view.live for view in found.views):
        have = {key for key, _ in known}
        if not have.issuperset(keys):
            missing_keys(keys, {key for key, _ in found.slots()} | have)
    return known


def named(found: Sequence[Slot]) -> list[TypedKey]:
    """The columns with their types named as in public column names."""
    return [TypedKey(key, f"list of {kind[:-2]}" if kind.endswith("[]") else kind) for key, kind in found]


def batches(found: Scan, projection: Projection, guard: Guard, whole: bool) -> pa.RecordBatchReader:
    """The scan as a stream with the columns of `projection`. With `whole`, it has few, large batches. `guard`
    translates errors."""
    columns: Sequence[Slot] | None = None
    if projection.form == "columns" and "metadatas" in projection.fields:
        columns = slots(found, projection.keys)
    reader = found.read(projection.fields, columns, WHOLE_BYTES if whole else BATCH_BYTES)
    if not columns:
        return _guarded(reader, reader.schema, guard)
    names = iter(column_names(named(columns)))
    fields = [field.with_name(next(names)) if ":" in field.name else field for field in reader.schema]
    return _guarded(reader, pa.schema(fields), guard)


def _guarded(reader: pa.RecordBatchReader, schema: pa.Schema, guard: Guard) -> pa.RecordBatchReader:
    def read() -> Iterator[pa.RecordBatch]:
        with guard():
            for batch in reader:
                yield (
                    batch
                    if schema is reader.schema
                    else pa.RecordBatch.from_arrays(batch.columns, schema=schema)
                )

    return pa.RecordBatchReader.from_batches(schema, read())


def translating(reader: pa.RecordBatchReader, guard: Guard) -> pa.RecordBatchReader:
    """The same stream, with its errors translated by `guard`."""
    return _guarded(reader, reader.schema, guard)


RECORDS = "records"  # the name in SQL of the collection whose `sql` was called


def table(
    backend: LocalBackend,
    name: str,
    columns: frozenset[str] | None,
    *,
    scope: Scope,
    given: Mapping[str, pa.Table],
    home: str | None,
) -> pa.Table | None:
    """The table that a name in SQL refers to: a table passed with the statement, or a collection. None if
    neither has the name.

    The vectors are read only if `columns` includes them, because reading them copies the rows that are not
    contiguous in the files.
    """
    plain = name.lower()  # names in SQL are case-insensitive
    for other, found in given.items():
        if other.lower() == plain:
            return found
    id = home if name == RECORDS else None
    if id is None:
        try:
            id = backend.get_collection(scope, name).id
        except NotFoundError:
            id = home if plain == RECORDS else _in_other_case(backend, scope, name)
    if id is None:
        return None
    vectors = columns is None or "embedding" in columns
    projection = Projection(fields=ALL_FIELDS if vectors else ALL_FIELDS - {"embeddings"})
    request = ScanRequest(projection=projection, whole=True)
    read: pa.Table = backend.batches(CollectionRef(*scope, id), request).read_all()
    _check_names(name, read)
    return _with_numbers(read, columns)


def _in_other_case(backend: LocalBackend, scope: Scope, name: str) -> str | None:
    """The id of the only collection that has the name in another case. None if there is none."""
    listed = backend.list_collections(scope, None, None)
    others = [info for info in listed if info.name.lower() == name.lower()]
    if len(others) > 1:
        known = " or ".join(repr(info.name) for info in others)
        raise InvalidArgumentError(
            f"the SQL statement names {shown(name)}, which may be {known}: write one of them as it is"
        )
    return others[0].id if others else None


def _with_numbers(read: pa.Table, columns: frozenset[str] | None) -> pa.Table:
    """The table with a further column for each key whose values are ints and floats: all of them as floats.

    `columns` has the names of the columns that the statement may read, None for all.
    """
    kinds: dict[str, list[str]] = {}
    for column in read.column_names:
        if (key := mixed_key(column)) is not None:
            kinds.setdefault(key, []).append(column)
    taken = {column.lower() for column in read.column_names}
    for key, parts in kinds.items():
        name = column_names([TypedKey(key, "float")])[0]
        types = {read.schema.field(part).type for part in parts}
        if types != {pa.int64(), pa.float64()} or name.lower() in taken:
            continue
        if columns is None or name.lower() in columns:
            floats = [read.column(part).cast(pa.float64(), safe=False) for part in parts]
            read = read.add_column(read.column_names.index(parts[0]), name, pc.coalesce(*floats))
            taken.add(name.lower())
    return read


def _check_names(name: str, read: pa.Table) -> None:
    seen: dict[str, str] = {}
    for column in read.column_names:
        if (other := seen.setdefault(column.lower(), column)) != column:
            raise InvalidArgumentError(
                f"the collection {shown(name)} has the metadata keys {other!r} and {column!r}, which SQL "
                "does not tell apart: read it with to_arrow() and rename one"
            )
