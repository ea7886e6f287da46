"""Runs several server processes that share one folder and one listening socket."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

from ..errors import ChromaError
from .observability import metrics
from .settings.server_settings import ServerSettings

_log = logging.getLogger("chroma.server")

# A process that exits by itself sooner than this after its start is not started again, because it would
# exit again. A process that was killed so soon is started again after a pause.
_MIN_SECONDS = 5.0
_PAUSE_SECONDS = 1.0
_POLL_SECONDS = 0.1

# The time that a process has after `drain_seconds`, or after a second signal, before it is killed.
_GRACE_SECONDS = 5.0

Work = Callable[[ServerSettings, socket.socket], None]


class Workers:
    """Keeps `settings.workers` processes running until SIGTERM or SIGINT, then drains them.

    A second signal shortens the draining. SIGHUP is forwarded to the processes if there is a credentials
    file to read again; otherwise it stops them too.
    """

    def __init__(self, work: Work, settings: ServerSettings, listening: socket.socket) -> None:
        self._work = work
        self._settings = settings
        self._listening = listening
        self._context = multiprocessing.get_context("spawn")  # the engine's threads do not survive a fork
        self._running: dict[BaseProcess, float] = {}
        self._signals = 0
        self._hangups = 0

    @property
    def _stopping(self) -> bool:
        return self._signals > 0

    def run(self) -> None:
        """Run until the last process has ended. Raises ChromaError if a process exits right after its
        start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if self._settings.auth_file:
            signal.signal(signal.SIGHUP, self._hang_up)
        elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
            signal.signal(signal.SIGHUP, self._stop)
        failed = False
        try:
            for _ in range(self._settings.workers):
                self._start()
            while not self._stopping and not failed:
                wait([process.sentinel for process in self._running], timeout=_POLL_SECONDS)
                failed = not self._replace_ended()
                self._hand_on_hangups()
        finally:
            self._drain()
        if failed:
            raise ChromaError("a worker process could not stay up; the lines above say why")

    def _start(self) -> None:
        process = self._context.Process(target=self._work, args=(self._settings, self._listening))
        # The terminal's Ctrl-C reaches all processes. The children inherit that it is ignored, so that from
        # their start on only this process handles it.
        heeded = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, heeded)
        self._running[process] = time.monotonic()

    def _replace_ended(self) -> bool:
        for process, started in [*self._running.items()]:
            if process.is_alive() or self._stopping:
                continue
            del self._running[process]
            if process.pid is not None:
                metrics.forget(process.pid)
            code = process.exitcode or 0
            _log.error("worker process %s ended with code %s", process.pid, code)
            if time.monotonic() - started < _MIN_SECONDS:
                if code >= 0:
                    return False
                time.sleep(_PAUSE_SECONDS)
            if not self._stopping:
                self._start()
        return True

    def _hand_on_hangups(self) -> None:
        handed = self._hangups
        if handed:
            for process in self._running:
                if process.pid is not None and process.is_alive():
                    os.kill(process.pid, signal.SIGHUP)
            self._hangups -= handed

    def _drain(self) -> None:
        """Let the processes finish their requests, and kill those that take too long."""
        self._listening.close()  # otherwise the system accepts connections that are never served
        for process in self._running:
            process.terminate()
        hastened = False
        until = time.monotonic() + self._settings.drain_seconds + _GRACE_SECONDS
        while any(process.is_alive() for process in self._running) and time.monotonic() < until:
            if self._signals > 1 and not hastened:
                hastened = True
                until = min(until, time.monotonic() + _GRACE_SECONDS)
                for process in self._running:
                    process.terminate()
            wait([process.sentinel for process in self._running if process.is_alive()], _POLL_SECONDS)
        for process in self._running:
            if process.is_alive():
                _log.error("worker process %s did not stop in time and is killed", process.pid)
                process.kill()
            process.join()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._signals += 1

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._hangups += 1
