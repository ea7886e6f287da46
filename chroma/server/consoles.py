"""The servers in this process that show a client's database in a browser.

Owns: when they start and stop. A client has at most two: one that only reads, and one that writes. They end
with the client, or with the program.
"""

from __future__ import annotations

import os
import threading
import weakref

from ..console.console_link import ConsoleLink, Page
from ..embedded.backend import LocalBackend
from ..errors import ReadOnlyError
from .background import BackgroundServer
from .security.guests import Guests


class Consoles:
    """The servers of one client. `link` starts one if it does not run."""

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend
        self._servers: dict[tuple[int, bool], tuple[BackgroundServer, Guests]] = {}
        self._lock = threading.Lock()

    def link(self, page: Page, *, write: bool) -> ConsoleLink:
        """A new address of a page. Raises ReadOnlyError if the database cannot be written to."""
        if write and self._backend.read_only:
            raise ReadOnlyError("the folder is a backup, which is only read: leave out write=True")
        with self._lock:
            key = os.getpid(), write  # in a forked child, the server of the parent does not run
            if key not in self._servers:
                guests = Guests("admin" if write else "read")
                server = BackgroundServer(self._backend.another(), guests)
                weakref.finalize(self, server.stop).atexit = False
                self._servers[key] = server, guests
            server, guests = self._servers[key]
        return page.link(server.url, guests.ticket())

    def close(self) -> None:
        """End the servers. Returns when they have ended."""
        with self._lock:
            servers, self._servers = self._servers, {}
        for (process, _), (server, _) in servers.items():
            if process == os.getpid():
                server.stop()
                server.join()
