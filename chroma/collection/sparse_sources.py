"""The sparse vectors that a collection makes of the texts of its records.

Owns: which texts of a write are embedded under which keys. A key whose vector is given is left alone. If the
text is removed, or replaced by another type of value, its vector is removed, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..embedding.registry import config_to_sparse_function, sparse_known_embedding_functions
from ..errors import InvalidArgumentError
from ..storage.interface.schema import DOCUMENT, SchemaJson, sparse_keys
from ..storage.interface.sparse_vector import SparseVector, check_again
from ..storage.interface.values import EncodedMetadata
from ..validation.write_batch import Batch

if TYPE_CHECKING:
    from ..schema.schema import Schema


_MANY = 256  # texts of one call; of fewer, objects are as fast
_PLAIN = frozenset({str, int, float, bool, list})


class SparseSource(NamedTuple):
    """A key with a sparse index, and how its vectors are made.

    source    "#document" or a metadata key; None: only the texts of queries are embedded
    function  None: it cannot be built in this process
    """

    key: str
    source: str | None
    function: Any


def sources(schema: SchemaJson | None, given: Schema | None) -> dict[str, SparseSource]:
    """Return the keys with a sparse index.

    given  the schema with which this process created the collection: its functions need no name
    """
    found = {}
    for key, config in sparse_keys(schema).items():
        source = config.get("source_key")
        found[key] = SparseSource(
            key, source, _function(key, source, config.get("embedding_function"), given)
        )
    return found


def _function(key: str, source: str | None, stored: Any, given: Schema | None) -> Any:
    if not isinstance(stored, Mapping) or stored.get("type") != "known":
        function = _given_function(key, given)
        if function is None and source is not None:
            warnings.warn(
                f"the function that embeds {source!r} for the key {key!r} was stored without a name, so new "
                "records get no vector there: give the class name, get_config and build_from_config",
                UserWarning,
                stacklevel=5,
            )
        return function
    if stored.get("name") not in sparse_known_embedding_functions:
        warnings.warn(
            f"the sparse embedding function {stored.get('name')!r} of the key {key!r} is not registered in "
            "this process, so texts are not embedded there: register its class with "
            "register_sparse_embedding_function",
            UserWarning,
            stacklevel=5,
        )
        return None
    return config_to_sparse_function(dict(stored))


def _given_function(key: str, given: Schema | None) -> Any:
    values = None if given is None else given.keys.get(key)
    if values is None or values.sparse_vector is None or values.sparse_vector.sparse_vector_index is None:
        return None
    return values.sparse_vector.sparse_vector_index.config.embedding_function


def with_vectors(found: Mapping[str, SparseSource], batch: Batch) -> Batch:
    """Return the batch with the vectors of its texts in the metadata. One call per key embeds all of them."""
    for source in found.values():
        if source.source is not None and source.function is not None:
            batch = _with_key(source, batch)
    return batch


def _with_key(source: SparseSource, batch: Batch) -> Batch:
    entries = _entries(batch)
    if source.source == DOCUMENT:
        values: list[Any] = [None] * len(entries) if batch.documents is None else list(batch.documents)
        removed: list[int] = []
    else:
        values = [None if entry is None else entry.get(source.source) for entry in entries]
        removed = [
            row
            for row, entry in enumerate(entries)
            if entry is not None and source.source in entry and not isinstance(values[row], str)
        ]
    free = [entry is None or source.key not in entry for entry in entries]
    rows = [row for row, value in enumerate(values) if isinstance(value, str) and free[row]]
    if len(rows) >= _MANY and not any(map(free.__getitem__, removed)):
        encoded = _encoded(source, batch, entries, rows, [values[row] for row in rows])
        if encoded is not None:
            return replace(batch, metadatas=encoded)
    vectors: Sequence[Any] = embedded(source, [values[row] for row in rows]) if rows else []
    changes: dict[int, Any] = dict(zip(rows, vectors)) | {row: None for row in removed if free[row]}
    if not changes:
        return batch
    out = [
        {**(entry or {}), source.key: changes[row]} if row in changes else entry
        for row, entry in enumerate(entries)
    ]
    return replace(batch, metadatas=out)


def _encoded(
    source: SparseSource, batch: Batch, entries: list[Any], rows: list[int], texts: list[str]
) -> EncodedMetadata | None:
    """Return the metadata with the vectors of many texts in the form in which they are stored.

    This form takes a tenth of the time that objects take. None if the function makes no arrays, or if some
    metadata cannot have this form: vectors of other keys, and values that remove a key.
    """
    as_matrix = getattr(source.function, "as_matrix", None)
    if as_matrix is None or source.function.get_config().get("include_tokens"):
        return None
    if isinstance(batch.metadatas, EncodedMetadata):
        return None
    try:
        from ..storage.interface import metadata_json
    except ModuleNotFoundError:  # the light client may lack orjson, and then sends objects
        return None
    types = set(map(type, chain.from_iterable(map(dict.values, filter(None, entries)))))
    if not types <= _PLAIN:
        return None
    vectors = as_matrix(texts)
    written = metadata_json.dumps(source.key).decode()
    stored: list[str | None] = [entry and metadata_json.dumps(entry).decode() for entry in entries]
    for row, vector in zip(rows, vectors.as_json()):
        text = stored[row]
        stored[row] = f"{text[:-1]},{written}:{vector}}}" if text else f"{{{written}:{vector}}}"
    return EncodedMetadata(stored, None, entries, {source.key: (np.array(rows, np.int64), vectors)})


def _entries(batch: Batch) -> list[Any]:
    if batch.metadatas is None:
        return [None] * len(batch.ids)
    return list(batch.metadatas)


def embedded(source: SparseSource, texts: list[str], *, queries: bool = False) -> list[SparseVector]:
    """Embed texts, at least one. Raises InvalidArgumentError if the function does not answer as it should."""
    function = source.function
    embed = getattr(function, "embed_query", function) if queries else function
    vectors = embed(input=texts)
    if not isinstance(vectors, list) or not all(isinstance(each, SparseVector) for each in vectors):
        raise InvalidArgumentError(
            f"the embedding function {type(function).__name__} of the key {source.key!r} must return a list "
            "of SparseVector"
        )
    if len(vectors) != len(texts):
        raise InvalidArgumentError(
            f"the embedding function {type(function).__name__} of the key {source.key!r} returned "
            f"{len(vectors)} vectors for {len(texts)} texts"
        )
    from ..embedding.providers.chroma_bm25 import ChromaBm25EmbeddingFunction  # loads the rules for words

    if type(function) is not ChromaBm25EmbeddingFunction:  # which makes valid vectors, and many
        _check(source, vectors)
    return vectors


def _check(source: SparseSource, vectors: list[SparseVector]) -> None:
    for row, vector in enumerate(vectors):
        try:
            check_again(vector)
        except ValueError as error:
            raise InvalidArgumentError(
                f"the embedding function {type(source.function).__name__} of the key {source.key!r} returned "
                f"an invalid vector for the text {row}: {error}"
            ) from None


def for_query(found: Mapping[str, SparseSource], key: str) -> SparseSource:
    """Return the source of a key whose function embeds the text of a query. Raises InvalidArgumentError."""
    source = found.get(key)
    if source is None or source.function is None:
        why = ", because it has no sparse index in the schema" if source is None else ""
        raise InvalidArgumentError(
            f"the key {key!r} has no sparse embedding function{why}, so the text of Knn cannot be embedded: "
            "pass a vector, or create the collection with a schema that has "
            "create_index(SparseVectorIndexConfig(embedding_function=…), key=…)"
        )
    return source
