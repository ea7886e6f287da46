"""Writes the files of an export under temporary names and renames them when they are complete."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol, cast
from urllib.parse import quote

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from ..errors import InvalidArgumentError, InvalidTypeError
from ..internal.atomic_file import written_to
from ..internal.progress import bar
from ..storage.interface.short_repr import shown
from ..tables.column_names import OWN, mixed_key
from .file_discovery import Format, check_path, format_of, system_of
from .file_objects import Written, is_writable, name_of
from .reports import ExportReport

_MOST_PARTITIONS = 500  # files that are open at the same time
_NONE = "__HIVE_DEFAULT_PARTITION__"  # the usual name for the folder of records without the key
_ENDINGS: dict[Format, str] = {"parquet": ".parquet", "arrow": ".arrow", "jsonl": ".jsonl"}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_GROUP_ROWS = 65_536


class Writer(Protocol):
    """Writes batches of one schema."""

    def write(self, batch: pa.RecordBatch) -> None: ...
    def close(self) -> None: ...


class _Parquet:
    """Writes Parquet. Collects batches into row groups of tens of thousands of rows."""

    def __init__(self, sink: Any, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=_words(schema))
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._schema = schema

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= _GROUP_ROWS or sum(part.nbytes for part in self._waiting) >= 64 << 20:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema), self._rows)
        self._waiting, self._rows = [], 0

    def close(self) -> None:
        self._flush()
        self._writer.close()


def _words(schema: pa.Schema) -> list[str]:
    """Return the columns for dictionary encoding: text columns whose values tend to repeat."""
    return [
        field.name
        for field in schema
        if pa.types.is_string(field.type) and field.name not in ("id", "document")
    ]


class _Arrow:
    def __init__(self, sink: Any, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(sink, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()


class _Lines:
    """Writes JSON lines: one object per record without null fields, with the metadata as an object."""

    def __init__(self, sink: Any, schema: pa.Schema) -> None:
        self._sink = sink

    def write(self, batch: pa.RecordBatch) -> None:
        columns = {name: _listed(column) for name, column in zip(batch.schema.names, batch.columns)}
        names = list(columns)
        lines = []
        for values in zip(*columns.values()):
            record = {name: value for name, value in zip(names, values) if value is not None}
            if "metadata" in record:
                record["metadata"] = orjson.Fragment(record["metadata"])
            lines.append(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
        self._sink.write(b"".join(lines))

    def close(self) -> None:
        """Do nothing, because no data is buffered."""


class _Csv:
    """Writes CSV with a header, so that a reader that looks at quotes and points finds the types again.

    Texts are quoted, numbers and bools are not, and every float has a point or an exponent. Lists are JSON.
    """

    def __init__(self, sink: Any, schema: pa.Schema, delimiter: str = ",") -> None:
        self._sink, self._delimiter = sink, delimiter
        self._put(_quoted_texts(pa.array([name])) for name in schema.names)

    def write(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._put(_cells(column) for column in batch.columns)

    def _put(self, cells: Iterable[pa.Array]) -> None:
        lines = _joined(_joined(*cells, between=self._delimiter), _text(""), between="\n")
        # A new array without nulls: its values lie one after the other.
        _, ends, values = lines.buffers()
        self._sink.write(values.slice(0, int(np.frombuffer(ends, np.int64)[len(lines)])))

    def close(self) -> None:
        """Do nothing, because no data is buffered."""


def _cells(column: pa.Array) -> pa.Array:
    """Return the values of a column as the texts of CSV."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type):
        return _quoted_texts(_json_texts(column))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _quoted_texts(column)
    texts = column.cast(pa.large_string())
    if not pa.types.is_floating(column.type):
        return texts
    whole = pc.match_substring_regex(texts, "^-?[0-9]+$")
    return pc.if_else(whole, pc.binary_join_element_wise(texts, _text(".0"), _text("")), texts)


def _joined(*cells: Any, between: str) -> pa.Array:
    """Join texts row by row. None is an empty text."""
    return pc.binary_join_element_wise(*cells, _text(between), null_handling="replace", null_replacement="")


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())  # texts of 32 bit offsets may be too short for a batch


def _quoted_texts(column: pa.Array) -> pa.Array:
    texts = pc.replace_substring(column.cast(pa.large_string()), '"', '""')
    return pc.binary_join_element_wise(_text('"'), texts, _text('"'), _text(""))


def _json_texts(column: pa.Array) -> pa.Array:
    """Return lists as JSON texts. A missing list stays None."""
    numbers = pa.types.is_fixed_size_list(column.type) and not column.null_count
    texts = [
        None if value is None else orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        for value in (_listed(column) if numbers else column.to_pylist())
    ]
    return pa.array(texts, pa.string())


def _listed(column: pa.Array) -> Any:
    if pa.types.is_fixed_size_list(column.type):
        return list(column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1))
    if column.type == pa.string() and column.null_count < len(column):
        return column.to_numpy(zero_copy_only=False).tolist()
    return column.to_pylist()


