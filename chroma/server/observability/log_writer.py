"""Writes log lines in a thread of its own. If nobody reads the pipe, requests still go on.

Owns: the queue between the loggers and standard error, its limit, and the count of lines that did not fit.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from queue import SimpleQueue
from typing import TextIO

MOST_LINES = 10_000  # about 2 MB; a pipe that is read slowly catches up, a pipe that is not read fills it
FLUSH_SECONDS = 1.0  # how long the end of the process waits for lines that are not written yet
_BATCH = 1000
# Lines are collected for this long before they are written. Otherwise each request wakes the thread, which
# then competes for the interpreter's lock.
_COLLECT_SECONDS = 0.02


class LogWriter(logging.Handler):
    """A handler that never waits for its stream.

    If more than `MOST_LINES` lines are waiting to be written, further lines are dropped and counted. The
    count is the first line that is written afterwards.

    stream  by default, standard error at the time of the first line
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream
        self._queue: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._flushing = threading.Event()
        self._dropped = 0
        self._counting = threading.Lock()  # not `lock`, which `logging.shutdown` keeps while it flushes
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Put the formatted line into the queue. The caller, `handle`, holds this handler's lock."""
        if self._queue.qsize() >= MOST_LINES:
            self._drop(1)
            return
        try:
            line = self.format(record)
        except Exception as error:
            # `handleError` would write to the stream that may be blocked.
            line = f"a line of the logger {record.name} could not be formatted: {error!r}"
        self._queue.put(line)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="chroma-log", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Wait until the lines so far are written, but at most `FLUSH_SECONDS`."""
        if self._thread is not None and self._thread is not threading.current_thread():
            written = threading.Event()
            self._queue.put(written)
            self._flushing.set()
            written.wait(FLUSH_SECONDS)

    def _run(self) -> None:
        while True:
            entries = [self._queue.get()]
            while len(entries) < _BATCH and not self._queue.empty():
                entries.append(self._queue.get())
            lines = [entry for entry in entries if isinstance(entry, str)]
            with self._counting:
                dropped, self._dropped = self._dropped, 0
            try:
                self._write("".join(f"{line}\n" for line in [*self._counted(dropped), *lines]))
            except (OSError, ValueError):  # nobody can read the stream any more, or it was closed
                self._drop(dropped + len(lines))
            for entry in entries:
                if isinstance(entry, threading.Event):
                    self._flushing.clear()
                    entry.set()
            self._flushing.wait(_COLLECT_SECONDS)

    def _counted(self, dropped: int) -> list[str]:
        """Return a line that states how many lines were dropped, if any."""
        if not dropped:
            return []
        text = f"{dropped} log lines were dropped, because standard error was not read"
        record = logging.LogRecord(
            "chroma.server", logging.WARNING, pathname="", lineno=0, msg=text, args=None, exc_info=None
        )
        return [self.format(record)]

    def _drop(self, lines: int) -> None:
        with self._counting:
            self._dropped += lines

    def _write(self, text: str) -> None:
        stream = sys.stderr if self._stream is None else self._stream
        if stream is None:  # the process has no standard error
            return
        try:
            fd = stream.fileno()
        except OSError:  # a stream in memory has no descriptor
            stream.write(text)
            stream.flush()
            return
        # Not `stream.write`: if the process ends while a thread is blocked in it, the interpreter aborts.
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            try:
                data = data[os.write(fd, data) :]
            except BlockingIOError:  # the other end made the pipe non-blocking
                select.select([], [fd], [])
