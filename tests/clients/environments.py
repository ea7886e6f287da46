"""What scripts/clients.sh prepares: the clients and the server of Chroma, apart from this package."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..support.server import PATIENCE, ROOT, answers, free_port

HOME = ROOT / "build" / "clients"
# Where this is set, as in .ci/run, an environment that is missing fails the tests instead of skipping them.
REQUIRED = "CHROMA_FOREIGN_CLIENTS"
TOUR_SECONDS = 100


def needed(name: str) -> Path:
    """The folder of an environment: full, thin, node, programs, or mcp."""
    place = HOME / name
    if not (place / "installed").exists():
        why = f"build/clients/{name} is missing: run scripts/clients.sh"
        if os.environ.get(REQUIRED):
            pytest.fail(why)
        pytest.skip(why)
    return place


def python(name: str) -> str:
    return str(needed(name) / "bin" / "python")


def packages(name: str) -> Path:
    """Where an environment has its packages, if its Python is of this version."""
    place = needed(name) / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    if not place.exists():
        pytest.skip(f"build/clients/{name} has another version of Python")
    return place


def run(*command: str, folder: Path, **environment: str) -> str:
    """What a program prints, of which the last line is that it is complete."""
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        env=surroundings(folder) | environment,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def surroundings(folder: Path) -> dict[str, str]:
    """Without what would lead the program to this package or to settings of somebody else."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "CHROMA_"))}
    return kept | {"HOME": str(folder), "ANONYMIZED_TELEMETRY": "False", "NO_PROXY": "*"}


@contextmanager
def reference_server(folder: Path) -> Iterator[str]:
    """The address of a server of Chroma itself."""
    chroma = needed("full") / "bin" / "chroma"
    port = free_port()
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(
            [str(chroma), "run", "--path", str(folder / "db"), "--port", str(port)],
            cwd=folder, stdout=log, stderr=log, env=surroundings(folder),
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(url):
            assert process.poll() is None, (folder / "log").read_text("utf-8", "replace")
            assert time.monotonic() < deadline, (folder / "log").read_text("utf-8", "replace")
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
