"""`chroma create`, `chroma rm`, `chroma rename`: make, delete and rename collections; delete records."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from ..errors import InvalidArgumentError, NotFoundError, UniqueConstraintError
from .get_query_count import JsonType, filter_options, missing_ok_option
from .output import counted, json_option, print_json
from .targets import Target, collection_argument, is_url, target

if TYPE_CHECKING:
    from .._sync.client import Client

_SPACES = click.Choice(["l2", "cosine", "ip"])


@click.command()
@target
@click.argument("collection", metavar="COLLECTION")
@click.option("--space", type=_SPACES, help="The distance. Default: l2")
@click.option(
    "--metadata", type=JsonType(dict, '\'{"owner": "ana"}\''), metavar="JSON", help="Of the collection."
)
@click.option("--vectors-only", is_flag=True, help="Without an embedding function: texts are not embedded.")
@click.option("--if-missing", is_flag=True, help="It is no error if the collection exists already.")
@json_option
def create(
    target: Target,
    collection: str,
    space: str | None,
    metadata: dict[str, Any] | None,
    vectors_only: bool,
    if_missing: bool,
    as_json: bool,
) -> None:
    """Create a collection, and the folder DIR if it is missing.

    Texts are embedded by the default function, all-MiniLM-L6-v2, unless --vectors-only is given.
    """
    new = not is_url(target.where) and not os.path.isdir(target.where)
    settings: Any = {"hnsw": {"space": space}} if space else None
    given: dict[str, Any] = {"embedding_function": None} if vectors_only else {}
    with target.client(create=True) as client:
        try:
            made = client.create_collection(
                collection, metadata=metadata, configuration=settings, get_or_create=if_missing, **given
            )
        except UniqueConstraintError:
            raise UniqueConstraintError(
                f"Collection [{collection}] already exists; choose another name, or give --if-missing"
            ) from None
    if as_json:
        print_json({"collection": made.name, "id": str(made.id)})
    else:
        where = f"{target.where}, a new database" if new else target.where
        click.echo(f"{made.name} is in {where}")


@click.command()
@target
@collection_argument
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filter_options
@missing_ok_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
def rm(
    target: Target,
    collection: str,
    ids: tuple[str, ...],
    where: dict[str, Any] | str | None,
    where_document: dict[str, Any] | None,
    missing_ok: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete a collection; with ids or a filter, only these records of it.

    Asks on a terminal. Elsewhere --yes is needed. The exit code is 3, and nothing is deleted, if an id does
    not exist.
    """
    only = bool(ids) or where is not None or where_document is not None
    with target.client() as client:
        chosen = client.get_collection(collection)
        if only:
            selected: Any = {"ids": list(ids) or None, "where": where, "where_document": where_document}
            if where is not None or where_document is not None:
                chosen.delete(**selected, missing_ok=missing_ok, limit=0)  # checks the filter
            found = set(chosen.get(**selected, include=[])["ids"])
            missing = [id for id in dict.fromkeys(ids) if id not in found]
            if missing and where is None and where_document is None:
                raise NotFoundError(f"no records {', '.join(map(repr, missing))}; nothing was deleted")
            if found:
                _confirm(f"Delete {counted(len(found), 'record')} of {collection}?", yes)
            deleted = chosen.delete(**selected, missing_ok=missing_ok)["deleted"]
        else:
            deleted = chosen.count()
            _confirm(f"Delete {collection} with {counted(deleted, 'record')}?", yes)
            client.delete_collection(collection)
    if as_json:
        print_json({"collection": collection, "deleted": deleted, "dropped": not only})
    elif only:
        click.echo(f"deleted {counted(deleted, 'record')} of {collection}")
    else:
        click.echo(f"deleted {collection} with {counted(deleted, 'record')}")


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidArgumentError(f"{question} Nobody can be asked here: give --yes")
    click.confirm(question, abort=True, err=True)


@click.command()
@target
@collection_argument
@click.argument("new", metavar="NEW")
@json_option
def rename(target: Target, collection: str, new: str, as_json: bool) -> None:
    """Rename a collection. Its records and its id stay."""
    with target.client() as client:
        _renamed(client, collection, new)
    if as_json:
        print_json({"collection": new, "before": collection})
    else:
        click.echo(f"{collection} is called {new} now")


def _renamed(client: Client, old: str, new: str) -> None:
    client.get_collection(old).modify(name=new)
