"""Starts the server, listens, drains requests and stops."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

import click
import uvicorn

from ..backend.embedded_protocol import EmbeddedBackend
from ..config import Settings
from ..embedded.backend import LocalBackend, is_database
from ..errors import ChromaError, InvalidArgumentError, ReadOnlyError
from . import metrics_listener
from .app import create_app
from .http.http1 import Protocol
from .limits.connection_limit import Connections, Listening, bound
from .limits.transfer_rate import taking
from .observability import logs, metrics, tracing
from .security.authorization import Guard
from .security.guests import Guests
from .settings.server_settings import ServerSettings, is_loopback
from .workers import Workers

_log = logging.getLogger("chroma.server")

_BACKLOG = 2048
_SHORT_TOKEN = 20

# Limits after `drain_seconds`: for cancelled requests to unwind, and then for closing the folder.
_UNWIND_SECONDS = 2.0
_CLOSE_SECONDS = 1.0


def serve(
    settings: ServerSettings,
    announce: Callable[[str], None] | None = None,
    guests: Guests | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the current requests and return.

    announce  prints where the server is, given its address; None: as `chroma run` does
    guests    the only callers, of a server of one process; None: those in the settings

    Raises InvalidArgumentError if the server cannot listen on the address, load the certificate or use the
    credentials. Also raises the errors of opening the folder. After an error, the server does not listen.
    """
    logs.start(settings.log_level, settings.log_format)
    settings.check_reach()
    _check_certificate(settings)
    Guard(settings)
    tracing.check(settings)

    def say(listening: socket.socket) -> None:
        if announce is None:
            _announce(listening, settings)
        else:
            announce(_address(listening, settings))

    with OpenFolder(settings) as opened, listen(settings.host, settings.port) as listening:
        if settings.workers == 1:
            say(listening)
            _serve_on(listening, opened.backend, settings, alone=True, guests=guests)
        else:
            opened.backend.close()  # each process opens the folder itself
            with metrics.shared(), metrics_listener.listening(settings, metrics.text_of_all):
                say(listening)
                Workers(work, settings, listening).run()


def work(settings: ServerSettings, listening: socket.socket) -> None:
    """Serve as one of several processes. Stops when the process that started it has ended."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server can reload credentials
    threading.Thread(target=_stop_without_parent, daemon=True).start()
    logs.start(settings.log_level, settings.log_format)
    with OpenFolder(settings) as opened:
        _serve_on(listening, opened.backend, settings, alone=False)


class OpenFolder:
    """Keeps the folder open while the `with` block runs. Raises the errors of opening it."""

    def __init__(self, settings: ServerSettings) -> None:
        if settings.require_existing and not is_database(settings.path):
            raise InvalidArgumentError(
                f"{os.path.abspath(settings.path)} holds no database, and --require-existing is set: mount "
                "the disk that has it, correct --path, or start once without --require-existing to make a "
                "new database there"
            )
        warning = LocalBackend.overlooked(settings.path)
        if warning is not None:
            _log.warning("%s", warning)
        memory = (settings.memory_limit_bytes or LocalBackend.default_memory()) // settings.workers
        self.backend = LocalBackend.open(
            os.path.abspath(settings.path), Settings(chroma_memory_limit_bytes=max(1, memory))
        )
        if not os.access(settings.path, os.R_OK | os.W_OK | os.X_OK):
            self.backend.close()
            raise ReadOnlyError(f"the folder {settings.path} cannot be written; choose another with --path")
        if self.backend.read_only:
            _log.warning("the folder is a backup: it is served for reading, and every write is refused")

    def __enter__(self) -> OpenFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.backend.close()


class Server(uvicorn.Server):
    """uvicorn's server, which also stops within bounded time, and reads the credentials again on SIGHUP.

    The first SIGTERM or SIGINT lets requests finish for `drain_seconds`. A second signal, or the end of
    that time, cancels them. A stuck engine call cannot be cancelled. In that case the folder is closed
    while the call runs, and the process exits with code 0 without waiting for the call. Acknowledged writes
    are on disk. Other writes are either complete or absent.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        guard: Guard,
        connections: Connections,
        *,
        close: Callable[[], None],
        drain: int,
        alone: bool,
    ) -> None:
        super().__init__(config)
        self._guard = guard
        self._connections = connections
        self._close = close
        self._drain = drain
        self._alone = alone
        self._until: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the server, and install the SIGHUP handler before it accepts the first request."""
        await super().startup(sockets)
        if self._guard.reloads:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._guard.reload)
        elif self._alone and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
            signal.signal(signal.SIGHUP, self.handle_exit)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second. Ends stalled connections once a second."""
        if counter % 10 == 0:
            self._connections.sweep()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle SIGTERM or SIGINT. A worker process ignores the terminal's SIGINT; its parent handles it."""
        if sig == signal.SIGINT and not self._alone:
            return
        if self._until is None:
            self._until = time.monotonic() + self._drain + _UNWIND_SECONDS
            threading.Thread(target=self._end, daemon=True).start()
        else:
            self.force_exit = True
            self._until = min(self._until, time.monotonic() + _UNWIND_SECONDS)
        self.should_exit = True

    def _end(self) -> None:
        while self._until is not None and time.monotonic() < self._until:
            time.sleep(0.05)
        _log.error("calls that do not end are abandoned; what was acknowledged is stored")
        closing = threading.Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        logging.shutdown()
        os._exit(0)


