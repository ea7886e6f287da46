"""`chroma models`: the weights of the default embedding model."""

from __future__ import annotations

import click

from .output import json_option, print_json


@click.group()
def models() -> None:
    """The weights of the default embedding model: where, download."""


@models.command()
@json_option
def where(as_json: bool) -> None:
    """Say which weights would be used."""
    from ..embedding.minilm.weights import find

    found = find()
    if as_json:
        print_json({"source": found.source, "model": str(found.model)})
    else:
        click.echo(f"{found.source}\n{found.model}")


@models.command()
def download() -> None:
    """Fetch the original weights (about 83 MB) into the cache folder."""
    from ..embedding.minilm.download import download as fetch

    click.echo(f"Ready: {fetch().model}")
