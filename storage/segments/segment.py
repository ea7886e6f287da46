"""A segment, an immutable group of records in files: write it, map it, read rows from it.

Owns: the files in a segment folder `seg-<n>/` except the graph. This module does not deal with commits.

    vectors.arrow       one batch: vector (fixed-size list of float32), norm (float32, squared length)
    records.arrow       one batch: position, id, document, uri, metadata; sorted by position
    ids.arrow           one batch: hash (xxh3 of the id, sorted), row
    attributes.parquet  filter columns, see schema/metadata_columns.py; absent if there are none
    sparse.parquet      rare keys and list elements; absent if there are none

When the values of many rows have changed, records.arrow and the two Parquet files are written again, with a
version in their names (`records-<12 digits>.arrow`). The rows, the vectors and ids.arrow stay as they are.

All Arrow files are uncompressed IPC, so the data can be used directly from a memory map. A file's size is
checked against the manifest when the file is mapped. Its checksum is checked before its first use in this
process.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xxhash

from ..arrow import ipc_file
from ..arrow.arrays import WIDE_TEXT, narrow_text, number_array, text_array, to_list, vector_array
from ..arrow.lazy_pyarrow import pa
from ..arrow.text_column import Text
from ..index import segment_index
from ..interface.errors import Corruption
from ..interface.values import Floats
from ..io.checksummed_writer import Sink
from ..io.disk import Folder
from ..manifest import FileRef, IndexRef, SegmentRef, random_name
from ..postings import postings, postings_file
from ..schema import metadata_columns
from ..schema.metadata_columns import MetadataColumns, Slot
from ..schema.record_columns import TEXT_FIELDS, Columns, Ints
from ..schema.sparse_entries import Entries
from ..validation import column_offsets, file_names
from ..validation.json_fields import LARGEST
from ..vectors import distance
from .parallel_writer import ParallelWriter

Hashes = npt.NDArray[np.uint64]
VECTORS, RECORDS, IDS = "vectors.arrow", "records.arrow", "ids.arrow"
WIDE, SPARSE = "attributes.parquet", "sparse.parquet"
_BLOCK_ROWS = 65_536
_KNOWN_OF = {VECTORS: ("vectors", "norms", "lengths"), IDS: ("by hash",)}  # what is made of files that stay
_FEW_ROWS, _SPACING = 64, 16  # of more rows at smaller distances, the rows between are read, too
_SMALL = 3 << 20  # numbers whose lengths take less than a millisecond; larger segments have graphs


def hash_ids(ids: Sequence[str]) -> Hashes:
    """Compute the xxh3 hash of each id's UTF-8 bytes."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, map(str.encode, ids)), np.uint64, len(ids))


def squared_norms(vectors: Floats) -> Floats:
    """Compute the squared length of each row, float32."""
    out: Floats = np.einsum("ij,ij->i", vectors, vectors)
    return out


def _write_batch(sink: Sink, batch: pa.RecordBatch) -> None:
    with pa.ipc.new_file(pa.PythonFile(sink, mode="w"), batch.schema) as writer:
        writer.write_batch(batch)


