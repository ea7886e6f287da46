"""SQL statements in processes of their own, where they can be ended whatever they do.

One call of a function in SQL may take hours and all memory, and no interrupt reaches it: time is
bounded by killing the process, memory by the operating system. What goes wrong there, a crash of DuckDB
included, is an error of one request. A process serves one statement; the next one is started meanwhile,
since that takes half a second.
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
    """At most `most` that run a statement, and one that waits for the next, once there was a first."""

    def __init__(self, most: int) -> None:
        self._most, self._running = most, 0
        self._lock = threading.Lock()
        self._waiting: subprocess.Popen[bytes] | None = None
        self._closed = False

    def take(self) -> subprocess.Popen[bytes]:
        """A process, to be given back by `done`. Overloaded when too many are in use, or OSError."""
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
        """End one, and have another ready for the next statement."""
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
    """Kill it, whatever it does, and close its pipes: who reads from them sees their end before."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # bytes that it did not take
                pipe.close()


class Answer:
    """The parts of an Arrow stream that answers a statement. It is an iterator, and `close` ends it from any
    thread at any time.

    The first part comes with the first record batch: errors before it are those that the statement
    raised; after it, the stream breaks off with one.
    """

    def __init__(self, job: dict[str, Any], body: bytes, seconds: float) -> None:
        """`job` for `worker.main`, `body` as the client sent it; `seconds` is for all of it."""
        self._job, self._body, self._seconds = job, body, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._over = self._late = False
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
        """Start it; the first part."""
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
            pass  # it ended: what it wrote says why
        if self._read(process, 1) != b"A":
            raise self._failure(self._read(process, -1))
        return self._read(process, _STEP)

    def _read(self, process: subprocess.Popen[bytes], size: int) -> bytes:
        assert process.stdout is not None
        try:
            return process.stdout.read(size)
        except ValueError:  # closed by another thread
            return b""

    def _give_up(self) -> None:
        self._late = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the statement. What reads it meanwhile sees the end of it."""
        self._timer.cancel()
        with self._lock:
            begun, self._over = self._process is not None and not self._over, True
        if begun and self._process is not None:
            _processes.done(self._process)

    def _failure(self, said: bytes) -> ChromaError:
        if self._late:
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
