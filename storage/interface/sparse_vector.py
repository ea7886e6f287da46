"""`SparseVector`, and its form in JSON.

Owns: the JSON form of a sparse vector, `{"#type": "sparse_vector", "indices", "values"[, "tokens"]}`.
Code that reads metadata from JSON calls `restore`. Code that writes it calls `metadata_json.dumps`. This
module does not need orjson, which the light client may lack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from operator import lt
from typing import Any

import numpy as np

from .short_repr import shown

TYPE_KEY = "#type"
SPARSE_VECTOR_TYPE_VALUE = "sparse_vector"
MARK = b'"#type"'  # in JSON, this sequence of bytes is the key, never a part of a text
LARGEST_INDEX = (1 << 32) - 1
_LARGEST_VALUE = float(str(np.finfo(np.float32).max))  # as a float32 is written; it is read as the same one
_NUMBERS = frozenset({int, float, bool})


@dataclass(frozen=True, slots=True)
class SparseVector:
    """A vector stored as its non-zero components.

    indices  strictly increasing, from 0 to 2^32 - 1
    values   one finite number per index, within the range of float32
    labels   optional text per index

    Indices and values may be lists, tuples or one-dimensional arrays. They become lists. Raises ValueError
    for anything else.

        SparseVector([3, 17], [0.5, 1.25])
    """

    indices: list[int]
    values: list[float]
    labels: list[str] | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "indices", _listed("indices", self.indices))
        put(self, "values", _listed("values", self.values))
        if self.labels is not None:
            put(self, "labels", _listed("labels", self.labels))
        _check_lengths(self)
        put(self, "indices", _checked_indices(self.indices))
        put(self, "values", _checked_values(self.values))
        for label in self.labels or ():
            if not isinstance(label, str):
                raise ValueError(f"SparseVector labels must be strings: got {shown(label)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the vector as JSON data, with a mark of its type."""
        found: dict[str, Any] = {
            TYPE_KEY: SPARSE_VECTOR_TYPE_VALUE,
            "indices": self.indices,
            "values": self.values,
        }
        return found if self.labels is None else found | {"tokens": self.labels}

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> SparseVector:
        """Return the vector of JSON data that `to_dict` made. Raises ValueError for anything else."""
        if not isinstance(d, Mapping):
            raise ValueError(f"Expected a sparse vector as a mapping, got {shown(d)}")
        if d.get(TYPE_KEY) != SPARSE_VECTOR_TYPE_VALUE:
            raise ValueError(
                f"Expected {TYPE_KEY}={SPARSE_VECTOR_TYPE_VALUE!r} in a sparse vector, "
                f"got {shown(d.get(TYPE_KEY))}"
            )
        for field in ("indices", "values"):
            if field not in d:
                raise ValueError(f"a sparse vector needs {field!r}, got the keys {shown([*d])}")
        return cls(d["indices"], d["values"], d.get("tokens"))


SparseVector.__module__ = "chroma.types"  # a dataclass's body would look the module up


def _listed(name: str, given: Any) -> list[Any]:
    if type(given) is list:
        return given
    if isinstance(given, (list, tuple)):
        return list(given)
    if isinstance(given, np.ndarray) and given.ndim == 1:
        found: list[Any] = given.tolist()
        return found
    raise ValueError(
        f"Expected SparseVector {name} to be a list or a one-dimensional array: got {shown(given)}"
    )


def _check_lengths(vector: SparseVector) -> None:
    count = len(vector.indices)
    if len(vector.values) != count:
        raise ValueError(
            f"SparseVector indices and values must have the same length: got {count} and {len(vector.values)}"
        )
    if vector.labels is not None and len(vector.labels) != count:
        raise ValueError(
            f"SparseVector labels must have one entry per index: got {len(vector.labels)} for {count}"
        )


def _checked_indices(indices: list[Any]) -> list[int]:
    if not set(map(type, indices)) <= {int}:
        for index in indices:
            if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
                raise ValueError(f"SparseVector indices must be integers: got {shown(index)}")
        indices = list(map(int, indices))
    ascending = all(map(lt, indices, indices[1:]))
    if indices and (indices[0] if ascending else min(indices)) < 0:
        raise ValueError(f"SparseVector indices must be non-negative: got {shown(min(indices))}")
    if not ascending:
        before, after = next(pair for pair in pairwise(indices) if pair[0] >= pair[1])
        raise ValueError(
            "SparseVector indices must be sorted in strictly ascending order: "
            f"{shown(after)} follows {shown(before)}"
        )
    if indices and indices[-1] > LARGEST_INDEX:
        raise ValueError(f"SparseVector indices must be less than 2^32: got {shown(indices[-1])}")
    return indices


def _checked_values(values: list[Any]) -> list[float]:
    if not set(map(type, values)) <= _NUMBERS:
        for value in values:
            if not isinstance(value, (int, float, np.integer, np.floating, np.bool_)):
                raise ValueError(f"SparseVector values must be numbers: got {shown(value)}")
        # `item` of a longdouble returns the longdouble
        values = [float(value) if isinstance(value, np.floating) else value for value in values]
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
    # A comparison with NaN is false, and a sum with NaN is NaN.
    if values and not (
        min(values) >= -_LARGEST_VALUE and max(values) <= _LARGEST_VALUE and math.isfinite(sum(values))
    ):
        odd = next(value for value in values if not abs(value) <= _LARGEST_VALUE)
        raise ValueError(
            f"SparseVector values must be finite and within the range of float32: got {shown(odd)}"
        )
    return values


def check_again(vector: SparseVector) -> None:
    """Raise ValueError for a vector that is not valid: its lists were changed, or `unchecked` made it."""
    if not isinstance(vector, SparseVector):
        raise ValueError(f"Expected a SparseVector, got {shown(vector)}")
    SparseVector(vector.indices, vector.values, vector.labels)


def unchecked(indices: list[int], values: list[float], labels: list[str] | None) -> SparseVector:
    """Make a vector of parts that are known to be valid, in a third of the time."""
    vector, put = object.__new__(SparseVector), object.__setattr__
    put(vector, "indices", indices)
    put(vector, "values", values)
    put(vector, "labels", labels)
    return vector


# ---------------------------------------------------------------------------- metadata as JSON


def plain(value: Any) -> Any:
    """Return a sparse vector as JSON data, for orjson. The values are an array of float32.

    orjson writes the shortest decimal of each float32, so that 0.1 stays 0.1. Raises TypeError for other
    values.
    """
    if isinstance(value, SparseVector):
        return value.to_dict() | {"values": np.array(value.values, np.float32)}
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")


def has_objects(entries: Sequence[Mapping[str, Any] | None]) -> bool:
    """Whether a value of the metadata is a JSON object."""
    return dict in set(map(type, chain.from_iterable(map(dict.values, filter(None, entries)))))  # type: ignore[arg-type]


def restore(entries: Sequence[dict[str, Any] | None]) -> None:
    """Replace the sparse vectors in parsed metadata by instances. The mappings are changed.

    Raises ValueError for an object that is not a sparse vector.
    """
    for entry in entries:
        for key, value in entry.items() if entry else ():
            if type(value) is dict:
                entry[key] = SparseVector.from_dict(value)  # type: ignore[index]


def as_json(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return metadata whose sparse vectors are JSON data. Returns the same mapping if it has none."""
    if SparseVector not in set(map(type, metadata.values())):
        return metadata
    return {
        key: value.to_dict() if isinstance(value, SparseVector) else value for key, value in metadata.items()
    }
