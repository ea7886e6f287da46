"""The exit codes of commands, and the errors that cause them."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from ..errors import (
    AuthorizationError,
    ChromaAuthError,
    ChromaError,
    CorruptionError,
    IDAlreadyExistsError,
    NotFoundError,
    ServerConnectionError,
    ServerTimeoutError,
    UniqueConstraintError,
)
from .option_terms import in_options

DAMAGED, UNUSABLE, NOT_FOUND, UNREACHABLE, FORBIDDEN, EXISTS = 1, 2, 3, 4, 5, 6
BUG, INTERRUPTED, UNREAD = 70, 130, 141

CODES = {
    0: "all is well",
    DAMAGED: "a database is damaged",
    UNUSABLE: "the command, its arguments or the folder cannot be used",
    NOT_FOUND: "what is named does not exist: a tenant, database, collection, record, entry",
    UNREACHABLE: "the server does not answer",
    FORBIDDEN: "the credentials are missing or not enough",
    EXISTS: "something of that name, or a record of that id, exists already",
    BUG: "an error that nobody foresaw; please report it",
    INTERRUPTED: "interrupted (Ctrl-C)",
    UNREAD: "nobody reads the output any more (| head)",
}

_SIGN_IN = "here with --token or CHROMA_TOKEN, or with --user or CHROMA_USER"

_CODES: tuple[tuple[type[ChromaError], int], ...] = (
    (CorruptionError, DAMAGED),
    (NotFoundError, NOT_FOUND),
    (ServerConnectionError, UNREACHABLE),
    (ServerTimeoutError, UNREACHABLE),
    (ChromaAuthError, FORBIDDEN),
    (AuthorizationError, FORBIDDEN),
    (UniqueConstraintError, EXISTS),
    (IDAlreadyExistsError, EXISTS),
)


def code_of(error: ChromaError) -> int:
    """Return the exit code for an error of the package."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), UNUSABLE)


def told(error: ChromaError) -> str:
    """Return the text of an error, in the terms of the command."""
    if isinstance(error, CorruptionError):
        return f"Damaged: {error.message()}"
    if isinstance(error, ChromaAuthError):  # its message() is "Forbidden" whatever the server says
        return f"Error: {str(error) or error.message()}; {_SIGN_IN}"
    return f"Error: {in_options(error.message().removeprefix(f'{error.method}: '))}"


def ended(ctx: click.Context, run: Callable[[click.Context], Any]) -> Any:
    """Run a command. Report an error as a message and an exit code."""
    try:
        result = run(ctx)
        if sys.stdout is not None:
            sys.stdout.flush()  # flushes here, so that a closed pipe is detected
        return result
    except click.exceptions.Exit:
        raise
    except (KeyboardInterrupt, click.Abort):
        _complain("Interrupted.")
        ctx.exit(INTERRUPTED)
    except click.ClickException:
        raise
    except ChromaError as error:
        _complain(told(error))
        ctx.exit(code_of(error))
    except BrokenPipeError:
        discard(sys.stdout)
        ctx.exit(UNREAD)
    except OSError as error:
        _complain(f"Error: {error}")
        ctx.exit(UNUSABLE)
    except Exception as error:
        if type(error) is Exception:  # a server's error without a class in this package
            _complain(f"Error: {error}")
            ctx.exit(UNREACHABLE)
        _complain(traceback.format_exc().rstrip())
        ctx.exit(BUG)


def discard(stream: Any) -> None:
    """Discard what stdout or stderr still holds: it would fail again when the interpreter exits."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _complain(text: str) -> None:
    try:
        click.echo(text, err=True)
    except BrokenPipeError:  # the exit code tells, even if nobody reads the message
        discard(sys.stderr)
