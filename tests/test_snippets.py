"""The first programs of Chroma's own guides run here, word for word but for the import's name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.import_graph import ROOT

from .support import server
from .test_client_build import build

__all__ = ["build"]

IN_MEMORY = """
import chroma
client = chroma.Client()
collection = client.create_collection(name="my_collection")
collection.add(
    documents=[
        "This is a document about pineapple",
        "This is a document about oranges"
    ],
    ids=["id1", "id2"]
)
results = collection.query(
    query_texts=["This is a query document about hawaii"],
    n_results=2
)
print(results["ids"])
"""

EPHEMERAL = """
import chroma
client = chroma.EphemeralClient()
collection = client.get_or_create_collection("all-my-documents")
collection.add(
    documents=["This is document1", "This is document2"],
    metadatas=[{"source": "notion"}, {"source": "google-docs"}],
    ids=["doc1", "doc2"],
)
results = collection.query(
    query_texts=["This is a query document"],
    n_results=2,
    # where={"metadata_field": "is_equal_to_this"},
    # where_document={"$contains":"search_string"}
)
print(sorted(results["ids"][0]))
"""

PERSISTENT = """
import chroma
client = chroma.PersistentClient(path="path/to/save/to")
collection = client.create_collection("things")
print(client.heartbeat() > 0)
print(client.reset())
print(client.count_collections())
"""

HTTP = """
import chroma
client = chroma.HttpClient(host='localhost', port=8000)
print(client.heartbeat() > 0)
"""

ASYNC = """
import asyncio
import chroma

async def main():
    client = await chroma.AsyncHttpClient(host='localhost', port=8000)
    collection = await client.create_collection(name="my_collection")
    await collection.add(
        documents=["hello world"],
        ids=["id1"]
    )
    print(await collection.count())

asyncio.run(main())
"""


def said(program: str, folder: Path, *path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path or (ROOT,)))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """`chroma run --path …` with its default port, where the programs look for it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8000))
        except OSError:
            pytest.skip("port 8000, which the snippets name, is in use here")
    running = server.start(tmp_path, port=8000)
    yield tmp_path
    assert server.ended(running) == 0


def test_in_memory(tmp_path: Path) -> None:
    assert said(IN_MEMORY, tmp_path) == "[['id1', 'id2']]\n"
    assert said(EPHEMERAL, tmp_path) == "['doc1', 'doc2']\n"


def test_persistent(tmp_path: Path) -> None:
    assert said(PERSISTENT, tmp_path) == "True\nTrue\n0\n"
    assert (tmp_path / "path" / "to" / "save" / "to").is_dir()


def test_clients_of_a_server(served: Path, build: object) -> None:
    assert said(HTTP, served) == "True\n"
    assert said(ASYNC, served) == "1\n"
    build.stage(served / "staged")  # type: ignore[attr-defined]
    assert said(HTTP, served, served / "staged") == "True\n", "with the client's own distribution"
