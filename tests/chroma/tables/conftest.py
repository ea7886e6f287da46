"""A client for what is the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import chroma


@pytest.fixture
def store() -> Iterator[Any]:
    """An empty store in memory."""
    with chroma.EphemeralClient(private=True) as client:
        yield client


@pytest.fixture
def plain(store: Any) -> Any:
    """An empty collection that takes vectors only."""
    return store.create_collection("plain", embedding_function=None)
