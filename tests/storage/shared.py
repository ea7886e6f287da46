"""A collection of some records that several tests share; its fixtures are in conftest.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from chroma.storage.collection import compaction

ROWS = 200


def fill(made: Any, start: int, stop: int) -> None:
    numbers = range(start, stop)
    made.add(
        ids=[f"r{i}" for i in numbers],
        embeddings=np.random.default_rng(start).normal(size=(stop - start, 8)).astype(np.float32),
        documents=[f"text number {i} {'w' * 50}" for i in numbers],
        metadatas=[{"n": i, "kind": "old"} for i in numbers],
    )


def held(made: Any) -> Any:
    return made._backend.engine.collection(made.tenant, made.database, str(made.id))


def flush(made: Any) -> None:
    compaction.compact(held(made).store, everything=False)
