"""A local server in the place of a provider, and an environment with no keys but those of the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chroma.embedding.core import http
from tests.chroma.embedding.providers import KEY, PROVIDERS, VARIABLES, Provider
from tests.chroma.http.scripted import Reply, Scripted, scripted


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        if name is not None:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between repetitions, which are not made."""
    made: list[float] = []
    monkeypatch.setattr(http, "sleep", made.append)
    return made


@pytest.fixture(params=PROVIDERS, ids=lambda provider: f"{provider.class_name}{provider.header[0][:3]}")
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """Each provider in turn, with a key in the environment."""
    chosen: Provider = request.param
    if chosen.variable is not None:
        monkeypatch.setenv(chosen.variable, KEY)
    return chosen


@pytest.fixture(scope="package")
def running() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def server(running: Scripted) -> Scripted:
    """Answers as the test says; remembers the requests of the test."""
    running.requests = []
    running.script = lambda request: Reply(500)
    return running
