"""The indexes of each type of values, which are on or off.

Owns: the classes, and the names of types and indexes in the JSON form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..storage.interface.schema import ValueType
from .index_configs import (
    BoolInvertedIndexConfig,
    FloatInvertedIndexConfig,
    FtsIndexConfig,
    IntInvertedIndexConfig,
    SparseVectorIndexConfig,
    StringInvertedIndexConfig,
    VectorIndexConfig,
)


@dataclass
class FtsIndexType:
    """The full-text index."""

    enabled: bool
    config: FtsIndexConfig


@dataclass
class StringInvertedIndexType:
    """The index of texts."""

    enabled: bool
    config: StringInvertedIndexConfig


@dataclass
class IntInvertedIndexType:
    """The index of integers."""

    enabled: bool
    config: IntInvertedIndexConfig


@dataclass
class FloatInvertedIndexType:
    """The index of floats."""

    enabled: bool
    config: FloatInvertedIndexConfig


@dataclass
class BoolInvertedIndexType:
    """The index of booleans."""

    enabled: bool
    config: BoolInvertedIndexConfig


@dataclass
class VectorIndexType:
    """The similarity index."""

    enabled: bool
    config: VectorIndexConfig


@dataclass
class SparseVectorIndexType:
    """The index of sparse vectors."""

    enabled: bool
    config: SparseVectorIndexConfig


@dataclass
class StringValueType:
    """The indexes of texts. None: the defaults count."""

    fts_index: FtsIndexType | None = None
    string_inverted_index: StringInvertedIndexType | None = None


@dataclass
class FloatListValueType:
    """The index of vectors."""

    vector_index: VectorIndexType | None = None


@dataclass
class SparseVectorValueType:
    """The index of sparse vectors."""

    sparse_vector_index: SparseVectorIndexType | None = None


@dataclass
class IntValueType:
    """The index of integers."""

    int_inverted_index: IntInvertedIndexType | None = None


@dataclass
class FloatValueType:
    """The index of floats."""

    float_inverted_index: FloatInvertedIndexType | None = None


@dataclass
class BoolValueType:
    """The index of booleans."""

    bool_inverted_index: BoolInvertedIndexType | None = None


@dataclass
class ValueTypes:
    """The indexes of a key, or of all keys without indexes of their own, by the type of the values."""

    string: StringValueType | None = None
    float_list: FloatListValueType | None = None
    sparse_vector: SparseVectorValueType | None = None
    int_value: IntValueType | None = None
    float_value: FloatValueType | None = None
    boolean: BoolValueType | None = None


# The field of ValueTypes, and its class, of each type in the JSON form.
VALUE_CLASSES: Mapping[ValueType, tuple[str, type]] = {
    "string": ("string", StringValueType),
    "float_list": ("float_list", FloatListValueType),
    "sparse_vector": ("sparse_vector", SparseVectorValueType),
    "int": ("int_value", IntValueType),
    "float": ("float_value", FloatValueType),
    "bool": ("boolean", BoolValueType),
}
# The class of each index, and of its settings.
INDEX_CLASSES: Mapping[str, tuple[type, type]] = {
    "fts_index": (FtsIndexType, FtsIndexConfig),
    "string_inverted_index": (StringInvertedIndexType, StringInvertedIndexConfig),
    "vector_index": (VectorIndexType, VectorIndexConfig),
    "sparse_vector_index": (SparseVectorIndexType, SparseVectorIndexConfig),
    "int_inverted_index": (IntInvertedIndexType, IntInvertedIndexConfig),
    "float_inverted_index": (FloatInvertedIndexType, FloatInvertedIndexConfig),
    "bool_inverted_index": (BoolInvertedIndexType, BoolInvertedIndexConfig),
}
# The type of values, and the name of the index, of each class of settings.
INDEX_OF_CONFIG: Mapping[type, tuple[ValueType, str]] = {
    INDEX_CLASSES[each.name][1]: (kind, each.name)
    for kind, (_, values) in VALUE_CLASSES.items()
    for each in fields(values)
}


def set_index(values: ValueTypes, config: Any, enabled: bool) -> None:
    """Switch the index that `config` belongs to on or off, with these settings."""
    kind, index = INDEX_OF_CONFIG[type(config)]
    field, of_values = VALUE_CLASSES[kind]
    if getattr(values, field) is None:
        setattr(values, field, of_values())
    setattr(getattr(values, field), index, INDEX_CLASSES[index][0](enabled, config))


for _name, _class in list(globals().items()):
    if isinstance(_class, type) and _name.endswith(("Type", "Types")) and _class.__module__ == __name__:
        _class.__module__ = "chroma.api.types"
