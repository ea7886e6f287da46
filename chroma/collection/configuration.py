"""Reads, checks and changes the configuration of a collection.

Owns: the keys under "hnsw", their defaults and their rules, and the choice of the distance.
`chroma.embedding.resolve` chooses the embedding function. All functions are pure and use plain dicts.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, TypedDict

from ..embedding import EmbeddingFunction
from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..types import Space

SPACES = ("l2", "cosine", "ip")

# The settings in `configuration_json` of a new collection. `num_threads` and `batch_size` are
# absent until they are set.
HNSW_DEFAULTS: dict[str, Any] = {
    "space": "l2",
    "ef_construction": 100,
    "ef_search": 100,
    "max_neighbors": 16,
    "resize_factor": 1.2,
    "sync_threshold": 1000,
}

# The smallest and the largest accepted number for each key. hnswlib itself caps neighbours at
# 10,000. It divides by log(max_neighbors), so the minimum is 2.
RANGES: dict[str, tuple[float, float]] = {
    "ef_construction": (1, 2**31 - 1),
    "ef_search": (1, 2**31 - 1),
    "max_neighbors": (2, 10_000),
    "num_threads": (1, 1024),
    "batch_size": (1, 2**31 - 1),
    "sync_threshold": (1, 2**31 - 1),
    "resize_factor": (1.0, 1000.0),
}

MUTABLE = frozenset(RANGES) - {"ef_construction"}

_METADATA_KEYS = {
    "hnsw:space": "space",
    "hnsw:construction_ef": "ef_construction",
    "hnsw:search_ef": "ef_search",
    "hnsw:M": "max_neighbors",
    "hnsw:num_threads": "num_threads",
    "hnsw:batch_size": "batch_size",
    "hnsw:sync_threshold": "sync_threshold",
    "hnsw:resize_factor": "resize_factor",
}


class CreateHNSWConfiguration(TypedDict, total=False):
    """Index settings of a new collection. Each has a default."""

    space: Space
    ef_construction: int
    max_neighbors: int
    ef_search: int
    num_threads: int
    batch_size: int
    sync_threshold: int
    resize_factor: float


class UpdateHNSWConfiguration(TypedDict, total=False):
    """Index settings that an existing collection can change."""

    ef_search: int
    max_neighbors: int
    num_threads: int
    batch_size: int
    sync_threshold: int
    resize_factor: float


class CreateSpannConfiguration(TypedDict, total=False):
    """Settings of an index of the hosted service. The collection gets an HNSW index of the same space."""

    search_nprobe: int
    write_nprobe: int
    space: Space
    ef_construction: int
    ef_search: int
    max_neighbors: int
    reassign_neighbor_count: int
    split_threshold: int
    merge_threshold: int


class UpdateSpannConfiguration(TypedDict, total=False):
    """Settings of an index type of the hosted service. No local collection has them."""

    search_nprobe: int
    ef_search: int


class CreateCollectionConfiguration(TypedDict, total=False):
    """The `configuration` argument of `create_collection`."""

    hnsw: CreateHNSWConfiguration | None
    spann: CreateSpannConfiguration | None
    embedding_function: EmbeddingFunction[Any] | None


class UpdateCollectionConfiguration(TypedDict, total=False):
    """The `configuration` argument of `Collection.modify`."""

    hnsw: UpdateHNSWConfiguration | None
    spann: UpdateSpannConfiguration | None
    embedding_function: EmbeddingFunction[Any] | None


class CollectionConfiguration(TypedDict, total=False):
    """The type of `Collection.configuration`: the current settings and the embedding function."""

    hnsw: dict[str, Any] | None
    spann: None
    embedding_function: EmbeddingFunction[Any] | None


def hnsw_for_create(
    configuration: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
    function: EmbeddingFunction[Any] | None,
) -> dict[str, Any]:
    """Return the complete "hnsw" mapping of a new collection.

    Order of precedence: explicit settings, `hnsw:*` keys of the metadata, the function's
    `default_space()`, the defaults.
    """
    parts = _parts(configuration)
    hnsw, spann = parts.get("hnsw"), parts.get("spann")
    if hnsw is not None and spann is not None:
        raise InvalidArgumentError("hnsw and spann cannot both be provided: local collections use hnsw")
    if spann is not None:
        hnsw = hnsw_of_spann(spann)
        warnings.warn(
            "configuration['spann'] is a hosted index kind: the collection gets an hnsw index, with "
            f"{hnsw or 'the default settings'}",
            UserWarning,
            stacklevel=4,
        )
    given = _from_metadata(metadata) | _checked(hnsw, frozenset(RANGES) | {"space"})
    preferred = _preferred_space(function)
    merged = HNSW_DEFAULTS | ({"space": preferred} if preferred else {}) | given
    _warn_unsupported(merged["space"], function)
    return merged


def warn_differing(
    name: str, configuration: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None, info: Any
) -> None:
    """Warn about settings and metadata that a call names and an existing collection has otherwise."""
    stored, kept = info.configuration["hnsw"], info.metadata or {}
    given_metadata = {key: value for key, value in (metadata or {}).items() if key not in _METADATA_KEYS}
    if any(key not in kept or kept[key] != value for key, value in given_metadata.items()):
        warnings.warn(
            f"the collection {name!r} exists, and keeps its metadata: {shown(info.metadata)}, not "
            f"{shown(given_metadata)}. Change them with modify(metadata=…)",
            UserWarning,
            stacklevel=4,
        )
    hnsw = _parts(configuration).get("hnsw")
    old = {_METADATA_KEYS[key]: value for key, value in (metadata or {}).items() if key in _METADATA_KEYS}
    given = old | (dict(hnsw) if isinstance(hnsw, Mapping) else {})
    differing = {key: value for key, value in given.items() if key in stored and stored[key] != value}
    if differing:
        told = ", ".join(f"{key} is {stored[key]!r}, not {value!r}" for key, value in differing.items())
        warnings.warn(
            f"the collection {name!r} exists, and keeps its settings: {told}. Create another collection for "
            "other settings, or change those that can be changed with modify(configuration=…)",
            UserWarning,
            stacklevel=4,
        )


def hnsw_of_spann(spann: Any) -> dict[str, Any]:
    """Return the setting of a "spann" mapping that counts for an HNSW index: the space."""
    if not isinstance(spann, Mapping):
        raise InvalidTypeError(f"Expected configuration['spann'] to be a dict, got {shown(spann)}")
    return {} if spann.get("space") is None else {"space": spann["space"]}


def hnsw_for_update(stored: Mapping[str, Any], update: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the complete "hnsw" mapping after `modify(configuration=update)`."""
    parts = _parts(update)
    if parts.get("spann") is not None:
        raise InvalidArgumentError(
            "cannot update the spann configuration: schema has HNSW; pass {'hnsw': {…}}"
        )
    changes = parts.get("hnsw")
    if changes is not None and isinstance(changes, Mapping):
        for fixed in ("space", "ef_construction"):
            if fixed in changes:
                raise InvalidArgumentError(
                    f"configuration['hnsw'][{fixed!r}] cannot be changed after creation; "
                    f"these can: {', '.join(sorted(MUTABLE))}"
                )
    return dict(stored) | _checked(changes, MUTABLE)


