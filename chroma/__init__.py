"""Chroma-on-Arrow: an embedded vector database on Arrow files that speaks Chroma's API.

    import chroma

    client = chroma.PersistentClient("db")
    notes = client.get_or_create_collection("notes")
    notes.add(ids=["a", "b"], documents=["a red apple", "a blue bicycle"])
    notes.query(query_texts=["fruit"], n_results=1)

Importing this package loads only the standard library. Each public name loads its dependencies
when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal  # noqa: F401 - in the hints of classes whose home is here

from ._version import __version__

if TYPE_CHECKING:
    from ._async.client import AsyncClient as AsyncClientAPI
    from ._sync.client import AdminClient as AdminAPI
    from ._sync.client import Client as ClientAPI
    from ._sync.collection import Collection
    from .compat.install import install_as_chromadb
    from .config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
    from .console.console_link import ConsoleLink
    from .embedding import EmbeddingFunction, SparseEmbeddingFunction
    from .embedding.chunking import Chunk, split
    from .evaluation.evaluate import Evaluation, evaluate
    from .factories import (
        AdminClient,
        AsyncAdminClient,
        AsyncHttpClient,
        Client,
        CloudClient,
        EphemeralClient,
        HttpClient,
        PersistentClient,
        RustClient,
        configure,
        get_settings,
    )
    from .maintenance.copy_collections import CopyReport, copy_collections
    from .maintenance.restore import restore
    from .migration.migrate import migrate
    from .migration.report import MigrationReport, MovedCollection
    from .notebook.description import Description, KeySummary, TextSummary
    from .pipelines.reports import ExportReport, LoadReport
    from .requests.scope import Identity
    from .reranking.cross_encoder import CrossEncoderReranker
    from .results.facets import FacetResult
    from .results.search_result import SearchResult
    from .results.types import GetResult, QueryResult
    from .results.vectors import Vectors
    from .results.write_report import WriteReport
    from .schema.cmek import Cmek
    from .schema.index_configs import (
        BoolInvertedIndexConfig,
        FloatInvertedIndexConfig,
        FtsIndexConfig,
        HnswIndexConfig,
        IntInvertedIndexConfig,
        SpannIndexConfig,
        SparseVectorIndexConfig,
        StringInvertedIndexConfig,
        VectorIndexConfig,
    )
    from .schema.schema import Schema
    from .search.conditions import K, Key
    from .search.groups import GroupBy, MaxK, MinK
    from .search.ranks import Knn, Rrf, Val
    from .search.search import Limit, Search, Select
    from .storage.interface.explanation import Explanation, PartExplanation, PlanRun
    from .storage.interface.values import BackupReport, CollectionSnapshot, CollectionStats, EfRecall
    from .types import (
        URI,
        CollectionMetadata,
        Documents,
        Embeddings,
        IDs,
        Include,
        Metadata,
        Metadatas,
        ReadLevel,
        SparseVector,
        SparseVectors,
        TokenTransportHeader,
        UpdateCollectionMetadata,
        UpdateMetadata,
        URIs,
        Where,
        WhereDocument,
    )

__all__ = [
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "URI",
    "AdminAPI",
    "AdminClient",
    "AsyncAdminClient",
    "AsyncClientAPI",
    "AsyncHttpClient",
    "BackupReport",
    "BoolInvertedIndexConfig",
    "Chunk",
    "Client",
    "ClientAPI",
    "CloudClient",
    "Cmek",
    "Collection",
    "CollectionMetadata",
    "CollectionSnapshot",
    "CollectionStats",
    "ConsoleLink",
    "CopyReport",
    "CrossEncoderReranker",
    "Description",
    "Documents",
    "EfRecall",
    "EmbeddingFunction",
    "Embeddings",
    "EphemeralClient",
    "Evaluation",
    "Explanation",
    "ExportReport",
    "FacetResult",
    "FloatInvertedIndexConfig",
    "FtsIndexConfig",
    "GetResult",
    "GroupBy",
    "HnswIndexConfig",
    "HttpClient",
    "IDs",
    "Identity",
    "Include",
    "IntInvertedIndexConfig",
    "K",
    "Key",
    "KeySummary",
    "Knn",
    "Limit",
    "LoadReport",
    "MaxK",
    "Metadata",
    "Metadatas",
    "MigrationReport",
    "MinK",
    "MovedCollection",
    "PartExplanation",
    "PersistentClient",
    "PlanRun",
    "QueryResult",
    "ReadLevel",
    "Rrf",
    "RustClient",
    "Schema",
    "Search",
    "SearchResult",
    "Select",
    "Settings",
    "SpannIndexConfig",
    "SparseEmbeddingFunction",
    "SparseVector",
    "SparseVectorIndexConfig",
    "SparseVectors",
    "StringInvertedIndexConfig",
    "TextSummary",
    "TokenTransportHeader",
    "URIs",
    "UpdateCollectionMetadata",
    "UpdateMetadata",
    "Val",
    "VectorIndexConfig",
    "Vectors",
    "Where",
    "WhereDocument",
    "WriteReport",
    "__version__",
    "configure",
    "copy_collections",
    "evaluate",
    "get_settings",
    "install_as_chromadb",
    "migrate",
    "restore",
    "split",
]

# Maps each public name to its module, and to its name in that module if the two names differ.
_HOMES: dict[str, tuple[str, str]] = {
    "AdminAPI": ("_sync.client", "AdminClient"),
    "AsyncClientAPI": ("_async.client", "AsyncClient"),
    "ClientAPI": ("_sync.client", "Client"),
    "Collection": ("_sync.collection", "Collection"),
    "EmbeddingFunction": ("embedding", "EmbeddingFunction"),
    "Identity": ("requests.scope", "Identity"),
    "SparseEmbeddingFunction": ("embedding", "SparseEmbeddingFunction"),
    **{name: ("embedding.chunking", name) for name in ("Chunk", "split")},
    "Cmek": ("schema.cmek", "Cmek"),
    "Schema": ("schema.schema", "Schema"),
    **{
        name: ("schema.index_configs", name)
        for name in (
            "BoolInvertedIndexConfig",
            "FloatInvertedIndexConfig",
            "FtsIndexConfig",
            "HnswIndexConfig",
            "IntInvertedIndexConfig",
            "SpannIndexConfig",
            "SparseVectorIndexConfig",
            "StringInvertedIndexConfig",
            "VectorIndexConfig",
        )
    },
    **{name: ("search.conditions", name) for name in ("K", "Key")},
    **{name: ("search.groups", name) for name in ("GroupBy", "MaxK", "MinK")},
    **{name: ("search.ranks", name) for name in ("Knn", "Rrf", "Val")},
    **{name: ("search.search", name) for name in ("Limit", "Search", "Select")},
    "SearchResult": ("results.search_result", "SearchResult"),
    "FacetResult": ("results.facets", "FacetResult"),
    **{
        name: ("storage.interface.explanation", name)
        for name in ("Explanation", "PartExplanation", "PlanRun")
    },
    "ConsoleLink": ("console.console_link", "ConsoleLink"),
    "CrossEncoderReranker": ("reranking.cross_encoder", "CrossEncoderReranker"),
    **{name: ("evaluation.evaluate", name) for name in ("Evaluation", "evaluate")},
    **{name: ("maintenance.copy_collections", name) for name in ("CopyReport", "copy_collections")},
    "restore": ("maintenance.restore", "restore"),
    "install_as_chromadb": ("compat.install", "install_as_chromadb"),
    "migrate": ("migration.migrate", "migrate"),
    **{name: ("notebook.description", name) for name in ("Description", "KeySummary", "TextSummary")},
    **{name: ("pipelines.reports", name) for name in ("ExportReport", "LoadReport")},
    **{name: ("migration.report", name) for name in ("MigrationReport", "MovedCollection")},
    **{
        name: ("storage.interface.values", name)
        for name in ("BackupReport", "CollectionSnapshot", "CollectionStats", "EfRecall")
    },
    **{name: ("config", name) for name in ("DEFAULT_DATABASE", "DEFAULT_TENANT", "Settings")},
    **{
        name: ("factories", name)
        for name in (
            "AdminClient",
            "AsyncAdminClient",
            "AsyncHttpClient",
            "Client",
            "CloudClient",
            "EphemeralClient",
            "HttpClient",
            "PersistentClient",
            "RustClient",
            "configure",
            "get_settings",
        )
    },
    **{name: ("results.types", name) for name in ("GetResult", "QueryResult")},
    "Vectors": ("results.vectors", "Vectors"),
    "WriteReport": ("results.write_report", "WriteReport"),
    **{
        name: ("types", name)
        for name in (
            "CollectionMetadata",
            "Documents",
            "Embeddings",
            "IDs",
            "Include",
            "Metadata",
            "Metadatas",
            "ReadLevel",
            "SparseVector",
            "SparseVectors",
            "TokenTransportHeader",
            "URI",
            "URIs",
            "UpdateCollectionMetadata",
            "UpdateMetadata",
            "Where",
            "WhereDocument",
        )
    },
}

# Submodules that `import chroma` alone makes available as attributes, as in `chroma.errors.ChromaError`.
_SUBMODULES = ("api", "config", "embedding", "errors", "types", "utils")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module, there = _HOMES[name]
        value = getattr(import_module(f".{module}", __name__), there)
        globals()[name] = value
        return value
    if name in _SUBMODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    hidden = {"__builtins__", "__cached__"}
    dunder = {name for name in globals() if name.startswith("__")} - hidden
    return sorted({*dunder, *_SUBMODULES, *__all__})  # neither inner modules nor what this one imports
