"""Scans of the engine in this process as streams with a column per metadata key, for tables and SQL.

Owns how the engine's columns are called outside. Only `chroma.embedded.backend` uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pyarrow as pa

from ..backend.embedded_protocol import FoundRecords
from ..errors import InvalidArgumentError, NotFoundError
from ..requests.projection import ALL_FIELDS, Projection, ScanRequest
from ..storage.interface.short_repr import shown
from ..storage.interface.values import CollectionRef
from ..storage.query.scan import BATCH_BYTES, WHOLE_BYTES, Scan
from ..storage.schema.metadata_columns import Slot
from ..tables.column_names import column_names
from ..tables.from_rows import missing_keys
from ..wire.arrow_codec import TypedKey

__all__ = ["RECORDS", "batches", "named", "slots", "table", "translating"]

if TYPE_CHECKING:
    from ..requests.scope import Scope
    from .backend import LocalBackend

Guard = Callable[[], AbstractContextManager[object]]


def slots(found: FoundRecords, keys: Sequence[str] | None = None) -> list[Slot]:
    """The columns of a scan's metadata. InvalidArgumentError for keys that no record has."""
    known: list[Slot] = [*found.slots(keys)]
    if keys is not None and any(view.live for view in found.views):
        have = {key for key, _ in known}
        if not have.issuperset(keys):
            missing_keys(keys, {key for key, _ in found.slots()} | have)
    return known


def named(found: Sequence[Slot]) -> list[TypedKey]:
    """The same as they are called outside."""
    return [TypedKey(key, f"list of {kind[:-2]}" if kind.endswith("[]") else kind) for key, kind in found]


def batches(found: Scan, want: Projection, guard: Guard, whole: bool) -> pa.RecordBatchReader:
    """The stream that is wanted; `whole`: in few batches. `guard` translates errors."""
    columns: Sequence[Slot] | None = None
    if want.form == "columns" and "metadatas" in want.fields:
        columns = slots(found, want.keys)
    reader = found.read(want.fields, columns, WHOLE_BYTES if whole else BATCH_BYTES)
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
    """The same stream, its errors translated."""
    return _guarded(reader, reader.schema, guard)


RECORDS = "records"  # what SQL calls the collection that it is asked of


def table(
    backend: LocalBackend,
    name: str,
    columns: frozenset[str] | None,
    *,
    scope: Scope,
    given: Mapping[str, pa.Table],
    home: str | None,
) -> pa.Table | None:
    """What a name in SQL stands for: a table that came with the statement, a collection; None: nothing.

    The vectors are left out where `columns` has them not: of rows that do not follow each other in the
    files they would be copies.
    """
    if name in given:
        return given[name]
    if home is not None and name == RECORDS:
        id = home
    else:
        try:
            id = backend.get_collection(scope, name).id
        except NotFoundError:
            others = {info.name.lower(): info.id for info in backend.list_collections(scope, None, None)}
            if name.lower() not in others:  # SQL does not tell case apart
                return None
            id = others[name.lower()]
    vectors = columns is None or "embedding" in columns
    want = Projection(fields=ALL_FIELDS if vectors else ALL_FIELDS - {"embeddings"})
    request = ScanRequest(projection=want, whole=True)
    read: pa.Table = backend.batches(CollectionRef(*scope, id), request).read_all()
    _check_names(name, read)
    return read


def _check_names(name: str, read: pa.Table) -> None:
    seen: dict[str, str] = {}
    for column in read.column_names:
        if (other := seen.setdefault(column.lower(), column)) != column:
            raise InvalidArgumentError(
                f"the collection {shown(name)} has the metadata keys {other!r} and {column!r}, which SQL "
                "does not tell apart: read it with to_arrow() and rename one"
            )
