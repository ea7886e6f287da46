"""Repetitions, pauses, and what a provider's refusals become."""

from __future__ import annotations

import os
import pickle
import time
from email.utils import formatdate
from typing import Any

import pytest

from chroma.embedding import OllamaEmbeddingFunction, OpenAIEmbeddingFunction
from chroma.embedding.core.api_keys import as_path, check_url, is_secret_name
from chroma.embedding.core.http import Endpoint
from chroma.embedding.core.inputs import batch_end
from chroma.errors import ChromaError, InvalidArgumentError, QuotaError, RateLimitError
from tests.chroma.embedding.providers import KEY, numbered, of_openai, vector
from tests.chroma.http.scripted import Reply, Scripted


def ask(server: Scripted, *replies: Reply, retries: int = 5) -> Any:
    """The answer of an endpoint where `replies` come before a good one."""
    queue = [*replies, Reply(200, {"fine": True})]
    server.script = lambda request: queue.pop(0)
    return Endpoint("F", f"http://127.0.0.1:{server.port}/x", retries=retries).post({"a": "ä"})


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        (Reply(429, {}, {"Retry-After": "3"}), 3),
        (Reply(429, {}, {"Retry-After": "0.25"}), 0.25),
        (Reply(429, {}, {"Retry-After": "0"}), 0),
        (Reply(429, {}, {"Retry-After": "-5"}), 0),
        (Reply(503, {}, {"Retry-After": "4"}), 4),
        (Reply(429, {}, {"retry-after-ms": "1500", "Retry-After": "2"}), 1.5),
        (Reply(429, {}, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), 0),
        (Reply(503, {"error": "Model x is currently loading", "estimated_time": 20.5}), 20.5),
        (
            Reply(429, {"error": {"code": 429, "message": "m", "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]}}),  # noqa: E501
            34.5,
        ),
    ],
)  # fmt: skip
def test_the_provider_says_how_long(server: Scripted, waits: list[float], reply: Reply, wait: float) -> None:
    assert ask(server, reply) == {"fine": True}
    assert waits == [wait]


def test_a_date_in_the_future(server: Scripted, waits: list[float]) -> None:
    ask(server, Reply(429, {}, {"Retry-After": formatdate(time.time() + 30, usegmt=True)}))
    assert 25 < waits[0] <= 30


@pytest.mark.parametrize("header", ["soon", "", "Wed, 99 Oct 2015 07:28:00 GMT", "nan"])
def test_a_wait_that_cannot_be_read(server: Scripted, waits: list[float], header: str) -> None:
    ask(server, Reply(429, {}, {"Retry-After": header}))
    assert 0.25 <= waits[0] <= 0.5


def test_pauses_grow_to_a_limit(server: Scripted, waits: list[float]) -> None:
    assert ask(server, *[Reply(502)] * 10, retries=10) == {"fine": True}
    assert waits == sorted(waits[:6]) + waits[6:]
    assert all(30 <= wait <= 60 for wait in waits[8:])


def test_a_long_wait_is_left_to_the_caller(server: Scripted, waits: list[float]) -> None:
    with pytest.raises(RateLimitError, match="asks to wait 3600 s"):
        ask(server, Reply(429, {"error": "daily limit"}, {"Retry-After": "3600"}))
    assert waits == []


def test_a_spent_quota_does_not_come_back(server: Scripted, waits: list[float]) -> None:
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    with pytest.raises(QuotaError, match="You exceeded"):
        ask(server, Reply(429, body))
    assert waits == []


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"error": {"message": "one"}}, "one"),
        ({"error": "two"}, "two"),
        ({"message": "three"}, "three"),
        ({"detail": "four"}, "four"),
        ({"detail": [{"loc": ["body"], "msg": "five"}]}, "five"),
        (b"six", "six"),
        (b"", "Bad Request"),
        ({}, "{}"),
        ([1], "[1]"),
        (b"\xff\xfe", "F: "),
        (b"x" * 10_000, "x" * 400 + r" \(HTTP 400\)$"),
    ],
)
def test_messages_of_providers(server: Scripted, body: Any, shown: str) -> None:
    with pytest.raises(InvalidArgumentError, match=shown):
        ask(server, Reply(400, body))


