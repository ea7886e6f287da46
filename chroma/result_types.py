"""`GetResult` and `QueryResult`: the dictionaries that `get` and `query` return, and what they do besides.

They are dicts: they equal, print and dump as plain ones do. Type checkers know the type of each key.
What the methods lead to is imported in them.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .types import Include

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

    def _repr_html_(self) -> str:
        from .display.results import get_html

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

    def _repr_html_(self) -> str:
        from .display.results import query_html

        return query_html(self)
