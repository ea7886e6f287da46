"""Read the catalog's changes and collections from files.

Owns: their fields, with types and ranges. catalog.py applies the changes.
"""

from __future__ import annotations

from typing import Any

from ..interface.schema import misfit
from ..manifest import MOST_DIMENSION
from ..validation import file_names
from ..validation.json_fields import Fields

_SPACES = ("l2", "cosine", "ip")
# The settings of a collection that the engine uses, with the least and largest value of each.
_SETTINGS = {
    "max_neighbors": (1, 10_000),
    "ef_construction": (1, (1 << 31) - 1),
    "ef_search": (1, (1 << 31) - 1),
    "num_threads": (0, 1024),
}
_COLLECTION = {"id", "name", "tenant", "database", "metadata", "configuration", "dimension", "schema"}


def read_change(data: Fields) -> dict[str, Any]:
    """Read a complete change. Raises Corruption."""
    change: dict[str, Any] = {"do": data.text("do")}
    match change["do"]:
        case "reset":
            return change
        case "create tenant":
            return change | {"tenant": data.text("tenant")}
        case "create database":
            scope = {"tenant": data.text("tenant"), "database": data.text("database")}
            return change | scope | {"id": data.text("id")}
        case "delete database":
            return change | {"tenant": data.text("tenant"), "database": data.text("database")}
        case "put collection":
            return change | {"collection": read_collection(data.fields("collection"))}
        case "delete collection":
            return change | {"id": data.name("id", file_names.COLLECTION)}
        case _:
            raise data.wrong(
                "do", f"is {file_names.json_shown(change['do'])}, which is no change of a catalog"
            )


def read_collection(data: Fields) -> dict[str, Any]:
    """Read a complete collection. Raises Corruption."""
    if unknown := data.keys() - _COLLECTION:
        raise data.wrong(min(unknown), "is unknown")
    metadata = data.maybe_fields("metadata")
    settings = data.fields("configuration").maybe_fields("hnsw")
    if settings is not None:
        _check_settings(settings)
    return _schema(data) | {
        "id": data.name("id", file_names.COLLECTION),
        "name": data.text("name"),
        "tenant": data.text("tenant"),
        "database": data.text("database"),
        "metadata": None if metadata is None else data.mapping("metadata"),
        "configuration": data.mapping("configuration"),
        "dimension": data.maybe_number("dimension", 1, MOST_DIMENSION, default=None),
    }


def _schema(data: Fields) -> dict[str, Any]:
    """Return {"schema"}, or {} for a collection without one."""
    if data.maybe_fields("schema") is None:
        return {}
    schema = data.mapping("schema")
    why = misfit(schema)
    if why is not None:
        raise data.wrong("schema", f"has no known form: {why}")
    return {"schema": schema}


def _check_settings(settings: Fields) -> None:
    given = settings.keys()
    if "space" in given:
        settings.one_of("space", _SPACES)
    for key, (least, most) in _SETTINGS.items():
        if key == "num_threads":
            settings.maybe_number(key, least, most, default=None)
        elif key in given:
            settings.number(key, least, most)
