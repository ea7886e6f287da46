"""`chroma ls` and `chroma info`: show the contents of a database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..errors import UnsupportedError
from .output import counted, json_option, print_json, print_table
from .targets import Target, target

if TYPE_CHECKING:
    from .._sync.collection import Collection

_LISTED = ("tenant", "database", "name", "dimension", "records")
_SHOWN = (
    "tenant", "database", "name", "space", "dimension", "live", "deleted", "unsealed", "segments", "indexed",
    "bytes",
)  # fmt: skip


@click.command()
@target
@json_option
def ls(target: Target, as_json: bool) -> None:
    """List the collections of all databases, with their counts.

    Lists all tenants of a folder, but one tenant of a server. Select with --tenant and --database.
    """
    scopes = target.scopes()
    rows = [
        {**_named(collection), "dimension": collection.get_model().dimension, "records": collection.count()}
        for collection in _collections(target, scopes)
    ]
    if as_json:
        databases = [{"tenant": scope.tenant, "database": scope.database} for scope in scopes]
        print_json({"target": target.where, "databases": databases, "collections": rows})
        return
    print_table(_LISTED, [[row[column] for column in _LISTED] for row in rows])
    click.echo(f"{counted(len(rows), 'collection')} in {counted(len(scopes), 'database')}")


@click.command()
@target
@json_option
def info(target: Target, as_json: bool) -> None:
    """Show the collections: rows, segments, index state, bytes.

    Shows all tenants of a folder, but one tenant of a server. Select with --tenant and --database.
    """
    rows = [
        {
            **_named(collection),
            "space": collection.configuration_json["hnsw"]["space"],
            "dimension": collection.get_model().dimension,
            **_sizes(collection),
        }
        for collection in _collections(target, target.scopes())
    ]
    if as_json:
        print_json({"target": target.where, "collections": rows})
        return
    print_table(_SHOWN, [[row[column] for column in _SHOWN] for row in rows])
    click.echo(f"{counted(len(rows), 'collection')}, {sum(row['bytes'] or 0 for row in rows):,} bytes")


def _collections(target: Target, scopes: list[Any]) -> Iterator[Collection]:
    for scope in scopes:
        with target.client(scope) as client:
            yield from client.list_collections()


def _named(collection: Collection) -> dict[str, Any]:
    return {
        "tenant": collection.tenant,
        "database": collection.database,
        "name": collection.name,
        "id": str(collection.id),
    }


def _sizes(collection: Collection) -> dict[str, Any]:
    try:
        return asdict(collection.info())
    except UnsupportedError:  # other servers report only the count
        unknown = dict.fromkeys(
            ("deleted", "unsealed", "segments", "indexed", "bytes", "log_bytes", "files"), None
        )
        return {"live": collection.count(), **unknown}
