"""`chroma info`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..errors import NotADatabaseError
from .output import json_option, print_json, print_table
from .targets import folder_argument


@click.command()
@folder_argument
@click.option("--tenant", default="default_tenant", show_default=True)
@json_option
def info(folder: str, tenant: str, as_json: bool) -> None:
    """Show the collections: rows, segments, index state, bytes."""
    rows = _collections(folder, tenant)
    if as_json:
        print_json({"path": str(Path(folder).resolve()), "collections": rows})
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
    print_table(columns, [[row[column] for column in columns] for row in rows])
    click.echo(f"{len(rows)} collections, {sum(row['bytes'] for row in rows):,} bytes")


def _collections(folder: str, tenant: str) -> list[dict[str, Any]]:
    import chroma

    from ..local import is_database  # the engine, loaded late

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
