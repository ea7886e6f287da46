"""The state of a collection's handle, which is available without a call to the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..embedding import EmbeddingFunction, is_persistable, resolve
from ..internal.open_handle import OpenHandle
from ..storage.interface.schema import ValueType
from ..storage.interface.values import CollectionInfo
from ..types import CollectionMetadata, CollectionModel, DataLoader
from .configuration import CollectionConfiguration, as_json
from .schemas import complete, without_found
from .sparse_sources import SparseSource, sources

if TYPE_CHECKING:
    from ..schema.schema import Schema


class Handle(OpenHandle):
    """The state and the properties of a handle. The collection classes define its calls."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        info: CollectionInfo,
        embedding_function: EmbeddingFunction[Any] | None,
        data_loader: DataLoader[Any] | None,
        schema: Schema | None = None,
    ) -> None:
        self._ref = info.ref
        self._info = info
        self._function = embedding_function
        self._loader = data_loader
        self._given_schema = schema  # at creation: its functions may not be stored by a name
        self._sources: dict[str, SparseSource] | None = None

    @property
    def id(self) -> UUID:
        """The id of the collection. It never changes."""
        return UUID(self._info.id)

    @property
    def name(self) -> str:
        """The collection's name when this handle was created or last modified."""
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
    def schema(self) -> Schema:
        """Which indexes the collection has. Keys of its records are listed, too.

        Changing the object has no effect. Over HTTP, it is of the time when this handle was created or last
        modified.
        """
        from ..schema.schema import Schema  # takes 5 ms

        info = self._info
        return Schema.deserialize_from_json(complete(info.schema, info.configuration, self._metadata_keys()))

    @property
    def configuration(self) -> CollectionConfiguration:
        """The index settings, and the function that embeds texts (or None)."""
        return {
            "hnsw": dict(self._info.configuration["hnsw"]),
            "spann": None,
            "embedding_function": resolve.effective(self._function, self._stored_function),
        }

    @property
    def configuration_json(self) -> dict[str, Any]:
        """The stored configuration as plain JSON data."""
        return as_json(self._info.configuration)

    @property
    def _embedding_function(self) -> Any:
        """The function that embeds texts, or None. Programs written for Chroma read it and set it."""
        return resolve.effective(self._function, self._stored_function)

    @_embedding_function.setter
    def _embedding_function(self, function: Any) -> None:
        resolve.check(function)
        self._function = function

    @property
    def _data_loader(self) -> DataLoader[Any] | None:
        """The function that loads uris, or None. Programs written for Chroma read it and set it."""
        return self._loader

    @_data_loader.setter
    def _data_loader(self, loader: DataLoader[Any] | None) -> None:
        self._loader = loader

    @property
    def _model(self) -> CollectionModel:
        """The same as `get_model()`. Programs written for Chroma read it."""
        return self.get_model()

    def _why_no_pickle(self) -> str:
        return (
            f"the handle of the collection {self.name!r} cannot be pickled, because it belongs to an open "
            "client; open the collection again where it is needed, with get_collection(name)"
        )

    def get_model(self) -> CollectionModel:
        """Return the collection's properties as one plain value."""
        info = self._info
        return CollectionModel(
            id=self.id,
            name=info.name,
            configuration_json=self.configuration_json,
            metadata=info.metadata,
            dimension=info.dimension,
            tenant=info.tenant,
            database=info.database,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Handle) or type(self) is not type(other):
            return NotImplemented
        return self._identity() == other._identity()

    def _identity(self) -> tuple[Any, ...]:
        function = self._function
        if is_persistable(function):
            function = (resolve.name_of(function), function.get_config())  # type: ignore[union-attr,assignment]
        info = self._info
        return (
            info.id, info.name, self.configuration_json, without_found(info.schema), info.metadata,
            info.tenant, info.database, function, self._loader,
        )  # fmt: skip

    def _metadata_keys(self) -> list[tuple[str, ValueType]]:
        """Keys of the records that the collection's entry does not list."""
        raise NotImplementedError

    def _sparse_sources(self) -> dict[str, SparseSource]:
        """The keys with a sparse index. A schema never changes, so its functions are built once."""
        if self._sources is None:
            self._sources = sources(self._info.schema, self._given_schema)
        return self._sources

    @property
    def _stored_function(self) -> resolve.Stored:
        form: resolve.Stored = self._info.configuration.get("embedding_function")
        return form
