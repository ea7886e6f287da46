"""Checks of stored configurations by the name of their function, as chromadb's `schemas` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..embedding.registry import known_embedding_functions, sparse_known_embedding_functions
from ..errors import InvalidArgumentError


def get_available_schemas() -> list[str]:
    """Return the names of the functions whose configurations can be checked."""
    return sorted({*known_embedding_functions, *sparse_known_embedding_functions})


def get_embedding_function_names() -> set[str]:
    """Return the names as a set."""
    return set(get_available_schemas())


def validate_config_schema(config: Mapping[str, Any], schema_name: str) -> None:
    """Raise ValueError unless `config` is a configuration of the function `schema_name`."""
    for known in (known_embedding_functions, sparse_known_embedding_functions):
        if schema_name in known:
            known[schema_name].validate_config(dict(config))
            return
    raise InvalidArgumentError(
        f"There is no embedding function {schema_name!r}; known are {', '.join(get_available_schemas())}."
    )
