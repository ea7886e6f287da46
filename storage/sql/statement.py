"""Read-only SQL over tables that are looked up when a statement names them.

Owns: a separate DuckDB database for each statement. The statement can read the given tables and nothing else:
no files, no network, no extensions, no variables of the program, no settings. The time and memory of a single
function call are not limited (`repeat`, `list_sort`). Run statements from untrusted users in a process that
can be killed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..interface.errors import InvalidArgument, NotFound
from ..interface.nearest_names import instead
from .duckdb_connection import connect
from .referenced_names import Named, named

Find = Callable[[str, frozenset[str] | None], pa.Table | None]
Names = Callable[[], list[str]]
_BATCH_ROWS = 16_384
_TREE = "select json_serialize_sql(?::varchar, skip_null := true, skip_empty := true, skip_default := true)"
_MISSING = re.compile('column "(.+?)" not found')
_OF_DUCKDB = re.compile("(?:duckdb|pg|sqlite|pragma)_", re.IGNORECASE)  # DuckDB's system views


def load() -> None:
    """Import DuckDB before the first statement, because this takes 60 ms."""
    import duckdb

    del duckdb


class Statement:
    """A SELECT statement. `stop` may be called from any thread."""

    def __init__(self, text: str, find: Find, names: Names, memory: int, threads: int) -> None:
        """Prepare a statement.

        find    returns the table with a name, or None. Its second argument has the names of the columns that
                are needed, in lower case, or None for all columns
        names   returns the names that `find` knows, for messages
        memory  the limit in bytes
        """
        self._text, self._find, self._names = text, find, names
        self._memory, self._threads = memory, threads
        self._connection: Any = None
        self._stopped = False
        self._columns: list[str] = []  # of all tables
        self._lock = threading.Lock()

    def run(self, parameters: Sequence[Any] | Mapping[str, Any] | None) -> pa.RecordBatchReader:
        """Return the answer as a stream, which is computed while it is read.

        Raises InvalidArgument if the text is not a valid read-only statement, and NotFound for an unknown
        table.
        """
        import duckdb

        try:
            with self._lock:
                self._connection = connect(self._memory, self._threads)
                if self._stopped:
                    raise InvalidArgument("the statement was stopped before it began")
            # This is a setting of the connection, not of the database. It must not be set if it is already
            # off, because setting it is an error in a notebook without ipywidgets.
            if self._connection.execute("select current_setting('enable_progress_bar')").fetchone()[0]:
                self._connection.execute("set enable_progress_bar = false")
            self._connection.execute("set lock_configuration = true")
            self._check(duckdb)
            self._give_tables(self._named())
            relation = self._connection.sql(self._text, params=parameters)
            # The method has different names in DuckDB 1.x and 2.x.
            read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
            answer: pa.RecordBatchReader = read(_BATCH_ROWS)
        except duckdb.Error as error:
            raise self._told(duckdb, error) from None
        except BaseException:
            self.close()
            raise
        schema = pa.schema([field.with_type(_decoded(field.type)) for field in answer.schema])
        return pa.RecordBatchReader.from_batches(schema, self._batches(answer, schema))

    def _batches(self, answer: pa.RecordBatchReader, schema: pa.Schema) -> Any:
        """Yield the batches. DuckDB's errors arrive as Arrow errors, with only their text."""
        try:
            for batch in answer:
                yield batch if schema == answer.schema else _cast(batch, schema)
        except (OSError, pa.ArrowException) as error:
            raise InvalidArgument(f"the SQL statement failed: {_first_line(error)}") from None
        finally:
            self.close()

    def _check(self, duckdb: Any) -> None:
        found = self._connection.extract_statements(self._text)
        if len(found) != 1:
            raise InvalidArgument(f"expected one SQL statement, got {len(found)}: call it once for each")
        if found[0].type != duckdb.StatementType.SELECT:
            kind = str(found[0].type).rpartition(".")[2]
            if kind == "MULTI":
                raise InvalidArgument("PIVOT must name its values: pivot docs on pos in ('noun', 'verb') …")
            raise InvalidArgument(
                f"{kind} statements cannot be run here: collections are read with SELECT, and changed with "
                "add, upsert, update and delete"
            )

    def _named(self) -> Named:
        ((text,),) = self._connection.execute(_TREE, [self._text]).fetchall()
        return named(text)

    def _give_tables(self, statement: Named) -> None:
        known: dict[str, tuple[str, pa.Table]] = {}
        for name in statement.tables:
            table = self._find(name, statement.columns)
            if table is not None:
                other, same = known.setdefault(name.lower(), (name, table))
                if same is not table and not same.equals(table):
                    raise InvalidArgument(
                        f"the SQL statement names {other!r} and {name!r}, which SQL does not tell apart: "
                        "select from one of them, and pass the other as a table"
                    )
                self._columns += table.column_names
                self._connection.register(name, table)
            elif name.lower() not in statement.own or _OF_DUCKDB.match(name):
                raise NotFound(
                    f"the SQL statement names {name!r}: there is no collection of that name"
                    f"{instead(name, self._names(), 'collections')}; a dataframe is named by "
                    f"tables={{{name!r}: …}}"
                )

    def _told(self, duckdb: Any, error: Exception) -> Exception:
        self.close()
        if self._stopped:
            return InvalidArgument("the SQL statement was stopped: it took too long")
        if isinstance(error, duckdb.OutOfMemoryException):
            return InvalidArgument(
                f"the SQL statement needs more memory than it may use: {_first_line(error)}"
            )
        return InvalidArgument(f"the SQL statement cannot be run: {error}{self._parts(str(error))}")

    def _parts(self, error: str) -> str:
        """Name the columns of a key with values of several types, if the error is about its name."""
        missing = _MISSING.search(error)
        end = f"].{missing[1]}".lower() if missing else ""
        parts = [f'"{column}"' for column in self._columns if end and column.lower().endswith(end)]
        return f"\nIts values have several types, each in a column: {', '.join(parts)}" if parts else ""

    def stop(self) -> None:
        """Interrupt a running statement, which then fails."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()

    def close(self) -> None:
        """Free everything. Idempotent."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _decoded(type: pa.DataType) -> pa.DataType:
    """Replace dictionary types, which DuckDB uses for enums, by text. A batch stream has no dictionaries."""
    if pa.types.is_dictionary(type):
        return type.value_type
    if pa.types.is_struct(type):
        return pa.struct([field.with_type(_decoded(field.type)) for field in type])
    if pa.types.is_map(type):
        return pa.map_(_decoded(type.key_type), _decoded(type.item_type))
    if pa.types.is_fixed_size_list(type):
        return pa.list_(type.value_field.with_type(_decoded(type.value_type)), type.list_size)
    if pa.types.is_list(type):
        return pa.list_(type.value_field.with_type(_decoded(type.value_type)))
    return type


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [column.cast(field.type) for column, field in zip(batch.columns, schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _first_line(error: object) -> str:
    """Return the first line of an error. It omits DuckDB's advice on settings, which users cannot change."""
    return str(error).partition("\n")[0]
