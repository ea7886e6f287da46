"""`chroma import` and `chroma export`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from ..errors import InvalidArgumentError
from .get_query_count import filter_options
from .output import json_option, print_json
from .targets import Target, collection_argument, target

_PARTS = ("id", "document", "embedding", "uri")
_progress = click.option(
    "--progress/--no-progress", default=None, help="Default: where the error output is a terminal"
)


@click.command("import")
@target
@collection_argument
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--create", is_flag=True, help="Make the collection, and the database in DIR, if missing.")
@click.option(
    "--space",
    type=click.Choice(["l2", "cosine", "ip"]),
    help="With --create: the distance. Default: l2",
)
@click.option("--id", "id_column", metavar="COLUMN", help="The column of ids. Default: id")
@click.option("--document", metavar="COLUMN", help="The column of documents. Default: document")
@click.option("--embedding", metavar="COLUMN", help="The column of vectors. Default: embedding")
@click.option("--uri", metavar="COLUMN", help="The column of uris. Default: uri")
@click.option(
    "--metadata",
    multiple=True,
    metavar="COLUMN",
    help="A column of metadata. Repeatable. Default: all others",
)
@click.option(
    "--type", "types", multiple=True, metavar="COLUMN=TYPE",
    help="What a CSV column holds: string, int64, float64, bool. Repeatable.",
)  # fmt: skip
@click.option(
    "--separator", metavar="CHAR",
    help="Between the cells of CSV; \\t is a tab. Default: a comma, or a tab in .tsv files",
)  # fmt: skip
@click.option(
    "--quoting", metavar="CHAR", default='"',
    help="Around quoted cells of CSV; '' if there are none. Default: the double quote",
)  # fmt: skip
@click.option("--encoding", metavar="NAME", help="Of CSV and JSON lines, as cp1252. Default: UTF-8")
@click.option(
    "--format",
    type=click.Choice(["parquet", "arrow", "csv", "jsonl"]),
    help="Default: by the ending of the name",
)
@click.option(
    "--on-conflict",
    type=click.Choice(["error", "skip", "upsert"]),
    default="error",
    help="Where an id is stored already. Default: error, before anything of its part is written",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows that are written at once.")
@click.option("--rejects", metavar="FILE", help="Write rows that cannot be stored there, and go on.")
@click.option(
    "--max-rejects", type=click.IntRange(min=0), default=1000, help="So many at most. Default: 1000"
)
@click.option(
    "--split",
    is_flag=True,
    help="Divide documents into pieces that the embedding model reads whole; each is a record.",
)
@click.option("--restart", is_flag=True, help="Forget that an earlier run came only half way.")
@_progress
@json_option
def import_(
    target: Target,
    collection: str,
    sources: tuple[str, ...],
    create: bool,
    space: str | None,
    id_column: str | None,
    document: str | None,
    embedding: str | None,
    uri: str | None,
    metadata: tuple[str, ...],
    types: tuple[str, ...],
    separator: str | None,
    quoting: str,
    encoding: str | None,
    format: str | None,
    on_conflict: str,
    batch_size: int | None,
    rejects: str | None,
    max_rejects: int,
    split: bool,
    restart: bool,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Load files into a collection: Parquet, CSV, JSON lines, Arrow.

    SOURCE is a file, a folder, a quoted pattern, a URL (s3://...), or - for the standard input. The
    collection's embedding function embeds documents without vectors. After an interruption, run the command
    again to resume; no record is stored twice.
    """
    source: Any = list(sources)
    if "-" in sources:
        source = _standard("input", format, len(sources))
    columns: dict[str, Any] = {
        part: name for part, name in zip(_PARTS, (id_column, document, embedding, uri)) if name is not None
    }
    if metadata:
        columns["metadata"] = list(metadata)
    if space is not None and not create:
        raise InvalidArgumentError(
            "--space is for --create: a collection keeps the distance it was made with"
        )
    with target.client(create=create) as client:
        if create:
            settings: Any = {"hnsw": {"space": space}} if space else None
            chosen = client.get_or_create_collection(collection, configuration=settings)
        else:
            chosen = client.get_collection(collection)
        report = chosen.load(
            source,
            columns=columns or None,
            on_conflict=on_conflict,  # type: ignore[arg-type]
            batch_size=batch_size,
            format=format,  # type: ignore[arg-type]
            types=dict(_typed(each) for each in types) or None,
            separator="\t" if separator == "\\t" else separator,
            quoting=quoting,
            encoding=encoding,
            rejects=rejects,
            max_rejects=max_rejects,
            progress=progress,
            restart=restart,
            split=split or None,
        )
    if as_json:
        print_json(asdict(report))
    else:
        click.echo(str(report))


def _typed(text: str) -> tuple[str, str]:
    name, equals, kind = text.rpartition("=")
    if not equals or not name:
        raise InvalidArgumentError(f"--type {text}: expected COLUMN=TYPE, as zip=string")
    return name, kind


@click.command()
@target
@collection_argument
@click.argument("file", metavar="FILE")
@click.option(
    "--format",
    type=click.Choice(["parquet", "arrow", "csv", "jsonl"]),
    help="Default: by the ending of the name",
)
@click.option("--column", "columns", multiple=True, metavar="NAME", help="Only this column. Repeatable.")
@filter_options
@click.option("--limit", type=click.IntRange(min=0), help="Records at most.")
@click.option("--order-by", metavar="KEY", help="A metadata key; -KEY for descending.")
@click.option("--partition-by", metavar="KEY", help="FILE is a folder, with a file per value of this key.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@_progress
@json_option
def export(
    target: Target,
    collection: str,
    file: str,
    format: str | None,
    columns: tuple[str, ...],
    where: dict[str, Any] | None,
    where_document: dict[str, Any] | None,
    limit: int | None,
    order_by: str | None,
    partition_by: str | None,
    overwrite: bool,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Write a collection to a file: Parquet, Arrow, CSV, JSON lines.

    FILE is a path, a URL (s3://...), or - for the standard output; the report then goes to the standard
    error. The file is a snapshot of the collection. `chroma import` restores
    all records exactly, except lists of CSV files.
    """
    path: Any = file if file != "-" else _standard("output", format)
    with target.client() as client:
        report = client.get_collection(collection).export(
            path,
            format=format,  # type: ignore[arg-type]
            columns=list(columns) or None,
            where=where,
            where_document=where_document,
            limit=limit,
            order_by=order_by,
            partition_by=partition_by,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        print_json(asdict(report), err=file == "-")
    else:
        click.echo(str(report), err=file == "-")


def _standard(name: str, format: str | None, sources: int = 1) -> Any:
    """Return the standard input or output as a file object."""
    if sources > 1:
        raise InvalidArgumentError("- is the standard input, which cannot be read beside other sources")
    if format is None:
        raise InvalidArgumentError(f"- is the standard {name}, whose format has to be said: pass --format")
    stream = sys.stdin if name == "input" else sys.stdout
    if stream is None:
        raise InvalidArgumentError(f"- is the standard {name}, which this process does not have: name a file")
    return stream.buffer
