"""Starting, talking to and ending the worker processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TIMEOUT = 120


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class Worker:
    """One process of `tests.crash.worker`."""

    def __init__(self, role: str, *arguments: Any, **options: Any) -> None:
        command = [sys.executable, "-m", "tests.crash.worker", role, *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )

    def hear(self) -> Any:
        """The next line the worker says; fails when it ended without saying one."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the worker ended with {self.process.wait(TIMEOUT)}"
        return json.loads(line)

    def hear_rest(self) -> list[Any]:
        """Everything complete that it said until it ended."""
        assert self.process.stdout is not None
        return [
            json.loads(line)
            for line in self.process.stdout.read().splitlines(keepends=True)
            if line.endswith("\n")
        ]

    def tell(self, value: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def call(self, verb: str, on: str | None = "shared", **arguments: Any) -> Any:
        """Calls a method of the client or of one of its collections in a `serve` worker."""
        self.tell({"call": verb, "on": on, "with": arguments})
        reply = self.hear()
        if "error" in reply:
            raise RemoteError(reply["error"], reply["message"])
        return reply["answer"]

    def kill(self) -> None:
        self.process.kill()

    def end(self) -> int:
        """Closes the worker's stdin and waits for it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(TIMEOUT)
        self.process.stdout.close()
        return code


class RemoteError(Exception):
    """A ChromaError raised in the worker: its class name and its text."""


@contextmanager
def workers(count: int, role: str, *arguments: Any) -> Iterator[list[Worker]]:
    """That many workers, ended or killed on the way out."""
    started = [
        Worker(role, *(a.format(i) if isinstance(a, str) else a for a in arguments)) for i in range(count)
    ]
    try:
        yield started
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.kill()
            worker.end()
