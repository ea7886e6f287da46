"""`chroma run` as a process, for tests of what only a process has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[3]
DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"
PATIENCE = 60.0


@dataclass
class Served:
    process: subprocess.Popen[str]
    url: str
    log: Path

    def text(self) -> str:
        """All that the processes printed but for the first line."""
        return self.log.read_text("utf-8", "replace")

    def ended(self, seconds: float = 30) -> int:
        """The exit code, after SIGTERM."""
        self.process.terminate()
        return self.process.wait(seconds)


_URL = re.compile(r"serving \S+ on (https?://[^\s\"]+)")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if name != "ALLOW_RESET"}
    return {name: text for name, text in kept.items() if not name.startswith("CHROMA_")} | dict(extra or {})


@contextmanager
def running(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """A server of the folder on any free port of loopback; killed at the end if it still runs."""
    command = [sys.executable, "-m", "chroma", "run", "--path", str(folder), "--port", "0", *options]
    log = folder.parent / f"{folder.name}.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=output, text=True, cwd=ROOT, env=environment(env)
        )
    assert process.stdout is not None
    try:
        if "json" in options:  # then standard output has nothing
            eventually(lambda: bool(_URL.search(log.read_text()) or process.poll()), "it serves")
            first = "".join(_URL.findall(log.read_text())[:1])
        else:
            first = process.stdout.readline()
        assert first, f"the server did not start:\n{log.read_text()}"
        yield Served(process, first.split()[-1], log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def eventually(true: Callable[[], bool], what: str) -> None:
    """Waits until something holds."""
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, f"this did not happen: {what}"
        time.sleep(0.05)


def client(**options: object) -> httpx.Client:
    """Plain HTTP, without proxies of the environment, and without reading its certificates."""
    given = {"trust_env": False, "verify": False, "timeout": PATIENCE} | options
    return httpx.Client(**given)  # type: ignore[arg-type]
