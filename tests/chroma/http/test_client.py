"""What clients of a server send, repeat, split and raise, against servers that answer as told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma import errors
from chroma.storage.interface.metadata_order import ordered
from chroma.wire import json_codec

from ...support import driven
from ...support.checks import refused
from ...support.server import free_port
from .scripted import Reply, Scripted, scripted

BASIC = "chromadb.auth.basic_authn.BasicAuthClientProvider"
TOKEN = "chromadb.auth.token_authn.TokenAuthClientProvider"


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Any:
    """`HttpClient`, or `AsyncHttpClient` behind the same calls."""
    return chroma.HttpClient if request.param == "sync" else driven.HttpClient


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture
def client(server: Scripted, monkeypatch: pytest.MonkeyPatch, connect: Any) -> Iterator[Any]:
    monkeypatch.setattr("chroma.http.retry_policy._PAUSES", (0.01,))
    with connect("127.0.0.1", server.port) as made:
        server.requests.clear()
        yield made


@pytest.fixture
def things(client: Any) -> Any:
    return client.get_collection("things", embedding_function=None)


# ------------------------------------------------------------------ connecting


def test_the_calls_of_connecting(server: Scripted, connect: Any) -> None:
    with connect("127.0.0.1", server.port):
        paths = [request.path for request in server.requests]
    tenant = "/api/v2/tenants/default_tenant"
    assert paths == [
        "/api/v2/pre-flight-checks",
        "/api/v2/auth/identity",
        tenant,
        f"{tenant}/databases/default_database",
    ]


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:{}", "http://127.0.0.1:{}/", "http://127.0.0.1:{}/api/v2"]
)
def test_the_host_may_be_a_url(server: Scripted, host: str, connect: Any) -> None:
    with connect(host.format(server.port), port=1) as client:
        server.queue.append(Reply(body={"nanosecond heartbeat": 7}))
        assert client.heartbeat() == 7


def test_no_server_is_a_value_error(connect: Any) -> None:
    settings = chroma.Settings(chroma_http_retries=0)
    with refused("Could not connect to a Chroma server", error=ValueError):
        connect("127.0.0.1", free_port(), settings=settings)
    with refused("Could not connect to a Chroma server", error=ConnectionError):
        connect("127.0.0.1", free_port(), settings=settings)


def test_something_else_than_a_server_is_told(connect: Any) -> None:
    with scripted() as server:
        server.reply = lambda request: Reply(body=b"<html>hello</html>")  # type: ignore[method-assign]
        with refused("does not answer as a Chroma server", "<html>", error=errors.ServerConnectionError):
            connect("127.0.0.1", server.port)


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ({"host": "localhost/api"}, "without specifying the protocol"),
        ({"host": "ftp://localhost"}, "Unrecognized protocol - ftp"),
        ({"host": "http://"}, "names no host"),
        ({"host": "http://localhost:x"}, "Invalid URL"),
        ({"port": "many"}, "Expected port"),
        ({"settings": chroma.Settings(chroma_server_host="elsewhere")}, "elsewhere"),
        ({"settings": chroma.Settings(chroma_server_http_port=1)}, "chroma_server_http_port=1"),
        ({"settings": chroma.Settings(chroma_client_auth_credentials="x")}, "chroma_client_auth_provider"),
        ({"settings": chroma.Settings(chroma_client_auth_provider=TOKEN)}, "chroma_client_auth_credentials"),
        ({"settings": chroma.Settings(chroma_client_auth_provider="x.Y")}, "x.Y"),
        (
            {
                "settings": chroma.Settings(
                    chroma_client_auth_provider=BASIC, chroma_client_auth_credentials="x"
                )
            },
            "user:password",
        ),
        ({"settings": 5}, "chroma.Settings"),
    ],
    ids=str,
)
def test_what_names_no_server_is_refused(arguments: Any, fragment: str, connect: Any) -> None:
    with refused(fragment, error=ValueError):
        connect(**arguments)


def test_the_callers_settings_stay_as_they_are(server: Scripted, connect: Any) -> None:
    settings = chroma.Settings(chroma_http_retries=1)
    with connect("127.0.0.1", str(server.port), settings=settings) as client:  # type: ignore[arg-type]
        assert client.get_settings().chroma_server_http_port == server.port
    assert settings == chroma.Settings(chroma_http_retries=1)


def test_settings_alone_make_an_http_client(server: Scripted) -> None:
    settings = chroma.Settings(
        chroma_api_impl="chromadb.api.fastapi.FastAPI",
        chroma_server_host="127.0.0.1",
        chroma_server_http_port=server.port,
    )
    with chroma.Client(settings) as client, chroma.AdminClient(settings) as admin:
        assert client.tenant == "default_tenant"
        assert admin.get_tenant("default_tenant") == {"name": "default_tenant"}


# ------------------------------------------------------------------ headers


def test_every_request_says_who_asks(server: Scripted, connect: Any) -> None:
    with connect("127.0.0.1", server.port, headers={"X-Team": "red"}):
        pass
    for request in server.requests:
        assert request.headers["X-Team"] == "red"
        assert request.headers["User-Agent"].startswith(f"chroma-arrow/{chroma.__version__}")


@pytest.mark.parametrize(
    ("settings", "header", "value"),
    [
        (
            {"chroma_client_auth_provider": TOKEN, "chroma_client_auth_credentials": "abc"},
            "Authorization",
            "Bearer abc",
        ),
        (
            {
                "chroma_client_auth_provider": TOKEN,
                "chroma_client_auth_credentials": "abc",
                "chroma_auth_token_transport_header": "X-Chroma-Token",
            },
            "X-Chroma-Token",
            "abc",
        ),
        (
            {"chroma_client_auth_provider": BASIC, "chroma_client_auth_credentials": "me:pass"},
            "Authorization",
            "Basic bWU6cGFzcw==",
        ),
    ],
    ids=["bearer", "token", "basic"],
)
def test_credentials_travel_in_their_header(
    server: Scripted, settings: dict[str, str], header: str, value: str, connect: Any
) -> None:
    with connect("127.0.0.1", server.port, settings=chroma.Settings(**settings)):
        assert {request.headers[header] for request in server.requests} == {value}


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": "InvalidArgumentError", "message": "wrong"}, errors.InvalidArgumentError),
        (400, {"error": "InvalidDimension", "message": "wrong"}, errors.InvalidDimensionException),
        (404, {"error": "NotFoundError", "message": "wrong"}, errors.NotFoundError),
        (409, {"error": "ChromaError", "message": "wrong"}, errors.UniqueConstraintError),
        (409, {"error": "UniqueConstraintError", "message": "wrong"}, errors.UniqueConstraintError),
        (403, {"error": "AuthError", "message": "wrong"}, errors.ChromaAuthError),
        (403, {"error": "ChromaError", "message": "wrong"}, errors.AuthorizationError),
        (500, {"error": "InternalError", "message": "wrong"}, errors.InternalError),
        (501, {"error": "ChromaError", "message": "wrong"}, errors.UnsupportedError),
    ],
)
def test_errors_come_back_as_their_class(
    server: Scripted, things: Any, status: int, body: Any, error: type[Exception]
) -> None:
    server.queue.append(Reply(status, body, {"chroma-trace-id": "f" * 32}))
    with pytest.raises(error) as caught:
        things.count()
    assert type(caught.value) is error
    assert "wrong" in str(caught.value)
    assert caught.value.trace_id == "f" * 32  # type: ignore[attr-defined]


def test_search_of_other_servers(server: Scripted, things: Any) -> None:
    search = chroma.Search(rank=chroma.Knn([1, 2])).select_all()
    server.queue.append(Reply(501, {"error": "ChromaError", "message": "not implemented"}))
    with pytest.raises(errors.UnsupportedError, match="does not offer search, use query"):
        things.search(search)
    server.queue.append(Reply(200, {"ids": [["a"]], "scores": [[None]], "embeddings": [None]}))
    found = things.search(search)
    assert found.rows() == [[{"id": "a"}]] and found["embeddings"] == [None] == found["documents"]


@pytest.mark.parametrize(
    "body", [{"error": "NeverHeardOf", "message": "wrong"}, b"wrong", ["wrong"]], ids=str
)
def test_unknown_errors_are_plain_exceptions_with_the_body(server: Scripted, things: Any, body: Any) -> None:
    server.queue.append(Reply(400, body))
    with pytest.raises(Exception, match="wrong") as caught:
        things.count()
    assert type(caught.value) is Exception


def test_an_error_without_a_body_is_told_by_its_status(server: Scripted, things: Any) -> None:
    server.queue.append(Reply(404, b""))
    with refused("404", error=errors.NotFoundError):
        things.count()


# ------------------------------------------------------------------ repeating


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(503), Reply(429)], ids=["drop", "503", "429"])
@pytest.mark.parametrize("verb", ["count", "get", "query", "upsert"])
def test_what_is_safe_is_repeated(server: Scripted, things: Any, verb: str, reply: Reply) -> None:
    answers: dict[str, Any] = {
        "count": 5,
        "get": {"ids": ["a"]},
        "query": {"ids": [["a"]], "distances": [[0.5]]},
        "upsert": {},
    }
    server.queue += [reply, reply, Reply(body=answers[verb])]
    call = {
        "count": things.count,
        "get": things.get,
        "query": lambda: things.query(query_embeddings=[[1, 2]]),
        "upsert": lambda: things.upsert(ids=["a"], embeddings=[[1, 2]]),
    }[verb]
    call()
    assert len(server.sent(f"/{verb}")) == 3


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(503)], ids=["drop", "503"])
@pytest.mark.parametrize("verb", ["add", "update", "delete"])
def test_what_is_not_safe_is_sent_once(server: Scripted, things: Any, verb: str, reply: Reply) -> None:
    server.queue.append(reply)
    arguments: dict[str, Any] = {"ids": ["a"]} if verb == "delete" else {"ids": ["a"], "embeddings": [[1, 2]]}
    if verb == "delete":
        server.queue.insert(0, Reply(body={"ids": ["a"]}))  # which ids are stored
    with pytest.raises(errors.ChromaError):
        getattr(things, verb)(**arguments)
    assert len(server.sent(f"/{verb}")) == 1


@pytest.mark.parametrize("verb", ["snapshot", "restore"])
def test_snapshots_are_made_and_restored_once(
    monkeypatch: pytest.MonkeyPatch, connect: Any, verb: str
) -> None:
    """A second restore would undo what others wrote after the first, whose answer was lost."""
    monkeypatch.setattr("chroma.http.retry_policy._PAUSES", (0.01,))
    with scripted(**{json_codec.OWN_KEY: {}}) as server, connect("127.0.0.1", server.port) as client:
        things = client.get_collection("things", embedding_function=None)
        server.queue.append(Reply(drop=True))
        with refused("may have taken effect", error=errors.ServerConnectionError):
            getattr(things, verb)("before")
        assert len(server.sent("/restore" if verb == "restore" else "/snapshots")) == 1


def test_repeating_ends(server: Scripted, things: Any) -> None:
    server.queue += [Reply(drop=True)] * 10
    with refused("the connection", "broke", error=errors.ServerConnectionError):
        things.count()
    assert len(server.sent("/count")) == 4


def test_retry_after_is_honoured(server: Scripted, things: Any) -> None:
    server.queue += [Reply(503, headers={"Retry-After": "1"}), Reply(body=5)]
    start = time.monotonic()
    assert things.count() == 5
    assert time.monotonic() - start >= 1


def test_a_slow_answer_is_a_timeout_and_not_repeated(server: Scripted, connect: Any) -> None:
    released = threading.Event()

    def slow(request: Any) -> Reply:
        released.wait(5)
        return Reply(body=5)

    settings = chroma.Settings(chroma_http_timeout_secs=0.2)
    with connect("127.0.0.1", server.port, settings=settings) as client:
        things = client.get_collection("things", embedding_function=None)
        server.script = slow
        with refused("chroma_http_timeout_secs", error=TimeoutError):
            things.count()
        released.set()
    assert len(server.sent("/count")) == 1


def test_a_server_that_comes_back_is_found_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, connect: Any
) -> None:
    """Its end closes idle connections, which then were in the pool."""
    from ...support import server as servers

    first = servers.start(tmp_path)
    port = int(first.url.rpartition(":")[2])
    with connect(first.url) as client:
        things = client.create_collection("things", embedding_function=None)
        assert servers.ended(first) == 0
        second = servers.start(tmp_path, port=port)
        things.add(ids=["a"], embeddings=[[1, 2]])
        assert things.count() == 1
        assert servers.ended(second) == 0
        monkeypatch.setattr("chroma.http.retry_policy._PAUSES", (0.01,))
        with refused("Could not connect", error=errors.ServerConnectionError):
            things.count()


# ------------------------------------------------------------------ splitting


def test_batches_are_split_in_order(connect: Any) -> None:
    with scripted(max_batch_size=4) as server, connect("127.0.0.1", server.port) as client:
        things = client.get_collection("things", embedding_function=None)
        vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
        things.upsert(
            ids=[f"r{i}" for i in range(10)], embeddings=vectors, documents=[str(i) for i in range(10)]
        )
        bodies = [request.body for request in server.sent("/upsert")]
    assert [body["ids"] for body in bodies] == [
        ["r0", "r1", "r2", "r3"], ["r4", "r5", "r6", "r7"], ["r8", "r9"],
    ]  # fmt: skip
    assert bodies[2]["documents"] == ["8", "9"]
    assert len(bodies[2]["embeddings"]) == 2


def test_a_split_batch_stops_at_the_first_error_and_counts(connect: Any) -> None:
    with scripted(max_batch_size=4) as server, connect("127.0.0.1", server.port) as client:
        things = client.get_collection("things", embedding_function=None)
        server.queue += [Reply(), Reply(400, {"error": "InvalidArgumentError", "message": "too odd."})]
        with refused("too odd; 4 of 10 records were written before this"):
            things.add(ids=[f"r{i}" for i in range(10)], embeddings=np.zeros((10, 2)))
        assert len(server.sent("/add")) == 2


def test_long_texts_split_a_batch_too(connect: Any) -> None:
    with (
        scripted(chroma_arrow={"max_body_bytes": 2000}) as server,
        connect("127.0.0.1", server.port) as client,
    ):
        things = client.get_collection("things", embedding_function=None)
        things.add(ids=["a", "b", "c"], embeddings=[[1, 2]] * 3, documents=["x" * 900] * 3)
        assert [request.body["ids"] for request in server.sent("/add")] == [["a"], ["b"], ["c"]]


def test_arrays_where_a_server_does_not_take_base64(connect: Any) -> None:
    with scripted(supports_base64_encoding=False) as server:
        with connect("127.0.0.1", server.port) as client:
            client.get_collection("things", embedding_function=None).add(ids=["a"], embeddings=[[1, 2]])
            assert server.sent("/add")[0].body["embeddings"] == [[1.0, 2.0]]


# ------------------------------------------------------------------ other servers


def test_what_another_server_lacks_is_refused_by_name(server: Scripted, client: Any, things: Any) -> None:
    server.requests.clear()
    for call in (
        things.compact, things.recall, things.info, things.get_indexing_status, client.compact,
        lambda: things.fork("copy"),
        lambda: things.query(query_embeddings=[[1, 2]], exact=True),
        lambda: things.query(query_embeddings=[[1, 2]], diversity=0.5),
        lambda: things.query(query_embeddings=[[1, 2]], explain=True),
        lambda: things.facets("n"),
        lambda: things.get(where={"$or": [{"n": 1}, {"#id": "a"}]}),
        lambda: things.delete(where={"#id": {"$ne": "a"}}),
    ):  # fmt: skip
        with refused(f"the server at http://127.0.0.1:{server.port}", error=NotImplementedError):
            call()
    assert server.requests == []


def test_max_distance_is_applied_here(server: Scripted, things: Any) -> None:
    found = {
        "ids": [["a", "b", "c"], ["c"]], "distances": [[0.5, 1.0, 2.0], [3.0]],
        "metadatas": [[None, {"n": 1}, None], [None]],
        "documents": [["x", "y", "z"], ["z"]], "uris": None, "embeddings": None, "include": [],
    }  # fmt: skip
    server.script = lambda request: Reply(body=found)
    near = things.query(query_embeddings=[[1, 2], [3, 4]], max_distance=1)
    assert (near["ids"], near["distances"]) == ([["a", "b"], []], [[0.5, 1.0], []])
    assert (near["documents"], near["metadatas"]) == ([["x", "y"], []], [[None, {"n": 1}], []])
    assert "max_distance" not in server.requests[-1].body
    again = things.query(
        query_embeddings=[[1, 2], [3, 4]], query_texts=["a", "b"], n_results=1,
        rerank=lambda text, documents: [ord(document) for document in documents],
    )  # fmt: skip
    assert again["ids"] == [["c"], ["c"]] and server.requests[-1].body["n_results"] == 50


def test_order_is_made_here_where_another_server_has_none(server: Scripted, things: Any) -> None:
    stored: dict[str, Any] = {"a": {"n": 3}, "b": None, "c": {"n": 1.5}, "d": {"n": "x"}, "e": {"n": True}}

    def rows(request: Any) -> Reply:
        ids = [id for id in stored if request.body["ids"] is None or id in request.body["ids"]]
        return Reply(body={"ids": ids, "metadatas": [stored[id] for id in ids]})

    server.script = rows
    assert things.get(order_by="n")["ids"] == ["e", "c", "a", "d", "b"]
    got = things.get(order_by="-n", limit=2, offset=1)
    assert (got["ids"], got["metadatas"]) == (["a", "c"], [{"n": 3}, {"n": 1.5}])


def test_names_are_one_segment_of_the_path(server: Scripted, client: Any) -> None:
    for name, quoted in (("a/b", "a%2Fb"), ("é ?", "%C3%A9%20%3F"), ("..", "%2E%2E")):
        server.queue.append(Reply(404, {"error": "NotFoundError", "message": "no"}))
        with refused("no", error=errors.NotFoundError):
            client.get_collection(name)
        assert server.requests[-1].path.endswith(f"/collections/{quoted}")
    with refused("''", error=errors.NotFoundError):
        client.get_collection("")


# ------------------------------------------------------------------ threads, forks, the end


def test_connections_are_kept_and_shared(server: Scripted, things: Any) -> None:
    server.script = lambda request: Reply(body=5)
    server.requests.clear()
    for _ in range(5):
        things.count()
    assert len({request.connection for request in server.requests}) == 1

    def work() -> None:
        for _ in range(20):
            assert things.count() == 5

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.sent("/count")) == 165


def test_calls_after_close_say_closed(client: Any, things: Any) -> None:
    client.close()
    client.close()
    for call in (client.heartbeat, things.count, client.list_collections):
        with refused("closed", error=errors.ClosedError):
            call()


FORK = """
import os, sys
import chroma

