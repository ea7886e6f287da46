"""The indexes that a collection's schema declares.

Owns: the shape of a schema as JSON data, and how an index is looked up in it. "defaults" and each entry of
"keys" have the form {type: {index: {"enabled", "config"}}}. The entry of a key counts before the defaults.
For keys that neither names, the rules of a collection without a schema hold. All functions are pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from .short_repr import shown

SchemaJson: TypeAlias = "Mapping[str, Any]"
ValueType: TypeAlias = Literal["string", "int", "float", "bool", "float_list", "sparse_vector"]

DOCUMENT, EMBEDDING = "#document", "#embedding"
FULL_TEXT = "fts_index"
SPARSE = "sparse_vector_index"
VECTOR = "vector_index"
# the index that filters on metadata values of a type use
INVERTED: dict[ValueType, str] = {
    "string": "string_inverted_index",
    "int": "int_inverted_index",
    "float": "float_inverted_index",
    "bool": "bool_inverted_index",
}
# the indexes of each type of values
INDEXES: dict[ValueType, tuple[str, ...]] = {
    "string": (FULL_TEXT, INVERTED["string"]),
    "float_list": (VECTOR,),
    "sparse_vector": (SPARSE,),
    "int": (INVERTED["int"],),
    "float": (INVERTED["float"],),
    "bool": (INVERTED["bool"],),
}


def index_of(schema: SchemaJson | None, key: str, kind: ValueType, index: str) -> Mapping[str, Any] | None:
    """Return {"enabled", "config"} of an index for a key. None if the schema does not name the index."""
    if schema is None:
        return None
    for values in (schema["keys"].get(key), schema["defaults"]):
        found: Mapping[str, Any] | None = ((values or {}).get(kind) or {}).get(index)
        if found is not None:
            return found
    return None


def is_off(schema: SchemaJson | None, key: str, kind: ValueType) -> bool:
    """Whether filters on values of this type under a key are switched off."""
    found = index_of(schema, key, kind, INVERTED[kind])
    return found is not None and not found["enabled"]


def full_text_off(schema: SchemaJson | None) -> bool:
    """Whether filters on documents are switched off."""
    named = None if schema is None else (schema["keys"].get(DOCUMENT) or {}).get("string")
    found = (named or {}).get(FULL_TEXT)
    return found is not None and not found["enabled"]


def sparse_index(schema: SchemaJson | None, key: str) -> tuple[bool, bool]:
    """Return whether a key has a sparse index, and whether its queries are weighted by rarity (`bm25`)."""
    found = index_of(schema, key, "sparse_vector", SPARSE)
    if found is None or not found["enabled"]:
        return False, False
    return True, bool(found["config"].get("bm25"))


def sparse_keys(schema: SchemaJson | None) -> dict[str, Mapping[str, Any]]:
    """Map each key with a sparse index to the settings of the index."""
    found = {}
    for key, values in (schema or {"keys": {}})["keys"].items():
        index = (values.get("sparse_vector") or {}).get(SPARSE)
        if index is not None and index["enabled"]:
            found[key] = index["config"]
    return found


def switches_off(schema: SchemaJson | None) -> bool:
    """Whether the schema switches off any filter, so that filters have to be checked."""
    if schema is None:
        return False
    if full_text_off(schema):
        return True
    named = ((key, values) for key, values in schema["keys"].items() if not key.startswith("#"))
    return any(
        not index["enabled"]
        for _, values in (*named, ("", schema["defaults"]))
        for kind, name in INVERTED.items()
        if (index := (values.get(kind) or {}).get(name)) is not None
    )


def misfit(schema: Any) -> str | None:
    """Return why a value has not the shape of a schema, or None if it has."""
    if not isinstance(schema, Mapping):
        return f"schema is {shown(schema)}, not an object"
    for part in ("defaults", "keys"):
        if not isinstance(schema.get(part), Mapping):
            return f"schema[{part!r}] is {shown(schema.get(part))}, not an object"
    for key, values in schema["keys"].items():
        if not isinstance(key, str):
            return f"schema['keys'] has the key {shown(key)}, not a string"
        if not isinstance(values, Mapping):
            return f"schema['keys'][{key!r}] is {shown(values)}, not an object"
    where = {"schema['defaults']": schema["defaults"]}
    where |= {f"schema['keys'][{key!r}]": values for key, values in schema["keys"].items()}
    found = (_misfit_of_values(name, values) for name, values in where.items())
    return next((why for why in found if why is not None), None)


def _misfit_of_values(name: str, values: Mapping[str, Any]) -> str | None:
    for kind, known in INDEXES.items():
        indexes = values.get(kind)
        if indexes is None:
            continue
        if not isinstance(indexes, Mapping):
            return f"{name}[{kind!r}] is {shown(indexes)}, not an object"
        for index in known:
            found, path = indexes.get(index), f"{name}[{kind!r}][{index!r}]"
            if found is None:
                continue
            if not isinstance(found, Mapping):
                return f"{path} is {shown(found)}, not an object"
            if not isinstance(found.get("enabled"), bool):
                return f"{path}['enabled'] is {shown(found.get('enabled'))}, not a boolean"
            if not isinstance(found.get("config"), Mapping):
                return f"{path}['config'] is {shown(found.get('config'))}, not an object"
    return None
