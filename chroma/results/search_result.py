"""`SearchResult`: the dictionary that `search` returns."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ..internal.optional_dependencies import require_arrow

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ROW = {
    "document": "documents",
    "embedding": "embeddings",
    "metadata": "metadatas",
    "score": "scores",
    "rerank_score": "rerank_scores",
}


class SearchResult(dict[str, Any]):
    """The result of `search`. Each column has one entry per search. A column that was not selected is None.

    ids         list of list[str], best first
    documents   list of list[str | None]
    embeddings  list of lists of float
    metadatas   list of list[dict | None]; of selected metadata keys, those that the record has
    scores      list of list[float | None]; None for a score that is not finite
    select      list of the selected keys
    With rerank, also rerank_scores, a list of list[float | None], and with explain, explain, a list of
    Explanation.
    The attribute `questions` has the texts that each search looks for.
    """

    __module__ = "chroma.api.types"
    questions: list[str] | tuple[str, ...] = ()

    def copy(self) -> SearchResult:
        """A shallow copy."""
        return copy.copy(self)

    def rows(self) -> list[list[dict[str, Any]]]:
        """Per search, a list of {"id", "document", "embedding", "metadata", "score"}. None is left out.

        With rerank, the rows also have "rerank_score".
        """
        found = []
        for number, ids in enumerate(self["ids"]):
            given = {name: self.get(column) for name, column in _ROW.items()}
            columns = {name: column[number] for name, column in given.items() if column is not None}
            rows = []
            for row_number, id in enumerate(ids):
                row = {"id": id}
                row |= {
                    name: column[row_number]
                    for name, column in columns.items()
                    if column is not None and column[row_number] is not None
                }
                rows.append(row)
            found.append(rows)
        return found

    def to_arrow(self) -> pa.Table:
        """Convert to an Arrow table with one row per record.

        The columns are query (the number of the search, from 0), rank (from 1), id, score and the selected
        parts. Each metadata key has a column.
        """
        require_arrow()
        from ..tables import from_results

        return from_results.searched(self._as_hits(), self.get("embeddings") or [])

    def to_pandas(self) -> pd.DataFrame:
        """Convert to a pandas DataFrame with the columns of `to_arrow`."""
        require_arrow()
        from ..tables import dataframes, from_results

        dataframes.check_pandas()
        return dataframes.to_pandas(from_results.searched(self._as_hits(), self.get("embeddings") or []))

    def show(self, most: int = 20) -> None:
        """Print the first `most` records as a table, best first, shortened to the width of the terminal."""
        from ..rendering.result_text import hits_text

        print(hits_text(self, "search", "scores", most))  # noqa: T201 - what the method is for

    def _repr_html_(self) -> str:
        from ..rendering.result_tables import search_html

        return search_html(self._as_hits(), self.questions)

    def _as_hits(self) -> dict[str, Any]:
        """Return all columns but the vectors as those of a `QueryResult`, with scores as distances."""

        def column(name: str) -> list[Any] | None:
            entries = self.get(name) or [None]
            if all(entry is None for entry in entries):
                return None
            return [[None] * len(ids) if entry is None else entry for ids, entry in zip(self["ids"], entries)]

        return {
            "ids": self["ids"],
            "documents": column("documents"),
            "metadatas": column("metadatas"),
            "embeddings": None,
            "uris": None,
            "distances": column("scores"),
            "rerank_scores": self.get("rerank_scores"),
        }
