"""Converts searches between JSON and requests, for clients and the server.

Owns: the fields in the body and the answer of search, and all checks of a search before it runs. A part
of the wrong type raises InvalidTypeError, which the server turns into a ShapeError (422). An unusable value
in a part raises InvalidArgumentError (400). Unknown fields are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.ranking import (
    EMBEDDING,
    MAX_DEPTH,
    SCORE,
    Apply,
    Combine,
    Constant,
    Grouping,
    Nearest,
    Rank,
    SearchRequest,
    SparseNearest,
)
from ..storage.interface.requests import Selection
from ..storage.interface.short_repr import shown
from ..storage.interface.sparse_vector import SPARSE_VECTOR_TYPE_VALUE, TYPE_KEY, SparseVector
from ..storage.interface.values import Field, Rows, SearchAnswer
from ..validation.sql_condition import filter_of
from ..validation.vectors import as_matrix
from .filters import plain_filter
from .json_codec import JSON, explanation_from_json, explanation_to_json, rows_of

_COLUMNS: dict[str, Field] = {"#document": "documents", EMBEDDING: "embeddings", "#metadata": "metadatas"}
_NOT_FILTERABLE = (SCORE, EMBEDDING, "#metadata")
_LARGEST = 2**32 - 1  # of limits and offsets
_CHAINS = {"$sum": "sum", "$mul": "mul", "$max": "max", "$min": "min"}
_PAIRS = {"$sub": "sub", "$div": "div"}
_FUNCTIONS = {"$abs": "abs", "$exp": "exp", "$log": "log"}


# ---------------------------------------------------------------------------- reading


def search_from_json(body: Any) -> SearchRequest:
    """Read {"filter"?, "rank"?, "group_by"?, "limit"?, "select"?}."""
    if not isinstance(body, Mapping):
        raise InvalidTypeError(f"Expected a search to be an object, got {shown(body)}")
    rank, group = body.get("rank"), body.get("group_by")
    ranked = None if rank is None else _rank(rank, 0)
    grouping = _grouping(group) if group else None
    if group is not None and not isinstance(group, Mapping):
        raise InvalidTypeError(f"Expected group_by to be an object, got {shown(group)}")
    if grouping is not None and ranked is None:
        raise InvalidArgumentError(
            "group_by needs a rank, which sorts the records of a group: pass rank, too"
        )
    offset, limit = _page(body.get("limit"))
    fields, keys, score = _selected(body.get("select"))
    return SearchRequest(
        selection=Selection(where=_filter(body.get("filter"))),
        rank=ranked,
        grouping=grouping,
        offset=offset,
        limit=limit,
        fields=fields,
        keys=keys,
        score=score,
    )


def _filter(condition: Any) -> Mapping[str, Any] | None:
    if condition is None or condition == {}:
        return None
    if isinstance(condition, str):
        condition = filter_of(condition)
    if not isinstance(condition, Mapping):
        raise InvalidTypeError(f"Expected filter to be an object, got {shown(condition)}")
    waiting = [condition]
    while waiting:
        for field, value in waiting.pop().items():
            if field in _NOT_FILTERABLE:
                raise InvalidArgumentError(
                    f"{field} cannot be filtered; filter by metadata keys, #id and #document"
                )
            if isinstance(value, list):
                waiting.extend(each for each in value if isinstance(each, Mapping))
            elif field == "$not" and isinstance(value, Mapping):
                waiting.append(value)
    return condition


def _number(value: Any, owner: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise InvalidArgumentError(f"Expected {owner} to be a number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidArgumentError(f"Expected {owner} to be finite, got {shown(value)}")
    return number


def _whole(value: Any, owner: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InvalidArgumentError(f"Expected {owner} to be an integer, got {shown(value)}")
    if not least <= value <= _LARGEST:
        raise InvalidArgumentError(f"Expected {owner} to be between {least} and {_LARGEST}, got {value}")
    return int(value)


def _rank(rank: Any, depth: int) -> Rank:
    if not isinstance(rank, Mapping) or len(rank) != 1:
        raise InvalidArgumentError(
            f"Expected a rank to be an object with exactly one operator, got {shown(rank)}"
        )
    if depth > MAX_DEPTH:
        raise InvalidArgumentError(f"rank is nested more than {MAX_DEPTH} levels deep; use longer lists")
    operator, value = next(iter(rank.items()))
    if operator == "$val":
        return Constant(_number(value, "$val"))
    if operator == "$knn":
        return _knn(value)
    if operator in _FUNCTIONS:
        return Apply(_FUNCTIONS[operator], _rank(value, depth + 1))  # type: ignore[arg-type]
    if operator in _CHAINS:
        if not isinstance(value, list):
            raise InvalidArgumentError(f"Expected {operator} to have a list of ranks, got {shown(value)}")
        if not value:
            raise InvalidArgumentError(f"Expected {operator} to have at least one rank, got []")
        ranks = tuple(_rank(each, depth + 1) for each in value)
        return ranks[0] if len(ranks) == 1 else Combine(_CHAINS[operator], ranks)  # type: ignore[arg-type]
    if operator in _PAIRS:
        if not isinstance(value, Mapping) or not {"left", "right"} <= value.keys():
            raise InvalidArgumentError(f"Expected {operator} to have left and right, got {shown(value)}")
        pair = (_rank(value["left"], depth + 1), _rank(value["right"], depth + 1))
        return Combine(_PAIRS[operator], pair)  # type: ignore[arg-type]
    known = ["$val", "$knn", *_FUNCTIONS, *_CHAINS, *_PAIRS]
    raise InvalidArgumentError(f"Unknown operator {shown(operator)} in a rank; use one of {', '.join(known)}")


def _knn(leaf: Any) -> Rank:
    if not isinstance(leaf, Mapping):
        raise InvalidArgumentError(f"Expected $knn to have an object, got {shown(leaf)}")
    query, key = leaf.get("query"), leaf.get("key")
    key = EMBEDDING if key is None else key
    if not isinstance(key, str):
        raise InvalidArgumentError(f"Expected key of $knn to be a string, got {shown(key)}")
    limit = 16 if leaf.get("limit") is None else _whole(leaf["limit"], "limit of $knn", 1)
    default = None if leaf.get("default") is None else _number(leaf["default"], "default of $knn")
    flag = leaf.get("return_rank")
    if flag is not None and not isinstance(flag, bool):
        raise InvalidArgumentError(f"Expected return_rank of $knn to be a boolean, got {shown(flag)}")
    if isinstance(query, Mapping):
        return SparseNearest(key, _sparse(query), limit, default, bool(flag))
    if not isinstance(query, (list, np.ndarray)):
        raise InvalidArgumentError(f"Expected query of $knn to be a vector, got {shown(query)}")
    if key != EMBEDDING:
        raise InvalidArgumentError(
            f"Expected a sparse vector as query for the key {key!r} of $knn; a vector of numbers searches "
            f"{EMBEDDING}"
        )
    vector = as_matrix([query], "query of $knn")
    return Nearest(vector=vector, limit=limit, default=default, return_rank=bool(flag))


def _sparse(query: Mapping[str, Any]) -> SparseVector:
    """Read a sparse vector. Some clients leave out the mark of its type."""
    try:
        return SparseVector.from_dict({TYPE_KEY: SPARSE_VECTOR_TYPE_VALUE, **query})
    except ValueError as error:
        raise InvalidArgumentError(f"Expected query of $knn to be a sparse vector: {error}") from None


def _grouping(group: Any) -> Grouping:
    if not isinstance(group, Mapping):
        raise InvalidTypeError(f"Expected group_by to be an object, got {shown(group)}")
    keys, aggregate = group.get("keys"), group.get("aggregate")
    if not keys or not aggregate:
        raise InvalidArgumentError(f"Expected group_by to have both keys and aggregate, got {shown(group)}")
    if not isinstance(aggregate, Mapping):
        raise InvalidArgumentError(f"Expected aggregate to be an object, got {shown(aggregate)}")
    if len(aggregate) != 1 or next(iter(aggregate)) not in ("$min_k", "$max_k"):
        raise InvalidArgumentError(f"Expected aggregate to be $min_k or $max_k, got {shown(aggregate)}")
    operator, parts = next(iter(aggregate.items()))
    if not isinstance(parts, Mapping):
        raise InvalidArgumentError(f"Expected {operator} to have keys and k, got {shown(parts)}")
    order = _names(parts.get("keys"), f"keys of {operator}", (SCORE,))
    k = _whole(parts.get("k"), f"k of {operator}", 1)
    return Grouping(keys=_names(keys, "keys of group_by", ()), order=order, k=k, largest=operator == "$max_k")


def _names(keys: Any, owner: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise InvalidArgumentError(f"Expected {owner} to be a list of strings, got {shown(keys)}")
    if not keys:
        raise InvalidArgumentError(f"Expected {owner} to name at least one key, got []")
    for key in keys:
        if key.startswith("#") and key not in allowed:
            raise InvalidArgumentError(f"Expected {owner} to name metadata keys, got {key!r}")
    return tuple(keys)


def _page(limit: Any) -> tuple[int, int | None]:
    if limit is None:
        return 0, None
    if not isinstance(limit, Mapping):
        raise InvalidTypeError(f"Expected limit to be an object with limit and offset, got {shown(limit)}")
    offset, most = limit.get("offset"), limit.get("limit")
    return (
        0 if offset is None else _whole(offset, "offset", 0),
        None if most is None else _whole(most, "limit", 0),
    )


def _selected(select: Any) -> tuple[frozenset[Field], tuple[str, ...] | None, bool]:
    """Return the columns to read, the metadata keys to return (None: all), and whether to return scores."""
    if select is None:
        return frozenset(), None, False
    if not isinstance(select, Mapping):
        raise InvalidTypeError(f"Expected select to be an object with keys, got {shown(select)}")
    names = select.get("keys")
    names = [] if names is None else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidArgumentError(f"Expected keys of select to be a list of strings, got {shown(names)}")
    keys = tuple(sorted({name for name in names if not name.startswith("#")}))
    fields = {_COLUMNS[name] for name in names if name in _COLUMNS}
    if "metadatas" in fields or not keys:
        return frozenset(fields), None, SCORE in names
    return frozenset({*fields, "metadatas"}), keys, SCORE in names


# ---------------------------------------------------------------------------- writing


def search_to_json(request: SearchRequest) -> JSON:
    """Write a search as `search_from_json` reads it. Raises InvalidArgumentError for filters that JSON would
    lose or change."""
    group: JSON = {}
    if (grouping := request.grouping) is not None:
        operator = "$max_k" if grouping.largest else "$min_k"
        aggregate = {operator: {"keys": list(grouping.order), "k": grouping.k}}
        group = {"keys": list(grouping.keys), "aggregate": aggregate}
    limit: JSON = {"offset": request.offset}
    if request.limit is not None:
        limit["limit"] = request.limit
    return {
        "filter": plain_filter("filter", request.selection.where),
        "rank": None if request.rank is None else _rank_to_json(request.rank),
        "group_by": group,
        "limit": limit,
        "select": {"keys": selected_names(request)},
    }


def _rank_to_json(rank: Rank) -> JSON:
    match rank:
        case Constant():
            return {"$val": rank.value}
        case Apply():
            return {f"${rank.function}": _rank_to_json(rank.rank)}
        case Combine():
            ranks = [_rank_to_json(each) for each in rank.ranks]
            if rank.operation in ("sub", "div"):
                return {f"${rank.operation}": {"left": ranks[0], "right": ranks[1]}}
            return {f"${rank.operation}": ranks}
        case Nearest() | SparseNearest():
            leaf: JSON = {**_query_to_json(rank), "limit": rank.limit}
            if rank.default is not None:
                leaf["default"] = rank.default
            if rank.return_rank:
                leaf["return_rank"] = True
            return {"$knn": leaf}


def _query_to_json(leaf: Nearest | SparseNearest) -> JSON:
    if isinstance(leaf, SparseNearest):
        return {"query": leaf.vector.to_dict(), "key": leaf.key}
    return {"query": leaf.vector[0].tolist(), "key": EMBEDDING}


def selected_names(request: SearchRequest) -> list[str]:
    """The selected parts: #document, #embedding, #metadata and #score, then metadata keys by name."""
    names = [name for name, field in _COLUMNS.items() if field in request.fields]
    if request.keys is not None:
        names.remove("#metadata")
    return [*names, *([SCORE] if request.score else []), *(request.keys or ())]