def _serve_on(
    listening: socket.socket,
    backend: EmbeddedBackend,
    settings: ServerSettings,
    *,
    alone: bool,
    guests: Guests | None = None,
) -> None:
    app = create_app(backend, settings, guests)
    connections = Connections(
        bound(settings.max_connections),
        *taking(settings.idle_seconds, settings.min_bytes_per_second),
    )
    config = web_server(app, connections, settings)
    _tune()
    threading.Thread(target=_warm_up, daemon=True).start()
    server = Server(
        config, app.state.guard, connections, close=backend.close, drain=settings.drain_seconds, alone=alone
    )
    for number in (signal.SIGTERM, signal.SIGINT):  # also before and after uvicorn handles them
        signal.signal(number, server.handle_exit)
    own_metrics = app.state.metrics.text if alone and app.state.metrics else None
    with metrics_listener.listening(settings, own_metrics):
        server.run(sockets=[Listening(listening, connections)])
    if not server.started:
        raise ChromaError("the server could not start; the lines above say why")


def web_server(app: Any, connections: Connections, settings: ServerSettings) -> uvicorn.Config:
    """How uvicorn serves an application."""
    return uvicorn.Config(
        app,
        http=Protocol.over(connections),
        ws="none",
        loop="asyncio",  # other event loops would not use `Listening`
        log_config=None,  # `logs.start` has done that
        access_log=False,
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.drain_seconds,
        h11_max_incomplete_event_size=settings.max_header_bytes,
        ssl_certfile=settings.ssl_certfile or None,
        ssl_keyfile=settings.ssl_keyfile or None,
        ssl_keyfile_password=settings.ssl_keyfile_password or None,
    )


def _tune() -> None:
    """Make the garbage collector run less often.

    By default it looks for cycles after 700 new objects. A batch of records creates a million objects, none
    of them in cycles. The collector took a quarter of the time of a large write.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def _warm_up() -> None:
    """Create an array before the first request. The first array imports pandas if it is installed, which
    takes half a second."""
    import pyarrow as pa

    pa.array([""]).to_pylist()


def _check_certificate(settings: ServerSettings) -> None:
    if not settings.encrypts:
        return
    named = f"{settings.ssl_certfile} with the key {settings.ssl_keyfile}"

    def password() -> str:  # called only if the key is encrypted
        if not settings.ssl_keyfile_password:
            raise InvalidArgumentError(
                f"the key {settings.ssl_keyfile} has a password: set CHROMA_SSL_KEYFILE_PASSWORD"
            )
        return settings.ssl_keyfile_password

    for path in (settings.ssl_certfile, settings.ssl_keyfile):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise InvalidArgumentError(f"the file {path} cannot be read: {error.strerror}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.ssl_certfile, settings.ssl_keyfile, password
        )
    except (ssl.SSLError, ValueError) as error:
        if isinstance(error, ChromaError):
            raise
        reason = getattr(error, "reason", None) or "no certificate and key in PEM that belong together"
        raise InvalidArgumentError(f"the certificate {named} does not load: {reason}") from None


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address. Raises InvalidArgumentError if there can be none."""
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


def _address(listening: socket.socket, settings: ServerSettings) -> str:
    host = f"[{settings.host.strip('[]')}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.encrypts else "http"
    return f"{scheme}://{host}:{listening.getsockname()[1]}"


def _announce(listening: socket.socket, settings: ServerSettings) -> None:
    address, path = _address(listening, settings), os.path.abspath(settings.path)
    if not _seen_in_log(settings):
        click.echo(f"serving {path} on {address}")
    _log.info("serving %s on %s", path, address)
    if settings.console:
        _log.info("the console is at %s/console/", address)
    if settings.auth_token and len(settings.auth_token) < _SHORT_TOKEN:
        _log.warning("the token is short and may be guessed; `chroma auth create` makes long ones")
    if is_loopback(settings.host):
        return
    if not settings.authenticates:
        _log.warning("no authentication: whoever reaches the port may read and change everything")
    elif not settings.encrypts:
        _log.warning(
            "no TLS: whoever sees the traffic sees the credentials; set --ssl-certfile and --ssl-keyfile, or "
            "put a proxy with TLS in front"
        )


def _seen_in_log(settings: ServerSettings) -> bool:
    """Whether a line on standard output would say what the log says to the same reader.

    A program that starts the server reads the address there. A log in JSON may be read together with it.
    """
    if settings.log_format == "json":
        return True
    return sys.stdout.isatty() and sys.stderr.isatty() and _log.isEnabledFor(logging.INFO)


def _stop_without_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
