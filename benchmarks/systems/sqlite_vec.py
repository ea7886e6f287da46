"""sqlite-vec: an exact scan inside SQLite, every write synced (WAL, synchronous = full), one connection."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

try:  # some builds of Python come without extensions in sqlite3
    import pysqlite3 as sqlite3
except ImportError:
    import sqlite3

import sqlite_vec

from .base import Driver as Base

TYPES = {bool: "boolean", int: "integer", float: "float", str: "text"}


class Driver(Base):
    exact = True
    writers = False

    def open(self) -> None:
        Path(self.path).mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(Path(self.path, "bench.sqlite"), check_same_thread=False)
        self.database.enable_load_extension(True)
        sqlite_vec.load(self.database)
        self.database.execute("pragma journal_mode = wal")
        self.database.execute("pragma synchronous = full")
        self.keys: list[str] = []
        if self.database.execute("select 1 from sqlite_master where name = 't'").fetchone():
            self._learn()

    def _learn(self) -> None:
        columns = [line[1] for line in self.database.execute("pragma table_info(t)")]
        self.keys = [name for name in columns if name not in ("id", "v", "text", "distance", "k")]
        self.fields = ", ".join(["id", "text", *self.keys])

    def close(self) -> None:
        self.database.close()

    def add(self, rows: Any) -> None:
        with self.database:
            if not self.keys:
                typed = ", ".join(f"{key} {TYPES[type(value)]}" for key, value in rows.metadatas[0].items())
                self.database.execute(
                    f"create virtual table t using vec0(id text primary key, "
                    f"v float[{self.dimension}] distance_metric=cosine, {typed}, +text text)"
                )
                self._learn()
            names = list(rows.metadatas[0])
            marks = ", ".join("?" * (len(names) + 3))
            self.database.executemany(
                f"insert into t(id, v, text, {', '.join(names)}) values ({marks})",
                (
                    (id, vector, document, *metadata.values())
                    for id, vector, document, metadata in zip(
                        rows.ids, rows.vectors, rows.documents, rows.metadatas
                    )
                ),
            )

    def update(self, ids: list[str], metadatas: list[dict[str, Any]]) -> None:
        changes = ", ".join(f"{key} = ?" for key in metadatas[0])
        with self.database:
            self.database.executemany(
                f"update t set {changes} where id = ?",
                ((*given.values(), id) for id, given in zip(ids, metadatas)),
            )

    def delete(self, ids: list[str]) -> None:
        with self.database:
            self.database.executemany("delete from t where id = ?", ((id,) for id in ids))

    def native(self, condition: Any) -> Any:
        clause = condition.sql(contains="instr({column}, '{text}') > 0")
        # It cannot search with a condition on a document's text, but among ids that another query gives.
        return clause if condition.contains is None else f"id in (select id from t where {clause})"

    def query(self, vector: Any, k: int = 10, condition: Any = None) -> list[Any]:
        if isinstance(vector, list):
            vector = array("f", vector).tobytes()
        more = "" if condition is None else f" and {condition}"
        command = f"select {self.fields}, distance from t where v match ? and k = ?{more}"
        return [found[0] for found in self.database.execute(command, (vector, k)).fetchall()]

    def query_ids(self, vector: Any, k: int = 10) -> list[Any]:
        command = "select id from t where v match ? and k = ?"
        return [found[0] for found in self.database.execute(command, (vector, k)).fetchall()]

    def get(self, ids: list[str]) -> list[str]:
        command = f"select {self.fields} from t where id = ?"  # `in` would read the whole table
        return [self.database.execute(command, (id,)).fetchone()[0] for id in ids]

    def get_where(self, condition: Any, limit: int) -> list[str]:
        command = f"select {self.fields} from t where {condition} limit {limit}"
        return [found[0] for found in self.database.execute(command).fetchall()]

    def count(self) -> int:
        return self.database.execute("select count(*) from t").fetchone()[0]

    def pandas(self) -> Any:
        import numpy
        import pandas

        command = f"select {self.fields}, v from t"
        frame = pandas.DataFrame(
            self.database.execute(command).fetchall(), columns=["id", "text", *self.keys, "embedding"]
        )
        frame["embedding"] = [numpy.frombuffer(value, numpy.float32) for value in frame["embedding"]]
        return frame
