"""The rules for the JSON form of a schema with which a collection is created.

Owns: the keys for which each index may be on, and the allowed settings of vectors and sparse vectors. The
shape is checked before, by `storage.interface.schema.misfit`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InvalidArgumentError
from ..storage.interface.schema import DOCUMENT, EMBEDDING, FULL_TEXT, INDEXES, INVERTED, SPARSE, VECTOR


def check_rules(schema: Mapping[str, Any]) -> None:
    """Raise InvalidArgumentError for a schema of the right shape that no collection can have."""
    why = next(_breaches(schema), None)
    if why is not None:
        raise InvalidArgumentError(f"Validation error: schema: {why}")


def _breaches(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("cmek") is not None:
        yield (
            "cmek is an encryption key of the hosted service, and collections here are not encrypted: "
            "encrypt the disk that the database is on, and leave cmek out"
        )
    defaults = schema["defaults"]
    if _on(defaults, "string", FULL_TEXT):
        yield f"Full-text index cannot be enabled by default. It can only be enabled on {DOCUMENT} field"
    if _on(defaults, "sparse_vector", SPARSE):
        yield "Sparse vector index cannot be enabled by default. Please enable it on specific keys"
    if _on(defaults, "float_list", VECTOR):
        yield f"Vector index cannot be enabled by default. It can only be enabled on {EMBEDDING} field"
    yield from _of_settings(defaults)
    for key, values in schema["keys"].items():
        yield from _of_key(key, values)
        yield from _of_settings(values)


def _of_key(key: str, values: Mapping[str, Any]) -> Iterator[str]:
    others = {kind for kind in INDEXES if values.get(kind) is not None}
    if key == DOCUMENT:
        if others - {"string"}:
            yield f"Document field cannot have any value types other than string: {key}"
        if _on(values, "string", INVERTED["string"]):
            yield f"String inverted index can not be enabled on {DOCUMENT} key: {key}"
    elif key == EMBEDDING:
        if others - {"float_list"}:
            yield f"Embedding field cannot have any value types other than float_list: {key}"
        source = (_config(values, "float_list", VECTOR) or {}).get("source_key")
        if source not in (None, DOCUMENT):
            yield f"Vector index can only source from {DOCUMENT}, got {source!r}"
    elif key.startswith("#"):
        yield f"key cannot begin with '#'. Keys starting with '#' are reserved for system use: {key}"
    else:
        if _on(values, "string", FULL_TEXT):
            yield f"Full-text index can only be enabled on {DOCUMENT} field: {key}"
        if _on(values, "float_list", VECTOR):
            yield f"Vector index can only be enabled on {EMBEDDING} field: {key}"


def _of_settings(values: Mapping[str, Any]) -> Iterator[str]:
    vectors = _config(values, "float_list", VECTOR) or {}
    if vectors.get("hnsw") is not None and vectors.get("spann") is not None:
        yield "Both spann and hnsw config cannot be present at the same time"
    sparse = _config(values, "sparse_vector", SPARSE) or {}
    source = sparse.get("source_key")
    if source is None:
        return
    if source.startswith("#") and source != DOCUMENT:
        yield (
            f"source_key cannot begin with '#', got {source!r}. The only valid key starting with '#' is "
            f"Key.DOCUMENT or {DOCUMENT!r}"
        )
    if sparse.get("embedding_function") is None:
        yield (
            "If source_key is provided then embedding_function must also be provided since there is no "
            f"default embedding function: the texts of {source!r} would not be embedded"
        )


def _on(values: Mapping[str, Any], kind: str, index: str) -> bool:
    found = (values.get(kind) or {}).get(index)
    return found is not None and bool(found["enabled"])


def _config(values: Mapping[str, Any], kind: str, index: str) -> Mapping[str, Any] | None:
    found = (values.get(kind) or {}).get(index)
    return None if found is None else found["config"]
