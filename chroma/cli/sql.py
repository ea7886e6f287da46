"""`chroma sql`: statements given, from a file, from a pipe, or typed at a prompt."""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from ..errors import ChromaError, InvalidArgumentError
from .exit_codes import told
from .output import Output, hint, output_options, print_json, print_rows, print_table
from .statements import divided, is_complete
from .targets import Target, target

if TYPE_CHECKING:
    import pyarrow as pa

    from .._sync.client import Client

_FEW = 1000  # maximum rows printed as a table
_HELP = """A statement ends with a semicolon. It may have several lines.
.tables          the collections
.mode FORM       how to print: table, csv, tsv, nl, column
.quit, Ctrl-D    end"""


@click.command()
@target
@click.argument("statement", required=False)
@click.option("-f", "--file", type=click.File(encoding="utf-8"), help="Read statements from a file.")
@output_options
def sql(target: Target, statement: str | None, file: Any, output: Output) -> None:
    """Run SELECT statements on the collections of a database.

    Each collection is a table with the columns id, document, uri, embedding and the metadata keys. Without
    STATEMENT, statements come from the standard input; on a terminal, from a prompt. Semicolons divide them.
    """
    if statement is not None and file is not None:
        raise click.UsageError("STATEMENT and --file are two sources of statements: give one")
    if statement is None and file is None and sys.stdin is not None and sys.stdin.isatty():
        with target.client() as client:
            _prompt(client, target.where, output)
        return
    statements = list(divided(statement if statement not in (None, "-") else _read(file)))
    if not statements:
        raise click.UsageError("there is no statement: give STATEMENT, --file, or one on the standard input")
    if output == "json" and len(statements) > 1:
        raise click.UsageError(
            f"--json prints one value, and there are {len(statements)} statements: try --nl"
        )
    with target.client() as client:
        for number, each in enumerate(statements):
            if number and output != "nl":
                click.echo()
            _show(client.sql(each), output)


def _read(file: Any) -> str:
    source = sys.stdin if file is None else file
    if source is None:
        raise InvalidArgumentError("this process has no standard input: give STATEMENT or --file")
    return str(source.read())


def _prompt(client: Client, where: str, output: Output) -> None:
    """Read statements from a terminal and print their answers. An error does not end it."""
    with suppress(ImportError):  # not on every system; gives `input` a history and keys for editing
        import_module("readline")
    click.echo(f"{where}: .help explains, .quit or Ctrl-D ends.")
    for text in _typed():
        if text.startswith("."):
            word, _, rest = text.partition(" ")
            if word == ".quit":
                return
            output = _command(client, word, rest.strip(), output)
            continue
        for each in divided(text):
            try:
                _show(client.sql(each), output)
            except ChromaError as error:
                click.echo(told(error), err=True)
            except KeyboardInterrupt:
                click.echo("Interrupted.", err=True)


def _typed() -> Iterator[str]:
    """Yield the typed statements, with their semicolons, and the typed commands, which begin with a point."""
    lines: list[str] = []
    while True:
        try:
            lines.append(input("   ...> " if lines else "chroma> "))
        except KeyboardInterrupt:  # forgets what was typed
            click.echo()
            lines = []
            continue
        except EOFError:
            click.echo()
            return
        text = "\n".join(lines).strip()
        if not text:
            lines = []
        elif is_complete(text) or (len(lines) == 1 and text.startswith(".")):
            lines = []
            yield text


def _command(client: Client, word: str, argument: str, output: Output) -> Output:
    if word == ".tables":
        for collection in client.list_collections():
            click.echo(collection.name)
    elif word == ".mode" and argument in ("table", "csv", "tsv", "nl", "column"):
        return cast(Output, argument)
    else:
        click.echo(_HELP)
    return output


def _show(table: pa.Table, output: Output) -> None:
    names = table.column_names
    if output not in ("table", "csv", "tsv"):
        twice = [name for name, times in Counter(names).items() if times > 1]
        if twice:
            raise InvalidArgumentError(f"two columns are called {twice[0]!r}: name them apart with `as`")
    if output == "table":
        columns = [column.to_pylist() for column in table.slice(0, _FEW).columns]
        print_table(names, [[_brief(_plain(value)) for value in row] for row in zip(*columns)])
        if table.num_rows > _FEW:
            hint(f"{_FEW:,} of {table.num_rows:,} rows; --csv, --nl and --json print all")
        return
    keys = [f"{number}" for number in range(len(names))] if output in ("csv", "tsv") else names
    rows = (
        {key: _plain(value) for key, value in zip(keys, values, strict=True)}
        for batch in table.to_batches()
        for values in zip(*(column.to_pylist() for column in batch.columns))
    )
    if output == "json":
        print_json(list(rows))
    else:
        print_rows(output, names, rows, keys)


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
