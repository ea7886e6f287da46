"""A small database, as a folder and behind a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import chroma

from ...support import server
from ...support.tiny_embedding import HashEmbedding


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENANT", "DATABASE", "TOKEN", "USER"):
        monkeypatch.delenv(f"CHROMA_{name}", raising=False)
        monkeypatch.delenv(f"CHROMA_TO_{name}", raising=False)


def fill(client: chroma.ClientAPI) -> None:
    notes = client.create_collection(
        "notes", embedding_function=HashEmbedding(), configuration={"hnsw": {"space": "cosine"}}
    )
    notes.add(
        ids=["a", "b", "c"],
        embeddings=[[1, 0, 0, 0], [0, 1, 0, 0], [0.9, 0.1, 0, 0]],
        documents=["red\napple", None, "green apple"],
        metadatas=[{"n": 1}, None, {"n": 2, "tags": ["x", "y"]}],
        uris=[None, "file:b", None],
    )
    client.create_collection("empty", embedding_function=None)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    folder = tmp_path / "db"
    with chroma.PersistentClient(folder) as client:
        fill(client)
    return folder


@pytest.fixture
def served() -> Iterator[str]:
    with chroma.HttpClient(server.url()) as client:
        client.reset()
        fill(client)
        yield server.url()
        client.reset()


@pytest.fixture(params=["database", "served"])
def target(request: pytest.FixtureRequest) -> str:
    """The database, as a folder and as a URL."""
    return str(request.getfixturevalue(request.param))
