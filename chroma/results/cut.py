"""`Cut`: which of the records that a query found are returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import InvalidArgumentError
from ..storage.interface.requests import QueryRequest
from ..storage.interface.values import Hits
from ..validation.names import check_count
from .build import hits_at


class Cut(NamedTuple):
    """The page of a query's hits.

    ids     the records that the queries are made of, and that are left out of their own hits; None: none
    offset  how many of the nearest hits are left out
    k       how many are returned
    """

    ids: Sequence[str] | None
    offset: int
    k: int

    @classmethod
    def checked(cls, ids: Sequence[str] | None, offset: Any, request: QueryRequest, *, reranks: bool) -> Cut:
        """Check the arguments. Raises InvalidArgumentError."""
        check_count(offset, "offset")
        if offset and (reranks or request.diversity):
            other = "rerank" if reranks else "diversity"
            raise InvalidArgumentError(
                f"offset={offset} cannot be combined with {other}, whose order depends on how many records "
                "it considers: pass a larger n_results, and leave the first ones out"
            )
        return cls(ids, int(offset), request.k)

    def wider(self, request: QueryRequest) -> QueryRequest:
        """Return the request with a larger k.

        It also finds the records that the offset skips, and the record that is itself the query.
        """
        k = self.offset + self.k + (self.ids is not None)
        candidates = None if request.candidates is None else max(request.candidates, k)
        return request._replace(k=k, candidates=candidates)

    def requests(self, request: QueryRequest) -> list[QueryRequest]:
        """Return the requests that find the page: one for all queries, or one for each.

        With a diversity, a hit counts less if it is near the hits before it. The record that a query is made
        of would always be the first hit. So the search leaves it out, and each query has a request of its
        own.
        """
        if self.ids is None or not request.diversity:
            return [self.wider(request)]
        return [
            request._replace(
                vectors=request.vectors[row : row + 1],
                selection=request.selection._replace(where=_without(id, request.selection.where)),
            )
            for row, id in enumerate(self.ids)
        ]

    def applied(self, hits: Sequence[Hits]) -> list[Hits]:
        """Return the hits of the page."""
        page = slice(self.offset, self.offset + self.k)
        if self.ids is None:
            return [hits_at(hit, list(range(len(hit.rows.ids)))[page]) for hit in hits]
        return [
            hits_at(hit, [row for row, id in enumerate(hit.rows.ids) if id != own][page])
            for hit, own in zip(hits, self.ids, strict=True)
        ]


def _without(id: str, where: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a filter that a record with this id does not match."""
    other = {"#id": {"$ne": id}}
    return {"$and": [where, other]} if where else other
