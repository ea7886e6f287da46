"""Published programs that use chromadb, unchanged, with this package in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import chroma

from ..support import server
from .environments import needed, packages, python, run

PROGRAMS = Path(__file__).resolve().parent / "programs"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server of these tests alone listens, for a program resets it."""
    needed("programs")
    folder = tmp_path_factory.mktemp("served")
    running = server.start(folder, "--allow-reset")
    yield running.url.rpartition(":")[2]
    assert server.ended(running) == 0, (folder / "log").read_text("utf-8", "replace")[-4000:]


@pytest.mark.parametrize(
    "program",
    ["agno", "autogen", "crewai", "haystack", "mem0", "mempalace", "praisonai", "semantic_kernel", "vanna"],
)
def test_program(program: str, port: str, tmp_path: Path) -> None:
    tour(program, "programs", port, tmp_path)


def test_mcp_server(port: str, tmp_path: Path) -> None:
    """chroma-mcp, a child process of the program"""
    tour("mcp", "mcp", port, tmp_path)


def tour(program: str, environment: str, port: str, folder: Path) -> None:
    """Run the program with its environment's Python, below `chroma exec`."""
    chroma.HttpClient(port=int(port)).reset()
    command = python(environment)
    packages(environment)
    script = str(PROGRAMS / f"{program}_program.py")
    exec_ = (command, "-m", "chroma", "exec", "--", command, script)
    told = run(*exec_, str(folder / "db"), "127.0.0.1", port, folder=folder)
    assert told.endswith("the tour is complete\n"), told[-4000:]
