"""The commands: `chroma run`, `auth`, `demo`, `check`, `info`, `models`, `version`.

Exit codes: 0 all is well; 1 a database is damaged; 2 the command or the folder cannot be used.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from . import __version__
from .config import DEFAULT_TENANT, read_dotenv
from .errors import ChromaError, CorruptionError, InvalidArgumentError, NotADatabaseError
from .server.options import Grouped, setting_options

if TYPE_CHECKING:
    from .server.credentials import Entry

DAMAGED, UNUSABLE = 1, 2

P = ParamSpec("P")

_folder = click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False))
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def _reported(command: Callable[P, None]) -> Callable[P, None]:
    """Turn the package's errors into a message and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CorruptionError as error:
            click.echo(f"Damaged: {error.message()}", err=True)
            sys.exit(DAMAGED)
        except ChromaError as error:
            click.echo(f"Error: {error.message()}", err=True)
            sys.exit(UNUSABLE)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chroma")
def cli() -> None:
    """An embedded vector database in a folder.

    Exit codes: 0 all is well, 1 a database is damaged, 2 the command or folder cannot be used.
    """


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


@cli.command(cls=Grouped)
@setting_options
@click.option("--config", metavar="FILE", help="Settings from a TOML or YAML file.")
@click.argument("file", metavar="[FILE]", required=False)
@_reported
def run(cors_origins: tuple[str, ...], config: str | None, file: str | None, **options: Any) -> None:
    """Serve a folder over HTTP, under /api/v2. FILE is the same as --config FILE.

    Every option can be set by a variable CHROMA_<OPTION> (CHROMA_CORS_ORIGINS with commas) and by a
    key of the --config file, with underscores (log_level). An option wins over its variable, that
    over the names that other servers of Chroma use, that over the file. CHROMA_SSL_KEYFILE_PASSWORD
    holds the password of the key. SIGTERM lets requests finish, then ends with exit code 0.
    """
    from .server.run import serve  # loads the engine and the web server
    from .server.sources import read_settings

    environment = {**read_dotenv(Path(".env")), **os.environ}
    if config and file:
        raise InvalidArgumentError(f"--config {config} and {file} name two files: give one of them")
    chosen = {**options, "cors_origins": cors_origins or None, "config": config or file}
    serve(read_settings(chosen, environment))


@cli.group()
def auth() -> None:
    """The file of who may do what on a server: chroma run --auth-file FILE.

    It holds hashes, no secrets. A running server reads changes within a second.
    """


