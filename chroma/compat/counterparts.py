"""The tables of names: where names of chromadb are in this package, and why others are not offered."""

from __future__ import annotations

# Names that are at another path here: {module of chromadb: {module of this package: names}}, each name as
# "theirs" or "theirs=ours". Names at the same path in both need no entry.
COUNTERPARTS: dict[str, dict[str, str]] = {
    "chromadb": {"chroma.compat.values": "IN_COLAB is_client is_in_colab is_thin_client"},
    "chromadb.api": {"chroma._sync.client": "BaseAPI=Client"},
    "chromadb.api.async_api": {
        "chroma._async.client": (
            "AsyncAdminAPI=AsyncAdminClient AsyncBaseAPI=AsyncClient AsyncClientAPI=AsyncClient "
            "AsyncServerAPI=AsyncClient"
        ),
    },
    "chromadb.api.collection_configuration": {
        "chroma.compat.configurations": (
            "collection_configuration_to_json collection_configuration_to_json_str "
            "load_collection_configuration_from_json load_collection_configuration_from_json_str "
            "create_collection_configuration_to_json=collection_configuration_to_json "
            "create_collection_configuration_to_json_str=collection_configuration_to_json_str "
            "load_create_collection_configuration_from_json=load_collection_configuration_from_json "
            "update_collection_configuration_to_json=collection_configuration_to_json "
            "update_collection_configuration_to_json_str=collection_configuration_to_json_str "
            "load_update_collection_configuration_from_json=load_collection_configuration_from_json "
            "load_update_collection_configuration_from_json_str=load_collection_configuration_from_json_str"
        ),
    },
    "chromadb.api.configuration": {
        "chroma.collection.configuration": (
            "CollectionConfiguration HNSWConfiguration=CreateHNSWConfiguration"
        ),
        "chroma.types": "ParameterValue=Scalar",
    },
    "chromadb.api.models.CollectionCommon": {"chroma.collection.handle": "CollectionCommon=Handle"},
    "chromadb.api.types": {
        "chroma.compat.checks": (
            "validate_batch validate_documents validate_embedding_function validate_embeddings validate_ids "
            "validate_images validate_include validate_metadata validate_metadatas validate_n_results "
            "validate_sparse_embedding_function validate_sparse_vectors validate_update_metadata "
            "validate_where validate_where_document"
        ),
        "chroma.compat.conversions": (
            "convert_list_embeddings_to_np convert_np_embeddings_to_list deserialize_metadata is_document "
            "is_image maybe_cast_one_to_many normalize_embeddings normalize_metadata normalize_metadatas "
            "optional_base64_strings_to_embeddings optional_embeddings_to_base64_strings "
            "pack_embedding_safely serialize_metadata"
        ),
        "chroma.embedding": "SparseEmbeddingFunction",
        "chroma.results.search_result": "SearchResult",
        "chroma.compat.values": (
            "ImageDType IncludeMetadataDocuments IncludeMetadataDocumentsDistances "
            "IncludeMetadataDocumentsEmbeddings IncludeMetadataDocumentsEmbeddingsDistances"
        ),
    },
    "chromadb.auth": {
        "chroma.compat.values": "ClientAuthHeaders",
        "chroma.requests.scope": "UserIdentity=Identity",
    },
    "chromadb.auth.token_authn": {"chroma.compat.values": "allowed_token_headers valid_token_chars"},
    "chromadb.base_types": {"chroma.compat.values": "ArrayContainsOperator"},
    "chromadb.config": {"chroma.compat.values": "LEGACY_ERROR get_class get_fqn is_thin_client"},
    "chromadb.errors": {"chroma.compat.values": "error_types"},
    "chromadb.telemetry.opentelemetry": {
        "chroma.compat.telemetry": "OpenTelemetryClient add_attributes_to_current_span otel_init trace_method"
    },
    "chromadb.telemetry.product": {
        "chroma.compat.telemetry": (
            "ProductTelemetryClient ProductTelemetryEvent TELEMETRY_WHITELISTED_SETTINGS"
        )
    },
    "chromadb.telemetry.product.events": {
        "chroma.compat.telemetry": (
            "ClientCreateCollectionEvent ClientStartEvent CollectionAddEvent CollectionDeleteEvent "
            "CollectionGetEvent CollectionQueryEvent CollectionUpdateEvent ServerStartEvent"
        )
    },
    "chromadb.telemetry.product.posthog": {"chroma.compat.telemetry": "Posthog=ProductTelemetryClient"},
    "chromadb.types": {
        "chroma.compat.values": "NamespacedName OptionalArgument SeqId",
        "chroma.types": "Collection=CollectionModel",
    },
    "chromadb.utils": {"chroma.compat.values": "get_class"},
    "chromadb.utils.embedding_functions.bm25_embedding_function": {
        "chroma.compat.values": "TaskType",
        "chroma.embedding.providers.fastembed_sparse": "Bm25EmbeddingFunctionQueryConfig",
    },
    "chromadb.utils.embedding_functions.chroma_bm25_embedding_function": {
        "chroma.embedding.providers.chroma_bm25": "ChromaBm25Config DEFAULT_CHROMA_BM25_STOPWORDS"
    },
    "chromadb.utils.embedding_functions.chroma_cloud_qwen_embedding_function": {
        "chroma.compat.values": "ChromaCloudQwenEmbeddingInstructions",
        "chroma.embedding.providers.chroma_cloud": (
            "CHROMA_CLOUD_QWEN_DEFAULT_INSTRUCTIONS ChromaCloudQwenEmbeddingModel "
            "ChromaCloudQwenEmbeddingTarget"
        ),
    },
    "chromadb.utils.embedding_functions.chroma_cloud_splade_embedding_function": {
        "chroma.embedding.providers.chroma_cloud": "ChromaCloudSpladeEmbeddingModel"
    },
    "chromadb.utils.embedding_functions.fastembed_sparse_embedding_function": {
        "chroma.compat.values": "TaskType",
        "chroma.embedding.providers.fastembed_sparse": "FastembedSparseEmbeddingFunctionQueryConfig",
    },
    "chromadb.utils.embedding_functions.huggingface_sparse_embedding_function": {
        "chroma.compat.values": "TaskType",
        "chroma.embedding.providers.huggingface_sparse": "HuggingFaceSparseEmbeddingFunctionQueryConfig",
    },
    "chromadb.utils.embedding_functions.schemas.bm25_tokenizer": {
        "chroma.embedding.providers.chroma_bm25": (
            "Bm25Tokenizer DEFAULT_CHROMA_BM25_STOPWORDS DEFAULT_ENGLISH_STOPWORDS Murmur3AbsHasher "
            "SnowballStemmer get_english_stemmer"
        )
    },
    "chromadb.utils.embedding_functions.schemas.registry": {
        "chroma.compat.schemas": "get_available_schemas get_embedding_function_names"
    },
    "chromadb.utils.embedding_functions.schemas.schema_utils": {
        "chroma.compat.schemas": "validate_config_schema"
    },
    "chromadb.utils.embedding_functions.utils": {
        "chroma.embedding.providers.chroma_cloud": "get_chroma_embed_url",
        "chroma.embedding.providers.perplexity": "decode_embedding",
    },
    "chromadb.utils.sparse_embedding_utils": {"chroma.embedding.core.sparse": "normalize_sparse_vector"},
    "chromadb.utils.distance_functions": {
        "chroma.compat.distances": "cosine ip l2",
        "chroma.types": "Vector",
    },
}

