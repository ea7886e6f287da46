"""Metadata as typed columns, for filters.

Owns: the conversion of mappings to columns, and the two Parquet files of a segment. This module does not use
DuckDB.

A key whose values have several types has one column per type, named "type:key". Absent values are null. Keys
in at least 5 % of the rows (at most 200 columns) are in `attributes.parquet`, which has one row per record.
Rarer keys, and the elements of lists (type "str[]" and so on), are in `sparse.parquet`. Each of its rows has
the key, the type, the row, and the value in the column of its type. The rows are sorted by key and type. A
sparse vector has the type "sparse_vector" and no value there: it only says which rows have one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ..arrow.arrays import number_array, numbers, text_array, valid
from ..arrow.lazy_pyarrow import pa
from ..interface.columnar_metadata import by_key
from ..interface.errors import Corruption
from ..interface.sparse_matrix import SparseMatrix
from ..interface.sparse_vector import SparseVector
from ..io.checksummed_writer import Sink
from ..validation import parquet_pages
from . import sparse_entries
from .record_columns import decode_metadata
from .sparse_entries import Entries

Kind: TypeAlias = Literal[
    "str", "int", "float", "bool", "str[]", "int[]", "float[]", "bool[]", "sparse_vector"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Slot: TypeAlias = tuple[str, Kind]  # a key and the type of its values
RowIds = npt.NDArray[np.uint32]
Found: TypeAlias = dict[Slot, list[tuple[RowIds, list[Any]]]]  # values with their rows, in any order

# Measured (docs/decisions/0003): 10,000 wide columns cost 812 MB, and 244 ms per query. In a sorted sparse
# table, a filter on a rare key takes 0.6 ms.
WIDE_SHARE, WIDE_MOST = 0.05, 200
# Limits of the engine's Parquet files. Rare keys have no column of their own, and a row group has a million
# rows. Short values take more space as columns than as JSON: a one-byte value becomes an eight-byte number
# and a row number.
_MOST_COLUMNS, _MOST_GROUPS = 1024, 8192
_EXPANDED, _SPARE = 32, 64 << 20
_ENCODED = frozenset({"key", "type"})
_STEP = 65_536  # the most rows whose values are held as Python lists at the same time

_KIND_OF: dict[type, Literal["str", "int", "float", "bool", "sparse_vector"]] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    SparseVector: "sparse_vector",
}


_NUMPY_TYPES = {"int": np.int64, "float": np.float64, "bool": np.bool_}


@functools.cache
def arrow_types() -> dict[str, pa.DataType]:
    """Map the name of each scalar type to its Arrow type."""
    return {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


@dataclass(slots=True)
class MetadataColumns:
    """The metadata of `rows` rows, by slot.

    wide     an array with one value per row
    sparse   row numbers, and the values in these rows
    vectors  the components of the sparse vectors of each key. Columns that were read from files have none
    """

    rows: int
    wide: dict[Slot, pa.Array] = field(default_factory=dict)
    sparse: dict[Slot, tuple[RowIds, pa.Array]] = field(default_factory=dict)
    vectors: dict[str, Entries] = field(default_factory=dict)


def build(rows: int, blocks: Iterable[Sequence[str | None]]) -> MetadataColumns:
    """Make typed columns from the JSON texts of `rows` consecutive rows, given in blocks.

    Only one block at a time is held as Python values.
    """
    parts = _Parts({}, {})
    start = 0
    for block in blocks:
        mappings = decode_metadata(block)
        try:
            _gather(parts, start, mappings)
        except (ValueError, TypeError, LookupError, OverflowError) as error:  # never accepted on input
            raise Corruption(
                "the metadata of a record", f"it has a value of no known type: {error!r}"
            ) from error
        start += len(block)
    return parts.arranged(rows)


def from_mappings(rows: int, mappings: Sequence[Mapping[str, Any] | None]) -> MetadataColumns:
    """Make typed columns from mappings. A None value is treated as absent."""
    parts = _Parts({}, {})
    for start in range(0, rows, _STEP):
        _gather(parts, start, mappings[start : start + _STEP])
    return parts.arranged(rows)


class _Parts(NamedTuple):
    """The columns and vectors gathered so far."""

    columns: dict[Slot, list[tuple[RowIds, pa.Array]]]
    vectors: dict[str, list[Entries]]

    def arranged(self, rows: int) -> MetadataColumns:
        found = _arranged(rows, {slot: _joined(parts) for slot, parts in self.columns.items()})
        found.vectors |= {key: sparse_entries.join(parts) for key, parts in self.vectors.items()}
        return found


def add_vectors(found: MetadataColumns, key: str, rows: npt.NDArray[np.int64], given: SparseMatrix) -> None:
    """Add the sparse vectors of a key, which has no other values."""
    at = rows.astype(np.uint32)
    found.sparse[key, "sparse_vector"] = at, pa.nulls(len(at))
    found.vectors[key] = sparse_entries.of_matrix(at, given)


def from_columns(rows: int, columns: Mapping[tuple[str, str], pa.Array]) -> MetadataColumns:
    """Make typed columns from Arrow columns of `rows` values with nulls. Lists must not be empty."""
    found: dict[Slot, tuple[RowIds, pa.Array]] = {}
    for (key, kind), array in columns.items():
        if array.null_count == rows:
            continue
        at = np.flatnonzero(valid(array)).astype(np.uint32)
        values = array.drop_null()
        if kind.endswith("[]"):
            at = np.repeat(at, numbers(values.value_lengths()))
            values = values.flatten()
        slot: Slot = key, kind  # type: ignore[assignment]
        found[slot] = at, values.cast(arrow_types()[kind.removesuffix("[]")])
    return _arranged(rows, found)


def _arranged(rows: int, found: dict[Slot, tuple[RowIds, pa.Array]]) -> MetadataColumns:
    """Arrange frequent scalars as wide columns, and all other values as sparse columns."""
    often = sorted(
        (
            slot
            for slot, (at, _) in found.items()
            if slot[1] in arrow_types() and len(at) >= WIDE_SHARE * rows
        ),
        key=lambda slot: -len(found[slot][0]),
    )[:WIDE_MOST]
    result = MetadataColumns(rows)
    for slot in sorted(often):
        result.wide[slot] = _spread(rows, *found.pop(slot))
    for slot in sorted(found):
        result.sparse[slot] = found[slot]
    return result


def _joined(parts: Sequence[tuple[RowIds, pa.Array]]) -> tuple[RowIds, pa.Array]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([rows for rows, _ in parts]), pa.concat_arrays([values for _, values in parts])


def _gather(
    gathered: _Parts,
    start: int,
    mappings: Sequence[Mapping[str, Any] | None],
) -> None:
    """Add the values of consecutive rows, beginning with `start`. In each slot, the rows ascend."""
    for slot, parts in _collect(mappings).items():
        numbers, values = parts[0] if len(parts) == 1 else _in_order(parts)
        numbers = numbers + np.uint32(start)
        array = _array(values, slot[1].removesuffix("[]"))
        gathered.columns.setdefault(slot, []).append((numbers, array))
        if slot[1] == "sparse_vector":
            gathered.vectors.setdefault(slot[0], []).append(sparse_entries.of_vectors(numbers, values))


def _array(values: list[Any], kind: str) -> pa.Array:
    """Convert values of one type to an Arrow array."""
    if kind == "sparse_vector":
        return pa.nulls(len(values))
    return text_array(values) if kind == "str" else number_array(np.array(values, _NUMPY_TYPES[kind]))


def _in_order(parts: Sequence[tuple[RowIds, list[Any]]]) -> tuple[RowIds, list[Any]]:
    rows = np.concatenate([rows for rows, _ in parts])
    values = list(chain.from_iterable(values for _, values in parts))
    order = np.argsort(rows, kind="stable")
    return rows[order], [values[index] for index in order.tolist()]


def _collect(mappings: Sequence[Mapping[str, Any] | None]) -> Found:
    """Collect rows and values per key and type. Rows with the same keys are processed together, in C."""
    found: Found = {}
    if all(mappings) and (columns := by_key(mappings)) is not None:  # type: ignore[arg-type]
        every = np.arange(len(mappings), dtype=np.uint32)
        for key, values in columns.items():
            _collect_key(found, key, every, values)
        return found
    shapes: dict[tuple[str, ...], list[int]] = {}
    for row, mapping in enumerate(mappings):
        if mapping:
            shapes.setdefault(tuple(mapping), []).append(row)
    for keys, at in shapes.items():
        picked, rows = [mappings[row] for row in at], np.asarray(at, np.uint32)
        for key in keys:
            _collect_key(found, key, rows, list(map(itemgetter(key), picked)))  # type: ignore[arg-type]
    return found


def _collect_key(found: Found, key: str, rows: RowIds, values: list[Any]) -> None:
    types = set(map(type, values))
    for each in types - {type(None)}:
        at, given = rows, values
        if len(types) > 1:
            at = rows[np.fromiter((type(value) is each for value in values), np.bool_, len(values))]
            given = [value for value in values if type(value) is each]
        if each is not list:
            found.setdefault((key, _KIND_OF[each]), []).append((at, given))
            continue
        kinds = [_KIND_OF[type(items[0])] for items in given]
        for kind in set(kinds):
            mine = [items for items, of in zip(given, kinds) if of == kind]
            owners = at[np.fromiter((of == kind for of in kinds), np.bool_, len(kinds))]
            slot: Slot = key, f"{kind}[]"  # type: ignore[assignment]
            found.setdefault(slot, []).append(
                (np.repeat(owners, list(map(len, mine))), list(chain.from_iterable(mine)))
            )


def _spread(rows: int, at: RowIds, values: pa.Array) -> pa.Array:
    """Return an array with the values in their rows, and null in all other rows."""
    if len(at) == rows and np.all(at[1:] > at[:-1]):
        return values
    source = np.full(rows, -1, np.int64)
    source[at] = np.arange(len(at))
    return values.take(number_array(source, source >= 0))


# ------------------------------------------------------------------ Parquet


def write_wide(columns: MetadataColumns, sink: Sink) -> None:
    """Write `attributes.parquet`, with columns named "type:key"."""
    arrays = {f"{kind}:{key}": array for (key, kind), array in columns.wide.items()}
    _write(pa.table(arrays), sink)


class SparseColumns(NamedTuple):
    """All sparse values, concatenated by slot.

    slots    the slots
    numbers  the index of each value's slot in `slots`
    rows     the row of each value
    values   a column per scalar type, null where a value has another type
    """

    slots: list[Slot]
    numbers: npt.NDArray[np.int32]
    rows: RowIds
    values: dict[str, pa.Array]


def sparse_columns(columns: MetadataColumns) -> SparseColumns:
    """Concatenate the sparse values. Arrays are concatenated once per type, as there may be 10,000 slots."""
    slots = list(columns.sparse)
    counts = [len(rows) for rows, _ in columns.sparse.values()]
    values: dict[str, pa.Array] = {}
    for name, kind in arrow_types().items():
        parts: list[pa.Array] = []
        gap = 0
        for slot, count in zip(slots, counts, strict=True):
            if slot[1].removesuffix("[]") != name:
                gap += count
                continue
            if gap:
                parts.append(pa.nulls(gap, kind))
                gap = 0
            parts.append(columns.sparse[slot][1])
        values[name] = pa.concat_arrays([*parts, pa.nulls(gap, kind)])
    numbers = np.repeat(np.arange(len(slots), dtype=np.int32), counts)
    return SparseColumns(
        slots, numbers, np.concatenate([rows for rows, _ in columns.sparse.values()]), values
    )


def write_sparse(columns: MetadataColumns, sink: Sink) -> None:
    """Write `sparse.parquet`, with the columns key and type, row, and one value column per type."""
    sparse = sparse_columns(columns)
    numbers = number_array(sparse.numbers)
    fields: dict[str, pa.Array] = {
        "key": pa.DictionaryArray.from_arrays(numbers, text_array([key for key, _ in sparse.slots])),
        "type": pa.DictionaryArray.from_arrays(numbers, text_array([kind for _, kind in sparse.slots])),
        "row": number_array(sparse.rows),
        **sparse.values,
    }
    _write(pa.table(fields), sink)


def _write(table: pa.Table, sink: Sink) -> None:
    from pyarrow import parquet

    parquet.write_table(table, pa.PythonFile(sink, mode="w"), compression="zstd")


def read(rows: int, wide: pa.Buffer | None, sparse: pa.Buffer | None, most: int) -> MetadataColumns:
    """Read the files of `write_wide` and `write_sparse`.

    Raises ValueError, LookupError or OSError for other files.

    most  size of the metadata as JSON texts in bytes, which limits the size of its values

    Arrow reads without threads. Its threads hold the bytes for a moment longer than the read. If a thread
    released Python's memory while the interpreter is shutting down, the process would abort.
    """
    result = MetadataColumns(rows)
    try:
        if wide is not None:
            _take_wide(result, _table(wide, rows, rows, most))
        if sparse is not None:
            _take_sparse(result, _table(sparse, 1, most, most).combine_chunks())
    except (pa.ArrowException, MemoryError) as error:
        raise ValueError(str(error)) from error
    return result


def read_slots(rows: int, wide: pa.Buffer | None, sparse: pa.Buffer | None, most: int) -> set[Slot]:
    """Read the slots in the files of `write_wide` and `write_sparse`. Errors are as in `read`."""
    found: set[Any] = set()
    try:
        if wide is not None:
            names = _opened(wide, rows, rows).schema_arrow.names
            found |= {(key, kind) for kind, key in (name.split(":", 1) for name in names)}
        if sparse is not None:
            file = _opened(sparse, 1, most)
            _large_texts(memoryview(sparse).cast("B"), file, most)  # raises if it unpacks to too many bytes
            table = file.read(columns=["key", "type"], use_threads=False)
            found |= set(zip(table.column("key").to_pylist(), table.column("type").to_pylist()))
    except (pa.ArrowException, MemoryError) as error:
        raise ValueError(str(error)) from error
    kinds = {*arrow_types(), *(f"{name}[]" for name in arrow_types()), "sparse_vector"}
    odd = [slot for slot in found if not isinstance(slot[0], str) or slot[1] not in kinds]
    if odd:
        raise ValueError(f"it has values of the key {odd[0][0]!r} of the type {odd[0][1]!r}")
    return found


def _table(data: pa.Buffer, least: int, most: int, size: int) -> pa.Table:
    """Read and validate a Parquet file with `least` to `most` rows.

    size  the size of the metadata, like `most` in `read`
    """
    file = _opened(data, least, most)
    large = _large_texts(memoryview(data).cast("B"), file, size)
    if large:  # texts may be repeated very often, so these columns are first read as dictionary codes
        from pyarrow import parquet

        file = parquet.ParquetFile(pa.BufferReader(data), read_dictionary=large)
    table = file.read(use_threads=False)
    table.validate(full=True)
    if table.num_rows != file.metadata.num_rows:
        raise ValueError(f"it has {table.num_rows} rows, and says {file.metadata.num_rows}")
    return _decoded(table, large, size) if large else table


def _opened(data: pa.Buffer, least: int, most: int) -> Any:
    """Open a Parquet file, and check its rows and the types of its columns."""
    from pyarrow import parquet  # with the file systems, importing it takes a fifth of opening a database

    file = parquet.ParquetFile(pa.BufferReader(data))
    if not least <= file.metadata.num_rows <= most:
        raise ValueError(f"it has {file.metadata.num_rows} rows, not {least} to {most}")
    columns = file.schema_arrow
    if file.metadata.num_row_groups > _MOST_GROUPS or len(columns) > _MOST_COLUMNS:
        raise ValueError(f"it has {file.metadata.num_row_groups} groups of rows, and {len(columns)} columns")
    for column in columns:
        if column.type not in _stored_types() and not (column.name in _ENCODED and _is_encoded(column.type)):
            raise ValueError(f"its column {column.name!r} is of type {column.type}")
    return file


def _large_texts(data: memoryview, file: Any, size: int) -> list[str]:
    """Return the text columns that might be too large once decoded.

    Raises ValueError if all pages together are too large once unpacked.
    """
    most, unpacked, large = _SPARE + _EXPANDED * size, 0, set()
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group)
        for number in range(rows.num_columns):
            column = rows.column(number)
            found = parquet_pages.chunk(data, column)
            unpacked += found.unpacked
            if unpacked > most:
                raise ValueError(f"it unpacks to {unpacked} bytes or more, and there are {size} of metadata")
            if column.physical_type == "BYTE_ARRAY" and found.dictionary * rows.num_rows > most:
                large.add(str(column.path_in_schema))
    return sorted(large - _ENCODED)


def _decoded(table: pa.Table, names: list[str], size: int) -> pa.Table:
    """Replace dictionary codes by texts. Raises ValueError if these are larger than the metadata.

    All texts are part of the metadata, so even with repetitions they cannot be larger than it.
    """
    for name in names:
        index = table.column_names.index(name)
        column, total = table.column(index), 0
        for part in column.chunks if pa.types.is_dictionary(column.type) else []:
            lengths = _lengths(part.dictionary)
            codes = numbers(part.indices)
            total += int(lengths[codes[valid(part.indices)]].sum()) if len(lengths) else 0
        if total > size:
            raise ValueError(f"its column {name!r} has {total} bytes, and there are {size} of metadata")
        if pa.types.is_dictionary(column.type):
            table = table.set_column(index, name, column.cast(column.type.value_type))
    return table


def _lengths(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Return the size of each text in bytes."""
    from pyarrow import compute  # takes 20 ms to import

    return numbers(compute.binary_length(texts)).astype(np.int64)


