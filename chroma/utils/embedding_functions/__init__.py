"""Import names of Chroma programs: the functions live in `chroma.embedding`."""

from __future__ import annotations

from ...embedding import (
    DefaultEmbeddingFunction,
    EmbeddingFunction,
    ONNXMiniLM_L6_V2,
    config_to_embedding_function,
    get_builtins,
    known_embedding_functions,
    register_embedding_function,
)

__all__ = [
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "ONNXMiniLM_L6_V2",
    "config_to_embedding_function",
    "get_builtins",
    "known_embedding_functions",
    "register_embedding_function",
]
