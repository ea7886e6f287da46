"""Fixtures only: the matrix of clients and small data.

A kind of client is one row of CLIENTS: a context manager over a folder. Tests never ask
which kind they run on, except through the small named questions below.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.wire import content_negotiation

from .support import as_chromadb, driven, scratch, server
from .support.tiny_embedding import HashEmbedding

# What `make test-fast` leaves out: tests that start processes, read much, or repeat a matter in many ways.
SLOW = (
    "api/test_no_limits", "api/test_where", "attack/", "chroma/cli/", "chroma/embedding/test_bedrock",
    "chroma/embedding/test_minilm", "chroma/embedding/test_reopening", "chroma/http/", "chroma/maintenance/",
    "chroma/migration/", "chroma/notebook/test_plot", "chroma/pipelines/", "chroma/server/",
    "chroma/tables/test_round_trip", "chroma/tables/test_sql", "clients/", "crash/", "model/",
    "storage/collection/", "storage/interface/", "storage/query/test_executor", "storage/test_interrupts",
    "storage/vectors/test_pca", "test_benchmarks", "test_client_build", "test_demo", "test_docs",
    "test_notebooks", "test_one_change_in_one_place", "test_public", "test_snippets",
)  # fmt: skip

# Tests of what reaches the disk, and of processes that are killed after so many milliseconds. All others keep
# their files in memory. `test_what_dependencies_do` ignores what is written below /dev.
ON_DISK = (
    "attack/", "chroma/migration/test_resume", "chroma/pipelines/test_kill", "crash/", "storage/",
    "test_what_dependencies_do",
)  # fmt: skip
IN_MEMORY = ("storage/test_interrupts", "storage/test_open_collections")  # of locks and descriptors


@contextmanager
def ephemeral(folder: Path) -> Iterator[Any]:
    """All ephemeral clients of a process share one store, so it is emptied on both sides."""
    del folder
    with chroma.EphemeralClient() as janitor:
        janitor.reset()
        with chroma.EphemeralClient() as client:
            yield client
        janitor.reset()


@contextmanager
def persistent(folder: Path) -> Iterator[Any]:
    with chroma.PersistentClient(folder) as client:
        yield client


@contextmanager
def http(folder: Path) -> Iterator[Any]:
    """All HTTP clients share the server of the session, which is emptied on both sides."""
    del folder
    with chroma.HttpClient(server.url()) as janitor:
        janitor.reset()
        with chroma.HttpClient(server.url()) as client:
            yield client
        janitor.reset()


@contextmanager
def asynchronous(folder: Path) -> Iterator[Any]:
    """As `http`, with the asynchronous client (see `driven`), and Arrow for whatever can be Arrow."""
    del folder
    with chroma.HttpClient(server.url()) as janitor:
        janitor.reset()
        with always_arrow(), driven.HttpClient(server.url()) as client:
            yield client
        janitor.reset()


@contextmanager
def always_arrow() -> Iterator[None]:
    """No transfer is too small for Arrow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content_negotiation, "_RECORDS", 1)
        patch.setattr(content_negotiation, "_ROWS", 0)
        yield


CLIENTS: dict[str, Callable[[Path], AbstractContextManager[Any]]] = {
    "ephemeral": ephemeral,
    "persistent": persistent,
    "http": http,
    "async": asynchronous,
}

# Where only the client is installed (scripts/client_tests.sh), its kinds, and the tests over them.
ONLY_CLIENT = "CHROMA_TEST_SERVER" in os.environ
if ONLY_CLIENT:
    CLIENTS = {kind: CLIENTS[kind] for kind in ("http", "async")}


def is_of(item: pytest.Item, places: tuple[str, ...]) -> bool:
    """Whether a test is in one of these places below tests/."""
    home = Path(__file__).parent
    return item.path.is_relative_to(home) and str(item.path.relative_to(home)).startswith(places)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_of(item, SLOW):
            item.add_marker(pytest.mark.slow)
    if ONLY_CLIENT:
        items[:] = [item for item in items if "client_kind" in getattr(item, "fixturenames", ())]


def survives_reopen(client_kind: str) -> bool:
    """Whether the data outlive the last client that has them open."""
    return client_kind == "persistent"


@pytest.fixture(scope="session", autouse=True)
def _stopped() -> Iterator[None]:
    yield
    driven.stop()
    server.stop()


@pytest.fixture(autouse=True)
def _not_as_chromadb() -> Iterator[None]:
    """No test leaves the process as one of a program written for Chroma to the tests after it."""
    with as_chromadb.undone():
        yield


@pytest.fixture(params=CLIENTS)
def client_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """As pytest's own; see ON_DISK."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    if is_of(request.node, ON_DISK) and not is_of(request.node, IN_MEMORY):
        yield tmp_path_factory.mktemp(name)
        return
    with scratch.folder(name) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def clients(client_kind: str, folder: Path) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def client(client_kind: str, folder: Path, clients: ExitStack) -> Any:
    return clients.enter_context(CLIENTS[client_kind](folder))


@pytest.fixture
def reopen(client_kind: str, folder: Path, clients: ExitStack) -> Callable[[Any], Any]:
    """`client = reopen(client)`: closes and opens again where the data survive that."""

    def again(client: Any) -> Any:
        if not survives_reopen(client_kind):
            return client
        client.close()
        return clients.enter_context(CLIENTS[client_kind](folder))

    return again


@pytest.fixture
def embed() -> HashEmbedding:
    return HashEmbedding()


@pytest.fixture
def collection(client: Any, embed: HashEmbedding) -> Any:
    """An empty collection whose texts are embedded by `embed`."""
    return client.create_collection("things", embedding_function=embed)
