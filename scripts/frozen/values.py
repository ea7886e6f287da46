"""One instance of every public class that can be pickled."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np

import chroma
from chroma import errors, types
from chroma.utils import embedding_functions

# the components of a `describe` result
KEY = chroma.KeySummary("n", {"int": 2}, 2, 1.0, 2, True, 1, 2, 1, 1)
MOVED = chroma.MovedCollection("t", "d", "n", "i", 3, ("x",))
TEXTS = chroma.TextSummary(2, 1.0, 3, 4.0, 5)

MEASURED = {"ndcg": 1.0, "mrr": 1.0, "recall": 0.5, "precision": 0.1, "map": 0.5}
GROUP = chroma.GroupBy(["kind"], chroma.MaxK("#score", 2))
NEAR = chroma.Knn([1.0, 2.0], limit=5, return_rank=True)

VALUES: dict[str, Any] = {
    "BackupReport": chroma.BackupReport("/backup", 1, 2, 3, 4, 5, 6, 0.5),
    "Chunk": chroma.Chunk("a text", 1, 2, 3, 9),
    "CollectionModel": types.CollectionModel(uuid.UUID(int=7), "n", {"hnsw": {}}, {"a": 1}, 2, "t", "d"),
    "CollectionSnapshot": chroma.CollectionSnapshot("before", "2026-11-30T16:46:00Z", 3, "i"),
    "ConsoleLink": chroma.ConsoleLink("http://127.0.0.1:8000/console/"),
    "EfRecall": chroma.EfRecall(64, 0.95, 0.5, 30.0),
    "CollectionStats": chroma.CollectionStats(1, 2, 3, 4, 5, 6, 7, {"log": 8}),
    "CopyReport": chroma.CopyReport("a", "b", 3, "copied"),
    "Description": chroma.Description("things", 2, (KEY,), TEXTS, TEXTS),
    "Evaluation": chroma.Evaluation(
        10, {"query": MEASURED}, {"query": {"q": MEASURED}}, {"query": {"q": ["a"]}}
    ),
    "Explanation": chroma.Explanation(
        (
            chroma.PartExplanation(
                0, "seg-1", 100, 60, True, (chroma.PlanRun({"name": "ScanAllowed"}, 2, 120, 0),)
            ),
        ),
        {"filter": 0.001, "search": 0.002, "merge": 0.0005, "read": None},
    ),
    "ExportReport": chroma.ExportReport("things", 2, ("a.parquet",), 100, 0.5),
    "FacetResult": chroma.FacetResult(
        kind={"values": [{"value": "a", "count": 2}], "distinct": 1, "records": 2}
    ),
    "Vectors": chroma.Vectors(["a"], np.zeros((1, 1), np.float32)),
    "WriteReport": chroma.WriteReport(added=2, skipped=1),
    "GetResult": chroma.GetResult(ids=["a"], embeddings=None, documents=["x"], included=["documents"]),
    "GroupBy": GROUP,
    "Identity": chroma.Identity("me", "t", ["d"], {"team": "blue"}),
    "IndexingStatus": types.IndexingStatus(1, 2, 3, 0.25),
    "K": chroma.K("kind"),
    "Key": chroma.Key("kind"),
    "Knn": NEAR,
    "Limit": chroma.Limit(2, 3),
    "LoadReport": chroma.LoadReport("things", 9, 1, 2, 3, 4, 5, 0.5, "rejects.jsonl"),
    "MaxK": chroma.MaxK(["n", "#score"], 3),
    "MigrationReport": chroma.MigrationReport(
        "a", "b", [chroma.MovedCollection("t", "d", "n", "i", 3, ("x",))]
    ),
    "MinK": chroma.MinK("n"),
    "QueryResult": chroma.QueryResult(ids=[["a"]], distances=[[0.5]], included=["distances"]),
    "ReadLevel": chroma.ReadLevel.INDEX_ONLY,
    "Rrf": chroma.Rrf([NEAR, chroma.Val(1)], weights=[1, 2]),
    "Search": chroma.Search(chroma.K("n") > 1, NEAR * 2 + 1, GROUP, 3, ["#score"]),
    "SearchResult": chroma.SearchResult(ids=[["a"]], scores=[[0.5]], select=[["#score"]]),
    "Select": chroma.Select(["#score", "n"]),
    "SparseVector": chroma.SparseVector([1, 5], [0.5, 2.0], ["a", "b"]),
    "BoolInvertedIndexConfig": chroma.BoolInvertedIndexConfig(),
    "Cmek": chroma.Cmek.gcp("projects/a/locations/b/keyRings/c/cryptoKeys/d"),
    "FloatInvertedIndexConfig": chroma.FloatInvertedIndexConfig(),
    "FtsIndexConfig": chroma.FtsIndexConfig(),
    "HnswIndexConfig": chroma.HnswIndexConfig(ef_search=7, resize_factor=1.5),
    "IntInvertedIndexConfig": chroma.IntInvertedIndexConfig(),
    "Schema": chroma.Schema()
    .create_index(chroma.VectorIndexConfig(space="cosine", embedding_function=None))
    .create_index(chroma.SparseVectorIndexConfig(), "lex")
    .delete_index(chroma.StringInvertedIndexConfig(), "raw"),
    "SpannIndexConfig": chroma.SpannIndexConfig(search_nprobe=3),
    "SparseVectorIndexConfig": chroma.SparseVectorIndexConfig(bm25=True),
    "StringInvertedIndexConfig": chroma.StringInvertedIndexConfig(),
    "VectorIndexConfig": chroma.VectorIndexConfig(
        space="ip", embedding_function=None, source_key="#document"
    ),
    "TokenTransportHeader": chroma.TokenTransportHeader.X_CHROMA_TOKEN,
    "Val": chroma.Val(0.5),
}

FUNCTIONS: dict[str, dict[str, Any]] = {
    "BasetenEmbeddingFunction": {"api_key": "key", "api_base": "http://localhost:1/v1"},
    "ChromaBm25EmbeddingFunction": {},
    "ChromaCloudQwenEmbeddingFunction": {
        "model": "Qwen/Qwen3-Embedding-0.6B",
        "task": None,
        "api_key": "key",
    },
    "ChromaCloudSpladeEmbeddingFunction": {"api_key": "key"},
    "CloudflareWorkersAIEmbeddingFunction": {"model_name": "@cf/m", "account_id": "a", "api_key": "key"},
    "CohereEmbeddingFunction": {"api_key": "key"},
    "DefaultEmbeddingFunction": {},
    "GoogleGeminiEmbeddingFunction": {"api_key": "key"},
    "GoogleGenerativeAiEmbeddingFunction": {"api_key": "key"},
    "GooglePalmEmbeddingFunction": {"api_key": "key"},
    "HuggingFaceEmbeddingFunction": {"api_key": "key"},
    "HuggingFaceEmbeddingServer": {"url": "http://localhost:1"},
    "JinaEmbeddingFunction": {"api_key": "key"},
    "MistralEmbeddingFunction": {"model": "mistral-embed", "api_key": "key"},
    "MorphEmbeddingFunction": {"api_key": "key"},
    "NomicEmbeddingFunction": {"model": "m", "task_type": "search_document", "api_key": "key"},
    "ONNXMiniLM_L6_V2": {},
    "OllamaEmbeddingFunction": {},
    "OpenAIEmbeddingFunction": {"api_key": "key"},
    "PerplexityEmbeddingFunction": {"api_key": "key"},
    "RoboflowEmbeddingFunction": {"api_key": "key"},
    "TogetherAIEmbeddingFunction": {"model_name": "BAAI/bge-base-en-v1.5", "api_key": "key"},
    "VoyageAIEmbeddingFunction": {"api_key": "key", "model_name": "voyage-3"},
}
# boto3's clients cannot be pickled; sentence-transformers, fastembed, Instructor, text2vec, CLIP and Vertex
# AI need packages that are not installed; the other classes wrap another function or depend on arguments
UNTRIED = {
    "AmazonBedrockEmbeddingFunction",
    "Bm25EmbeddingFunction",
    "CallableEmbeddingFunction",
    "ChromaLangchainEmbeddingFunction",
    "EmbeddingFunction",
    "FastembedSparseEmbeddingFunction",
    "GoogleGenaiEmbeddingFunction",
    "GoogleVertexEmbeddingFunction",
    "HuggingFaceSparseEmbeddingFunction",
    "InstructorEmbeddingFunction",
    "JinaQueryConfig",
    "NomicQueryConfig",
    "OpenCLIPEmbeddingFunction",
    "SentenceTransformerEmbeddingFunction",
    "SparseEmbeddingFunction",
    "Text2VecEmbeddingFunction",
}


def made() -> Iterator[tuple[str, Any]]:
    """Yield pairs of a name and a value."""
    yield from VALUES.items()
    for name, arguments in FUNCTIONS.items():
        yield name, getattr(embedding_functions, name)(**arguments)
    for name, cls in vars(errors).items():
        if isinstance(cls, type) and issubclass(cls, errors.ChromaError):
            yield name, cls("what happened")
