"""The functions `validate_…` that programs import from `chromadb.api.types`.

They check as the methods of a collection do, raise the same errors, and return their argument or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..embedding.core.protocol import check_signature
from ..errors import BatchSizeExceededError, InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from ..types import SparseVector
from ..validation.metadata import check_metadatas
from ..validation.read_arguments import check_include, check_n_results
from ..validation.sequences import check_ids, check_texts
from ..validation.vectors import as_matrix
from ..validation.write_batch import check_images
from ..wire.filters import plain_filter

_COMPARISONS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$contains", "$not_contains")
_DOCUMENT = ("$contains", "$not_contains", "$regex", "$not_regex")
_NUMERIC = ("$gt", "$gte", "$lt", "$lte")


def validate_ids(ids: Any) -> Any:
    """Raise unless `ids` is a list of distinct, non-empty texts. Returns it."""
    if not isinstance(ids, list):
        raise InvalidArgumentError(f"Expected IDs to be a list, got {shown(ids)}")
    for index, id in enumerate(ids):
        if not isinstance(id, str):
            raise InvalidTypeError(f"Expected ID to be a str, got {shown(id)} at index {index} of ids")
    check_ids(ids)
    return ids


def validate_metadata(metadata: Any) -> Any:
    """Raise unless `metadata` is None or a metadata dict. Returns it."""
    if metadata is not None:
        check_metadatas([metadata])
    return metadata


def validate_update_metadata(metadata: Any) -> Any:
    """Raise unless `metadata` is None or a metadata dict, in which None removes a key. Returns it."""
    return validate_metadata(metadata)


def validate_metadatas(metadatas: Any) -> Any:
    """Raise unless `metadatas` is a list of metadata dicts. Returns it."""
    if not isinstance(metadatas, list):
        raise InvalidArgumentError(f"Expected metadatas to be a list, got {shown(metadatas)}")
    check_metadatas(metadatas)
    return metadatas


def validate_documents(documents: Any, nullable: bool = False) -> None:
    """Raise unless `documents` is a list of texts, or with `nullable`, of texts and None."""
    if not isinstance(documents, list):
        raise InvalidArgumentError(f"Expected documents to be a list, got {shown(documents)}")
    check_texts(documents, "document", "documents", allow_none=nullable)


def validate_images(images: Any) -> None:
    """Raise unless `images` is a list of arrays with two or more dimensions."""
    if not isinstance(images, list):
        raise InvalidArgumentError(f"Expected images to be a list, got {shown(images)}")
    check_images(images)


def validate_embeddings(embeddings: Any) -> Any:
    """Raise unless `embeddings` is a non-empty list of vectors of one length. Returns it."""
    as_matrix(embeddings)
    return embeddings


def validate_sparse_vectors(vectors: Any) -> Any:
    """Raise unless `vectors` is a non-empty list of SparseVector. Returns it."""
    if not isinstance(vectors, list) or not vectors:
        raise InvalidArgumentError(f"Expected sparse vectors to be a non-empty list, got {shown(vectors)}")
    for row, vector in enumerate(vectors):
        if not isinstance(vector, SparseVector):
            raise InvalidTypeError(f"Expected a SparseVector, got {shown(vector)} at index {row}")
    return vectors


def validate_embedding_function(embedding_function: Any) -> None:
    """Raise unless the parameters of `__call__` are `(self, input)`."""
    check_signature(embedding_function)


def validate_sparse_embedding_function(sparse_vector_function: Any) -> None:
    """Raise unless the parameters of `__call__` are `(self, input)`."""
    check_signature(sparse_vector_function)


def validate_n_results(n_results: Any) -> Any:
    """Raise unless `n_results` is a positive int. Returns it."""
    return check_n_results(n_results)


def validate_include(include: Any, dissalowed: Sequence[str] | None = None) -> None:
    """Raise unless `include` is a list of fields of results. It must have none of the fields in
    `dissalowed`."""
    check_include(include, query=True)
    for field in include:
        if field in (dissalowed or ()):
            raise InvalidArgumentError(f"Include item cannot be one of {', '.join(dissalowed or ())}")


def validate_batch(batch: Any, limits: Mapping[str, Any]) -> None:
    """Raise if the ids, the first column of `batch`, are more than `limits["max_batch_size"]`."""
    if len(batch[0]) > limits["max_batch_size"]:
        raise BatchSizeExceededError(
            f"Batch size {len(batch[0])} exceeds maximum batch size {limits['max_batch_size']}"
        )


def validate_where(where: Any) -> None:
    """Raise unless `where` is a filter on metadata."""
    plain_filter("where", where)
    _check("where", where, _check_field)


def validate_where_document(where_document: Any) -> None:
    """Raise unless `where_document` is a filter on documents."""
    plain_filter("where_document", where_document)
    _check("where_document", where_document, _check_document)


def _check(name: str, clause: Any, leaf: Callable[[str, Any], None]) -> None:
    if not isinstance(clause, Mapping) or len(clause) != 1:
        raise InvalidArgumentError(
            f"Expected {name} to be a dict with exactly one operator, got {shown(clause)}"
        )
    ((key, value),) = clause.items()
    if key not in ("$and", "$or"):
        leaf(key, value)
        return
    if not isinstance(value, list) or len(value) < 2:
        raise InvalidArgumentError(
            f"Expected {name} value for {key} to be a list with at least two {name} expressions, "
            f"got {shown(value)}"
        )
    for inner in value:
        _check(name, inner, leaf)


def _check_field(key: str, value: Any) -> None:
    if key.startswith("$"):
        raise InvalidArgumentError(f"Invalid where clause: {key!r} is not a metadata key")
    operator, operand = "$eq", value
    if isinstance(value, Mapping):
        if len(value) != 1:
            raise InvalidArgumentError(
                f"Expected operator expression for {key!r} to have exactly one operator, got {shown(value)}"
            )
        ((operator, operand),) = value.items()
    allowed = _DOCUMENT if key == "#document" else _COMPARISONS
    if operator not in allowed:
        raise InvalidArgumentError(
            f"Expected where operator to be one of {', '.join(allowed)}, got {shown(operator)} for {key!r}"
        )
    takes_list = operator in ("$in", "$nin")
    fits = takes_list == isinstance(operand, list) and not isinstance(operand, Mapping)
    if not fits or operand == [] or operand is None:
        raise InvalidArgumentError(
            f"Expected the operand of {operator} to be a "
            f"{'non-empty list' if takes_list else 'single value'}, got {shown(operand)} for {key!r}"
        )
    if operator in _NUMERIC and (isinstance(operand, bool) or not isinstance(operand, (int, float))):
        raise InvalidArgumentError(f"Expected the operand of {operator} to be a number, got {shown(operand)}")


def _check_document(operator: str, operand: Any) -> None:
    if operator not in _DOCUMENT:
        raise InvalidArgumentError(
            f"Expected where_document operator to be one of {', '.join(_DOCUMENT)}, got {shown(operator)}"
        )
    if not isinstance(operand, str) or not operand:
        raise InvalidArgumentError(f"Expected the operand of {operator} to be a text, got {shown(operand)}")
