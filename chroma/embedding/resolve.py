"""Determines the embedding function of a collection, and embeds texts with it.

A collection stores one of three forms. None: it has no function. {"type": "legacy"}: its function cannot be
built again. {"type": "known", "name", "config"}: its function can be built from this. A handle keeps the
caller's argument: a function, None, or DEFAULT if the caller passed nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

from ..errors import InvalidArgumentError
from ..storage.interface.values import Floats
from ..validation.vectors import as_matrix
from . import (
    DefaultEmbeddingFunction,
    ONNXMiniLM_L6_V2,
    check_signature,
    config_to_embedding_function,
    embedding_function_to_config,
    is_persistable,
)
from .core.protocol import unwrapped

Stored: TypeAlias = "dict[str, Any] | None"

# The default of every `embedding_function` argument. Only this object means "not given", so it is
# compared by identity. Creating it loads no model.
DEFAULT: Final = DefaultEmbeddingFunction()


def choose(function: Any, configuration: Mapping[str, Any] | None) -> Any:
    """Choose the function for a new collection from the argument and from `configuration`."""
    check(function)
    configured = (
        (configuration or {}).get("embedding_function") if isinstance(configuration, Mapping) else None
    )
    if isinstance(configured, Mapping):  # the stored form, as `configuration_json` shows it
        configured = (
            config_to_embedding_function(dict(configured)) if configured.get("type") == "known" else None
        )
    if configured is None:
        return function
    check(configured)
    if function is DEFAULT or function is None:
        return configured
    if name_of(function) != name_of(configured):
        raise InvalidArgumentError(
            f"Multiple embedding functions provided: {name_of(function)} as embedding_function and "
            f"{name_of(configured)} in configuration; pass one of them"
        )
    return function


def check(function: Any) -> None:
    """Raise InvalidArgumentError for an object that cannot be called as `f(input=…)`."""
    if function is not None and function is not DEFAULT:
        check_signature(function)


def stored_form(function: Any, configuration: Mapping[str, Any] | None) -> Stored:
    """Return the form that the catalog stores. Registers the class, so that this process can rebuild it."""
    if function is None:
        return None if configuration is None else {"type": "legacy"}
    return embedding_function_to_config(function)


def name_of(function: Any) -> str:
    """Return the registered name of a function, else its class name."""
    return type(function).name() if is_persistable(function) else type(function).__name__


def check_conflict(function: Any, stored: Stored) -> None:
    """Raise if `function` differs from the stored function. Warn if only its configuration differs, or if it
    has no name to compare.

    The default function never conflicts, because it also means "not given".
    """
    check(function)
    if function is None or not stored or stored.get("type") != "known":
        return
    if not is_persistable(function):
        warnings.warn(
            f"the collection stores the embedding function {stored['name']!r}, and the one that was passed, "
            f"{type(function).__name__}, is used in its place: vectors of two models cannot be compared. "
            "Pass none to use the stored one",
            UserWarning,
            stacklevel=4,
        )
        return
    name, stored_name = name_of(function), stored["name"]
    if name == stored_name or type(function) is DefaultEmbeddingFunction:
        if name == stored_name and function.get_config() != stored.get("config"):
            warnings.warn(
                f"the embedding function {name!r} is configured as {function.get_config()}, the collection "
                f"stores {stored.get('config')}; the function that was passed is used",
                UserWarning,
                stacklevel=4,
            )
        return
    raise InvalidArgumentError(
        f"Embedding function conflict: new: {name} vs persisted: {stored_name}. Pass the stored function, "
        "or none, to open the collection"
    )


def update_form(function: Any, stored: Stored) -> Stored:
    """Return the form to store after `modify(configuration={"embedding_function": function})`."""
    check_signature(function)
    if stored and stored.get("type") == "known" and is_persistable(function):
        if name_of(function) != stored["name"]:
            raise InvalidArgumentError(
                f"Cannot update the embedding function: incompatible types: {stored['name']} is stored, "
                f"{name_of(function)} was passed; create a new collection and embed its texts again"
            )
        function.validate_config_update(stored.get("config") or {}, function.get_config())
    return embedding_function_to_config(function)


def effective(function: Any, stored: Stored) -> Any:
    """Return the function to use: the handle's own function, else the stored one, else None.

    The default function is the handle's own only if the caller passed it explicitly. Even then, a stored
    function takes precedence over it.
    """
    own = function is not None and function is not DEFAULT
    if own and type(function) is not DefaultEmbeddingFunction:
        return function
    if stored and stored.get("type") == "known":
        if function is DEFAULT and stored["name"] == "default":
            return DEFAULT
        return config_to_embedding_function(stored)
    return function if own else None


def telling_cut_texts(function: Any, stored: Stored) -> Any:
    """Return the function if it tells which texts are longer than its model reads, else None."""
    if function is None or function is DEFAULT:
        known = stored is not None and stored.get("name") in (DEFAULT.name(), ONNXMiniLM_L6_V2.name())
        function = DEFAULT if known and find_spec("tokenizers") is not None else None
    return function if hasattr(function, "are_cut") else None


def required(function: Any, stored: Stored, argument: str) -> Any:
    """Like `effective`, but raises an error with the remedy if there is no function."""
    chosen = effective(function, stored)
    if chosen is None:
        why = (
            "was created with embedding_function=None"
            if stored is None
            else "was created with a function that cannot be rebuilt from its name and configuration"
        )
        raise InvalidArgumentError(
            f"You must provide an embedding function to use {argument}: the collection {why}. Pass vectors, "
            "or open it with get_collection(name, embedding_function=…)"
        )
    return chosen


def embed(function: Any, stored: Stored, argument: str, inputs: Sequence[Any]) -> Floats:
    """Embed documents or images with the function from `required`. Returns float32 (len(inputs), dim)."""
    chosen = required(function, stored, argument)
    return _matrix(chosen(input=list(inputs)), inputs, chosen)


def embed_queries(function: Any, stored: Stored, argument: str, inputs: Sequence[Any]) -> Floats:
    """Embed queries, with `embed_query` if the function has it. Returns float32 (len(inputs), dim)."""
    chosen = required(function, stored, argument)
    return _matrix(getattr(chosen, "embed_query", chosen)(input=list(inputs)), inputs, chosen)


def _matrix(result: Any, inputs: Sequence[Any], function: Any) -> Floats:
    matrix = as_matrix(unwrapped(result, len(inputs)), f"the result of {type(function).__name__}")
    if len(matrix) != len(inputs):
        raise InvalidArgumentError(
            f"the embedding function {type(function).__name__} returned {len(matrix)} vectors "
            f"for {len(inputs)} inputs"
        )
    return matrix
