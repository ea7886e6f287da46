"""Chroma's own clients, and libraries on top of them, against our server: real packages, real sockets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support import server
from .environments import needed, packages, python, run

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module", params=[1, 2], ids=["one-worker", "two-workers"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server of these tests alone listens, for the tours reset it."""
    needed("full")
    folder = tmp_path_factory.mktemp("served")
    running = server.start(folder, "--allow-reset", "--workers", str(request.param))
    yield running.url.rpartition(":")[2]
    assert server.ended(running) == 0, (folder / "log").read_text("utf-8", "replace")[-4000:]


@pytest.mark.parametrize("form", ["sync", "async"])
@pytest.mark.parametrize("package", ["full", "thin"])
def test_python(package: str, form: str, port: str, tmp_path: Path) -> None:
    """chromadb and chromadb-client 1.5.9"""
    told = run(python(package), str(HERE / "tour.py"), form, "127.0.0.1", port, folder=tmp_path)
    assert told.endswith("the tour is complete\n")
    assert "chromadb 1.5.9" in told


def test_javascript(port: str, tmp_path: Path) -> None:
    """chromadb 3.5.0 of npm"""
    modules = needed("node") / "node_modules"
    told = run("node", str(HERE / "tour.mjs"), str(modules), "127.0.0.1", port, folder=tmp_path)
    assert told.endswith("the tour is complete\n")


def test_langchain_and_llama_index(port: str, tmp_path: Path) -> None:
    told = run(python("full"), str(HERE / "frameworks.py"), "127.0.0.1", port, folder=tmp_path)
    assert told.endswith("the tour is complete\n")


def test_langchain_and_llama_index_in_a_folder(tmp_path: Path) -> None:
    """With this package in the place of chromadb, which is installed beside it."""
    exec_ = (sys.executable, "-m", "chroma", "exec", "--", sys.executable)
    place = str(packages("full"))
    told = run(*exec_, str(HERE / "frameworks.py"), str(tmp_path / "db"), folder=tmp_path, PYTHONPATH=place)
    assert told.endswith("the tour is complete\n")
