"""`chroma copy`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

import click

from ..errors import InvalidArgumentError, UniqueConstraintError
from .output import json_option, print_json, print_table
from .targets import Target, complete_collection, source_and_target


@click.command()
@source_and_target
@click.argument("collections", metavar="[COLLECTION]...", nargs=-1, shell_complete=complete_collection)
@click.option("--rename", multiple=True, metavar="NAME=NEW", help="Another name for the copy. Repeatable.")
@click.option(
    "--on-conflict",
    type=click.Choice(["error", "skip", "replace"]),
    default="error",
    help="Where TARGET has the name. Default: error, before anything is copied",
)
@click.option(
    "--create", is_flag=True, help="Make the folder, the tenant and the database if they are missing."
)
@json_option
def copy(
    source: Target,
    target: Target,
    collections: tuple[str, ...],
    rename: tuple[str, ...],
    on_conflict: str,
    create: bool,
    as_json: bool,
) -> None:
    """Copy collections between folders, servers, tenants and databases.

    SOURCE and TARGET are each a folder or a URL. They may be the same, with different tenants or databases.
    All collections of the database are copied unless some are named. Vectors and values are copied exactly;
    nothing is embedded again. A copy gets its final name when it is complete.
    """
    import chroma

    renamed = dict(_pair(each) for each in rename)
    if create:
        _create(target)
    with source.client() as reader, target.client() as writer:
        done = chroma.copy_collections(
            reader,
            writer,
            list(collections) or None,
            rename=renamed,
            on_conflict=on_conflict,  # type: ignore[arg-type]
        )
    if as_json:
        print_json({"source": source.where, "target": target.where, "collections": [*map(asdict, done)]})
    else:
        rows = [(report.source, report.name, report.records, report.outcome) for report in done]
        print_table(("collection", "copy", "records", "outcome"), rows)


def _pair(text: str) -> tuple[str, str]:
    old, sign, new = text.partition("=")
    if not sign or not old or not new:
        raise InvalidArgumentError(f"--rename {text!r}: expected NAME=NEW")
    return old, new


def _create(target: Target) -> None:
    """Create the folder, tenant and database of a target if they are missing."""
    import chroma

    scope = target.scope
    with chroma.AdminClient(target.settings(create=True)) as admin:
        with suppress(UniqueConstraintError):
            admin._backend.create_tenant(scope.tenant)
        with suppress(UniqueConstraintError):
            admin._backend.create_database(scope)
