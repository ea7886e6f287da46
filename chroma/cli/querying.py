"""`chroma sql`."""

from __future__ import annotations

import click

from .output import json_option, print_json, print_table
from .targets import Place, target

_FEW = 1000  # rows that are printed as a table


@click.command()
@target
@click.argument("statement")
@json_option
def sql(place: Place, statement: str, as_json: bool) -> None:
    """Run a SELECT statement over the collections of a database.

    Each collection is a table, and its columns are id, document, uri, embedding and the metadata keys.
    """
    with place.client() as client:
        table = client.sql(statement)
    if as_json:
        print_json(table.to_pylist())
        return
    rows = table.slice(0, _FEW).to_pylist()
    print_table(table.column_names, [[_brief(row[name]) for name in table.column_names] for row in rows])
    if table.num_rows > _FEW:
        click.echo(f"{_FEW:,} of {table.num_rows:,} rows; --json prints all, and `limit` in SQL fewer")


def _brief(value: object) -> object:
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} values"
    return value if isinstance(value, (int, type(None))) else str(value)
