"""Bodies: compressed, too large, too slow, or not what they should be. Nothing of them is kept."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from .conftest import DATABASE, Api, refused
from .sockets import connected, everything, listening

BATCH = {"ids": ["d"], "embeddings": [[1.0, 2.0]]}


def packed(body: Any) -> bytes:
    return gzip.compress(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)],
)
def test_compressed_bodies(api: Api, things: str, coding: str, pack: Callable[[bytes], bytes]) -> None:
    raw = json.dumps(BATCH).encode()
    headers = {"content-encoding": coding}
    answer = api.request("POST", f"{things}/add", content=pack(raw), headers=headers)
    assert answer.status_code == 201
    two = pack(raw[:10]) + pack(raw[10:])  # a text in two members
    assert api.request("POST", f"{things}/upsert", content=two, headers=headers).status_code == 200
    assert api.get(f"{things}/count").json() == 4


def test_broken_compression(api: Api, things: str) -> None:
    good = packed(BATCH)
    broken = [b"", good[:-1], good[: len(good) // 2], good[:-8] + bytes(8), b"no gzip", good + b"tail"]
    broken.append(good[:20] + b"\xff\xff" + good[22:])
    for raw in broken:
        answer = api.request("POST", f"{things}/add", content=raw, headers={"content-encoding": "gzip"})
        assert "compressed body" in refused(answer, 400, "InvalidArgumentError"), raw
    for coding in ("br", "zstd", "gzip, gzip", "\x7f"):
        answer = api.request("POST", f"{things}/add", content=good, headers={"content-encoding": coding})
        refused(answer, 415, "ChromaError")
    assert api.get(f"{things}/count").json() == 3


def test_a_bomb_costs_no_more_than_the_limit(serve: Callable[..., Api]) -> None:
    api = serve(max_body_bytes=8 << 20)
    bomb = gzip.compress(bytes(512 << 20), 6)  # half a MiB
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    answer = api.request("POST", "/api/v2/tenants", content=bomb, headers={"content-encoding": "gzip"})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    refused(answer, 413, "ChromaError")
    assert most < 32 << 20


def test_a_compressed_body_is_measured_unpacked(serve: Callable[..., Api]) -> None:
    api = serve(max_body_bytes=2000)
    for size, status in ((1900, 200), (2100, 413)):
        body = packed({"name": f"tenant {size}", "more": "x" * (size - 60)})
        answer = api.request("POST", "/api/v2/tenants", content=body, headers={"content-encoding": "gzip"})
        assert answer.status_code == status


def test_many_small_parts_are_a_large_body(serve: Callable[..., Api]) -> None:
    """A list takes more room than its two brackets."""
    api = serve(max_body_bytes=1 << 20)
    body = b'{"name":"some","x":[' + b"[]," * 200_000 + b"[]]}"
    refused(api.request("POST", "/api/v2/tenants", content=body), 413, "ChromaError")
    flat = b'{"name":"some","x":[' + b"0," * 300_000 + b"0]}"
    assert api.request("POST", "/api/v2/tenants", content=flat).status_code == 200


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_bodies_together_have_a_limit(
    serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    """What others hold is missing, and what a request held is there again when it has ended."""
    monkeypatch.setattr("chroma.server.app._BODIES_BYTES", 0)
    api = serve(max_body_bytes=10_000)
    budget = api.app.state.budget
    body = json.dumps({"name": "other", "more": "x" * 5_000}).encode()
    content = gzip.compress(body) if coding == "gzip" else body

    def ask() -> Any:
        return api.request("POST", "/api/v2/tenants", content=content, headers={"content-encoding": coding})

    budget.used = 16_000
    answer = ask()
    assert "bodies" in refused(answer, 503, "ChromaError") and answer.headers["retry-after"]
    assert budget.used == 16_000
    budget.used = 0
    assert ask().status_code == 200 and budget.used == 0


def test_a_refusal_is_read_by_who_still_sends(serve: Callable[..., Api]) -> None:
    """A body beyond the limit is refused at once and the rest of it dropped, not answered by a reset."""
    with listening(serve(max_body_bytes=2000).app) as port:
        for size in (5_000, 10_000_000):
            answer = httpx.post(f"http://127.0.0.1:{port}/api/v2/tenants", content=bytes(size))
            refused(answer, 413, "ChromaError")


def test_who_asks_first_sends_nothing(serve: Callable[..., Api]) -> None:
    with listening(serve(max_body_bytes=2000).app) as port, connected(port) as connection:
        head = b"POST /api/v2/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n"
        connection.sendall(head + b"Expect: 100-continue\r\n\r\n")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 413") and b"100 Continue" not in answer


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("sent", [b"", b'{"name": "te'])
def test_a_body_that_does_not_arrive(serve: Callable[..., Api], sent: bytes) -> None:
    api = serve(request_seconds=1)
    with listening(api.app) as port, connected(port) as connection:
        head = b"POST /api/v2/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n"
        connection.sendall(head + sent)
        answer = everything(connection)  # returns: the connection was closed
        assert answer.startswith(b"HTTP/1.1 408") and b"within 1 s" in answer
        assert httpx.get(f"http://127.0.0.1:{port}/api/v2").status_code == 200


@pytest.mark.usefixtures("brief")
def test_a_body_in_drops_has_no_more_time(serve: Callable[..., Api]) -> None:
    import time

    with listening(serve(request_seconds=1).app) as port, connected(port) as connection:
        connection.sendall(b"POST /api/v2/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(1000):
                connection.sendall(b" ")
                time.sleep(0.05)
        except OSError:
            pass  # the server hung up
        else:
            raise AssertionError("it waited for all of the drops")


def test_half_a_body_leaves_nothing(serve: Callable[..., Api], things: str) -> None:
    api = serve()
    body = json.dumps({"ids": ["x", "y"], "embeddings": [[1, 2], [3, 4]]}).encode()
    with listening(api.app) as port:
        with connected(port) as connection:
            head = f"POST {things}/add HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body[:-1])
        assert httpx.get(f"http://127.0.0.1:{port}{things}/count").json() == 3


@pytest.mark.parametrize(
    "raw",
    [
        b'{"ids": ["d"], "embeddings": [[1, 2]]',
        b'{"ids": ["d"], "embeddings": [[1, 2]]}}',
        b'{"ids": ["d\xff"], "embeddings": [[1, 2]]}',
        b'{"ids": ["\xed\xa0\x80"], "embeddings": [[1, 2]]}',
        b'{"ids": ["\\ud800"], "embeddings": [[1, 2]]}',
        b'{"ids": ["d"], "embeddings": [[NaN, 2]]}',
        b'{"ids": ["d"], "embeddings": [[Infinity, 2]]}',
        b'{"ids": ["d"], "embeddings": [[1e999, 2]]}',
        b'{"ids": ["d"], "embeddings": [[1e39, 2]]}',
        b'{"ids": ["d"], "embeddings": [[' + b"9" * 400 + b", 2]]}",
        b'{"ids": ["d"], "embeddings": [[01, 2]]}',
        b"{'ids': ['d'], 'embeddings': [[1, 2]]}",
        b'{"ids": ["d"], "embeddings": [[1, 2]], "metadatas": [{"k": 18446744073709551615}]}',
        b'{"ids": ["d"], "embeddings": [[1, 2]], "metadatas": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b'\x00{"ids": ["d"], "embeddings": [[1, 2]]}',
    ],
)
def test_json_that_cannot_be_used(api: Api, things: str, raw: bytes) -> None:
    answer = api.request("POST", f"{things}/add", content=raw)
    assert answer.status_code in (400, 422)
    assert refused(answer, answer.status_code, answer.json()["error"])
    assert api.get(f"{things}/count").json() == 3


@pytest.mark.parametrize("depth", [200, 300, 900, 5000, 100_000])
def test_deep_filters(api: Api, things: str, depth: int) -> None:
    raw = b'{"where": ' + b'{"$and": [{"n": 1}, ' * depth + b'{"n": 1}' + b"]}" * depth + b"}"
    answer = api.request("POST", f"{things}/get", content=raw)
    if depth <= 256:
        assert answer.json()["ids"] == ["a"]
    else:
        refused(answer, 400, "InvalidArgumentError")
    one = b'{"where": ' + b'{"$and": [' * depth + b'{"n": 1}' + b"]}" * depth + b"}"
    refused(api.request("POST", f"{things}/get", content=one), 400, "InvalidArgumentError")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ids": "d"}, "ids"), ({"ids": [1.5]}, "ids"), ({"ids": None}, "ids"), ({"ids": [""]}, "ids"),
        ({"ids": {"a": 1}}, "ids"), ({"ids": [["d"]]}, "ids"),
        ({"embeddings": [1.0, 2.0]}, "embeddings"), ({"embeddings": [["1", "2"]]}, "embeddings"),
        ({"embeddings": [[True, False]]}, "embeddings"), ({"embeddings": [[None, 1]]}, "embeddings"),
        ({"embeddings": [None]}, "embeddings"), ({"embeddings": [[]]}, "embeddings"),
        ({"embeddings": ["AACAPw"]}, "embeddings"), ({"embeddings": ["AACAPwAA"]}, "embeddings"),
        ({"embeddings": ["!!!!"]}, "embeddings"), ({"embeddings": [""]}, "embeddings"),
        ({"embeddings": ["AACAPwAAwH8="]}, "embeddings"),  # NaN
        ({"embeddings": ["AACAPwAAgH8="]}, "embeddings"),  # infinity
        ({"embeddings": [[1.0]]}, "embedding"), ({"embeddings": 7}, "embeddings"),
        ({"documents": "text"}, "documents"), ({"documents": [1]}, "documents"),
        ({"documents": []}, "documents"),
        ({"uris": [1]}, "uris"), ({"uris": {}}, "uris"), ({"metadatas": ["x"]}, "metadatas"),
        ({"metadatas": [{"k": {"deep": 1}}]}, "'k'"), ({"metadatas": [{"k": [1, "x"]}]}, "'k'"),
        ({"metadatas": [{"": 1}]}, "metadata"), ({"metadatas": [{"$k": 1}]}, "'$k'"),
        ({"metadatas": {"k": 1}}, "metadatas"), ({"metadatas": [{"k": 1}, None]}, "metadatas"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_used(api: Api, things: str, change: dict[str, Any], field: str) -> None:
    good = {"ids": ["d", "e"], "embeddings": [[1.0, 2.0], [3.0, 4.0]]}
    body = {key: value[:1] if isinstance(value, list) else value for key, value in good.items()} | change
    answer = api.post(f"{things}/add", body)
    assert answer.status_code in (400, 422)
    assert field in refused(answer, answer.status_code, answer.json()["error"])
    assert api.get(f"{things}/count").json() == 3


@pytest.mark.parametrize(
    ("route", "change", "field"),
    [
        ("get", {"limit": -1}, "limit"), ("get", {"limit": 1.5}, "limit"), ("get", {"limit": "1"}, "limit"),
        ("get", {"limit": 2**70}, "limit"),
        ("get", {"offset": True}, "offset"), ("get", {"include": "x"}, "include"),
        ("get", {"include": [1]}, "include"), ("get", {"include": ["data"]}, "include"),
        ("get", {"include": [[]]}, "include"),
        ("get", {"where": []}, "where"), ("get", {"where": "x y"}, "where"),
        ("get", {"where": {"n": None}}, "where"), ("get", {"where": {"n": {"$in": []}}}, "where"),
        ("get", {"where": {"n": {"$gt": 2**70}}}, "where"),
        ("get", {"where_document": {"$regex": "("}}, "regex"),
        ("get", {"where_document": {"$contains": 1}}, "where"), ("get", {"ids": "a"}, "ids"),
        ("get", {"order_by": []}, "order_by"), ("get", {"order_by": [1]}, "order_by"),
        ("get", {"encoding": "hex"}, "encoding"),
        ("query", {}, "query_embeddings"),
        ("query", {"query_embeddings": ["AACAPwAAAEA"]}, "query_embeddings"),
        ("query", {"query_embeddings": [[1.0]]}, "embedding"),
        ("query", {"query_embeddings": [[1, 2], [1]]}, "embed"),
        ("query", {"query_embeddings": [[1, 2]], "n_results": -1}, "n_results"),
        ("query", {"query_embeddings": [[1, 2]], "n_results": 2**40}, "n_results"),
        ("query", {"query_embeddings": [[1, 2]], "exact": 1}, "exact"),
        ("delete", {"ids": []}, "ids"), ("delete", {"where": {}}, "where"), ("delete", {"limit": 1}, "limit"),
    ],
)  # fmt: skip
def test_questions_that_cannot_be_asked(
    api: Api, things: str, route: str, change: dict[str, Any], field: str
) -> None:
    answer = api.request("POST", f"{things}/{route}", content=json.dumps(change).encode())
    if route == "get" and "where" in change and change["where"] == {"n": {"$gt": 2**70}}:
        refused(answer, 400, "InvalidArgumentError")
        assert "64 bits" in answer.text
        return
    assert answer.status_code in (400, 422)
    assert field in refused(answer, answer.status_code, answer.json()["error"])
    assert api.get(f"{things}/count").json() == 3


@pytest.mark.parametrize("depth", [20, 100, 200])
def test_deep_configurations(api: Api, depth: int) -> None:
    """What could be stored and never be answered is refused."""
    config: Any = 1
    for _ in range(depth):
        config = {"more": [config]}
    function = {"type": "known", "name": "mine", "config": config}
    body = {"name": "deep", "configuration": {"embedding_function": function}}
    answer = api.post(f"{DATABASE}/collections", body)
    if depth == 20:
        assert answer.json()["configuration_json"]["embedding_function"] == function
    else:
        assert "embedding_function" in refused(answer, 400, "InvalidArgumentError")
    assert len(api.get(f"{DATABASE}/collections").json()) == (depth == 20)


@pytest.mark.parametrize("column", ["documents", "metadatas", "embeddings", "uris", "ids"])
def test_deep_columns(api: Api, things: str, column: str) -> None:
    deep = b"[" * 1000 + b"]" * 1000
    fields = {"ids": b'["d"]', "embeddings": b"[[1, 2]]"} | {column: deep}
    raw = b"{" + b", ".join(b'"%s": %s' % (name.encode(), value) for name, value in fields.items()) + b"}"
    answer = api.request("POST", f"{things}/add", content=raw)
    assert answer.status_code in (400, 422)


def test_a_field_twice_counts_as_the_last(api: Api, things: str) -> None:
    raw = b'{"ids": ["x"], "ids": ["d"], "embeddings": [[1, 2]]}'
    assert api.request("POST", f"{things}/add", content=raw).status_code == 201
    assert api.post(f"{things}/get", {"ids": ["x", "d"]}).json()["ids"] == ["d"]


def test_answers_are_never_compressed(api: Api) -> None:
    answer = api.get(f"{DATABASE}/collections", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers
