"""`Collection`: a handle on one collection, addressed by its id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn
from uuid import UUID

from . import embedder
from .backend import Backend, Scope
from .calls import during
from .columns import check_ids, shown
from .configuration import CollectionConfiguration, UpdateCollectionConfiguration, as_json, hnsw_for_update
from .embedding import EmbeddingFunction, is_persistable
from .errors import IDAlreadyExistsError, InvalidArgumentError, InvalidTypeError, UnsupportedError
from .metadata import check_new_metadata
from .names import check_count, check_int, check_name, check_optional_count
from .reading import (
    check_order,
    check_read_level,
    check_same_length,
    given_filter,
    only_input,
    read_query_inputs,
)
from .records import Batch, Source, embedding_source, given_rows, needs_source, read_batch, scatter
from .results import check_include, columns_for, get_result, in_order_of, query_result
from .storage.types import CollectionInfo, CollectionStats, Floats
from .types import (
    CollectionMetadata,
    CollectionModel,
    DataLoader,
    DeleteResult,
    GetResult,
    Include,
    IndexingStatus,
    QueryResult,
    ReadLevel,
    Where,
    WhereDocument,
)
from .vectors import as_matrix

_BY_REQUEST = "#request"


class Collection:
    """A set of records: an id each, a vector, and optionally a document, metadata and a uri.

    Made by the methods of a client. It remembers the embedding function and data loader it
    was opened with. Every column argument takes one value or many: lists, tuples, numpy
    arrays, pandas Series and Arrow arrays. Errors of the input are InvalidArgumentError
    (a ValueError; InvalidTypeError is also a TypeError) and leave nothing half-applied;
    NotFoundError means that the collection was deleted, ClosedError that the client was closed.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        backend: Backend,
        info: CollectionInfo,
        embedding_function: EmbeddingFunction[Any] | None = embedder.DEFAULT,
        data_loader: DataLoader[Any] | None = None,
    ) -> None:
        self._backend = backend
        self._scope = Scope(info.tenant, info.database)
        self._info = info
        self._function = embedding_function
        self._loader = data_loader

    # -- what it is --------------------------------------------------------------------

    @property
    def id(self) -> UUID:
        """The identifier; it never changes."""
        return UUID(self._info.id)

    @property
    def name(self) -> str:
        """The name at the time this handle was made or last modified."""
        return self._info.name

    @property
    def metadata(self) -> CollectionMetadata | None:
        """The collection's own metadata."""
        return self._info.metadata

    @property
    def tenant(self) -> str:
        """The tenant of the collection."""
        return self._info.tenant

    @property
    def database(self) -> str:
        """The database of the collection."""
        return self._info.database

    @property
    def schema(self) -> None:
        """None: collections have no schema object yet."""
        return None

    @property
    def configuration(self) -> CollectionConfiguration:
        """The index settings, and the embedding function that texts go through (or None)."""
        return {
            "hnsw": dict(self._info.configuration["hnsw"]),
            "spann": None,
            "embedding_function": embedder.effective(self._function, self._stored_function),
        }

    @property
    def configuration_json(self) -> dict[str, Any]:
        """The configuration as plain JSON data, as it is stored."""
        return as_json(self._info.configuration)

    def get_model(self) -> CollectionModel:
        """All of the above as one plain value."""
        info = self._info
        return CollectionModel(
            self.id,
            info.name,
            self.configuration_json,
            info.metadata,
            info.dimension,
            info.tenant,
            info.database,
        )

    def __repr__(self) -> str:
        return f"Collection(name={self.name})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Collection):
            return NotImplemented
        return self._identity() == other._identity()

    def _identity(self) -> tuple[Any, ...]:
        function = self._function
        if is_persistable(function):
            function = (embedder.name_of(function), function.get_config())  # type: ignore[union-attr,assignment]
        info = self._info
        return (
            info.id, info.name, self.configuration_json, info.metadata, info.tenant, info.database,
            function, self._loader,
        )  # fmt: skip

    @property
    def _stored_function(self) -> embedder.Stored:
        form: embedder.Stored = self._info.configuration.get("embedding_function")
        return form

    # -- writing -----------------------------------------------------------------------

    def add(
        self,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        images: Any = None,
        uris: Any = None,
        *,
        strict: bool = False,
    ) -> None:
        """Add records. Those whose id is stored already are left as they are.

        ids         one distinct, non-empty str per record
        embeddings  float32 (n, dim) or anything that becomes it; without them, exactly one of
                    documents, images and uris is embedded, but only for ids that are new
        metadatas   per record a non-empty dict or None. Values: str, int (64 bits), finite
                    float, bool, or a non-empty list of one of these; None values are dropped
        documents   str; None only where embeddings are given
        images      numpy arrays of two or more dimensions; embedded, not stored
        uris        str or None; read by the data loader when they are to be embedded
        strict      raise IDAlreadyExistsError, writing nothing, if an id is stored already

        All or nothing: durable when it returns, unchanged when it raises.
        """
        with during("add"):
            batch = read_batch("add", ids, embeddings, metadatas, documents, images, uris)
            source = embedding_source("add", batch) if batch.embeddings is None else None
            if strict or source is not None:
                known = self._backend.known_ids(self._scope, self._info.id, batch.ids)
                if strict and known:
                    raise IDAlreadyExistsError(
                        f"{len(known)} of the ids are stored already: {shown(sorted(known)[:5])}; "
                        "use upsert to replace them, or add without strict to keep them"
                    )
                if source is not None:
                    batch = batch.without(known)
                    if not batch.ids:
                        return
            vectors = batch.embeddings if source is None else self._embed(source, batch)
        self._backend.write(self._scope, self._info.id, "add", batch.records(vectors))

    def upsert(
        self,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        images: Any = None,
        uris: Any = None,
    ) -> None:
        """Add the records whose id is new, update the others.

        Arguments as for `add`. Of a stored record, columns that are not given stay, metadata
        is merged key by key, and a metadata value None deletes its key. Without embeddings,
        documents or images, metadata and uris can be upserted where all ids are stored.
        """
        with during("upsert"):
            batch = read_batch("upsert", ids, embeddings, metadatas, documents, images, uris)
            source = embedding_source("upsert", batch) if batch.embeddings is None else None
            vectors = batch.embeddings if source is None else self._embed(source, batch)
            if vectors is None:
                known = self._backend.known_ids(self._scope, self._info.id, batch.ids)
                if len(known) < len(batch.ids):
                    unknown = [new for new in batch.ids if new not in known]
                    raise InvalidArgumentError(
                        f"{needs_source('upsert')}: {len(unknown)} of the ids are new, as {shown(unknown[0])}"
                    )
        self._backend.write(self._scope, self._info.id, "upsert", batch.records(vectors))

    def update(
        self,
        ids: Any,
        embeddings: Any = None,
        metadatas: Any = None,
        documents: Any = None,
        images: Any = None,
        uris: Any = None,
    ) -> None:
        """Change stored records; ids that are not stored are skipped.

        Arguments as for `add`, all but the ids optional. Columns that are not given stay, and
        so does a record's document or metadata where the entry is None. Metadata is merged
        key by key; a value None deletes its key. New documents without embeddings are embedded.
        """
        with during("update"):
            batch = read_batch("update", ids, embeddings, metadatas, documents, images, uris)
            vectors, rows = batch.embeddings, None
            if vectors is None:
                source = embedding_source("update", batch)
                if source == "documents" and batch.documents is not None:
                    mask = given_rows(batch.documents)
                    texts = [text for text in batch.documents if text is not None]
                    if texts:
                        vectors = scatter(self._embed_texts(texts), mask)
                        rows = None if mask.all() else mask
                elif source is not None:
                    vectors = self._embed(source, batch)
        self._backend.write(self._scope, self._info.id, "update", batch.records(vectors, rows))

    def delete(
        self,
        ids: Any = None,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        limit: int | None = None,
    ) -> DeleteResult:
        """Delete the records that have one of the ids and match the filters.

        At least one selector is needed. `limit` removes the first so many matches in insertion
        order and needs a filter. Returns how many records were really removed.
        """
        with during("delete"):
            if ids is None and where is None and where_document is None:
                raise InvalidArgumentError(
                    "At least one of ids, where, or where_document must be provided; to delete everything, "
                    "delete the collection"
                )
            chosen = None if ids is None else check_ids(ids)
            for argument, value in (("where", where), ("where_document", where_document)):
                if value is not None and not value:
                    raise InvalidArgumentError(
                        f"Expected {argument} to have exactly one operator, got {value!r}; an empty filter "
                        "would delete everything"
                    )
            if limit is not None and where is None and where_document is None:
                raise InvalidArgumentError(
                    f"limit={limit!r} can only be used with where or where_document; pass fewer ids instead"
                )
            most = check_optional_count(limit, "limit")
        deleted = self._backend.delete(self._scope, self._info.id, chosen, where, where_document, most)
        return {"deleted": deleted}

    # -- reading -----------------------------------------------------------------------

    def count(
        self,
        where: Where | ReadLevel | str | None = None,
        where_document: WhereDocument | None = None,
        read_level: ReadLevel | str = ReadLevel.INDEX_AND_WAL,
    ) -> int:
        """The number of records, of those that match the filters when there are any.

        `count(read_level)` is accepted too. Every level counts every acknowledged record.
        """
        with during("count"):
            if isinstance(where, str):  # ReadLevel is a str, a filter never is
                check_read_level(where, "where to be a dict, or read_level")
                where = None
            check_read_level(read_level)
        return self._backend.count(
            self._scope, self._info.id, given_filter(where), given_filter(where_document)
        )

    def get(
        self,
        ids: Any = None,
        where: Where | None = None,
        limit: int | None = None,
        offset: int | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ["metadatas", "documents"],  # noqa: B006 - never changed
        *,
        order_by: str | Sequence[str] | None = None,
    ) -> GetResult:
        """Records by id, filter, or both; all records without either.

        They come in insertion order, also when ids are given; unknown ids are skipped.
        limit, offset  applied last; default: everything
        include        some of documents, metadatas, embeddings, uris, data
        order_by       a metadata key, "-key" for descending, or a list of these; "#request"
                       gives the order of `ids`
        """
        with during("get"):
            parts = check_include(include, query=False)
            if "data" in parts and self._loader is None:
                raise InvalidArgumentError(
                    "You must set a data loader to include 'data': open the collection with data_loader=…"
                )
            chosen = None if ids is None else check_ids(ids)
            most, start = check_optional_count(limit, "limit"), check_optional_count(offset, "offset") or 0
            by_request = order_by in (_BY_REQUEST, [_BY_REQUEST])
            if by_request and chosen is None:
                raise InvalidArgumentError(f"order_by={_BY_REQUEST!r} needs ids")
            order = None if by_request or order_by is None else check_order(order_by)
        rows = self._backend.get(
            self._scope,
            self._info.id,
            chosen,
            given_filter(where),
            given_filter(where_document),
            None if by_request else most,
            0 if by_request else start,
            order,
            columns_for(parts),
        )
        if by_request and chosen is not None:
            rows = in_order_of(chosen, rows, most, start)
        with during("get"):
            return get_result(rows, parts, self._loader)

    def peek(self, limit: int = 10) -> GetResult:
        """The first records, with documents, metadatas and embeddings."""
        with during("peek"):
            check_count(limit, "limit")
        return self.get(limit=limit, include=["metadatas", "documents", "embeddings"])

    def query(
        self,
        query_embeddings: Any = None,
        query_texts: Any = None,
        query_images: Any = None,
        query_uris: Any = None,
        ids: Any = None,
        n_results: int = 10,
        where: Where | None = None,
        where_document: WhereDocument | None = None,
        include: Include = ["metadatas", "documents", "distances"],  # noqa: B006 - never changed
        *,
        exact: bool = False,
    ) -> QueryResult:
        """The nearest records to each query, by ascending distance; ties in insertion order.

        Give query_embeddings (float32 (n, dim) or anything that becomes it), or exactly one of
        query_texts, query_images and query_uris, which the embedding function turns into them.
        ids        only these are considered; unknown ones are ignored
        n_results  at most so many per query; fewer only where fewer records match
        exact      True: compare with every matching record, without the index
        Distances: l2 is squared Euclidean, cosine 1 - cos, ip 1 - dot.
        """
        with during("query"):
            parts = check_include(include, query=True)
            vectors = self._query_vectors(query_embeddings, query_texts, query_images, query_uris)
            chosen = None if ids is None else check_ids(ids, distinct=False, may_be_empty=True)
            k = check_int(n_results, "n_results")
            if k <= 0:
                raise InvalidTypeError(
                    f"Number of requested results {k}, cannot be negative, or zero: pass n_results >= 1"
                )
            if not isinstance(exact, bool):
                raise InvalidTypeError(f"Expected exact to be a bool, got {shown(exact)}")
        hits = self._backend.query(
            self._scope,
            self._info.id,
            vectors,
            k,
            chosen,
            given_filter(where),
            given_filter(where_document),
            columns_for(parts),
            exact,
        )
        with during("query"):
            return query_result(hits, parts, self._loader)

    # -- the collection as a whole -------------------------------------------------------

    def modify(
        self,
        name: str | None = None,
        metadata: CollectionMetadata | None = None,
        configuration: UpdateCollectionConfiguration | None = None,
    ) -> None:
        """Rename, replace the metadata, change settings. What is None stays as it is.

        metadata       replaces the whole mapping; keys given as None are left out
        configuration  {"hnsw": {ef_search, max_neighbors, num_threads, batch_size,
                       sync_threshold, resize_factor}, "embedding_function": of the same name}
        Raises UniqueConstraintError when the name is taken. Everything is checked first.
        """
        with during("modify"):
            new_name = None if name is None else check_name(name)
            new_metadata = None if metadata is None else check_new_metadata(metadata)
            function = self._function
            new_configuration: dict[str, Any] | None = None
            if configuration is not None:
                # other handles may have changed the settings since this one was made
                current = self._backend.get_collection_by_id(self._scope, self._info.id).configuration
                hnsw = hnsw_for_update(current["hnsw"], configuration)
                stored = current.get("embedding_function")
                passed = configuration.get("embedding_function")
                if passed is not None:
                    function, stored = passed, embedder.update_form(passed, stored)
                new_configuration = {"hnsw": hnsw, "embedding_function": stored}
        if new_name is None and new_metadata is None and new_configuration is None:
            return
        self._info = self._backend.modify_collection(
            self._scope, self._info.id, new_name, new_metadata, new_configuration
        )
        self._function = function

    def fork(self, new_name: str) -> Collection:
        """A copy under another name, made at once: the stored data are shared until they change."""
        with during("fork"):
            name = check_name(new_name)
        info = self._backend.fork_collection(self._scope, self._info.id, name)
        return Collection(self._backend, info, self._function, self._loader)

    def get_indexing_status(self) -> IndexingStatus:
        """How many records the similarity index covers. Searches find the others as well."""
        status = self._backend.index_status(self._scope, self._info.id)
        progress = status.indexed / status.total if status.total else 1.0
        return IndexingStatus(status.indexed, status.total - status.indexed, status.total, progress)

    def recall(self, k: int = 10, sample: int = 200) -> float:
        """The share of the true k nearest records that `query` finds, between 0 and 1,
        measured with the vectors of up to `sample` stored records."""
        with during("recall"):
            for argument, value in (("k", k), ("sample", sample)):
                if check_int(value, argument) < 1:
                    raise InvalidArgumentError(f"Expected {argument} to be positive, got {value}")
        return self._backend.recall(self._scope, self._info.id, int(k), int(sample))

    def compact(self) -> None:
        """Settle now: seal, merge, index, and give back the space of deleted records."""
        self._backend.compact(self._scope, self._info.id)

    def info(self) -> CollectionStats:
        """Sizes: live and deleted records, segments, indexed records, bytes on disk."""
        return self._backend.stats(self._scope, self._info.id)

    def search(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not offered yet; raises UnsupportedError (a NotImplementedError)."""
        raise UnsupportedError(
            "Collection.search is not offered yet: use query with where and where_document"
        )

    def fork_count(self) -> NoReturn:
        """Not kept here; raises UnsupportedError (a NotImplementedError)."""
        raise UnsupportedError("fork_count is not kept by local collections: forks share no history")

    def attach_function(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Hosted only; raises UnsupportedError (a NotImplementedError)."""
        raise UnsupportedError("attached functions exist on hosted servers only")

    def get_attached_function(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Hosted only; raises UnsupportedError (a NotImplementedError)."""
        raise UnsupportedError("attached functions exist on hosted servers only")

    def detach_function(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Hosted only; raises UnsupportedError (a NotImplementedError)."""
        raise UnsupportedError("attached functions exist on hosted servers only")

    # -- embedding ---------------------------------------------------------------------

    def _embed(self, source: Source, batch: Batch) -> Floats:
        if source == "uris":
            loaded = self._load(batch.uris or [])
            return embedder.embed(self._required("uris"), loaded)
        if source == "images":
            return embedder.embed(self._required("images"), batch.images or [])
        return self._embed_texts([text for text in batch.documents or [] if text is not None])

    def _embed_texts(self, texts: list[str]) -> Floats:
        return embedder.embed(self._required("documents"), texts)

    def _load(self, uris: Sequence[str | None]) -> Sequence[Any]:
        if self._loader is None:
            raise InvalidArgumentError(
                "You must set a data loader to load uris: open the collection with data_loader=…, "
                "or pass embeddings"
            )
        loaded: Sequence[Any] = self._loader(list(uris))
        return loaded

    def _required(self, argument: str) -> Any:
        return embedder.required(self._function, self._stored_function, argument)

    def _query_vectors(self, embeddings: Any, texts: Any, images: Any, uris: Any) -> Floats:
        inputs = read_query_inputs(texts, images, uris)
        if embeddings is not None:
            vectors = as_matrix(embeddings, "query_embeddings")
            check_same_length(vectors, inputs)
            return vectors
        argument, column = only_input(inputs)
        if argument == "query_uris":
            column = self._load(column)
        return embedder.embed_queries(self._required(argument), column)
