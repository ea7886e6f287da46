"""`chroma demo`."""

from __future__ import annotations

import click


@click.command()
@click.option("--folder", default=None, type=click.Path(file_okay=False), help="Default: .chroma-demo")
@click.option("--limit", default=None, type=click.IntRange(min=1), help="Texts to index. Default: 3000")
@click.option("--ask-only", is_flag=True, help="Only ask, in a folder that was indexed before.")
def demo(folder: str | None, limit: int | None, ask_only: bool) -> None:
    """Index the docstrings of Python's standard library and query them."""
    from ..demo import run as job  # loads the engine and the model

    where = folder or job.DEFAULT_FOLDER
    if ask_only:
        job.ask(where)
    else:
        job.run(where, limit or job.DEFAULT_LIMIT)
