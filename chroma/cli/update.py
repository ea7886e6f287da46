"""`chroma update`: change the metadata and the document of stored records."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import click

from ..errors import NotFoundError
from .get_query_count import filter_options, missing_ok_option
from .output import counted, json_option, print_json
from .targets import Target, collection_argument, target

if TYPE_CHECKING:
    from .._sync.collection import Collection

_AT_ONCE = 10_000  # records per write


class _Change(click.types.StringParamType):
    """KEY=VALUE. The value is JSON if it can be read as JSON, else a text."""

    name = "change"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the key and the value."""
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not equals or not key:
            self.fail(f"{value!r}: expected KEY=VALUE, as year=2020", param, ctx)
        try:
            parsed = json.loads(text)
        except json.JSONDecodeError:
            return key, text
        if parsed is None or isinstance(parsed, dict):
            self.fail(f"{value!r}: metadata have no such value; --unset {key} removes the key", param, ctx)
        return key, parsed


@click.command()
@target
@collection_argument
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--set",
    "changes",
    multiple=True,
    type=_Change(),
    metavar="KEY=VALUE",
    help="A metadata value: a number, true, a JSON list, else a text; '\"12\"' is a text, too. Repeatable.",
)
@click.option("--unset", "removed", multiple=True, metavar="KEY", help="Remove a metadata key. Repeatable.")
@click.option("--document", metavar="TEXT", help="Another document, which is embedded; for one ID.")
@filter_options
@missing_ok_option
@click.option("--all", "everything", is_flag=True, help="All records, without ids and filters.")
@json_option
def update(
    target: Target,
    collection: str,
    ids: tuple[str, ...],
    changes: tuple[tuple[str, Any], ...],
    removed: tuple[str, ...],
    document: str | None,
    where: dict[str, Any] | str | None,
    where_document: dict[str, Any] | None,
    missing_ok: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Change stored records: those with an ID, those that match a filter, or --all.

    The exit code is 3, and nothing is changed, if an id does not exist.
    """
    filtered = where is not None or where_document is not None
    if everything == (bool(ids) or filtered):
        raise click.UsageError("say which records: ids or a filter, or --all")
    if not changes and not removed and document is None:
        raise click.UsageError("say what to change: --set KEY=VALUE, --unset KEY or --document TEXT")
    if document is not None and (len(ids) != 1 or filtered):
        raise click.UsageError("--document is for one record: give one ID and no filter")
    metadata = {**dict(changes), **dict.fromkeys(removed)}
    with target.client() as client:
        chosen = client.get_collection(collection)
        _warn_of_unknown(chosen, removed)
        if filtered:
            updated = chosen.update(
                ids=list(ids) or None,
                where=where,
                where_document=where_document,
                metadatas=metadata,
                missing_ok=missing_ok,
            ).updated
        else:
            updated = _update(chosen, ids, metadata, document)
    if as_json:
        print_json({"collection": collection, "updated": updated})
    else:
        click.echo(f"updated {counted(updated, 'record')} of {collection}")


def _warn_of_unknown(chosen: Collection, removed: tuple[str, ...]) -> None:
    """Warn of keys that are to be removed, and that no record has."""
    if not removed:
        return
    from ..tables import key_expressions

    columns = chosen.columns
    for key in removed:
        if not key_expressions.columns_of(key, columns):
            warnings.warn(f"--unset: {key_expressions.unknown(key, columns)}", UserWarning, stacklevel=2)


def _update(chosen: Collection, ids: tuple[str, ...], metadata: dict[str, Any], document: str | None) -> int:
    """Change the records with these ids, or all without ids. Returns how many."""
    found = chosen.get(ids=list(ids) or None, include=[])["ids"]
    missing = [id for id in dict.fromkeys(ids) if id not in set(found)]
    if missing:
        raise NotFoundError(f"no records {', '.join(map(repr, missing))}; nothing was changed")
    for start in range(0, len(found), _AT_ONCE):
        part = found[start : start + _AT_ONCE]
        given: dict[str, Any] = {"metadatas": [metadata] * len(part)} if metadata else {}
        chosen.update(ids=part, documents=None if document is None else [document], **given)
    return len(found)
