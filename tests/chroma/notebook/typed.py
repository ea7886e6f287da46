"""Not run: mypy looks at it, with the rest (`make check`). What type checkers know of results."""

from __future__ import annotations

from typing import Any, assert_type

from chroma import GetResult, QueryResult


def of_get(got: GetResult) -> None:
    assert_type(got["ids"], list[str])
    assert_type(got["documents"], list[str | None] | None)
    assert_type(got["metadatas"], list[dict[str, Any] | None] | None)
    assert_type(got.copy(), GetResult)
    assert_type(dict(got), dict[str, Any])


def of_query(found: QueryResult) -> None:
    assert_type(found["ids"], list[list[str]])
    assert_type(found["distances"], list[list[float]] | None)
    assert_type(found["uris"], list[list[str | None]] | None)
    assert_type(found.copy(), QueryResult)
    assert_type(dict(found), dict[str, Any])
