"""Constants, aliases of types, and small functions that programs import from chromadb."""

from __future__ import annotations

import string
from importlib import import_module
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from .. import errors
from ..types import Include, TokenTransportHeader

C = TypeVar("C")

IN_COLAB = False
is_client = False
is_thin_client = False

ImageDType: TypeAlias = np.uint64 | np.int64 | np.float64
IncludeMetadataDocuments: Include = ["metadatas", "documents"]
IncludeMetadataDocumentsDistances: Include = ["metadatas", "documents", "distances"]
IncludeMetadataDocumentsEmbeddings: Include = ["metadatas", "documents", "embeddings"]
IncludeMetadataDocumentsEmbeddingsDistances: Include = ["metadatas", "documents", "embeddings", "distances"]

ArrayContainsOperator: TypeAlias = Literal["$contains", "$not_contains"]
ChromaCloudQwenEmbeddingInstructions: TypeAlias = dict[str, dict[Any, str]]
NamespacedName: TypeAlias = str
OptionalArgument: TypeAlias = Any
SeqId: TypeAlias = int
TaskType: TypeAlias = Literal["document", "query"]
ClientAuthHeaders: TypeAlias = dict[str, Any]
allowed_token_headers = [header.value for header in TokenTransportHeader]
valid_token_chars = set(string.digits + string.ascii_letters + string.punctuation)

LEGACY_ERROR = "this configuration is from before version 0.4: see docs/migration.md"
error_types: dict[str, type[errors.ChromaError]] = {
    found.name(): found
    for found in vars(errors).values()
    if isinstance(found, type)
    and issubclass(found, errors.ChromaError)
    and found not in (errors.ChromaError, errors.InvalidTypeError)
}


def is_in_colab() -> bool:
    """Whether the program runs in a Colab notebook. This package needs nothing special there."""
    return IN_COLAB


def get_class(fqn: str, type: type[C]) -> type[C]:
    """Import the class with the qualified name `fqn`."""
    module, _, name = fqn.rpartition(".")
    found: Any = getattr(import_module(module), name)
    return found  # type: ignore[no-any-return]


def get_fqn(cls: type[object]) -> str:
    """Return the qualified name of a class."""
    return f"{cls.__module__}.{cls.__name__}"
