"""`chroma sql`."""

from __future__ import annotations

import base64
import datetime
import decimal
import math
from collections import Counter
from typing import Any

import click

from ..errors import InvalidArgumentError
from .output import json_option, print_json, print_table
from .targets import Target, target

_FEW = 1000  # maximum rows printed as a table


@click.command()
@target
@click.argument("statement")
@json_option
def sql(target: Target, statement: str, as_json: bool) -> None:
    """Run a SELECT statement on the collections of a database.

    Each collection is a table with the columns id, document, uri, embedding and the metadata keys.
    """
    with target.client() as client:
        table = client.sql(statement)
    names = table.column_names
    if as_json:
        twice = [name for name, times in Counter(names).items() if times > 1]
        if twice:
            raise InvalidArgumentError(f"two columns are called {twice[0]!r}: name them apart with `as`")
        print_json([{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()])
        return
    columns = [column.to_pylist() for column in table.slice(0, _FEW).columns]
    print_table(names, [[_brief(_plain(value)) for value in row] for row in zip(*columns)])
    if table.num_rows > _FEW:
        click.echo(f"{_FEW:,} of {table.num_rows:,} rows; --json prints all, and `limit` in SQL fewer")


def _plain(value: Any) -> Any:
    """Convert a value to JSON types. Values that JSON does not have become text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (decimal.Decimal, datetime.timedelta)) or not isinstance(
        value, (str, int, type(None))
    ):
        return str(value)
    return value


def _brief(value: Any) -> object:
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} values"
    return value if isinstance(value, (int, type(None))) else str(value)
