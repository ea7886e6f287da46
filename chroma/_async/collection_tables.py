"""What collections give out as tables: Arrow, dataframes, streams of batches, SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ..backend.async_protocol import AsyncBackend
from ..collection.handle import Handle
from ..internal.concurrency import AsyncStreamable, async_bulk
from ..internal.error_context import during
from ..internal.optional_dependencies import require_arrow
from ..requests.projection import ScanRequest
from ..requests.scope import Scope
from ..types import Where, WhereDocument
from ..validation.read_arguments import GetArguments, check_get

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from ..tables.record_batches import AsyncBatches


class AsyncTables(AsyncStreamable, Handle):
    """The part of a collection that reads it as a table.

    Columns: id, document and uri (string), the metadata, one column per key, and embedding (fixed-size
    list of float32). Metadata are string, int64, float64, bool or lists of these; null means that a record
    has no such key. Without `columns`, there is a column for each key that one of the records has, named
    as the key, but

        metadata.id          for keys that are called as a column of a record or of an answer
        metadata[int].size   for the ints of a key that has values of several types

    so that whatever comes out goes in again by `add`.
    """

    _backend: AsyncBackend

    async def to_batches(
        self,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        *,
        ids: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | Sequence[str] | None = None,
        metadata: Literal["columns", "json"] = "columns",
    ) -> AsyncBatches:
        """The records as a stream of Arrow record batches, of some MB each: for collections of any size.

        columns   names of columns in the order wanted; None: all
        where, where_document, ids, limit, offset, order_by  as for `get`
        metadata  "columns", or "json": one column `metadata` of JSON objects as text
        All batches are of one snapshot: what is written meanwhile does not show.
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

    async def _batches(
        self, columns: Any, form: Any, records: Callable[..., GetArguments], *, whole: bool
    ) -> AsyncBatches:
        """`records` checks which ones are asked for."""
        require_arrow()
        from ..tables import from_rows as tables
        from ..tables.record_batches import async_reshaped

        with during("to_batches"):
            want = tables.projection(columns, form)
            asked = records(include=[], loader=None)
            page = asked.by_request or asked.request.page
        request = ScanRequest(selection=asked.request.selection, page=page, projection=want, whole=whole)
        batches = await self._backend.batches(self._ref, request)
        if want.columns is None:
            return batches
        places, schema = tables.picked(batches.schema, want.columns)
        return async_reshaped(schema, batches, lambda batch: tables.select(batch, places, schema))

    async def to_arrow(
        self,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        *,
        ids: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | Sequence[str] | None = None,
        metadata: Literal["columns", "json"] = "columns",
    ) -> pa.Table:
        """The records as an Arrow table. Arguments as for `to_batches`.

        In this process the columns are the mapped files themselves wherever records follow each other there:
        nothing is copied, and the table stays as it is whatever happens to the collection.
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
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        *,
        ids: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The records as a pandas DataFrame. Arguments as for `to_batches`.

        Whole numbers and booleans with gaps are Int64 and boolean, which keep them exact. An embedding is a
        float32 array (dim,), a view of one matrix; a list is a list. A key with values of several types is
        one column of objects.
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
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        *,
        ids: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """The records as a polars DataFrame, embeddings as Array(Float32, dim). Arguments as for
        `to_batches`."""
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
        """The answer of a SELECT statement, in which `records` is this collection.

            collection.sql("select lexname, count(*) as n from records group by 1 order by n desc")

        As the client's `sql` otherwise.
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
