"""Embedding functions: the protocol, the registry and the default model.

Importing this loads the standard library only; a model loads at its first call.
"""

from __future__ import annotations

from .default import DefaultEmbeddingFunction
from .onnx_minilm import ONNXMiniLM_L6_V2
from .protocol import EmbeddingFunction, Space, check_signature, is_persistable, normalise
from .registry import (
    config_to_embedding_function,
    embedding_function_to_config,
    get_builtins,
    known_embedding_functions,
    register_embedding_function,
)

__all__ = [
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "ONNXMiniLM_L6_V2",
    "Space",
    "check_signature",
    "config_to_embedding_function",
    "embedding_function_to_config",
    "get_builtins",
    "is_persistable",
    "known_embedding_functions",
    "normalise",
    "register_embedding_function",
]
