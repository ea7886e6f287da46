"""What only asynchronous clients can do: many calls at a time, cancellation, several event loops."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma import errors
from chroma.api.async_client import AsyncAdminClient, AsyncClient
from chroma.api.client import AdminClient, Client
from chroma.api.models.AsyncCollection import AsyncCollection

from ...support import server as servers
from ...support.checks import refused
from ...support.tiny_embedding import HashEmbedding
from .scripted import Reply, Scripted, scripted


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setattr("chroma.http.retry_policy._PAUSES", (0.01,))
    with scripted() as running:
        running.script = lambda request: Reply(body=5)
        yield running


async def opened(server: Scripted, **settings: Any) -> tuple[AsyncClient, AsyncCollection]:
    client = await chroma.AsyncHttpClient("127.0.0.1", server.port, settings=chroma.Settings(**settings))
    return client, await client.get_collection("things", embedding_function=None)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(AsyncClient, Client), (AsyncAdminClient, AdminClient), (AsyncCollection, chroma.Collection)],
)
def test_the_same_names_as_coroutines(ours: type[Any], theirs: type[Any]) -> None:
    def public(cls: type[Any]) -> dict[str, Any]:
        return {name: found for name, found in inspect.getmembers(cls) if not name.startswith("_")}

    mine, other = public(ours), public(theirs)
    assert other.keys() - mine.keys() == ({"columns"} if ours is AsyncCollection else set())  # a property
    assert mine.keys() <= other.keys()
    plain = {name for name, found in mine.items() if not inspect.iscoroutinefunction(found)}
    properties = {name for name, found in mine.items() if isinstance(found, property)}
    assert plain - properties <= {"get_settings", "get_model"}
    for name in mine.keys() - properties:
        assert (
            inspect.signature(mine[name]).parameters.keys()
            == inspect.signature(other[name]).parameters.keys()
        )


def test_names_of_classes_lead_to_them() -> None:
    from importlib import import_module

    for cls in (Client, AdminClient, chroma.Collection, AsyncClient, AsyncAdminClient, AsyncCollection):
        assert not cls.__module__.startswith("chroma._")
        assert getattr(import_module(cls.__module__), cls.__name__) is cls
    assert chroma.AsyncClientAPI is AsyncClient


def test_a_tour() -> None:
    async def tour() -> None:
        async with await chroma.AsyncHttpClient(servers.url()) as client:
            assert repr(client) == (
                f"AsyncClient({servers.url()!r}, tenant='default_tenant', database='default_database')"
            )
            await client.reset()
            things = await client.get_or_create_collection("things", embedding_function=HashEmbedding())
            assert repr(things) == "AsyncCollection(name=things)"
            await things.add(documents=["hello world"], ids=["id1"])
            assert (await things.query(query_texts=["hello world"]))["ids"] == [["id1"]]
            assert things == await client.get_collection("things", embedding_function=HashEmbedding())
            assert isinstance((await client.list_collections())[0], AsyncCollection)
            admin = await chroma.AsyncAdminClient(client.get_settings())
            async with admin:
                await admin.create_tenant("acme")
                assert await admin.get_tenant("acme") == {"name": "acme"}
            await client.reset()
        assert "closed" in repr(client)

    asyncio.run(tour())


def test_calls_at_the_same_time() -> None:
    async def work() -> None:
        async with await chroma.AsyncHttpClient(servers.url()) as client:
            await client.reset()
            things = await client.create_collection("things", embedding_function=HashEmbedding())
            await asyncio.gather(
                *(things.add(ids=[f"r{n}"], documents=[f"text {n}"], metadatas=[{"n": n}]) for n in range(40))
            )
            assert await things.count() == 40
            got = await asyncio.gather(*(things.get(where={"n": n}) for n in range(40)))
            assert [one["ids"] for one in got] == [[f"r{n}"] for n in range(40)]
            await client.reset()

    asyncio.run(work())


def test_the_loop_goes_on_while_texts_are_embedded(server: Scripted) -> None:
    released = threading.Event()

    class Waiting(HashEmbedding):
        def __call__(self, input: Any) -> Any:
            assert released.wait(20), "the event loop was blocked"
            return super().__call__(input)

    async def work() -> None:
        client, _ = await opened(server)
        things = await client.get_collection("things", embedding_function=Waiting())
        server.script = lambda request: Reply(body={"ids": []} if request.path.endswith("/get") else {})
        async with client:
            adding = asyncio.create_task(things.add(ids=["a"], documents=["x"]))
            while not server.sent("/get"):  # which ids are stored
                await asyncio.sleep(0.01)
            await client.get_collection("things", embedding_function=None)
            released.set()
            await adding
        assert len(server.sent("/add")) == 1

    asyncio.run(work())


def test_a_cancelled_call_leaves_the_client_usable(server: Scripted) -> None:
    released = threading.Event()

    def slow(request: Any) -> Reply:
        released.wait(20)
        return Reply(body=5)

    async def work() -> None:
        client, things = await opened(server, chroma_http_max_connections=2)
        async with client:
            server.script = slow
            tasks = [
                asyncio.create_task(things.count()) for _ in range(4)
            ]  # two of them wait for a connection
            while len(server.sent("/count")) < 2:
                await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(outcome, asyncio.CancelledError)
            released.set()
            server.script = lambda request: Reply(body=7)
            assert await asyncio.gather(*(things.count() for _ in range(8))) == [7] * 8
            with pytest.raises(asyncio.TimeoutError):
                released.clear()
                server.script = slow
                await asyncio.wait_for(things.count(), 0.1)
            released.set()
            server.script = lambda request: Reply(body=8)
            assert await things.count() == 8

    asyncio.run(work())


def test_a_split_write_that_is_cancelled_stops() -> None:
    async def work(server: Scripted) -> None:
        client, things = await opened(server)
        async with client:
            released = threading.Event()

            def slow(request: Any) -> Reply:
                released.wait(20)
                return Reply()

            server.script = slow
            ids = [f"r{n}" for n in range(1000)]
            writing = asyncio.create_task(things.upsert(ids=ids, embeddings=np.zeros((1000, 2))))
            while not server.sent("/upsert"):
                await asyncio.sleep(0.01)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            released.set()
            server.script = lambda request: Reply(body=4)
            assert await things.count() == 4
            assert len(server.sent("/upsert")) == 1

    with scripted(max_batch_size=100) as server:
        asyncio.run(work(server))


def test_calls_after_close_say_closed(server: Scripted) -> None:
    async def work() -> None:
        client, things = await opened(server)
        await client.close()
        await client.close()
        for call in (client.heartbeat, things.count, client.list_collections):
            with refused("closed", error=errors.ClosedError):
                await call()

    asyncio.run(work())


def test_closing_while_calls_wait_ends_them(server: Scripted) -> None:
    released = threading.Event()

    def slow(request: Any) -> Reply:
        released.wait(20)
        return Reply(body=5)

    async def work() -> None:
        client, things = await opened(server)
        server.script = slow
        waiting = asyncio.create_task(things.count())
        while not server.sent("/count"):
            await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(errors.ChromaError):
            await waiting
        released.set()

    asyncio.run(work())


def test_every_loop_has_connections_of_its_own(server: Scripted) -> None:
    """Notebooks and test suites run one loop after the other, or several in threads."""
    ready, done = threading.Event(), threading.Event()
    made: list[Any] = []

    async def first() -> None:
        made.extend(await opened(server))
        assert await made[1].count() == 5
        ready.set()
        while not done.is_set():
            await asyncio.sleep(0.01)
        with refused("closed", error=errors.ClosedError):
            await made[1].count()

    async def second() -> None:
        assert await made[1].count() == 5
        await made[0].close()

    failed: list[BaseException] = []

    def in_thread() -> None:
        try:
            asyncio.run(first())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=in_thread)
    thread.start()
    assert ready.wait(20)
    asyncio.run(second())
    done.set()
    thread.join()
    assert failed == []
    assert len({request.connection for request in server.sent("/count")}) == 2


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_has_ended_takes_nothing_along(server: Scripted) -> None:
    client, things = asyncio.run(opened(server))

    async def again() -> None:
        assert await things.count() == 5

    asyncio.run(again())
    asyncio.run(again())
    assert len(client._backend._transport._pools._pools) == 1  # type: ignore[attr-defined]
    asyncio.run(client.close())
    gc.collect()


def test_without_an_event_loop_it_says_so(server: Scripted) -> None:
    client, things = asyncio.run(opened_and_closed(server))
    del client
    work = things.count()
    with refused("asyncio", error=errors.UnsupportedError):
        work.send(None)


async def opened_and_closed(server: Scripted) -> tuple[AsyncClient, AsyncCollection]:
    client, things = await opened(server)
    pools = client._backend._transport._pools  # type: ignore[attr-defined]
    await client.close()
    pools.closed = False
    return client, things


def test_an_admin_client_needs_a_server() -> None:
    with refused("AsyncHttpClient"):
        asyncio.run(chroma.AsyncAdminClient(chroma.Settings()))


def test_a_failed_connection_is_closed(server: Scripted) -> None:
    async def work() -> None:
        with refused("nobody", error=errors.NotFoundError):
            await chroma.AsyncHttpClient("127.0.0.1", server.port, tenant="nobody")

    server.script = lambda request: Reply(404, {"error": "NotFoundError", "message": "nobody"})
    asyncio.run(work())  # warnings are errors: an open socket would be one


# the modules of the engine's interface that a light client loads
INTERFACE = [
    "chroma.storage.interface",
    "chroma.storage.interface.columnar_metadata",
    "chroma.storage.interface.explanation",
    "chroma.storage.interface.iso_times",
    "chroma.storage.interface.metadata_order",
    "chroma.storage.interface.progress",
    "chroma.storage.interface.ranking",
    "chroma.storage.interface.report_repr",
    "chroma.storage.interface.requests",
    "chroma.storage.interface.schema",
    "chroma.storage.interface.short_repr",
    "chroma.storage.interface.sparse_matrix",
    "chroma.storage.interface.sparse_vector",
    "chroma.storage.interface.unmatched",
    "chroma.storage.interface.values",
    "chroma.storage.interface.whole_numbers",
]
LIGHT = """
import asyncio, sys
import chroma

async def main():
    async with await chroma.AsyncHttpClient("127.0.0.1", int(sys.argv[1])) as client:
        things = await client.get_collection("things", embedding_function=None)
        await things.add(ids=["a"], embeddings=[[1, 2]], documents=["x"], metadatas=[{"n": 1}])
        await things.count()

chroma.AsyncHttpClient
print(sorted(name for name in sys.modules if name.partition(".")[0] in sys.argv[2:]))
asyncio.run(main())
print(sorted(name for name in sys.modules if name.partition(".")[0] in sys.argv[2:]))
print(sorted(name for name in sys.modules if name.startswith("chroma.storage.")))
print("chroma.embedded.backend" in sys.modules)
"""


def test_an_asynchronous_client_loads_no_engine(server: Scripted) -> None:
    heavy = ["duckdb", "hnswlib", "fastapi", "uvicorn", "pyarrow", "onnxruntime", "tokenizers", "pandas"]
    heavy += ["orjson", "tqdm", "xxhash"]  # httpx itself imports click where it is installed
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(server.port), *heavy],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "[]",
        "[]",
        repr(INTERFACE),
        "False",
    ], done.stderr