@dataclass(slots=True)
class StoredRows:
    """Records to be written into a segment, sorted by position. All columns have the same length.

    `texts` has an Arrow string array for each of TEXT_FIELDS.
    """

    positions: Ints
    texts: dict[str, pa.Array]
    hashes: Hashes
    vectors: Floats

    @classmethod
    def from_columns(cls, columns: Columns) -> StoredRows:
        """Convert columns, and sort them by position if necessary."""
        texts = {field: text_array(text) for field, text in zip(TEXT_FIELDS, columns.texts())}
        rows = cls(columns.positions, texts, hash_ids(columns.ids), columns.vectors)
        steps = np.diff(columns.positions)
        return rows if np.all(steps > 0) else rows.take(np.argsort(columns.positions))

    @classmethod
    def concatenate(
        cls,
        parts: Sequence[StoredRows],
        space: Callable[[int], memoryview],
        copied: Callable[[int], None] = lambda _: None,
    ) -> StoredRows:
        """Merge several sorted groups into one, sorted by position.

        space   allocates the memory for the vectors, the only column that is large
        copied  called with the index of each part whose vectors were read
        """
        positions = np.concatenate([part.positions for part in parts])
        hashes = np.concatenate([part.hashes for part in parts])
        order = None if np.all(np.diff(positions) > 0) else np.argsort(positions, kind="stable")
        texts = {field: joined_texts([part.texts[field] for part in parts], order) for field in TEXT_FIELDS}
        shape = len(positions), parts[0].vectors.shape[1]
        vectors: Floats = np.frombuffer(space(4 * shape[0] * shape[1]), np.float32).reshape(shape)
        destination = np.arange(len(positions))
        if order is not None:
            destination[order] = np.arange(len(positions))
            positions, hashes = positions[order], hashes[order]
        start = 0
        for number, part in enumerate(parts):
            for at in range(0, len(part.vectors), _BLOCK_ROWS):
                block = part.vectors[at : at + _BLOCK_ROWS]
                vectors[destination[start : start + len(block)]] = block
                start += len(block)
            copied(number)
        return cls(positions, texts, hashes, vectors)

    def take(self, order: Ints) -> StoredRows:
        picked = number_array(order)
        texts = {field: array.take(picked) for field, array in self.texts.items()}
        return StoredRows(self.positions[order], texts, self.hashes[order], self.vectors[order])

    def metadata_columns(self) -> MetadataColumns:
        """Make the filter columns."""
        metadata, count = self.texts["metadata"], len(self.positions)
        blocks = (to_list(metadata.slice(start, _BLOCK_ROWS)) for start in range(0, count, _BLOCK_ROWS))
        return metadata_columns.build(count, blocks)


def joined_texts(arrays: Sequence[pa.Array], order: Ints | None) -> pa.Array:
    """Concatenate text columns, then put their rows in the given order."""
    if order is None and sum(array.nbytes for array in arrays) < WIDE_TEXT:
        return pa.concat_arrays([array.cast(pa.string()) for array in arrays])
    whole = pa.concat_arrays([array.cast(pa.large_string()) for array in arrays])
    return narrow_text(whole if order is None else whole.take(number_array(order)))


class Storable(Protocol):
    """The content of a segment: columns of the same length, sorted by position.

    The writer requests the columns in the order in which they stand here. It writes the first columns while
    later ones are computed.
    """

    @property
    def positions(self) -> Ints: ...
    @property
    def vectors(self) -> Floats: ...
    @property
    def texts(self) -> dict[str, pa.Array]: ...
    @property
    def hashes(self) -> Hashes: ...
    def metadata_columns(self) -> MetadataColumns: ...


def write_segment(folder: Folder, name: str, rows: Storable) -> SegmentRef:
    """Write and sync the files of a new segment. Its name is durable once `folder` is synced."""
    home = folder.child(name)
    home.create(parents=False)
    try:
        with ParallelWriter(home) as writer:
            keys = _put_files(writer, rows)
            files = writer.finish()
        home.sync()
        count = len(files) - len(keys)
        indexes = tuple(
            IndexRef(postings_file.KIND, key, postings_file.SETTINGS, file)
            for key, file in zip(keys, files[count:], strict=True)
        )
        return SegmentRef(name, len(rows.positions), rows.vectors.shape[1], files[:count], indexes=indexes)
    except BaseException:
        home.discard()  # no other code knows its name yet
        raise


def _put_files(writer: ParallelWriter, rows: Storable) -> list[str]:
    """Write the files. Returns the keys of sparse vectors, whose inverted indexes are the last files."""
    writer.put(VECTORS, lambda sink: _write_batch(sink, _vector_batch(rows.vectors)))
    _put_records(writer, rows)
    order = np.argsort(rows.hashes, kind="stable")
    ids = pa.RecordBatch.from_arrays(
        [number_array(rows.hashes[order]), number_array(order.astype(np.uint32))], ["hash", "row"]
    )
    writer.put(IDS, lambda sink: _write_batch(sink, ids))
    return _put_metadata(writer, rows)


def _put_records(writer: ParallelWriter, rows: Storable, version: str = "") -> None:
    columns = [number_array(rows.positions), *(rows.texts[field] for field in TEXT_FIELDS)]
    records = pa.RecordBatch.from_arrays(columns, ["position", *TEXT_FIELDS])
    writer.put(_versioned(RECORDS, version), lambda sink: _write_batch(sink, records))


