"""Converts results to pandas DataFrames with the index `id` and one column per included field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..results.types import GetResult, QueryResult

if TYPE_CHECKING:
    import pandas as pd

# The columns of a result and their names in a DataFrame.
_COLUMNS = (
    ("embeddings", "embedding"),
    ("documents", "document"),
    ("metadatas", "metadata"),
    ("distances", "distance"),
)


def get_result_to_df(get_result: GetResult) -> pd.DataFrame:
    """Convert a result of `get` to a DataFrame with one row per record."""
    return _frame(get_result["ids"], {field: get_result.get(field) for field, _ in _COLUMNS})


def query_result_to_dfs(query_result: QueryResult) -> list[pd.DataFrame]:
    """Convert a result of `query` to one DataFrame per query, with one row per hit, nearest first."""
    frames = []
    for query, ids in enumerate(query_result["ids"]):
        columns: dict[str, Any] = {}
        for field, _ in _COLUMNS:
            column: Any = query_result.get(field)
            columns[field] = None if column is None else column[query]
        frames.append(_frame(ids, columns))
    return frames


def _frame(ids: list[str], columns: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd  # an optional dependency that takes half a second to import

    data = {name: list(columns[field]) for field, name in _COLUMNS if columns[field] is not None}
    return pd.DataFrame(data, index=pd.Index(ids, name="id"))