def as_json(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the catalog's configuration to `configuration_json`."""
    return {
        "hnsw": dict(configuration["hnsw"]),
        "spann": None,
        "embedding_function": configuration.get("embedding_function"),
    }


def _parts(configuration: Mapping[str, Any] | None) -> dict[str, Any]:
    if configuration is None:
        return {}
    if not isinstance(configuration, Mapping):
        raise InvalidTypeError(f"Expected configuration to be a dict, got {shown(configuration)}")
    known = ("hnsw", "spann", "embedding_function")
    unknown = [key for key in configuration if key not in known]
    if unknown:
        warnings.warn(
            f"configuration ignores the unknown keys {unknown}; known are {known}", UserWarning, stacklevel=5
        )
    return dict(configuration)


def _checked(hnsw: Any, allowed: frozenset[str]) -> dict[str, Any]:
    """Return the settings, with keys, types and ranges checked. Keys whose value is None are dropped."""
    if hnsw is None:
        return {}
    if not isinstance(hnsw, Mapping):
        raise InvalidTypeError(f"Expected configuration['hnsw'] to be a dict, got {shown(hnsw)}")
    checked = {}
    for key, value in hnsw.items():
        if key not in allowed:
            raise InvalidArgumentError(
                f"unknown key {key!r} in configuration['hnsw']; allowed are {', '.join(sorted(allowed))}"
            )
        if value is not None:
            checked[key] = _checked_value(key, value, f"configuration['hnsw'][{key!r}]")
    return checked


def _checked_value(key: str, value: Any, argument: str) -> Any:
    if key == "space":
        if value not in SPACES:
            raise InvalidArgumentError(f"{argument} is {shown(value)}: expected one of {', '.join(SPACES)}")
        return str.__str__(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # the value is a NumPy scalar
    kind = (int, float) if key == "resize_factor" else (int,)
    if isinstance(value, bool) or not isinstance(value, kind):
        expected = "a number" if key == "resize_factor" else "an int"
        raise InvalidTypeError(f"{argument} is {shown(value)}: expected {expected}")
    low, high = RANGES[key]
    if not low <= value <= high:
        raise InvalidArgumentError(f"{argument} is {value}: expected {low} to {high}")
    return float(value) if key == "resize_factor" else int(value)


def _from_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings in the `hnsw:*` keys of the collection's metadata, the old form."""
    settings = {}
    for key, value in (metadata or {}).items():
        if key in _METADATA_KEYS:
            setting = _METADATA_KEYS[key]
            settings[setting] = _checked_value(setting, value, f"metadata[{key!r}]")
        elif key.startswith("hnsw:"):
            warnings.warn(
                f"metadata[{key!r}] sets nothing; known are {', '.join(_METADATA_KEYS)}",
                UserWarning,
                stacklevel=5,
            )
    return settings


def _preferred_space(function: EmbeddingFunction[Any] | None) -> str | None:
    preferred = getattr(function, "default_space", None)
    return (
        None
        if preferred is None
        else str(_checked_value("space", preferred(), "embedding_function.default_space()"))
    )


def _warn_unsupported(space: str, function: EmbeddingFunction[Any] | None) -> None:
    supported = getattr(function, "supported_spaces", None)
    if supported is not None and space not in supported():
        warnings.warn(
            f"the distance {space!r} is not among those that the embedding function supports: {supported()}",
            UserWarning,
            stacklevel=5,
        )
