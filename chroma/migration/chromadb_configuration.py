"""Reads a collection's configuration from the metadata, configuration or schema that chromadb stores.

0.4          `hnsw:*` keys in the metadata of the collection and of the index segment
0.5, 0.6     the same keys, and a configuration that chromadb ignores
1.0, 1.1     a configuration {"vector_index": {"hnsw": …}, "embedding_function": …}
later 1.x    a schema, whose entry for `#embedding` holds the index settings and the function. The rest of
             it is kept
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..collection.configuration import HNSW_DEFAULTS, hnsw_for_create
from ..collection.schemas import without_found
from ..embedding.registry import known_embedding_functions
from ..errors import InvalidArgumentError
from ..storage.interface.schema import misfit

LEGACY = {"type": "legacy"}


def read_configuration(
    metadata: Mapping[str, Any] | None,
    of_segment: Mapping[str, Any],
    stored: str | None,
    schema: str | None,
) -> tuple[dict[str, Any], list[str]]:
    """Return the configuration for the target's catalog, and remarks on settings that change."""
    hnsw, function, remarks = _told(_parsed(stored), _parsed(schema))
    if hnsw is None:  # before 1.0, the index was built with the keys of its segment
        hnsw = {}
        metadata = {
            **(metadata or {}),
            **{key: of_segment[key] for key in of_segment if key.startswith("hnsw:")},
        }
        remarks.append(
            "its release did not store which embedding function it was made with: pass it to get_collection"
        )
    complete, more = complete_settings(hnsw, metadata)
    return {"hnsw": complete, "embedding_function": function}, [
        *remarks,
        *more,
        *function_remarks(function),
    ]


def read_schema(text: str | None) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the schema for the target's catalog, and remarks on the settings that are not kept."""
    schema = _parsed(text)
    if not schema:
        return None, []
    if misfit(schema) is not None:
        return None, ["its schema has an unknown form and is not kept: every key can be filtered by"]
    remarks = []
    if schema.get("cmek") is not None:
        remarks.append("its schema names an encryption key; here the disk has to be encrypted")
    return without_found(schema), remarks


def complete_settings(
    hnsw: Mapping[str, Any], metadata: Mapping[str, Any] | None
) -> tuple[dict[str, Any], list[str]]:
    """Return all settings of an index. Settings outside our range get their defaults and a remark."""
    given = {key: hnsw[key] for key in HNSW_DEFAULTS if hnsw.get(key) is not None}
    legacy = {key: value for key, value in (metadata or {}).items() if key.startswith("hnsw:")}
    remarks: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about `hnsw:*` keys without effect
        usable = _usable(given, lambda one: hnsw_for_create({"hnsw": one}, None, None), remarks)
        of_metadata = _usable(legacy, lambda one: hnsw_for_create(None, one, None), remarks)
        return hnsw_for_create({"hnsw": usable}, of_metadata, None), remarks


def _usable(
    settings: Mapping[str, Any], check: Callable[[dict[str, Any]], object], remarks: list[str]
) -> dict[str, Any]:
    """Return the settings that `check` accepts. Raises if `check` refuses the distance."""
    usable = {}
    for key, value in settings.items():
        try:
            check({key: value})
            usable[key] = value
        except InvalidArgumentError as error:
            if key in ("space", "hnsw:space"):
                raise
            remarks.append(f"{key} keeps its default: {error.message()}")
    return usable


def function_remarks(function: Any) -> list[str]:
    """Return remarks on an embedding function that this package does not have."""
    if isinstance(function, Mapping) and function.get("type") == "known":
        if function.get("name") not in known_embedding_functions:
            return [
                f"its embedding function {function.get('name')!r} is kept but not known here: "
                "register its class "
                "with register_embedding_function, or pass it to get_collection"
            ]
    return []


def _parsed(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidArgumentError(f"its configuration is not JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def _told(
    stored: Mapping[str, Any], schema: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, Any, list[str]]:
    """Return the index settings (None if the release ignores the stored ones), the function, and remarks."""
    vectors = (
        schema.get("keys", {})
        .get("#embedding", {})
        .get("float_list", {})
        .get("vector_index", {})
        .get("config")
    )
    if isinstance(vectors, dict):
        hnsw = {**(vectors.get("hnsw") or {}), "space": vectors.get("space")}
        return hnsw, vectors.get("embedding_function"), []
    index = stored.get("vector_index")
    if isinstance(index, dict):
        found = index.get("hnsw") or index.get("spann") or {}
        return dict(found), stored.get("embedding_function"), []
    return None, LEGACY, []
