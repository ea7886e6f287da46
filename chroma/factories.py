"""The functions that create clients. Each one chooses the backend that its client uses.

The first client of a kind imports its backend. An HTTP client therefore does not load the engine,
and an embedded client does not load the HTTP code.
"""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ._sync.client import AdminClient as _AdminClient
from ._sync.client import Client as _Client
from ._sync.client import client_for
from .config import DEFAULT_DATABASE, DEFAULT_PATH, DEFAULT_TENANT, Settings, System
from .errors import InvalidArgumentError, InvalidTypeError
from .http.connection_settings import (
    HTTP_IMPLEMENTATION,
    credentials_explained,
    is_http,
    settings_for,
    settings_for_cloud,
    sign_in,
    warn_if_readable,
)
from .internal.distribution import full
from .requests.scope import Identity, Scope, completed
from .storage.interface.short_repr import shown
from .validation.names import check_str, check_system_name

if TYPE_CHECKING:
    from ._async.client import AsyncAdminClient as _AsyncAdminClient
    from ._async.client import AsyncClient as _AsyncClient
    from .backend.protocol import Backend
    from .console.console_link import Consoles
    from .embedded.backend import LocalBackend

_MEMORY = "ephemeral"

# The backends in use and their settings, by the folder (or `_MEMORY`) that they have open.
# The references are weak, so that a client dropped without `close` does not block its folder.
_in_use: dict[str, weakref.WeakKeyDictionary[LocalBackend, Settings]] = {}

# Settings that the constructors overwrite. A comparison of settings ignores them.
_PATH_SETTINGS = ("is_persistent", "persist_directory")

_defaults: list[Settings] = []


