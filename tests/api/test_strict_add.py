"""Strict add: an id that is stored already is an error, not a silence."""

from __future__ import annotations

from typing import Any

from chroma.errors import IDAlreadyExistsError

from ..support.checks import refused
from ..support.tiny_embedding import HashEmbedding


def test_new_ids_are_added(collection: Any) -> None:
    collection.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], strict=True)
    assert collection.count() == 2


def test_a_stored_id_is_refused_and_nothing_is_written(collection: Any) -> None:
    """Edge 5."""
    collection.add(ids=["known"], embeddings=[[1, 2]])
    with refused("known", error=IDAlreadyExistsError):
        collection.add(ids=["new", "known"], embeddings=[[3, 4], [5, 6]], strict=True)
    assert collection.get()["ids"] == ["known"]


def test_nothing_is_embedded_for_a_refused_call(collection: Any, embed: HashEmbedding) -> None:
    """Edge 5."""
    collection.add(ids=["known"], documents=["first"])
    with refused("known", error=IDAlreadyExistsError):
        collection.add(ids=["new", "known"], documents=["x", "y"], strict=True)
    assert embed.calls == [["first"]]


def test_a_deleted_id_is_new_again(collection: Any) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]])
    collection.delete(ids=["a"])
    collection.add(ids=["a"], embeddings=[[1, 2]], strict=True)
    assert collection.count() == 1
