"""crewai_program.py FOLDER HOST PORT: crewAI's knowledge, its client of Chroma, and its embedders."""

from __future__ import annotations

import asyncio
import os
import sys
from types import SimpleNamespace
from typing import Any

folder, host, port = sys.argv[1:]
os.environ |= {"CREWAI_STORAGE_DIR": folder, "CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}

import chromadb  # noqa: E402
import numpy as np  # noqa: E402
from checks import answered_by_us, equal, letters  # noqa: E402
from crewai.knowledge.knowledge import Knowledge  # noqa: E402
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource  # noqa: E402
from crewai.knowledge.storage.knowledge_storage import KnowledgeStorage  # noqa: E402
from crewai.rag.chromadb.client import ChromaDBClient  # noqa: E402
from crewai.rag.chromadb.config import ChromaDBConfig  # noqa: E402
from crewai.rag.config.utils import get_rag_client, set_rag_config  # noqa: E402
from crewai.rag.embeddings.factory import build_embedder  # noqa: E402
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction  # noqa: E402


class Letters(chromadb.EmbeddingFunction[Any], CustomEmbeddingFunction):
    """crewAI wants both classes."""

    def __init__(self) -> None:
        pass

    def __call__(self, input: Any) -> Any:
        return [np.array(letters(text), np.float32) for text in input]


CUSTOM: Any = {"provider": "custom", "config": {"embedding_callable": Letters}}
RECORDS: Any = [
    {"doc_id": "1", "content": "aaa", "metadata": {"n": 1}},
    {"doc_id": "2", "content": "bbb", "metadata": {"n": 2}},
    {"content": "ccc", "metadata": {"m": True}},
]


def contents(found: Any) -> list[str]:
    return [result["content"] for result in found]


def knowledge() -> None:
    sources: list[Any] = [StringKnowledgeSource(content="aaa"), StringKnowledgeSource(content="bbbc")]
    made = Knowledge("notes", sources, CUSTOM)
    made.add_sources()
    made.add_sources()
    equal("Knowledge.query", contents(made.query(["bb"], 1)), ["bbbc"])
    again = KnowledgeStorage(embedder=CUSTOM, collection_name="notes")
    equal("reopened", sorted(contents(again.search(["ab"], score_threshold=0.0))), ["aaa", "bbbc"])
    again.reset()
    equal("reset", made.query(["bb"]), [])


def global_client() -> None:
    set_rag_config(ChromaDBConfig(embedding_function=Letters()))
    storage = KnowledgeStorage(collection_name="shared")
    storage.save(["aaa", "bbb"])
    equal("the global client", contents(storage.search(["a"], limit=1)), ["aaa"])
    equal("get_rag_client", type(get_rag_client()), ChromaDBClient)


def client_tour(where: Any) -> None:
    client = ChromaDBClient(where, Letters())
    client.create_collection(collection_name="crew records")
    client.add_documents(collection_name="crew records", documents=RECORDS)
    client.add_documents(collection_name="crew records", documents=[{"doc_id": "2", "content": "bbbb"}])
    (found,) = client.search(collection_name="crew records", query="b", limit=1)
    equal("add and search", (found["id"], found["content"], found["metadata"]), ("2", "bbbb", {"n": 2}))
    filtered = client.search(
        collection_name="crew records", query="b", metadata_filter={"n": 1}, score_threshold=0
    )
    equal("metadata_filter", contents(filtered), ["aaa"])
    filtered = client.search(
        collection_name="crew records", query="b", where_document={"$contains": "c"}, score_threshold=0
    )
    equal("where_document", contents(filtered), ["ccc"])
    client.get_or_create_collection(collection_name="crew records").delete(ids=["1"])
    equal(
        "score of a threshold",
        client.search(collection_name="crew records", query="a", score_threshold=0.99),
        [],
    )
    client.delete_collection(collection_name="crew records")


async def async_tour() -> None:
    client = ChromaDBClient(await chromadb.AsyncHttpClient(host=host, port=int(port)), Letters())
    storage = KnowledgeStorage(collection_name="async")
    storage._client = client
    await storage.asave(["aaa", "bbb"])
    equal("asave and asearch", contents(await storage.asearch(["b"], limit=1)), ["bbb"])
    await client.aadd_documents(collection_name="knowledge_async", documents=RECORDS)
    found = await client.asearch(collection_name="knowledge_async", query="b", metadata_filter={"n": 2})
    equal("aadd_documents", contents(found), ["bbb"])
    await storage.areset()
    equal("areset", await client.client.count_collections(), 0)


def embedders() -> None:
    """Every provider whose class comes from chromadb is built from crewAI's configuration."""
    key = {"api_key": "k"}
    azure = {**key, "api_base": "https://127.0.0.1", "deployment_id": "d", "api_version": "v"}
    functions: dict[str, tuple[dict[str, Any], str]] = {
        "amazon-bedrock": (
            {"session": SimpleNamespace(client=lambda **kwargs: None)},
            "AmazonBedrockEmbeddingFunction",
        ),
        "azure": (azure, "OpenAIEmbeddingFunction"),
        "cohere": (key, "CohereEmbeddingFunction"),
        "google-generativeai": (key, "GoogleGenerativeAiEmbeddingFunction"),
        "huggingface": (key, "HuggingFaceEmbeddingFunction"),
        "jina": (key, "JinaEmbeddingFunction"),
        "ollama": ({"model_name": "m"}, "OllamaEmbeddingFunction"),
        "onnx": ({}, "ONNXMiniLM_L6_V2"),
        "openai": (key, "OpenAIEmbeddingFunction"),
        "openrouter": (key, "OpenAIEmbeddingFunction"),
        "roboflow": (key, "RoboflowEmbeddingFunction"),
    }
    for provider, (config, name) in functions.items():
        made: Any = build_embedder({"provider": provider, "config": config})
        equal(provider, (type(made).__name__, isinstance(made, chromadb.EmbeddingFunction)), (name, True))
    for provider in ("instructor", "openclip", "text2vec"):
        try:
            build_embedder({"provider": provider, "config": {}})
            sys.exit(f"FAILED {provider} without its package")
        except ValueError as error:
            equal(f"{provider} names its package", "pip install" in str(error), True)
    texts = build_embedder({"provider": "onnx", "config": {}})(["a text"])
    equal("the default model", [len(vector) for vector in texts], [384])


def main() -> None:
    answered_by_us()
    knowledge()
    global_client()
    client_tour(chromadb.PersistentClient(f"{folder}-client"))
    server = chromadb.HttpClient(host=host, port=int(port))
    client_tour(server)
    asyncio.run(async_tour())
    embedders()
    equal("nothing is left", server.count_collections(), 0)
    print("the tour is complete")


if __name__ == "__main__":
    main()
