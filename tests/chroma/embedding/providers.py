"""The wire formats of embedding providers, as their documentation describes them, played by a local server.

Every answer is a function of the texts alone, so that a test knows which vector belongs to which text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import chroma.embedding as embedding
from chroma.embedding.providers import (
    chroma_cloud,
    cloudflare,
    cohere,
    google,
    huggingface,
    jina,
    mistral,
    nomic,
    together,
    voyage,
)
from tests.chroma.http.scripted import Reply, Request

KEY = "sk-secret-0123456789"


def vector(text: str) -> list[float]:
    return [float(len(text)), float(sum(text.encode()) % 1000), 0.25]


@dataclass
class Provider:
    """address  module and constant that hold the provider's address; None: it is an argument
    argument  the argument for the address otherwise
    path      of its requests
    header    what carries the key, and its form
    texts     of a request
    answer    to these texts
    problem   the form of an error with this message
    batch     most texts per request
    config    what the reference system stores for a function with these arguments
    """

    name: str
    class_name: str
    path: str
    texts: Callable[[Any], list[str]]
    answer: Callable[[list[str]], Any]
    problem: Callable[[str], Any]
    batch: int
    config: dict[str, Any]
    variable: str | None
    address: tuple[ModuleType, str, str] | None = None
    argument: str | None = None
    prefix: str = ""  # of the path, in `argument`
    header: tuple[str, str] = ("Authorization", "Bearer {}")
    arguments: dict[str, Any] = field(default_factory=dict)

    def make(self, monkeypatch: Any, port: int, **further: Any) -> Any:
        base = f"http://127.0.0.1:{port}"
        arguments = {**self.arguments, **further}
        if self.address is not None:
            module, constant, path = self.address
            monkeypatch.setattr(module, constant, base + path)
        else:
            assert self.argument is not None
            arguments[self.argument] = base + self.prefix
        return getattr(embedding, self.class_name)(**arguments)

    def reply(self, request: Request) -> Reply:
        """What the provider does: checks path, key and size, and embeds."""
        if request.method != "POST" or request.path != self.path:
            return Reply(404, self.problem(f"no {request.path}"))
        headers = {name.lower(): text for name, text in request.headers.items()}
        name, form = self.header
        if self.variable is not None and headers.get(name.lower()) != form.format(KEY):
            return Reply(401, self.problem(f"Incorrect API key provided: {headers.get(name.lower())}"))
        texts = self.texts(request.body)
        if len(texts) > self.batch:
            return Reply(400, self.problem("too many texts"))
        return Reply(200, self.answer(texts))


def numbered(texts: list[str]) -> Any:
    """The form of OpenAI and its kin; backwards, since the order is in `index`."""
    rows = [
        {"object": "embedding", "index": place, "embedding": vector(text)} for place, text in enumerate(texts)
    ]
    return {"object": "list", "data": rows[::-1], "model": "m", "usage": {"total_tokens": 1}}


def of_openai(message: str) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def of_google(message: str) -> Any:
    return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}


def google_texts(body: Any) -> list[str]:
    assert {request["model"] for request in body["requests"]} == {"models/gemini-embedding-001"}
    return [request["content"]["parts"][0]["text"] for request in body["requests"]]


OPENAI = {
    "api_key_env_var": "CHROMA_OPENAI_API_KEY", "model_name": "m", "organization_id": None, "api_base": None,
    "api_type": None, "api_version": None, "deployment_id": None, "default_headers": None, "dimensions": None,
}  # fmt: skip
GOOGLE = "/v1beta/models/gemini-embedding-001:batchEmbedContents"

QWEN_PROMPT = "Given a question about coding, retrieval code or passage that can solve user's question"

PROVIDERS = [
    Provider(
        "openai", "OpenAIEmbeddingFunction", "/v1/embeddings",
        lambda body: body["input"], numbered, of_openai, 2048, OPENAI, "OPENAI_API_KEY",
        argument="api_base", prefix="/v1", arguments={"model_name": "m"},
    ),
    Provider(
        "openai", "OpenAIEmbeddingFunction", "/openai/deployments/d/embeddings?api-version=2024-02-01",
        lambda body: body["input"], numbered, of_openai, 2048,
        OPENAI | {"api_type": "azure", "api_version": "2024-02-01", "deployment_id": "d"},
        "AZURE_OPENAI_API_KEY", argument="api_base", header=("api-key", "{}"),
        arguments={
            "model_name": "m", "api_type": "azure", "api_version": "2024-02-01", "deployment_id": "d",
        },
    ),
    Provider(
        "ollama", "OllamaEmbeddingFunction", "/api/embed", lambda body: body["input"],
        lambda texts: {"model": "m", "embeddings": [vector(text) for text in texts], "total_duration": 1},
        lambda message: {"error": message}, 64, {"url": "", "model_name": "m", "timeout": 60}, None,
        argument="url", arguments={"model_name": "m"},
    ),
    Provider(
        "huggingface", "HuggingFaceEmbeddingFunction",
        "/hf-inference/models/sentence-transformers/all-MiniLM-L6-v2/pipeline/feature-extraction",
        lambda body: body["inputs"], lambda texts: [vector(text) for text in texts],
        lambda message: {"error": message}, 32,
        {
            "api_key_env_var": "CHROMA_HUGGINGFACE_API_KEY",
            "model_name": "sentence-transformers/all-MiniLM-L6-v2",
        },
        "HF_TOKEN", address=(huggingface, "_ROUTER", "/hf-inference/models"),
    ),
    Provider(
        "huggingface_server", "HuggingFaceEmbeddingServer", "/embed",
        lambda body: body["inputs"], lambda texts: [vector(text) for text in texts],
        lambda message: {"error": message, "error_type": "Validation"}, 32,
        {"url": "", "api_key_env_var": "TEI_KEY"}, "TEI_KEY",
        argument="url", prefix="/embed", arguments={"api_key_env_var": "TEI_KEY"},
    ),
    Provider(
        "cohere", "CohereEmbeddingFunction", "/v2/embed", lambda body: body["texts"],
        lambda texts: {"id": "1", "texts": texts, "embeddings": {"float": [vector(text) for text in texts]}},
        lambda message: {"message": message}, 96,
        {"api_key_env_var": "CHROMA_COHERE_API_KEY", "model_name": "embed-v4.0"}, "COHERE_API_KEY",
        address=(cohere, "_URL", "/v2/embed"), arguments={"model_name": "embed-v4.0"},
    ),
    Provider(
        "google_generative_ai", "GoogleGenerativeAiEmbeddingFunction", GOOGLE, google_texts,
        lambda texts: {"embeddings": [{"values": vector(text)} for text in texts]}, of_google, 100,
        {
            "api_key_env_var": "GEMINI_API_KEY", "model_name": "gemini-embedding-001",
            "task_type": "RETRIEVAL_DOCUMENT",
        },
        "GOOGLE_API_KEY", address=(google, "_BASE", "/v1beta"), header=("x-goog-api-key", "{}"),
    ),
    Provider(
        "google_gemini", "GoogleGeminiEmbeddingFunction", GOOGLE, google_texts,
        lambda texts: {"embeddings": [{"values": vector(text)} for text in texts]}, of_google, 100,
        {
            "model_name": "gemini-embedding-001", "api_key_env_var": "GEMINI_API_KEY", "vertexai": None,
            "project": None, "location": None,
        },
        "GEMINI_API_KEY", address=(google, "_BASE", "/v1beta"), header=("x-goog-api-key", "{}"),
    ),
    Provider(
        "mistral", "MistralEmbeddingFunction", "/v1/embeddings", lambda body: body["input"], numbered,
        lambda message: {"object": "error", "message": message, "type": "invalid_request_error"}, 512,
        {"model": "mistral-embed", "api_key_env_var": "MISTRAL_API_KEY"}, "MISTRAL_API_KEY",
        address=(mistral, "_URL", "/v1/embeddings"), arguments={"model": "mistral-embed"},
    ),
    Provider(
        "voyageai", "VoyageAIEmbeddingFunction", "/v1/embeddings", lambda body: body["input"], numbered,
        lambda message: {"detail": message}, 1000,
        {
            "api_key_env_var": "CHROMA_VOYAGE_API_KEY", "model_name": "voyage-3.5", "input_type": None,
            "truncation": True,
        },
        "VOYAGE_API_KEY", address=(voyage, "_URL", "/v1/embeddings"), arguments={"model_name": "voyage-3.5"},
    ),
    Provider(
        "jina", "JinaEmbeddingFunction", "/v1/embeddings", lambda body: body["input"], numbered,
        lambda message: {"detail": message}, 512,
        {
            "api_key_env_var": "CHROMA_JINA_API_KEY", "model_name": "jina-embeddings-v3", "task": None,
            "late_chunking": None, "truncate": None, "dimensions": None, "embedding_type": None,
            "normalized": None, "query_config": None,
        },
        "JINA_API_KEY", address=(jina, "_URL", "/v1/embeddings"),
        arguments={"model_name": "jina-embeddings-v3"},
    ),
    Provider(
        "together_ai", "TogetherAIEmbeddingFunction", "/v1/embeddings", lambda body: body["input"], numbered,
        of_openai, 256, {"api_key_env_var": "CHROMA_TOGETHER_AI_API_KEY", "model_name": "m"},
        "TOGETHER_API_KEY", address=(together, "_URL", "/v1/embeddings"), arguments={"model_name": "m"},
    ),
    Provider(
        "baseten", "BasetenEmbeddingFunction", "/v1/embeddings", lambda body: body["input"], numbered,
        of_openai, 128, {"api_base": "", "api_key_env_var": "CHROMA_BASETEN_API_KEY"}, "BASETEN_API_KEY",
        argument="api_base", prefix="/v1", arguments={"api_key": None},
    ),
    Provider(
        "morph", "MorphEmbeddingFunction", "/v1/embeddings", lambda body: body["input"], numbered,
        of_openai, 128,
        {
            "api_key_env_var": "MORPH_API_KEY", "model_name": "morph-embedding-v2", "api_base": "",
            "encoding_format": "float",
        },
        "MORPH_API_KEY", argument="api_base", prefix="/v1",
    ),
    Provider(
        "cloudflare_workers_ai", "CloudflareWorkersAIEmbeddingFunction",
        "/accounts/acc/ai/run/@cf/baai/bge-base-en-v1.5", lambda body: body["text"],
        lambda texts: {"result": {"data": [vector(text) for text in texts]}, "success": True},
        lambda message: {"success": False, "errors": [{"code": 7, "message": message}]}, 100,
        {
            "api_key_env_var": "CHROMA_CLOUDFLARE_API_KEY", "model_name": "@cf/baai/bge-base-en-v1.5",
            "account_id": "acc", "gateway_id": None,
        },
        "CLOUDFLARE_API_KEY", address=(cloudflare, "BASE_URL", "/accounts"),
        arguments={"model_name": "@cf/baai/bge-base-en-v1.5", "account_id": "acc"},
    ),
    Provider(
        "nomic", "NomicEmbeddingFunction", "/v1/embedding/text", lambda body: body["texts"],
        lambda texts: {"embeddings": [vector(text) for text in texts], "model": "m"},
        lambda message: {"detail": message}, 256,
        {
            "model": "nomic-embed-text-v1.5", "api_key_env_var": "NOMIC_API_KEY",
            "task_type": "search_document", "query_config": {"task_type": "search_query"},
        },
        "NOMIC_API_KEY", address=(nomic, "_URL", "/v1/embedding/text"),
        arguments={
            "model": "nomic-embed-text-v1.5", "task_type": "search_document",
            "query_config": {"task_type": "search_query"},
        },
    ),
    Provider(
        "chroma-cloud-qwen", "ChromaCloudQwenEmbeddingFunction", "/", lambda body: body["texts"],
        lambda texts: {"embeddings": [vector(text) for text in texts]},
        lambda message: {"error": message}, 100,
        {
            "api_key_env_var": "CHROMA_API_KEY", "model": "Qwen/Qwen3-Embedding-0.6B", "task": "nl_to_code",
            "instructions": {"nl_to_code": {"documents": "", "query": QWEN_PROMPT}},
        },
        "CHROMA_API_KEY", address=(chroma_cloud, "DEFAULT_CHROMA_EMBED_URL", "/"),
        header=("x-chroma-token", "{}"),
        arguments={"model": "Qwen/Qwen3-Embedding-0.6B", "task": "nl_to_code"},
    ),
    Provider(
        "roboflow", "RoboflowEmbeddingFunction", "/clip/embed_text", lambda body: body["text"],
        lambda texts: {"embeddings": [vector(text) for text in texts], "time": 0.1},
        lambda message: {"message": message}, 32,
        {"api_key_env_var": "CHROMA_ROBOFLOW_API_KEY", "api_url": ""}, "ROBOFLOW_API_KEY",
        argument="api_url",
    ),
]  # fmt: skip

VARIABLES = {
    name for provider in PROVIDERS for name in (provider.variable, provider.config.get("api_key_env_var"))
}
VARIABLES |= {"CHROMA_EMBED_URL", "PERPLEXITY_API_KEY", "CHROMA_GOOGLE_PALM_API_KEY"}
VARIABLES |= {"HUGGINGFACE_API_KEY", "CO_API_KEY", "OPENAI_BASE_URL", "CHROMA_EMBEDDING_HOSTS"}
