"""Fixtures that several tests of the engine share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chroma

from .shared import ROWS, fill


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    with chroma.PersistentClient(tmp_path / "db") as client:
        yield client


@pytest.fixture
def made(client: Any) -> Any:
    made = client.create_collection("things", embedding_function=None)
    fill(made, 0, ROWS)
    made.compact()
    return made
