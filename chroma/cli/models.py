"""`chroma models`: the weights of the default embedding model."""

from __future__ import annotations

import click

from .command_group import CommandGroup
from .output import json_option, print_json


@click.group(cls=CommandGroup)
def models() -> None:
    """Find or download the weights of the default embedding model."""


@models.command()
@json_option
def where(as_json: bool) -> None:
    """Show the weights that embedding uses."""
    from ..embedding.minilm.weights import find

    found = find()
    if as_json:
        print_json({"source": found.source, "model": str(found.model)})
    else:
        click.echo(f"{found.source}\n{found.model}")


@models.command()
def download() -> None:
    """Download the original weights (about 83 MB) to the cache folder."""
    from ..embedding.minilm.download import download as fetch

    click.echo(f"Ready: {fetch().model}")
