"""The bar of writes that take several requests."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chroma

from ...support import driven
from ...support.checks import refused
from .scripted import Reply, Scripted, scripted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted(max_batch_size=4) as running:
        yield running


@pytest.fixture(params=[chroma.HttpClient, driven.HttpClient], ids=["sync", "async"])
def shown(request: pytest.FixtureRequest, server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`shown(stderr, n, progress)`: what a write of n records puts on that stderr."""

    monkeypatch.setattr("chroma.internal.progress._DELAY", 0.0)

    def write(stderr: io.StringIO, n: int, progress: bool | None = None) -> str:
        monkeypatch.setattr(sys, "stderr", stderr)
        settings = chroma.Settings(chroma_http_progress=progress)
        with request.param("127.0.0.1", server.port, settings=settings) as client:
            things = client.get_collection("things", embedding_function=None)
            things.add(ids=[f"r{i}" for i in range(n)], embeddings=np.zeros((n, 2)))
        return stderr.getvalue()

    return write


def test_a_bar_on_a_terminal(shown: Any) -> None:
    assert "10/10" in shown(Terminal(), 10)


def test_no_bar_for_one_request(shown: Any) -> None:
    assert shown(Terminal(), 4) == ""
    assert shown(Terminal(), 4, True) == ""


def test_no_bar_elsewhere_unless_asked_for(shown: Any) -> None:
    assert shown(io.StringIO(), 10) == ""
    assert "10/10" in shown(io.StringIO(), 10, True)


def test_no_bar_when_it_is_not_wanted(shown: Any) -> None:
    assert shown(Terminal(), 10, False) == ""


def test_without_tqdm_there_is_none_unless_asked_for(shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert shown(Terminal(), 10) == ""
    with refused("tqdm", "chroma_http_progress"):
        shown(Terminal(), 10, True)


def test_a_bar_ends_with_the_error(shown: Any, server: Scripted) -> None:
    server.queue += [Reply(), Reply(400, {"error": "InvalidArgumentError", "message": "too odd"})]
    stderr = Terminal()
    with refused("too odd; 4 of 10 records were written before this"):
        shown(stderr, 10)
    assert "4/10" in stderr.getvalue()
    assert stderr.getvalue().endswith("\n")
