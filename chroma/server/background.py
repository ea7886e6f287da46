"""A server in a thread of this process, for guests on this machine."""

from __future__ import annotations

import threading
import time

import uvicorn

from ..backend.embedded_protocol import EmbeddedBackend
from ..errors import ChromaError
from .app import create_app
from .limits.connection_limit import Connections, Listening, bound
from .limits.transfer_rate import taking
from .run import listen, web_server
from .security.guests import Guests
from .settings.server_settings import ServerSettings

_START_SECONDS, _JOIN_SECONDS = 30.0, 5.0


class BackgroundServer:
    """Serves a backend on a free port of the loopback interface, until `stop`. Then it closes the backend.

    The thread does not keep a program from ending.
    """

    def __init__(self, backend: EmbeddedBackend, guests: Guests) -> None:
        settings = ServerSettings(
            path=backend.folder or "memory", port=0, log_level="warning", metrics=False, drain_seconds=1
        )
        connections = Connections(
            bound(settings.max_connections), *taking(settings.idle_seconds, settings.min_bytes_per_second)
        )
        listening = listen(settings.host, settings.port)
        config = web_server(create_app(backend, settings, guests), connections, settings)
        self.url = f"http://{settings.host}:{listening.getsockname()[1]}"
        self._server = _Server(config, connections)
        sockets = [Listening(listening, connections)]
        self._thread = threading.Thread(
            target=self._server.run, args=(sockets,), name="chroma-browse", daemon=True
        )
        self._thread.start()
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise ChromaError("the console could not start; the lines above say why")
            time.sleep(0.005)

    def stop(self) -> None:
        """Let the server end. Does not wait for it."""
        self._server.should_exit = True

    def join(self) -> None:
        """Wait until the server has ended, or a call of it takes too long."""
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)


class _Server(uvicorn.Server):
    """uvicorn's server, which also ends stalled connections. Signals are left to the program."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if counter % 10 == 0:
            self._connections.sweep()
        return await super().on_tick(counter)
