"""Small assertions shared by the suites."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from chroma.errors import InvalidArgumentError


@contextmanager
def refused(*fragments: str, error: type[BaseException] = InvalidArgumentError) -> Iterator[None]:
    """The block raises `error`, whose short message holds every fragment."""
    with pytest.raises(error) as caught:
        yield
    message = str(caught.value)
    missing = [fragment for fragment in fragments if fragment not in message]
    assert not missing, f"{missing} not in {message!r}"
    assert 0 < len(message) < 1500, f"a message of {len(message)} characters"


def fill(collection: Any, n: int, dim: int = 2) -> None:
    """Adds r0 … r<n-1>: vectors on a line, metadata {"n": i}, documents "text <i>"."""
    vectors = np.zeros((n, dim), dtype=np.float32)
    vectors[:, 0] = np.arange(n)
    collection.add(
        ids=[f"r{i}" for i in range(n)],
        embeddings=vectors,
        metadatas=[{"n": i} for i in range(n)],
        documents=[f"text {i}" for i in range(n)],
    )


def float32(values: Any) -> bytes:
    """The exact bits of an array of vectors as float32."""
    return np.asarray(values, dtype=np.float32).tobytes()
