"""The schema of a collection beside its configuration.

Owns: the form in which the catalog keeps a schema, and which of the two says what. Space, "hnsw" and the
function of vectors are in the configuration only. A schema that says nothing else than the defaults is not
kept. `complete` gives the JSON form that users and servers see. All functions are pure.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..embedding import EmbeddingFunction, resolve
from ..embedding.registry import embedding_function_to_config
from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.schema import DOCUMENT, EMBEDDING, INDEXES, SPARSE, VECTOR, SchemaJson, ValueType
from ..storage.interface.short_repr import shown
from .configuration import HNSW_DEFAULTS, hnsw_for_create, hnsw_of_spann

JSON = dict[str, Any]

# the settings of "hnsw" that a schema shows, with the value of those that a configuration may lack
_SHOWN: dict[str, Any] = {
    "ef_construction": 100, "max_neighbors": 16, "ef_search": 100, "num_threads": 1, "batch_size": 100,
    "sync_threshold": 1000, "resize_factor": 1.2,
}  # fmt: skip
_DEFAULT_FUNCTION = {"type": "known", "name": "default", "config": {}}
_CONFLICT = (
    "Cannot set both collection config and schema simultaneously: {} is set beside a schema that is not "
    "Schema(). Set it in the schema, with create_index(VectorIndexConfig(…))"
)


class Settings(NamedTuple):
    """The settings that a new collection stores, and the embedding function of its handle."""

    configuration: JSON
    schema: JSON | None
    function: EmbeddingFunction[Any] | None


# ------------------------------------------------------------------ forms


def _plain() -> JSON:
    """Return the kept form of a schema that says nothing."""
    no_function: JSON = {"embedding_function": {"type": "unknown"}, "bm25": False}
    return {
        "defaults": {
            "string": {"fts_index": _index(False), "string_inverted_index": _index(True)},
            "int": {"int_inverted_index": _index(True)},
            "float": {"float_inverted_index": _index(True)},
            "bool": {"bool_inverted_index": _index(True)},
            "float_list": {"vector_index": _index(False)},
            "sparse_vector": {"sparse_vector_index": _index(False, no_function)},
        },
        "keys": {
            "#document": {"string": {"fts_index": _index(True), "string_inverted_index": _index(False)}},
            "#embedding": {"float_list": {"vector_index": _index(True, {"source_key": DOCUMENT})}},
        },
    }


def _index(enabled: bool, config: JSON | None = None) -> JSON:
    return {"enabled": enabled, "config": {} if config is None else config}


def kept(schema: SchemaJson) -> JSON | None:
    """Return the form that the catalog keeps. None for a schema that says nothing beside a configuration."""
    form = _plain()
    _overlay(form["defaults"], schema["defaults"])
    for key, values in schema["keys"].items():
        _overlay(form["keys"].setdefault(key, {}), values)
    of_vectors = form["keys"][EMBEDDING]["float_list"][VECTOR]
    of_vectors["enabled"] = True  # it cannot be off
    of_vectors["config"].setdefault("source_key", DOCUMENT)
    return None if form == _plain() else form


def _overlay(form: JSON, values: Mapping[str, Any]) -> None:
    for kind, known in INDEXES.items():
        for index in known:
            given = (values.get(kind) or {}).get(index)
            if given is not None:
                form.setdefault(kind, {})[index] = {
                    "enabled": given["enabled"],
                    "config": _kept_config(index, given["config"]),
                }


def _kept_config(index: str, config: Mapping[str, Any]) -> JSON:
    if index == VECTOR:
        return {name: config[name] for name in ("source_key", "spann") if config.get(name) is not None}
    if index == SPARSE:
        out = {"embedding_function": config.get("embedding_function") or {"type": "unknown"}}
        out |= {"source_key": config["source_key"]} if config.get("source_key") is not None else {}
        return out | {"bm25": bool(config.get("bm25"))}
    return {}


def complete(
    schema: SchemaJson | None,
    configuration: Mapping[str, Any],
    found: Iterable[tuple[str, ValueType]] = (),
) -> JSON:
    """Return the whole JSON form of a collection's schema.

    schema  the kept form, or a complete one
    found   keys of the records, with the types of their values. They get entries from the defaults
    """
    form = _plain() if schema is None else (kept(schema) or _plain())
    _fill(form, configuration, _SHOWN)
    for key, kind in found:
        values = form["keys"].setdefault(key, {})
        if kind not in values and kind in form["defaults"]:
            values[kind] = copy.deepcopy(form["defaults"][kind])
    return form


def requested(schema: SchemaJson, configuration: Mapping[str, Any]) -> JSON:
    """Return the JSON form with which a server creates a collection that has this kept form."""
    form = kept(schema) or _plain()
    _fill(form, configuration, {})
    return form


def _fill(form: JSON, configuration: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Fill in the settings of vectors. `defaults` are settings of "hnsw" that the configuration may lack."""
    for values in (form["defaults"], form["keys"][EMBEDDING]):
        index = values["float_list"][VECTOR]
        index["config"] = _vectors(index["config"], configuration, defaults)


def _vectors(config: JSON, configuration: Mapping[str, Any], defaults: Mapping[str, Any]) -> JSON:
    hnsw, function = configuration["hnsw"], configuration.get("embedding_function")
    out: JSON = {"space": hnsw["space"]}
    if function is not None:
        out["embedding_function"] = function
    if config.get("spann") is not None:
        out["spann"] = config["spann"]
    else:
        values = {**defaults, **hnsw}
        out["hnsw"] = {key: values[key] for key in _SHOWN if values.get(key) is not None}
    return out | ({"source_key": config["source_key"]} if config.get("source_key") is not None else {})


