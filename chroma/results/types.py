"""`GetResult` and `QueryResult`: the dictionaries that `get` and `query` return, and their methods.

Both are dicts that compare, print and serialize like plain dicts. Type checkers know the type of each key.
The methods import the modules that they need.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal, overload

from ..internal.optional_dependencies import require_arrow

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from ..storage.interface.explanation import Explanation
    from ..types import Include

    Vectors = npt.NDArray[np.float32]
    MetadataColumn = list[dict[str, Any] | None]


class GetResult(dict[str, Any]):
    """The result of `get`: records in insertion order. A column that was not included is None.

    ids         list[str]
    embeddings  float32 array (n, dim); shape (0,) if there are no records
    documents   list[str | None]
    metadatas   list[dict | None]
    uris        list[str | None]
    data        the data loader's result for the uris
    included    the requested columns
    """

    __module__ = "chroma.api.types"

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, key: Literal["ids"]) -> list[str]: ...
        @overload
        def __getitem__(self, key: Literal["embeddings"]) -> Vectors | None: ...
        @overload
        def __getitem__(self, key: Literal["documents", "uris"]) -> list[str | None] | None: ...
        @overload
        def __getitem__(self, key: Literal["metadatas"]) -> MetadataColumn | None: ...
        @overload
        def __getitem__(self, key: Literal["included"]) -> Include: ...
        @overload
        def __getitem__(self, key: Literal["data"]) -> Any: ...
        @overload
        def __getitem__(self, key: str) -> Any: ...
        def __getitem__(self, key: str) -> Any: ...

    def copy(self) -> GetResult:
        """A shallow copy."""
        return copy.copy(self)

    def to_arrow(self) -> pa.Table:
        """Convert to an Arrow table with the id and the included columns, one column per metadata key."""
        require_arrow()
        from ..tables import from_results

        return from_results.records(self)

    def to_pandas(self) -> pd.DataFrame:
        """Convert to a pandas DataFrame with the columns of `to_arrow`."""
        require_arrow()
        from ..tables import dataframes, from_results

        dataframes.check_pandas()
        return dataframes.to_pandas(from_results.records(self))

    def to_polars(self) -> pl.DataFrame:
        """Convert to a polars DataFrame with the columns of `to_arrow`."""
        require_arrow()
        from ..tables import dataframes, from_results

        dataframes.check_polars()
        return dataframes.to_polars(from_results.records(self))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def show(self, most: int = 20) -> None:
        """Print the first `most` records as a table, shortened to the width of the terminal."""
        from ..rendering.result_text import records_text

        print(records_text(self, most))  # noqa: T201 - what the method is for

    def _repr_html_(self) -> str:
        from ..rendering.result_tables import get_html

        return get_html(self)


class QueryResult(dict[str, Any]):
    """The result of `query`: one list of hits per query, nearest first. A column not included is None.

    ids         list[list[str]]
    distances   list[list[float]]
    embeddings  one float32 array (hits, dim) per query; shape (0,) if there are no hits
    documents   list[list[str | None]]
    metadatas   list[list[dict | None]]
    uris        list[list[str | None]]
    data        the data loader's result for the uris, one entry per query
    included    the requested columns
    With mode="lexical" or "hybrid":

    lexical_scores  list[list[float | None]]
    lexical_ranks   list[list[int | None]], from 0
    dense_ranks     list[list[int | None]], from 0. Without vectors, its lists and `distances` are None

    With rerank:   rerank_scores, list[list[float | None]]
    With explain:  explain, an Explanation

    The attribute `questions` has the text of each query. For a query by id, it is "like" and the id.
    """

    __module__ = "chroma.api.types"
    questions: list[str] | tuple[str, ...] = ()

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, key: Literal["ids"]) -> list[list[str]]: ...
        @overload
        def __getitem__(self, key: Literal["distances"]) -> list[list[float]] | None: ...
        @overload
        def __getitem__(
            self, key: Literal["rerank_scores", "lexical_scores"]
        ) -> list[list[float | None]]: ...
        @overload
        def __getitem__(self, key: Literal["lexical_ranks"]) -> list[list[int | None]]: ...
        @overload
        def __getitem__(self, key: Literal["dense_ranks"]) -> list[list[int | None] | None]: ...
        @overload
        def __getitem__(self, key: Literal["explain"]) -> Explanation: ...
        @overload
        def __getitem__(self, key: Literal["embeddings"]) -> list[Vectors] | None: ...
        @overload
        def __getitem__(self, key: Literal["documents", "uris"]) -> list[list[str | None]] | None: ...
        @overload
        def __getitem__(self, key: Literal["metadatas"]) -> list[MetadataColumn] | None: ...
        @overload
        def __getitem__(self, key: Literal["included"]) -> Include: ...
        @overload
        def __getitem__(self, key: Literal["data"]) -> Any: ...
        @overload
        def __getitem__(self, key: str) -> Any: ...
        def __getitem__(self, key: str) -> Any: ...

    def copy(self) -> QueryResult:
        """A shallow copy."""
        return copy.copy(self)

    def to_arrow(self) -> pa.Table:
        """Convert to an Arrow table with one row per hit.

        The columns are query (from 0), rank (from 1), id, distance and the included columns. Each metadata
        key has a column. lexical_score, lexical_rank, dense_rank and rerank_score are columns if the result
        has them.
        """
        require_arrow()
        from ..tables import from_results

        return from_results.hits(self)

    @overload
    def to_pandas(self, *, per_query: Literal[False] = False) -> pd.DataFrame: ...
    @overload
    def to_pandas(self, *, per_query: Literal[True]) -> list[pd.DataFrame]: ...
    def to_pandas(self, *, per_query: bool = False) -> pd.DataFrame | list[pd.DataFrame]:
        """Convert to a pandas DataFrame with the columns of `to_arrow`. `per_query`: to one per query."""
        require_arrow()
        from ..tables import dataframes, from_results

        dataframes.check_pandas()
        if not per_query:
            return dataframes.to_pandas(from_results.hits(self))
        parts = from_results.per_query(from_results.hits(self), len(self["ids"]))
        return [dataframes.to_pandas(part) for part in parts]

    @overload
    def to_polars(self, *, per_query: Literal[False] = False) -> pl.DataFrame: ...
    @overload
    def to_polars(self, *, per_query: Literal[True]) -> list[pl.DataFrame]: ...
    def to_polars(self, *, per_query: bool = False) -> pl.DataFrame | list[pl.DataFrame]:
        """Convert to a polars DataFrame with the columns of `to_arrow`. `per_query`: to one per query."""
        require_arrow()
        from ..tables import dataframes, from_results

        dataframes.check_polars()
        if not per_query:
            return dataframes.to_polars(from_results.hits(self))
        parts = from_results.per_query(from_results.hits(self), len(self["ids"]))
        return [dataframes.to_polars(part) for part in parts]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def show(self, most: int = 20) -> None:
        """Print the first `most` hits as a table, nearest first, shortened to the width of the terminal."""
        from ..rendering.result_text import hits_text

        scores = "distances" if self.get("distances") is not None else "lexical_scores"
        print(hits_text(self, "query", scores, most))  # noqa: T201 - what the method is for

    def _repr_html_(self) -> str:
        from ..rendering.result_tables import query_html

        return query_html(self, self.questions)
