"""A server of our own in a process of its own, started when a test first asks for it."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from . import scratch

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0  # seconds to start, and to stop


@dataclass
class Running:
    url: str
    process: subprocess.Popen[bytes]
    folder: Path


_running: list[Running] = []


def url() -> str:
    """Where the session's server is; the first call starts it, unless CHROMA_TEST_SERVER names one."""
    if given := os.environ.get("CHROMA_TEST_SERVER"):
        return given
    if not _running:
        atexit.register(stop)
        _running.append(start(Path(tempfile.mkdtemp(prefix="chroma-server-", dir=scratch.home()))))
    return _running[0].url


def stop() -> None:
    """Stop the session's server, if there is one. It must end by itself, with status 0."""
    while _running:
        server = _running.pop()
        status, log = ended(server), (server.folder / "log").read_text("utf-8", "replace")
        shutil.rmtree(server.folder)
        assert status == 0, f"the server ended with status {status}:\n{log[-4000:]}"


def ended(server: Running) -> int:
    """The exit status after SIGTERM."""
    server.process.terminate()
    try:
        return server.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.process.kill()
        return server.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, *options: str, port: int | None = None) -> Running:
    """`chroma run` on loopback with its database in `folder`/db, its output in `folder`/log."""
    port = port or free_port()
    command = [sys.executable, "-m", "chroma", "run", "--path", str(folder / "db")]
    command += ["--host", "127.0.0.1", "--port", str(port), *options]
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"ALLOW_RESET": "true"}
        )
    server = Running(f"http://127.0.0.1:{port}", process, folder)
    deadline = time.monotonic() + PATIENCE
    while not answers(server.url):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise RuntimeError(f"the server did not start:\n{(folder / 'log').read_text('utf-8', 'replace')}")
        time.sleep(0.05)
    return server


def answers(url: str) -> bool:
    try:
        # Without `verify`, httpx reads all certificates for each question, which takes longer than the rest.
        return httpx.get(f"{url}/api/v2/heartbeat", timeout=5, trust_env=False, verify=False).is_success
    except httpx.TransportError:
        return False
