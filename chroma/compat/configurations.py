"""Conversions between collection configurations and their JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..embedding.registry import config_to_embedding_function, embedding_function_to_config

_PARTS = ("hnsw", "spann")


def collection_configuration_to_json(
    config: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a configuration as JSON data, with the embedding function as its name and settings."""
    found: dict[str, Any] = {part: config.get(part) for part in _PARTS}
    function = config.get("embedding_function")
    return found | {
        "embedding_function": None if function is None else embedding_function_to_config(function)
    }


def collection_configuration_to_json_str(
    config: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
) -> str:
    """Return a configuration as JSON text."""
    return json.dumps(collection_configuration_to_json(config, metadata))


def load_collection_configuration_from_json(config_json_map: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration from JSON data. Rebuilds the embedding function if it was stored by name."""
    found: dict[str, Any] = {
        part: config_json_map[part] for part in _PARTS if config_json_map.get(part) is not None
    }
    stored = config_json_map.get("embedding_function")
    if isinstance(stored, Mapping) and stored.get("type") == "known":
        found["embedding_function"] = config_to_embedding_function(dict(stored))
    return found


def load_collection_configuration_from_json_str(config_json_str: str) -> dict[str, Any]:
    """Return the configuration from JSON text."""
    return load_collection_configuration_from_json(json.loads(config_json_str))
