"""Reading a collection as tables: Arrow, dataframes, streams of batches, SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ..backend.async_protocol import AsyncBackend
from ..collection.handle import Handle
from ..errors import UnmatchedKeyError
from ..internal.concurrency import AsyncStreamable, async_bulk
from ..internal.error_context import during
from ..internal.optional_dependencies import require_arrow
from ..requests.projection import ScanRequest
from ..requests.scope import Scope
from ..results.vectors import Vectors, vectors_of
from ..storage.interface.requests import GetRequest, Selection
from ..storage.interface.unmatched import collected, report
from ..types import GivenIDs, Where, WhereDocument
from ..validation.read_arguments import GetArguments, check_get, on_unmatched

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from ..tables.record_batches import AsyncBatches


class AsyncTables(AsyncStreamable, Handle):
    """The methods of a collection that return its records as a table.

    The columns are id, document and uri (string), one column per metadata key, and embedding (fixed-size
    list of float32). Metadata columns are string, int64, float64, bool or lists of these; null means that a
    record does not have the key. Without `columns`, there is a column for each key that any of the records
    has. The column has the name of the key, except for

        metadata.id          if the key is also the name of a column of records or results
        metadata[int].size   the ints of a key whose values have several types

    `add` accepts these names, so every table can be added again.
    """

    _backend: AsyncBackend

    async def to_batches(
        self,
        columns: Sequence[str] | None = None,
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        *,
        ids: GivenIDs | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | Sequence[str] | None = None,
        metadata: Literal["columns", "json"] = "columns",
    ) -> AsyncBatches:
        """The records as a stream of Arrow record batches of a few MB each. Works for any collection size.

            for batch in collection.to_batches(["id", "year"]): ...

        columns   names of columns, in the order of the result; None: all columns
        where, where_document, ids, limit, offset, order_by  as for `get`
        metadata  "columns", or "json": one column `metadata`, which holds JSON objects as text
        All batches are read from one snapshot, so writes made meanwhile do not appear in them.
        Raises InvalidArgumentError for a metadata key that no record has.
        """
        records = partial(
            check_get,
            ids=ids,
            where=where,
            where_document=where_document,
            limit=limit,
            offset=offset,
            order_by=order_by,
        )
        return await self._batches(columns, metadata, records, whole=False)

    async def _matching(self, selection: Selection, missing_ok: Any) -> list[str]:
        """The ids of the records that a change by filter is about. Raises UnmatchedKeyError for a condition
        that no record can match, unless the caller insists."""
        unmatched = on_unmatched(missing_ok)
        with collected() as found:
            rows = await self._backend.get(self._ref, GetRequest(selection=selection))
        if unmatched == "refuse" and found:
            raise UnmatchedKeyError(f"{'; '.join(found)}. Pass missing_ok=True if this is meant")
        if unmatched == "warn":
            report(found)
        return rows.ids

    async def _batches(
        self, columns: Any, form: Any, records: Callable[..., GetArguments], *, whole: bool
    ) -> AsyncBatches:
        """The batches of `to_batches`. `records` checks the arguments that select records."""
        require_arrow()
        from ..tables import from_rows as tables
        from ..tables.record_batches import async_reshaped

        with during("to_batches"):
            projection = tables.projection(columns, form)
            arguments = records(include=[], loader=None)
            page = arguments.by_request or arguments.request.page
        request = ScanRequest(
            selection=arguments.request.selection, page=page, projection=projection, whole=whole
        )
        batches = await self._backend.batches(self._ref, request)
        if projection.columns is None:
            return batches
        indices, schema = tables.picked(batches.schema, projection.columns)
        return async_reshaped(schema, batches, lambda batch: tables.select(batch, indices, schema))

    async def column_types(self) -> dict[str, str]:
        """The columns that `to_arrow` gives all records, with their Arrow types.

        collection.column_types()  # {"id": "string", "document": "string", "year": "int64", ...}
        """
        most = 0 if self._backend.streams else None  # other servers list no keys without records
        nothing = partial(
            check_get, ids=None, where=None, where_document=None, limit=most, offset=None, order_by=None
        )
        schema = (await self._batches(None, "columns", nothing, whole=False)).schema
        return {field.name: str(field.type) for field in schema}

    async def vectors(
        self,
        ids: GivenIDs | None = None,
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        *,
        limit: int | None = None,
    ) -> Vectors:
        """The vectors of records as one matrix, with their ids.

            ids, matrix = collection.vectors(where={"year": 1950})

        ids, where, where_document, limit  as for `get`
        Returns `ids` (list[str]) and `matrix` (float32, (n, dim)), in insertion order.
        """
        with during("vectors"):
            arguments = check_get(
                ids=ids,
                where=where,
                where_document=where_document,
                limit=limit,
                offset=None,
                include=["embeddings"],
                order_by=None,
                loader=None,
            )
        rows = await self._backend.get(self._ref, arguments.request)
        return vectors_of(rows, self._info.dimension)

    async def to_arrow(
        self,
        columns: Sequence[str] | None = None,
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        *,
        ids: GivenIDs | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | Sequence[str] | None = None,
        metadata: Literal["columns", "json"] = "columns",
    ) -> pa.Table:
        """The records as an Arrow table. Takes the same arguments as `to_batches`.

            collection.to_arrow(["id", "year"], where={"year": {"$gte": 1950}})

        columns, where, where_document, ids, limit, offset, order_by, metadata  as for `to_batches`

        With a database in this process, contiguous records are not copied: the columns are views of the
        memory-mapped files. Later changes to the collection do not affect the table.
        """
        records = partial(
            check_get,
            ids=ids,
            where=where,
            where_document=where_document,
            limit=limit,
            offset=offset,
            order_by=order_by,
        )
        batches = await self._batches(columns, metadata, records, whole=True)
        return await batches.aread_all()

    async def to_pandas(
        self,
        columns: Sequence[str] | None = None,
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        *,
        ids: GivenIDs | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The records as a pandas DataFrame. Takes the same arguments as `to_batches`.

            collection.to_pandas(["id", "year"])

        columns, where, where_document, ids, limit, offset, order_by  as for `to_batches`

        Columns of ints or bools with missing values have the dtypes Int64 and boolean, which keep the
        values exact. An embedding is a float32 array (dim,), a view of one matrix; a list stays a list.
        A key whose values have several types is one column of objects.
        """
        require_arrow()
        from ..tables import dataframes

        dataframes.check_pandas()
        table = await self.to_arrow(
            columns, where, where_document, ids=ids, limit=limit, offset=offset, order_by=order_by
        )
        return await async_bulk(table.num_rows, dataframes.to_pandas, table)

    async def to_polars(
        self,
        columns: Sequence[str] | None = None,
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        *,
        ids: GivenIDs | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """The records as a polars DataFrame, with embeddings as Array(Float32, dim). Takes the same
        arguments as `to_batches`.

            collection.to_polars(["id", "year"])

        columns, where, where_document, ids, limit, offset, order_by  as for `to_batches`
        """
        require_arrow()
        from ..tables import dataframes

        dataframes.check_polars()
        table = await self.to_arrow(
            columns, where, where_document, ids=ids, limit=limit, offset=offset, order_by=order_by
        )
        return await async_bulk(table.num_rows, dataframes.to_polars, table)

    async def sql(
        self,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        tables: Mapping[str, Any] | None = None,
    ) -> pa.Table:
        """Run a SELECT statement in which `records` is this collection.

        query       one SELECT statement
        parameters  values for ? and $1 (a list) or $name (a dict)
        tables      further tables by the names that the statement gives them: dataframes, Arrow tables

            collection.sql("select lexname, count(*) as n from records group by 1 order by n desc")

        Otherwise the same as the client's `sql`.
        """
        require_arrow()
        from ..tables import sql as statements

        with during("sql"):
            text = statements.check_text(query)
            values = statements.check_parameters(parameters)
            others = statements.check_tables(tables)
        return statements.plain(
            await self._backend.sql(Scope(*self._ref[:2]), text, values, others, self._ref.id)
        )
