"""Exports as files that other programs read, generated while they are sent: CSV, JSON lines and Parquet."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from ..backend.embedded_protocol import FoundRecords
from ..embedded import table_scans
from ..embedded.error_translation import translated
from ..pipelines.export import writer_of
from ..pipelines.file_discovery import Format
from ..storage.interface.values import Field
from ..tables.column_names import column_names
from ..wire.request_codec import AnswerForm
from .http.responses import Streamed

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


def exported(
    found: FoundRecords, fields: frozenset[Field], form: AnswerForm, *, format: Format, name: str
) -> Streamed:
    """The records as a file to download, which is named after the collection. JSON lines have the metadata as
    one object, the others as one column per key."""
    reader, names = found.read(fields), None
    if format != "jsonl" and "metadatas" in fields:
        slots = table_scans.slots(found, form.keys)
        reader, names = found.read(fields, slots), iter(column_names(table_scans.named(slots)))
    columns = [
        field.with_name(next(names)) if names is not None and ":" in field.name else field
        for field in reader.schema
    ]
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    disposition = {"Content-Disposition": f'attachment; filename="{safe}.{format}"'}
    return Streamed(_pieces(format, reader, pa.schema(columns)), MEDIA_TYPES[format], disposition)


class _Parts(io.RawIOBase):
    """A file to which a writer writes, and whose bytes are taken out."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the number of bytes written so far."""
        return self._size

    def write(self, data: Any) -> int:
        """Keep the bytes until they are taken."""
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def take(self) -> bytes:
        """Return the bytes written since the last call."""
        whole, self._parts = b"".join(self._parts), []
        return whole


def _pieces(format: Format, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes]:
    sink = _Parts()
    with translated():
        writer = writer_of(format, "", sink, schema)
        for batch in batches:
            writer.write(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            if piece := sink.take():
                yield piece
        writer.close()
    if piece := sink.take():
        yield piece
