"""Embedding functions: the protocol, the registry, the default model, and the functions of providers.

Importing this package loads only the standard library. A model loads at its first call. A provider's
function is imported when its name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.protocol import EmbeddingFunction, Space, check_signature, is_persistable, normalise
from .core.sparse import SparseEmbeddingFunction
from .minilm.default import DefaultEmbeddingFunction
from .minilm.function import ONNXMiniLM_L6_V2
from .registry import (
    config_to_embedding_function,
    embedding_function_to_config,
    get_builtins,
    known_embedding_functions,
    register_embedding_function,
    register_sparse_embedding_function,
    sparse_known_embedding_functions,
)

if TYPE_CHECKING:
    from .providers.baseten import BasetenEmbeddingFunction
    from .providers.bedrock import AmazonBedrockEmbeddingFunction
    from .providers.callable_function import CallableEmbeddingFunction
    from .providers.chroma_bm25 import ChromaBm25EmbeddingFunction
    from .providers.chroma_cloud import ChromaCloudQwenEmbeddingFunction, ChromaCloudSpladeEmbeddingFunction
    from .providers.cloudflare import CloudflareWorkersAIEmbeddingFunction
    from .providers.cohere import CohereEmbeddingFunction
    from .providers.fastembed_sparse import Bm25EmbeddingFunction, FastembedSparseEmbeddingFunction
    from .providers.google import (
        GoogleGeminiEmbeddingFunction,
        GoogleGenaiEmbeddingFunction,
        GoogleGenerativeAiEmbeddingFunction,
    )
    from .providers.google_palm import GooglePalmEmbeddingFunction
    from .providers.google_vertex import GoogleVertexEmbeddingFunction
    from .providers.huggingface import HuggingFaceEmbeddingFunction, HuggingFaceEmbeddingServer
    from .providers.huggingface_sparse import HuggingFaceSparseEmbeddingFunction
    from .providers.instructor import InstructorEmbeddingFunction
    from .providers.jina import JinaEmbeddingFunction, JinaQueryConfig
    from .providers.langchain import ChromaLangchainEmbeddingFunction, create_langchain_embedding
    from .providers.mistral import MistralEmbeddingFunction
    from .providers.morph import MorphEmbeddingFunction
    from .providers.nomic import NomicEmbeddingFunction, NomicQueryConfig
    from .providers.ollama import OllamaEmbeddingFunction
    from .providers.open_clip import OpenCLIPEmbeddingFunction
    from .providers.openai import OpenAIEmbeddingFunction
    from .providers.perplexity import PerplexityEmbeddingFunction
    from .providers.roboflow import RoboflowEmbeddingFunction
    from .providers.sentence_transformers import SentenceTransformerEmbeddingFunction
    from .providers.text2vec import Text2VecEmbeddingFunction
    from .providers.together import TogetherAIEmbeddingFunction
    from .providers.voyage import VoyageAIEmbeddingFunction

_LAZY = {
    "AmazonBedrockEmbeddingFunction": "providers.bedrock",
    "BasetenEmbeddingFunction": "providers.baseten",
    "Bm25EmbeddingFunction": "providers.fastembed_sparse",
    "CallableEmbeddingFunction": "providers.callable_function",
    "ChromaBm25EmbeddingFunction": "providers.chroma_bm25",
    "ChromaCloudQwenEmbeddingFunction": "providers.chroma_cloud",
    "ChromaCloudSpladeEmbeddingFunction": "providers.chroma_cloud",
    "ChromaLangchainEmbeddingFunction": "providers.langchain",
    "CloudflareWorkersAIEmbeddingFunction": "providers.cloudflare",
    "CohereEmbeddingFunction": "providers.cohere",
    "FastembedSparseEmbeddingFunction": "providers.fastembed_sparse",
    "GoogleGeminiEmbeddingFunction": "providers.google",
    "GoogleGenaiEmbeddingFunction": "providers.google",
    "GoogleGenerativeAiEmbeddingFunction": "providers.google",
    "GooglePalmEmbeddingFunction": "providers.google_palm",
    "GoogleVertexEmbeddingFunction": "providers.google_vertex",
    "HuggingFaceEmbeddingFunction": "providers.huggingface",
    "HuggingFaceEmbeddingServer": "providers.huggingface",
    "HuggingFaceSparseEmbeddingFunction": "providers.huggingface_sparse",
    "InstructorEmbeddingFunction": "providers.instructor",
    "JinaEmbeddingFunction": "providers.jina",
    "JinaQueryConfig": "providers.jina",
    "MistralEmbeddingFunction": "providers.mistral",
    "MorphEmbeddingFunction": "providers.morph",
    "NomicEmbeddingFunction": "providers.nomic",
    "NomicQueryConfig": "providers.nomic",
    "OllamaEmbeddingFunction": "providers.ollama",
    "OpenAIEmbeddingFunction": "providers.openai",
    "OpenCLIPEmbeddingFunction": "providers.open_clip",
    "PerplexityEmbeddingFunction": "providers.perplexity",
    "RoboflowEmbeddingFunction": "providers.roboflow",
    "SentenceTransformerEmbeddingFunction": "providers.sentence_transformers",
    "Text2VecEmbeddingFunction": "providers.text2vec",
    "TogetherAIEmbeddingFunction": "providers.together",
    "VoyageAIEmbeddingFunction": "providers.voyage",
    "create_langchain_embedding": "providers.langchain",
}
# Components of the functions. Pickles refer to them by a name in this package, so that modules may move.
_PARTS = {"Endpoint": "core.http", "Key": "core.api_keys"}

__all__ = [
    "AmazonBedrockEmbeddingFunction",
    "BasetenEmbeddingFunction",
    "Bm25EmbeddingFunction",
    "CallableEmbeddingFunction",
    "ChromaBm25EmbeddingFunction",
    "ChromaCloudQwenEmbeddingFunction",
    "ChromaCloudSpladeEmbeddingFunction",
    "ChromaLangchainEmbeddingFunction",
    "CloudflareWorkersAIEmbeddingFunction",
    "CohereEmbeddingFunction",
    "DefaultEmbeddingFunction",
    "EmbeddingFunction",
    "FastembedSparseEmbeddingFunction",
    "GoogleGeminiEmbeddingFunction",
    "GoogleGenaiEmbeddingFunction",
    "GoogleGenerativeAiEmbeddingFunction",
    "GooglePalmEmbeddingFunction",
    "GoogleVertexEmbeddingFunction",
    "HuggingFaceEmbeddingFunction",
    "HuggingFaceEmbeddingServer",
    "HuggingFaceSparseEmbeddingFunction",
    "InstructorEmbeddingFunction",
    "JinaEmbeddingFunction",
    "JinaQueryConfig",
    "MistralEmbeddingFunction",
    "MorphEmbeddingFunction",
    "NomicEmbeddingFunction",
    "NomicQueryConfig",
    "ONNXMiniLM_L6_V2",
    "OllamaEmbeddingFunction",
    "OpenAIEmbeddingFunction",
    "OpenCLIPEmbeddingFunction",
    "PerplexityEmbeddingFunction",
    "RoboflowEmbeddingFunction",
    "SentenceTransformerEmbeddingFunction",
    "Space",
    "SparseEmbeddingFunction",
    "Text2VecEmbeddingFunction",
    "TogetherAIEmbeddingFunction",
    "VoyageAIEmbeddingFunction",
    "check_signature",
    "config_to_embedding_function",
    "create_langchain_embedding",
    "embedding_function_to_config",
    "get_builtins",
    "is_persistable",
    "known_embedding_functions",
    "normalise",
    "register_embedding_function",
    "register_sparse_embedding_function",
    "sparse_known_embedding_functions",
]


def __getattr__(name: str) -> Any:
    if (module := _LAZY.get(name) or _PARTS.get(name)) is not None:
        return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