def _put_metadata(writer: ParallelWriter, rows: Storable, version: str = "") -> list[str]:
    typed = rows.metadata_columns()
    if typed.wide:
        writer.put(_versioned(WIDE, version), lambda sink: metadata_columns.write_wide(typed, sink))
    if typed.sparse:
        writer.put(_versioned(SPARSE, version), lambda sink: metadata_columns.write_sparse(typed, sink))
    count = len(rows.positions)
    for key, entries in typed.vectors.items():
        writer.put(f"index-{random_name()}.idx", partial(_write_postings, key, entries, count))
    return list(typed.vectors)


def _versioned(name: str, version: str) -> str:
    return name.replace(".", f"-{version}.") if version else name


def rewrite_values(folder: Folder, ref: SegmentRef, rows: StoredRows, kept: Collection[str]) -> SegmentRef:
    """Write the texts and the metadata of all rows of a segment again, beside the files that they replace.

    The vectors, ids.arrow and the graph stay. The new files are durable on return.

    folder  the folder of the collection
    rows    all rows of the segment, with their new values
    kept    the columns that are as before, whose indexes stay
    """
    home, version = folder.child(ref.name), random_name()
    with ParallelWriter(home) as writer:
        _put_records(writer, rows, version)
        keys = _put_metadata(writer, rows, version)
        written = writer.finish()
    home.sync()
    count = len(written) - len(keys)
    postings_of = zip(keys, written[count:], strict=True)
    return ref._replace(
        files=(*(file for file in ref.files if file.name in (VECTORS, IDS)), *written[:count]),
        indexes=(
            *(each for each in ref.indexes if each.key in kept and each.kind != postings_file.KIND),
            *(IndexRef(postings_file.KIND, key, postings_file.SETTINGS, file) for key, file in postings_of),
        ),
        values=None,
    )


def _write_postings(key: str, entries: Entries, rows: int, sink: Sink) -> None:
    segment_index.write(
        sink,
        postings_file.content_of(postings.build(entries)),
        kind=postings_file.KIND,
        key=key,
        settings=postings_file.SETTINGS,
        rows=rows,
    )


def write_postings(folder: Folder, ref: SegmentRef, index: IndexRef) -> IndexRef | None:
    """Write the inverted index of the sparse vectors at a key again. None if there are none.

    The file has the same name and content as before, because a log may name it, too.

    folder  the folder of the collection
    """
    segment, home = Segment(folder, ref), folder.child(ref.name)
    key, name = index.key, index.file.name
    metadata = segment.arrow_text("metadata")
    blocks = (to_list(metadata.slice(start, _BLOCK_ROWS)) for start in range(0, ref.rows, _BLOCK_ROWS))
    entries = metadata_columns.build(ref.rows, blocks).vectors.get(key)
    if entries is None:
        return None
    with home.write_file(name) as sink:
        _write_postings(key, entries, ref.rows, sink)
    home.sync()
    file = FileRef(name, sink.size, sink.digest())
    return IndexRef(postings_file.KIND, key, postings_file.SETTINGS, file)


def _vector_batch(vectors: Floats) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [vector_array(vectors), number_array(squared_norms(vectors))], ["vector", "norm"]
    )


