"""Import paths for programs written for Chroma. The functions are defined in `chroma.embedding`.

A provider's function is imported when its name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import embedding
from ...embedding import (
    DefaultEmbeddingFunction,
    EmbeddingFunction,
    ONNXMiniLM_L6_V2,
    SparseEmbeddingFunction,
    config_to_embedding_function,
    get_builtins,
    known_embedding_functions,
    register_embedding_function,
    register_sparse_embedding_function,
    sparse_known_embedding_functions,
)

if TYPE_CHECKING:
    from ...embedding import (
        AmazonBedrockEmbeddingFunction,
        BasetenEmbeddingFunction,
        Bm25EmbeddingFunction,
        CallableEmbeddingFunction,
        ChromaBm25EmbeddingFunction,
        ChromaCloudQwenEmbeddingFunction,
        ChromaCloudSpladeEmbeddingFunction,
        ChromaLangchainEmbeddingFunction,
        CloudflareWorkersAIEmbeddingFunction,
        CohereEmbeddingFunction,
        FastembedSparseEmbeddingFunction,
        GoogleGeminiEmbeddingFunction,
        GoogleGenaiEmbeddingFunction,
        GoogleGenerativeAiEmbeddingFunction,
        GooglePalmEmbeddingFunction,
        GoogleVertexEmbeddingFunction,
        HuggingFaceEmbeddingFunction,
        HuggingFaceEmbeddingServer,
        HuggingFaceSparseEmbeddingFunction,
        InstructorEmbeddingFunction,
        JinaEmbeddingFunction,
        JinaQueryConfig,
        MistralEmbeddingFunction,
        MorphEmbeddingFunction,
        NomicEmbeddingFunction,
        NomicQueryConfig,
        OllamaEmbeddingFunction,
        OpenAIEmbeddingFunction,
        OpenCLIPEmbeddingFunction,
        PerplexityEmbeddingFunction,
        RoboflowEmbeddingFunction,
        SentenceTransformerEmbeddingFunction,
        Text2VecEmbeddingFunction,
        TogetherAIEmbeddingFunction,
        VoyageAIEmbeddingFunction,
        create_langchain_embedding,
    )

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
    "SparseEmbeddingFunction",
    "Text2VecEmbeddingFunction",
    "TogetherAIEmbeddingFunction",
    "VoyageAIEmbeddingFunction",
    "config_to_embedding_function",
    "create_langchain_embedding",
    "get_builtins",
    "known_embedding_functions",
    "register_embedding_function",
    "register_sparse_embedding_function",
    "sparse_known_embedding_functions",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(embedding, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
