"""Short calls run on the event loop's thread, all others in threads."""

from __future__ import annotations

from typing import Any

import pytest

from chroma.server.limits import short_calls
from chroma.server.limits.short_calls import ShortCalls
from chroma.server.limits.thread_pool import Pool

from .conftest import DATABASE, Api, refused


@pytest.fixture
def all_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call is short, however busy the machine is."""
    monkeypatch.setattr(short_calls, "SHORT_SECONDS", 1e9)
    monkeypatch.setattr(short_calls, "_LONGEST_WAIT", 1e9)


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item per call that runs in a thread."""
    seen: list[int] = []
    original = Pool.run

    async def run(self: Pool, *arguments: Any, **more: Any) -> Any:
        seen.append(1)
        return await original(self, *arguments, **more)

    monkeypatch.setattr(Pool, "run", run)
    return seen


def _repeat(calls: ShortCalls, times: int, kind: str = "a") -> None:
    for _ in range(times):
        assert calls.measured(kind, lambda: 1) == 1


@pytest.mark.usefixtures("all_short")
def test_a_kind_of_call_is_proven_by_calls_in_a_row() -> None:
    calls = ShortCalls()
    assert not calls.proven("a")
    _repeat(calls, 2)
    assert not calls.proven("a")
    _repeat(calls, 1)
    assert calls.proven("a") and not calls.proven("b")
    _repeat(calls, 5)
    assert calls.proven("a")


@pytest.mark.usefixtures("all_short")
def test_calls_that_fail_soon_prove_nothing() -> None:
    def fails() -> None:
        raise ValueError

    calls = ShortCalls()
    for _ in range(20):
        with pytest.raises(ValueError):
            calls.measured("a", fails)
    assert not calls.proven("a")
    _repeat(calls, 3)
    assert calls.proven("a")


@pytest.mark.usefixtures("all_short")
@pytest.mark.parametrize("limit", ["SHORT_SECONDS", "_LONGEST_WAIT"])
def test_one_long_call_is_enough(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = ShortCalls()
    _repeat(calls, 3)
    with monkeypatch.context() as patched:
        patched.setattr(short_calls, limit, -1.0)
        with pytest.raises(ZeroDivisionError):  # also one that fails
            calls.measured("a", lambda: 1 // 0)
    assert not calls.proven("a")
    _repeat(calls, 15)
    assert not calls.proven("a")
    _repeat(calls, 1)
    assert calls.proven("a")


@pytest.mark.usefixtures("all_short")
def test_few_kinds_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_calls, "_KINDS", 2)
    calls = ShortCalls()
    for kind in "abc":
        _repeat(calls, 3, kind)
    assert [calls.proven(kind) for kind in "abc"] == [False, True, True]


@pytest.mark.usefixtures("all_short")
@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("query", {"query_embeddings": [[1.0, 0.0]], "n_results": 2}),
        ("query", {"query_embeddings": [[1.0, 0.0]], "include": ["embeddings"], "where": None}),
        ("get", {"ids": ["c", "a"]}),
        ("count", None),
    ],
)
def test_calls_that_were_short_need_no_thread(
    route: str, body: Any, api: Api, things: str, in_threads: list[int]
) -> None:
    def answer() -> Any:
        path = f"{things}/{route}"
        return (api.get(path) if body is None else api.post(path, body)).json()

    in_threads.clear()
    first = answer()
    assert [answer() for _ in range(5)] == [first] * 5
    assert len(in_threads) == 3


@pytest.mark.usefixtures("all_short")
@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("query", {"query_embeddings": [[1.0, 0.0]], "where": {"n": 1}}),
        ("query", {"query_embeddings": [[1.0, 0.0]], "where_document": {"$contains": "r"}}),
        ("query", {"query_embeddings": [[1.0, 0.0]], "ids": ["a"]}),
        ("query", {"query_embeddings": [[1.0, 0.0]], "exact": True}),
        ("query", {"query_embeddings": [[1.0, 0.0]], "n_results": 101}),
        ("query", {"query_embeddings": [[1.0, 0.0], [1.0, 1.0]]}),
        ("query", {"query_embeddings": [], "mode": "lexical", "query_texts": ["red"]}),
        ("get", {"limit": 1}),
        ("get", {"ids": [str(number) for number in range(101)]}),
        ("get", {"ids": ["a"], "where": {"n": 1}}),
        ("upsert", {"ids": ["a"], "embeddings": [[1.0, 2.0]]}),
    ],
)
def test_calls_that_may_take_long_run_in_threads(
    route: str, body: Any, api: Api, things: str, in_threads: list[int]
) -> None:
    in_threads.clear()
    for _ in range(5):
        api.post(f"{things}/{route}", body)
    assert len(in_threads) == 5


