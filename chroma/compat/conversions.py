"""The conversions of vectors and metadata that programs import from `chromadb.api.types`."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..types import SPARSE_VECTOR_TYPE_VALUE, TYPE_KEY, SparseVector
from ..validation.vectors import as_matrix


def maybe_cast_one_to_many(target: Any) -> Any:
    """Return a list as it is, None as None, and anything else in a list."""
    return target if target is None or isinstance(target, list) else [target]


def normalize_embeddings(target: Any) -> Any:
    """Return one vector or several as a list of float32 vectors; None as None."""
    return None if target is None else list(as_matrix(target))


def normalize_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a copy of a metadata dict; None as None. Sparse vectors in the wire form become SparseVector."""
    if metadata is None:
        return None
    return {
        key: SparseVector.from_dict(value) if _is_sparse(value) else value for key, value in metadata.items()
    }


def normalize_metadatas(metadatas: Any) -> Any:
    """Return one metadata dict or several as a list, each as `normalize_metadata` does; None as None."""
    several = maybe_cast_one_to_many(metadatas)
    return None if several is None else [normalize_metadata(metadata) for metadata in several]


def is_document(target: Any) -> bool:
    """Whether the value is a document: a text."""
    return isinstance(target, str)


def is_image(target: Any) -> bool:
    """Whether the value is an image: an array with two or more dimensions."""
    return isinstance(target, np.ndarray) and target.ndim >= 2


def convert_np_embeddings_to_list(embeddings: Any) -> list[list[float]]:
    """Return vectors as lists of numbers."""
    return [np.asarray(vector).tolist() for vector in embeddings]


def convert_list_embeddings_to_np(embeddings: Any) -> list[Any]:
    """Return lists of numbers as float32 vectors."""
    return [np.asarray(vector, np.float32) for vector in embeddings]


def pack_embedding_safely(embedding: Any) -> str:
    """Return a vector as base64 text of its float32 values, little-endian."""
    return base64.b64encode(np.asarray(embedding).astype("<f4").tobytes()).decode("ascii")


def optional_embeddings_to_base64_strings(embeddings: Sequence[Any] | None) -> list[str | None] | None:
    """Return vectors as base64 texts; None, in the list too, as None."""
    if embeddings is None:
        return None
    return [None if vector is None else pack_embedding_safely(vector) for vector in embeddings]


def optional_base64_strings_to_embeddings(b64_strings: Sequence[str | None] | None) -> list[Any] | None:
    """Return base64 texts as lists of numbers; None, in the list too, as None."""
    if b64_strings is None:
        return None
    return [
        None if text is None else np.frombuffer(base64.b64decode(text), "<f4").tolist()
        for text in b64_strings
    ]


def serialize_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return metadata as JSON data: sparse vectors become dicts."""
    if metadata is None:
        return None
    return {
        key: value.to_dict() if isinstance(value, SparseVector) else value for key, value in metadata.items()
    }


def deserialize_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Undo `serialize_metadata`."""
    if metadata is None:
        return None
    return {
        key: SparseVector.from_dict(value) if _is_sparse(value) else value for key, value in metadata.items()
    }


def _is_sparse(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(TYPE_KEY) == SPARSE_VECTOR_TYPE_VALUE
