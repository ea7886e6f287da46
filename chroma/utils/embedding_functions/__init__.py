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
    config_to_embedding_function,
    get_builtins,
    known_embedding_functions,
    register_embedding_function,
)

if TYPE_CHECKING:
    from ...embedding import (
        AmazonBedrockEmbeddingFunction,
        CallableEmbeddingFunction,
        CohereEmbeddingFunction,
        GoogleGeminiEmbeddingFunction,
        GoogleGenaiEmbeddingFunction,
        GoogleGenerativeAiEmbeddingFunction,
        HuggingFaceEmbeddingFunction,
        HuggingFaceEmbeddingServer,
        JinaEmbeddingFunction,
        JinaQueryConfig,
        MistralEmbeddingFunction,
        OllamaEmbeddingFunction,
        OpenAIEmbeddingFunction,
        SentenceTransformerEmbeddingFunction,
        TogetherAIEmbeddingFunction,
        VoyageAIEmbeddingFunction,
    )

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
    "TogetherAIEmbeddingFunction",
    "VoyageAIEmbeddingFunction",
    "config_to_embedding_function",
    "get_builtins",
    "known_embedding_functions",
    "register_embedding_function",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(embedding, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
