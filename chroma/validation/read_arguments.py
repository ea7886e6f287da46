"""Checks the arguments of reads and of `delete`: selections, sort orders, read levels and query inputs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

import numpy as np

from ..errors import InvalidArgumentError, InvalidTypeError
from ..internal import chromadb_name
from ..storage.interface.requests import (
    ALL_RECORDS,
    WHOLE,
    DeleteRequest,
    GetRequest,
    OnUnmatched,
    Page,
    QueryMode,
    QueryRequest,
    Selection,
)
from ..storage.interface.short_repr import shown
from ..storage.interface.values import Field, Floats
from ..types import DataLoader, Include, ReadLevel
from .metadata import check_metadatas
from .names import check_int, check_optional_count
from .sequences import as_list, check_encodable, check_ids, check_texts
from .sql_condition import filter_of
from .write_batch import check_images

if TYPE_CHECKING:
    from random import Random

NO_VECTORS: Floats = np.empty((0, 0), np.float32)
MOST_EFS, LARGEST_EF = 20, 10_000  # that `recall` compares
_BY_REQUEST = "#request"
_COLUMNS: tuple[Field, ...] = ("documents", "metadatas", "uris", "embeddings")
_GET_FIELDS = frozenset({"documents", "metadatas", "embeddings", "uris", "data"})
_QUERY_FIELDS = _GET_FIELDS | {"distances"}


class GetArguments(NamedTuple):
    """The checked arguments of `get`.

    by_request  the page to cut from the records in the order of the requested ids; the engine then reads
                all of them. None: the page is part of the request
    """

    request: GetRequest
    include: Include
    by_request: Page | None


def check_get(
    *,
    ids: Any,
    where: Any,
    where_document: Any,
    limit: Any,
    offset: Any,
    include: Any,
    order_by: Any,
    loader: DataLoader[Any] | None,
) -> GetArguments:
    """Check all arguments of `get`."""
    parts = check_include(include, query=False)
    if "data" in parts and loader is None:
        raise InvalidArgumentError(
            "You must set a data loader to include 'data': open the collection with data_loader=…"
        )
    chosen = None if ids is None else check_ids(ids)
    page, by_request = WHOLE, False
    if limit is not None or offset is not None or order_by is not None:
        most, start = check_optional_count(limit, "limit"), check_optional_count(offset, "offset") or 0
        by_request = order_by in (_BY_REQUEST, [_BY_REQUEST])
        if by_request and chosen is None:
            raise InvalidArgumentError(f"order_by={_BY_REQUEST!r} needs ids")
        order = () if by_request or order_by is None else check_order(order_by)
        page = Page(limit=most, offset=start, order_by=order)
    request = GetRequest(
        selection=selected(chosen, where, where_document),
        page=WHOLE if by_request else page,
        fields=fields_of(parts),
    )
    return GetArguments(request, parts, page if by_request else None)


def fields_of(include: Sequence[str]) -> frozenset[Field]:
    """Return the stored columns that the requested fields need. "data" is loaded from the uris."""
    return _fields_of(tuple(include))


@lru_cache(256)
def _fields_of(include: tuple[str, ...]) -> frozenset[Field]:
    fields: set[Field] = {column for column in _COLUMNS if column in include}
    return frozenset(fields | {"uris"} if "data" in include else fields)


def check_include(include: Any, *, query: bool) -> Include:
    """Return a copy of the list of requested fields, in the caller's order."""
    allowed = _QUERY_FIELDS if query else _GET_FIELDS
    if not isinstance(include, list):
        raise InvalidArgumentError(
            f"Expected include to be a list of some of {', '.join(sorted(allowed))}, got {shown(include)}"
        )
    for item in include:
        if not isinstance(item, str) or item not in allowed:
            raise InvalidArgumentError(
                f"Expected include item to be one of {', '.join(sorted(allowed))}, got {shown(item)}"
            )
    return [*include]


def check_count_arguments(where: Any, where_document: Any, read_level: Any) -> Selection:
    """Return the selection that `count` counts. `where` may be a read level instead of a filter."""
    if (
        isinstance(where, str) and where.isidentifier()
    ):  # a condition that is a key alone is `key = true`, too
        check_read_level(where, "where to be a filter, or read_level")
        where = None
    check_read_level(read_level)
    return selected(None, where, where_document)


def check_n_results(n_results: Any) -> int:
    """Check the number of records that a query requests."""
    k = check_int(n_results, "n_results")
    if k <= 0:
        raise InvalidTypeError(f"Expected n_results to be 1 or more, got {k}")
    return k


