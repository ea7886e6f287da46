"""Amazon Bedrock by the real boto3, against a local server that speaks its wire format."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from chroma.embedding import (
    AmazonBedrockEmbeddingFunction,
    config_to_embedding_function,
    embedding_function_to_config,
)
from chroma.errors import (
    AuthorizationError,
    ChromaError,
    InvalidArgumentError,
    InvalidTypeError,
    RateLimitError,
    ServerConnectionError,
    ServerTimeoutError,
)
from tests.chroma.embedding.providers import KEY, vector
from tests.chroma.http.scripted import Reply, Request, Scripted

boto3 = pytest.importorskip("boto3", reason="the extra bedrock is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")

TITAN = "amazon.titan-embed-text-v2:0"
COHERE = "eu.cohere.embed-multilingual-v3"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)


def make(server: Scripted, model: str = TITAN, **kwargs: Any) -> AmazonBedrockEmbeddingFunction:
    return AmazonBedrockEmbeddingFunction(
        boto3.Session(region_name="eu-central-1"), model,
        endpoint_url=f"http://127.0.0.1:{server.port}", **kwargs,
    )  # fmt: skip


def bedrock(request: Request) -> Reply:
    """One text for Titan models, a list for those of Cohere."""
    if not request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/"):
        return Reply(403, {"message": "unsigned"}, {"x-amzn-errortype": "UnrecognizedClientException"})
    if "titan" in request.path:
        return Reply(200, {"embedding": vector(request.body["inputText"]), "inputTextTokenCount": 1})
    return Reply(200, {"embeddings": [vector(text) for text in request.body["texts"]], "id": "1"})


def test_titan_takes_one_text_per_request(server: Scripted) -> None:
    server.script = bedrock
    texts = ["one", "and two", ""]
    assert [row.tolist() for row in make(server)(texts)] == [vector(text) for text in texts]
    assert [request.body for request in server.requests] == [{"inputText": text} for text in texts]
    assert server.requests[0].path == "/model/amazon.titan-embed-text-v2%3A0/invoke"


def test_cohere_takes_many_and_knows_queries(server: Scripted) -> None:
    server.script = bedrock
    function = make(server, COHERE)
    texts = [str(number) for number in range(100)]
    assert [row.tolist() for row in function(texts)] == [vector(text) for text in texts]
    function.embed_query(["q"])
    assert [len(request.body["texts"]) for request in server.requests] == [96, 4, 1]
    assert [request.body["input_type"] for request in server.requests] == ["search_document"] * 2 + [
        "search_query"
    ]
    server.script = lambda request: Reply(200, {"embeddings": {"float": [[1.0]]}})
    assert function(["a"])[0].tolist() == [1.0]


def test_the_configuration_has_no_credentials(server: Scripted) -> None:
    server.script = bedrock
    session = boto3.Session("AKIAEXAMPLE", KEY, KEY, region_name="eu-central-1")
    function = AmazonBedrockEmbeddingFunction(
        session, TITAN, endpoint_url=f"http://127.0.0.1:{server.port}", aws_secret_access_key=KEY,
        aws_access_key_id="AKIAEXAMPLE",
    )  # fmt: skip
    stored = embedding_function_to_config(function)
    assert stored == {
        "type": "known",
        "name": "amazon_bedrock",
        "config": {
            "model_name": TITAN,
            "session_args": {"region_name": "eu-central-1", "profile_name": "default"},
            "kwargs": {"endpoint_url": f"http://127.0.0.1:{server.port}"},
        },
    }
    again = config_to_embedding_function(json.loads(json.dumps(stored)))
    assert again(["a"])[0].tolist() == vector("a")
    assert again.default_space() == "l2"
    assert KEY not in repr(function) + repr(again)


def test_what_cannot_be_stored_is_passed_again(server: Scripted) -> None:
    from botocore.config import Config

    function = make(server, config=Config(retries={"total_max_attempts": 1}))
    assert embedding_function_to_config(function) == {"type": "legacy"}


@pytest.mark.parametrize(
    "change",
    [
        {"kwargs": {"verify": False}},
        {"kwargs": {"aws_secret_access_key": "x"}},
        {"session_args": {"aws_access_key_id": "x"}},
        {"session_args": {"botocore_session": "x"}},
        {"kwargs": {"endpoint_url": "http://evil.example"}},
        {"kwargs": {"endpoint_url": "http://amazonaws.com.evil.example"}},
    ],
)
def test_what_a_stored_configuration_may_not_say(change: dict[str, Any]) -> None:
    config = {"model_name": TITAN, "session_args": {}, "kwargs": {}, **change}
    with pytest.raises(ChromaError, match="stored"):
        config_to_embedding_function({"type": "known", "name": "amazon_bedrock", "config": config})


def test_types_are_checked() -> None:
    for change in ({"kwargs": []}, {"model_name": 3}, {"session_args": "x"}):
        with pytest.raises(InvalidTypeError):
            AmazonBedrockEmbeddingFunction.validate_config({"model_name": "m", **change})


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ValidationException", InvalidArgumentError),
        (404, "ResourceNotFoundException", InvalidArgumentError),
        (403, "AccessDeniedException", AuthorizationError),
        (429, "ThrottlingException", RateLimitError),
        (408, "ModelTimeoutException", ServerTimeoutError),
        (500, "InternalServerException", ChromaError),
    ],
)
def test_errors(server: Scripted, status: int, code: str, kind: type[ChromaError]) -> None:
    from botocore.config import Config

    server.script = lambda request: Reply(status, {"message": "not today"}, {"x-amzn-errortype": code})
    function = make(server, config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(kind, match=f"{code}: not today.*text 0 of 2") as caught:
        function(["a", "b"])
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)


def test_a_busy_service_is_asked_again(server: Scripted) -> None:
    """By boto3, whose own pauses are short at first."""
    refusals = [Reply(429, {"message": "slow"}, {"x-amzn-errortype": "ThrottlingException"})]
    server.script = lambda request: refusals.pop() if refusals else bedrock(request)
    assert make(server)(["a"])[0].tolist() == vector("a")
    assert len(server.requests) == 2


def test_strange_answers(server: Scripted) -> None:
    for body in ({}, [], b"not json", {"embedding": None}, {"embedding": 3}):
        server.script = lambda request, body=body: Reply(200, body)  # type: ignore[misc]
        with pytest.raises(ChromaError, match="AmazonBedrock.*answer"):
            make(server)(["a"])


def test_missing_credentials_region_and_service(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.config import Config

    once = Config(retries={"total_max_attempts": 1})
    with pytest.raises(InvalidArgumentError, match="AWS_DEFAULT_REGION"):
        AmazonBedrockEmbeddingFunction(boto3.Session())(["a"])
    with pytest.raises(ServerConnectionError, match="AmazonBedrock"):
        AmazonBedrockEmbeddingFunction(
            boto3.Session(region_name="eu-central-1"), endpoint_url="http://127.0.0.1:1", config=once
        )(["a"])
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(InvalidArgumentError, match="AWS_ACCESS_KEY_ID"):
        make(server)(["a"])


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InvalidArgumentError, match=r"pip install 'chroma-arrow\[bedrock\]'"):
        AmazonBedrockEmbeddingFunction()
    stored = {"model_name": TITAN, "session_args": {"region_name": "x"}, "kwargs": {}}
    again = AmazonBedrockEmbeddingFunction.build_from_config(stored)  # a collection opens
    with pytest.raises(InvalidArgumentError, match="bedrock"):
        again(["a"])
