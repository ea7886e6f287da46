"""`client.browse()` and `collection.browse()`: the console for a client, in this process or of its server."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest

import chroma
from chroma.errors import ClosedError, InvalidArgumentError, InvalidTypeError, ReadOnlyError, UnsupportedError

from .processes import running

ROOT = Path(__file__).resolve().parents[3]
API = "api/v2/tenants/default_tenant/databases/default_database/collections"


@contextmanager
def visit(link: Any) -> Iterator[tuple[httpx.Client, str]]:
    """A browser that has exchanged the ticket of a link, and the page that the link leads to."""
    parts = urlsplit(str(link))
    fragment = parse_qs(parts.fragment)
    with httpx.Client(base_url=f"http://{parts.netloc}/", trust_env=False) as web:
        web.headers["x-chroma-console"] = "1"
        answer = web.post("api/v2/chroma-arrow/ticket", json={"ticket": fragment["ticket"][0]})
        assert answer.status_code == 200, answer.text
        web.headers["authorization"] = f"Bearer {answer.json()['token']}"
        yield web, fragment["to"][0]


@pytest.fixture(params=["folder", "memory", "private"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "folder":
        opened = chroma.PersistentClient(tmp_path / "db")
    else:
        opened = chroma.EphemeralClient(private=request.param == "private")
    with opened:
        opened.reset()
        opened.create_collection("things", embedding_function=None).add(
            ids=["a", "b"], embeddings=[[1.0], [2.0]], metadatas=[{"n": 1}, {"n": 2}]
        )
        yield opened


def test_the_link_leads_to_the_database(client: Any) -> None:
    link = client.browse()
    with visit(link) as (web, page):
        assert page == "/t/default_tenant/d/default_database/overview"
        assert web.get("console/").status_code == 200
        assert [found["name"] for found in web.get(API).json()] == ["things"]
        assert web.get("api/v2/auth/identity").json()["role"] == "read"
        assert web.post(API, json={"name": "other"}).status_code == 403
        (tenant, *_) = web.get("api/v2/chroma-arrow/tree").json()["tenants"]
        assert tenant["databases"][0]["collections"][0]["rows"] == 2
        client.create_collection("later", embedding_function=None)
        assert len(web.get(API).json()) == 2  # the same database, as it is now
    again = client.browse()
    assert again.url != link.url and urlsplit(again.url).netloc == urlsplit(link.url).netloc
    with pytest.raises(AssertionError), visit(link):
        pass


def test_a_page_that_may_write(client: Any) -> None:
    with visit(client.browse(write=True)) as (web, _):
        assert web.post(API, json={"name": "other"}).status_code == 200
        assert web.get("api/v2/chroma-arrow/state").json()["bytes"] >= 0
        assert web.get("api/v2/healthcheck").status_code == 200
        statement = web.post(f"{API.rpartition('/')[0]}/chroma-arrow/sql", json={"sql": "select 1"})
        assert statement.status_code == (200 if client.get_settings().is_persistent else 501)
    assert "other" in [found.name for found in client.list_collections()]
    with visit(client.browse()) as (web, _):
        assert web.get("api/v2/auth/identity").json()["role"] == "read"


def test_the_records_of_a_filter(client: Any) -> None:
    (collection,) = client.list_collections()
    for where in ({"n": {"$gt": 1}}, "n > 1"):
        with visit(collection.browse(where=where)) as (_, page):
            pass
        path, _, query = page.partition("?")
        assert path == f"/t/default_tenant/d/default_database/c/{collection.name}/data"
        assert json.loads(unquote(query.removeprefix("where="))) == {"n": {"$gt": 1}}
    with visit(collection.browse()) as (_, page):
        pass
    assert "?" not in page
    with pytest.raises(InvalidArgumentError):
        collection.browse(where=3)
    with pytest.raises(InvalidTypeError, match="write"):
        client.browse(write="yes")


def test_the_server_ends_with_the_client(tmp_path: Path) -> None:
    client = chroma.PersistentClient(tmp_path / "db")
    url = client.browse().url
    web = httpx.Client(trust_env=False)
    assert web.get(url.partition("#")[0]).status_code == 200  # the connection stays open
    client.close()
    with pytest.raises(httpx.TransportError):
        httpx.get(url, trust_env=False)
    web.close()
    with pytest.raises(ClosedError):
        client.browse()
    with chroma.PersistentClient(tmp_path / "db"):  # the folder was released
        pass


def test_the_server_ends_with_a_client_that_is_dropped(tmp_path: Path) -> None:
    client = chroma.PersistentClient(tmp_path / "db")
    url = client.browse().url
    del client
    gc.collect()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            return
        time.sleep(0.05)
    raise AssertionError("it still serves")


def test_a_program_ends_while_it_serves(tmp_path: Path) -> None:
    code = (
        "import sys, chroma, httpx; client = chroma.PersistentClient(sys.argv[1]); "
        "print(httpx.get(client.browse().url, trust_env=False).status_code)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "db")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "200\n", "")


def test_a_backup_is_only_read(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path / "db") as client:
        client.create_collection("things", embedding_function=None).add(ids=["a"], embeddings=[[1.0]])
        client.backup(tmp_path / "backup")
    with chroma.PersistentClient(tmp_path / "backup") as client:
        with visit(client.browse()) as (web, _):
            assert len(web.get(API).json()) == 1
        with pytest.raises(ReadOnlyError, match="write=True"):
            client.browse(write=True)


def test_how_a_link_looks() -> None:
    link = chroma.ConsoleLink("http://127.0.0.1:1/console/#ticket=a&to=%2Ft", once=True)
    assert str(link) == link.url and repr(link) == f"ConsoleLink({link.url!r})"
    html = link._repr_html_()
    assert 'href="http://127.0.0.1:1/console/#ticket=a&amp;to=%2Ft"' in html and "noopener" in html
    assert "once" in html and "once" not in chroma.ConsoleLink("http://x/console/")._repr_html_()


def test_the_console_of_a_server(tmp_path: Path) -> None:
    with running(tmp_path / "db") as served:
        port = int(served.url.rpartition(":")[2])
        with chroma.HttpClient(port=port) as client:
            made = client.create_collection("thing", embedding_function=None)
            home = f"http://localhost:{port}/console/#/t/default_tenant/d/default_database"
            assert client.browse().url == f"{home}/overview" and not client.browse().once
            assert made.browse(where={"n": 1}).url == f"{home}/c/thing/data?where=%7B%22n%22%3A%201%7D"
            assert httpx.get(client.browse().url, trust_env=False).status_code == 200

        async def asynchronous() -> str:
            async with await chroma.AsyncHttpClient(port=port) as client:
                collection = await client.get_collection("thing")
                await client.browse()
                return (await collection.browse()).url

        assert asyncio.run(asynchronous()) == f"{home}/c/thing/data"
    with running(tmp_path / "db", "--no-console") as served:
        with chroma.HttpClient(port=int(served.url.rpartition(":")[2])) as client:
            with pytest.raises(UnsupportedError, match="--no-console"):
                client.browse()
