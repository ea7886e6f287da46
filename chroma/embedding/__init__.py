"""Embedding functions: the protocol, the registry, the default model, and those of providers.

Importing this loads the standard library only. A model loads at its first call; the functions of
providers are imported when they are named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from .bedrock import AmazonBedrockEmbeddingFunction
    from .cohere import CohereEmbeddingFunction
    from .google import (
        GoogleGeminiEmbeddingFunction,
        GoogleGenaiEmbeddingFunction,
        GoogleGenerativeAiEmbeddingFunction,
    )
    from .huggingface import HuggingFaceEmbeddingFunction, HuggingFaceEmbeddingServer
    from .jina import JinaEmbeddingFunction, JinaQueryConfig
    from .mistral import MistralEmbeddingFunction
    from .ollama import OllamaEmbeddingFunction
    from .openai import OpenAIEmbeddingFunction
    from .sentence_transformers import SentenceTransformerEmbeddingFunction
    from .together import TogetherAIEmbeddingFunction
    from .voyage import VoyageAIEmbeddingFunction
    from .wrapper import CallableEmbeddingFunction

_LAZY = {
    "AmazonBedrockEmbeddingFunction": "bedrock",
    "CallableEmbeddingFunction": "wrapper",
    "CohereEmbeddingFunction": "cohere",
    "GoogleGeminiEmbeddingFunction": "google",
    "GoogleGenaiEmbeddingFunction": "google",
    "GoogleGenerativeAiEmbeddingFunction": "google",
    "HuggingFaceEmbeddingFunction": "huggingface",
    "HuggingFaceEmbeddingServer": "huggingface",
    "JinaEmbeddingFunction": "jina",
    "JinaQueryConfig": "jina",
    "MistralEmbeddingFunction": "mistral",
    "OllamaEmbeddingFunction": "ollama",
    "OpenAIEmbeddingFunction": "openai",
    "SentenceTransformerEmbeddingFunction": "sentence_transformers",
    "TogetherAIEmbeddingFunction": "together",
    "VoyageAIEmbeddingFunction": "voyage",
}
# Parts of the functions. Their pickles name them here, so that modules may move.
_PARTS = {"Endpoint": "post", "Key": "keys"}

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
