"""Reads a folder that chromadb 0.4 to 1.5 wrote: `chroma.sqlite3` and its index files. Never changes it.

SQLite tables hold a record's id, metadata, document and uri. Its vector is in the collection's index, or
in the log if it is newer than the index. `chromadb_wal` determines which.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import DEFAULT_DATABASE, DEFAULT_TENANT
from ..errors import ChromaError, CorruptionError
from ..storage.interface.values import Floats
from .chromadb_configuration import read_configuration, read_schema
from .chromadb_hnsw_files import IndexFiles, number, rescaled
from .chromadb_sqlite import FILE, holders, open_database, state_of
from .chromadb_wal import UnappliedRows, entries_of, unapplied_vectors
from .source import Part, SourceCollection, check_uuid

_ROWS = 4096  # rows in one part
_PART_BYTES = 16 << 20
_DOCUMENT, _URI = "chroma:document", "chroma:uri"
_VECTOR, _METADATA = "VECTOR", "METADATA"


@dataclass(slots=True)
class _Open:
    """The state of the collection that is being read."""

    id: str
    rows: npt.NDArray[np.int64]  # rows of the table, in order
    changed: dict[int, list[int]]
    new: list[tuple[str, list[int]]]
    index: IndexFiles | None
    absent: str  # why a vector may be missing
    logged: dict[str, int]
    cosine: bool


class FolderSource:
    """Implements `Source`. Not thread-safe."""

    def __init__(self, path: str) -> None:
        self.location = path
        self._database, self._release = open_database(path)
        self.warnings: list[str] = holders(path)
        self._current: _Open | None = None
        try:
            self._tables = {
                name: {row[1] for row in self._database.execute(f"PRAGMA table_info({name})")}
                for (name,) in self._query("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            self._check_tables()
            self._number_log()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._current = None
        self._database.close()
        self._release()

    def fingerprint(self) -> Mapping[str, Any]:
        return state_of(self.location)

    def count(self, collection: SourceCollection) -> int:
        return collection.count  # the fingerprint detects changes

    # ------------------------------------------------------------------ collections

    def databases(self) -> list[tuple[str, str]]:
        if "databases" not in self._tables:  # releases before 0.4.15
            return [(DEFAULT_TENANT, DEFAULT_DATABASE)]
        return [
            (tenant, name)
            for tenant, name in self._query("SELECT tenant_id, name FROM databases ORDER BY rowid")
        ]

    def tenants(self) -> list[str]:
        if "tenants" not in self._tables:
            return [DEFAULT_TENANT]
        return [tenant for (tenant,) in self._query("SELECT id FROM tenants ORDER BY rowid")]

    def collections(self) -> list[SourceCollection]:
        if "databases" in self._tables:
            scoped = (
                "SELECT c.id, c.name, c.dimension, d.tenant_id, d.name{} FROM collections AS c "
                "JOIN databases AS d ON d.id = c.database_id ORDER BY c.rowid"
            )
        else:
            scoped = (
                f"SELECT c.id, c.name, c.dimension, '{DEFAULT_TENANT}', "  # noqa: S608 - constants
                f"'{DEFAULT_DATABASE}'{{}} "
                "FROM collections AS c ORDER BY c.rowid"
            )
        columns = "".join(
            f", c.{name}" if name in self._tables["collections"] else ", NULL"
            for name in ("config_json_str", "schema_str")
        )
        with self._told():
            return [
                self._collection(
                    id, name, dimension, tenant=tenant, database=database, stored=stored, schema=schema
                )
                for id, name, dimension, tenant, database, stored, schema in self._query(
                    scoped.format(columns)
                )
            ]

    def _collection(
        self,
        id: str,
        name: str,
        dimension: int | None,
        *,
        tenant: str,
        database: str,
        stored: str | None,
        schema: str | None,
    ) -> SourceCollection:
        for found in (id, *(segment for segment, _ in self._segments(id).values())):
            check_uuid(found, os.path.join(self.location, FILE))
        metadata = self._values("collection_metadata", "collection_id", id) or None
        segment = self._segments(id).get(_VECTOR)
        of_segment = self._values("segment_metadata", "segment_id", segment[0]) if segment else {}
        configuration, remarks = read_configuration(metadata, of_segment, stored, schema)
        kept, more = read_schema(schema)
        rows, unapplied = self._rows(id)
        return SourceCollection(
            tenant=tenant,
            database=database,
            id=id,
            name=name,
            metadata=metadata,
            configuration=configuration,
            dimension=dimension,
            count=len(rows) + len(unapplied.new),
            warnings=(*remarks, *more),
            schema=kept,
        )

    def _segments(self, collection: str) -> dict[str, tuple[str, int]]:
        """Return, for each scope, the segment's id and its last applied log entry (0 for none)."""
        found = self._query(
            "SELECT s.scope, s.id, m.seq_id FROM segments AS s LEFT JOIN max_seq_id AS m ON "
            "m.segment_id = s.id "
            "WHERE s.collection = ?",
            collection,
        )
        return {scope: (id, 0 if last is None else number(last)) for scope, id, last in found}

    def _values(self, table: str, owner: str, id: str) -> dict[str, Any]:
        """Return the metadata of a collection or a segment, in the order in which it was given."""
        boolean = "bool_value" if "bool_value" in self._tables.get(table, ()) else "NULL"
        found = self._query(
            f"SELECT key, str_value, int_value, float_value, {boolean} FROM {table} "  # noqa: S608 - names of ours
            f"WHERE {owner} = ? "
            "ORDER BY rowid",
            id,
        )
        return {key: value for key, *typed in found if (value := _value(*typed)) is not None}

    # ------------------------------------------------------------------ records

    def _rows(self, id: str) -> tuple[npt.NDArray[np.int64], UnappliedRows]:
        segment, last = self._segments(id).get(_METADATA, ("", 0))
        unapplied = UnappliedRows()

        def row_of(record: str) -> int | None:
            found = self._database.execute(
                "SELECT id FROM embeddings WHERE segment_id = ? AND embedding_id = ?", (segment, record)
            ).fetchone()
            return None if found is None else int(found[0])

        try:
            unapplied.follow(entries_of(self._database, id, last), row_of)
            found = self._database.execute(
                "SELECT id FROM embeddings WHERE segment_id = ? ORDER BY id", (segment,)
            )
            rows = np.fromiter((row for (row,) in found if row not in unapplied.removed), np.int64)
        except sqlite3.Error as error:
            raise self._damaged(error) from error
        return rows, unapplied

    def _hold(self, collection: SourceCollection) -> _Open:
        if self._current is not None and self._current.id == collection.id:
            return self._current
        self._current = None  # releases the previous collection first
        rows, unapplied = self._rows(collection.id)
        segment, last = self._segments(collection.id).get(_VECTOR, ("", 0))
        cosine = collection.configuration["hnsw"]["space"] == "cosine"
        index, absent = self._index(os.path.join(self.location, segment), last, cosine)
        # Applying an entry again that the index already contains gives the same result.
        known = [end for end in (last, index.last if index else 0) if end]
        after = min(known) if index and known else 0
        try:
            vectors = unapplied_vectors(
                entries_of(self._database, collection.id, after), index.labels if index else ()
            )
        except sqlite3.Error as error:
            raise self._damaged(error) from error
        new = list(unapplied.new.items())
        self._current = _Open(
            id=collection.id,
            rows=rows,
            changed=unapplied.changed,
            new=new,
            index=index,
            absent=absent,
            logged=vectors,
            cosine=cosine,
        )
        return self._current

    def _index(self, folder: str, last: int, cosine: bool) -> tuple[IndexFiles | None, str]:
        """Return the index, or None if it cannot be read, and the reason to report for a missing vector.

        A damaged index alone is not an error, because before 0.5.6 the log kept all entries.
        """
        nowhere = "its vector is neither in the index files nor in the log"
        if not os.path.exists(os.path.join(folder, "index_metadata.pickle")):
            return None, f"{nowhere}: the files in {folder} are missing" if last else nowhere
        try:
            return IndexFiles(folder, cosine), nowhere
        except CorruptionError as error:
            return None, f"its vector is not in the log, and {error.message()}"

    def read(self, collection: SourceCollection, start: int, stop: int) -> Iterator[Part]:
        with self._told():
            current = self._hold(collection)
            dimension = collection.dimension or 1
            size = max(16, min(_ROWS, _PART_BYTES // (dimension * 4)))
        stop = min(stop, len(current.rows) + len(current.new))
        while start < stop:
            with self._told():
                part = self._part(current, collection, start, min(start + size, stop))
            yield part
            start += size

    def _part(self, current: _Open, collection: SourceCollection, start: int, stop: int) -> Part:
        rows = current.rows[start:stop].tolist()
        new = current.new[max(0, start - len(current.rows)) : max(0, stop - len(current.rows))]
        names = dict(
            self._query(
                "SELECT e.id, e.embedding_id FROM json_each(?) AS j CROSS JOIN embeddings AS e ON "
                "e.id = j.value",
                json.dumps(rows),
            )
        )
        ids = [names[row] for row in rows] + [id for id, _ in new]
        values: list[dict[str, Any]] = [{} for _ in ids]
        self._fill(values, rows)
        changes = [current.changed.get(row, []) for row in rows] + [entries for _, entries in new]
        self._change(values, changes)
        part = Part(position=start, ids=ids, vectors=None, metadatas=[], documents=[], uris=[])
        for id, entry in zip(ids, values, strict=True):
            odd = [
                key for key, value in entry.items() if isinstance(value, float) and not math.isfinite(value)
            ]
            for key in odd:
                part.warnings.append(
                    f"collection {collection.where}: the value {entry.pop(key)} of {key!r} of {id!r} "
                    "was left "
                    "out: metadata holds no NaN and no infinity"
                )
            part.documents.append(_text(entry.pop(_DOCUMENT, None)))
            part.uris.append(_text(entry.pop(_URI, None)))
            part.metadatas.append({key: entry[key] for key in entry if not key.startswith("chroma:")} or None)
        part.vectors = self._vectors(current, collection, part)
        return part

    def _fill(self, values: list[dict[str, Any]], rows: Sequence[int]) -> None:
        indices = {row: index for index, row in enumerate(rows)}
        boolean = "m.bool_value" if "bool_value" in self._tables["embedding_metadata"] else "NULL"
        found = self._query(
            f"SELECT m.rowid, m.id, m.key, m.string_value, m.int_value, m.float_value, {boolean} "  # noqa: S608 - ours
            "FROM json_each(?) AS j CROSS JOIN embedding_metadata AS m ON m.id = j.value",
            json.dumps(list(rows)),
        )
        for _, row, key, *typed in sorted(found, key=_first):
            if (value := _value(*typed)) is not None:
                values[indices[row]][key] = value
        if "embedding_metadata_array" not in self._tables:
            return
        found = self._query(
            "SELECT m.rowid, m.id, m.key, m.string_value, m.int_value, m.float_value, m.bool_value "
            "FROM json_each(?) AS j CROSS JOIN embedding_metadata_array AS m ON m.id = j.value",
            json.dumps(list(rows)),
        )
        for _, row, key, *typed in sorted(found, key=_first):
            if (value := _value(*typed)) is not None:
                values[indices[row]].setdefault(key, []).append(value)

    def _change(self, values: list[dict[str, Any]], changes: list[list[int]]) -> None:
        """Apply the log entries that the tables do not contain yet."""
        sequence_numbers = [entry for entries in changes for entry in entries]
        if not sequence_numbers:
            return
        texts = dict(
            self._query(
                "SELECT q.seq_id, q.metadata FROM json_each(?) AS j "
                "CROSS JOIN embeddings_queue AS q ON q.seq_id = j.value",
                json.dumps(sequence_numbers),
            )
        )
        for entry, entries in zip(values, changes, strict=True):
            for text in filter(None, map(texts.get, entries)):
                for key, value in json.loads(text).items():
                    if value is None:
                        entry.pop(key, None)
                    else:
                        entry[key] = value

    def _vectors(self, current: _Open, collection: SourceCollection, part: Part) -> Floats | None:
        ids = part.ids
        if current.index is not None:
            vectors, there = current.index.read(ids)
        else:
            vectors, there = (
                np.zeros((len(ids), collection.dimension or 0), np.float32),
                np.zeros(len(ids), bool),
            )
        index_of = {current.logged[id]: index for index, id in enumerate(ids) if id in current.logged}
        found = self._query(
            "SELECT q.seq_id, q.vector, q.encoding FROM json_each(?) AS j "
            "CROSS JOIN embeddings_queue AS q ON q.seq_id = j.value",
            json.dumps(list(index_of)),
        )
        given = {index_of[entry]: _decode(vector, encoding) for entry, vector, encoding in found}
        if given and not there.any():
            vectors = np.zeros((len(ids), len(next(iter(given.values())))), np.float32)
        for index, vector in given.items():
            if len(vector) == vectors.shape[1]:
                vectors[index], there[index] = vector, True
            else:
                part.lost[index] = f"its vector has {len(vector)} numbers, not {vectors.shape[1]}"
        if current.cosine and given:
            indices = list(given)
            read_back = rescaled(vectors[indices])
            usable = np.isfinite(read_back).all(1)
            vectors[np.array(indices)[usable]] = read_back[usable]
        for index in np.flatnonzero(~there).tolist():
            part.lost.setdefault(index, current.absent)
        for index in np.flatnonzero(~np.isfinite(vectors).all(1)).tolist():
            part.lost.setdefault(index, "its vector holds NaN or infinity")
        return vectors

    # ------------------------------------------------------------------ the tables

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Report values of an impossible type or form as damage while the `with` block runs."""
        try:
            yield
        except ChromaError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CorruptionError:
        path = os.path.join(self.location, FILE)
        reason = str(error) if isinstance(error, sqlite3.Error) else f"it holds odd values: {error!r:.200}"
        return CorruptionError(f"{path} cannot be read: {reason}", path)

    def _check_tables(self) -> None:
        missing = [
            name
            for name in ("collections", "segments", "embeddings", "embedding_metadata", "embeddings_queue")
            if name not in self._tables
        ]
        if missing:
            path = os.path.join(self.location, FILE)
            raise CorruptionError(f"{path} is not a database of chromadb: it has no table {missing[0]}", path)

    def _number_log(self) -> None:
        """Build a temporary index of each collection's log entries, because the log has no such index."""
        self._database.execute("PRAGMA temp_store = FILE")
        self._database.execute(
            "CREATE TEMP TABLE log_of (topic TEXT, number INTEGER, PRIMARY KEY (topic, number)) WITHOUT ROWID"
        )
        # A topic is persistent://TENANT/NAMESPACE/ID; the collection's id has 36 characters.
        self._query(
            "INSERT INTO temp.log_of SELECT substr(topic, -36), seq_id FROM embeddings_queue "
            "ORDER BY substr(topic, -36), seq_id"
        )


def _first(row: tuple[Any, ...]) -> Any:
    return row[0]


def _value(text: Any, whole: Any, real: Any, truth: Any) -> Any:
    """Return the value of a metadata row. None if it has no value."""
    if truth is not None:
        return bool(truth)
    if text is not None:
        return text
    if whole is not None:
        return whole
    return real


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _decode(vector: bytes, encoding: str | None) -> npt.NDArray[np.float32]:
    return np.frombuffer(vector, "<i4" if encoding == "INT32" else "<f4").astype(np.float32)
