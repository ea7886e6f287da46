"""Parses the JSON bodies of the routes by which the console explores a collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ...pipelines.file_discovery import Format
from ...storage.interface.requests import FacetRequest, Selection
from ...storage.interface.short_repr import shown
from ...validation.read_arguments import check_distance
from ...wire.json_codec import ShapeError
from ...wire.json_fields import count, required, shaped, typed
from ...wire.request_codec import facets_from_json, filters_from_json, integers_as_text

MOST_TEXTS = 100
MOST_POINTS = 200_000
MOST_PAIRS = 100_000
MOST_ROWS = 10_000
FORMATS = ("arrow", "csv", "jsonl", "parquet")
METHODS = ("pca", "umap")
DOCUMENT = "#document"  # among the keys of facets
_BINS = 20
_POINTS, _PAIRS, _DISTANCE, _ROWS = 50_000, 1000, 0.05, 1000


@dataclass(frozen=True, slots=True)
class MapRequest:
    """A map of embeddings: which records, at most how many of them, and the metadata key of their colours."""

    selection: Selection
    limit: int
    seed: int
    method: str
    color_by: str | None


@dataclass(frozen=True, slots=True)
class PairsRequest:
    """Pairs of records that are near each other."""

    selection: Selection
    max_distance: float
    limit: int


def texts(body: Mapping[str, Any]) -> list[str]:
    """The texts in {"texts"}."""
    found = required(body, "texts")
    if type(found) is not list or not all(isinstance(text, str) for text in found):
        raise ShapeError(f"Expected texts to be a list of strings, got {shown(found)}")
    if not 0 < len(found) <= MOST_TEXTS:
        raise ShapeError(f"Expected texts to have 1 to {MOST_TEXTS} strings, got {len(found)}")
    return found


def map_request(body: Mapping[str, Any]) -> MapRequest:
    """Read {"where"?, "where_document"?, "limit"?, "seed"?, "method"?, "color_by"?}."""
    method = _choice(body, "method", METHODS) or "pca"
    limit = count(body, "limit", MOST_POINTS)
    return MapRequest(
        filters_from_json(body),
        _POINTS if limit is None else limit,
        count(body, "seed", 2**31 - 1) or 0,
        method,
        typed(body, "color_by", str, "a metadata key"),
    )


def pairs_request(body: Mapping[str, Any]) -> PairsRequest:
    """Read {"max_distance"?, "where"?, "limit"?}."""
    with shaped():
        distance = check_distance(body.get("max_distance"), "max_distance")
    limit = count(body, "limit", MOST_PAIRS)
    return PairsRequest(
        Selection(where=filters_from_json({"where": body.get("where")}).where),
        _DISTANCE if distance is None else distance,
        _PAIRS if limit is None else limit,
    )


@dataclass(frozen=True, slots=True)
class FacetsRequest:
    """Facets of metadata keys, and of the documents.

    keys       None: all keys, with nothing counted, without the documents
    documents  the bins of the lengths of documents; None: nothing about documents
    """

    selection: Selection
    keys: FacetRequest | None
    documents: int | None


def facets(body: Mapping[str, Any]) -> FacetsRequest:
    """Read {"keys"?, "ids"?, "where"?, "where_document"?, "limit"?, "bins"?, "integers"?}."""
    integers_as_text(body)
    parts, keys = _bins(body), body.get("keys")
    names, documents = ["any"] if keys is None else keys, False
    if type(keys) is list and DOCUMENT in keys:
        names, documents = [key for key in keys if key != DOCUMENT], True
    counts = keys is not None and not (documents and not names)
    request = facets_from_json({**body, "keys": names if counts else ["any"]})._replace(bins=parts)
    return FacetsRequest(
        request.selection, request if counts else None, (parts or _BINS) if documents else None
    )


def _bins(body: Mapping[str, Any]) -> int | None:
    """The number of parts of a histogram in {"bins"?}; None if none is requested."""
    found = count(body, "bins", 1000)
    if found == 0:
        raise ShapeError("Expected bins to be at least 1, got 0")
    return found


def max_rows(body: Mapping[str, Any]) -> int:
    """The number in {"max_rows"?}."""
    found = count(body, "max_rows", MOST_ROWS)
    return _ROWS if found is None else found


def export_format(body: Mapping[str, Any]) -> Format:
    """The format in {"format"?}."""
    return cast(Format, _choice(body, "format", FORMATS) or "arrow")


def _choice(body: Mapping[str, Any], field: str, choices: tuple[str, ...]) -> str | None:
    found = body.get(field)
    if found is not None and found not in choices:
        raise ShapeError(f"Expected {field} to be one of {', '.join(choices)}, or null, got {shown(found)}")
    return found