def _named(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if not value:
        raise click.UsageError("no file is named: give --file FILE, or set CHROMA_AUTH_FILE", ctx)
    return value


_auth_file = click.option(
    "--file",
    "file",
    envvar="CHROMA_AUTH_FILE",
    callback=_named,
    metavar="FILE",
    help="The file; CHROMA_AUTH_FILE if it is not given.",
)


@auth.command("create")
@click.argument("name")
@click.option("--kind", type=click.Choice(["token", "basic"]), default="token", help="Default: token")
@click.option("--role", type=click.Choice(["read", "write", "admin"]), required=True)
@click.option("--tenant", "tenants", multiple=True, help="Bind to a tenant. Repeatable. Default: everything")
@click.option(
    "--database",
    "databases",
    multiple=True,
    help="Bind to a database of --tenant, else of default_tenant. Repeatable.",
)
@click.option("--days", type=click.IntRange(min=1), help="Expires after so many days. Default: never")
@click.option("--password-stdin", is_flag=True, help="For --kind basic: read the password from the input.")
@_auth_file
@_reported
def auth_create(
    name: str,
    kind: str,
    role: str,
    tenants: tuple[str, ...],
    databases: tuple[str, ...],
    days: int | None,
    password_stdin: bool,
    file: str,
) -> None:
    """Add NAME and print its new secret, this once.

    The file is made if it is missing. NAME is the user's for --kind basic. Roles: read; write, which
    also makes and deletes collections; admin, which also makes and deletes databases of its
    tenants or, bound to none, tenants.
    """
    from .server import credentials as store

    if password_stdin and kind != "basic":
        raise InvalidArgumentError("--password-stdin is for --kind basic: tokens are made here, never chosen")
    if password_stdin:
        secret = store.check_password(sys.stdin.readline().rstrip("\r\n"))
    else:
        secret = store.new_secret().encode()
    hashed = store.hash_password(secret) if kind == "basic" else store.hash_token(secret)
    access = store.access_of(tenants, databases, DEFAULT_TENANT)
    expires = store.now(days * 86_400.0) if days else None
    store.add_entry(Path(file), store.Entry(name, kind, role, access, hashed, store.now(), expires))
    what = "password" if kind == "basic" else "token"
    click.echo(f"Added {name} ({role}, {', '.join(access)}) to {file}.", err=True)
    if not password_stdin:
        click.echo(f"The {what}, which is not stored and not shown again:", err=True)
        click.echo(secret.decode())


@auth.command("list")
@_json
@_auth_file
@_reported
def auth_list(as_json: bool, file: str) -> None:
    """Show who is in the file, without secrets."""
    from .server import credentials as store

    shown = ("name", "kind", "role", "access", "created", "expires")
    entries = store.read_entries(Path(file))
    if as_json:
        click.echo(json.dumps([{key: getattr(entry, key) for key in shown} for entry in entries], indent=2))
        return
    rows = [
        (entry.name, entry.kind, entry.role, ", ".join(entry.access), entry.created or "-", _expiry(entry))
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(shown, *rows)]
    for row in (shown, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _expiry(entry: Entry) -> str:
    return f"{entry.expires or '-'}{' (expired)' if entry.expired else ''}"


@auth.command("revoke")
@click.argument("name")
@_auth_file
@_reported
def auth_revoke(name: str, file: str) -> None:
    """Remove NAME; its secret is worthless from then on."""
    from .server import credentials as store

    store.remove_entry(Path(file), name)
    click.echo(f"Removed {name} from {file}.")


@cli.command()
@click.option("--folder", default=None, type=click.Path(file_okay=False), help="Default: .chroma-demo")
@click.option("--limit", default=None, type=click.IntRange(min=1), help="Texts to index. Default: 3000")
@click.option("--ask-only", is_flag=True, help="Only ask, in a folder that was indexed before.")
@_reported
def demo(folder: str | None, limit: int | None, ask_only: bool) -> None:
    """Index the docstrings of Python's standard library and ask questions about them."""
    from . import demo as job  # loads the engine and the model

    where = folder or job.DEFAULT_FOLDER
    if ask_only:
        job.ask(where)
    else:
        job.run(where, limit or job.DEFAULT_LIMIT)


@cli.command()
@_folder
@click.option("--repair", is_flag=True, help="Rebuild caches, cut torn tails, set aside what is lost.")
@_json
@_reported
def check(folder: str, repair: bool, as_json: bool) -> None:
    """Verify every file of the database in DIR; exit code 1 if anything is damaged.

    With --repair no other process may use the folder.
    """
    from .local import check_folder, translated

    with translated():
        report = check_folder(folder, repair)
    if as_json:
        findings = [asdict(finding) for finding in report.findings]
        click.echo(json.dumps({"ok": report.ok, "findings": findings}, indent=2))
    else:
        for finding in report.findings:
            click.echo(
                f"{finding.severity:<8}  {finding.path}" + (f": {finding.message}" if finding.message else "")
            )
        damaged = sum(finding.severity == "damaged" for finding in report.findings)
        repaired = sum(finding.severity == "repaired" for finding in report.findings)
        click.echo(f"{len(report.findings)} checked, {damaged} damaged, {repaired} repaired")
        if damaged and not repair:
            click.echo(f"Try: chroma check {folder} --repair")
    if not report.ok:
        sys.exit(DAMAGED)


@cli.command()
@_folder
@click.option("--tenant", default="default_tenant", show_default=True)
@_json
@_reported
def info(folder: str, tenant: str, as_json: bool) -> None:
    """Show the collections of the database in DIR: rows, segments, index state, bytes."""
    rows = _collections(folder, tenant)
    if as_json:
        click.echo(json.dumps({"path": str(Path(folder).resolve()), "collections": rows}, indent=2))
        return
    columns = (
        "database",
        "name",
        "space",
        "dimension",
        "live",
        "deleted",
        "unsealed",
        "segments",
        "indexed",
        "bytes",
    )
    table = [columns, *(tuple(_shown(row[column]) for column in columns) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(columns))]
    for line in table:
        text = [
            cell.ljust(width) if i < 3 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        click.echo("  ".join(text).rstrip())
    click.echo(f"{len(rows)} collections, {sum(row['bytes'] for row in rows):,} bytes")


def _collections(folder: str, tenant: str) -> list[dict[str, Any]]:
    import chroma

    from .local import is_database  # the engine, loaded late

    if not is_database(folder):  # a client would make one here
        raise NotADatabaseError(f"{folder} holds no database: there is no catalog.json.")
    rows = []
    with chroma.PersistentClient(folder) as first:
        admin = chroma.AdminClient(first.get_settings())
        for database in admin.list_databases(tenant=tenant):
            with chroma.PersistentClient(folder, tenant=tenant, database=database["name"]) as client:
                for collection in client.list_collections():
                    stats = asdict(collection.info())
                    rows.append(
                        {
                            "database": database["name"],
                            "name": collection.name,
                            "id": str(collection.id),
                            "space": collection.configuration_json["hnsw"]["space"],
                            "dimension": collection.get_model().dimension,
                            **stats,
                        }
                    )
    return rows


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


@cli.group()
def models() -> None:
    """The weights of the default embedding model."""


@models.command()
@_reported
def where() -> None:
    """Say which weights would be used."""
    from .embedding.weights import find

    found = find()
    click.echo(f"{found.source}\n{found.model}")


@models.command()
@_reported
def download() -> None:
    """Fetch the original weights (about 83 MB) into the cache folder."""
    from .embedding.download import download as fetch

    click.echo(f"Ready: {fetch().model}")


def main() -> None:
    """Entry point of the `chroma` command."""
    cli(prog_name="chroma")
