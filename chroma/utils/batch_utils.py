"""`create_batches`: columns cut to what one call of a client may carry."""

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
    """(ids, embeddings, metadatas, documents) tuples of at most `api.get_max_batch_size()` records.

    Columns not given are None in every tuple. Local clients take a million records in one
    call, so this is for programs that also talk to other servers.
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
