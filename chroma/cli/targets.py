"""What a command works on: the folder of a database, or the URL of a server."""

from __future__ import annotations

import click

folder_argument = click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False))
