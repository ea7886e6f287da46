"""The class `Search`, which programs import. The search language is not implemented yet."""

from __future__ import annotations

from typing import Any

from ..errors import UnsupportedError


class Search:
    """A search expression. Creating one raises UnsupportedError (a NotImplementedError).

    The class exists because libraries import it in modules that otherwise work.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise UnsupportedError(
            "Search is not offered yet: use Collection.query with where and where_document"
        )
