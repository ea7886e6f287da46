"""`AsyncCollection`: a handle on one collection, which it addresses by id."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from .. import tables
from ..backend.async_protocol import AsyncBackend
from ..collection.configuration import UpdateCollectionConfiguration, hnsw_for_update
from ..collection.sparse_sources import embedded, for_query
from ..console.console_link import ConsoleLink, Page
from ..embedding import EmbeddingFunction, resolve
from ..errors import ClosedError, InvalidArgumentError, NotFoundError, UnsupportedError
from ..internal.concurrency import AsyncContainer, async_bulk, async_call, async_call_any
from ..internal.error_context import during
from ..internal.optional_dependencies import require_arrow
from ..internal.progress import indexing_bar
from ..requests.scope import Scope
from ..reranking import rerank as reranking
from ..reranking.rerank import Reranked, Reranker, Reranking
from ..results.build import (
    facet_result,
    get_result,
    in_order_of,
    indexing_result,
    query_result,
    search_result,
    vectors_of_ids,
)
from ..results.cut import Cut
from ..results.facets import FacetResult
from ..results.search_result import SearchResult
from ..results.types import GetResult, QueryResult
from ..results.write_report import WriteReport, report_of
from ..search.requests import forms_of, key_of, listed, questions_of, texts_of
from ..search.search import Search
from ..storage.interface.ranking import EMBEDDING
from ..storage.interface.requests import (
    CollectionChanges,
    FacetRequest,
    GetRequest,
    QueryMode,
    QueryRequest,
    Selection,
)
from ..storage.interface.schema import ValueType
from ..storage.interface.values import (
    CollectionInfo,
    CollectionStats,
    EfRecall,
    Field,
    Floats,
    Mode,
    Rows,
)
from ..types import (
    CollectionMetadata,
    DataLoader,
    DeleteResult,
    GivenEmbeddings,
    GivenIDs,
    GivenImages,
    GivenMetadatas,
    GivenTable,
    GivenTexts,
    Include,
    IndexingStatus,
    ReadLevel,
    Where,
    WhereDocument,
)
from ..validation.metadata import check_new_metadata
from ..validation.names import check_count, check_name, check_str
from ..validation.read_arguments import (
    NO_VECTORS,
    chance_of,
    check_bool,
    check_candidates,
    check_choices,
    check_count_arguments,
    check_delete,
    check_efs,
    check_facet_keys,
    check_get,
    check_include,
    check_mode,
    check_n_results,
    check_no_inputs,
    check_no_vectors,
    check_only_ids,
    check_positive,
    check_read_level,
    check_same_length,
    check_update,
    fields_of,
    given_filter,
    only_input,
    read_query_inputs,
    selected,
)
from ..validation.sequences import check_ids
from ..validation.vectors import as_matrix
from ..validation.write_batch import (
    Batch,
    Source,
    embedding_source,
    filled,
    given_rows,
    lacking,
    read_batch,
    refuse_new,
    refuse_stored,
    scatter,
    size_of,
)
from ..wire import search_codec
from .collection_snapshots import AsyncSnapshots

if TYPE_CHECKING:
    import altair as alt

    from ..notebook.description import Description
    from ..schema.schema import Schema


_PAGE = 1000  # records that are read at once by an iteration
_TEXTS: frozenset[Field] = frozenset({"documents", "metadatas", "uris"})
_OFF = 0.0  # the diversity of a query that does not ask for any


class AsyncCollection(AsyncSnapshots, AsyncContainer):
    """A set of records. Each has an id, a vector, and optionally a document, metadata and a uri.

    Collections are made by the methods of a client. A collection keeps the embedding function and the
    data loader that it was opened with. Every column argument takes a single value or several, as a list,
    a tuple, a numpy array, a pandas Series or an Arrow array. Invalid input raises InvalidArgumentError
    (a ValueError; its subclass InvalidTypeError is also a TypeError) and changes nothing.
    NotFoundError means that the collection was deleted, ClosedError that the client was closed.
    """

    __module__ = "chroma.api.models.AsyncCollection"

    def __init__(
        self,
        backend: AsyncBackend,
        info: CollectionInfo,
        embedding_function: EmbeddingFunction[Any] | None = resolve.DEFAULT,
        data_loader: DataLoader[Any] | None = None,
        client: Any = None,
        schema: Schema | None = None,
    ) -> None:
        super().__init__(info, embedding_function, data_loader, schema)
        self._backend = backend
        self._opened_by = client

    @property
    def _client(self) -> Any:
        """The client that opened the collection. Programs written for Chroma read it."""
        return self._opened_by

    def _metadata_keys(self) -> list[tuple[str, ValueType]]:
        ask = getattr(self._backend, "metadata_keys", None)  # a server has listed them in the entry
        found: list[tuple[str, ValueType]] = []
        if ask is not None:
            with suppress(ClosedError, NotFoundError):
                found = ask(self._ref)
        return found

    def _repr_html_(self) -> str:
        from ..notebook.html_repr import async_collection_html

        return async_collection_html(self._backend, self._info)

    # -- writing -----------------------------------------------------------------------

    async def add(
        self,
        ids: GivenIDs | GivenTable,
        embeddings: GivenEmbeddings | None = None,
        metadatas: GivenMetadatas | None = None,
        documents: GivenTexts | None = None,
        images: GivenImages | None = None,
        uris: GivenTexts | None = None,
        *,
        strict: bool = False,
        columns: Mapping[str, Any] | None = None,
    ) -> WriteReport:
        """Add records. Records whose id is already stored are left unchanged.

            collection.add(ids=["a"], documents=["a text"], metadatas=[{"year": 1950}])

        ids         one distinct, non-empty str per record; or a table that holds all columns: a pandas or
                    polars dataframe, an Arrow table, reader or dataset, a DuckDB relation, the result of
                    a get, or any object with __arrow_c_stream__
        embeddings  float32 (n, dim), or anything that converts to it; if omitted, exactly one of
                    documents, images and uris is embedded, but only for ids that are new
        metadatas   a non-empty dict or None per record. Values: str, int (64 bits), finite
                    float, bool, SparseVector, or a non-empty list of one of the first four; None values are
                    dropped
        documents   str; may be None only if embeddings are given
        images      numpy arrays of two or more dimensions; embedded, not stored
        uris        str or None; the data loader reads them if they are embedded
        strict      raise IDAlreadyExistsError and write nothing if an id is already stored
        columns     for a table: the column names, such as {"id": "key", "document": "text",
                    "embedding": "vector", "uri": "url", "metadata": ["pos", "lemma"]}. By default a
                    column called id, document, embedding or uri has that role, and all other columns
                    are metadata. Documents in rows without an embedding are embedded

        The call is atomic: its records are durable when it returns, and nothing has changed if it raises.
        Returns how many records were added, and how many were skipped because their id is stored.
        """
        skipped = 0
        with during("add"):
            given = {
                "embeddings": embeddings,
                "metadatas": metadatas,
                "documents": documents,
                "images": images,
                "uris": uris,
            }
            batch = await self._read("add", columns, ids, given)
            source = embedding_source("add", batch) if batch.embeddings is None else None
            if strict or source is not None:
                known = await self._backend.known_ids(self._ref, batch.ids)
                if strict:
                    refuse_stored(known)
                if source is not None:
                    batch, skipped = batch.without(known), len(known)
                    if not batch.ids:
                        return WriteReport(skipped=skipped)
            vectors = batch.embeddings if source is None else await self._embed(source, batch)
            batch = await self._with_sparse(batch)
        written = await self._backend.write(self._ref, "add", batch.records(vectors))
        return WriteReport(written.added, written.updated, written.skipped + skipped)

    async def upsert(
        self,
        ids: GivenIDs | GivenTable,
        embeddings: GivenEmbeddings | None = None,
        metadatas: GivenMetadatas | None = None,
        documents: GivenTexts | None = None,
        images: GivenImages | None = None,
        uris: GivenTexts | None = None,
        *,
        columns: Mapping[str, Any] | None = None,
    ) -> WriteReport:
        """Add the records whose id is new, and update the others. Returns how many were added and updated.

            collection.upsert(ids=["a"], documents=["another text"])

        ids, embeddings, metadatas, documents, images, uris, columns  as for `add`

        Takes the same arguments as `add`. A stored record keeps its values in the columns that are not given.
        Its metadata is merged key by key; a value of None deletes its key. Metadata can be upserted without
        embeddings, documents or images if all ids are stored. So can uris, if the collection was opened
        without a data loader. With one, what the uris point to is embedded.
        """
        with during("upsert"):
            given = {
                "embeddings": embeddings,
                "metadatas": metadatas,
                "documents": documents,
                "images": images,
                "uris": uris,
            }
            batch = await self._read("upsert", columns, ids, given)
            vectors = batch.embeddings
            if vectors is None:
                source = embedding_source("upsert", batch, loads=self._loader is not None)
                vectors = None if source is None else await self._embed(source, batch)
            if vectors is None:
                known = await self._backend.known_ids(self._ref, batch.ids)
                refuse_new(batch.ids, known)
            batch = await self._with_sparse(batch)
        return report_of(await self._backend.write(self._ref, "upsert", batch.records(vectors)))

    async def update(
        self,
        ids: GivenIDs | GivenTable | None = None,
        embeddings: GivenEmbeddings | None = None,
        metadatas: GivenMetadatas | None = None,
        documents: GivenTexts | None = None,
        images: GivenImages | None = None,
        uris: GivenTexts | None = None,
        *,
        columns: Mapping[str, Any] | None = None,
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        missing_ok: bool = False,
    ) -> WriteReport:
        """Change stored records. Ids that are not stored are skipped.

        images, uris, columns  as for `add`

        Takes the same arguments as `add`; all except `ids` are optional. Columns that are not given keep
        their values. If an entry of `documents` or `metadatas` is None, that record's value is kept.
        Metadata is merged key by key; a value of None deletes its key. New documents given without
        embeddings are embedded.

        where, where_document  change all records that match, and have one of `ids` if there are any. Then
                               `metadatas` is one mapping, and no other column is given:

            collection.update(where={"year": {"$lt": 1950}}, metadatas={"era": "early"})

        missing_ok  True: `where` may name a key that no record has, as in `delete`

        Returns how many records were updated, and how many were skipped because they are not stored.
        """
        with during("update"):
            given: dict[str, Any] = {
                "embeddings": embeddings,
                "metadatas": metadatas,
                "documents": documents,
                "images": images,
                "uris": uris,
            }
            if where is not None or where_document is not None or ids is None:
                selection = check_update(selected(ids, where, where_document), given)
                ids = await self._matching(selection, missing_ok)
                if not ids:
                    return WriteReport()
                given["metadatas"] = [metadatas] * len(ids)
            batch = await self._read("update", columns, ids, given)
            vectors, rows = batch.embeddings, batch.given
            if vectors is None:
                source = embedding_source("update", batch)
                if source == "documents" and batch.documents is not None:
                    mask = given_rows(batch.documents)
                    texts = [text for text in batch.documents if text is not None]
                    if texts:
                        vectors = scatter(await self._embed_as("documents", texts), mask)
                        rows = None if mask.all() else mask
                elif source is not None:
                    vectors = await self._embed(source, batch)
            batch = await self._with_sparse(batch)
        return report_of(await self._backend.write(self._ref, "update", batch.records(vectors, rows)))

    async def delete(
        self,
        ids: GivenIDs | None = None,
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        limit: int | None = None,
        *,
        missing_ok: bool = False,
    ) -> DeleteResult:
        """Delete the records that have one of the ids and match the filters.

            collection.delete(where={"year": {"$lt": 1950}})

        Requires `ids`, `where` or `where_document`. With `limit`, which requires a filter, only the first
        `limit` matches in insertion order are deleted. Returns the number of records deleted.

        missing_ok  True: delete even if `where` names a key that no record has, or compares a key with values
                    of a type that it never has. By default this raises UnmatchedKeyError, because a
                    mistyped key in a negation selects every record
        """
        with during("delete"):
            request = check_delete(ids, where, where_document, limit, missing_ok=missing_ok)
        return {"deleted": await self._backend.delete(self._ref, request)}

    # -- reading -----------------------------------------------------------------------

    async def count(
        self,
        where: Where | ReadLevel | str | None = None,
        where_document: WhereDocument | None = None,
        read_level: ReadLevel | str = ReadLevel.INDEX_AND_WAL,
    ) -> int:
        """The number of records. If filters are given, only matching records are counted.

            collection.count(where={"year": 1950})

        where, where_document  only records that match; see `get`

        `count(read_level)` is accepted too. Every read level counts all acknowledged records.
        """
        with during("count"):
            selection = check_count_arguments(where, where_document, read_level)
        return await self._backend.count(self._ref, selection)

    async def get(
        self,
        ids: GivenIDs | None = None,
        where: Where | str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ["metadatas", "documents"],  # noqa: B006 - never changed
        *,
        order_by: str | Sequence[str] | None = None,
    ) -> GetResult:
        """Get records by id, by filter, or by both. Without either, returns all records.

            collection.get(where={"year": {"$gte": 1950}}, limit=10, order_by="-year")

        where           a filter on metadata: {"year": {"$gte": 1950}}, or an SQL condition: "year >= 1950"
        where_document  a filter on documents: {"$contains": "solar"}, {"$regex": "sol.r"}

        Records are returned in insertion order, even if ids are given. Unknown ids are skipped.
        limit, offset  applied after filtering and sorting; by default all records are returned
        include        any of documents, metadatas, embeddings, uris, data
        order_by       a metadata key, "-key" for descending order, or a list of these; "#request"
                       keeps the order of `ids`
        """
        with during("get"):
            arguments = check_get(
                ids=ids,
                where=where,
                where_document=where_document,
                limit=limit,
                offset=offset,
                include=include,
                order_by=order_by,
                loader=self._loader,
            )
        rows = await self._backend.get(self._ref, arguments.request)
        if arguments.by_request is not None:
            rows = in_order_of(arguments.request.selection.ids or (), rows, arguments.by_request)
        with during("get"):
            data = await self._load(rows.uris or []) if "data" in arguments.include else None
            return get_result(rows, arguments.include, data)

    async def peek(self, limit: int = 10) -> GetResult:
        """Get the first `limit` records, with documents, metadatas and embeddings.

        collection.peek(3)
        """
        with during("peek"):
            check_count(limit, "limit")
        return await self.get(limit=limit, include=["metadatas", "documents", "embeddings"])

    async def head(self, n: int = 5) -> GetResult:
        """Get the first `n` records, with documents and metadatas.

        collection.head(3)
        """
        with during("head"):
            check_count(n, "n")
        return await self.get(limit=n)

    async def sample(
        self, n: int = 5, seed: int | None = None, where: Where | str | None = None
    ) -> GetResult:
        """Get `n` records by chance, in insertion order, with documents and metadatas.

            collection.sample(3, seed=1)

        seed   an int that gives the same records each time, as long as the ids are the same; None: others
        where  only among the records that match
        """
        with during("sample"):
            check_count(n, "n")
            chance = chance_of(seed)
        ids = (await self.get(where=where, include=[]))["ids"]
        chosen = sorted(chance.sample(range(len(ids)), min(n, len(ids))))
        return await self.get([ids[row] for row in chosen]) if chosen else await self.get(limit=0)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """The records, one by one, in insertion order: {"id", "document", "metadata", "uri"}.

        They are those that are stored at the beginning. Records that are deleted meanwhile are left out.
        """
        ids = (await self.get(include=[]))["ids"]
        for start in range(0, len(ids), _PAGE):
            request = GetRequest(selection=Selection(ids=ids[start : start + _PAGE]), fields=_TEXTS)
            found = await self._backend.get(self._ref, request)
            columns = found.documents or [], found.metadatas or [], found.uris or []
            for id, document, metadata, uri in zip(found.ids, *columns):
                yield {"id": id, "document": document, "metadata": metadata, "uri": uri}

    async def query(
        self,
        query_embeddings: GivenEmbeddings | None = None,
        query_texts: GivenTexts | None = None,
        query_images: GivenImages | None = None,
        query_uris: GivenTexts | None = None,
        ids: GivenIDs | None = None,
        n_results: int = 10,
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ["metadatas", "documents", "distances"],  # noqa: B006 - never changed
        *,
        exact: bool = False,
        max_distance: float | None = None,
        diversity: float = _OFF,
        rerank: Reranker | None = None,
        candidates: int | None = None,
        explain: bool = False,
        mode: QueryMode = "dense",
        query_ids: GivenIDs | None = None,
        offset: int = 0,
    ) -> QueryResult:
        """The nearest records to each query, by ascending distance. Ties are in insertion order.

            collection.query(query_texts=["solar power"], n_results=5, where={"year": {"$gte": 1950}})

        where, where_document  search only the records that match, as in `get`
        include       any of documents, metadatas, embeddings, distances, uris, data

        Pass query_embeddings (float32 (n, dim), or anything that converts to it), or exactly one of
        query_texts, query_images and query_uris, which the embedding function embeds, or query_ids.
        query_ids     ids of stored records: find the records near them, without themselves ("more like this")
        ids           search only these records; unknown ids are ignored
        n_results     the number of results per query; fewer are returned only if fewer records match
        offset        leave out so many of the nearest records of each query, to show the next page
        exact         True: compare each query with every matching record, without the index.
                      mode="lexical" refuses it, because it is always exact
        max_distance  leave out records that are farther away; negative in the space ip only
        diversity     from 0 (off) to 1: prefer records that differ from those before them (maximal marginal
                      relevance). The results are in the order in which they were chosen
        rerank        a function (text, documents) -> scores, such as CrossEncoderReranker. It runs in this
                      process, once per query text. The results are sorted by its scores, highest first,
                      which are returned as rerank_scores
        candidates    diversity and rerank choose the results among this many of the nearest records.
                      Default: 5 * n_results, and at least 50. mode="hybrid" fuses this many of each list;
                      default: n_results, and at least 100
        explain       True: also return what was done, with times, as result["explain"]
        mode          "dense": by distance. "lexical": by the words of query_texts in the documents (BM25 of
                      English stems). "hybrid": by both, fused by reciprocal ranks. The last two also return
                      lexical_scores (higher is better, None without a common word), lexical_ranks and
                      dense_ranks (the place in each list, None if not in it). The first such query builds
                      an index of words, which is kept
        Distances: l2 is squared Euclidean, cosine is 1 - cos, ip is 1 - dot.
        """
        with during("query"):
            parts = check_include(include, query=True)
            if query_ids is not None:
                check_only_ids(
                    mode,
                    query_embeddings=query_embeddings,
                    query_texts=query_texts,
                    query_images=query_images,
                    query_uris=query_uris,
                )
                query_ids = check_ids(query_ids, distinct=False, argument="query_ids")
                vectors = await self._vectors_of(query_ids)
            elif mode == "lexical":
                vectors = NO_VECTORS
                check_no_vectors(
                    query_embeddings=query_embeddings, query_images=query_images, query_uris=query_uris
                )
            else:
                vectors = await self._query_vectors(query_embeddings, query_texts, query_images, query_uris)
                alone = query_texts is query_images is query_uris is None
                if query_embeddings is not None and not alone and mode == "dense" and rerank is None:
                    check_no_inputs(query_texts=query_texts, query_images=query_images, query_uris=query_uris)
            chosen = None if ids is None else check_ids(ids, distinct=False, may_be_empty=True)
            request = QueryRequest(
                vectors=vectors,
                k=check_n_results(n_results),
                selection=selected(chosen, where, where_document),
                fields=fields_of(parts),
            )
            limited = max_distance is not None or diversity is not _OFF or candidates is not None
            limited = limited or rerank is not None or mode != "dense"
            if limited or exact is not False or explain is not False:
                reranks, fuses = rerank is not None, mode != "dense"
                request = check_choices(
                    request,
                    exact=exact,
                    max_distance=max_distance,
                    diversity=diversity,
                    candidates=None if fuses and not reranks else candidates,
                    explain=explain,
                    reranks=reranks,
                    space=self._info.configuration["hnsw"]["space"],
                )
                request = check_mode(request, mode, query_texts, None if reranks else candidates)
            cut = None
            if query_ids is not None or offset:
                cut = Cut.checked(query_ids, offset, request, reranks=rerank is not None)
            job = None
            if rerank is not None:
                job, request = reranking.for_query(rerank, request, query_texts)
        if cut is None:
            hits = await self._backend.query(self._ref, request)
        else:
            found = [await self._backend.query(self._ref, each) for each in cut.requests(request)]
            hits = cut.applied([hit for part in found for hit in part])
        questions = query_texts if query_ids is None else [f"like {each}" for each in query_ids]
        if job is None and "data" not in parts:
            return query_result(hits, parts, None, questions)
        with during("query"):
            again = None
            if job is not None:
                again = await self._rerank(job, [hit.rows for hit in hits])
                hits = reranking.hits_of(hits, again)
            data = None
            if "data" in parts and self._loader is not None:
                data = [await self._load(hit.rows.uris or []) for hit in hits]
        result = query_result(hits, parts, data, questions)
        if again is not None:
            result |= reranking.column_of(again)
        return result

    async def _rerank(self, job: Reranking, found: Sequence[Rows]) -> list[Reranked]:
        """Run a reranker on the records of each query or search."""
        documents = [reranking.documents_of(rows) for rows in found]
        again, bar = [], job.progress(documents)
        try:
            for text, rows, given, page in zip(job.texts, found, documents, job.pages):
                scores = await async_call_any(job.function, text, given) if given else []
                again.append(reranking.sorted_again(rows, scores, page))
                if bar is not None:
                    bar.update(len(given))
        finally:
            if bar is not None:
                bar.close()
        return again

    # -- the collection as a whole -------------------------------------------------------

    async def modify(
        self,
        name: str | None = None,
        metadata: CollectionMetadata | None = None,
        configuration: UpdateCollectionConfiguration | None = None,
    ) -> None:
        """Rename the collection, replace its metadata, or change its settings. None changes nothing.

            collection.modify(name="words", configuration={"hnsw": {"ef_search": 200}})

        metadata       replaces the whole mapping; keys whose value is None are left out
        configuration  {"hnsw": {ef_search, max_neighbors, num_threads, batch_size,
                       sync_threshold, resize_factor}, "embedding_function": a function of the same name}
        Raises UniqueConstraintError if the name is taken. All arguments are checked before any change.
        """
        with during("modify"):
            new_name = None if name is None else check_name(name)
            new_metadata = None if metadata is None else check_new_metadata(metadata)
            function = self._function
            new_configuration: dict[str, Any] | None = None
            if configuration is not None:
                # other handles may have changed the settings since this handle was created
                info = await self._backend.get_collection_by_id(self._ref)
                current = info.configuration
                hnsw = hnsw_for_update(current["hnsw"], configuration)
                stored = current.get("embedding_function")
                passed = configuration.get("embedding_function")
                if passed is not None:
                    function, stored = passed, resolve.update_form(passed, stored)
                new_configuration = {"hnsw": hnsw, "embedding_function": stored}
        if new_name is None and new_metadata is None and new_configuration is None:
            return
        changes = CollectionChanges(name=new_name, metadata=new_metadata, configuration=new_configuration)
        self._info = await self._backend.modify_collection(self._ref, changes)
        self._function = function

    async def fork(self, new_name: str) -> AsyncCollection:
        """Copy the collection under another name. Both share the stored data until either changes it.

            trial = collection.fork("trial")

        new_name  3-512 characters of [a-zA-Z0-9._-]
        """
        with during("fork"):
            name = check_name(new_name)
        info = await self._backend.fork_collection(self._ref, name)
        return AsyncCollection(
            self._backend,
            info,
            self._function,
            self._loader,
            client=self._opened_by,
            schema=self._given_schema,
        )

    async def at(self, name: str) -> AsyncCollection:
        """The collection as it was when a snapshot was made, to read. It refuses every change.

        name  that of the snapshot. Raises NotFoundError for another

        collection.at("before-cleaning").count()
        """
        with during("at"):
            checked = check_str(name, "name")
        found = await self._backend.list_snapshots(self._ref)
        for snapshot in found:
            if snapshot.name == checked:
                info = await self._backend.get_collection_by_id(self._ref._replace(id=snapshot.id))
                info = replace(info, name=f"{self.name}@{checked}")  # which is shown
                return AsyncCollection(
                    self._backend, info, self._function, self._loader, client=self._opened_by
                )
        from ..storage.interface.version_names import unknown  # only for the message

        with during("at"):
            raise NotFoundError(unknown(checked, [each.name for each in found]))

    async def get_indexing_status(self) -> IndexingStatus:
        """The number of records that the similarity index covers. Queries find the other records too.

        collection.get_indexing_status().op_indexing_progress
        """
        return indexing_result(await self._backend.index_status(self._ref))

    @overload
    async def recall(self, k: int = 10, sample: int = 200, *, ef_search: None = None) -> float: ...
    @overload
    async def recall(self, k: int = 10, sample: int = 200, *, ef_search: Sequence[int]) -> list[EfRecall]: ...
    async def recall(
        self, k: int = 10, sample: int = 200, *, ef_search: Sequence[int] | None = None
    ) -> float | list[EfRecall]:
        """The fraction of the true k nearest records that `query` finds, between 0 and 1.

            collection.recall(k=10)
            pd.DataFrame(collection.recall(ef_search=[16, 64, 256]))

        Measured by querying with the vectors of up to `sample` stored records.

        ef_search  measure each of these settings instead of the collection's, with times, to choose one for
                   `modify`. Returns a list of `EfRecall`: ef_search, recall, ms (the median time of a query
                   for one vector) and exact_ms (that of an exact one)
        """
        with during("recall"):
            most, records = check_positive(k, "k"), check_positive(sample, "sample")
            efs = None if ef_search is None else check_efs(ef_search)
        if efs is None:
            return await self._backend.recall(self._ref, most, records)
        return await self._backend.recall_by_ef(self._ref, most, records, efs)

    async def compact(self, *, progress: bool | None = None) -> None:
        """Flush the memtable, merge the segments, build their indexes, and free the space of deleted
        records. Returns when all of this is done.

            collection.compact()

        progress  show a bar of the rows that are indexed; None: on terminals and in notebooks, once it takes
                  more than a second. Over HTTP there is none
        """
        with indexing_bar(progress, self.name):
            await self._backend.compact(self._ref)

    async def info(self) -> CollectionStats:
        """The numbers of live, deleted and indexed records, the number of segments, and the bytes on disk.

        collection.info().live
        """
        return await self._backend.stats(self._ref)

    async def describe(self, where: Where | str | None = None) -> Description:
        """Summarize the records.

            print(collection.describe())

        For each metadata key: its types, the number of records that have it, the number of distinct values,
        and the least, greatest and most frequent values. For documents and uris: how many records have one,
        and how long they are. For documents also: how many are longer than the embedding model reads.

        where  summarize only the records that match
        Reads every such record, batch by batch.
        """
        require_arrow()
        from ..notebook.describe import Summary, request

        summary = Summary(self.name, resolve.telling_cut_texts(self._function, self._stored_function))
        batches = await self._backend.batches(self._ref, request(given_filter(where)))
        async for batch in batches:
            await async_bulk(batch.num_rows, summary.add, batch)
        return summary.finish()

    async def facets(
        self,
        keys: str | Sequence[str],
        where: Where | str | None = None,
        where_document: WhereDocument | None = None,
        ids: GivenIDs | None = None,
        *,
        limit: int | None = 10,
    ) -> FacetResult:
        """Count the values of metadata keys among the records that have one of the ids and match the filters.

            collection.facets("year", where={"lang": "en"})

        where, where_document  only records that match; see `get`

        keys   one metadata key or several
        limit  the most values to return per key; None: all

        The most frequent values come first, equally frequent ones in ascending order. As in filters, 1 and
        1.0 are the same value, and True and "1" are others. A list counts once for each different element.
        Sparse vectors are not counted.
        """
        with during("facets"):
            chosen = None
            if ids is not None:
                chosen = [*dict.fromkeys(check_ids(ids, distinct=False, may_be_empty=True))]
            request = FacetRequest(
                keys=check_facet_keys(keys),
                selection=selected(chosen, where, where_document),
                limit=None if limit is None else check_positive(limit, "limit"),
            )
        return facet_result(request.keys, await self._backend.facets(self._ref, request))

    async def browse(self, where: Where | str | None = None, *, write: bool = False) -> ConsoleLink:
        """The address of the console, which shows the records in a browser.

            collection.browse(where={"year": 1950})

        where  show only the records that match
        write  as for `Client.browse`, which says more
        """
        with during("browse"):
            check_bool(write, "write")
            page = Page(scope=Scope(*self._ref[:2]), collection=self.name, where=given_filter(where))
            if self._opened_by is None:
                raise InvalidArgumentError("the collection was made without a client: call Client.browse")
        link: ConsoleLink = await self._opened_by._browse(page, write)
        return link

    async def plot(
        self,
        color_by: str | None = None,
        label: str | None = None,
        *,
        where: Where | str | None = None,
        limit: int = 5000,
        color_type: Literal["category", "number"] | None = None,
        method: Literal["pca", "tsne", "umap"] = "pca",
        seed: int = 0,
        width: int = 700,
        height: int = 500,
        file: str | PathLike[str] | None = None,
    ) -> alt.Chart | alt.LayerChart:
        """Plot the embeddings in two dimensions: one dot per record, with similar vectors close together.

            collection.plot("year", label="id", file="map.png")

        color_by       a metadata key: numbers get a colour scale, other values, and whole numbers of up to 20
                       different values, get up to 20 colours, and the rarest values share one colour
        color_type     "category" or "number", if that is not right
        label          a metadata key, "id", "document" or "uri"; shown beside the dot or on hovering over it
        where          plot only the records that match
        limit          the most records to plot; if more match, a sample is plotted that depends only on
                       the ids and `seed`
        method         "pca"; "tsne" if scikit-learn is installed, or "umap" if umap-learn is: these show
                       groups, and take some seconds per thousand records
        width, height  the size of the plot in pixels
        file           also write the plot to this file: .png, .svg, or .html, which needs no network

        Returns an Altair chart, which notebooks show without the network. Requires
        `pip install 'chroma-arrow[plot]'`.
        """
        from ..notebook.plot import check_plot, draw

        with during("plot"):
            arguments = check_plot(
                color_by,
                label,
                limit,
                color_type=color_type,
                method=method,
                seed=seed,
                size=(width, height),
                file=file,
            )
        where = given_filter(where)
        total = await self.count(where)
        chosen = None
        if total > arguments.limit:
            everything = await self.get(where=where, include=[])
            chosen = await async_call(arguments.sample, everything["ids"])
        records = await self.get(chosen, where, include=["embeddings", "documents", "metadatas", "uris"])
        with during("plot"):
            return await async_call(draw, arguments, self._info, records, total)

    async def search(
        self,
        searches: Search | Sequence[Search] | None,
        read_level: ReadLevel | str = ReadLevel.INDEX_AND_WAL,
        *,
        rerank: Reranker | None = None,
        candidates: int | None = None,
        explain: bool = False,
    ) -> SearchResult:
        """Run one search or several, over one snapshot of the collection.

        read_level  accepted as in Chroma

            collection.search(Search().rank(Knn("solar power")).limit(5).select(K.DOCUMENT, K.SCORE)).rows()

        The lowest score is the best. Texts in `Knn` are embedded: by the collection's function, or for a key
        of the schema by the function of that key. All searches are checked before the first one runs. Every
        read level sees all acknowledged records.

        rerank      a function (text, documents) -> scores, which sorts the best records of each search again,
                    as in `query`. The text is that of the search's `Knn`, which all of them must share
        candidates  how many of the best records `rerank` sorts. Default: 5 * (offset + limit), and at least
                    50; all records without a limit
        explain     True: also return what was done, with times, as result["explain"], one entry per search
        Raises InvalidArgumentError (a ValueError), or InvalidTypeError (also a TypeError).
        """
        with during("search"):
            check_read_level(read_level)
            forms = forms_of(listed(searches))
            requests = [search_codec.search_from_json(form) for form in await self._with_vectors(forms)]
            if check_bool(explain, "explain"):
                requests = [request._replace(explain=True) for request in requests]
            job, found = None, requests
            if rerank is not None:
                texts = [[leaf["query"] for leaf in texts_of([form])] for form in forms]
                job, found = reranking.for_searches(rerank, requests, texts, candidates)
            elif candidates is not None:
                check_candidates(candidates, 1, False)
        answers = await self._backend.search(self._ref, found) if found else []
        questions = questions_of(forms)
        if job is None:
            return search_result(requests, answers, questions)
        with during("search"):
            again = await self._rerank(job, [answer.rows for answer in answers])
        answers = reranking.answers_of(answers, again)
        result = search_result(requests, answers, questions)
        result |= reranking.column_of(again)
        return result

    async def _with_vectors(self, forms: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Replace the texts of ranks by their vectors. One call of a function embeds all texts of a key."""
        if not any(texts_of(forms)):
            return forms
        forms = copy.deepcopy(forms)  # a rank of the caller's may give out a dictionary that it keeps
        leaves: dict[str, list[dict[str, Any]]] = {}
        for leaf in texts_of(forms):
            leaves.setdefault(key_of(leaf), []).append(leaf)
        for key, same in leaves.items():
            texts = [leaf["query"] for leaf in same]
            vectors: list[Any]
            if key == EMBEDDING:
                function, stored = self._function, self._stored_function
                found = await async_call(resolve.embed_queries, function, stored, "Knn(text)", texts)
                vectors = found.tolist()
            else:
                source = for_query(self._sparse_sources(), key)
                sparse = await async_call(partial(embedded, source, texts, queries=True))
                vectors = [vector.to_dict() for vector in sparse]
            for leaf, vector in zip(same, vectors):
                leaf["query"] = vector
        return forms

    async def fork_count(self) -> NoReturn:
        """Not supported, because forks share no history; raises UnsupportedError (a NotImplementedError)."""
        raise UnsupportedError("fork_count is not kept by local collections: forks share no history")

    async def attach_function(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Supported on hosted servers only; raises UnsupportedError (a NotImplementedError)."""
        raise UnsupportedError("attached functions exist on hosted servers only")

    async def get_attached_function(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Supported on hosted servers only; raises UnsupportedError (a NotImplementedError)."""
        raise UnsupportedError("attached functions exist on hosted servers only")

    async def detach_function(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Supported on hosted servers only; raises UnsupportedError (a NotImplementedError)."""
        raise UnsupportedError("attached functions exist on hosted servers only")

    # -- embedding ---------------------------------------------------------------------

    async def _embed(self, source: Source, batch: Batch) -> Floats:
        if source == "uris":
            uris = batch.uris or []
            if None in uris:
                raise InvalidArgumentError(
                    f"uris[{uris.index(None)}] is None, and what the uris point to is embedded: give each "
                    "record a uri, or pass embeddings"
                )
            return await self._embed_as("uris", await self._load(uris))
        if source == "images":
            return await self._embed_as("images", batch.images or [])
        return await self._embed_as("documents", [text for text in batch.documents or [] if text is not None])

    async def _read(self, mode: Mode, columns: Any, ids: Any, given: dict[str, Any]) -> Batch:
        """Read and check the records of a write, given as columns or as a table. Embeds the documents in
        table rows that have no embedding."""
        if not tables.is_table(ids):
            if columns is not None:
                raise InvalidArgumentError("columns is for a table: pass a dataframe in place of ids")
            return await async_bulk(size_of(ids), partial(read_batch, mode, ids, **given))
        if any(column is not None for column in given.values()):
            raise InvalidArgumentError(
                "a table has all columns: give no embeddings, metadatas, documents, images or uris besides it"
            )
        batch = await async_bulk(size_of(ids), partial(tables.read, ids, columns, new=mode == "add"))
        if batch.given is None:
            return batch
        rows, texts = lacking(mode, batch)
        return batch if not texts else filled(batch, rows, await self._embed_as("documents", texts))

    async def _embed_as(self, argument: str, inputs: Sequence[Any]) -> Floats:
        return await async_call(resolve.embed, self._function, self._stored_function, argument, inputs)

    async def _load(self, uris: Sequence[str | None]) -> Any:
        if self._loader is None:
            raise InvalidArgumentError(
                "You must set a data loader to load uris: open the collection with data_loader=…, "
                "or pass embeddings"
            )
        return await async_call(self._loader, list(uris))

    async def _vectors_of(self, ids: Sequence[str]) -> Floats:
        """The vectors of stored records, in the order of the ids. Raises NotFoundError for an unknown one."""
        request = GetRequest(selection=Selection(ids=[*dict.fromkeys(ids)]), fields=frozenset({"embeddings"}))
        rows = await self._backend.get(self._ref, request)
        return vectors_of_ids(rows, ids)

    async def _query_vectors(self, embeddings: Any, texts: Any, images: Any, uris: Any) -> Floats:
        inputs = read_query_inputs(texts, images, uris)
        if embeddings is not None:
            vectors = as_matrix(embeddings, "query_embeddings")
            check_same_length(vectors, inputs)
            return vectors
        argument, column = only_input(inputs)
        if argument == "query_uris":
            column = await self._load(column)
        function, stored = self._function, self._stored_function
        return await async_call(resolve.embed_queries, function, stored, argument, column)
