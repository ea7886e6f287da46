"""The target of a command: the folder of a database, or the URL of a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ..backend.embedded_protocol import is_embedded
from ..config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
from ..errors import InvalidArgumentError, NotADatabaseError
from ..requests.scope import Scope

if TYPE_CHECKING:
    from .._sync.client import Client


def is_url(text: str) -> bool:
    """Whether a target is the URL of a server."""
    return text.startswith(("http://", "https://"))


class Folder(click.Path):
    """The folder argument of a command that needs the files. Refuses the URL of a server."""

    def __init__(self, exists: bool = True) -> None:
        super().__init__(exists=exists, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Fails for a URL with a message that says where to run the command."""
        if isinstance(value, str) and is_url(value):
            name = ctx.info_name if ctx is not None else "this"
            also = "; `chroma copy URL DIR` copies collections from here" if name == "backup" else ""
            self.fail(
                f"{value} is a server, and {name} works on files: run it on the server's machine, with the "
                f"folder that the server was started with (--path); the server may go on meanwhile{also}",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


folder_argument = click.argument("folder", metavar="DIR", type=Folder())


class TargetType(click.types.StringParamType):
    """A folder or a URL as text. The shell completes it as a folder."""

    name = "target"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="dir")]


@dataclass(frozen=True, slots=True)
class Target:
    """A target with the options needed to open it. Tenant and database are None if they were not given."""

    where: str
    tenant: str | None = None
    database: str | None = None
    token: str | None = None
    user: str | None = None
    headers: tuple[str, ...] = ()
    ca: str | None = None

    @property
    def scope(self) -> Scope:
        """The tenant and database of the collections that a command names."""
        return Scope(self.tenant or DEFAULT_TENANT, self.database or DEFAULT_DATABASE)

    def settings(self, create: bool = False) -> Settings:
        """Return the client's settings. Raises NotADatabaseError for a missing database unless `create`."""
        settings = Settings()
        if not is_url(self.where):
            if not create:
                check_database(self.where)
            settings.chroma_api_impl = ""
            settings.is_persistent, settings.persist_directory = True, self.where
            return settings
        from ..http.connection_settings import settings_for

        if not settings.given("chroma_http_progress"):
            settings.chroma_http_progress = False  # long-running commands show their own bar
        # The URL overrides the address; environment variables still set the other options.
        settings.chroma_server_host = settings.chroma_server_http_port = None
        if self.token and self.user:
            raise InvalidArgumentError(
                "--token (CHROMA_TOKEN) and --user (CHROMA_USER) are two ways to sign in: give one"
            )
        if self.token:
            settings.chroma_client_auth_provider = "token"
            settings.chroma_client_auth_credentials = self.token
        if self.user:
            settings.chroma_client_auth_provider = "basic"
            settings.chroma_client_auth_credentials = self.user
        if self.ca:
            settings.chroma_server_ssl_verify = self.ca
        return settings_for(self.where, 8000, False, self._headers() or None, settings)

    def _headers(self) -> dict[str, str]:
        pairs = [header.partition(":") for header in self.headers]
        for (name, colon, _), header in zip(pairs, self.headers, strict=True):
            if not colon or not name.strip():
                raise InvalidArgumentError(f"--header {header!r}: expected 'Name: value'")
        return {name.strip(): value.strip() for name, _, value in pairs}

    @contextmanager
    def client(self, scope: Scope | None = None, create: bool = False) -> Iterator[Client]:
        """Open a client for the scope. Default: the scope of the options."""
        import chroma

        chosen = scope or self.scope
        settings = self.settings(create)
        with chroma.Client(settings, tenant=chosen.tenant, database=chosen.database) as client:
            yield client

    def scopes(self) -> list[Scope]:
        """Return the databases that the options select. Default: all of the tenant, or of the folder."""
        import chroma

        if self.database is not None:
            return [self.scope]
        with chroma.AdminClient(self.settings()) as admin:
            backend = admin._backend
            tenants = [self.scope.tenant]
            if self.tenant is None and is_embedded(backend):
                tenants = backend.list_tenants()
            return [
                Scope(tenant, database["name"])
                for tenant in tenants
                for database in admin.list_databases(tenant=tenant)
            ]


