"""Loading files into a collection and exporting its records to files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import IO, TYPE_CHECKING, Any, Literal

from ..collection.sparse_sources import with_vectors
from ..embedding import resolve
from ..errors import InvalidArgumentError
from ..internal.concurrency import async_call
from ..internal.error_context import during
from ..internal.optional_dependencies import require_arrow
from ..types import GivenIDs, Where, WhereDocument
from ..validation.write_batch import Batch
from .collection_tables import AsyncTables

if TYPE_CHECKING:
    from ..pipelines.reports import ExportReport, LoadReport


class AsyncPipelines(AsyncTables):
    """The methods of a collection that move millions of records at once."""

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
        separator: str | None = None,
        quoting: str = '"',
        encoding: str | None = None,
        filesystem: Any = None,
        rejects: str | PathLike[str] | None = None,
        max_rejects: int = 1000,
        progress: bool | None = None,
        restart: bool = False,
        job: str | None = None,
        split: bool | int | Mapping[str, int] | None = None,
    ) -> LoadReport:
        """Load files or a stream of batches into the collection, in bounded memory.

            collection.load("texts/*.parquet", columns={"document": "text"})

        source       a file, a glob, a folder, a URL (s3://, gs://, ...), or a list of these; a binary file
                     object, with its `format`; or a table, a reader, a dataset, or an iterator of record
                     batches or dataframes. Files are Parquet,
                     Arrow, CSV or JSON lines; CSV and JSON lines may be compressed with gzip, bz2, lz4 or
                     zstd. Vectors in CSV are written as "[0.1, 0.2]". Folders as shop=north are columns of
                     the files in them
        columns      as for `add`: by default id, document, embedding and uri; all others are metadata
        on_conflict  how to treat ids that are already stored: "error" raises before their batch is
                     written, "skip" skips them, "upsert" updates them
        transform    a function that is called with each batch, an Arrow table (a list of dicts for JSON
                     lines); returns a table of any kind, a list of dicts, or None for no rows. It runs in
                     another thread
        batch_size   rows per batch at most; default: 10,000, or fewer if the vectors are long. Batches with
                     texts to embed are smaller: a few seconds of work
        types        Arrow types of CSV columns, such as {"price": "float64"}; ids, documents and uris are
                     strings. Another column is int64, float64 or bool only if every cell of it comes back
                     exactly when it is written again, and none is quoted. All others are strings. The report
                     has the types. To find them, CSV files are read twice
        separator    the character between the cells of CSV; None: a tab in .tsv files, else a comma
        quoting      the character around quoted cells of CSV; "": there are none
        encoding     the encoding of CSV and JSON lines, such as "cp1252"; None: UTF-8, or what a byte order
                     mark says
        filesystem   the Arrow or fsspec file system that holds the source
        rejects      a file for the rows that cannot be stored, one JSON object per line; each new load
                     replaces it. Without it, the first such row raises an error
        max_rejects  the load fails if more rows than this are rejected
        progress     show a bar with the rate and the remaining time; None: on terminals and in notebooks,
                     once it takes more than a second
        restart      start from the beginning, even if an earlier run was interrupted
        job          a name under which a stream can be resumed; the stream must then yield the same rows
                     again. Streams are read in another thread
        split        True: divide documents into pieces that the embedding model reads whole; a number: the
                     most tokens in a piece; or a dict as {"tokens": 256, "overlap": 32}, as `chroma.split`.
                     Each piece is a record, with the id "a#0", "a#1" and so on, and with the metadata of the
                     row and chunk_of (the id of the row), chunk, chunk_start and chunk_end

        Reading, embedding and writing overlap. Every batch is durable before a journal records it as done.
        The journal is beside the database; for collections on a server, it is in the folder .chroma-loads.
        After a crash, an error or an interrupt, the same call therefore resumes where it stopped and stores
        nothing twice. Only one process at a time can run it. Raises InvalidArgumentError, which names the
        file and row, and IDAlreadyExistsError.
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
                separator=separator,
                quoting=quoting,
                encoding=encoding,
                filesystem=filesystem,
                rejects=rejects,
                max_rejects=max_rejects,
                progress=progress,
                restart=restart,
                job=job,
                split=split,
            )
            function = resolve.required(self._function, self._stored_function, "split") if split else None
            load = await async_call(
                partial(
                    Load.open,
                    info,
                    arguments,
                    folder=folder,
                    embed=partial(resolve.embed, self._function, self._stored_function, "documents"),
                    function=function,
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
                    with during("load"):
                        records = (await self._with_sparse(batch)).records(batch.embeddings)
                    load.wrote(batch, await self._backend.write(self._ref, load.mode, records))
                load.checkpoint(ready)
        finally:
            await async_call(load.close)

    async def _with_sparse(self, batch: Batch) -> Batch:
        """The batch with the sparse vectors that the schema makes of its texts."""
        found = self._sparse_sources()
        return batch if not found else await async_call(with_vectors, found, batch)

    async def export(
        self,
        path: str | PathLike[str] | IO[bytes],
        *,
        format: Literal["parquet", "arrow", "csv", "jsonl"] | None = None,
        columns: Sequence[str] | None = None,
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        ids: GivenIDs | None = None,
        limit: int | None = None,
        order_by: str | Sequence[str] | None = None,
        partition_by: str | None = None,
        filesystem: Any = None,
        overwrite: bool = False,
        progress: bool | None = None,
    ) -> ExportReport:
        """Write records to a file, or to a folder with a file per value of a metadata key, in bounded memory.

            collection.export("words.parquet", where={"lang": "en"})

        filesystem  the Arrow or fsspec file system to write to
        progress    show a bar; None: on terminals and in notebooks

        path          a path or URL; its extension selects the format: .parquet, .arrow, .csv, .tsv or .jsonl,
                      the last three also with .gz. Or a binary file object, with its `format`; Arrow is
                      then in the stream format
        columns       names of columns; None: all columns that `to_arrow` returns. JSON lines hold the
                      metadata as one object
        where, where_document, ids, limit, order_by  as for `get`
        partition_by  a metadata key; path is then a folder that holds key=value/part-0.parquet and so on
        overwrite     replace existing files; otherwise an existing file raises an error
        All records are read from one snapshot, regardless of concurrent writes. A file appears only when it
        is complete. `load` restores the exported records exactly; of CSV, lists come back as JSON text.
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
            with during("export"):
                if export.format != "jsonl" and "metadata" in (columns or ()):
                    raise InvalidArgumentError(
                        "columns names 'metadata', which only JSON lines have: in format "
                        f"{export.format!r} each key is a column, so name the keys, or leave columns out"
                    )
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
