"""The table of commands and their modules, and the entry point.

Each command is one line in COMMANDS. Its module is imported when the command or its help is requested, so
that `chroma --help`, `chroma version` and shell completion start quickly.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import click

from .._version import __version__
from ..storage.interface.unmatched import collected
from .command_group import CommandGroup
from .exit_codes import CODES, UNREAD, discard, ended


class Listed(NamedTuple):
    """A command: its name, its module in this package, and its line in `chroma --help`."""

    name: str
    module: str
    help: str

    def load(self) -> click.Command:
        name = f"{self.name}_" if self.name in ("exec", "import") else self.name  # names in Python itself
        command = getattr(import_module(f"{__package__}.{self.module}"), name)
        assert isinstance(command, click.Command), self.name
        return command


# In the order of `chroma --help`.
COMMANDS: dict[str, tuple[Listed, ...]] = {
    "Look": (
        Listed("browse", "browse", "Look at a folder in a browser."),
        Listed("ls", "ls_info", "List the collections of all databases, with their counts."),
        Listed("info", "ls_info", "Show the collections: rows, segments, index state, bytes."),
        Listed("count", "get_query_count", "Print how many records there are, or how many match a filter."),
        Listed("get", "get_query_count", "Print records, by id or by filter, in insertion order."),
        Listed(
            "query", "get_query_count", "Print the records nearest to a text or a vector, or with its words."
        ),
        Listed("search", "search", "Print the records that a search finds: filter, rank, groups, page."),
        Listed("sql", "sql", "Run SELECT statements on the collections of a database."),
        Listed("sample", "describe_recall_sample", "Print records chosen at random, in insertion order."),
        Listed(
            "describe",
            "describe_recall_sample",
            "Summarize the records: documents, uris, and for each metadata key its types and values.",
        ),
        Listed(
            "recall",
            "describe_recall_sample",
            "Print the fraction of the true nearest records that queries find, between 0 and 1.",
        ),
    ),
    "Change": (
        Listed("create", "create_rm_rename", "Create a collection, and the folder DIR if it is missing."),
        Listed("rename", "create_rm_rename", "Rename a collection. Its records and its id stay."),
        Listed(
            "update",
            "update",
            "Change stored records: those with an ID, those that match a filter, or --all.",
        ),
        Listed(
            "rm", "create_rm_rename", "Delete a collection; with ids or a filter, only these records of it."
        ),
    ),
    "Move": (
        Listed("import", "import_export", "Load files into a collection: Parquet, CSV, JSON lines, Arrow."),
        Listed("export", "import_export", "Write a collection to a file: Parquet, Arrow, CSV, JSON lines."),
        Listed("migrate", "migrate", "Migrate all data from a folder or server of Chroma."),
        Listed("copy", "copy", "Copy collections between folders, servers, tenants and databases."),
    ),
    "Keep": (
        Listed(
            "backup",
            "backup_restore_compact",
            "Back up a database, even while it is in use, to a new folder or to an earlier backup of it.",
        ),
        Listed(
            "restore", "backup_restore_compact", "Restore a database from a backup, in a new or empty folder."
        ),
        Listed("check", "check", "Verify every file of a database, and repair on request."),
        Listed(
            "compact",
            "backup_restore_compact",
            "Flush, merge and index now, and reclaim the space of deleted records.",
        ),
    ),
    "Serve": (
        Listed("run", "run", "Serve a folder over HTTP."),
        Listed("auth", "auth", "Manage access to a server: create, list, rotate, revoke."),
    ),
    "Other": (
        Listed("exec", "exec_", "Run a program in which this package answers the name chromadb."),
        Listed("demo", "demo", "Index the docstrings of Python's standard library and query them."),
        Listed("models", "models", "Find or download the weights of the default embedding model."),
        Listed("completion", "completion", "Print the completion script of a shell: bash, zsh or fish."),
        Listed("version", "version", "Print the version."),
    ),
}


class Commands(CommandGroup):
    """The command group of the table. `exit_codes` handles its errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [listed.name for section in COMMANDS.values() for listed in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in COMMANDS.values():
            for listed in section:
                if listed.name == cmd_name:
                    return listed.load()
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a heading per section and a line per command, without loading any command."""
        width = max(map(len, self.list_commands(ctx)))
        for heading, section in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(listed.name.ljust(width), listed.help) for listed in section])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in CODES.items()])

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse the arguments. Prints the help and the version, if they ask for these."""
        try:
            return super().make_context(*arguments, **options)
        except BrokenPipeError:
            discard(sys.stdout)
            raise click.exceptions.Exit(UNREAD) from None

    def invoke(self, ctx: click.Context) -> Any:
        with collected() as unmatched, _short_warnings():
            try:
                return ended(ctx, super().invoke)
            finally:
                for message in dict.fromkeys(unmatched):
                    click.echo(f"Warning: {message}", err=True)


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Print warnings about what a user does without the line of the program that warns."""
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *more: Any, **options: Any) -> None:
        if category is UserWarning:
            click.echo(f"Warning: {message}", err=True)
        else:
            before(message, category, *more, **options)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chroma")
def cli() -> None:
    """A vector database in a folder, and its server.

    DIR is the folder of a database. TARGET is such a folder or the URL of a server
    (http://localhost:8000). Commands that print data accept --json.
    """


def main() -> None:
    """Entry point of the command, which is installed under two names: `chroma` and `chroma-arrow`."""
    called = os.path.basename(sys.argv[0])
    cli(prog_name=called if called == "chroma-arrow" else "chroma")
