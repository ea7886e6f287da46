"""`chroma search`: run a search, given by options or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..errors import InvalidArgumentError
from ..search.search import Search
from ..types import ReadLevel
from ..validation.read_arguments import check_read_level
from .get_query_count import filter_options, print_records, shown_part
from .output import Output, output_options, print_json, print_table
from .targets import Target, collection_argument, target

_PARTS = ("document", "embedding", "metadata", "score")
_DEFAULT = ("score", "document", "metadata")


class _Given(Search):
    """A search whose wire form is given."""

    def __init__(self, form: dict[str, Any]) -> None:
        super().__init__()
        self._form = form

    def to_dict(self) -> dict[str, Any]:
        return self._form


class SearchType(click.types.StringParamType):
    """One search in its wire form, or a list of them: as JSON, or as @FILE."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the value. Returns a list of forms."""
        if isinstance(value, list):
            return value
        text = value
        if value.startswith("@"):
            try:
                with click.open_file(value[1:], encoding="utf-8") as file:
                    text = file.read()
            except (OSError, UnicodeDecodeError) as error:
                self.fail(f"{value[1:]} cannot be read: {error}", param, ctx)
        try:
            parsed = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            self.fail(f"{value!r:.200} is not JSON ({error}); @FILE reads a file, @- stdin", param, ctx)
        if isinstance(parsed, dict) and "searches" in parsed:
            try:
                check_read_level(parsed.get("read_level") or ReadLevel.INDEX_AND_WAL)
            except InvalidArgumentError as error:
                self.fail(error.message(), param, ctx)
            parsed = parsed["searches"]
        forms = parsed if isinstance(parsed, list) else [parsed]
        if not forms or not all(isinstance(form, dict) for form in forms):
            self.fail(
                f'{value!r:.200} is no search; an example is \'{{"limit": {{"limit": 3}}}}\'', param, ctx
            )
        return forms


@click.command()
@target
@collection_argument
@click.option("--text", help="Rank by the distance from this text, embedded by the collection's function.")
@click.option("--key", metavar="KEY", help="The key to compare --text with. Default: the embedding")
@filter_options
@click.option("--limit", type=click.IntRange(min=1), help="Records at most. Default: 10")
@click.option("--offset", type=click.IntRange(min=0), help="Records to leave out first.")
@click.option(
    "--select",
    multiple=True,
    metavar="NAME",
    help="document, embedding, metadata, score, or a metadata key. Repeatable. Default: score, document, "
    "metadata",
)
@click.option(
    "--search",
    "forms",
    type=SearchType(),
    metavar="JSON",
    help="A search, or a list of them, in the form of the HTTP API; @FILE reads a file, @- stdin. "
    "Texts as queries are embedded.",
)
@output_options
def search(
    target: Target,
    collection: str,
    text: str | None,
    key: str | None,
    where: dict[str, Any] | None,
    where_document: dict[str, Any] | None,
    limit: int | None,
    offset: int | None,
    select: tuple[str, ...],
    forms: list[dict[str, Any]] | None,
    output: Output,
) -> None:
    """Print the records that a search finds: filter, rank, groups, page.

    Without --text and --search, the records are in insertion order.
    """
    options = (text, key, where, where_document, limit, offset)
    if forms is not None and (select or any(option is not None for option in options)):
        raise click.UsageError("--search has all parts of a search: give no other option of one besides it")
    if key is not None and text is None:
        raise click.UsageError("--key is the key to compare --text with: give --text")
    if forms is None:
        knn: dict[str, Any] = {
            "query": text,
            "key": key or "#embedding",
            "limit": (limit or 10) + (offset or 0),
        }
        form = {
            "filter": _filter(where, where_document),
            "rank": None if text is None else {"$knn": knn},
            "limit": {"limit": limit or 10, "offset": offset or 0},
            "select": {"keys": [f"#{name}" if name in _PARTS else name for name in select or _DEFAULT]},
        }
        forms = [form]
    with target.client() as client:
        found = client.get_collection(collection).search([_Given(form) for form in forms])
    answers = found.rows()
    if output == "json":
        print_json({"collection": collection, "searches": [{"records": rows} for rows in answers]})
        return
    if output != "table":
        _print_all(output, answers, found["select"])
        return
    for number, (rows, names) in enumerate(zip(answers, found["select"], strict=True)):
        if len(answers) > 1:
            click.echo(f"{number}:")
        _print(rows, names)


def _filter(where: Mapping[str, Any] | None, document: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    parts = [part for part in (where, _on_documents(document) if document else None) if part]
    if len(parts) > 1:
        return {"$and": parts}
    return parts[0] if parts else None


def _on_documents(condition: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a where_document to a condition on "#document"."""
    return {
        key: [_on_documents(each) if isinstance(each, dict) else each for each in value]
        for key, value in condition.items()
        if key in ("$and", "$or") and isinstance(value, list)
    } or {"#document": dict(condition)}


def _print_all(
    output: Output, answers: Sequence[Sequence[Mapping[str, Any]]], selected: Sequence[Sequence[str]]
) -> None:
    """Print the records of all searches as one list, with the number of the search and the rank."""
    rows = [
        {"search": number, "rank": rank, **row}
        for number, found in enumerate(answers)
        for rank, row in enumerate(found, 1)  # as in to_arrow()
    ]
    present = {name for names in selected for name in names}
    names = [part for part in ("score", "document", "embedding") if f"#{part}" in present]
    metadata = [] if all(name.startswith("#") and name != "#metadata" for name in present) else ["metadata"]
    print_records(output, rows, ["search", "rank", "id", *names, *metadata])


def _print(rows: Sequence[Mapping[str, Any]], selected: Sequence[str]) -> None:
    parts = [name.removeprefix("#") for name in ("#score", "#document", "#embedding", "#metadata")]
    names = ["id", *(name for name in parts if f"#{name}" in selected)]
    keys = [] if "#metadata" in selected else [name for name in selected if not name.startswith("#")]
    table = [
        [
            *(shown_part(name, row.get(name)) for name in names),
            *((row.get("metadata") or {}).get(key) for key in keys),
        ]
        for row in rows
    ]
    print_table([*names, *keys], table)
