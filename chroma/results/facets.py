"""`FacetResult`: the dictionary that `facets` returns."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class FacetResult(dict[str, dict[str, Any]]):
    """The result of `facets`. Each key has a dictionary:

    values    list of {"value", "count"}, the most frequent first; count is a number of records
    distinct  the number of different values, also of those that are not returned
    records   the number of records that have the key
    """

    __module__ = "chroma"

    def copy(self) -> FacetResult:
        """A shallow copy."""
        return copy.copy(self)

    def to_pandas(self) -> pd.DataFrame:
        """Convert to a pandas DataFrame with one row per key and value: key, value, count."""
        from ..tables import dataframes

        dataframes.check_pandas()
        import pandas as pd

        pairs = [(key, each) for key, facet in self.items() for each in facet["values"]]
        return pd.DataFrame(
            {
                "key": [key for key, _ in pairs],
                "value": pd.Series([each["value"] for _, each in pairs], dtype=object),
                "count": pd.Series([each["count"] for _, each in pairs], dtype="int64"),
            }
        )

    def _repr_html_(self) -> str:
        from ..rendering.result_tables import facets_html

        return facets_html(self)
