# Made from chroma/_async/collection_tables.py by scripts/twins.py: change that file, and run `make fix`.
"""What collections give out as tables: Arrow, dataframes, streams of batches, SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ..backend.protocol import Backend
from ..collection.handle import Handle
from ..internal.concurrency import Streamable, bulk
from ..internal.error_context import during
from ..internal.optional_dependencies import require_arrow
from ..types import Where, WhereDocument
from ..validation.read_arguments import check_get, given_filter

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from ..tables.record_batches import Batches


class Tables(Streamable, Handle):
    """The part of a collection that reads it as a table.

    Columns: id, document and uri (string), the metadata, one column per key, and embedding (fixed-size
    list of float32). Metadata are string, int64, float64, bool or lists of these; null means that a record
    has no such key. Without `columns`, there is a column for each key that one of the records has, named
    as the key, but

        metadata.id          for keys that are called as a column of a record or of an answer
        metadata[int].size   for the ints of a key that has values of several types

    so that whatever comes out goes in again by `add`.
    """

    _backend: Backend

    def to_batches(
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
    ) -> Batches:
        """The records as a stream of Arrow record batches, of some MB each: for collections of any size.

        columns   names of columns in the order wanted; None: all
        where, where_document, ids, limit, offset, order_by  as for `get`
        metadata  "columns", or "json": one column `metadata` of JSON objects as text
        All batches are of one snapshot: what is written meanwhile does not show.
        Raises InvalidArgumentError for a metadata key that no record has.
        """
        return self._batches(
            columns, where, where_document, ids, limit, offset, order_by, metadata, whole=False
        )

    def _batches(
        self,
        columns: Any,
        where: Any,
        where_document: Any,
        ids: Any,
        limit: Any,
        offset: Any,
        order_by: Any,
        form: Any,
        whole: bool,
    ) -> Batches:
        require_arrow()
        from ..tables import from_rows as tables
        from ..tables.record_batches import reshaped

        with during("to_batches"):
            want = tables.wanted(columns, form)
            asked = check_get(ids, limit, offset, [], order_by, None)
        batches = self._backend.batches(
            self._scope,
            self._info.id,
            asked.ids,
            given_filter(where),
            given_filter(where_document),
            asked.limit,
            asked.offset,
            asked.order,
            want,
            whole,
        )
        if want.columns is None:
            return batches
        places, schema = tables.picked(batches.schema, want.columns)
        return reshaped(schema, batches, lambda batch: tables.select(batch, places, schema))

    def to_arrow(
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
        batches = self._batches(
            columns, where, where_document, ids, limit, offset, order_by, metadata, whole=True
        )
        return batches.read_all()

    def to_pandas(
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
        table = self.to_arrow(
            columns, where, where_document, ids=ids, limit=limit, offset=offset, order_by=order_by
        )
        return bulk(table.num_rows, dataframes.to_pandas, table)

    def to_polars(
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
        table = self.to_arrow(
            columns, where, where_document, ids=ids, limit=limit, offset=offset, order_by=order_by
        )
        return bulk(table.num_rows, dataframes.to_polars, table)

    def sql(
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
        return statements.plain(self._backend.sql(self._scope, text, values, others, self._info.id))