def check_number(value: Any, argument: str) -> float:
    """Check a finite number of any type except bool."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InvalidTypeError(f"Expected {argument} to be a number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidArgumentError(f"Expected {argument} to be a finite number, got {shown(value)}")
    return number


def check_distance(distance: Any, argument: str, space: str | None = None) -> float | None:
    """Check a limit on the distances of the results of a query; None for no limit.

    space  refuse limits that no distance of this space can meet: only "ip" has negative distances
    """
    if distance is None:
        return None
    number = check_number(distance, argument)
    if number < 0 and space in ("l2", "cosine"):
        raise InvalidArgumentError(
            f"Expected {argument} to be zero or positive, got {shown(distance)}: no distance is negative in "
            f"the space {space!r}"
        )
    return number


def check_diversity(diversity: Any) -> float:
    """Check a diversity between 0 and 1. None is 0, which is off."""
    number = 0.0 if diversity is None else check_number(diversity, "diversity")
    if not 0 <= number <= 1:
        raise InvalidArgumentError(
            f"Expected diversity to be between 0 (off) and 1 (diversity alone), got {shown(diversity)}"
        )
    return number


def check_candidates(candidates: Any, k: int, used: bool) -> int | None:
    """Check how many of the nearest records results are chosen from. `used`: whether anything chooses."""
    if candidates is None:
        return None
    number = check_int(candidates, "candidates")
    if not used:
        raise InvalidArgumentError(
            f"candidates={number} is for diversity and rerank, which choose among them: pass one of these"
        )
    if not k <= number < 2**31:
        raise InvalidArgumentError(
            f"Expected candidates to be at least the number of results, {k}, and below 2**31, got {number}"
        )
    return number


def check_choices(
    request: QueryRequest,
    *,
    exact: Any,
    max_distance: Any,
    diversity: Any,
    candidates: Any,
    explain: Any,
    reranks: bool,
    space: str,
) -> QueryRequest:
    """Check how a query searches, and how it chooses among the nearest records, and add it to the request.

    space  that of the collection
    Queries without these arguments do not call this, because it takes a twentieth of a small query.
    """
    weight = check_diversity(diversity)
    return request._replace(
        exact=check_bool(exact, "exact"),
        max_distance=check_distance(max_distance, "max_distance", space),
        diversity=weight,
        candidates=check_candidates(candidates, request.k, weight > 0 or reranks),
        explain=check_bool(explain, "explain"),
    )


def check_no_vectors(**given: Any) -> None:
    """Check that a query by words alone has nothing to make vectors of."""
    for name, value in given.items():
        if value is not None:
            raise InvalidArgumentError(
                f"{name} needs mode='dense' or 'hybrid': mode='lexical' compares no vectors, "
                "so pass query_texts only"
            )


def check_only_ids(mode: Any, **given: Any) -> None:
    """Check that a query by ids has no texts, vectors, images or uris."""
    for name, value in given.items():
        if value is not None:
            raise InvalidArgumentError(
                f"query_ids and {name} are both questions: pass one of them (ids=… restricts what is found)"
            )
    if mode != "dense":
        raise InvalidArgumentError(
            f"query_ids compares vectors, which mode={mode!r} does not do alone: leave mode out, or pass "
            "query_texts"
        )


def check_no_inputs(**given: Any) -> None:
    """Check that nothing is given that query_embeddings would make useless.

    A program written for Chroma, where only the vectors count, gets a warning below `install_as_chromadb`.
    """
    for name, value in given.items():
        if value is None:
            continue
        message = (
            f"query_embeddings and {name} are both questions, and only one of them counts: pass one of "
            "them, or mode='hybrid' for texts and vectors together"
        )
        if not chromadb_name.taken:
            raise InvalidArgumentError(message)
        warnings.warn(message, UserWarning, stacklevel=3)


def check_mode(request: QueryRequest, mode: Any, texts: Any, candidates: Any) -> QueryRequest:
    """Check the mode of a query that is not the default, and add it to the request with its texts."""
    if mode not in get_args(QueryMode):
        known = ", ".join(map(repr, get_args(QueryMode)))
        raise InvalidArgumentError(f"Expected mode to be one of {known}, got {shown(mode)}")
    if mode == "dense":
        return request
    if texts is None:
        raise InvalidArgumentError(
            f"mode={mode!r} searches documents by the words of a text: pass query_texts"
        )
    for name, given in (
        ("max_distance", request.max_distance is not None),
        ("diversity", request.diversity > 0),
    ):
        if given:
            raise InvalidArgumentError(f"{name} needs mode='dense': it is about distances only")
    if request.exact and mode == "lexical":
        raise InvalidArgumentError(
            "exact needs mode='dense' or 'hybrid': mode='lexical' compares no vectors, and is always exact"
        )
    if candidates is not None and mode == "lexical":
        raise InvalidArgumentError("candidates needs mode='hybrid' or 'dense': there is only one list")
    words = [str(text) for text in check_texts(texts, "document", "query_texts", allow_none=False)]
    vectors = request.vectors
    if mode == "lexical":
        vectors = np.empty((len(words), 0), np.float32)
    elif len(vectors) != len(words):
        raise InvalidArgumentError(
            f"mode='hybrid' needs a vector for each text: got {len(vectors)} vectors and {len(words)} texts"
        )
    most = None if candidates is None else check_candidates(candidates, request.k, True)
    return request._replace(mode=mode, texts=words, vectors=vectors, candidates=most)


def check_bool(value: Any, argument: str) -> bool:
    """Check a bool. Other types that resemble bool are refused."""
    if not isinstance(value, bool):
        raise InvalidTypeError(f"Expected {argument} to be a bool, got {shown(value)}")
    return value


def check_positive(value: Any, argument: str) -> int:
    """Check an int that is at least 1."""
    number = check_int(value, argument)
    if number < 1:
        raise InvalidArgumentError(f"Expected {argument} to be positive, got {value}")
    return number


def check_efs(efs: Any) -> list[int]:
    """Check the values of `ef_search` that are compared."""
    values = as_list(efs)
    if not 0 < len(values) <= MOST_EFS:
        raise InvalidArgumentError(
            f"Expected ef_search to have 1 to {MOST_EFS} values, got {len(values)}: {shown(values)}"
        )
    checked = [check_positive(value, "ef_search") for value in values]
    if max(checked) > LARGEST_EF:
        raise InvalidArgumentError(f"Expected ef_search to be at most {LARGEST_EF}, got {max(checked)}")
    return checked


def check_facet_keys(keys: Any) -> list[str]:
    """Return the metadata keys whose values are counted, without repetitions."""
    names = as_list(keys)
    if not names:
        raise InvalidArgumentError("Expected keys to name at least one metadata key, got []")
    for name in names:
        if not isinstance(name, str):
            raise InvalidTypeError(f"Expected keys to be a str or a list of str, got {shown(name)}")
        if not name or name.startswith("#"):
            raise InvalidArgumentError(f"Expected keys to name metadata keys, got {name!r}")
    check_encodable(names, "keys")
    return list(dict.fromkeys(str.__str__(name) for name in names))


def check_delete(
    ids: Any, where: Any, where_document: Any, limit: Any, *, missing_ok: Any = False
) -> DeleteRequest:
    """Check the arguments of `delete`, so that a call cannot delete everything by mistake."""
    if ids is None and where is None and where_document is None:
        raise InvalidArgumentError(
            "At least one of ids, where, or where_document must be provided; to delete everything, "
            "delete the collection"
        )
    chosen = None if ids is None else check_ids(ids)
    selection = Selection(ids=chosen, where=where, where_document=where_document)
    return delete_request(selection, limit, on_unmatched(missing_ok))


def check_update(selection: Selection, given: Mapping[str, Any]) -> Selection:
    """Check the arguments of an update by filter. `given` are the columns by name."""
    if selection.ids is None and selection.where is None and selection.where_document is None:
        raise InvalidArgumentError(
            "Expected IDs to be a list, got None: pass ids, where or where_document, which say what to "
            "change; an empty filter would change everything"
        )
    others = [name for name, column in given.items() if column is not None and name != "metadatas"]
    if others:
        raise InvalidArgumentError(
            f"where changes metadata only, and {others[0]} is given: pass the ids of the records instead"
        )
    if not isinstance(given["metadatas"], Mapping):
        raise InvalidArgumentError(
            "with where, metadatas is one mapping for all records that match, such as {'era': 'early'}; got "
            f"{shown(given['metadatas'])}"
        )
    check_metadatas([given["metadatas"]])
    if selection.ids is not None:
        selection = selection._replace(ids=check_ids(selection.ids))
    return selection


def on_unmatched(missing_ok: Any) -> OnUnmatched:
    """Return how a change treats a filter with a key or type that no record has.

    A program written for Chroma expects no error, so below `install_as_chromadb` there is a warning.
    """
    if check_bool(missing_ok, "missing_ok"):
        return "ignore"
    return "warn" if chromadb_name.taken else "refuse"


def delete_request(selection: Selection, limit: Any, unmatched: OnUnmatched = "warn") -> DeleteRequest:
    """Build the request for `delete`. Applies the rules common to the Python API and the HTTP API."""
    where, where_document = cast(Any, selection.where), cast(Any, selection.where_document)
    if isinstance(where_document, str):
        raise _no_text(where_document)
    if isinstance(where, str):
        selection = selection._replace(where=filter_of(where))
    for argument in ("where", "where_document"):
        value = getattr(selection, argument)
        if value is not None and not value:
            raise InvalidArgumentError(
                f"Expected {argument} to have exactly one operator, got {value!r}; an empty filter "
                "would delete everything"
            )
    if limit is not None and selection.where is None and selection.where_document is None:
        raise InvalidArgumentError(
            f"limit={limit!r} can only be used with where or where_document; pass fewer ids instead"
        )
    return DeleteRequest(selection=selection, limit=check_optional_count(limit, "limit"), unmatched=unmatched)


def check_order(order_by: Any) -> list[tuple[str, bool]]:
    """Return (metadata key, descending) pairs for "key", "-key" or a list of such strings."""
    keys = as_list(order_by)
    if not keys:
        raise InvalidArgumentError("Expected order_by to name at least one metadata key, got []")
    order = []
    for key in keys:
        if not isinstance(key, str):
            raise InvalidTypeError(f"Expected order_by to be a str or a list of str, got {shown(key)}")
        name = key.removeprefix("-")
        if not name or name.startswith("#"):
            raise InvalidArgumentError(f"Expected order_by to name a metadata key, got {key!r}")
        check_encodable([name], "order_by")
        order.append((str.__str__(name), key.startswith("-")))
    return order


def selected(ids: Any, where: Any, where_document: Any) -> Selection:
    """The records of a read. Empty filters are none."""
    if where is None and where_document is None:
        return ALL_RECORDS if ids is None else Selection(ids=ids)
    if isinstance(where_document, str):
        raise _no_text(where_document)
    return Selection(ids=ids, where=given_filter(where), where_document=given_filter(where_document))


def _no_text(where_document: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f'Expected where_document to be a dict such as {{"$contains": "text"}}, got {shown(where_document)}; '
        "an SQL condition is an argument where, and may name the column document"
    )


def given_filter(where: Any) -> Any:
    """Return None for an empty filter, which reads treat as no filter, and the filter of an SQL condition.

    The engine checks all other values.
    """
    if type(where) is str:
        return filter_of(where)
    return None if isinstance(where, Mapping) and not where else where


def chance_of(seed: Any) -> Random:
    """Return a source of chance for a seed, an int or None."""
    from random import Random  # takes 2 ms

    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
        raise InvalidTypeError(f"Expected seed to be an int or None, got {shown(seed)}")
    return Random(None if seed is None else int(seed))  # noqa: S311 - not for secrets


def check_read_level(level: Any, argument: str = "read_level") -> ReadLevel:
    """Return the ReadLevel for a ReadLevel or its text."""
    if type(level) is ReadLevel:  # the enum's own look-up takes a tenth of a count
        return level
    try:
        return ReadLevel(level)
    except ValueError:
        levels = ", ".join(repr(level.value) for level in ReadLevel)
        raise InvalidArgumentError(f"Expected {argument} to be one of {levels}, got {shown(level)}") from None


def read_query_inputs(texts: Any, images: Any, uris: Any) -> dict[str, Sequence[Any]]:
    """Check the given query columns. Returns them by argument name."""
    inputs: dict[str, Sequence[Any]] = {}
    if texts is not None:
        inputs["query_texts"] = check_texts(texts, "document", "query_texts", allow_none=False)
    if images is not None:
        inputs["query_images"] = check_images(images)
    if uris is not None:
        inputs["query_uris"] = check_texts(uris, "uri", "query_uris", allow_none=False)
    return inputs


def only_input(inputs: Mapping[str, Sequence[Any]]) -> tuple[str, Sequence[Any]]:
    """Return the name and the values of the only query column. Raises if there is not exactly one."""
    if not inputs:
        raise InvalidArgumentError(
            "At least one of one of embeddings, documents, images, uris must be provided: pass "
            "query_embeddings, query_texts, query_images, query_uris or query_ids; ids=… only restricts what "
            "is found"
        )
    if len(inputs) > 1:
        raise InvalidArgumentError(f"Exactly one of {', '.join(inputs)} can be embedded; pass one of them")
    return next(iter(inputs.items()))


def check_same_length(vectors: Floats, inputs: Mapping[str, Sequence[Any]]) -> None:
    """Check that inputs passed with query embeddings have one entry per embedding. The inputs are not
    embedded."""
    for argument, column in inputs.items():
        if len(column) != len(vectors):
            raise InvalidArgumentError(
                f"Unequal lengths for fields: query_embeddings: {len(vectors)}, {argument}: {len(column)}; "
                "give one entry per query"
            )
