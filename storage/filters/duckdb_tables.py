"""Filter columns as native DuckDB tables, and queries for the rows that match a filter.

Owns: the DuckDB connection for filters. Each engine has one in-memory database, which has no access to files,
network or extensions. If threads shared a cursor, DuckDB would mix up their results without an error. So each
thread has its own cursor; the cursors share the tables.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import weakref
from typing import Any

import numpy as np

from ..arrow.arrays import number_array
from ..arrow.lazy_pyarrow import pa
from ..interface.errors import Closed, OutOfMemory
from ..schema.metadata_columns import MetadataColumns, sparse_columns
from ..schema.record_columns import Mask
from ..sql.duckdb_connection import connect
from .duckdb_sql import FALSE, TRUE, Layout, to_sql
from .parser import Node


class FilterDatabase:
    """The engine's DuckDB database, opened for the first filter. `memory` is its limit in bytes."""

    def __init__(self, memory: int, threads: int) -> None:
        self._memory, self._threads = memory, threads
        self._lock = threading.RLock()  # reentrant: the garbage collector may drop a table while it is held
        self._connection: Any = None
        self._cursors: dict[int, Any] = {}  # by thread
        self._closed = False
        self._names = itertools.count()

    def cursor(self) -> Any:
        """Return this thread's cursor. Raises Closed after `close`."""
        me = threading.get_ident()
        cursor = self._cursors.get(me)
        if cursor is None:
            with self._lock:
                if self._closed:
                    raise Closed("the client was closed; open a new one")
                if self._connection is None:
                    self._connection = connect(self._memory, self._threads)
                cursor = self._cursors[me] = self._connection.cursor()
        return cursor

    def after_fork(self) -> None:
        """In a forked child, abandon the parent's DuckDB database. A new one is opened when needed.

        The parent's DuckDB threads do not exist in the child. Destroying the database without them would kill
        the process, so its objects are never freed.
        """
        resources = [*self._cursors.values(), *([self._connection] if self._connection is not None else [])]
        for item in resources:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(item))
        self._lock = threading.RLock()
        self._connection, self._cursors = None, {}

    def name(self) -> int:
        return next(self._names)

    def drop(self, tables: list[str]) -> None:
        with self._lock:
            if self._connection is not None:
                for table in tables:
                    self._connection.execute(f"DROP TABLE IF EXISTS {table}")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._cursors.clear()
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class FilterTable:
    """DuckDB tables with the filter columns of some consecutive rows. Dropped with this object."""

    def __init__(self, database: FilterDatabase, columns: MetadataColumns) -> None:
        self._database = database
        self.rows = columns.rows
        self.nbytes = sum(array.nbytes for array in columns.wide.values()) + sum(
            rows.nbytes + values.nbytes for rows, values in columns.sparse.values()
        )
        number = database.name()
        self._wide, sparse = f"wide_{number}", f"sparse_{number}"
        self._layout = Layout(
            {slot: f"c{index}" for index, slot in enumerate(columns.wide)},
            {slot: index for index, slot in enumerate(columns.sparse)},
            sparse,
        )
        cursor = database.cursor()
        wide = {name: columns.wide[slot] for slot, name in self._layout.wide.items()}
        rows = number_array(np.arange(self.rows, dtype=np.int32))
        _create(cursor, self._wide, pa.table({"row": rows, **wide}))
        tables = [self._wide]
        if columns.sparse:
            _create(cursor, sparse, _sparse_table(columns))
            tables.append(sparse)
        self._drop = weakref.finalize(self, database.drop, tables)

    def mask(self, node: Node) -> Mask:
        """Return the mask of the rows that match, bool (rows,)."""
        query = to_sql(node, self._layout)
        if query.sql in (TRUE, FALSE):
            return np.full(self.rows, query.sql == TRUE)
        cursor = self._database.cursor()
        cursor.execute(f"SELECT row FROM {self._wide} WHERE {query.sql}", query.parameters)  # noqa: S608 - the engine made the SQL; values are parameters
        found = cursor.fetchnumpy()["row"]
        mask = np.zeros(self.rows, np.bool_)
        mask[np.asarray(found)] = True
        return mask


def _create(cursor: Any, name: str, table: pa.Table) -> None:
    import duckdb

    cursor.register("arriving", table)
    try:
        cursor.execute(f"CREATE TABLE {name} AS SELECT * FROM arriving")  # noqa: S608 - the engine made the name
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemory(
            f"the filter columns do not fit into the memory limit: {error}; "
            "raise Settings(chroma_memory_limit_bytes=...)"
        ) from error
    finally:
        cursor.unregister("arriving")


def _sparse_table(columns: MetadataColumns) -> pa.Table:
    sparse = sparse_columns(columns)
    return pa.table(
        {
            "code": number_array(sparse.numbers),
            "at": number_array(sparse.rows.astype(np.int32)),
            **{f"v_{kind}": values for kind, values in sparse.values.items()},
        }
    )
