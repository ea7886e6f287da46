"""`chroma describe`, `chroma recall`, `chroma sample`: get to know a collection."""

from __future__ import annotations

import random
from typing import Any

import click

from .get_query_count import PARTS, WhereType, filter_options, print_records, records
from .output import Output, json_option, output_options, print_json, print_rows, say
from .targets import Target, collection_argument, target

_SUMMARY = ("key", "types", "records", "distinct", "min", "max", "most_frequent", "times")


@click.command()
@target
@collection_argument
@click.option(
    "--where", type=WhereType(), metavar="CONDITION", help='Only these records. Such as "year >= 2020"'
)
@output_options
def describe(target: Target, collection: str, where: dict[str, Any] | str | None, output: Output) -> None:
    """Summarize the records: documents, uris, and for each metadata key its types and values."""
    with target.client() as client:
        found = client.get_collection(collection).describe(where)
    if output == "table":
        say(str(found))
        return
    keys = [{name: getattr(key, name) for name in _SUMMARY} for key in found]
    if output != "json":
        print_rows(output, _SUMMARY, keys)
        return
    texts = {
        part: {name: getattr(summary, name) for name in ("records", "shortest", "mean", "longest")}
        for part, summary in (("documents", found.documents), ("uris", found.uris))
    }
    print_json({"collection": collection, "records": found.records, **texts, "keys": keys})


@click.command()
@target
@collection_argument
@click.option("-k", type=click.IntRange(min=1), default=10, help="Nearest records per query. Default: 10")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=200,
    help="Records whose vectors are the queries. Default: 200",
)
@json_option
def recall(target: Target, collection: str, k: int, sample: int, as_json: bool) -> None:
    """Print the fraction of the true nearest records that queries find, between 0 and 1."""
    with target.client() as client:
        found = client.get_collection(collection).recall(k, sample)
    if as_json:
        print_json({"collection": collection, "k": k, "sample": sample, "recall": found})
    else:
        click.echo(f"{found:.4f}")


@click.command()
@target
@collection_argument
@click.option("-n", type=click.IntRange(min=1), default=10, help="Records. Default: 10")
@click.option("--seed", type=int, help="The same seed chooses the same records of a collection.")
@filter_options
@click.option(
    "--include",
    multiple=True,
    type=click.Choice(PARTS),
    help="What to show. Repeatable. Default: documents, metadatas",
)
@output_options
def sample(
    target: Target,
    collection: str,
    n: int,
    seed: int | None,
    where: dict[str, Any] | str | None,
    where_document: dict[str, Any] | None,
    include: tuple[str, ...],
    output: Output,
) -> None:
    """Print records chosen at random, in insertion order."""
    parts = list(include) or ["documents", "metadatas"]
    with target.client() as client:
        chosen = client.get_collection(collection)
        ids = chosen.get(where=where, where_document=where_document, include=[])["ids"]
        rows = sorted(random.Random(seed).sample(range(len(ids)), min(n, len(ids))))  # noqa: S311 - no secret
        found: Any = {"ids": [], **{part: [] for part in parts}}
        if rows:
            found = chosen.get(ids=[ids[row] for row in rows], include=parts)  # type: ignore[arg-type]
    drawn = records(found, parts)
    if output == "json":
        print_json({"collection": collection, "records": drawn})
    else:
        print_records(output, drawn, ["id", *(part.removesuffix("s") for part in parts)])
