"""`chroma exec`: runs a program in which this package answers the name `chromadb`."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

import click

from ..compat import startup

# as shells and `env` have them: these codes are not the program's
_NOT_RUNNABLE, _NOT_FOUND = 126, 127


@click.command(name="exec", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(command: tuple[str, ...]) -> None:
    """Run a program in which this package answers the name chromadb.

    \b
    chroma exec -- python program.py
    chroma exec -- uvicorn app:app --port 8080
    chroma exec -- pytest

    Nothing is changed in the program, its files or its environment's packages: Python reads a folder
    that is put first on PYTHONPATH when it starts. This holds for the Python processes that the program
    starts, too, and where the package chromadb is installed. chroma-arrow has to be installed in the
    environment of each. Python started with -I, -E or -S does not read PYTHONPATH.

    The program replaces this process, so signals and the exit code are its own: 127 if it is not
    found, 126 if it cannot be run.
    """
    environment = os.environ | {"PYTHONPATH": python_path(os.environ.get("PYTHONPATH"))}
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a program would inherit that
        signal.signal(ignored, signal.SIG_DFL)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - the program that the user names
    except FileNotFoundError:
        remedy = ""
        if command[0].endswith(".py"):
            remedy = f": write `chroma exec -- python {command[0]}`"
        _refuse(f"the program {command[0]!r} is not found{remedy}", _NOT_FOUND)
    except OSError as error:
        _refuse(f"the program {command[0]!r} cannot be run: {error.strerror}", _NOT_RUNNABLE)


def python_path(given: str | None) -> str:
    """Return PYTHONPATH with the folder of `sitecustomize` as its first entry, and only there."""
    folder = os.path.dirname(os.path.abspath(startup.__file__))
    others = [entry for entry in given.split(os.pathsep) if entry != folder] if given else []
    return os.pathsep.join([folder, *others])


def _refuse(message: str, code: int) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    click.get_current_context().exit(code)