class Segment:
    """An open segment. Its files are mapped at once and checked on first use."""

    def __init__(self, folder: Folder, ref: SegmentRef) -> None:
        self.name = ref.name
        self.rows = ref.rows
        self.dimension = ref.dimension
        # The metadata keys with sparse vectors. A segment is written with the index of each.
        self.sparse_keys = frozenset(each.key for each in ref.indexes if each.kind == postings_file.KIND)
        self._folder = folder.child(ref.name)
        self._files = {file_names.role(file.name): file for file in ref.files}
        self.content = ref.content
        self._lock = threading.Lock()
        self._cache: dict[str, Any] = {}
        self._texts: dict[str, Text] = {}
        # Mapped now and read later, because a map stays readable after another process has removed its file.
        self._maps = {role: self._folder.map(file.name, file.bytes) for role, file in self._files.items()}
        vectors = self._files.get(VECTORS)  # a repair opens what is left of a segment
        self._random_vectors = (
            None if vectors is None else self._folder.map_at_random(vectors.name, vectors.bytes)
        )

    def __repr__(self) -> str:
        return f"Segment({self.name}, rows={self.rows}, dimension={self.dimension})"

    def with_files(self, folder: Folder, ref: SegmentRef) -> Segment:
        """Open the segment with other files of the values of its rows.

        What is known of its vectors and ids, which stay, need not be read and checked again.
        """
        other = Segment(folder, ref)
        for name, keys in _KNOWN_OF.items():
            if other._files[name] == self._files[name]:
                other._maps[name] = self._maps[name]
                for key in (f"checked {name}", f"columns {name}", *keys):
                    if key in self._cache:
                        other._cache[key] = self._cache[key]
        return other

    @property
    def base(self) -> Segment:
        """The segment without patches, which its indexes describe."""
        return self

    def file_bytes(self, name: str) -> int:
        """Return the size of one of its files, without reading it."""
        return self._files[name].bytes

    def _map(self, name: str) -> memoryview:
        """Return the file's bytes, whose checksum is checked on first use."""
        file, data = self._files[name], self._maps[name]
        checked = f"checked {name}"
        if checked not in self._cache:
            if xxhash.xxh3_64_hexdigest(data) != file.xxh3:
                raise Corruption(self._path(name), "its content does not match its checksum")
            self._cache[checked] = True
        return data

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Turn a parse error into a Corruption that names the file."""
        try:
            yield
        except ipc_file.NOT_READABLE as error:
            raise self._odd(name, error) from error

    def _odd(self, name: str, error: Exception) -> Corruption:
        return Corruption(self._path(name), f"it cannot be read as a segment's file: {error!r}")

    def _path(self, name: str) -> str:
        return f"{self._folder.path}/{self._files[name].name}"

    def _columns(self, name: str) -> dict[str, ipc_file.Column]:
        """Read the columns of an Arrow file without importing pyarrow."""
        with self._lock:
            key = f"columns {name}"
            if key not in self._cache:
                data = self._map(name)
                with self._reading(name):
                    found = ipc_file.columns(data, self.rows)
                    self._check(name, found)
                    self._cache[key] = found
            columns: dict[str, ipc_file.Column] = self._cache[key]
            return columns

    def _check(self, name: str, columns: dict[str, ipc_file.Column]) -> None:
        """Check, once per process, what later readers rely on. Raises one of NOT_READABLE.

        The checksum is not enough, because an attacker who forges a file can also compute its checksum.
        """
        if name == RECORDS:
            texts = {field: Text(columns[field], self.rows) for field in TEXT_FIELDS}
            for text in texts.values():
                text.check()
            if columns["id"].nulls:
                raise ValueError(f"{columns['id'].nulls} of its ids are null")
            positions = np.frombuffer(columns["position"].buffers[-1], np.int64, self.rows)
            if not (column_offsets.ascends(positions) and positions[0] >= 0 and positions[-1] <= LARGEST):
                raise ValueError("its positions do not ascend")
            self._texts.update(texts)
        elif name == IDS:
            rows = np.frombuffer(columns["row"].buffers[-1], np.uint32, self.rows)
            if not column_offsets.names_each(rows):
                raise ValueError("it does not name each row once")

    def _once(self, key: str, make: Any) -> Any:
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def _numbers(self, name: str, column: str, kind: type[np.generic], width: int = 1) -> npt.NDArray[Any]:
        """Return a column of numbers without nulls, as a view of the map.

        width  the number of values per row, for a column of fixed-size lists
        """
        columns = self._columns(name)
        with self._reading(name):
            return np.frombuffer(columns[column].buffers[-1], kind, self.rows * width)

    @property
    def positions(self) -> Ints:
        """The position of each row, int64 (rows,), ascending."""
        out: Ints = self._once("positions", lambda: self._numbers(RECORDS, "position", np.int64))
        return out

    @property
    def vectors(self) -> Floats:
        """The stored vectors, float32 (rows, dimension), as a view of the map."""

        def make() -> Floats:
            flat = self._numbers(VECTORS, "vector", np.float32, self.dimension)
            return flat.reshape(self.rows, self.dimension)

        out: Floats = self._once("vectors", make)
        return out

    @property
    def unchecked_vectors(self) -> Floats:
        """The stored vectors, whose checksum may not have been compared yet.

        A graph of codes has sums of its own, and checks the blocks that it reads. So the first search of a
        process need not read all vectors.
        """
        data = self._maps[VECTORS] if self._random_vectors is None else self._random_vectors

        def make() -> Floats:
            with self._reading(VECTORS):
                columns = ipc_file.columns(data, self.rows)
                size = self.rows * self.dimension
                flat = np.frombuffer(columns["vector"].buffers[-1], np.float32, size)
            return flat.reshape(self.rows, self.dimension)

        checked = self._random_vectors is None and "vectors" in self._cache
        out: Floats = self._cache["vectors"] if checked else self._once("unchecked", make)
        return out

    def vectors_to_read(self, rows: Ints) -> Floats:
        """Return all stored vectors, checked, for a reader of these rows.

        If memory has no room for the file, and the rows are few or lie far apart, the system does not read
        around them.
        """
        vectors = self.vectors
        if self._random_vectors is None:
            return vectors
        if len(rows) > _FEW_ROWS and len(rows) * _SPACING > int(rows.max()) - int(rows.min()):
            return vectors
        return self.unchecked_vectors

    @property
    def norms(self) -> Floats:
        """The squared length of each vector, float32 (rows,)."""
        out: Floats = self._once("norms", lambda: self._numbers(VECTORS, "norm", np.float32))
        return out

    def evict_vectors(self) -> None:
        """Let the system evict the pages of the vectors. Called after a pass over all of them."""
        self._folder.evict(self._maps[VECTORS])

    @property
    def lengths(self) -> npt.NDArray[np.float64]:
        """The length of each vector, float64 (rows,), see distance.lengths. Computed once."""
        out: npt.NDArray[np.float64] = self._once("lengths", lambda: distance.lengths(self.vectors))
        return out

    def knows_lengths(self) -> bool:
        """Whether `lengths` is computed, or takes less than a millisecond."""
        return "lengths" in self._cache or self.rows * self.dimension <= _SMALL

    def text(self, field: str) -> Text:
        """Return one of the text columns, as it is in its file."""
        cached = self._texts.get(field)
        if cached is None:
            self._columns(RECORDS)
            cached = self._texts[field]
        return cached

    def arrow_text(self, field: str) -> pa.Array:
        """Return one of the text columns as an Arrow array, fully validated."""
        column, key = self._columns(RECORDS)[field], f"arrow {field}"
        with self._lock:
            if key not in self._cache:
                kind = pa.large_string() if column.wide else pa.string()
                bits, offsets, data = (pa.py_buffer(buffer) for buffer in column.buffers)
                buffers = [bits if column.nulls else None, offsets, data]
                array = pa.Array.from_buffers(kind, self.rows, buffers, -1 if column.nulls else 0)
                with self._reading(RECORDS):
                    array.validate(full=True)
                self._cache[key] = array
            return self._cache[key]

    def texts(self, field: str, rows: npt.NDArray[Any]) -> list[str | None]:
        try:
            return self.text(field).take(rows)
        except ValueError as error:  # the text is not UTF-8, or lies outside the file
            raise self._odd(RECORDS, error) from error

    def mappings(self, rows: npt.NDArray[Any]) -> list[dict[str, Any] | None]:
        """Decode the metadata of some rows."""
        try:
            return self.text("metadata").take_json(rows)
        except ValueError as error:
            raise self._odd(RECORDS, error) from error

    def column(self, field: str, rows: npt.NDArray[Any], span: slice | None) -> pa.Array:
        """Return a text column of some rows as Arrow strings. `span` is `rows` as a slice, or None."""
        array = self.arrow_text(field)
        if span is None or array.type != pa.string():  # 64-bit offsets are copied into ones that start at 0
            return array.take(number_array(rows)).cast(pa.string())
        return array.slice(span.start, span.stop - span.start)

    def sizes(self, field: str, rows: Ints) -> Ints:
        """Return the number of bytes of some rows in a text column, int64. A row without text has 0."""
        return self.text(field).sizes(rows)

    def size(self, field: str, rows: Ints) -> int:
        """Return the number of bytes of some rows in a text column together."""
        return self.text(field).size(rows)

    def documents(self, start: int, stop: int) -> pa.Array:
        return self.arrow_text("document").slice(start, stop - start)

    def locate_ids(self, ids: Sequence[str], hashes: Hashes) -> Ints:
        """Return the row with each id, even if it is deleted, or -1 if there is none."""
        sorted_hashes, rows_by_hash = self._by_hash()
        found = np.full(len(ids), -1, np.int64)
        at = np.searchsorted(sorted_hashes, hashes)
        maybe = np.flatnonzero((at < self.rows) & (sorted_hashes[np.minimum(at, self.rows - 1)] == hashes))
        if not len(maybe):
            return found
        rows = rows_by_hash[at[maybe]].astype(np.int64)
        names = self.texts("id", rows)
        if names == ids:  # all are here, and no two ids share a hash
            return rows
        for index, row, name in zip(maybe.tolist(), rows.tolist(), names):
            if name == ids[index]:
                found[index] = row
            else:  # another id has the same hash, so the search continues
                found[index] = self._look_on(ids[index], int(at[index]) + 1, sorted_hashes, rows_by_hash)
        return found

    def find(self, id: str) -> int:
        """Return the row with this id, even if it is deleted, or -1 if there is none."""
        hash = xxhash.xxh3_64_intdigest(id.encode())
        sorted_hashes, rows_by_hash = self._by_hash()
        at = int(sorted_hashes.searchsorted(np.uint64(hash)))
        if at == self.rows or sorted_hashes[at] != hash:
            return -1
        row = rows_by_hash[at : at + 1]
        if self.texts("id", row)[0] == id:
            return int(row[0])
        return self._look_on(id, at + 1, sorted_hashes, rows_by_hash)

    def _by_hash(self) -> tuple[Hashes, npt.NDArray[np.uint32]]:
        """Return the hashes of all ids, ascending, and their rows."""
        cached = self._cache.get("by hash")  # every add of a single record runs this line
        if cached is None:
            hashes, rows = self._numbers(IDS, "hash", np.uint64), self._numbers(IDS, "row", np.uint32)
            cached = self._cache["by hash"] = hashes, rows
        return cached

    def _look_on(self, id: str, at: int, hashes: Hashes, rows: npt.NDArray[Any]) -> int:
        while at < self.rows and hashes[at] == hashes[at - 1]:
            if self.texts("id", rows[at : at + 1])[0] == id:
                return int(rows[at])
            at += 1
        return -1

    def locate_positions(self, positions: Ints) -> Ints:
        """Return the row with each position, or -1 if there is none."""
        mine = self.positions
        at = np.searchsorted(mine, positions)
        hit = (at < self.rows) & (mine[np.minimum(at, self.rows - 1)] == positions)
        out: Ints = np.where(hit, at, -1)
        return out

    def metadata_columns(self) -> MetadataColumns:
        """Read the filter columns from their files, on every call."""
        with self._lock:
            wide = self._map(WIDE) if WIDE in self._files else None
            sparse = self._map(SPARSE) if SPARSE in self._files else None
        most = self.text("metadata").nbytes
        with self._reading(WIDE if wide is not None else SPARSE):
            return metadata_columns.read(self.rows, wide, sparse, most)

    def slots(self) -> set[Slot]:
        """Read the metadata keys and the types of their values, on every call. Their values are not read."""
        with self._lock:
            wide = self._map(WIDE) if WIDE in self._files else None
            sparse = self._map(SPARSE) if SPARSE in self._files else None
        most = self.text("metadata").nbytes
        with self._reading(WIDE if wide is not None else SPARSE):
            return metadata_columns.read_slots(self.rows, wide, sparse, most)

    def stored(self, rows: Ints) -> StoredRows:
        """Return the whole records of some rows, which ascend. All rows are returned as views of the maps."""
        sorted_hashes, rows_by_hash = self._by_hash()
        hashes = np.empty(self.rows, np.uint64)
        hashes[rows_by_hash] = sorted_hashes
        at = number_array(rows)
        if len(rows) == self.rows:
            texts = {field: self.arrow_text(field) for field in TEXT_FIELDS}
            return StoredRows(self.positions, texts, hashes, self.vectors)
        texts = {field: self.arrow_text(field).take(at) for field in TEXT_FIELDS}
        return StoredRows(self.positions[rows], texts, hashes[rows], self.vectors_to_read(rows)[rows])

    def verify(self) -> None:
        """Check the checksum of every file. Raises Corruption."""
        for name in self._files:
            self._map(name)
