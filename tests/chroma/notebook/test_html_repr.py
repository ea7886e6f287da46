"""Clients and collections in notebooks: what the table says, and what it says when there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.notebook import html_repr, timeout
from chroma.storage.interface.values import CollectionStats

from ...support import driven
from ...support.checks import fill
from ..http.scripted import INFO, Reply, Scripted, scripted
from .reading import page, rows, words


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Any]:
    with chroma.PersistentClient(tmp_path / "db") as client:
        yield client


def test_a_client(client: Any, client_kind: str) -> None:
    things = client.create_collection("things", embedding_function=None, metadata={"about": "<b>"})
    fill(things, 3)
    html = client._repr_html_()
    told = words(html)
    assert "tenant default_tenant" in told
    assert "database default_database" in told
    if client_kind == "async":
        assert told.startswith("AsyncClient at http://")
        assert told.endswith("`await client.list_collections()` tells what is in it")
        return
    assert f"version {chroma.__version__} collections 1" in told
    assert rows(html) == [
        ["name", "rows", "dimension", "space", "metadata"],
        ["things", "3", "2", "l2", "about <b>"],
    ]


def test_where_a_client_is(local: Any, tmp_path: Path) -> None:
    assert f"at {tmp_path / 'db'}" in words(local._repr_html_())
    assert repr(local) == (
        f"Client({str(tmp_path / 'db')!r}, tenant='default_tenant', database='default_database')"
    )
    with chroma.EphemeralClient(private=True) as client:
        assert "kept in memory" in words(client._repr_html_())
        assert "Client('in memory', " in repr(client)
    assert "the client was closed" in words(client._repr_html_())
    assert "closed" in repr(client)


def test_many_collections(local: Any) -> None:
    for number in range(23):
        local.create_collection(f"c{number:03}", embedding_function=None)
    html = local._repr_html_()
    assert len(rows(html)) == 21
    assert words(html).endswith("… and 3 more")


def test_a_collection(client: Any, client_kind: str) -> None:
    things = client.create_collection(
        "things",
        embedding_function=None,
        metadata={"about": "<b>"},
        configuration={"hnsw": {"space": "cosine"}},
    )
    fill(things, 7)
    things.update(ids=["r1"], uris=["u"], metadatas=[{"<i>": "<script>"}])
    html = things._repr_html_()
    told = words(html)
    if client_kind == "async":
        assert told.startswith("AsyncCollection things dimension not known yet space cosine")
        assert told.endswith("`await collection.peek()` and `await collection.info()` tell what is in it")
        return
    assert told.startswith("Collection things rows 7 dimension 2 space cosine index complete size ")
    assert "embedding function none stored metadata about <b>" in told
    assert rows(html)[:3] == [
        ["id", "document", "n", "<i>", "uri"],
        ["r0", "text 0", "0", "", ""],
        ["r1", "text 1", "1", "<script>", "u"],
    ]
    assert len(rows(html)) == 6
    assert told.endswith("… and 2 more")
    assert repr(things) == "Collection(name=things)"


def test_an_empty_collection(local: Any) -> None:
    told = words(local.create_collection("things")._repr_html_())
    assert "rows 0 dimension not known yet space l2 index empty size " in told
    assert told.endswith("embedding function default")


@pytest.mark.parametrize(
    ("live", "indexed", "told"),
    [(0, 0, "empty"), (5, 5, "complete"), (2000, 1000, "1,000 of 2,000 rows, the others searched exactly")],
)
def test_the_state_of_the_index(live: int, indexed: int, told: str) -> None:
    stats = CollectionStats(live, 0, 0, 1, indexed, 0, 0)
    assert html_repr._index(stats) == told


def test_a_deleted_collection(local: Any) -> None:
    things = local.create_collection("things", embedding_function=None)
    local.delete_collection("things")
    assert "space l2 embedding function none stored not there any longer" in words(things._repr_html_())


def test_a_collection_that_is_deleted_while_its_client_is_shown(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.create_collection("things", embedding_function=None)
    count = local._backend.count

    def late(*arguments: Any) -> Any:
        local.delete_collection("things")
        return count(*arguments)

    monkeypatch.setattr(local._backend, "count", late)
    assert rows(local._repr_html_())[1][:2] == ["things", "deleted"]


def test_the_database_of_a_client_is_gone(local: Any, tmp_path: Path) -> None:
    with chroma.AdminClient(local.get_settings()) as admin:
        admin.create_database("other")
        local.set_database("other")
        admin.delete_database("other")
    assert "not there any longer" in words(local._repr_html_())


def open_client(server: Scripted, **settings: Any) -> Any:
    return chroma.HttpClient(
        "127.0.0.1", server.port, settings=chroma.Settings(chroma_http_retries=0, **settings)
    )


def test_a_server_that_is_gone() -> None:
    with scripted() as server, open_client(server) as client:
        things = client.get_collection("things")
        server.script = lambda request: Reply(drop=True)
        for shown in (client, things):
            told = words(shown._repr_html_())
            assert "ServerConnectionError: " in told
            assert str(server.port) in told


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeout, "PATIENCE", 0.2)
    released = threading.Event()

    def stuck(request: Any) -> Reply:
        released.wait(20)
        return Reply()

    with scripted() as server, open_client(server) as client:
        server.script = stuck
        started = time.monotonic()
        told = words(client._repr_html_())
        assert time.monotonic() - started < 5
        released.set()
    assert f"at http://127.0.0.1:{server.port}" in told
    assert told.endswith("no more is known after 0.2 seconds")


def test_servers_of_others_say_less() -> None:
    with scripted() as server, open_client(server) as client:
        replies = {"count": 1, "get": {"ids": ["<a>"], "documents": ["x"], "embeddings": [[1, 2]]}}

        def script(request: Any) -> Reply:
            end = request.path.partition("?")[0].rpartition("/")[2]
            if end in replies:
                return Reply(200, replies[end])
            return Reply(200, INFO) if request.method == "GET" else Reply(500)

        server.script = script
        html = client.get_collection("things")._repr_html_()
    page(html)
    assert "rows 1 dimension not known yet space l2 embedding function none stored" in words(html)
    assert "index" not in words(html)
    assert rows(html)[1][:2] == ["<a>", "x"]


def test_credentials_are_not_shown() -> None:
    with scripted() as server:
        settings = chroma.Settings(chroma_http_retries=0)
        client = chroma.HttpClient(f"http://me:secret@127.0.0.1:{server.port}", settings=settings)
    with client:
        told = words(client._repr_html_()) + repr(client)
    assert f"http://127.0.0.1:{server.port}" in told
    assert "secret" not in told


def test_an_asynchronous_client_that_is_closed() -> None:
    with scripted() as server:
        with driven.HttpClient("127.0.0.1", server.port) as client:
            pass
        assert words(client._repr_html_()).endswith("the client was closed")
