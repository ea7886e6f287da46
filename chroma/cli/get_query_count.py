"""`chroma get`, `chroma query`, `chroma count`: read the records of a collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from ..storage.interface.requests import QueryMode
from ..validation.sql_condition import filter_of
from .exit_codes import NOT_FOUND
from .output import Output, hint, json_option, output_options, print_json, print_rows, print_table
from .targets import Target, collection_argument, target

PARTS = ("documents", "metadatas", "embeddings", "uris")
_FEW = 10
# What a query prints of each record, besides the parts of the record.
_WORDS = ("lexical_scores", "lexical_ranks", "dense_ranks")
_MEASURED = {"dense": ("distances",), "lexical": _WORDS[:1], "hybrid": ("distances", *_WORDS)}


class JsonType(click.types.StringParamType):
    """A JSON value of one type."""

    def __init__(self, kind: type, example: str) -> None:
        self.kind, self.example, self.name = kind, example, "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the value. The error message gives the position of a mistake."""
        if isinstance(value, self.kind):
            return value
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError as error:
            self.fail(f"{value!r} is not JSON ({error}); an example is {self.example}", param, ctx)
        if not isinstance(parsed, self.kind):
            self.fail(f"{value!r} is another kind of JSON; an example is {self.example}", param, ctx)
        return parsed


class WhereType(JsonType):
    """A filter as JSON, or an SQL condition."""

    def __init__(self) -> None:
        super().__init__(dict, '\'{"year": {"$gte": 2020}}\'')

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the value. The error message gives the position of a mistake."""
        if isinstance(value, str) and not value.lstrip().startswith(("{", "[")):
            return filter_of(value)
        return super().convert(value, param, ctx)


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    example = '\'{"$contains": "apple"}\''
    document = click.option(
        "--where-document", type=JsonType(dict, example), metavar="JSON", help=f"Such as {example}"
    )
    where = click.option(
        "--where",
        type=WhereType(),
        metavar="CONDITION",
        help='An SQL condition or JSON. Such as "year >= 2020" or \'{"year": {"$gte": 2020}}\'',
    )
    return where(document(command))


missing_ok_option = click.option(
    "--missing-ok", is_flag=True, help="Also if --where has a key that no record has, or another type of it."
)
_include = click.option(
    "--include",
    multiple=True,
    type=click.Choice(PARTS),
    help="What to show. Repeatable. Default: documents, metadatas",
)


@click.command()
@target
@collection_argument
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filter_options
@click.option("--limit", type=click.IntRange(min=0), help=f"Records at most. Default: {_FEW}; with ids, all")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Records to leave out first.")
@click.option("--all", "everything", is_flag=True, help="No limit.")
@click.option("--order-by", metavar="KEY", help="A metadata key; -KEY for descending.")
@_include
@output_options
def get(
    target: Target,
    collection: str,
    ids: tuple[str, ...],
    where: dict[str, Any] | None,
    where_document: dict[str, Any] | None,
    limit: int | None,
    offset: int,
    everything: bool,
    order_by: str | None,
    include: tuple[str, ...],
    output: Output,
) -> None:
    """Print records, by id or by filter, in insertion order.

    The exit code is 3 if an id does not exist.
    """
    parts = list(include) or ["documents", "metadatas"]
    if limit is None and not everything and not ids:
        limit = _FEW
    with target.client() as client:
        chosen = client.get_collection(collection)
        found = chosen.get(
            ids=list(ids) or None,
            where=where,
            where_document=where_document,
            limit=limit,
            offset=offset,
            include=parts,  # type: ignore[arg-type]
            order_by=order_by,
        )
        rows = records(found, parts)
        total = chosen.count(where, where_document) if not ids and output in ("table", "column") else None
    if output == "json":
        print_json({"collection": collection, "records": rows})
    else:
        print_records(output, rows, ["id", *_names(parts)])
        if total is not None and total > len(rows):
            hint(f"{len(rows):,} of {total:,} records; --limit, --offset and --all show others")
    if ids and where is None and where_document is None and limit is None and not offset:
        missing = [id for id in dict.fromkeys(ids) if id not in set(found["ids"])]
        if missing:
            click.echo(f"Error: no records {', '.join(map(repr, missing))}", err=True)
            click.get_current_context().exit(NOT_FOUND)


@click.command()
@target
@collection_argument
@click.option("--text", "texts", multiple=True, help="Embedded by the collection's function. Repeatable.")
@click.option(
    "--embedding",
    "embeddings",
    multiple=True,
    type=JsonType(list, "'[0.1, 0.2]'"),
    metavar="JSON",
    help="A vector, such as '[0.1, 0.2]'. Repeatable.",
)
@click.option(
    "-n", "--n-results", type=click.IntRange(min=1), default=10, help="Records per query. Default: 10"
)
@click.option("--id", "ids", multiple=True, help="Consider these records only. Repeatable.")
@filter_options
@_include
@click.option("--exact", is_flag=True, help="Compare with every record, without the index.")
@click.option("--max-distance", type=float, metavar="X", help="Leave out records that are farther away.")
@click.option(
    "--mode",
    type=click.Choice(list(_MEASURED)),
    default="dense",
    help="By vectors, by the words of --text, or by both. Default: dense",
)
@output_options
def query(
    target: Target,
    collection: str,
    texts: tuple[str, ...],
    embeddings: tuple[list[float], ...],
    n_results: int,
    ids: tuple[str, ...],
    where: dict[str, Any] | None,
    where_document: dict[str, Any] | None,
    include: tuple[str, ...],
    exact: bool,
    max_distance: float | None,
    mode: QueryMode,
    output: Output,
) -> None:
    """Print the records nearest to a text or a vector, or with its words."""
    if mode == "dense" and bool(texts) == bool(embeddings):
        raise click.UsageError("give --text or --embedding, one of them or several of one kind")
    if mode != "dense" and not texts:
        raise click.UsageError(f"--mode {mode} searches by words: give --text")
    if mode == "lexical" and embeddings:
        raise click.UsageError("--mode lexical compares no vectors: leave --embedding out, or say hybrid")
    parts = list(include) or ["documents", "metadatas"]
    measured = list(_MEASURED[mode])
    with target.client() as client:
        found = client.get_collection(collection).query(
            query_texts=list(texts) or None,
            query_embeddings=list(embeddings) or None,
            n_results=n_results,
            ids=list(ids) or None,
            where=where,
            where_document=where_document,
            include=[*parts, "distances"],  # type: ignore[list-item]
            exact=exact,
            max_distance=max_distance,
            mode=mode,
        )
    inputs: tuple[Any, ...] = texts or embeddings
    answers = [records(_part(found, number), [*parts, *measured]) for number in range(len(inputs))]
    if output == "json":
        key = "text" if texts else "embedding"
        queries = [{key: each, "records": rows} for each, rows in zip(inputs, answers, strict=True)]
        print_json({"collection": collection, "queries": queries})
        return
    names = ["id", *_names([*measured, *parts])]
    if output != "table":
        found_rows = [
            {"query": number, "rank": rank, **row}
            for number, rows in enumerate(answers)
            for rank, row in enumerate(rows, 1)  # as in to_arrow()
        ]
        print_records(output, found_rows, ["query", "rank", *names])
        return
    for each, rows in zip(inputs, answers, strict=True):
        if len(inputs) > 1:
            click.echo(f"{each}:")
        print_records(output, rows, names)


@click.command()
@target
@collection_argument
@filter_options
@json_option
def count(
    target: Target,
    collection: str,
    where: dict[str, Any] | None,
    where_document: dict[str, Any] | None,
    as_json: bool,
) -> None:
    """Print how many records there are, or how many match a filter."""
    with target.client() as client:
        number = client.get_collection(collection).count(where, where_document)
    if as_json:
        print_json({"collection": collection, "count": number})
    else:
        click.echo(number)


def _part(found: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the result of one query in the form of a `get` result."""
    return {
        key: None if value is None else value[number]
        for key, value in found.items()
        if key in ("ids", "distances", *_WORDS, *PARTS)
    }


