"""Sparse vectors as an Arrow column: a struct of indices, values and labels."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from .sparse_vector import SparseVector

TYPE = pa.struct(
    [
        ("indices", pa.list_(pa.uint32())),
        ("values", pa.list_(pa.float32())),
        ("labels", pa.list_(pa.string())),
    ]
)


def to_array(vectors: Sequence[SparseVector | None]) -> pa.Array:
    """Return the vectors as an array of `TYPE`. None becomes null."""
    cells = [
        None
        if vector is None
        else {"indices": vector.indices, "values": vector.values, "labels": vector.labels}
        for vector in vectors
    ]
    return pa.array(cells, TYPE)


def is_sparse_vector(type: pa.DataType) -> bool:
    """Whether a column of this type holds sparse vectors: a struct with the fields of `TYPE`, in any order.

    The labels may be missing. Lists may be large lists. Whether the numbers are valid is checked per value.
    """
    if not pa.types.is_struct(type):
        return False
    fields = {type.field(index).name: type.field(index).type for index in range(type.num_fields)}
    lists = all(pa.types.is_list(of) or pa.types.is_large_list(of) for of in fields.values())
    return lists and {"indices", "values"} <= set(fields) <= {"indices", "values", "labels"}


def from_array(array: pa.Array) -> list[SparseVector | None]:
    """Return the vectors of a column that `is_sparse_vector` accepts. Raises ValueError for a bad vector."""
    return [
        None if cell is None else SparseVector(cell["indices"], cell["values"], cell.get("labels"))
        for cell in array.to_pylist()
    ]
