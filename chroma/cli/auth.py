"""`chroma auth`: manages the file that grants access to a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import DEFAULT_TENANT
from ..errors import InvalidArgumentError
from .command_group import CommandGroup
from .output import json_option, print_json, print_table

if TYPE_CHECKING:
    from ..server.security.credentials_file import Entry


@click.group(cls=CommandGroup)
def auth() -> None:
    """Manage access to a server: create, list, rotate, revoke.

    The commands change the file that chroma run reads with --auth-file FILE.

    The file contains hashes, not secrets. A running server applies changes within a second.
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
    """Add NAME and print its new secret, which is shown only once.

    The file is created if missing. With --kind basic, NAME is the user name. Roles: read; write, which
    also creates and deletes collections; admin, which also creates and deletes the databases of its
    tenants, and tenants if it is not restricted to any.
    """
    from ..server.security import credentials_file as store

    if password_stdin and kind != "basic":
        raise InvalidArgumentError("--password-stdin is for --kind basic: tokens are made here, never chosen")
    if password_stdin:
        secret = store.check_password(sys.stdin.readline().rstrip("\r\n"))
    else:
        secret = store.new_secret().encode()
    hashed = store.hash_password(secret) if kind == "basic" else store.hash_token(secret)
    access = store.access_of(tenants, databases, DEFAULT_TENANT)
    expires = store.now(days * 86_400.0) if days else None
    store.add_entry(
        Path(file),
        store.Entry(
            name=name,
            kind=kind,
            role=role,
            access=access,
            secret=hashed,
            created=store.now(),
            expires=expires,
        ),
    )
    what = "password" if kind == "basic" else "token"
    click.echo(f"Added {name} ({role}, {', '.join(access)}) to {file}.", err=True)
    if not password_stdin:
        click.echo(f"The {what}, which is not stored and not shown again:", err=True)
        click.echo(secret.decode())


@auth.command("list")
@json_option
@_auth_file
def auth_list(as_json: bool, file: str) -> None:
    """List the entries of the file, without secrets."""
    from ..server.security import credentials_file as store

    shown = ("name", "kind", "role", "access", "created", "expires")
    entries = store.read_entries(Path(file))
    if as_json:
        print_json([{key: getattr(entry, key) for key in shown} for entry in entries])
        return
    rows = [
        (entry.name, entry.kind, entry.role, ", ".join(entry.access), entry.created or "-", _expiry(entry))
        for entry in entries
    ]
    print_table(shown, rows)


def _expiry(entry: Entry) -> str:
    return f"{entry.expires or '-'}{' (expired)' if entry.expired else ''}"


@auth.command("rotate")
@click.argument("name")
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0, max=24 * 366),
    help="How long the old token stays valid. Default: 24; 0 ends it at once.",
)
@click.option("--days", type=click.IntRange(min=1), help="Expires after so many days. Default: as before")
@click.option("--password-stdin", is_flag=True, help="For users: read the new password from the input.")
@_auth_file
def auth_rotate(
    name: str, grace_hours: float | None, days: int | None, password_stdin: bool, file: str
) -> None:
    """Give NAME a new secret and print it once. Role, access and name stay.

    The old token stays valid for a while, as NAME.previous, so that programs can be changed one by one. An
    old password ends at once.
    """
    from ..server.security import credentials_file as store

    if name.endswith(store.PREVIOUS):
        raise InvalidArgumentError(f"{name} is an old token: rotate {name.removesuffix(store.PREVIOUS)}")
    entry = next((entry for entry in store.read_entries(Path(file)) if entry.name == name), None)
    basic = entry is not None and entry.kind == "basic"
    if password_stdin and not basic:
        raise InvalidArgumentError("--password-stdin is for --kind basic: tokens are made here, never chosen")
    if password_stdin:
        secret = store.check_password(sys.stdin.readline().rstrip("\r\n"))
    else:
        secret = store.new_secret().encode()
    if grace_hours is None:
        grace_hours = 0 if basic else 24
    hours = float(grace_hours)
    hashed = store.hash_password(secret) if basic else store.hash_token(secret)
    new = store.rotate_entry(Path(file), name, hashed, hours * 3600, days * 86_400.0 if days else None)
    until = f"is valid for {hours:g} hours more" if hours else "is invalid now"
    click.echo(
        f"Changed {name} in {file}; expires: {new.expires or 'never'}. The old one {until}.",
        err=True,
    )
    if not password_stdin:
        click.echo(
            f"The {'password' if basic else 'token'}, which is not stored and not shown again:", err=True
        )
        click.echo(secret.decode())


@auth.command("revoke")
@click.argument("name")
@_auth_file
def auth_revoke(name: str, file: str) -> None:
    """Remove NAME. Its secret becomes invalid, and an old one that rotate has left, too."""
    from ..server.security import credentials_file as store

    store.remove_entry(Path(file), name)
    click.echo(f"Removed {name} from {file}.")
