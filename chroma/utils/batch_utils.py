"""`create_batches`: divides columns into batches that one call accepts."""

from __future__ import annotations

from typing import Any, TypeAlias

from .._sync.client import Client

Batch: TypeAlias = tuple[Any, Any, Any, Any]


def create_batches(
    api: Client,
    ids: list[str],
    embeddings: Any = None,
    metadatas: Any = None,
    documents: Any = None,
) -> list[Batch]:
    """Divide columns into (ids, embeddings, metadatas, documents) tuples.

    Each tuple has at most `api.get_max_batch_size()` records.

    Columns that are not given are None in every tuple. A local client accepts a million records in one
    call, so only programs that also use servers need this function.
    """
    size = api.get_max_batch_size()
    columns = (ids, embeddings, metadatas, documents)
    if len(ids) <= size:
        return [columns]

    def part(column: Any, start: int) -> Any:
        return None if column is None else column[start : start + size]

    return [
        (part(ids, start), part(embeddings, start), part(metadatas, start), part(documents, start))
        for start in range(0, len(ids), size)
    ]
