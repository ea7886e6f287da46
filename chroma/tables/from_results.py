"""Converts results of get and query to tables with one row per record or per hit."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..requests.projection import Projection
from ..storage.interface.values import Field, Rows
from .column_names import ANSWER
from .from_rows import FromRows, typed_keys_of

_FIELDS: tuple[Field, ...] = ("documents", "uris", "metadatas", "embeddings")
# The columns of a result that say how well records match, and their types, in the order of a table.
_MEASURES = {
    "distance": pa.float64(),
    "lexical_score": pa.float64(),
    "lexical_rank": pa.int64(),
    "dense_rank": pa.int64(),
    "rerank_score": pa.float64(),
}


def records(result: Mapping[str, Any]) -> pa.Table:
    """Return a table with the ids and the included fields, in the columns that `Collection.to_arrow` uses."""
    included = [field for field in _FIELDS if result[field] is not None]
    vectors = result["embeddings"]
    rows = Rows(result["ids"], result["documents"], result["metadatas"], result["uris"], _matrix(vectors))
    return _table([rows], included)


def hits(result: Mapping[str, Any], distance: str = "distance") -> pa.Table:
    """Return a table with the columns of `records`, plus query (from 0), rank (from 1) and the measures.

    That is the distance, and how well words match and the score of a reranker, if the result has them.
    `distance` is the name of the first of these columns.
    """
    included = [field for field in _FIELDS if result[field] is not None]
    pages = [
        Rows(ids, *(_nth(result[field], query) for field in ("documents", "metadatas", "uris", "embeddings")))
        for query, ids in enumerate(result["ids"])
    ]
    pages = [page._replace(embeddings=_matrix(page.embeddings)) for page in pages]
    measures = [measure for measure in _MEASURES if _is_known(result.get(f"{measure}s"))]
    table = _table(pages, included, (*ANSWER, distance, *measures))
    counts = [len(page.ids) for page in pages]
    columns: dict[str, Any] = {
        "query": pa.array(np.repeat(np.arange(len(pages), dtype=np.int64), counts)),
        "rank": pa.array(np.concatenate([np.arange(0), *(np.arange(1, count + 1) for count in counts)])),
        "id": table.column("id"),
    }
    for measure in measures:
        numbers = [value for part in result[f"{measure}s"] for value in part]
        name = distance if measure == "distance" else measure
        columns[name] = pa.array(numbers, _MEASURES[measure])
    for name in table.column_names[1:]:
        columns[name] = table.column(name)
    return pa.table(columns)


def _is_known(column: Sequence[Any] | None) -> bool:
    """Whether a result has a column: a list per query, not None instead of each list."""
    return column is not None and all(part is not None for part in column)


def searched(result: Mapping[str, Any], vectors: Sequence[Sequence[Any] | None]) -> pa.Table:
    """Return a table like `hits`, whose distances are scores.

    vectors  for each search, the vectors of its records; None if it did not select them
    """
    table = hits(result, "score")
    if all(part is None for part in vectors):
        return table
    column: list[Any] = []
    for ids, part in zip(result["ids"], vectors):
        column.extend([None] * len(ids) if part is None else part)
    width = next((len(vector) for vector in column if vector is not None), 0)
    return table.append_column("embedding", pa.array(column, pa.list_(pa.float32(), width)))


def per_query(table: pa.Table, queries: int) -> list[pa.Table]:
    """Split a table of hits into one table per query."""
    bounds = np.searchsorted(table.column("query").to_numpy(), np.arange(queries + 1)).tolist()
    rest = table.drop_columns(["query"])
    return [rest.slice(start, stop - start) for start, stop in itertools.pairwise(bounds)]


def _nth(column: Any, index: int) -> Any:
    return None if column is None else column[index]


def _matrix(vectors: Any) -> Any:
    """Return the vectors. None for the empty array of a result without records, which has no width."""
    return None if vectors is None or np.ndim(vectors) != 2 else vectors


def _table(pages: Sequence[Rows], included: Sequence[Field], others: Sequence[str] = ()) -> pa.Table:
    projection = Projection(fields=frozenset(included))
    widths = [page.embeddings.shape[1] for page in pages if page.embeddings is not None]
    form = FromRows(projection, typed_keys_of(pages, None), max(widths, default=0), others)
    return pa.Table.from_batches([form.batch(page) for page in pages], form.schema)