def records(found: Mapping[str, Any], parts: list[str]) -> list[dict[str, Any]]:
    """Return one object per record with the id and the requested fields."""
    columns = {part.removesuffix("s"): _plain(found[part]) for part in parts}
    return [
        {"id": id, **{name: column[row] for name, column in columns.items()}}
        for row, id in enumerate(found["ids"])
    ]


def _plain(column: Any) -> list[Any]:
    return [value.tolist() if hasattr(value, "tolist") else value for value in column]


def _names(parts: Sequence[str]) -> list[str]:
    return [part.removesuffix("s") for part in parts]


def print_records(output: Output, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Print records in any form but JSON. In CSV and vertical records, each metadata key is a column."""
    if output == "table":
        print_table(names, [[shown_part(name, row.get(name)) for name in names] for row in rows])
        return
    if output == "nl" or "metadata" not in names:
        print_rows(output, names, rows)
        return
    at = names.index("metadata")
    keys = dict.fromkeys(key for row in rows for key in row.get("metadata") or {})
    columns = {key: f"metadata.{key}" if key in names else key for key in keys}
    flat = [
        {**row, **{columns[key]: value for key, value in (row.get("metadata") or {}).items()}} for row in rows
    ]
    print_rows(output, [*names[:at], *columns.values(), *names[at + 1 :]], flat)


def shown_part(name: str, value: Any) -> object:
    """Shorten a part of a record for a table."""
    if name == "embedding" and value is not None and len(value) > 4:
        return f"[{', '.join(f'{number:.4g}' for number in value[:3])}, … {len(value)}]"
    return f"{value:.6g}" if name in ("distance", "score", "lexical_score") and value is not None else value