def test_an_answer_that_breaks_off_is_asked_for_again(server: Scripted, waits: list[float]) -> None:
    assert ask(server, Reply(200, {"long": "x" * 1000}, drop=True, after=100)) == {"fine": True}
    assert len(waits) == 1


def test_no_proxy_of_an_unknown_kind(server: Scripted, waits: list[float]) -> None:
    with pytest.raises(ChromaError, match="F: no connection"):
        Endpoint("F", "ftp://127.0.0.1/").post({})
    assert waits == []


def test_a_child_of_a_fork_has_its_own_connections(server: Scripted) -> None:
    server.script = lambda request: Reply(
        200, {"embeddings": [vector(text) for text in request.body["input"]]}
    )
    function = OllamaEmbeddingFunction(f"http://127.0.0.1:{server.port}", "m")
    function(["a"])
    child = os.fork()
    if child == 0:
        try:
            good = function(["b"])[0].tolist() == vector("b")
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert function(["c"])[0].tolist() == vector("c")
    first, inherited, second = (request.connection for request in server.requests)
    assert inherited != first == second


# ---------------------------------------------------------------------------- where keys may go


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example"])
def test_a_stored_address_gets_no_key_without_consent(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    config = {
        "model_name": "m", "api_key_env_var": "AWS_SECRET_ACCESS_KEY", "api_base": f"http://{host}:1/v1",
    }  # fmt: skip
    function = OpenAIEmbeddingFunction.build_from_config(config)
    with pytest.raises(ChromaError, match=f"send a key to '{host}'.*CHROMA_EMBEDDING_HOSTS={host}"):
        function(["a"])


def test_consent_is_given_by_the_environment_or_the_program(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    arguments: Any = {"model_name": "m", "api_base": "http://gateway.invalid/v1"}
    with pytest.raises(ChromaError, match="no connection"):  # it tries
        OpenAIEmbeddingFunction(**arguments, max_retries=0)(["a"])
    stored = OpenAIEmbeddingFunction.build_from_config(arguments)
    with pytest.raises(ChromaError, match="CHROMA_EMBEDDING_HOSTS"):
        stored(["a"])
    monkeypatch.setenv("CHROMA_EMBEDDING_HOSTS", "one.example, Gateway.invalid")
    with pytest.raises(ChromaError, match="no connection"):
        stored(["a"])


def test_redirects_take_no_key_along(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    base = f"http://127.0.0.1:{server.port}"
    server.script = lambda request: Reply(308, {}, {"Location": f"{base}/elsewhere"})
    with pytest.raises(ChromaError, match=f"redirects to {base}/elsewhere"):
        OpenAIEmbeddingFunction(api_base=f"{base}/v1")(["a"])
    assert [request.path for request in server.requests] == ["/v1/embeddings"]


def test_a_named_variable_has_no_substitute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(InvalidArgumentError, match=r"set the environment variable TEAM_KEY\."):
        OpenAIEmbeddingFunction(api_key_env_var="TEAM_KEY")


@pytest.mark.parametrize(
    "url",
    ["localhost:8080", "ftp://host/x", "http://", "http://u:p@host/", "http://u@host/", "http://[::1/", 3,
     None, "https://host/embed?api_key=abc", "http://host:99999/", "http://host:x/", "", "http://a b/",
     "http://evil.example\\.localhost/", "http://host/?x=1", "http://host/#x", "http://ｌocalhost/", "http://h\n/"],
)  # fmt: skip
def test_addresses_that_are_refused(url: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="F: `url` must") as caught:
        check_url("F", "url", url)
    assert "u:p" not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("name", ["../x", "a/../b", "", "/", "a//b", "a/./b", 3])
def test_model_names_lead_nowhere_else(name: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="name of a model"):
        as_path("F", "model_name", name)


def test_model_names_are_quoted() -> None:
    assert as_path("F", "model_name", "org/model-1.5:v2?x#y z") == "org/model-1.5:v2%3Fx%23y%20z"


def test_names_of_secrets() -> None:
    for name in ("Authorization", "x-api-key", "Cookie", "aws_session_token", "X-Client-Secret", "password"):
        assert is_secret_name(name)
    for name in ("User-Agent", "X-Request-Id", "region_name"):
        assert not is_secret_name(name)


# ---------------------------------------------------------------------------- batches


def test_batches_keep_to_texts_and_tokens() -> None:
    assert batch_end(["a"] * 10, 0, 4) == 4
    assert batch_end(["a"] * 10, 8, 4) == 10
    assert batch_end(["x" * 30] * 10, 0, 100, tokens=25) == 2  # 75 bytes
    assert batch_end(["x" * 300, "x"], 0, 100, tokens=25) == 1  # alone, since it fits nowhere
    assert batch_end(["ж" * 30] * 10, 0, 100, tokens=25) == 1  # bytes count, not characters


def test_long_texts_go_in_several_requests(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    server.script = lambda request: Reply(200, numbered(request.body["input"]))
    function = OpenAIEmbeddingFunction(api_key=KEY, api_base=f"http://127.0.0.1:{server.port}")
    function(["x" * 400_000] * 5)
    assert [len(request.body["input"]) for request in server.requests] == [2, 2, 1]


def test_a_server_that_changes_its_model_between_batches(server: Scripted) -> None:
    rows = [[1.0, 2.0], [1.0]]
    server.script = lambda request: Reply(200, {"embeddings": [rows.pop(0)] * len(request.body["input"])})
    with pytest.raises(ChromaError, match="vectors of 1 numbers after vectors of 2"):
        OllamaEmbeddingFunction(f"http://127.0.0.1:{server.port}", "m")(["a"] * 65)


@pytest.mark.parametrize(
    "vectors",
    [[[1.0], [1.0, 2.0]], [[], []], [["a"], ["b"]], [[[1.0]], [[1.0]]], [None, None], [1.0, 2.0], [{}, {}]],
)
def test_what_is_no_vector(server: Scripted, vectors: Any) -> None:
    server.script = lambda request: Reply(200, {"embeddings": vectors})
    with pytest.raises(ChromaError, match="one vector per text"):
        OllamaEmbeddingFunction(f"http://127.0.0.1:{server.port}", "m")(["a", "b"])


def test_numbers_beyond_float32_are_refused(server: Scripted) -> None:
    server.script = lambda request: Reply(200, {"embeddings": [[1e300]]})
    with pytest.raises(InvalidArgumentError, match="infinity"):
        OllamaEmbeddingFunction(f"http://127.0.0.1:{server.port}", "m")(["a"])


@pytest.mark.parametrize("place", [{"index": 0}, {"index": 7}, {"index": None}, {}])
def test_numbers_of_vectors_must_be_a_permutation(server: Scripted, place: Any) -> None:
    rows = [{"index": 0, "embedding": [1.0]}, {**place, "embedding": [2.0]}]
    server.script = lambda request: Reply(200, {"data": rows})
    with pytest.raises(ChromaError, match="numbers its vectors"):
        OpenAIEmbeddingFunction(api_key=KEY, api_base=f"http://127.0.0.1:{server.port}")(["a", "b"])


def test_errors_of_openai_are_shown(server: Scripted) -> None:
    server.script = lambda request: Reply(400, of_openai("$.input is invalid"))
    with pytest.raises(InvalidArgumentError, match=r"\$.input is invalid \(HTTP 400\)"):
        OpenAIEmbeddingFunction(api_key=KEY, api_base=f"http://127.0.0.1:{server.port}")([""])


def test_a_refusal_for_its_size_is_pickled_as_the_error_that_users_know(server: Scripted) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        ask(server, Reply(413, {"error": "too large"}), retries=0)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is InvalidArgumentError
    assert again.args == caught.value.args
