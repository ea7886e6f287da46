"""Embedding functions: the protocol, the registry, the default model, and the functions of providers.

Importing this package loads only the standard library. A model loads at its first call. A provider's
function is imported when its name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.protocol import EmbeddingFunction, Space, check_signature, is_persistable, normalise
from .minilm.default import DefaultEmbeddingFunction
from .minilm.function import ONNXMiniLM_L6_V2
from .registry import (
    config_to_embedding_function,
    embedding_function_to_config,
    get_builtins,
    known_embedding_functions,
    register_embedding_function,
)

if TYPE_CHECKING:
    from .providers.bedrock import AmazonBedrockEmbeddingFunction
    from .providers.callable_function import CallableEmbeddingFunction
    from .providers.cohere import CohereEmbeddingFunction
    from .providers.google import (
        GoogleGeminiEmbeddingFunction,
        GoogleGenaiEmbeddingFunction,
        GoogleGenerativeAiEmbeddingFunction,
    )
    from .providers.huggingface import HuggingFaceEmbeddingFunction, HuggingFaceEmbeddingServer
    from .providers.jina import JinaEmbeddingFunction, JinaQueryConfig
    from .providers.mistral import MistralEmbeddingFunction
    from .providers.ollama import OllamaEmbeddingFunction
    from .providers.openai import OpenAIEmbeddingFunction
    from .providers.sentence_transformers import SentenceTransformerEmbeddingFunction
    from .providers.together import TogetherAIEmbeddingFunction
    from .providers.voyage import VoyageAIEmbeddingFunction

_LAZY = {
    "AmazonBedrockEmbeddingFunction": "providers.bedrock",
    "CallableEmbeddingFunction": "providers.callable_function",
    "CohereEmbeddingFunction": "providers.cohere",
    "GoogleGeminiEmbeddingFunction": "providers.google",
    "GoogleGenaiEmbeddingFunction": "providers.google",
    "GoogleGenerativeAiEmbeddingFunction": "providers.google",
    "HuggingFaceEmbeddingFunction": "providers.huggingface",
    "HuggingFaceEmbeddingServer": "providers.huggingface",
    "JinaEmbeddingFunction": "providers.jina",
    "JinaQueryConfig": "providers.jina",
    "MistralEmbeddingFunction": "providers.mistral",
    "OllamaEmbeddingFunction": "providers.ollama",
    "OpenAIEmbeddingFunction": "providers.openai",
    "SentenceTransformerEmbeddingFunction": "providers.sentence_transformers",
    "TogetherAIEmbeddingFunction": "providers.together",
    "VoyageAIEmbeddingFunction": "providers.voyage",
}
# Components of the functions. Pickles refer to them by a name in this package, so that modules may move.
_PARTS = {"Endpoint": "core.http", "Key": "core.api_keys"}

__all__ = [
    "AmazonBedrockEmbeddingFunction",
    "CallableEmbeddingFunction",
    "CohereEmbeddingFunction",
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "GoogleGeminiEmbeddingFunction",
    "GoogleGenaiEmbeddingFunction",
    "GoogleGenerativeAiEmbeddingFunction",
    "HuggingFaceEmbeddingFunction",
    "HuggingFaceEmbeddingServer",
    "JinaEmbeddingFunction",
    "JinaQueryConfig",
    "MistralEmbeddingFunction",
    "ONNXMiniLM_L6_V2",
    "OllamaEmbeddingFunction",
    "OpenAIEmbeddingFunction",
    "SentenceTransformerEmbeddingFunction",
    "Space",
    "TogetherAIEmbeddingFunction",
    "VoyageAIEmbeddingFunction",
    "check_signature",
    "config_to_embedding_function",
    "embedding_function_to_config",
    "get_builtins",
    "is_persistable",
    "known_embedding_functions",
    "normalise",
    "register_embedding_function",
]


def __getattr__(name: str) -> Any:
    if (module := _LAZY.get(name) or _PARTS.get(name)) is not None:
        return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
