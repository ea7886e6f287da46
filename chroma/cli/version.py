"""`chroma version`."""

from __future__ import annotations

import click

from .._version import __version__
from .output import json_option, print_json


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        click.echo(__version__)
