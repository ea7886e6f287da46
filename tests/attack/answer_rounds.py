"""A small query with a large answer, over the application without a socket; how much memory it takes.

Arguments: the folder, and whether the answer is an Arrow stream.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import orjson

from chroma.config import Settings
from chroma.embedded.backend import LocalBackend
from chroma.server.app import create_app
from chroma.server.settings.server_settings import ServerSettings

from .rounds import Rounds

_DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"
_MOST = 64 << 20


async def _sent(app: Any, path: str, body: Any, *headers: tuple[bytes, bytes]) -> tuple[int, bytes]:
    """The bytes of an answer, which is thrown away but for its beginning."""
    raw, size, begin = orjson.dumps(body), 0, b""
    waiting: list[Any] = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> Any:
        return waiting.pop() if waiting else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        nonlocal size, begin
        part = bytes(message.get("body", b""))
        size, begin = size + len(part), begin or part

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(raw)).encode()),
            *headers,
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1),
        "scheme": "http",
        "root_path": "",
    }
    await app(scope, receive, send)
    return size, begin


async def work(folder: str, accept: str) -> str | None:
    """What is wrong, if anything is."""
    backend = LocalBackend.open(folder, Settings())
    app = create_app(backend, ServerSettings(path=folder))
    _, made = await _sent(app, f"{_DATABASE}/collections", {"name": "things"})
    path = f"{_DATABASE}/collections/{orjson.loads(made)['id']}"
    rows = range(2000)
    metadatas = [{f"key{key}": key for key in range(20)} for _ in rows]
    records = {"ids": [f"r{row}" for row in rows], "metadatas": metadatas}
    vectors = [[row / 7] * 64 for row in rows]
    await _sent(app, f"{path}/add", records | {"embeddings": vectors, "documents": ["text " * 100] * 2000})
    headers = (b"accept", accept.encode())
    query = {"query_embeddings": [[0.5] * 64] * 2, "n_results": 10, "include": ["metadatas"]}
    await _sent(app, f"{path}/query", query, headers)  # what is loaded with the first one
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    query = {
        "query_embeddings": [[0.5] * 64] * 30,
        "n_results": 2000,
        "metadata": "json",
        "include": ["documents", "metadatas", "embeddings"],
    }
    size, _ = await _sent(app, f"{path}/query", query, headers)
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    if size < 50 << 20:
        return f"the answer has {size:,} bytes only"
    return f"an answer of {size:,} bytes took {taken:,} of memory" if taken > _MOST else None


def main() -> None:
    rounds = Rounds()
    for number in rounds:
        if (wrong := asyncio.run(work(*rounds.arguments))) is not None:
            rounds.wrong(number, wrong)


if __name__ == "__main__":
    main()
