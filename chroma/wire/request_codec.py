"""Converts requests on records to JSON, which a client writes, and from JSON, which a server reads.

Owns: the fields in the bodies of get, query, delete and export. Reading checks the fields: a wrong JSON type
raises ShapeError (422), and an unusable value raises InvalidArgumentError (400). `order_by`, `exact`,
`max_distance`, `diversity`, `candidates`, `explain`, `query_ids`, the `offset` of a query, `encoding`,
`metadata`, `keys`, `missing_ok` and vectors as base64 are specific to this package; other servers ignore
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..requests.projection import ScanRequest
from ..storage.interface.requests import (
    DeleteRequest,
    FacetRequest,
    GetRequest,
    OnUnmatched,
    Page,
    QueryRequest,
    Selection,
)
from ..storage.interface.short_repr import shown
from ..storage.interface.values import Field
from ..validation.read_arguments import (
    NO_VECTORS,
    check_candidates,
    check_distance,
    check_diversity,
    check_facet_keys,
    check_mode,
    check_no_vectors,
    check_only_ids,
    check_order,
    check_positive,
    delete_request,
    selected,
)
from ..validation.sequences import check_ids
from .json_codec import JSON, ShapeError, encoded
from .json_fields import count, flag, matrix, required, shaped, typed

FIELDS: tuple[Field, ...] = ("documents", "embeddings", "metadatas", "uris")
INCLUDE = frozenset({*FIELDS, "distances"})
GET_INCLUDE = ("documents", "metadatas")
QUERY_INCLUDE = ("documents", "metadatas", "distances")
DEFAULT_RESULTS = 10


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The form of a response.

    include   the parts to include, in the caller's order
    base64    whether embeddings are base64 texts of little-endian float32
    metadata  the form of the metadata in an Arrow stream: "struct" or "json"
    keys      the fields of the struct in an Arrow stream; None: all
    integers  whether JSON has integers of metadata as texts where JavaScript would round them
    """

    include: list[str]
    base64: bool = False
    metadata: str = "struct"
    keys: list[str] | None = None
    integers: bool = False


# ---------------------------------------------------------------------------- writing


def selection_to_json(selection: Selection) -> JSON:
    """The fields {"ids", "where", "where_document"} of a body."""
    return {"ids": None if selection.ids is None else list(selection.ids)} | filters_to_json(selection)


def filters_to_json(selection: Selection) -> JSON:
    """The fields {"where", "where_document"} of a body."""
    return {"where": selection.where, "where_document": selection.where_document}


def get_to_json(request: GetRequest) -> JSON:
    """The body of get."""
    body = selection_to_json(request.selection)
    body |= {"limit": request.page.limit, "offset": request.page.offset, "include": sorted(request.fields)}
    if request.page.order_by:
        body["order_by"] = [f"-{key}" if descending else key for key, descending in request.page.order_by]
    if "embeddings" in request.fields:
        body["encoding"] = "base64"
    return body


def scan_to_json(request: ScanRequest) -> JSON:
    """The body of this package's route export."""
    form = "json" if request.projection.form == "json" else "struct"
    return get_to_json(request.as_get()) | {"metadata": form, "keys": request.projection.keys}


def query_to_json(request: QueryRequest, *, base64: bool = False) -> JSON:
    """The body of query. With `base64`, the vectors are sent as base64 texts."""
    body: JSON = {}
    if request.mode != "lexical":
        body["query_embeddings"] = encoded(request.vectors) if base64 else request.vectors.tolist()
    body["n_results"] = request.k
    body |= selection_to_json(request.selection)
    body["include"] = [*sorted(request.fields), "distances"]
    if request.exact:
        body["exact"] = True
    if request.max_distance is not None:
        body["max_distance"] = request.max_distance
    if request.diversity:
        body |= {"diversity": request.diversity, "candidates": request.candidates}
    if request.explain:
        body["explain"] = True
    if request.mode != "dense":
        body |= {"mode": request.mode, "query_texts": list(request.texts), "candidates": request.candidates}
    if "embeddings" in request.fields:
        body["encoding"] = "base64"
    return body


def facets_to_json(request: FacetRequest) -> JSON:
    """The body of this package's route facets."""
    return selection_to_json(request.selection) | {"keys": list(request.keys), "limit": request.limit}


def delete_to_json(request: DeleteRequest) -> JSON:
    """The body of delete. The response is {"deleted": int}."""
    body = selection_to_json(request.selection) | {"limit": request.limit}
    if request.selection.where is not None and request.unmatched != "warn":
        body["missing_ok"] = request.unmatched == "ignore"
    return body


# ---------------------------------------------------------------------------- reading


def get_from_json(
    body: Mapping[str, Any], include: Sequence[str] = GET_INCLUDE
) -> tuple[GetRequest, AnswerForm]:
    """Read {"ids"?, "where"?, "where_document"?, "limit"?, "offset"?, "include"?, "order_by"?, "encoding"?,
    "metadata"?, "keys"?}. `include` is the default for a body without one."""
    chosen = _include(body, include)
    order = body.get("order_by")
    with shaped():
        request = GetRequest(
            selection=_selection(body),
            page=Page(
                limit=count(body, "limit"),
                offset=count(body, "offset") or 0,
                order_by=() if order is None else check_order(order),
            ),
            fields=_fields(chosen),
        )
        return request, AnswerForm(
            chosen, _base64(body), _metadata_form(body), _keys(body), integers_as_text(body)
        )


