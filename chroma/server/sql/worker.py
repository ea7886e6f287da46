"""The process of one SQL statement: a job and a request on its standard input, the answer on its output.

The answer is "A" and an Arrow stream, or "E" and an error in JSON.
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

_OWN = 1 << 30  # bytes beside what DuckDB may have


def main() -> None:
    """Serve one statement and end. Without one, when the server has gone, just end."""
    LocalBackend.preload()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints does not get into the stream
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
    os._exit(0)  # there is nothing to tidy up, and DuckDB may take its time


def _say(out: BinaryIO, error: ChromaError) -> None:
    out.write(b"E" + orjson.dumps({"status": error.status, **error_to_json(error)}))
    out.flush()


def _end_with_server(server: int) -> None:
    """End when the server has: nobody is there to kill this."""
    waiting = threading.Event()
    while os.getppid() == server:
        waiting.wait(1.0)
    os._exit(1)


def bound_memory(size: int) -> None:
    """Let no more bytes be taken than that; maps of files do not count. Where the system cannot, nothing."""
    try:
        import resource
    except ImportError:  # not a Unix
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere it means something else
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def answer(job: dict[str, object], body: bytes) -> Iterator[memoryview]:
    """The parts of the stream; the first of them when there is a record batch, or surely none."""
    want = sql_body.sql(json_bodies.parse(body, int(str(job["largest"]))))
    backend = LocalBackend.reader(str(job["path"]), int(str(job["memory"])) // 2)
    scope = Scope(str(job["tenant"]), str(job["database"]))
    _, run = backend.statement(scope, want.text, want.tables, want.collection)
    reader = run(want.parameters)
    batches = iter(reader)
    first = next(batches, None)
    parts = arrow_codec.messages(itertools.chain([] if first is None else [first], batches), reader.schema)
    for part in parts:
        yield memoryview(part)