def without_spann(schema: SchemaJson) -> JSON | None:
    """Return the kept form without settings of the hosted service's index, which no local collection has."""
    form = copy.deepcopy(dict(schema))
    for values in (form["defaults"], form["keys"][EMBEDDING]):
        values["float_list"][VECTOR]["config"].pop("spann", None)
    return kept(form)


def without_found(schema: SchemaJson | None) -> JSON | None:
    """Return the kept form of a schema that may have entries of keys found in records.

    Entries that are equal to the defaults say nothing, so they are left out.
    """
    if schema is None:
        return None
    defaults = schema["defaults"]
    keys = {
        key: values
        for key, values in schema["keys"].items()
        if key.startswith("#") or any(indexes != defaults.get(kind) for kind, indexes in values.items())
    }
    return kept({"defaults": defaults, "keys": keys})


# ------------------------------------------------------------------ creation


def for_create(
    schema: Any,
    configuration: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
    argument: Any,
) -> Settings:
    """Return the settings that a new collection with a schema stores. Raises InvalidArgumentError if the
    configuration conflicts with the schema.

    argument  the `embedding_function` of the call
    """
    from ..schema.rules import check_rules  # with its dataclasses, takes 5 ms of opening a database
    from ..schema.schema import Schema

    if not isinstance(schema, Schema):
        raise InvalidTypeError(f"Expected schema to be a Schema, got {shown(schema)}")
    form = schema.serialize_to_json()
    check_rules(form)
    argument = resolve.DEFAULT if argument is None else argument  # beside a schema, None says nothing
    if is_untouched(form):
        function = resolve.choose(argument, configuration)
        stored = {
            "hnsw": hnsw_for_create(configuration, metadata, function),
            "embedding_function": resolve.stored_form(function, configuration),
        }
        return Settings(stored, None, function)
    _check_said(configuration, metadata)
    vectors = schema.keys[EMBEDDING].float_list
    assert vectors is not None and vectors.vector_index is not None
    config = vectors.vector_index.config
    function = _one_function(argument, config.embedding_function)
    said = _said(form)
    if config.space is None:
        said.pop("space", None)  # the function may prefer one
    of_function = {"type": "legacy"} if function is None else embedding_function_to_config(function)
    stored = {"hnsw": hnsw_for_create({"hnsw": said}, None, function), "embedding_function": of_function}
    return Settings(stored, kept(form), function)


def adopted(
    form: SchemaJson, configuration: JSON, metadata: Mapping[str, Any] | None
) -> tuple[JSON, JSON | None]:
    """Return the configuration and the kept schema of a collection that a request creates.

    configuration  the complete configuration that the request says beside the schema
    """
    if is_untouched(form):
        return configuration, None
    _check_said(configuration, metadata)
    function = _vector_config(form).get("embedding_function")
    return {"hnsw": hnsw_for_create({"hnsw": _said(form)}, None, None), "embedding_function": function}, kept(
        form
    )


def is_untouched(form: SchemaJson) -> bool:
    """Whether a schema says what Schema() says, so that the configuration counts."""
    config = _vector_config(form)
    hnsw = config.get("hnsw") or {}
    return (
        kept(form) is None
        and config.get("embedding_function") in (None, _DEFAULT_FUNCTION)
        and config.get("space") in (None, HNSW_DEFAULTS["space"])
        and all(value is None or value == {**HNSW_DEFAULTS, **_SHOWN}.get(key) for key, value in hnsw.items())
    )


def _vector_config(form: SchemaJson) -> Mapping[str, Any]:
    """Return the settings of vectors: those at "#embedding", else those of the defaults."""
    for values in (form["keys"].get(EMBEDDING) or {}, form["defaults"]):
        index = (values.get("float_list") or {}).get(VECTOR)
        if index is not None:
            config: Mapping[str, Any] = index["config"]
            return config
    return {}


def _said(form: SchemaJson) -> JSON:
    """Return the settings for "hnsw" that a schema has."""
    config = _vector_config(form)
    space = config.get("space")
    return {**(config.get("hnsw") or {}), **({} if space is None else {"space": space})}


def _check_said(configuration: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None) -> None:
    """Raise InvalidArgumentError if the configuration, or the metadata, says anything but the defaults."""
    of_metadata = sorted(key for key in metadata or {} if key.startswith("hnsw:"))
    if of_metadata:
        raise InvalidArgumentError(_CONFLICT.format(f"metadata[{of_metadata[0]!r}]"))
    for part in ("hnsw", "spann"):
        given = (configuration or {}).get(part)
        if given is None:
            continue
        hnsw = hnsw_of_spann(given) if part == "spann" else given
        if hnsw_for_create({"hnsw": hnsw}, None, None) != HNSW_DEFAULTS:
            raise InvalidArgumentError(_CONFLICT.format(f"configuration[{part!r}]"))
    function = (configuration or {}).get("embedding_function")
    if function is not None and not isinstance(function, Mapping):
        function = embedding_function_to_config(function)
    if function not in (None, _DEFAULT_FUNCTION):
        raise InvalidArgumentError(_CONFLICT.format("configuration['embedding_function']"))


def _one_function(argument: Any, of_schema: Any) -> Any:
    """Return a collection's function: the schema's, or the argument if the schema has the default one."""
    resolve.check(argument)
    if argument is resolve.DEFAULT:
        return of_schema
    given = embedding_function_to_config(argument)
    stored = {"type": "legacy"} if of_schema is None else embedding_function_to_config(of_schema)
    if given == _DEFAULT_FUNCTION:
        return of_schema
    if stored == _DEFAULT_FUNCTION or (given == stored and given["type"] == "known"):
        return argument
    raise InvalidArgumentError(_CONFLICT.format(f"embedding_function ({resolve.name_of(argument)})"))
