"""`chroma ls` and `chroma info`: show the contents of a database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..config import DEFAULT_DATABASE, DEFAULT_TENANT
from ..errors import UnsupportedError
from ..storage.interface.report_repr import size
from .output import Output, counted, output_options, print_json, print_rows, print_table
from .targets import Target, target

if TYPE_CHECKING:
    from .._sync.collection import Collection

_SCOPE = ("tenant", "database")
_LISTED = ("name", "dimension", "records")
# The keys of --json and the headings of the table. Replaced records are no deleted ones, so the heading of
# `deleted`, which counts both, is another word.
_SHOWN = {
    "name": "name", "space": "space", "dimension": "dimension", "live": "live", "deleted": "obsolete",
    "unsealed": "unsealed", "segments": "segments", "indexed": "indexed", "bytes": "size",
}  # fmt: skip


@click.command()
@target
@output_options
def ls(target: Target, output: Output) -> None:
    """List the collections of all databases, with their counts.

    Lists all tenants of a folder, but one tenant of a server. Select with --tenant and --database.
    """
    scopes = target.scopes()
    rows = [
        {**_named(collection), "dimension": collection.get_model().dimension, "records": collection.count()}
        for collection in _collections(target, scopes)
    ]
    if output == "json":
        databases = [{"tenant": scope.tenant, "database": scope.database} for scope in scopes]
        print_json({"target": target.where, "databases": databases, "collections": rows})
        return
    if output != "table":
        print_rows(output, [*_SCOPE, "name", "id", "dimension", "records"], rows)
        return
    columns = [*_scope_columns(rows), *_LISTED]
    print_table(columns, [[row[column] for column in columns] for row in rows])
    click.echo(f"{counted(len(rows), 'collection')} in {counted(len(scopes), 'database')}")


@click.command()
@target
@output_options
def info(target: Target, output: Output) -> None:
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
    if output == "json":
        print_json({"target": target.where, "collections": rows})
        return
    if output != "table":
        without = [{name: value for name, value in row.items() if name != "files"} for row in rows]
        print_rows(output, [*_SCOPE, "name", "id", *(name for name in _SHOWN if name != "name")], without)
        return
    scope = _scope_columns(rows)
    print_table(
        [*scope, *_SHOWN.values()],
        [
            [
                *(row[column] for column in scope),
                *(row[column] for column in _SHOWN if column != "bytes"),
                _size(row),
            ]
            for row in rows
        ],
    )
    whole, once = sum(row["bytes"] or 0 for row in rows), _bytes_once(rows)
    shared = f"; {size(whole - once)} that forks share are counted once" if whole > once else ""
    click.echo(f"{counted(len(rows), 'collection')}, {size(once)}{shared}")


def _scope_columns(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the columns that distinguish databases. Empty if all collections are in the default database."""
    scopes = {(row["tenant"], row["database"]) for row in rows}
    return () if scopes <= {(DEFAULT_TENANT, DEFAULT_DATABASE)} else _SCOPE


def _size(row: dict[str, Any]) -> str | None:
    return None if row["bytes"] is None else size(row["bytes"])


def _bytes_once(rows: list[dict[str, Any]]) -> int:
    """Add up the bytes of collections. Forks share the files of segments, whose names are random."""
    files: dict[tuple[str, ...], int] = {}
    unknown = 0
    for row in rows:
        unknown += row["bytes"] or 0 if not row["files"] else 0
        for name, bytes in (row["files"] or {}).items():
            files[(name,) if name.startswith("seg-") else (row["id"], name)] = bytes
    return unknown + sum(files.values())


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