# ---------------------------------------------------------------------------- answers


def answers_to_json(requests: Sequence[SearchRequest], answers: Sequence[SearchAnswer]) -> JSON:
    """The response of search. The field "explain" is there only if the request asks for it."""
    explained = [each.explanation and explanation_to_json(each.explanation) for each in answers]
    return columns_of(requests, answers) | ({"explain": explained} if any(explained) else {})


def columns_of(requests: Sequence[SearchRequest], answers: Sequence[SearchAnswer]) -> JSON:
    """The columns of the response of search, which have one entry per search."""
    both = list(zip(requests, answers))

    def column(field: Field, of: Callable[[Rows], Any]) -> list[Any]:
        return [of(answer.rows) if field in request.fields else None for request, answer in both]

    return {
        "ids": [answer.rows.ids for answer in answers],
        "documents": column("documents", lambda rows: rows.documents),
        "embeddings": column("embeddings", _vectors),
        "metadatas": column("metadatas", lambda rows: rows.metadatas),
        "scores": [scores_of(request, answer) for request, answer in both],
        "select": [selected_names(request) for request in requests],
    }


def scores_of(request: SearchRequest, answer: SearchAnswer) -> list[float | None] | None:
    """The scores to return: None for one that is not finite. Without a rank, the place on the page."""
    if not request.score:
        return None
    if answer.scores is None:
        return [float(number) for number in range(len(answer.rows.ids))]
    return [score if math.isfinite(score) else None for score in answer.scores.tolist()]


def _vectors(rows: Rows) -> list[Any] | None:
    if rows.embeddings is None:
        return None if rows.ids else []  # another server may leave them out
    found: list[Any] = rows.embeddings.tolist()
    return found


def answers_from_json(body: Mapping[str, Any]) -> list[SearchAnswer]:
    """Read the response of search. A score that is not finite is NaN."""

    def column(name: str) -> list[Any]:
        return body.get(name) or [None] * len(body["ids"])

    columns = (column(name) for name in ("documents", "metadatas", "embeddings", "scores", "explain"))
    return [
        SearchAnswer(
            rows_of(ids, documents, metadatas, None, vectors),
            None if scores is None else np.array([np.nan if s is None else s for s in scores], np.float64),
            explanation_from_json(explanation),
        )
        for ids, documents, metadatas, vectors, scores, explanation in zip(body["ids"], *columns)
    ]
