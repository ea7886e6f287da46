"""A tiny deterministic embedding function, so that no test needs a model."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

import chroma

DIM = 4


def vector_of(text: str, dim: int = DIM) -> list[float]:
    """A vector that only depends on the text: equal texts get equal vectors."""
    digest = hashlib.sha256(text.encode()).digest()
    return [(byte - 128) / 64 for byte in digest[:dim]]


class HashEmbedding(chroma.EmbeddingFunction[Any]):
    """Embeds a text as bytes of its hash. `calls` records every batch it was given."""

    def __init__(self, dim: int = DIM) -> None:
        self.dim = dim
        self.calls: list[list[str]] = []

    def __call__(self, input: Any) -> Any:
        self.calls.append(list(input))
        return [np.array(vector_of(text, self.dim), dtype=np.float32) for text in input]

    @staticmethod
    def name() -> str:
        return "tests_hash"

    def get_config(self) -> dict[str, Any]:
        return {"dim": self.dim}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> HashEmbedding:
        return HashEmbedding(config["dim"])


class OtherEmbedding(HashEmbedding):
    """The same numbers under another name, to provoke conflicts."""

    @staticmethod
    def name() -> str:
        return "tests_other"

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> OtherEmbedding:
        return OtherEmbedding(config["dim"])


class CosineEmbedding(HashEmbedding):
    """Prefers cosine, and embeds queries reversed, so that the two paths can be told apart."""

    def embed_query(self, input: Any) -> Any:
        return [np.array(vector_of(text[::-1], self.dim), dtype=np.float32) for text in input]

    @staticmethod
    def name() -> str:
        return "tests_cosine"

    def default_space(self) -> Any:
        return "cosine"

    def supported_spaces(self) -> Any:
        return ["cosine", "l2", "ip"]

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> CosineEmbedding:
        return CosineEmbedding(config["dim"])
