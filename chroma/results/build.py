"""Converts a backend's response to the dictionaries that `get` and `query` return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np

from ..errors import NotFoundError
from ..storage.interface.ranking import SearchRequest
from ..storage.interface.requests import WHOLE, Page
from ..storage.interface.short_repr import shown
from ..storage.interface.values import (
    Facet,
    Field,
    Floats,
    Hits,
    IndexStatus,
    Rows,
    SearchAnswer,
    WordMatches,
)
from ..types import Database, Include, IndexingStatus
from ..validation.sequences import as_list
from ..wire import json_codec, search_codec
from .facets import FacetResult
from .search_result import SearchResult
from .types import GetResult, QueryResult


def get_result(rows: Rows, include: Include, data: Any) -> GetResult:
    """Build the result of `get` and `peek`. `data` is the content that the uris point to, if included."""
    return GetResult(
        ids=rows.ids,
        embeddings=_embeddings(rows) if "embeddings" in include else None,
        documents=rows.documents if "documents" in include else None,
        uris=rows.uris if "uris" in include else None,
        included=include,
        data=data,
        metadatas=rows.metadatas if "metadatas" in include else None,
    )


def query_result(
    hits: Sequence[Hits], include: Include, data: list[Any] | None, texts: Any = None
) -> QueryResult:
    """Build the result of `query`. Each column has one entry per query; `data` as in `get_result`.

    texts  the checked texts of the queries, if they are texts
    """

    def column(field: Field) -> Any:
        return [getattr(hit.rows, field) for hit in hits] if field in include else None

    result = QueryResult(
        ids=[hit.rows.ids for hit in hits],
        distances=[hit.distances.tolist() for hit in hits] if "distances" in include else None,
        embeddings=[_embeddings(hit.rows) for hit in hits] if "embeddings" in include else None,
        documents=column("documents"),
        uris=column("uris"),
        included=include,
        data=data,
        metadatas=column("metadatas"),
    )
    if texts is not None:
        result.questions = as_list(texts)
    if hits and hits[0].explanation is not None:
        result["explain"] = hits[0].explanation
    if hits and hits[0].words is not None:
        result |= json_codec.words_to_json([hit.words for hit in hits if hit.words is not None])
        if hits[0].words.vector_ranks is None:  # no vectors were compared
            result |= {"distances": None, "included": [part for part in include if part != "distances"]}
    return result


def search_result(
    requests: Sequence[SearchRequest], answers: Sequence[SearchAnswer], questions: list[str]
) -> SearchResult:
    """Build the result of `search`. Each column has one entry per search."""
    result = SearchResult(search_codec.columns_of(requests, answers))
    if questions:
        result.questions = questions
    if any(request.explain for request in requests):
        result["explain"] = [answer.explanation for answer in answers]
    return result


def facet_result(keys: Sequence[str], facets: Sequence[Facet]) -> FacetResult:
    """Build the result of `facets`."""
    return FacetResult(json_codec.facets_to_json(keys, facets))


def indexing_result(status: IndexStatus) -> IndexingStatus:
    """Build the result of `get_indexing_status`."""
    progress = status.indexed / status.total if status.total else 1.0
    return IndexingStatus(status.indexed, status.total - status.indexed, status.total, progress)


def database_result(entry: dict[str, Any]) -> Database:
    """Build the result of `get_database`."""
    return {"id": UUID(str(entry["id"])), "name": entry["name"], "tenant": entry["tenant"]}


def in_order_of(ids: Sequence[str], rows: Rows, page: Page = WHOLE) -> Rows:
    """Return a page of the rows in the order of `ids`. Skips ids that have no row."""
    row_of = {name: row for row, name in enumerate(rows.ids)}
    order = [row_of[name] for name in ids if name in row_of]
    return taken(rows, order[page.offset : None if page.limit is None else page.offset + page.limit])


def within(hits: Hits, most: float) -> Hits:
    """Leave out the hits that are farther away than `most`."""
    near = np.flatnonzero(hits.distances.astype(np.float64) <= most)
    return hits._replace(rows=taken(hits.rows, near.tolist()), distances=hits.distances[near])


def hits_at(hits: Hits, rows: list[int]) -> Hits:
    """Return some of the hits, in another order."""
    words = hits.words
    if words is not None:
        near = words.vector_ranks
        words = WordMatches(words.scores[rows], words.word_ranks[rows], None if near is None else near[rows])
    return hits._replace(rows=taken(hits.rows, rows), distances=hits.distances[rows], words=words)


def vectors_of_ids(rows: Rows, ids: Sequence[str]) -> Floats:
    """Return the vectors of rows, one for each id. Raises NotFoundError for an id that has no row."""
    row_of = {name: row for row, name in enumerate(rows.ids)}
    unknown = [id for id in ids if id not in row_of]
    if unknown:
        raise NotFoundError(
            f"query_ids names {shown(unknown[0])}, which is not stored: pass ids of stored records"
        )
    vectors: Floats = np.asarray(rows.embeddings)[[row_of[id] for id in ids]]
    return vectors


def taken(rows: Rows, order: Sequence[int]) -> Rows:
    """Return some of the rows, in another order."""

    def take(column: list[Any] | None) -> list[Any] | None:
        return None if column is None else [column[row] for row in order]

    return Rows(
        [rows.ids[row] for row in order],
        take(rows.documents),
        take(rows.metadatas),
        take(rows.uris),
        None if rows.embeddings is None else rows.embeddings[list(order)],
    )


def _embeddings(rows: Rows) -> Floats:
    if not rows.ids or rows.embeddings is None:
        return np.empty((0,), dtype=np.float32)
    return rows.embeddings
