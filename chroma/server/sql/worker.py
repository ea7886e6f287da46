"""The process that runs one SQL statement.

The process reads a job and a request body from standard input, and writes the result to standard output. The
result is "A" and an Arrow stream, or "E" and an error in JSON.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO

import orjson

from ...embedded.backend import LocalBackend
from ...errors import ChromaError, InvalidArgumentError
from ...requests.scope import Scope
from ...wire import arrow_codec
from ...wire.json_codec import error_to_json
from ..parsing import json_bodies, sql_body

_OWN = 1 << 30  # bytes allowed in addition to DuckDB's memory


def main() -> None:
    """Run one statement, then exit. Exits at once if the server closes the input without sending a job."""
    LocalBackend.preload()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output that a library prints goes to standard error, not into the stream
    head = sys.stdin.buffer.readline()
    if not head:
        return
    job = orjson.loads(head)
    body = sys.stdin.buffer.read()
    threading.Thread(target=_end_with_server, args=(os.getppid(),), daemon=True).start()
    bound_memory(job["memory"] + _OWN + 3 * len(body))
    try:
        parts = answer(job, body)
        first = next(parts)
    except ChromaError as error:
        _say(out, error)
    except MemoryError:
        _say(out, InvalidArgumentError("the SQL statement needs more memory than it may use"))
    else:
        out.write(b"A" + first)
        for part in parts:
            out.write(part)
        out.flush()
    os._exit(0)  # nothing needs cleaning up, and DuckDB's shutdown can be slow


def _say(out: BinaryIO, error: ChromaError) -> None:
    out.write(b"E" + orjson.dumps({"status": error.status, **error_to_json(error)}))
    out.flush()


def _end_with_server(server: int) -> None:
    """Exit when the server process has ended, since it can no longer kill this process."""
    waiting = threading.Event()
    while os.getppid() == server:
        waiting.wait(1.0)
    os._exit(1)


def bound_memory(size: int) -> None:
    """Limit this process's memory to `size` bytes, not counting mapped files, and disable core dumps.

    The memory limit has an effect on Linux only. Does nothing on systems that are not Unix.
    """
    try:
        import resource
    except ImportError:  # the system is not Unix
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # on other systems RLIMIT_DATA has another meaning
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def answer(job: dict[str, object], body: bytes) -> Iterator[memoryview]:
    """Yields the parts of the result's stream. The first part is yielded once the first record batch is
    ready, or the result is known to be empty."""
    request = sql_body.sql(json_bodies.parse(body, int(str(job["largest"]))))
    backend = LocalBackend.reader(str(job["path"]), int(str(job["memory"])) // 2)
    scope = Scope(str(job["tenant"]), str(job["database"]))
    _, run = backend.statement(scope, request.text, request.tables, request.collection)
    reader = run(request.parameters)
    batches = iter(reader)
    first = next(batches, None)
    parts = arrow_codec.messages(itertools.chain([] if first is None else [first], batches), reader.schema)
    for part in parts:
        yield memoryview(part)
