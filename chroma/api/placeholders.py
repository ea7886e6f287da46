"""`Search`: the name that programs import; the search language itself is not offered yet."""

from __future__ import annotations

from typing import Any

from ..errors import UnsupportedError


class Search:
    """A search expression. Making one raises UnsupportedError (a NotImplementedError).

    The name exists because libraries import it at the top of modules that otherwise work.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise UnsupportedError(
            "Search is not offered yet: use Collection.query with where and where_document"
        )
