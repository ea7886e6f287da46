"""Runs each SQL statement in a separate process, which can be killed at any time.

A single function call in SQL can take hours and all memory, and cannot be interrupted. Killing the process
bounds the time, and the operating system bounds the memory. A failure in the process, even a crash of DuckDB,
is an error of one request only. A process runs one statement. The next process is started in advance, because
starting a process takes half a second.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import Any

import orjson

from ...errors import ChromaError, InvalidArgumentError, ServerTimeoutError
from ...wire.json_codec import error_from_json
from ..limits.thread_pool import RETRY_SECONDS, Overloaded

_STEP = 1 << 18
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from chroma.server.sql import worker; worker.main()"
)


class _Processes:
    """At most `most` processes run a statement. After the first statement, an idle process waits for the next
    one."""

    def __init__(self, most: int) -> None:
        self._most, self._running = most, 0
        self._lock = threading.Lock()
        self._waiting: subprocess.Popen[bytes] | None = None
        self._closed = False

    def take(self) -> subprocess.Popen[bytes]:
        """A process, which the caller returns by `done`. Raises Overloaded if too many are in use, and
        OSError if none can be started."""
        with self._lock:
            if self._running >= self._most:
                raise Overloaded(f"too many SQL statements run; try again in {RETRY_SECONDS} s")
            self._running += 1
            process, self._waiting = self._waiting, None
        try:
            return self._sound(process)
        except BaseException:
            with self._lock:
                self._running -= 1
            raise

    def _sound(self, process: subprocess.Popen[bytes] | None) -> subprocess.Popen[bytes]:
        if process is not None and process.poll() is None:
            return process
        if process is not None:
            end(process)
        return _start()

    def done(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process, and start another for the next statement if none is idle."""
        end(process)
        with self._lock:
            self._running -= 1
            if self._waiting is None and not self._closed:
                self._waiting = _start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            process, self._waiting = self._waiting, None
        if process is not None:
            end(process)


_processes = _Processes(max(4, os.cpu_count() or 1))
atexit.register(_processes.close)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _START, json.dumps(sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, then close its pipes. A thread that reads from them sees end-of-file first."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # some input was not read by the process
                pipe.close()


class Answer:
    """An iterator over the parts of a statement's result, an Arrow stream. Any thread may `close` it at any
    time.

    The first part is available with the first record batch. If the statement fails before that, the first
    `next` raises its error. Later failures raise an error in the middle of the stream.
    """

    def __init__(self, job: dict[str, Any], body: bytes, seconds: float) -> None:
        """`job` is for `worker.main`, and `body` is the client's. `seconds` limits the whole statement."""
        self._job, self._body, self._seconds = job, body, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._over = self._timed_out = False
        self._timer = threading.Timer(seconds, self._give_up)
        self._timer.daemon = True

    def __iter__(self) -> Answer:
        return self

    def __next__(self) -> bytes:
        if self._process is None:
            part = self._begun()
        else:
            part = self._read(self._process, _STEP)
        if part:
            return part
        assert self._process is not None
        if self._process.wait() != 0:
            raise self._failure(b"")
        raise StopIteration

    def _begun(self) -> bytes:
        """Start the statement. Returns the first part."""
        process = _processes.take()
        with self._lock:
            self._process = process
            if self._over:
                _processes.done(process)
                raise ServerTimeoutError("the SQL statement was stopped before it began")
        self._timer.start()
        assert process.stdin is not None
        try:
            process.stdin.write(orjson.dumps(self._job) + b"\n")
            process.stdin.write(self._body)
            process.stdin.close()
        except (BrokenPipeError, ValueError):
            pass  # the process has ended, and its output says why
        if self._read(process, 1) != b"A":
            raise self._failure(self._read(process, -1))
        return self._read(process, _STEP)

    def _read(self, process: subprocess.Popen[bytes], size: int) -> bytes:
        assert process.stdout is not None
        try:
            return process.stdout.read(size)
        except ValueError:  # another thread closed the pipe
            return b""

    def _give_up(self) -> None:
        self._timed_out = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Stop the statement. A thread that is reading the result sees the end of the stream."""
        self._timer.cancel()
        with self._lock:
            begun, self._over = self._process is not None and not self._over, True
        if begun and self._process is not None:
            _processes.done(self._process)

    def _failure(self, said: bytes) -> ChromaError:
        if self._timed_out:
            return ServerTimeoutError(
                f"the SQL statement takes longer than {self._seconds:g} s: it was stopped"
            )
        try:
            told = orjson.loads(said)
        except orjson.JSONDecodeError:
            return InvalidArgumentError(
                "the SQL statement needs more memory than it may use, or makes DuckDB fail: make it smaller"
            )
        return error_from_json(told["status"], told)
