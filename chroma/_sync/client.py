# Made from chroma/_async/client.py by scripts/twins.py: change that file, and run `make fix`.
"""`Client` manages collections. `AdminClient` manages tenants and databases.

`chroma.factories` makes the backend that a client calls. An `Client` also has a scope.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from ..backend.protocol import Backend
from ..collection import schemas
from ..collection.configuration import CreateCollectionConfiguration, hnsw_for_create, warn_differing
from ..config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings, System
from ..console.console_link import ConsoleLink, Consoles, Page
from ..embedding import EmbeddingFunction, resolve
from ..errors import AuthorizationError, UnsupportedError
from ..http.connection_settings import location_of
from ..internal.concurrency import call
from ..internal.error_context import during
from ..internal.open_handle import OpenHandle
from ..internal.optional_dependencies import require_arrow
from ..internal.progress import indexing_bar
from ..requests.scope import Identity, Scope, adopted
from ..results.build import database_result
from ..storage.interface.requests import NewCollection
from ..storage.interface.short_repr import shown
from ..storage.interface.values import BackupReport, CollectionInfo, CollectionRef
from ..types import CollectionMetadata, Database, DataLoader, Tenant
from ..validation.metadata import check_collection_metadata
from ..validation.names import (
    check_name,
    check_optional_count,
    check_path,
    check_str,
    check_tenant_name,
    check_uuid,
)
from ..validation.read_arguments import check_bool
from .collection import Collection

if TYPE_CHECKING:
    import pyarrow as pa

    from ..schema.schema import Schema


class _Connection(OpenHandle):
    """A backend that is closed at most once, and a function to call after that.

    Closing a copy closes the connection for all of them.
    """

    def __init__(
        self, backend: Backend, settings: Settings, on_close: Callable[[], None] | None = None
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._on_close = on_close
        self._closed = False
        self._consoles: Consoles | None = None  # the servers of `browse`, once there are any

    def get_settings(self) -> Settings:
        """The settings that the client was created with.

        client.get_settings().persist_directory
        """
        return self._settings

    def _why_no_pickle(self) -> str:
        return (
            f"{type(self).__name__} cannot be pickled, because it holds an open connection to "
            f"{location_of(self._settings)}; open another client where it is needed"
        )

    def close(self) -> None:
        """Close the client. Later calls raise ClosedError, but `close` may be called again.

            client.close()

        Other clients of the same database keep working. The last client of a folder to close releases
        its files.
        """
        if self._closed:
            return
        self._closed = True
        if self._consoles is not None:
            call(self._consoles.close)
        self._backend.close()
        if self._on_close is not None:
            self._on_close()


class OpenSystem(System):
    """The system of an open client. Stopping it closes the client."""

    def __init__(self, connection: _Connection) -> None:
        super().__init__(connection.get_settings())
        self._connection = connection

    def stop(self) -> None:
        """Close the client."""
        self._connection.close()


class Client(_Connection):
    """A client for one tenant and database. Made by the factory functions of the package."""

    __module__ = "chroma.api.client"

    def __init__(
        self,
        backend: Backend,
        settings: Settings,
        scope: Scope,
        on_close: Callable[[], None] | None = None,
        consoles: Callable[[], Consoles] | None = None,
    ) -> None:
        super().__init__(backend, settings, on_close)
        self._scope = scope
        self._new_consoles = consoles

    def _check_scope(self, scope: Scope) -> None:
        self._backend.get_tenant(scope.tenant)
        self._backend.get_database(scope)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ""
        location = location_of(self._settings)
        return f"Client({location!r}, tenant={self.tenant!r}, database={self.database!r}{state})"

    def _repr_html_(self) -> str:
        from ..notebook.html_repr import client_html

        return client_html(self._backend, self._scope, self._settings, self._closed)

    @property
    def tenant(self) -> str:
        """The client's current tenant."""
        return self._scope.tenant

    @tenant.setter
    def tenant(self, tenant: str) -> NoReturn:
        raise AttributeError(f"the tenant of a client is set by calling set_tenant({shown(tenant)})")

    @property
    def database(self) -> str:
        """The client's current database."""
        return self._scope.database

    @database.setter
    def database(self, database: str) -> NoReturn:
        raise AttributeError(f"the database of a client is set by calling set_database({shown(database)})")

    @property
    def _identifier(self) -> str:
        """The folder or address, which clients of one database share. Programs written for Chroma read it."""
        return location_of(self._settings)

    @property
    def _admin_client(self) -> AdminClient:
        """A client for tenants and databases on the same connection. Programs written for Chroma read it."""
        return AdminClient(self._backend, self._settings)

    @property
    def _server(self) -> NoReturn:
        raise AttributeError(
            "a client of this package has no `_server`, which is a part of Chroma's implementation; call the "
            "methods of the client and of its collections"
        )

    @property
    def _system(self) -> OpenSystem:
        """The settings, with `stop()`. Programs written for Chroma call `client._system.stop()`."""
        return OpenSystem(self)

    def set_tenant(self, tenant: str, database: str = DEFAULT_DATABASE) -> None:
        """Switch to another tenant and database. Raises NotFoundError, and changes nothing, if either does
        not exist.

            client.set_tenant("acme", "archive")
        """
        scope = Scope(check_str(tenant, "tenant"), check_str(database, "database"))
        self._check_scope(scope)
        self._scope = scope

    def set_database(self, database: str) -> None:
        """Switch to another database of the tenant. Raises NotFoundError if it does not exist.

        client.set_database("archive")
        """
        scope = Scope(self._scope.tenant, check_str(database, "database"))
        self._check_scope(scope)
        self._scope = scope

    def heartbeat(self) -> int:
        """The current time on the database's machine, in nanoseconds since 1970.

        client.heartbeat()
        """
        return self._backend.heartbeat()

    def get_version(self) -> str:
        """The version of the package that runs the database: the server's, if the client is remote.

        client.get_version()
        """
        return self._backend.version()

    def get_max_batch_size(self) -> int:
        """The recommended number of records per call. Local clients accept larger calls.

        client.get_max_batch_size()
        """
        return self._backend.max_batch_size()

    def get_user_identity(self) -> Identity:
        """The caller's identity: user_id, tenant, databases, attributes.

        client.get_user_identity().tenant
        """
        return self._backend.identity()

    def browse(self, *, write: bool = False) -> ConsoleLink:
        """The address of the console, which shows the collections in a browser.

            client.browse()

        write  True: the page may change the database. A server decides that by the credentials that are
               entered in the page

        Notebooks show the address as a link. A database in a folder or in memory is served by this process,
        on a free port that only this machine reaches, until the client is closed. Such an address is good for
        one use within ten minutes; each call makes another. With a server, it is the server's console. Raises
        UnsupportedError if the server has none, and ReadOnlyError for write=True on a backup.
        """
        with during("browse"):
            check_bool(write, "write")
        return self._browse(Page(scope=self._scope), write)

    def _browse(self, page: Page, write: bool) -> ConsoleLink:
        server = self._backend.console()
        if server is not None:
            return page.link(server)
        if self._consoles is None:
            if self._new_consoles is None:
                raise UnsupportedError("this client cannot serve its database: open it with PersistentClient")
            self._consoles = self._new_consoles()
        return call(partial(self._consoles.link, page, write=write))

    def reset(self) -> bool:
        """Delete all data in all tenants. Only the default tenant and database remain.

            client.reset()

        Raises AuthorizationError if the settings say `allow_reset=False`.
        """
        if self._settings.given("allow_reset") and not self._settings.allow_reset:
            raise AuthorizationError(
                "Reset is disabled: the settings say allow_reset=False; open the client with "
                "Settings(allow_reset=True)"
            )
        self._backend.reset()
        return True

    def sql(
        self,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        tables: Mapping[str, Any] | None = None,
    ) -> pa.Table:
        """Run one SELECT statement over the collections of the database. Returns an Arrow table.

            client.sql("select lexname, count(*) as n from glosses group by 1 order by n desc").to_pandas()

        query       a statement in DuckDB's dialect. Each collection is a table with the columns that
                    `to_arrow` returns, read from one snapshot; quote names such as "my-docs"
        parameters  values for ? and $1 (a list) or $name (a dict)
        tables      additional tables by name: dataframes, Arrow tables, results. If `nearest` is the result
                    of a query, "from docs join nearest using (id) order by distance" searches by similarity
        The statement can only read the collections and `tables`. It has no access to files, the network
        or settings. Sums of integers are int64 if they fit. Raises InvalidArgumentError with DuckDB's
        message if the statement cannot be run, and NotFoundError if no collection has a name that it uses.
        """
        require_arrow()
        from ..tables import sql as statements

        with during("sql"):
            text = statements.check_text(query)
            values = statements.check_parameters(parameters)
            others = statements.check_tables(tables)
        return statements.plain(self._backend.sql(self._scope, text, values, others, None))

    def compact(self, *, progress: bool | None = None) -> None:
        """Compact all collections of the database now, as `Collection.compact` does.

            client.compact()

        progress  show a bar; None: on terminals and in notebooks
        """
        with indexing_bar(progress, self.database):
            self._backend.compact_all(self._scope)

    def backup(
        self,
        path: str | Path,
        *,
        link: bool = False,
        verify: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> BackupReport:
        """Copy the whole database, with all tenants, to a folder. Reads and writes may continue meanwhile.

            client.backup("/backups/today")

        path      a new or empty folder, or an earlier backup of the database. Files of the earlier
                  backup that are still needed are kept
        link      share files by hard links, which is fast and takes no space. Damage to a file then
                  affects the database and the backup. Default: copy the files, and compare checksums
        verify    also read the files kept from the earlier backup, and replace damaged ones
        progress  called with the bytes done so far and the total

        Each collection is copied from one snapshot. The backup can be opened read-only; `chroma.restore`
        makes a database from it. Only persistent clients can back up. Others raise
        UnsupportedError, which says what to do instead.
        """
        for name, value in (("link", link), ("verify", verify)):
            check_bool(value, name)
        return self._backend.backup(check_path(path, "path"), link, verify, progress)

    # -- collections -------------------------------------------------------------------

    def create_collection(
        self,
        name: str,
        schema: Schema | None = None,
        configuration: CreateCollectionConfiguration | None = None,
        metadata: CollectionMetadata | None = None,
        embedding_function: EmbeddingFunction[Any] | None = resolve.DEFAULT,
        data_loader: DataLoader[Any] | None = None,
        get_or_create: bool = False,
    ) -> Collection:
        """Create a collection.

            client.create_collection("words", configuration={"hnsw": {"space": "cosine"}})

        name                3-512 characters of [a-zA-Z0-9._-]
        schema              which indexes the collection has, and their settings. They cannot be changed
                            later. A schema other than Schema() replaces the configuration
        configuration       {"hnsw": {space: l2 | cosine | ip, ef_construction, ef_search,
                            max_neighbors, …}, "embedding_function": …}; all have defaults
        metadata            a non-empty dict of str, int, float, bool; `hnsw:*` keys configure the index
        embedding_function  default: all-MiniLM-L6-v2; None: the collection takes vectors only
        data_loader         the function that reads uris
        get_or_create       if the name is taken, return the stored collection unchanged, and warn about
                            settings of the call that it does not have

        Raises UniqueConstraintError if the name is taken, InvalidArgumentError for invalid input.
        """
        name = check_name(name)
        checked = check_collection_metadata(metadata)
        kept: dict[str, Any] | None = None
        if schema is None:
            function = resolve.choose(embedding_function, configuration)
            stored = {
                "hnsw": hnsw_for_create(configuration, checked, function),
                "embedding_function": resolve.stored_form(function, configuration),
            }
        else:
            stored, kept, function = schemas.for_create(schema, configuration, checked, embedding_function)
        new = NewCollection(
            name=name,
            metadata=checked,
            configuration=stored,
            get_or_create=bool(get_or_create),
            schema=kept,
        )
        info = self._backend.create_collection(self._scope, new)
        if (
            schema is not None
            and info.configuration.get("embedding_function") != stored["embedding_function"]
        ):
            function = embedding_function  # the collection was there before, and its schema counts
        if get_or_create:
            warn_differing(name, configuration, checked, info)
            resolve.check_conflict(function, info.configuration.get("embedding_function"))
        return Collection(self._backend, info, function, data_loader, client=self, schema=schema)

    def get_or_create_collection(
        self,
        name: str,
        schema: Schema | None = None,
        configuration: CreateCollectionConfiguration | None = None,
        metadata: CollectionMetadata | None = None,
        embedding_function: EmbeddingFunction[Any] | None = resolve.DEFAULT,
        data_loader: DataLoader[Any] | None = None,
    ) -> Collection:
        """Open the collection with this name, or create it if it does not exist. See `create_collection`.

            words = client.get_or_create_collection("words")

        embedding_function, data_loader  as for `create_collection`

        The schema, metadata and configuration of an existing collection are not changed.
        """
        return self.create_collection(
            name,
            schema,
            configuration=configuration,
            metadata=metadata,
            embedding_function=embedding_function,
            data_loader=data_loader,
            get_or_create=True,
        )

    def get_collection(
        self,
        name: str,
        embedding_function: EmbeddingFunction[Any] | None = resolve.DEFAULT,
        data_loader: DataLoader[Any] | None = None,
    ) -> Collection:
        """Open a collection by name, with its stored embedding function unless another is passed.

            words = client.get_collection("words")

        embedding_function  embeds texts instead of the stored function; None: texts are refused
        data_loader         reads uris

        Raises NotFoundError if the collection does not exist, and InvalidArgumentError if the function
        passed conflicts with the stored one.
        """
        info = self._backend.get_collection(self._scope, check_str(name, "name"))
        return self._open(info, embedding_function, data_loader)

    def get_collection_by_id(
        self,
        id: UUID | str,
        embedding_function: EmbeddingFunction[Any] | None = resolve.DEFAULT,
        data_loader: DataLoader[Any] | None = None,
    ) -> Collection:
        """Open a collection by its UUID. Otherwise the same as `get_collection`.

            client.get_collection_by_id(words.id)

        id  a UUID, or its text
        embedding_function, data_loader  as for `get_collection`
        """
        info = self._backend.get_collection_by_id(CollectionRef(*self._scope, check_uuid(id)))
        return self._open(info, embedding_function, data_loader)

    def _open(self, info: CollectionInfo, function: Any, loader: DataLoader[Any] | None) -> Collection:
        resolve.check_conflict(function, info.configuration.get("embedding_function"))
        return Collection(self._backend, info, function, loader, self)

    def list_collections(
        self, limit: int | None = None, offset: int | None = None
    ) -> list[Collection]:
        """The collections of the database, in the order of their creation.

            [each.name for each in client.list_collections()]

        limit, offset  a page of them; by default all
        """
        most, start = check_optional_count(limit, "limit"), check_optional_count(offset, "offset")
        infos = self._backend.list_collections(self._scope, most, start)
        return [Collection(self._backend, info, client=self) for info in infos]

    def count_collections(self) -> int:
        """The number of collections in the database.

        client.count_collections()
        """
        return self._backend.count_collections(self._scope)

    def delete_collection(self, name: str) -> None:
        """Delete a collection and its records. Raises NotFoundError if no collection has this name.

        client.delete_collection("words")
        """
        self._backend.delete_collection(self._scope, check_str(name, "name"))


def client_for(
    backend: Backend,
    settings: Settings,
    locate: Callable[[Identity], Scope],
    on_close: Callable[[], None] | None = None,
    consoles: Callable[[], Consoles] | None = None,
) -> Client:
    """A client for the scope that `locate` chooses for the identity that the backend returns.

    consoles  makes what serves a database of this process to browsers

    If the settings say so, the identity's only tenant and database replace those of the scope.
    Raises NotFoundError if the tenant or the database does not exist. Closes the backend if anything
    fails.
    """
    try:
        identity = backend.identity()
        scope = locate(identity)
        if settings.chroma_overwrite_singleton_tenant_database_access_from_auth:
            scope = adopted(identity, scope)
        backend.get_tenant(scope.tenant)
        backend.get_database(scope)
    except BaseException:
        backend.close()
        if on_close is not None:
            on_close()
        raise
    return Client(backend, settings, scope, on_close, consoles)


class AdminClient(_Connection):
    """Creates tenants, and creates and deletes databases.

    It cannot list or delete tenants.
    """

    __module__ = "chroma.api.client"

    def __enter__(self) -> AdminClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"AdminClient({'closed' if self._closed else 'open'})"

    def create_tenant(self, name: str) -> None:
        """Create a tenant without any databases. Raises UniqueConstraintError if it exists."""
        self._backend.create_tenant(check_tenant_name(name))

    def get_tenant(self, name: str) -> Tenant:
        """Get a tenant as {"name": …}. Raises NotFoundError if it does not exist."""
        return {"name": self._backend.get_tenant(check_str(name, "name"))}

    def create_database(self, name: str, tenant: str = DEFAULT_TENANT) -> None:
        """Create a database. Raises UniqueConstraintError if it exists, NotFoundError if the tenant
        does not."""
        self._backend.create_database(Scope(check_str(tenant, "tenant"), check_name(name)))

    def get_database(self, name: str, tenant: str = DEFAULT_TENANT) -> Database:
        """Get a database as {"id": …, "name": …, "tenant": …}. Raises NotFoundError if it does not exist."""
        scope = Scope(check_str(tenant, "tenant"), check_str(name, "name"))
        return database_result(self._backend.get_database(scope))

    def list_databases(
        self, limit: int | None = None, offset: int | None = None, tenant: str = DEFAULT_TENANT
    ) -> list[Database]:
        """The databases of a tenant, sorted by name."""
        most, start = check_optional_count(limit, "limit"), check_optional_count(offset, "offset")
        found = self._backend.list_databases(check_str(tenant, "tenant"), most, start)
        return [database_result(entry) for entry in found]

    def delete_database(self, name: str, tenant: str = DEFAULT_TENANT) -> None:
        """Delete a database and its collections. Raises NotFoundError if it does not exist."""
        self._backend.delete_database(Scope(check_str(tenant, "tenant"), check_str(name, "name")))
