"""What travels as Arrow, what as JSON, and that nobody can tell by the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chroma
from chroma.wire import content_negotiation

from ...conftest import always_arrow
from ...support import server
from ..server.test_arrow_streams import METADATA

ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """The route, content type and accept header of each request."""
    seen: list[tuple[str, str, str]] = []
    send = httpx.Client.send

    def noted(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        verb = request.url.path.rsplit("/", 1)[-1]
        seen.append((verb, request.headers.get("content-type", ""), request.headers["accept"]))
        return send(self, request, **options)

    monkeypatch.setattr(httpx.Client, "send", noted)
    return seen


@pytest.fixture
def things() -> Iterator[Any]:
    with chroma.HttpClient(server.url()) as client:
        yield client.create_collection("things", embedding_function=None)
        client.delete_collection("things")


def filled(collection: Any, rows: int = 300) -> None:
    collection.add([f"r{row}" for row in range(rows)], np.arange(rows * 2, dtype=np.float32).reshape(rows, 2))


def test_large_transfers_are_arrow_and_small_ones_json(things: Any, sent: list[tuple[str, str, str]]) -> None:
    filled(things)
    things.add("one", [[0, 0]])
    things.get()
    things.get(limit=3)
    things.get(ids=["r1"], include=["embeddings"])
    things.query([[0, 0]])
    things.query(np.zeros((30, 2)), n_results=10)
    things.query([[0, 0]], n_results=40, include=["embeddings"])
    json = "application/json"
    assert [entry for entry in sent if entry[0] in ("add", "get", "query")] == [
        ("add", ARROW, json),
        ("add", json, json),
        ("get", json, ARROW),
        ("get", json, json),
        ("get", json, json),
        ("query", json, json),
        ("query", json, ARROW),
        ("query", json, ARROW),
    ]


def test_without_the_packages_everything_is_json(
    sent: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_negotiation, "available", lambda: False)
    with chroma.HttpClient(server.url()) as client:
        collection = client.create_collection("plain", embedding_function=None)
        filled(collection)
        assert len(collection.get(include=["embeddings"])["ids"]) == 300
        client.delete_collection("plain")
    assert not [entry for entry in sent if ARROW in entry]


def test_a_batch_that_is_refused_leaves_nothing(things: Any) -> None:
    filled(things)
    before = things.count()
    rows = 20_000  # several pieces of a stream
    vectors = np.zeros((rows, 3), np.float32)
    with pytest.raises(chroma.errors.InvalidArgumentError, match="dimension of 2, got 3"):
        things.add([f"new{row}" for row in range(rows)], vectors)
    assert things.count() == before


def test_a_batch_beyond_the_body_limit_is_split(tmp_path: Any, sent: list[tuple[str, str, str]]) -> None:
    running = server.start(tmp_path, "--max-body-bytes", "100000")
    try:
        with chroma.HttpClient(running.url) as client:
            collection = client.create_collection("split", embedding_function=None)
            filled(collection, 10_000)
            assert collection.count() == 10_000
    finally:
        assert server.ended(running) == 0
    assert len([entry for entry in sent if entry[0] == "add"]) == 2


TEXTS = st.none() | st.text(max_size=5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(METADATA, st.lists(TEXTS, min_size=6, max_size=6), st.lists(TEXTS, min_size=6, max_size=6))
def test_both_ways_give_the_same(metadatas: Any, documents: Any, uris: Any) -> None:
    """What is written as JSON and as Arrow is the same, read as either."""
    count = len(metadatas)
    ids = [f"r{row}" for row in range(count)]
    vectors = np.random.default_rng(0).standard_normal((count, 3), dtype=np.float32)
    every = ["documents", "metadatas", "embeddings", "uris"]
    seen = []
    with chroma.HttpClient(server.url()) as client:
        for write in (0, 1):
            collection = client.create_collection("same", embedding_function=None)
            with always_arrow() if write else pytest.MonkeyPatch.context():
                collection.add(ids, vectors, metadatas, documents[:count], uris=uris[:count])
            seen.append(collection.get(include=every))
            nearest = collection.query(vectors, n_results=3, include=[*every, "distances"])
            with always_arrow():
                seen.append(collection.get(include=every))
                again = collection.query(vectors, n_results=3, include=[*every, "distances"])
            assert repr(plain(nearest)) == repr(plain(again))
            client.delete_collection("same")
    assert len({repr(plain(found)) for found in seen}) == 1


def plain(found: Any) -> Any:
    """Arrays as lists, whose repr has all digits."""
    return {key: np.asarray(value).tolist() if key in ("embeddings", "distances") else value
            for key, value in found.items()}  # fmt: skip
