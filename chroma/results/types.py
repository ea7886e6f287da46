"""`GetResult` and `QueryResult`: the dictionaries that `get` and `query` return, and what they do besides.

They are dicts: they equal, print and dump as plain ones do. Type checkers know the type of each key.
What the methods lead to is imported in them.
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

    from ..types import Include

    Vectors = npt.NDArray[np.float32]
    MetadataColumn = list[dict[str, Any] | None]


class GetResult(dict[str, Any]):
    """Records in insertion order. A column that was not included is None.

    ids         list[str]
    embeddings  float32 array (n, dim); shape (0,) when there is no record
    documents   list[str | None]
    metadatas   list[dict | None]
    uris        list[str | None]
    data        what the data loader made of the uris
    included    the columns that were asked for
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
        """An Arrow table: id and the columns that were included; metadata as columns of their own."""
        require_arrow()
        from ..tables import from_results

        return from_results.records(self)

    def to_pandas(self) -> pd.DataFrame:
        """A pandas DataFrame of the same columns."""
        require_arrow()
        from ..tables import dataframes, from_results

        dataframes.check_pandas()
        return dataframes.to_pandas(from_results.records(self))

    def to_polars(self) -> pl.DataFrame:
        """A polars DataFrame of the same columns."""
        require_arrow()
        from ..tables import dataframes, from_results

        dataframes.check_polars()
        return dataframes.to_polars(from_results.records(self))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        from ..rendering.result_tables import get_html

        return get_html(self)


class QueryResult(dict[str, Any]):
    """One list per query, nearest first. A column that was not included is None.

    ids         list[list[str]]
    distances   list[list[float]]
    embeddings  one float32 array (hits, dim) per query; shape (0,) when there is no hit
    documents   list[list[str | None]]
    metadatas   list[list[dict | None]]
    uris        list[list[str | None]]
    data        what the data loader made of the uris, one entry per query
    included    the columns that were asked for
    """

    __module__ = "chroma.api.types"

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, key: Literal["ids"]) -> list[list[str]]: ...
        @overload
        def __getitem__(self, key: Literal["distances"]) -> list[list[float]] | None: ...
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
        """An Arrow table: a row per hit, with query (from 0), rank (from 1), id, distance, and the
        columns that were included; metadata as columns of their own."""
        require_arrow()
        from ..tables import from_results

        return from_results.hits(self)

    @overload
    def to_pandas(self, *, per_query: Literal[False] = False) -> pd.DataFrame: ...
    @overload
    def to_pandas(self, *, per_query: Literal[True]) -> list[pd.DataFrame]: ...
    def to_pandas(self, *, per_query: bool = False) -> pd.DataFrame | list[pd.DataFrame]:
        """A pandas DataFrame of the same columns; with `per_query` a list of one for each query."""
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
        """A polars DataFrame of the same columns; with `per_query` a list of one for each query."""
        require_arrow()
        from ..tables import dataframes, from_results

        dataframes.check_polars()
        if not per_query:
            return dataframes.to_polars(from_results.hits(self))
        parts = from_results.per_query(from_results.hits(self), len(self["ids"]))
        return [dataframes.to_polars(part) for part in parts]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        from ..rendering.result_tables import query_html

        return query_html(self)