_WRITERS: dict[str, Any] = {"parquet": _Parquet, "arrow": _Arrow, "jsonl": _Lines, "csv": _Csv}


def writer_of(format: Format, path: str, sink: Any, schema: pa.Schema) -> Writer:
    """Return the writer of a format. Files that end with .tsv have tabs between their cells."""
    if format == "csv" and path.removesuffix(".gz").removesuffix(".zst").endswith(".tsv"):
        return _Csv(sink, schema, "\t")
    writer: Writer = _WRITERS[format](sink, schema)
    return writer


class _File:
    """One file that is being written."""

    def __init__(self, system: Any, path: str, format: Format, schema: pa.Schema) -> None:
        self.path = path
        self._system = system
        self._aside = f"{path}.{uuid.uuid4().hex[:8]}.part"
        compression = next((name for end, name in _COMPRESSIONS.items() if path.endswith(end)), None)
        self._sink = system.open_output_stream(self._aside, compression=compression)
        self._writer = writer_of(format, path, self._sink, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write(batch)

    def finish(self) -> None:
        self._writer.close()
        self._sink.close()

    def publish(self) -> int:
        """Rename the file to its final path. Returns its size in bytes."""
        if isinstance(self._system, pafs.LocalFileSystem):
            with open(self._aside, "rb") as file:
                os.fsync(file.fileno())
        self._system.move(self._aside, self.path)
        return int(self._system.get_file_info(self.path).size)

    def drop(self) -> None:
        """Delete the incomplete file."""
        with suppress(pa.ArrowException, OSError):  # the original error is reported instead
            self._writer.close()
            self._sink.close()
        with suppress(OSError):
            if self._system.get_file_info(self._aside).type != pafs.FileType.NotFound:
                self._system.delete_file(self._aside)


class _Handed:
    """A file object that a caller opened. Arrow takes the form of a stream, which can be read from a pipe."""

    def __init__(self, target: Written, path: str, format: Format, schema: pa.Schema) -> None:
        self.path, self._target = path, target
        self._sink = pa.PythonFile(target, mode="w")
        self._writer: Writer = (
            pa.ipc.new_stream(self._sink, schema)
            if format == "arrow"
            else writer_of(format, path, self._sink, schema)
        )

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write(batch)

    def finish(self) -> None:
        self._writer.close()
        self._sink.close()

    def publish(self) -> int:
        """Return the number of bytes."""
        return self._target.bytes

    def drop(self) -> None:
        """Do nothing: the caller owns the file object."""


class Export:
    """One export. Call `begin` with a schema, `write` with batches, then `finish`. Always call `close`."""

    def __init__(
        self,
        collection: str,
        path: Any,
        *,
        format: str | None,
        columns: Any,
        partition_by: str | None,
        filesystem: Any,
        overwrite: bool,
        progress: bool | None,
    ) -> None:
        self._collection, self._key = collection, partition_by
        self._handed = Written(path) if is_writable(path) else None
        if self._handed is not None:
            self._system: Any = None
            self._path = name_of(path)
            if partition_by is not None or filesystem is not None:
                raise InvalidArgumentError(
                    "partition_by and filesystem are for paths, and path is a file object"
                )
        else:
            self._system, self._path = system_of(check_path(path, "path"), filesystem)
        if partition_by is not None and not isinstance(partition_by, str):
            raise InvalidTypeError(f"Expected partition_by to be a metadata key, got {shown(partition_by)}")
        kind = format or format_of(self._path) or ("parquet" if partition_by is not None else None)
        if kind not in _WRITERS:
            why = "has no known ending" if kind is None else f"cannot be written as {shown(kind)}"
            raise InvalidArgumentError(
                f"the file {shown(self._path, 200)} {why}: end it with .parquet, .arrow, .csv, .tsv or "
                ".jsonl, or pass format='parquet', 'arrow', 'csv' or 'jsonl'"
            )
        self.format = cast(Format, kind)
        if partition_by is not None and self.format in ("jsonl", "csv"):
            raise InvalidArgumentError(
                "partition_by is for Parquet and Arrow: JSON lines and CSV are one file"
            )
        names = [columns] if isinstance(columns, str) else columns or ()
        if self.format == "jsonl" and (keys := [name for name in names if name not in OWN]):
            raise InvalidArgumentError(
                f"columns has {shown(keys[0])}: JSON lines have the metadata as one object, so choose among "
                f"{', '.join(OWN)}, or write Parquet, Arrow or CSV"
            )
        if self._handed is None:
            with self._writing():
                self._check_path(overwrite)
        self._overwrite = overwrite
        self._files: dict[str, _File | _Handed] = {}
        self._schema: pa.Schema | None = None
        self._rows = 0
        self._published = False
        self._started = time.perf_counter()
        self._bar = bar(progress, collection, unit=" rows", option="progress=True")

    def _check_path(self, overwrite: bool) -> None:
        info = self._system.get_file_info(self._path)
        if info.type == pafs.FileType.NotFound:
            return
        is_folder = info.type == pafs.FileType.Directory
        if self._key is None and is_folder:
            raise InvalidArgumentError(
                f"{self._path} is a folder: name a file in it, or pass partition_by to fill it"
            )
        if self._key is not None and not is_folder:
            raise InvalidArgumentError(f"{self._path} is a file: partition_by needs the name of a folder")
        full = not is_folder or bool(self._system.get_file_info(pafs.FileSelector(self._path)))
        if full and not overwrite:
            raise InvalidArgumentError(f"{self._path} exists: choose another name, or pass overwrite=True")

    def _writing(self) -> written_to:
        return written_to(self._path, "nothing was exported; free some space or name another place")

    def begin(self, schema: pa.Schema) -> None:
        """Open the files for batches of this schema."""
        with self._writing():
            self._begin(schema)

    def _begin(self, schema: pa.Schema) -> None:
        self._schema = schema
        if self._handed is not None:
            self._files[""] = _Handed(self._handed, self._path, self.format, schema)
            return
        if self._key is None:
            folder = self._path.rpartition("/")[0]
            if folder:
                self._system.create_dir(folder, recursive=True)
            self._open("", self._path)
            return
        if self._key not in schema.names:
            mixed = any(mixed_key(name) == self._key for name in schema.names)
            why = "has values of several types" if mixed else "is none that the records have"
            raise InvalidArgumentError(f"partition_by={self._key!r}: the key {why}; choose another")
        if pa.types.is_nested(schema.field(self._key).type) or pa.types.is_floating(
            schema.field(self._key).type
        ):
            raise InvalidArgumentError(
                f"partition_by={self._key!r}: its values are {schema.field(self._key).type}; a file per "
                "value is for str, int and bool"
            )
        self._system.create_dir(self._path, recursive=True)

    def _open(self, name: str, path: str) -> _File | _Handed:
        if len(self._files) >= _MOST_PARTITIONS:
            raise InvalidArgumentError(
                f"partition_by={self._key!r} has more than {_MOST_PARTITIONS} values: choose a key with fewer"
            )
        assert self._schema is not None
        file = self._files[name] = _File(self._system, path, self.format, self._schema)
        return file

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the next records."""
        with self._writing():
            if self._key is None:
                self._files[""].write(batch)
            else:
                self._divide(batch)
        self._rows += batch.num_rows
        if self._bar is not None:
            self._bar.update(batch.num_rows)

    def _divide(self, batch: pa.RecordBatch) -> None:
        codes = batch.column(batch.schema.get_field_index(self._key)).dictionary_encode(
            null_encoding="encode"
        )
        numbers = codes.indices.to_numpy(zero_copy_only=False)
        for number, value in enumerate(codes.dictionary.to_pylist()):
            rows = np.flatnonzero(numbers == number)
            if not len(rows):
                continue
            name = _NONE if value is None else _quoted(value)
            file = self._files.get(name)
            if file is None:
                folder = f"{self._path}/{_folder_key(self._key or '')}={name}"
                self._system.create_dir(folder, recursive=True)
                file = self._open(name, f"{folder}/part-0{_ENDINGS[self.format]}")
            file.write(pa.RecordBatch.from_struct_array(pc.take(batch.to_struct_array(), pa.array(rows))))

    def finish(self) -> ExportReport:
        """Complete the files and rename them to their final paths."""
        with self._writing():
            for file in self._files.values():
                file.finish()
            sizes = [file.publish() for file in self._files.values()]
        self._published = True
        if self._key is not None and self._overwrite:
            with written_to(self._path, "the export is whole, and files of an earlier one are beside it"):
                self._clear({file.path for file in self._files.values()})
        return ExportReport(
            self._collection,
            self._rows,
            tuple(file.path for file in self._files.values()),
            sum(sizes),
            time.perf_counter() - self._started,
        )

    def _clear(self, new: set[str]) -> None:
        """Delete only the files of an earlier export, which readers would combine with the new files."""
        for info in self._system.get_file_info(pafs.FileSelector(self._path, recursive=True)):
            folder, _, name = info.path.rpartition("/")
            ours = "=" in folder.rpartition("/")[2] and name in {
                f"part-0{ending}" for ending in _ENDINGS.values()
            }
            if info.type == pafs.FileType.File and ours and info.path not in new:
                self._system.delete_file(info.path)

    def close(self) -> None:
        """Delete incomplete files."""
        if self._bar is not None:
            self._bar.close()
        if not self._published:
            for file in self._files.values():
                file.drop()


def _folder_key(key: str) -> str:
    """Encode a key so that its folder is not hidden. Readers skip names with a leading dot or underscore."""
    text = quote(key, safe="")
    return f"%{ord(text[0]):02X}{text[1:]}" if text[0] in "._" else text


def _quoted(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return quote(text, safe=" ") or "%00"
