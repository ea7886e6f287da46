"""Several processes over one folder and one listening socket."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

from ..errors import ChromaError
from .settings import ServerSettings

_log = logging.getLogger("chroma.server")

# A process that ends sooner than this after its start is not started again: it would end again.
_MIN_SECONDS = 5.0
_POLL_SECONDS = 0.5

Work = Callable[[ServerSettings, socket.socket], None]


class Workers:
    """Keeps `settings.workers` processes running until SIGTERM or SIGINT, then drains them."""

    def __init__(self, work: Work, settings: ServerSettings, listening: socket.socket) -> None:
        self._work = work
        self._settings = settings
        self._listening = listening
        self._context = multiprocessing.get_context("spawn")  # the engine's threads do not survive a fork
        self._running: dict[BaseProcess, float] = {}
        self._stopping = False

    def run(self) -> None:
        """Return after the last process has ended. Raises ChromaError when one cannot stay up."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        failed = False
        try:
            for _ in range(self._settings.workers):
                self._start()
            while not self._stopping and not failed:
                wait([process.sentinel for process in self._running], timeout=_POLL_SECONDS)
                failed = not self._replace_ended()
        finally:
            self._drain()
        if failed:
            raise ChromaError("a worker process could not stay up; the lines above say why")

    def _start(self) -> None:
        process = self._context.Process(target=self._work, args=(self._settings, self._listening))
        process.start()
        self._running[process] = time.monotonic()

    def _replace_ended(self) -> bool:
        for process, started in [*self._running.items()]:
            if process.is_alive() or self._stopping:
                continue
            del self._running[process]
            _log.error("worker process %s ended with code %s", process.pid, process.exitcode)
            if time.monotonic() - started < _MIN_SECONDS:
                return False
            self._start()
        return True

    def _drain(self) -> None:
        """Let the processes finish what they do; those that take too long are killed."""
        for process in self._running:
            process.terminate()
        until = time.monotonic() + self._settings.drain_seconds + _MIN_SECONDS
        for process in self._running:
            process.join(max(0.0, until - time.monotonic()))
            if process.exitcode is None:
                _log.error("worker process %s did not stop in time and is killed", process.pid)
                process.kill()
                process.join()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping = True
