"""Sorts the best records of a query or search again, by the scores of a function.

Owns: the input of a reranker, and the use of its scores. A reranker is any callable
`(text, documents) -> scores`, with one number per document, the higher the better. It runs in the client,
once per query, because some rerankers compare the documents of a query with each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..errors import InvalidArgumentError, InvalidTypeError
from ..internal.progress import bar
from ..results.build import hits_at, taken
from ..storage.interface.ranking import SearchRequest
from ..storage.interface.requests import QueryRequest, candidates_for
from ..storage.interface.short_repr import shown
from ..storage.interface.values import Hits, Rows, SearchAnswer
from ..validation.read_arguments import check_candidates
from ..validation.sequences import check_texts

Reranker: TypeAlias = "Callable[[str, list[str]], Sequence[float] | Awaitable[Sequence[float]]]"

_MANY = 200  # from so many documents of several queries on, a progress bar is shown


class Reranking(NamedTuple):
    """A request to sort results again.

    texts  the text of each query or search
    pages  the part of the sorted records to return, of each query or search
    """

    function: Reranker
    texts: Sequence[str]
    pages: Sequence[slice]

    def progress(self, documents: Sequence[Sequence[str]]) -> Any:
        """A progress bar, or None."""
        total = sum(map(len, documents))
        if total < _MANY or len(documents) < 2:
            return None
        return bar(None, "reranking", total=total, unit=" documents")


class Reranked(NamedTuple):
    """The rows to return, in this order, with their scores. None: the record has no document."""

    rows: list[int]
    scores: list[float | None]


def for_query(rerank: Any, request: QueryRequest, texts: Any) -> tuple[Reranking, QueryRequest]:
    """Check the arguments of a query, and return the request that finds the candidates."""
    _check_callable(rerank)
    if request.diversity:
        raise InvalidArgumentError(
            "diversity and rerank both choose among the candidates, each by a measure of its own: pass one "
            "of them"
        )
    if texts is None:
        raise InvalidArgumentError(
            "rerank compares documents with the text of a query: pass query_texts (query_embeddings may be "
            "given, too)"
        )
    checked = [str(text) for text in check_texts(texts, "document", "query_texts", allow_none=False)]
    k = candidates_for(request.k) if request.candidates is None else request.candidates
    found = request._replace(k=k, candidates=None, fields=request.fields | {"documents"})
    return Reranking(rerank, checked, [slice(request.k)] * len(checked)), found


def for_searches(
    rerank: Any, requests: Sequence[SearchRequest], texts: Sequence[Sequence[str]], candidates: Any
) -> tuple[Reranking, list[SearchRequest]]:
    """Check the arguments of searches, and return the requests that find the candidates.

    texts  the texts of the `Knn` of each search
    """
    _check_callable(rerank)
    found, pages, chosen = [], [], []
    for index, (request, each) in enumerate(zip(requests, texts)):
        different = list(dict.fromkeys(each))
        if len(different) != 1:
            has = f"has the texts {shown(different)}" if different else "has none"
            raise InvalidArgumentError(
                f"rerank compares documents with the text of a search, but searches[{index}] {has}: give its "
                "Knn one text"
            )
        stop = None if request.limit is None else request.offset + request.limit
        most = check_candidates(candidates, stop or 1, True)
        if most is None and stop is not None:
            most = candidates_for(stop)
        found.append(request._replace(offset=0, limit=most, fields=request.fields | {"documents"}))
        pages.append(slice(request.offset, stop))
        chosen += different
    return Reranking(rerank, chosen, pages), found


def _check_callable(rerank: Any) -> None:
    if not callable(rerank):
        raise InvalidTypeError(
            f"Expected rerank to be a function (text, documents) -> scores, got {shown(rerank)}"
        )


def documents_of(rows: Rows) -> list[str]:
    """The documents to score. Records without one are left out."""
    return [text for text in rows.documents or () if text is not None]


def sorted_again(rows: Rows, scores: Any, page: slice) -> Reranked:
    """Sort records by the scores of their documents, descending, and cut a page.

    Equal scores keep the order of the search. Records without a document are the last.
    """
    given = [row for row, text in enumerate(rows.documents or ()) if text is not None]
    numbers = _numbers(scores, len(given))
    order = np.argsort(-numbers, kind="stable")
    best = [given[index] for index in order.tolist()]
    having = set(given)
    lacking = [row for row in range(len(rows.ids)) if row not in having]
    values: list[float | None] = [*numbers[order].tolist(), *([None] * len(lacking))]
    return Reranked([*best, *lacking][page], values[page])


def _numbers(scores: Any, count: int) -> Any:
    try:
        numbers = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"rerank returned {shown(scores)}: return one number per document ({error})"
        ) from None
    if numbers.shape != (count,):
        raise InvalidArgumentError(
            f"rerank returned scores of the shape {numbers.shape} for {count} documents: return one number "
            "per document"
        )
    if np.isnan(numbers).any():
        index = int(np.flatnonzero(np.isnan(numbers))[0])
        raise InvalidArgumentError(f"rerank returned NaN for the document {index}: return numbers that sort")
    return numbers


def hits_of(hits: Sequence[Hits], reranked: Sequence[Reranked]) -> list[Hits]:
    """Return the records of queries that stay, in their new order."""
    return [hits_at(hit, new.rows) for hit, new in zip(hits, reranked)]


def answers_of(answers: Sequence[SearchAnswer], reranked: Sequence[Reranked]) -> list[SearchAnswer]:
    """Return the records of searches that stay, in their new order."""
    return [
        answer._replace(
            rows=taken(answer.rows, new.rows),
            scores=None if answer.scores is None else answer.scores[new.rows],
        )
        for answer, new in zip(answers, reranked)
    ]


def column_of(reranked: Sequence[Reranked]) -> Mapping[str, Any]:
    """The column of a result with the scores, one list per query or search."""
    return {"rerank_scores": [new.scores for new in reranked]}
