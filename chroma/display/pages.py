"""Records of `get` as record batches with a column per metadata key and type, for `describe`."""

from __future__ import annotations

from typing import Any

from ..result_types import GetResult
from .describe import RESERVED

PAGE = 10_000


def batch_of(got: GetResult) -> Any:
    """A page of records as a pyarrow.RecordBatch."""
    import pyarrow as pa

    rows = len(got["ids"])
    columns: dict[str, list[Any]] = {"document": got["documents"] or [], "uri": got["uris"] or []}
    found: dict[tuple[str, str], list[Any]] = {}
    for place, metadata in enumerate(got["metadatas"] or []):
        for key, value in (metadata or {}).items():
            kind = type(value).__name__ if not isinstance(value, list) else f"list {type(value[0]).__name__}"
            column = found.get((key, kind))
            if column is None:
                column = found[key, kind] = [None] * rows
            column[place] = value
    mixed = [key for key, _ in found]
    for (key, kind), column in found.items():
        if mixed.count(key) > 1:
            columns[f"metadata[{kind}].{key}"] = column
        else:
            columns[f"metadata.{key}" if key in RESERVED or key.startswith("metadata") else key] = column
    texts = ("document", "uri")
    arrays = [pa.array(column, pa.string() if name in texts else None) for name, column in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