def query_from_json(body: Mapping[str, Any]) -> tuple[QueryRequest, AnswerForm]:
    """Read {"query_embeddings", "n_results"?, "ids"?, "where"?, "where_document"?, "include"?, "exact"?,
    "max_distance"?, "diversity"?, "candidates"?, "explain"?, "mode"?, "query_texts"?, "encoding"?,
    "metadata"?}.

    If there are no queries, the vectors have the shape (0, 0). So they have with "query_ids", which the
    server reads.
    """
    mode = "dense" if body.get("mode") is None else body["mode"]
    rows: Any = []
    if body.get("query_ids") is not None:
        with shaped():
            check_only_ids(
                mode, query_embeddings=body.get("query_embeddings"), query_texts=body.get("query_texts")
            )
    elif mode != "lexical":
        rows = required(body, "query_embeddings")
    if type(rows) is not list:
        raise ShapeError(f"Expected query_embeddings to be lists of numbers, got {shown(rows)}")
    chosen = _include(body, QUERY_INCLUDE)
    k = count(body, "n_results", 2**31 - 1)
    k = DEFAULT_RESULTS if k is None else k
    with shaped():
        vectors = matrix(rows, set(map(type, rows)), "query_embeddings") if rows else NO_VECTORS
        diversity = check_diversity(body.get("diversity"))
        request = QueryRequest(
            vectors=vectors,
            k=k,
            selection=_selection(body),
            fields=_fields(chosen),
            exact=flag(body, "exact"),
            max_distance=check_distance(body.get("max_distance"), "max_distance"),
            diversity=diversity,
            candidates=None
            if mode != "dense"
            else check_candidates(body.get("candidates"), k, diversity > 0),
            explain=flag(body, "explain"),
        )
        if mode == "lexical":
            check_no_vectors(query_embeddings=body.get("query_embeddings"))
        if mode != "dense":
            texts = body.get("query_texts")
            request = check_mode(request._replace(candidates=None), mode, texts, body.get("candidates"))
        return request, AnswerForm(chosen, _base64(body), _metadata_form(body), None, integers_as_text(body))


def delete_from_json(body: Mapping[str, Any]) -> DeleteRequest:
    """Read {"ids"?, "where"?, "where_document"?, "limit"?, "missing_ok"?}.

    Chroma's clients do not send `missing_ok`. For them, a filter with an unknown key is not an error.
    """
    with shaped():
        ids = ids_from_json(body, may_be_empty=False)
    selection = Selection(ids=ids, where=body.get("where"), where_document=body.get("where_document"))
    unmatched: OnUnmatched = "warn"
    if body.get("missing_ok") is not None:
        unmatched = "ignore" if flag(body, "missing_ok") else "refuse"
    return delete_request(selection, count(body, "limit"), unmatched)


def facets_from_json(body: Mapping[str, Any]) -> FacetRequest:
    """Read {"keys", "ids"?, "where"?, "where_document"?, "limit"?}. A limit of null means no limit."""
    keys, limit = required(body, "keys"), body.get("limit", DEFAULT_RESULTS)
    if type(keys) is not list:
        raise ShapeError(f"Expected keys to be a list of metadata keys, got {shown(keys)}")
    with shaped():
        return FacetRequest(
            keys=check_facet_keys(keys),
            selection=_selection(body),
            limit=None if limit is None else check_positive(limit, "limit"),
        )


def filters_from_json(body: Mapping[str, Any]) -> Selection:
    """Read {"where"?, "where_document"?}."""
    return selected(None, body.get("where"), body.get("where_document"))


def _selection(body: Mapping[str, Any]) -> Selection:
    return selected(ids_from_json(body), body.get("where"), body.get("where_document"))


def _fields(include: Sequence[str]) -> frozenset[Field]:
    return frozenset(field for field in FIELDS if field in include)


def ids_from_json(body: Mapping[str, Any], *, may_be_empty: bool = True) -> list[str] | None:
    """The ids to look up, without duplicates."""
    column = typed(body, "ids", list, "a list of strings")
    if column is None:
        return None
    return [*dict.fromkeys(check_ids(column, distinct=False, may_be_empty=may_be_empty))]


def _include(body: Mapping[str, Any], default: Sequence[str]) -> list[str]:
    include: Any = body.get("include", list(default))
    if type(include) is not list or not all(isinstance(item, str) and item in INCLUDE for item in include):
        raise ShapeError(
            f"Expected include to be a list of some of {', '.join(sorted(INCLUDE))}, got {shown(include)}"
        )
    return include


def _base64(body: Mapping[str, Any]) -> bool:
    encoding = body.get("encoding")
    if encoding not in (None, "base64"):
        raise ShapeError(f'Expected encoding to be "base64" or null, got {shown(encoding)}')
    return encoding is not None


def _metadata_form(body: Mapping[str, Any]) -> str:
    form = body.get("metadata")
    if form not in (None, "struct", "json"):
        raise ShapeError(f'Expected metadata to be "struct", "json" or null, got {shown(form)}')
    return form or "struct"


def integers_as_text(body: Mapping[str, Any]) -> bool:
    """Whether {"integers"?} is "text"."""
    form = body.get("integers")
    if form not in (None, "text"):
        raise ShapeError(f'Expected integers to be "text" or null, got {shown(form)}')
    return form is not None


def _keys(body: Mapping[str, Any]) -> list[str] | None:
    keys: list[str] | None = typed(body, "keys", list, "a list of metadata keys")
    if keys is not None and not all(isinstance(key, str) for key in keys):
        raise ShapeError(f"Expected keys to be a list of metadata keys, got {shown(keys)}")
    return keys
