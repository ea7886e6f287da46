"""Checks on the arguments of reads: orders, read levels and query inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .columns import as_list, check_texts, shown
from .errors import InvalidArgumentError, InvalidTypeError
from .records import check_images
from .storage.types import Floats
from .types import ReadLevel


def check_order(order_by: Any) -> list[tuple[str, bool]]:
    """(metadata key, descending) pairs from "key", "-key" or a list of them."""
    keys = as_list(order_by)
    if not keys:
        raise InvalidArgumentError("Expected order_by to name at least one metadata key, got []")
    order = []
    for key in keys:
        if not isinstance(key, str):
            raise InvalidTypeError(f"Expected order_by to be a str or a list of str, got {shown(key)}")
        name = key.removeprefix("-")
        if not name or name.startswith("#"):
            raise InvalidArgumentError(f"Expected order_by to name a metadata key, got {key!r}")
        order.append((name, key.startswith("-")))
    return order


def given_filter(where: Any) -> Any:
    """None for an empty filter, which reads take for none; anything else goes to the engine."""
    return None if isinstance(where, Mapping) and not where else where


def check_read_level(level: Any, argument: str = "read_level") -> ReadLevel:
    """A ReadLevel, or its text."""
    try:
        return ReadLevel(level)
    except ValueError:
        levels = ", ".join(repr(level.value) for level in ReadLevel)
        raise InvalidArgumentError(f"Expected {argument} to be one of {levels}, got {shown(level)}") from None


def read_query_inputs(texts: Any, images: Any, uris: Any) -> dict[str, Sequence[Any]]:
    """The query columns that are given, checked, by the name of their argument."""
    inputs: dict[str, Sequence[Any]] = {}
    if texts is not None:
        inputs["query_texts"] = check_texts(texts, "document", "query_texts", allow_none=False)
    if images is not None:
        inputs["query_images"] = check_images(images)
    if uris is not None:
        inputs["query_uris"] = check_texts(uris, "uri", "query_uris", allow_none=False)
    return inputs


def only_input(inputs: Mapping[str, Sequence[Any]]) -> tuple[str, Sequence[Any]]:
    """The one column to embed."""
    if not inputs:
        raise InvalidArgumentError(
            "At least one of one of embeddings, documents, images, uris must be provided: pass "
            "query_embeddings, query_texts, query_images or query_uris"
        )
    if len(inputs) > 1:
        raise InvalidArgumentError(f"Exactly one of {', '.join(inputs)} can be embedded; pass one of them")
    return next(iter(inputs.items()))


def check_same_length(vectors: Floats, inputs: Mapping[str, Sequence[Any]]) -> None:
    """Inputs beside query embeddings must be as many as these; they are not embedded."""
    for argument, column in inputs.items():
        if len(column) != len(vectors):
            raise InvalidArgumentError(
                f"Unequal lengths for fields: query_embeddings: {len(vectors)}, {argument}: {len(column)}; "
                "give one entry per query"
            )
