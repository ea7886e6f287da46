"""What holds for the functions of all providers over HTTP, each in its own wire format."""

from __future__ import annotations

import json
import pickle
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import chroma.embedding as embedding
from chroma.embedding import config_to_embedding_function, embedding_function_to_config
from chroma.errors import (
    AuthorizationError,
    ChromaError,
    InvalidArgumentError,
    InvalidTypeError,
    RateLimitError,
    ServerConnectionError,
    ServerTimeoutError,
)
from tests.chroma.embedding.providers import KEY, Provider, vector
from tests.chroma.http.scripted import Reply, Request, Scripted


def test_vectors_are_float32_and_in_order(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = provider.reply
    function = provider.make(monkeypatch, server.port)
    texts = [f"text {'x' * (number % 37)} {number}" for number in range(provider.batch + 3)]
    for made in (function(texts), function.embed_query(texts)):
        assert {row.dtype for row in made} == {np.dtype(np.float32)}
        assert [row.tolist() for row in made] == [vector(text) for text in texts]
    sizes = [len(provider.texts(request.body)) for request in server.requests]
    assert sum(sizes) == 2 * len(texts)
    assert max(sizes) <= provider.batch
    assert {request.connection for request in server.requests} == {server.requests[0].connection}


def test_no_texts_and_no_strings(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = provider.make(monkeypatch, server.port)
    for call in (function, function.embed_query):
        with pytest.raises(InvalidArgumentError, match="at least one text"):
            call([])
        with pytest.raises(InvalidTypeError, match="position 1"):
            call(["a", None])
        with pytest.raises(InvalidTypeError, match="single string"):
            call("a")
        with pytest.raises(InvalidArgumentError, match="surrogate"):
            call(["\ud800"])
    assert server.requests == []


def test_configurations_round_trip(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = provider.reply
    function = provider.make(monkeypatch, server.port)
    stored = embedding_function_to_config(function)
    expected = dict(provider.config)
    if provider.argument is not None:
        expected[provider.argument] = f"http://127.0.0.1:{server.port}{provider.prefix}"
    assert stored == {"type": "known", "name": provider.name, "config": expected}
    again = config_to_embedding_function(json.loads(json.dumps(stored)))
    assert type(again) is type(function)
    assert again.get_config() == expected
    assert [row.tolist() for row in again(["one", "two"])] == [vector("one"), vector("two")]
    assert again.default_space() == "cosine"
    again.validate_config_update(expected, expected)


def test_configurations_are_checked(provider: Provider) -> None:
    for change in ({"url_of_mine": "x"}, {next(iter(provider.config)): 3.5 + 1j}):
        with pytest.raises(InvalidArgumentError):
            config_to_embedding_function(
                {"type": "known", "name": provider.name, "config": {**provider.config, **change}}
            )
    with pytest.raises(InvalidArgumentError, match="Missing"):
        config_to_embedding_function({"type": "known", "name": provider.name, "config": {}})


def test_what_decides_the_vectors_cannot_change(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = provider.make(monkeypatch, server.port)
    config = function.get_config()
    model = next((key for key in ("model_name", "model") if key in config), None)
    if model is not None:
        with pytest.raises(ValueError, match="comparable"):
            function.validate_config_update(config, {**config, model: "another"})
    if "api_key_env_var" in config:
        function.validate_config_update(config, {**config, "api_key_env_var": "OTHER"})


def test_rate_limits_are_waited_for(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    refusals = [
        Reply(429, provider.problem("slow down"), {"Retry-After": "7"}),
        Reply(503, provider.problem("overloaded")),
        Reply(500, b"<html>oops</html>"),
        Reply(drop=True),
    ]
    server.script = lambda request: refusals.pop(0) if refusals else provider.reply(request)
    assert provider.make(monkeypatch, server.port)(["a"])[0].tolist() == vector("a")
    assert len(server.requests) == 5
    assert waits[0] == 7
    assert 0.5 <= waits[1] <= 1 <= waits[2] <= 2 <= waits[3] <= 4


def test_retries_end(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    server.script = lambda request: Reply(429, provider.problem("slow down"))
    function = provider.make(monkeypatch, server.port, max_retries=2)
    with pytest.raises(RateLimitError, match=r"slow down.*after 3 attempts"):
        function(["a"])
    assert len(server.requests) == 3
    server.script = lambda request: Reply(500, provider.problem("broken"))
    with pytest.raises(ChromaError, match=r"broken.*500"):
        function(["a"])


def test_refusals_are_not_repeated(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    function = provider.make(monkeypatch, server.port)
    for status, kind in ((400, InvalidArgumentError), (404, InvalidArgumentError), (401, AuthorizationError),
                         (403, AuthorizationError), (501, ChromaError), (307, ChromaError)):  # fmt: skip
        server.requests.clear()
        reply = Reply(status, provider.problem("the model is gone"), {"Location": "http://127.0.0.1:1/"})
        server.script = lambda request, reply=reply: reply  # type: ignore[misc]
        with pytest.raises(kind) as caught:
            function(["a"])
        assert type(caught.value) is kind or status == 307
        assert status == 307 or "the model is gone" in str(caught.value)
        assert provider.class_name in str(caught.value)
        assert len(server.requests) == 1
    assert waits == []


def test_a_failure_in_the_middle_names_its_texts(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    def script(request: Request) -> Reply:
        if "poison" in provider.texts(request.body):
            return Reply(400, provider.problem("cannot read this"))
        return provider.reply(request)

    server.script = script
    texts = ["fine"] * provider.batch + ["poison"]
    with pytest.raises(InvalidArgumentError, match=f"text {provider.batch} of {provider.batch + 1}"):
        provider.make(monkeypatch, server.port)(texts)


@pytest.mark.parametrize("body", [b"not json", {}, [], {"data": 3}, {"embeddings": 3}, {"error": "x"}])
def test_strange_answers(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch, body: Any
) -> None:
    server.script = lambda request: Reply(200, body)
    with pytest.raises(ChromaError, match=f"{provider.class_name}: .*(answer|vectors)"):
        provider.make(monkeypatch, server.port)(["a"])


@pytest.mark.parametrize(
    "change",
    [
        lambda texts: texts[:-1],
        lambda texts: [*texts, "more"],
        lambda texts: [],
    ],
    ids=["fewer", "more", "none"],
)
def test_every_text_needs_its_vector(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    server.script = lambda request: Reply(200, provider.answer(change(provider.texts(request.body))))
    with pytest.raises(ChromaError, match="vectors for 3 texts"):
        provider.make(monkeypatch, server.port)(["a", "b", "c"])


def test_too_large_batches_become_smaller(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def script(request: Request) -> Reply:
        sizes.append(len(provider.texts(request.body)))
        if sizes[-1] > 4:
            return Reply(400, provider.problem("Too many tokens overall, split into more batches."))
        return provider.reply(request)

    server.script = script
    texts = [str(number) for number in range(10)]
    made = provider.make(monkeypatch, server.port)(texts)
    assert [row.tolist() for row in made] == [vector(text) for text in texts]
    assert sizes == [10, 5, 3, 3, 3, 1]  # what was learnt holds for the rest


def test_one_text_that_is_too_large(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = lambda request: Reply(413, provider.problem("too large"))
    with pytest.raises(InvalidArgumentError, match=r"too large.*at text 0 of 2"):
        provider.make(monkeypatch, server.port)(["a", "b"])


def test_nobody_listens(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    function = provider.make(monkeypatch, 1, max_retries=1)
    with pytest.raises(ServerConnectionError, match=r"no connection to http://127\.0\.0\.1:1/.*2 attempts"):
        function(["a"])
    assert len(waits) == 1


def test_silence_ends(provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def script(request: Request) -> Reply:
        over.wait(30)
        return Reply(500)

    server.script = script
    function = provider.make(monkeypatch, server.port, timeout=0.2)
    try:
        with pytest.raises(ServerTimeoutError, match="within 0.2 s"):
            function(["a"])
    finally:
        over.set()
    assert len(server.requests) == 1


def test_threads_share_a_function(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = provider.reply
    function = provider.make(monkeypatch, server.port)
    with ThreadPoolExecutor(8) as pool:
        parts = [[f"{worker} {number}" for number in range(worker + 1)] for worker in range(16)]
        for texts, made in zip(parts, pool.map(function, parts), strict=True):
            assert [row.tolist() for row in made] == [vector(text) for text in texts]


# ---------------------------------------------------------------------------- keys


def test_keys_stay_in_the_process(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    """Neither stored, nor shown, nor in an error, even if a provider repeats them."""
    if provider.variable is None:
        pytest.skip("has no key")
    monkeypatch.delenv(provider.variable)
    function = provider.make(monkeypatch, server.port, api_key=KEY, max_retries=1)
    shown = [repr(function), json.dumps(embedding_function_to_config(function)), repr(vars(function))]
    for status in (400, 401, 429, 500, 302):
        reply = Reply(status, provider.problem(f"Bad key {KEY}!"), {"Location": f"/?key={KEY}"})
        server.script = lambda request, reply=reply: reply  # type: ignore[misc]
        with pytest.raises(ChromaError) as caught:
            function(["a"])
        shown += ["".join(traceback.format_exception(caught.value)), repr(caught.value.args)]
        shown.append(_variables(caught.value))
        assert status == 302 or "Bad key [key]!" in str(caught.value)
    assert KEY not in "".join(shown)


def _variables(error: BaseException) -> str:
    """All local variables of our own frames of a traceback, as some log handlers write them."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if frame.f_globals.get("__name__", "").startswith("chroma.")]
    assert ours
    return repr([frame.f_locals for frame in ours])


def test_a_missing_key_is_asked_for(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    if provider.variable is None:
        pytest.skip("has no key")
    function = provider.make(monkeypatch, server.port)
    stored = embedding_function_to_config(function)
    monkeypatch.delenv(provider.variable)
    with pytest.raises(ValueError, match=f"{provider.class_name} needs a key: .*{provider.variable}"):
        provider.make(monkeypatch, server.port)
    again = config_to_embedding_function(stored)  # opens, and says so when it is used
    with pytest.raises(ValueError, match=f"{provider.class_name} needs a key: .*{provider.variable}"):
        again(["a"])
    monkeypatch.setenv(provider.variable, "")  # as good as none
    with pytest.raises(ValueError, match="needs a key"):
        again(["a"])
    monkeypatch.setenv(provider.variable, f" {KEY}\n")  # of a file, with its line end
    server.script = provider.reply
    assert again(["a"])[0].tolist() == vector("a")
    assert server.requests[-1].path == provider.path


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Other: 1", f"two {KEY}", "schlüssel" + KEY, "", 3])
def test_a_key_that_no_header_can_hold(provider: Provider, monkeypatch: pytest.MonkeyPatch, key: Any) -> None:
    if provider.variable is None:
        pytest.skip("has no key")
    with pytest.raises(InvalidArgumentError, match="does not hold a key") as caught:
        provider.make(monkeypatch, 1, api_key=key)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("variable", ["sk-abc-DEF", "a b", "", 3])
def test_a_key_in_the_place_of_its_variable(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, variable: Any
) -> None:
    if provider.variable is None:
        pytest.skip("has no key")
    with pytest.raises(InvalidArgumentError, match="api_key_env_var") as caught:
        provider.make(monkeypatch, 1, api_key_env_var=variable)
    assert str(variable) == "" or "sk-abc" not in str(caught.value)
    with pytest.raises(InvalidArgumentError, match="the one named by") as caught:
        provider.make(monkeypatch, 1, api_key_env_var="hf_AbCdEf")
    assert "hf_AbCdEf" not in str(caught.value)


def test_functions_can_be_sent_to_processes(
    provider: Provider, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = provider.reply
    again = pickle.loads(pickle.dumps(provider.make(monkeypatch, server.port)))
    assert again(["a"])[0].tolist() == vector("a")


def test_all_are_exported() -> None:
    for name in embedding.__all__:
        assert getattr(embedding, name) is not None
        assert name in dir(embedding)
