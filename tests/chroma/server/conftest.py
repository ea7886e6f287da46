"""The application without a socket, over a folder of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chroma.config import Settings
from chroma.embedded.backend import LocalBackend
from chroma.server.app import create_app
from chroma.server.limits.thread_pool import Pool
from chroma.server.settings.server_settings import ServerSettings

DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"


class Api:
    """Sends single requests; answers are httpx responses."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.backend = LocalBackend.open(str(folder), Settings())
        settings.setdefault("allowed_hosts", ("test", "x"))  # as the tests call it
        self.app = create_app(self.backend, ServerSettings(path=str(folder), **settings))

    @property
    def pool(self) -> Pool:
        """The application's threads."""
        found: Pool = self.app.state.pool
        return found

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **arguments)

        return asyncio.run(send())

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("GET", path, **arguments)

    def post(self, path: str, body: Any = None, **arguments: Any) -> httpx.Response:
        return self.request("POST", path, json={} if body is None else body, **arguments)

    def collection(self, name: str = "things", **body: Any) -> str:
        """Make a collection; its path."""
        answer = self.post(f"{DATABASE}/collections", {"name": name, **body})
        assert answer.status_code == 200, answer.text
        return f"{DATABASE}/collections/{answer.json()['id']}"


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Api]]:
    """`serve(setting=…)` makes an application over the test's folder."""
    made: list[Api] = []

    def make(**settings: Any) -> Api:
        made.append(Api(folder, **settings))
        return made[-1]

    yield make
    for api in made:
        api.backend.close()


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a refused body is awaited for a moment only: nothing of it comes."""
    monkeypatch.setattr("chroma.server.http.request_body._DISCARD_SECONDS", 0.2)
    monkeypatch.setattr("chroma.server.http.http1.LINGER_SECONDS", 0.2)


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    return serve()


@pytest.fixture
def things(api: Api) -> str:
    """The path of a collection of three records."""
    path = api.collection()
    body = {
        "ids": ["a", "b", "c"],
        "embeddings": [[1.0, 0.0], [0.0, 1.0], [0.1, 2.5]],
        "documents": ["red", None, "blue"],
        "metadatas": [{"n": 1, "f": 1.0}, {"n": 2, "t": ["x", "y"]}, None],
    }
    assert api.post(f"{path}/add", body).status_code == 201
    return path


def refused(answer: httpx.Response, status: int, name: str) -> str:
    """Checks an error's status, name, and form; its message."""
    assert (answer.status_code, answer.json()["error"]) == (status, name), answer.text
    assert set(answer.json()) <= {"error", "message", "kind"}
    assert answer.headers["content-type"] == "application/json"
    trace = answer.headers["chroma-trace-id"]
    assert len(trace) == 32 and int(trace, 16) >= 0
    return str(answer.json()["message"])