@pytest.mark.usefixtures("all_short")
def test_long_bodies_are_read_in_threads(
    api: Api, things: str, in_threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chroma.server.routes._SHORT_BYTES", 10)
    in_threads.clear()
    for _ in range(5):
        assert api.post(f"{things}/query", {"query_embeddings": [[1.0, 0.0]]}).status_code == 200
    assert len(in_threads) == 5


@pytest.mark.usefixtures("all_short")
def test_errors_of_short_calls(api: Api, things: str) -> None:
    for _ in range(5):
        answer = api.post(f"{things}/query", {"query_embeddings": [[1.0, 0.0, 0.0]]})
        assert "dimension" in refused(answer, 400, "InvalidArgumentError")
        assert api.post(f"{things}/query", {"query_embeddings": 1}).status_code == 422
        assert (
            api.post(f"{things}/query", {"query_embeddings": [[1.0, 0.0]], "n_results": "x"}).status_code
            == 422
        )


@pytest.mark.usefixtures("all_short")
def test_calls_that_become_long_run_in_threads_again(
    api: Api, things: str, in_threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"query_embeddings": [[1.0, 0.0]]}
    for _ in range(4):
        api.post(f"{things}/query", body)
    monkeypatch.setattr(short_calls, "SHORT_SECONDS", -1.0)
    api.post(f"{things}/query", body)
    in_threads.clear()
    api.post(f"{things}/query", body)
    assert len(in_threads) == 1


def test_what_is_no_collection_is_not_remembered(api: Api, in_threads: list[int]) -> None:
    in_threads.clear()
    for _ in range(5):
        assert api.get(f"{DATABASE}/collections/{'a' * 1000}/count").status_code in (400, 404)
    assert len(in_threads) == 5


@pytest.mark.usefixtures("all_short")
@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("column", ["documents", "metadatas", "uris", "embeddings"])
@pytest.mark.parametrize("route", ["get", "query"])
def test_large_answers_are_made_in_threads(
    route: str, column: str, new: bool, api: Api, things: str, in_threads: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A call that returns large records is of the same kind as one that returns small ones."""
    text = "w" * 3000
    given = {"documents": text, "metadatas": {"t": text}, "uris": text, "embeddings": [1e6, 1e6]}
    large = {"ids": ["large"], "embeddings": [[1e6, 1e6]], column: [given[column]]}
    assert api.post(f"{things}/{'upsert' if new else 'add'}", large).status_code in (200, 201)
    monkeypatch.setattr(short_calls, "SHORT_BYTES", 60 if column == "embeddings" else 1000)

    def ask(id: str, vector: list[float], include: list[str]) -> tuple[int, Any]:
        in_threads.clear()
        ids = {"ids": [id]} if route == "get" else {"query_embeddings": [vector], "n_results": 1}
        answer = api.post(f"{things}/{route}", ids | {"include": include})
        assert answer.status_code == 200
        return len(in_threads), answer.json()

    for _ in range(3):
        assert ask("a", [1.0, 0.0], ["documents"])[0] == 1
    assert ask("a", [1.0, 0.0], ["documents"])[0] == 0
    for _ in range(2):
        threads, answer = ask("large", [1e6, 1e6], [column])
        assert threads == 1 and str(given[column])[:5] in str(answer[column])
        assert ask("large", [1e6, 1e6], [])[0] == 0  # what is not asked for does not count
        assert ask("a", [1.0, 0.0], ["documents"])[0] == 0  # and small ones go on without


@pytest.mark.usefixtures("all_short")
def test_numbers_count_more_than_their_bytes(
    api: Api, things: str, in_threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_calls, "SHORT_BYTES", 60)
    for encoding, threads in (("base64", 0), (None, 1)):
        body = {"ids": ["a"], "include": ["embeddings"], "encoding": encoding}
        for _ in range(4):
            in_threads.clear()
            assert api.post(f"{things}/get", body).status_code == 200
        assert len(in_threads) == threads