client = chroma.HttpClient("127.0.0.1", int(sys.argv[1]))
things = client.get_collection("things", embedding_function=None)
assert things.count() == 5
child = os.fork()
for _ in range(20):
    assert things.count() == 5
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
client.close()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_opens_its_own_connections(server: Scripted) -> None:
    server.script = lambda request: Reply(body=5)
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(server.port)], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert len({request.connection for request in server.sent("/count")}) == 2


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
import sys
import chroma

with chroma.HttpClient("127.0.0.1", int(sys.argv[1])) as client:
    things = client.get_collection("things", embedding_function=None)
    things.add(ids=["a"], embeddings=[[1, 2]], documents=["x"], metadatas=[{"n": 1}])
    things.count()
print(sorted(name for name in sys.modules if name.partition(".")[0] in sys.argv[2:]))
print(sorted(name for name in sys.modules if name.startswith("chroma.storage.")))
print("chroma.embedded.backend" in sys.modules)
"""


def test_a_client_of_a_server_loads_no_engine(server: Scripted) -> None:
    server.script = lambda request: Reply(body=5)
    heavy = [
        "duckdb",
        "hnswlib",
        "fastapi",
        "uvicorn",
        "pyarrow",
        "onnxruntime",
        "tokenizers",
        "pandas",
        "orjson",
        "tqdm",
        "xxhash",
    ]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(server.port), *heavy],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "[]",
        repr(INTERFACE),
        "False",
    ], done.stderr


def test_the_order_made_here_is_the_engines() -> None:
    values: list[Any] = [3, True, "b", 2.5, None, ["x"], "a", -1, False, 3.0, [1, 2], [1], 2**60, "a"]
    metadatas = [None if value is None else {"n": value, "m": row % 2} for row, value in enumerate(values)]
    ids = [f"r{row}" for row in range(len(values))]
    with chroma.EphemeralClient(private=True) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=ids, embeddings=np.zeros((len(ids), 2)), metadatas=metadatas)
        for order in (
            [("n", False)],
            [("n", True)],
            [("m", True), ("n", False)],
            [("m", False), ("n", True)],
        ):
            keys = [f"-{key}" if descending else key for key, descending in order]
            assert [ids[place] for place in ordered(metadatas, order)] == things.get(order_by=keys)["ids"]