def _is_encoded(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) and kind.value_type == pa.string())


@functools.cache
def _stored_types() -> frozenset[pa.DataType]:
    return frozenset({*arrow_types().values(), pa.large_string(), pa.uint32()})


def _is_of(array: pa.ChunkedArray | pa.Array, kind: str) -> bool:
    return array.type == arrow_types()[kind] or (kind == "str" and array.type == pa.large_string())


def _take_wide(result: MetadataColumns, table: pa.Table) -> None:
    for name in table.column_names:
        kind, key = name.split(":", 1)
        if kind not in arrow_types() or not _is_of(table.column(name), kind):
            raise ValueError(f"its column {name!r} is of type {table.column(name).type}")
        result.wide[key, kind] = table.column(name).combine_chunks()


def _take_sparse(result: MetadataColumns, table: pa.Table) -> None:
    keys, kinds = table.column("key").to_pylist(), table.column("type").to_pylist()
    at = table.column("row").combine_chunks()
    if at.type != pa.uint32() or at.null_count or int(numbers(at).max()) >= result.rows:
        raise ValueError(f"it has values of rows beyond the {result.rows} that there are, or of none")
    at = numbers(at)
    start = 0
    for end in range(1, len(keys) + 1):
        if end == len(keys) or keys[end] != keys[start] or kinds[end] != kinds[start]:
            name = str(kinds[start]).removesuffix("[]")
            if keys[start] is not None and name == "sparse_vector":
                values = pa.nulls(end - start)
            elif keys[start] is None or name not in arrow_types() or not _is_of(table.column(name), name):
                raise ValueError(f"it has values of the key {keys[start]!r} of the type {kinds[start]!r}")
            else:
                values = table.column(name).slice(start, end - start).combine_chunks()
            result.sparse[keys[start], kinds[start]] = at[start:end], values
            start = end
