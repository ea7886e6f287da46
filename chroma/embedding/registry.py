"""The registry of embedding functions by name, which rebuilds functions from stored configurations.

Invariant: a name read from a folder or a server is looked up only among the classes registered
in this process. A stored name never leads to an import of a module that is not in the registry.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, TypeVar, overload

from ..errors import InvalidArgumentError
from .core.protocol import EmbeddingFunction, config_mapping, is_persistable
from .core.sparse import SparseEmbeddingFunction
from .minilm.default import DefaultEmbeddingFunction
from .minilm.function import ONNXMiniLM_L6_V2

F = TypeVar("F", bound=type[EmbeddingFunction[Any]])
S = TypeVar("S", bound=type[SparseEmbeddingFunction[Any]])
C = TypeVar("C", bound=EmbeddingFunction[Any] | SparseEmbeddingFunction[Any])

_BUILTINS: tuple[type[EmbeddingFunction[Any]], ...] = (DefaultEmbeddingFunction, ONNXMiniLM_L6_V2)

# Built-in functions that are imported at first use: maps a name to its module and class.
LAZY: dict[str, tuple[str, str]] = {
    "amazon_bedrock": ("providers.bedrock", "AmazonBedrockEmbeddingFunction"),
    "baseten": ("providers.baseten", "BasetenEmbeddingFunction"),
    "chroma-cloud-qwen": ("providers.chroma_cloud", "ChromaCloudQwenEmbeddingFunction"),
    "chroma_langchain": ("providers.langchain", "ChromaLangchainEmbeddingFunction"),
    "cloudflare_workers_ai": ("providers.cloudflare", "CloudflareWorkersAIEmbeddingFunction"),
    "cohere": ("providers.cohere", "CohereEmbeddingFunction"),
    "google_gemini": ("providers.google", "GoogleGeminiEmbeddingFunction"),
    "google_genai": ("providers.google", "GoogleGeminiEmbeddingFunction"),  # an older name of google_gemini
    "google_generative_ai": ("providers.google", "GoogleGenerativeAiEmbeddingFunction"),
    "google_palm": ("providers.google_palm", "GooglePalmEmbeddingFunction"),
    "google_vertex": ("providers.google_vertex", "GoogleVertexEmbeddingFunction"),
    "huggingface": ("providers.huggingface", "HuggingFaceEmbeddingFunction"),
    "huggingface_server": ("providers.huggingface", "HuggingFaceEmbeddingServer"),
    "instructor": ("providers.instructor", "InstructorEmbeddingFunction"),
    "jina": ("providers.jina", "JinaEmbeddingFunction"),
    "mistral": ("providers.mistral", "MistralEmbeddingFunction"),
    "morph": ("providers.morph", "MorphEmbeddingFunction"),
    "nomic": ("providers.nomic", "NomicEmbeddingFunction"),
    "ollama": ("providers.ollama", "OllamaEmbeddingFunction"),
    "open_clip": ("providers.open_clip", "OpenCLIPEmbeddingFunction"),
    "openai": ("providers.openai", "OpenAIEmbeddingFunction"),
    "perplexity": ("providers.perplexity", "PerplexityEmbeddingFunction"),
    "roboflow": ("providers.roboflow", "RoboflowEmbeddingFunction"),
    "sentence_transformer": ("providers.sentence_transformers", "SentenceTransformerEmbeddingFunction"),
    "text2vec": ("providers.text2vec", "Text2VecEmbeddingFunction"),
    "together_ai": ("providers.together", "TogetherAIEmbeddingFunction"),
    "voyageai": ("providers.voyage", "VoyageAIEmbeddingFunction"),
}

# The same for functions that return sparse vectors.
LAZY_SPARSE: dict[str, tuple[str, str]] = {
    "bm25": ("providers.fastembed_sparse", "Bm25EmbeddingFunction"),
    "chroma-bm25": ("providers.chroma_bm25", "ChromaBm25EmbeddingFunction"),  # as the JavaScript client says
    "chroma-cloud-splade": ("providers.chroma_cloud", "ChromaCloudSpladeEmbeddingFunction"),
    "chroma_bm25": ("providers.chroma_bm25", "ChromaBm25EmbeddingFunction"),
    "fastembed_sparse": ("providers.fastembed_sparse", "FastembedSparseEmbeddingFunction"),
    "huggingface_sparse": ("providers.huggingface_sparse", "HuggingFaceSparseEmbeddingFunction"),
}


def load(name: str) -> type[EmbeddingFunction[Any]]:
    """Import the class for a name in LAZY."""
    found: type[EmbeddingFunction[Any]] = _load(LAZY[name])
    return found


def _load(path: tuple[str, str]) -> Any:
    module, class_name = path
    return getattr(import_module(f".{module}", __package__), class_name)


class _Known(MutableMapping[str, type[C]]):
    """Maps names to classes. Reading an entry may import its module; iterating over names imports nothing."""

    def __init__(self, builtins: Iterable[type[C]], lazy: Mapping[str, tuple[str, str]]) -> None:
        self._lazy = lazy
        self._entries: dict[str, type[C] | None] = {
            **{builtin.name(): builtin for builtin in builtins},
            **dict.fromkeys(lazy),
        }

    def __getitem__(self, name: str) -> type[C]:
        entry = self._entries[name]
        if entry is None:
            entry = self._entries[name] = _load(self._lazy[name])
        return entry

    def __setitem__(self, name: str, ef_class: type[C]) -> None:
        self._entries[name] = ef_class

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"known_embedding_functions({', '.join(sorted(self._entries))})"


known_embedding_functions: MutableMapping[str, type[EmbeddingFunction[Any]]] = _Known(_BUILTINS, LAZY)
sparse_known_embedding_functions: MutableMapping[str, type[SparseEmbeddingFunction[Any]]] = _Known(
    (), LAZY_SPARSE
)


@overload
def register_embedding_function(ef_class: F) -> F: ...
@overload
def register_embedding_function(ef_class: None = None) -> Callable[[F], F]: ...
def register_embedding_function(ef_class: F | None = None) -> F | Callable[[F], F]:
    """Register a class under its `name()` and return the class.

    Use it as the decorator `@register_embedding_function`, with or without parentheses, or as a function.
    Registering a name again replaces the class, because a notebook cell may run twice. Names of built-in
    functions raise InvalidArgumentError.
    """
    if ef_class is None:
        return register_embedding_function
    if not (isinstance(ef_class, type) and issubclass(ef_class, EmbeddingFunction)):
        raise InvalidArgumentError(
            f"register_embedding_function needs a subclass of EmbeddingFunction, got {ef_class!r}."
        )
    try:
        name = ef_class.name()
    except NotImplementedError as error:
        raise InvalidArgumentError(
            f"{ef_class.__name__} cannot be registered without a static method `name()`; it returns a string."
        ) from error
    if not isinstance(name, str) or not name:
        raise InvalidArgumentError(
            f"{ef_class.__name__}.name() must return a non-empty string, got {name!r}."
        )
    if _belongs_to_another(ef_class):
        raise InvalidArgumentError(f"The name {name!r} belongs to a built-in function; choose another name.")
    known_embedding_functions[name] = ef_class
    return ef_class


def _belongs_to_another(ef_class: type[EmbeddingFunction[Any]]) -> bool:
    """Whether the name of the class is that of a built-in function which it is not."""
    name = ef_class.name()
    taken = any(name == builtin.name() and ef_class is not builtin for builtin in _BUILTINS)
    return taken or (name in LAZY and ef_class is not load(name))


@overload
def register_sparse_embedding_function(ef_class: S) -> S: ...
@overload
def register_sparse_embedding_function(ef_class: None = None) -> Callable[[S], S]: ...
def register_sparse_embedding_function(ef_class: S | None = None) -> S | Callable[[S], S]:
    """Register a class of functions that return sparse vectors under its `name()`, and return the class.

    Use it as `register_embedding_function`.
    """
    if ef_class is None:
        return register_sparse_embedding_function
    if not (isinstance(ef_class, type) and issubclass(ef_class, SparseEmbeddingFunction)):
        raise InvalidArgumentError(
            "register_sparse_embedding_function needs a subclass of SparseEmbeddingFunction, "
            f"got {ef_class!r}."
        )
    try:
        name = ef_class.name()
    except NotImplementedError as error:
        raise InvalidArgumentError(
            f"{ef_class.__name__} cannot be registered without a static method `name()`; it returns a string."
        ) from error
    if name in LAZY_SPARSE and ef_class is not _load(LAZY_SPARSE[name]):
        raise InvalidArgumentError(f"The name {name!r} belongs to a built-in function; choose another name.")
    sparse_known_embedding_functions[name] = ef_class
    return ef_class


def get_builtins() -> set[str]:
    """Return the class names of the built-in functions, those of sparse vectors included."""
    lazy = (*LAZY.values(), *LAZY_SPARSE.values())
    return {builtin.__name__ for builtin in _BUILTINS} | {class_name for _, class_name in lazy}


def config_to_embedding_function(config: dict[str, Any]) -> EmbeddingFunction[Any]:
    """Build the function from a stored `{"type": "known", "name": ..., "config": {...}}`.

    Raises InvalidArgumentError if the type is not "known" (a "legacy" function has no stored
    configuration), if the name is not registered, or if the class refuses the configuration.
    """
    stored = config_mapping(config)
    if stored.get("type") != "known":
        raise InvalidArgumentError(
            "The stored embedding function has no name and configuration and cannot be rebuilt: "
            "pass it again as `embedding_function=`."
        )
    name, inner = stored.get("name"), stored.get("config", {})
    if not isinstance(name, str) or name not in known_embedding_functions:
        raise InvalidArgumentError(
            f"The embedding function {name!r} is not registered in this process (known: "
            f"{', '.join(sorted(known_embedding_functions))}). Register its class with "
            "`register_embedding_function`, or pass it as `embedding_function=`."
        )
    ef_class = known_embedding_functions[name]
    values = dict(config_mapping(inner))
    ef_class.validate_config(values)
    return ef_class.build_from_config(values)


def embedding_function_to_config(function: EmbeddingFunction[Any] | object) -> dict[str, Any]:
    """Return the stored form of `function`: "known" with name and configuration, else "legacy".

    Registers the class of a storable function, so that this process can reopen its collections.
    """
    if not is_persistable(function):
        return {"type": "legacy"}
    assert isinstance(function, EmbeddingFunction)
    if _belongs_to_another(type(function)):
        warnings.warn(
            f"the name {type(function).name()!r} of {type(function).__name__} belongs to a built-in "
            "embedding function, so this one cannot be found again by its name: pass it whenever the "
            "collection is opened, or give it a name of its own",
            UserWarning,
            stacklevel=2,
        )
        return {"type": "legacy"}
    config = dict(config_mapping(function.get_config()))
    type(function).validate_config(config)
    register_embedding_function(type(function))
    return {"type": "known", "name": type(function).name(), "config": config}


def config_to_sparse_function(config: dict[str, Any]) -> SparseEmbeddingFunction[Any]:
    """Build a function from a stored form, as `config_to_embedding_function` does."""
    stored = config_mapping(config)
    name = stored.get("name")
    if stored.get("type") != "known" or not isinstance(name, str):
        raise InvalidArgumentError("The stored sparse embedding function has no name and cannot be rebuilt.")
    if name not in sparse_known_embedding_functions:
        raise InvalidArgumentError(
            f"The sparse embedding function {name!r} is not registered in this process (known: "
            f"{', '.join(sorted(sparse_known_embedding_functions))}). Register its class with "
            "`register_sparse_embedding_function`."
        )
    ef_class = sparse_known_embedding_functions[name]
    values = dict(config_mapping(stored.get("config") or {}))
    ef_class.validate_config(values)
    return ef_class.build_from_config(values)


def sparse_function_to_config(function: object) -> dict[str, Any]:
    """Return the stored form of a function that returns sparse vectors: "known", else "unknown".

    Registers the class of a storable function, so that this process can reopen its collections.
    """
    if not isinstance(function, SparseEmbeddingFunction):
        return {"type": "unknown"}
    kind: type[SparseEmbeddingFunction[Any]] = type(function)
    if any(
        getattr(kind, each) is getattr(SparseEmbeddingFunction, each)
        for each in ("name", "get_config", "build_from_config")
    ):
        return {"type": "unknown"}
    name = kind.name()
    if name in LAZY_SPARSE and kind is not _load(LAZY_SPARSE[name]):
        warnings.warn(
            f"the name {name!r} of {kind.__name__} belongs to a built-in sparse embedding function, so this "
            "one cannot be found again by its name: give it a name of its own",
            UserWarning,
            stacklevel=2,
        )
        return {"type": "unknown"}
    config = dict(config_mapping(function.get_config()))
    kind.validate_config(config)
    register_sparse_embedding_function(kind)
    return {"type": "known", "name": name, "config": config}


def same_stored(one: Any, other: Any) -> bool:
    """Whether two functions have the same class and settings, so that they are stored alike."""
    if type(one) is not type(other) or not hasattr(one, "get_config"):
        return False
    try:
        return bool(one.get_config() == other.get_config())
    except NotImplementedError:  # the function cannot be stored
        return False
