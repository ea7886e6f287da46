"""Read-only SQL over tables that are found when a statement names them.

Owns: a DuckDB of its own for each statement, which can read the tables it is given and nothing else:
no files, no network, no extensions, no variables of the program, no settings.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from .errors import InvalidArgument, NotFound, OutOfMemory

Find = Callable[[str], pa.Table | None]
_MISSING = re.compile(r"Table with name (.+?) does not exist!", re.DOTALL)
_TABLES = 1000  # that one statement may name
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
# Functions of DuckDB's Python package that take addresses, and two that hide what a statement names.
_REFUSED = re.compile(
    r"\b(pandas_scan|arrow_scan\w*|python_map_function)\b|\"?\b(query|query_table)\b\"?\s*\(", re.IGNORECASE
)
_BATCH_ROWS = 16_384


class Statement:
    """One SELECT statement. `stop` may be called from any thread."""

    def __init__(self, text: str, find: Find, memory: int, threads: int) -> None:
        """`find` gives the table of a name, None where there is none; `memory` in bytes."""
        self._text, self._find = text, find
        self._config = {
            "memory_limit": f"{max(memory >> 20, 64)}MB",
            "threads": threads,
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": "",
            "secret_directory": "none",
            "python_enable_replacements": False,
            "lock_configuration": True,
        }
        self._connection: Any = None
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, parameters: Sequence[Any] | Mapping[str, Any] | None) -> pa.RecordBatchReader:
        """The answer, as a stream. It is computed while it is read. Raises InvalidArgument for what is no
        readable statement, NotFound for a table that nobody has."""
        import duckdb  # 60 ms to load

        try:
            with self._lock:
                self._connection = duckdb.connect(":memory:", config=self._config)
                if self._stopped:
                    raise InvalidArgument("the statement was stopped before it began")
            self._check(duckdb)
            answer = self._execute(duckdb, parameters)
        except duckdb.Error as error:
            raise self._told(duckdb, error) from None
        return pa.RecordBatchReader.from_batches(answer.schema, self._batches(answer))

    def _batches(self, answer: pa.RecordBatchReader) -> Any:
        """The batches; errors of DuckDB reach Arrow as texts."""
        try:
            yield from answer
        except (OSError, pa.ArrowException) as error:
            raise InvalidArgument(f"the SQL statement failed: {error}") from None
        finally:
            self.close()

    def _check(self, duckdb: Any) -> None:
        found = self._connection.extract_statements(self._text)
        if len(found) != 1:
            raise InvalidArgument(f"expected one SQL statement, got {len(found)}: call it once for each")
        if found[0].type != duckdb.StatementType.SELECT:
            kind = str(found[0].type).rpartition(".")[2]
            raise InvalidArgument(
                f"a {kind} statement cannot be run here: collections are read with SELECT, and changed with "
                "add, upsert, update and delete"
            )
        refused = _REFUSED.search(_COMMENTS.sub(" ", self._text))
        if refused:
            raise InvalidArgument(f"the function {refused[1] or refused[2]} cannot be used in SQL here")

    def _execute(
        self, duckdb: Any, parameters: Sequence[Any] | Mapping[str, Any] | None
    ) -> pa.RecordBatchReader:
        """Begin it, finding tables until none is missing: DuckDB tells of one at a time."""
        for _ in range(_TABLES):
            try:
                relation = self._connection.sql(self._text, params=parameters)
                # DuckDB 1.x and 2.x call it differently.
                read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
                answer: pa.RecordBatchReader = read(_BATCH_ROWS)
                return answer
            except duckdb.CatalogException as error:
                missing = _MISSING.search(str(error))
                table = self._find(missing[1]) if missing else None
                if missing is None or table is None:
                    raise
                self._connection.register(missing[1], table)
        raise InvalidArgument(f"the statement names more than {_TABLES} tables")

    def _told(self, duckdb: Any, error: Exception) -> Exception:
        self.close()
        if self._stopped:
            return InvalidArgument("the SQL statement was stopped: it took too long")
        if isinstance(error, duckdb.OutOfMemoryException):
            return OutOfMemory(f"the SQL statement needs more memory than it may use: {error}")
        if isinstance(error, duckdb.CatalogException) and (missing := _MISSING.search(str(error))):
            return NotFound(f"the SQL statement names {missing[1]!r}: there is no collection of that name")
        return InvalidArgument(f"the SQL statement cannot be run: {error}")

    def stop(self) -> None:
        """Make a running statement fail."""
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
