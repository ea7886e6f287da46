"""`Schema`: which indexes a collection has, and their settings.

Owns: the rules of `create_index` and `delete_index`.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

from ..errors import InvalidArgumentError, InvalidTypeError
from ..search.conditions import Key
from ..storage.interface.schema import DOCUMENT, EMBEDDING
from ..storage.interface.short_repr import shown
from . import json_form
from .cmek import Cmek
from .index_configs import (
    BoolInvertedIndexConfig,
    FloatInvertedIndexConfig,
    FtsIndexConfig,
    IntInvertedIndexConfig,
    SparseVectorIndexConfig,
    StringInvertedIndexConfig,
    VectorIndexConfig,
)
from .value_types import INDEX_OF_CONFIG, ValueTypes, set_index


class Schema:
    """Which indexes a collection has. It is given to `create_collection` and never changes afterwards.

        schema = Schema()
        schema.create_index(SparseVectorIndexConfig(
            embedding_function=ChromaBm25EmbeddingFunction(), source_key=K.DOCUMENT, bm25=True), key="lex")
        schema.delete_index(StringInvertedIndexConfig(), key="raw")

    defaults  the indexes of all keys without an entry in `keys`
    keys      the indexes of single keys. "#document" stands for documents, "#embedding" for vectors
    cmek      an encryption key of the hosted service
    A new Schema has the indexes for all filters and for vectors, and no sparse index.
    """

    __module__ = "chroma.api.types"
    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.defaults = ValueTypes()
        for off in (FtsIndexConfig(), VectorIndexConfig(), SparseVectorIndexConfig()):
            set_index(self.defaults, off, False)
        for on in (
            StringInvertedIndexConfig(),
            IntInvertedIndexConfig(),
            FloatInvertedIndexConfig(),
            BoolInvertedIndexConfig(),
        ):
            set_index(self.defaults, on, True)
        self.keys: dict[str, ValueTypes] = {DOCUMENT: ValueTypes(), EMBEDDING: ValueTypes()}
        set_index(self.keys[DOCUMENT], FtsIndexConfig(), True)
        set_index(self.keys[DOCUMENT], StringInvertedIndexConfig(), False)
        set_index(self.keys[EMBEDDING], VectorIndexConfig(source_key=DOCUMENT), True)
        self.cmek: Cmek | None = None

    def create_index(self, config: Any = None, key: str | Key | None = None) -> Schema:
        """Switch an index on, with settings. Returns the schema, so that calls can be chained.

        config  the settings of the index, such as SparseVectorIndexConfig(…)
        key     a metadata key, or "#document" for FtsIndexConfig; none: the defaults of all keys. A sparse
                index needs a key. The index of vectors takes none
        """
        name = _checked(config, key, "create")
        if isinstance(config, VectorIndexConfig):
            self._set_vectors(config)
        else:
            set_index(self._values_of(name), config, True)
        return self

    def delete_index(self, config: Any = None, key: str | Key | None = None) -> Schema:
        """Switch an index off. Values are stored all the same, and filters on them are refused.

        Takes the same arguments as `create_index`. The indexes of vectors and sparse vectors stay.
        """
        name = _checked(config, key, "delete")
        set_index(self._values_of(name), config, False)
        return self

    def set_cmek(self, cmek: Cmek | None) -> Schema:
        """Set an encryption key of the hosted service. Collections here refuse it."""
        if cmek is not None and not isinstance(cmek, Cmek):
            raise InvalidTypeError(f"Expected cmek to be a Cmek, got {shown(cmek)}")
        self.cmek = cmek
        return self

    def serialize_to_json(self) -> dict[str, Any]:
        """Return the schema as JSON data. A function is given by its name and settings."""
        return json_form.written(self.defaults, self.keys, self.cmek)

    @classmethod
    def deserialize_from_json(cls, data: dict[str, Any]) -> Schema:
        """Read the JSON data of `serialize_to_json`. Functions are rebuilt from their names.

        A function whose name is not registered in this process becomes None, with a warning.
        """
        schema = cls()
        schema.defaults, schema.keys, schema.cmek = json_form.read(data)
        return schema

    def __repr__(self) -> str:
        return f"Schema(defaults={self.defaults!r}, keys={self.keys!r}, cmek={self.cmek!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema):
            return NotImplemented
        return (self.defaults, self.keys, self.cmek) == (other.defaults, other.keys, other.cmek)

    def _values_of(self, key: str | None) -> ValueTypes:
        return self.defaults if key is None else self.keys.setdefault(key, ValueTypes())

    def _set_vectors(self, config: VectorIndexConfig) -> None:
        """Set the settings of vectors in both of their places. Documents are their source."""
        set_index(self.defaults, config, False)
        of_vectors = copy.copy(config)
        of_vectors.source_key = DOCUMENT
        set_index(self._values_of(EMBEDDING), of_vectors, True)


def _checked(config: Any, key: Any, verb: Literal["create", "delete"]) -> str | None:
    """Return the name of the key. Raises InvalidArgumentError for an index that cannot be changed there."""
    name = key.name if isinstance(key, Key) else key
    if name is not None and not isinstance(name, str):
        raise InvalidTypeError(f"Expected key to be a str or a Key, got {shown(key)}")
    if config is None:
        what = {"create": "enable all index types globally", "delete": "disable all indexes"}[verb]
        if name is not None:
            what = f"{what.split()[0]} all index types for key {name!r}"
        raise InvalidArgumentError(
            f"Cannot {what}. Must specify the config of one index, as in "
            f"{verb}_index(StringInvertedIndexConfig(), key=…)"
        )
    if type(config) not in INDEX_OF_CONFIG:
        raise InvalidTypeError(
            f"Expected config to be the settings of an index, got {shown(config)}: use one of "
            f"{', '.join(kind.__name__ for kind in INDEX_OF_CONFIG)}; settings of hnsw and spann are "
            "part of a VectorIndexConfig"
        )
    why = _reserved(config, name, verb) or _misplaced(config, name, verb)
    if why is not None:
        raise InvalidArgumentError(why)
    return name


def _reserved(config: Any, name: str | None, verb: str) -> str | None:
    """Return why the index of a key that begins with # cannot be changed."""
    if name == EMBEDDING:
        return (
            f"Cannot {verb} index on special key {EMBEDDING!r}: Cannot modify {EMBEDDING}. Its settings are "
            "those of create_index(VectorIndexConfig(…)), without a key"
        )
    if name == DOCUMENT and not isinstance(config, FtsIndexConfig):
        return (
            f"Cannot {verb} index on special key {DOCUMENT!r} with this config. Only FtsIndexConfig is "
            f"allowed for {DOCUMENT}"
        )
    if name is not None and name.startswith("#") and name != DOCUMENT:
        return f"key cannot begin with '#'. Keys starting with '#' are reserved for system use, got {name!r}"
    return None


def _misplaced(config: Any, name: str | None, verb: str) -> str | None:
    """Return why an index cannot be changed for this key, or for all keys."""
    if isinstance(config, VectorIndexConfig):
        if verb == "delete":
            return "Deleting vector index is not currently supported: each collection has one"
        if name is not None:
            return (
                "Vector index cannot be enabled on specific keys: each collection has one. Use "
                "create_index(VectorIndexConfig(…)), without a key"
            )
    if isinstance(config, FtsIndexConfig) and name != DOCUMENT:
        able = "FTS index can only be enabled" if verb == "create" else "Deleting FTS index is only supported"
        return f"{able} on {DOCUMENT} key: pass key={DOCUMENT!r}"
    if isinstance(config, SparseVectorIndexConfig):
        if verb == "delete":
            return "Deleting sparse vector index is not currently supported: leave it out of the schema"
        if name is None:
            return "Sparse vector index must be created on a specific key: pass key=…"
        if config.source_key is not None and config.embedding_function is None:
            return (
                "If source_key is provided then embedding_function must also be provided since there is no "
                f"default embedding function: the texts of {config.source_key!r} would not be embedded"
            )
    return None
