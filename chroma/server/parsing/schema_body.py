"""Parses the schema in the body of a request that creates a collection.

Owns: the types of its fields. `chroma.schema.rules` says which schemas a collection can have. Unknown types
of values and unknown indexes are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...collection.configuration import SPACES
from ...schema.index_configs import HnswIndexConfig, SpannIndexConfig
from ...schema.rules import check_rules
from ...storage.interface.schema import SPARSE, VECTOR, misfit
from ...storage.interface.short_repr import shown
from ...wire.json_codec import JSON, ShapeError
from ...wire.json_fields import typed
from .stored_function import stored_function


def checked(schema: Any) -> JSON:
    """Return a schema that a collection can have. Raises ShapeError, or InvalidArgumentError."""
    why = misfit(schema)
    if why is not None:
        raise ShapeError(why)
    if schema.get("cmek") is not None and not isinstance(schema["cmek"], dict):
        raise ShapeError(f"Expected schema['cmek'] to be an object, got {shown(schema['cmek'])}")
    out = dict(schema) | {
        "defaults": _values(schema["defaults"]),
        "keys": {key: _values(values) for key, values in schema["keys"].items()},
    }
    check_rules(out)
    return out


def _values(values: Mapping[str, Any]) -> JSON:
    """Return the values of one key with the settings of vectors and sparse vectors checked."""
    out = dict(values)
    for kind, index, check in (("float_list", VECTOR, _vectors), ("sparse_vector", SPARSE, _sparse)):
        found = (values.get(kind) or {}).get(index)
        if found is not None:
            out[kind] = {index: {"enabled": found["enabled"], "config": check(found["config"])}}
    return out


def _vectors(config: JSON) -> JSON:
    space = typed(config, "space", str, "a string")
    if space is not None and space not in SPACES:
        raise ShapeError(f"space is {shown(space)}: expected {', '.join(SPACES)}")
    out = _common(config) | ({} if space is None else {"space": space})
    for name, kind in (("hnsw", HnswIndexConfig), ("spann", SpannIndexConfig)):
        settings = typed(config, name, dict, "an object")
        if settings is not None:
            out[name] = _settings(name, settings, kind)
    return out


def _settings(name: str, settings: JSON, kind: Any) -> JSON:
    if "self" in settings:  # Python would take it for the object
        raise ShapeError(f"{name}: Extra inputs are not permitted: 'self' is not a setting")
    try:
        found = kind(**settings)
    except ValueError as error:
        raise ShapeError(f"{name}: {error}") from error
    return {key: value for key, value in vars(found).items() if value is not None}


def _sparse(config: JSON) -> JSON:
    bm25 = typed(config, "bm25", bool, "a boolean")
    return _common(config) | ({} if bm25 is None else {"bm25": bm25})


def _common(config: JSON) -> JSON:
    function = typed(config, "embedding_function", dict, "an object")
    source = typed(config, "source_key", str, "a string")
    out: JSON = {} if function is None else {"embedding_function": stored_function(function)}
    return out | ({} if source is None else {"source_key": source})
