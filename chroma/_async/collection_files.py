"""Bulk pipelines of a collection: files in, files out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from ..embedding import resolve
from ..internal.concurrency import async_call
from ..internal.error_context import during
from ..internal.optional_dependencies import require_arrow
from ..types import Where, WhereDocument
from .collection_tables import AsyncTables

if TYPE_CHECKING:
    from ..pipelines.reports import ExportReport, LoadReport


class AsyncPipelines(AsyncTables):
    """The part of a collection that is for millions of records."""

    async def load(
        self,
        source: Any,
        *,
        columns: Mapping[str, Any] | None = None,
        on_conflict: Literal["error", "skip", "upsert"] = "error",
        transform: Callable[[Any], Any] | None = None,
        batch_size: int | None = None,
        format: Literal["parquet", "arrow", "csv", "jsonl"] | None = None,
        types: Mapping[str, Any] | None = None,
        filesystem: Any = None,
        rejects: str | PathLike[str] | None = None,
        max_rejects: int = 1000,
        progress: bool | None = None,
        restart: bool = False,
        job: str | None = None,
    ) -> LoadReport:
        """Read files or a stream of batches into the collection, in bounded memory.

        source       a file, a glob, a folder, a URL (s3://, gs://, ...), a list of these; or a table, a
                     reader, a dataset, an iterator of record batches or dataframes. Parquet, Arrow, CSV and
                     JSON lines; gzip, bz2, lz4 and zstd for the latter two. CSV has vectors as "[0.1, 0.2]"
        columns      as for `add`: by default id, document, embedding and uri; all others are metadata
        on_conflict  for ids that are stored: "error" before anything of their part is written, "skip" them,
                     or "upsert"
        transform    a function of each part, an Arrow table (of JSON lines a list of dicts); returns a
                     table of any kind, a list of dicts, or None for no rows. It runs in another thread
        batch_size   rows of a part; default: 10,000, or fewer of long vectors
        types        Arrow types of CSV columns: {"zip": "string"}; ids, documents and uris are texts, others
                     what the first megabyte is like
        filesystem   an Arrow or fsspec file system that the source is on
        rejects      a file for rows that cannot be stored, a JSON object a line, replaced by each new load;
                     without it the first such row is an error. More than max_rejects are an error too
        progress     a bar with rate and remaining time; None: on terminals and in notebooks
        restart      forget that an earlier run came only half way
        job          a name under which to resume a stream; it must give the same rows again. Streams are read
                     in another thread

        Reading, embedding and writing overlap. Every part is durable before it counts as done in a journal,
        beside the database (of a server's collections: in the folder .chroma-loads). So after a crash, an
        error or an interrupt the same call goes on where it was, and stores nothing twice; only one process
        at a time can run it. Raises InvalidArgumentError with file and row, IDAlreadyExistsError.
        """
        require_arrow()
        from ..pipelines.load import Load, LoadArguments

        with during("load"):
            info = await self._backend.get_collection_by_id(self._ref)
            folder = await self._backend.journals()
            arguments = LoadArguments(
                source=source,
                columns=columns,
                on_conflict=on_conflict,
                transform=transform,
                batch_size=batch_size,
                format=format,
                types=types,
                filesystem=filesystem,
                rejects=rejects,
                max_rejects=max_rejects,
                progress=progress,
                restart=restart,
                job=job,
            )
            load = await async_call(
                partial(
                    Load.open,
                    info,
                    arguments,
                    folder=folder,
                    embed=partial(resolve.embed, self._function, self._stored_function, "documents"),
                )
            )
        try:
            while True:
                with during("load"):
                    ready = await async_call(load.next)
                if ready is None:
                    return load.finish()
                ids = ready.ids()
                known = await self._backend.known_ids(self._ref, ids) if ids else set()
                with during("load"):
                    batches = await async_call(load.begin, ready, known)
                for batch in batches:
                    records = batch.records(batch.embeddings)
                    load.wrote(batch, await self._backend.write(self._ref, load.mode, records))
                load.settle(ready)
        finally:
            await async_call(load.close)

    async def export(
        self,
        path: str | PathLike[str],
        *,
        format: Literal["parquet", "arrow", "jsonl"] | None = None,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        ids: Any = None,
        limit: int | None = None,
        order_by: str | Sequence[str] | None = None,
        partition_by: str | None = None,
        filesystem: Any = None,
        overwrite: bool = False,
        progress: bool | None = None,
    ) -> ExportReport:
        """Write records to a file, or to a folder with a file per value of a metadata key, in bounded memory.

        path          a path or URL; its ending tells the format: .parquet, .arrow, .jsonl or .jsonl.gz
        columns       names of columns; None: all, as of `to_arrow`. JSON lines have the metadata as one
                      object
        where, where_document, ids, limit, order_by  as for `get`
        partition_by  a metadata key: path is then a folder, with key=value/part-0.parquet and so on
        overwrite     replace what is there; else that is an error
        All of one snapshot, whatever is written meanwhile. Files are there only when they are whole. What
        was exported loads again as it was, with `load`.
        """
        require_arrow()
        from ..pipelines.export import Export

        with during("export"):
            export = await async_call(
                partial(
                    Export,
                    self._info.name,
                    path,
                    format=format,
                    columns=columns,
                    partition_by=partition_by,
                    filesystem=filesystem,
                    overwrite=overwrite,
                    progress=progress,
                )
            )
            form: Literal["columns", "json"] = "json" if export.format == "jsonl" else "columns"
        try:
            batches = await self.to_batches(
                columns, where, where_document, ids=ids, limit=limit, order_by=order_by, metadata=form
            )
            with during("export"):
                await async_call(export.begin, batches.schema)
                async for batch in batches:
                    await async_call(export.write, batch)
                return await async_call(export.finish)
        finally:
            await async_call(export.close)
