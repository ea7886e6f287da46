"""`chroma migrate`."""

from __future__ import annotations

import click

from .output import json_option, print_json


@click.command()
@click.option(
    "--from", "source", required=True, metavar="OLD", help="A folder of chromadb, or the URL of a server."
)
@click.option(
    "--to", "target", required=True, metavar="NEW", help="A folder, made if missing, or a server's URL."
)
@click.option(
    "--tenant", "tenants", multiple=True, help="Only this tenant. Repeatable. Default: all of a folder"
)
@click.option("--collection", "collections", multiple=True, help="Only collections of this name. Repeatable.")
@click.option("--skip-damaged", is_flag=True, help="Leave out and report what cannot be read or kept.")
@click.option("--compare-all", is_flag=True, help="Compare all records afterwards, not a sample.")
@click.option(
    "--journal", metavar="FILE", help="Default: migration.json in NEW; for URLs chroma-migration.json here"
)
@click.option("--progress/--no-progress", default=None, help="Default: where the error output is a terminal")
@json_option
def migrate(
    source: str,
    target: str,
    tenants: tuple[str, ...],
    collections: tuple[str, ...],
    skip_damaged: bool,
    compare_all: bool,
    journal: str | None,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Migrate all data from a folder or server of Chroma.

    OLD is a folder that chromadb 0.4 to 1.5 wrote, or a running server. It is never changed. Run the command
    again to resume after an interruption, or to compare again after the end. Credentials for URLs are read
    from CHROMA_CLIENT_AUTH_PROVIDER and CHROMA_CLIENT_AUTH_CREDENTIALS.
    """
    from ..internal.progress import watched
    from ..migration.migrate import migrate as run  # loads numpy, and the engine or the HTTP client

    report = run(
        source,
        target,
        tenants=tenants or None,
        collections=collections or None,
        progress=watched() if progress is None else progress,
        skip_damaged=skip_damaged,
        compare_all=compare_all,
        journal=journal,
    )
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(str(report))