def check_database(path: str) -> None:
    """Raise NotADatabaseError if a client would create a database at `path`."""
    from ..embedded.backend import is_database  # loads the engine

    if not os.path.isdir(path):
        what = "is a file" if os.path.exists(path) else "is no folder"
        raise NotADatabaseError(f"{path} {what}; a server is named by its URL, http://HOST:PORT")
    # For a chromadb folder, the client's own error names the remedy.
    if not is_database(path) and not os.path.exists(os.path.join(path, "chroma.sqlite3")):
        raise NotADatabaseError(f"{path} holds no database: there is no catalog.json.")


def target(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument TARGET and its options. The command receives them as `target`."""
    return _with_target(command, "target", "target", metavar="TARGET", prefix="", of="")


def source_and_target(command: Callable[..., None]) -> Callable[..., None]:
    """Add SOURCE with its options as `source`, and TARGET with its --to- options as `target`."""
    inner = _with_target(command, "target", "to_target", metavar="TARGET", prefix="to-", of=" of TARGET")
    return _with_target(inner, "source", "target", metavar="SOURCE", prefix="", of=" of SOURCE")


def _with_target(
    command: Callable[..., None], keyword: str, argument: str, *, metavar: str, prefix: str, of: str
) -> Callable[..., None]:
    short = prefix.replace("-", "_")
    variable = "CHROMA_" + short.upper()

    @click.argument(argument, metavar=metavar, type=TargetType())
    @click.option(
        f"--{prefix}tenant", envvar=f"{variable}TENANT", help=f"Tenant{of}. Default: {DEFAULT_TENANT}"
    )
    @click.option(
        f"--{prefix}database", envvar=f"{variable}DATABASE", help=f"Database{of}. Default: {DEFAULT_DATABASE}"
    )
    @click.option(
        f"--{prefix}token",
        envvar=f"{variable}TOKEN",
        help=f"Token for the server{of}; better {variable}TOKEN, which others cannot see.",
    )
    @click.option(
        f"--{prefix}user",
        envvar=f"{variable}USER",
        metavar="NAME:PASSWORD",
        help=f"For the server{of}; better {variable}USER.",
    )
    @click.option(
        f"--{prefix}header",
        multiple=True,
        metavar="'NAME: VALUE'",
        help=f"Sent to the server{of}. Repeatable.",
    )
    @click.option(
        f"--{prefix}ca",
        envvar=f"{variable}CA",
        metavar="FILE",
        help=f"The certificate of the server{of}, or of who issued it.",
    )
    @wraps(command)
    def with_target(**values: Any) -> None:
        values[keyword] = Target(
            where=values.pop(argument),
            tenant=values.pop(f"{short}tenant"),
            database=values.pop(f"{short}database"),
            token=values.pop(f"{short}token"),
            user=values.pop(f"{short}user"),
            headers=values.pop(f"{short}header"),
            ca=values.pop(f"{short}ca"),
        )
        command(**values)

    return with_target


def complete_collection(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete names of collections for the shell. Returns no names if the target cannot be opened."""
    given = ctx.params
    target = Target(
        where=given.get("target") or "",
        tenant=given.get("tenant"),
        database=given.get("database"),
        token=given.get("token"),
        user=given.get("user"),
        headers=given.get("header") or (),
        ca=given.get("ca"),
    )
    import chroma

    try:
        settings = target.settings()
        settings.chroma_http_connect_timeout_secs, settings.chroma_http_timeout_secs = 1.0, 2.0
        settings.chroma_http_retries = 0
        with chroma.Client(settings, tenant=target.scope.tenant, database=target.scope.database) as client:
            names = [collection.name for collection in client.list_collections()]
    except Exception:
        return []  # a shell cannot show errors during completion
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def collection_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument COLLECTION."""
    return click.argument("collection", metavar="COLLECTION", shell_complete=complete_collection)(command)