def Client(
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> _Client:
    """Create the client that the settings describe.

    The client uses a server if the settings name one, the folder `persist_directory` if `is_persistent`
    is True, and memory otherwise. The default settings come from `configure`, else from the environment.
    Raises NotFoundError if the tenant or database does not exist, and ValueError if this process has
    the same database open with different settings.
    """
    return _client(get_settings() if settings is None else settings, _fixed(tenant, database))


def EphemeralClient(
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    *,
    private: bool = False,
) -> _Client:
    """Create an in-memory client. The clients of a process share one store, except those with `private`."""
    return _client(_local_settings(settings, None), _fixed(tenant, database), private)


def PersistentClient(
    path: str | Path = DEFAULT_PATH,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> _Client:
    """Create a client for the database in a folder. Creates the folder if it is missing.

    Without `path`, the folder is `settings.persist_directory`. A `path` goes before it.

    Any number of clients and processes may open the same folder, under any spelling of its path.
    Raises NotADatabaseError, FormatTooNewError, ReadOnlyError or CorruptionError if the folder
    cannot be used, and ValueError if this process has it open with different settings.
    """
    if path is None:
        raise InvalidArgumentError(
            "Expected path to name a folder, got None, as from an environment variable that is not set. "
            f"Leave path out for {DEFAULT_PATH!r}; chroma.EphemeralClient() keeps nothing"
        )
    return _client(_local_settings(settings, path), _fixed(tenant, database))


def RustClient(
    path: str | Path | None = None,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
) -> _Client:
    """Create a local client. Kept as an old name: `PersistentClient` with a path, in-memory without."""
    return _client(_local_settings(settings, path, rust=True), _fixed(tenant, database))


def HttpClient(
    host: str = "localhost",
    port: int = 8000,
    ssl: bool = False,
    headers: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    *,
    token: str | None = None,
    user: tuple[str, str] | None = None,
    ca: str | Path | None = None,
) -> _Client:
    """Create a client for a server started with `chroma run`, or for any server with the same API.

        client = chroma.HttpClient("https://chroma.example.org", token="…")
        client = chroma.HttpClient("localhost", 8000, user=("ana", "…"))

    host      a host name, an IP address, or a URL "http(s)://host:port[/path]"; a URL overrides `port`
    ssl       use https
    headers   headers sent with every request
    settings  time limits, pool sizes and the number of retries; see Settings
    token     a token that the server knows; default: the environment variable CHROMA_TOKEN
    user      a name and a password; default: CHROMA_USER, as name:password
    ca        a file with the certificate of the server, or of who issued it; default: CHROMA_CA, else the
              authorities that the machine trusts

    The variables are not used if `settings`, `headers` or the URL have credentials. Otherwise they are
    sent to any host that you name. Credentials that would leave the machine without https give a warning.

    Threads may share the client. A forked child process opens its own connections. Raises ValueError
    if the address is invalid, if it differs from the address in the settings, or if nothing answers
    at it. Raises NotFoundError if the tenant or database does not exist, and ChromaAuthError if the
    server does not know the credentials.
    """
    resolved = sign_in(settings_for(host, port, ssl, headers, settings), token, user, ca)
    with credentials_explained():
        return _client(resolved, _fixed(tenant, database))


async def AsyncHttpClient(
    host: str = "localhost",
    port: int = 8000,
    ssl: bool = False,
    headers: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    tenant: str = DEFAULT_TENANT,
    database: str = DEFAULT_DATABASE,
    *,
    token: str | None = None,
    user: tuple[str, str] | None = None,
    ca: str | Path | None = None,
) -> _AsyncClient:
    """Create an asyncio client for a server. Its methods, and those of its collections, are coroutines.

    `client = await chroma.AsyncHttpClient(host, port)`; arguments and errors as for `HttpClient`. Any
    number of tasks may use the client at the same time. The client keeps separate connections for each
    event loop that uses it. Close the client, or use `async with`, before its event loop ends.
    """
    from ._async.client import async_client_for
    from ._async.http_backend import AsyncHttpBackend

    resolved = sign_in(settings_for(host, port, ssl, headers, settings), token, user, ca)
    warn_if_readable(resolved, stacklevel=2)
    with credentials_explained():
        backend = await AsyncHttpBackend.open(resolved)
        return await async_client_for(backend, resolved, _fixed(tenant, database))


def CloudClient(
    tenant: str | None = None,
    database: str | None = None,
    api_key: str | None = None,
    settings: Settings | None = None,
    *,
    cloud_host: str = "api.trychroma.com",
    cloud_port: int = 443,
    enable_ssl: bool = True,
) -> _Client:
    """Create a client for Chroma's hosted service, or for a server configured like it.

    api_key           sent as X-Chroma-Token; default: the environment variable CHROMA_API_KEY
    tenant, database  default: CHROMA_TENANT and CHROMA_DATABASE, else the only tenant and database that
                      the key gives access to

    Raises ValueError without a key. Raises ChromaAuthError if the tenant does not belong to the key. Raises
    it also if tenant or database is missing, and the key gives access to several.
    """
    resolved = settings_for_cloud(cloud_host, cloud_port, enable_ssl, api_key, settings)
    given_tenant = tenant or os.environ.get("CHROMA_TENANT") or None
    given_database = database or os.environ.get("CHROMA_DATABASE") or None
    return _client(resolved, lambda identity: completed(identity, given_tenant, given_database))


def AdminClient(settings: Settings | None = None) -> _AdminClient:
    """Create a client that manages the tenants and databases of the store that `Client(settings)` opens."""
    chosen = get_settings() if settings is None else settings
    backend = _open(chosen, private=False)
    return _AdminClient(backend, chosen, lambda: _forget(backend))


async def AsyncAdminClient(settings: Settings | None = None) -> _AsyncAdminClient:
    """Create an asyncio `AdminClient` for a server: `admin = await chroma.AsyncAdminClient(settings)`.

    The settings must name a server, as the settings of an `AsyncHttpClient` do (`client.get_settings()`).
    """
    from ._async.client import AsyncAdminClient as Made
    from ._async.http_backend import AsyncHttpBackend

    chosen = get_settings() if settings is None else settings
    if not is_http(chosen):
        raise InvalidArgumentError(
            "AsyncAdminClient is for servers: pass the settings of an AsyncHttpClient, or "
            f"Settings(chroma_api_impl={HTTP_IMPLEMENTATION!r}, chroma_server_host=…)"
        )
    warn_if_readable(chosen, stacklevel=2)
    return Made(await AsyncHttpBackend.open(chosen), chosen)


def from_system(system: System, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE) -> _Client:
    """Create a client with the settings of a `System`."""
    return _client(system.settings, _fixed(tenant, database))


def configure(**settings: Any) -> None:
    """Set the default settings of `Client()` and `AdminClient()`."""
    _defaults[:] = [Settings(**settings)]


def get_settings() -> Settings:
    """Return the settings passed to `configure`, else those from the environment."""
    if not _defaults:
        _defaults.append(Settings())
    return _defaults[0]


def clear_system_cache() -> None:
    """Forget which settings are in use, and start a new shared in-memory store.

    Test suites call this to get a fresh `EphemeralClient`. Open clients keep working.
    """
    _in_use.clear()
    if (loaded := sys.modules.get("chroma.embedded.backend")) is not None:  # else no store exists yet
        loaded.LocalBackend.forget_memory()


def _fixed(tenant: str, database: str) -> Callable[[Identity], Scope]:
    """Return a function that gives every caller the same scope."""
    scope = Scope(check_str(tenant, "tenant"), check_str(database, "database"))
    return lambda identity: scope


def _client(settings: Settings, locate: Callable[[Identity], Scope], private: bool = False) -> _Client:
    if not isinstance(settings, Settings):
        raise InvalidTypeError(_not_settings(settings))
    backend = _open(settings, private)
    return client_for(backend, settings, locate, lambda: _forget(backend), lambda: _consoles(backend))


def _consoles(backend: Any) -> Consoles:
    """What serves the database of an embedded backend to browsers."""
    with full("The console of a folder", "browse a server"):
        from .server.consoles import Consoles as LocalConsoles
    return LocalConsoles(backend)


def _not_settings(settings: Any) -> str:
    """The message for a value that is not a Settings, as the path of a folder or the URL of a server."""
    remedy = ""
    if isinstance(settings, (str, os.PathLike)):
        url = str(settings).startswith(("http://", "https://"))
        opened = f"{'HttpClient' if url else 'PersistentClient'}({shown(str(settings))})"
        remedy = f"; {'a server' if url else 'a folder'} is opened with chroma.{opened}"
    return f"Expected settings to be a chroma.Settings, got {shown(settings)}{remedy}"


def _local_settings(settings: Settings | None, path: str | Path | None, *, rust: bool = False) -> Settings:
    """Return a copy of the settings that points to `path`, or to memory if `path` is None.

    A folder in the settings is used if `path` is the default. With `rust`, also if `path` is None and the
    settings are persistent.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise InvalidTypeError(_not_settings(settings))
    resolved = Settings() if settings is None else settings.copy()
    if settings is not None and settings.given("persist_directory"):
        if path == DEFAULT_PATH or (path is None and settings.is_persistent and rust):
            path = settings.persist_directory
    resolved.is_persistent = path is not None
    if path is not None:
        if not isinstance(path, (str, os.PathLike)):
            raise InvalidTypeError(f"Expected path to be a str or a Path, got {shown(path)}")
        if not str(path):
            raise InvalidArgumentError(
                f"Expected path to name a folder, got ''; the default is {DEFAULT_PATH!r}"
            )
        if urlsplit(str(path)).scheme in ("http", "https") and "://" in str(path):
            raise InvalidArgumentError(
                f"Expected path to name a folder, got {shown(path)}: a server is opened with "
                f"chroma.HttpClient({str(path)!r})"
            )
        if str(path).startswith("~") and not os.path.lexists(str(path).partition(os.sep)[0]):
            warnings.warn(
                f"path={str(path)!r} makes a folder {str(path).partition(os.sep)[0]!r} in the working "
                "directory, not in your home: pass os.path.expanduser(path)",
                UserWarning,
                stacklevel=3,
            )
        resolved.persist_directory = check_system_name(os.fspath(path), "path")
    return resolved


def _open(settings: Settings, private: bool) -> Backend:
    if is_http(settings):
        from ._sync.http_backend import HttpBackend

        warn_if_readable(settings, stacklevel=4)
        return HttpBackend.open(settings)
    local = _local()
    if private:
        return local.open(None, settings, private=True)
    path = _folder(settings)
    location = _MEMORY if path is None else os.path.realpath(path)
    others = _in_use.get(location)
    for client, other in [] if others is None else list(others.items()):
        if _comparable(other) != _comparable(settings) and not client.lost():
            different = [key for key, value in _comparable(settings).items() if value != other[key]]
            raise InvalidArgumentError(
                f"An instance of Chroma already exists for {location} with different settings: "
                f"{different} differ; close the other client first, or use its settings"
            )
    warning = None if path is None else local.overlooked(path)
    backend = local.open(path, settings)
    if warning is not None:
        warnings.warn(warning, UserWarning, stacklevel=4)
    _in_use.setdefault(location, weakref.WeakKeyDictionary())[backend] = settings
    return backend


def _folder(settings: Settings) -> str | None:
    if not settings.is_persistent:
        return None
    if settings.persist_directory is None:
        raise InvalidArgumentError(
            "Settings(is_persistent=True) needs a folder, and persist_directory was set to None: set "
            "settings.persist_directory to a path, or use chroma.EphemeralClient()"
        )
    if not settings.persist_directory:
        raise InvalidArgumentError(
            "Expected Settings(persist_directory=…) to name a folder, got ''; the default is "
            f"{DEFAULT_PATH!r}"
        )
    return os.path.abspath(settings.persist_directory)


def _local() -> type[LocalBackend]:
    with full("The database itself", "use chroma.HttpClient(host, port) with a server"):
        from .embedded.backend import LocalBackend
    return LocalBackend


def _comparable(settings: Settings) -> dict[str, Any]:
    return {key: value for key, value in settings if key not in _PATH_SETTINGS}


def _forget(backend: Backend) -> None:
    for clients in _in_use.values():
        clients.pop(backend, None)  # type: ignore[call-overload]
