"""Start, listen, drain, stop."""

from __future__ import annotations

import os
import signal
import socket
from types import FrameType

import click
import uvicorn

from ..config import Settings
from ..errors import ChromaError, InvalidArgumentError, ReadOnlyError
from ..local import LocalBackend
from .app import create_app
from .settings import ServerSettings
from .workers import Workers

_BACKLOG = 2048


def serve(settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests at hand and return.

    Raises InvalidArgumentError for an address that cannot be listened on, and the errors of
    opening the folder; nothing listens then.
    """
    settings.check_reach()
    if settings.authenticates or settings.encrypts:
        raise InvalidArgumentError("authentication and TLS are not offered yet")
    with OpenFolder(settings) as held, _listen(settings.host, settings.port) as listening:
        _announce(listening, settings)
        if settings.workers == 1:
            _serve_on(listening, held.backend, settings)
        else:
            held.backend.close()  # each process opens the folder for itself
            Workers(work, settings, listening).run()


def work(settings: ServerSettings, listening: socket.socket) -> None:
    """What one of several processes does."""
    with OpenFolder(settings) as held:
        _serve_on(listening, held.backend, settings)


class OpenFolder:
    """The folder, open while the block runs. Raises the errors of opening it."""

    def __init__(self, settings: ServerSettings) -> None:
        self.backend = LocalBackend.open(os.path.abspath(settings.path), Settings())
        if not os.access(settings.path, os.R_OK | os.W_OK | os.X_OK):
            self.backend.close()
            raise ReadOnlyError(f"the folder {settings.path} cannot be written; choose another with --path")

    def __enter__(self) -> OpenFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.backend.close()


def _serve_on(listening: socket.socket, backend: LocalBackend, settings: ServerSettings) -> None:
    # uvicorn hands a signal on to the handlers that were there before it, after it has stopped:
    # with these the process then ends by returning, with exit code 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _noted)
    config = uvicorn.Config(
        create_app(backend, settings),
        log_level=settings.log_level,
        access_log=settings.log_level == "debug",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    if not server.started:
        raise ChromaError("the server could not start; the lines above say why")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InvalidArgumentError(f"cannot listen on {host!r}: {error}") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise InvalidArgumentError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another address with --host or "
            "another port with --port"
        ) from None
    return listening


def _announce(listening: socket.socket, settings: ServerSettings) -> None:
    host = f"[{settings.host.strip('[]')}]" if ":" in settings.host else settings.host
    port = listening.getsockname()[1]
    click.echo(f"Serving {os.path.abspath(settings.path)} on http://{host}:{port}")
    if settings.allow_remote_without_auth:
        click.echo("Warning: no authentication. Whoever reaches the port may read and change everything.")


def _noted(number: int, frame: FrameType | None) -> None:
    del number, frame