# Where the names of whole parts are, whichever of their modules they are asked of.
HOMES: tuple[tuple[str, str], ...] = (
    ("chromadb.base_types", "chroma.types"),
    ("chromadb.auth.token_authn", "chroma.types"),
    ("chromadb.utils.embedding_functions", "chroma.utils.embedding_functions"),
)

# Why names are not offered, and what to use: of the entries that a name starts with, the longest counts.
_INSIDE = "it is an inner part of Chroma's own engine or server, which this package replaces by its own"
_CLIENT = "use a client: chroma.PersistentClient(path), chroma.EphemeralClient() or chroma.HttpClient(host)"
_SERVE = "start the server with `chroma run`; docs/server.md describes its settings"
_SEARCH = "it belongs to Chroma's search language, which this package does not have yet"
_QUERY = "use Collection.query with where and where_document"
_HOSTED = "it belongs to Chroma's hosted service"
_OWN_FUNCTION = "wrap your function: chroma.embedding.CallableEmbeddingFunction(function)"
REASONS: tuple[tuple[str, str, str], ...] = (
    ("", _INSIDE, _CLIENT),
    ("chromadb.api.collection_configuration.", _INSIDE, "pass configuration={'hnsw': {…}} as a dict"),
    ("chromadb.api.configuration.", "it belongs to versions before 1.0", "pass configuration={'hnsw': {…}}"),
    ("chromadb.api.functions", _HOSTED, "compute in your program, or with Collection.sql"),
    ("chromadb.api.models.AttachedFunction", _HOSTED, "compute in your program, or with Collection.sql"),
    ("chromadb.api.types.", _SEARCH, _QUERY),
    ("chromadb.api.types.normalize_", _INSIDE, "call add, upsert or query, which do it"),
    ("chromadb.api.types.validate_", _INSIDE, "call add, upsert or query, which check their arguments"),
    ("chromadb.api.types.get_default", _INSIDE, _CLIENT),
    ("chromadb.app", "this package has a server of its own", _SERVE),
    ("chromadb.auth", "this package's server has its own authentication", _SERVE),
    ("chromadb.auth.ClientAuthProvider", "credentials are a setting here", "pass headers={…} to HttpClient"),
    ("chromadb.auth.token_authn.TokenAuthClient", "it is a setting here", "pass headers={…} to HttpClient"),
    ("chromadb.auth.basic_authn.BasicAuthClient", "it is a setting here", "pass headers={…} to HttpClient"),
    ("chromadb.cli", "this package has a command line of its own", "run `chroma --help`"),
    ("chromadb.execution.expression", _SEARCH, _QUERY),
    ("chromadb.server", "this package has a server of its own", _SERVE),
    (
        "chromadb.telemetry",
        "this package sends no telemetry",
        "chroma run --help lists the options for traces",
    ),
    ("chromadb.utils.embedding_functions", "it is not part of this package", _OWN_FUNCTION),
    ("chromadb.utils.statistics", _HOSTED, "use Collection.describe or Collection.sql"),
)
