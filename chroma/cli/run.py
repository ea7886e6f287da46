"""`chroma run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..config import read_dotenv
from ..errors import InvalidArgumentError, NotFoundError
from ..server.settings.cli_options import Grouped, setting_options


@click.command(cls=Grouped)
@setting_options
@click.option("--config", metavar="FILE", help="Settings from a TOML or YAML file.")
@click.argument("file", metavar="[FILE]", required=False)
def run(config: str | None, file: str | None, **options: Any) -> None:
    """Serve a folder over HTTP.

    The API is at /api/v2. FILE is the same as --config FILE.

    An environment variable CHROMA_<OPTION> or a key of the --config file, with underscores (log_level), can
    set every option. CHROMA_CORS_ORIGINS and CHROMA_ALLOWED_HOSTS are separated by commas. Precedence: the
    option, its variable, the variable names of other Chroma servers, the file.
    CHROMA_SSL_KEYFILE_PASSWORD is the password of the key. On SIGTERM, the server finishes open requests and
    exits with code 0.
    """
    from ..server.observability import logs
    from ..server.run import serve  # loads the engine and the web server
    from ..server.settings.sources import read_settings

    environment = {**read_dotenv(Path(".env")), **os.environ}
    if config and file:
        raise InvalidArgumentError(f"--config {config} and {file} name two files: give one of them")
    chosen = {name: None if value == () else value for name, value in options.items()}
    chosen["config"] = config or file
    try:
        with logs.kept():
            settings = read_settings(chosen, environment)
        serve(settings)
    except NotFoundError as error:  # a file that a setting names is missing
        raise InvalidArgumentError(error.message()) from error
