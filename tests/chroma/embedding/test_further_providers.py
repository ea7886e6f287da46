"""What single providers have besides: images, tasks, instructions, gateways, forms of answers."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from chroma.embedding import (
    BasetenEmbeddingFunction,
    ChromaCloudQwenEmbeddingFunction,
    CloudflareWorkersAIEmbeddingFunction,
    GooglePalmEmbeddingFunction,
    MorphEmbeddingFunction,
    NomicEmbeddingFunction,
    PerplexityEmbeddingFunction,
    RoboflowEmbeddingFunction,
    config_to_embedding_function,
    embedding_function_to_config,
)
from chroma.embedding.core import images
from chroma.embedding.providers import chroma_cloud, cloudflare, google_palm, nomic, perplexity
from chroma.errors import AuthorizationError, ChromaError, InvalidArgumentError, InvalidTypeError
from tests.chroma.embedding.providers import KEY, numbered, vector
from tests.chroma.http.scripted import Reply, Request, Scripted


def address(server: Scripted, path: str = "") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


# ---------------------------------------------------------------------------- Perplexity


def int8(numbers: list[int]) -> str:
    return base64.b64encode(np.array(numbers, np.int8).tobytes()).decode()


def test_perplexity_decodes_bytes(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perplexity, "_URL", address(server, "/v1/embeddings"))
    rows = [{"index": 1, "embedding": int8([-128, 127])}, {"index": 0, "embedding": int8([1, -1])}]
    server.script = lambda request: Reply(200, {"data": rows})
    function = PerplexityEmbeddingFunction(KEY, dimensions=2)
    assert [row.tolist() for row in function(["a", "b"])] == [[1.0, -1.0], [-128.0, 127.0]]
    assert server.requests[0].body == {
        "model": "pplx-embed-v1-0.6b", "input": ["a", "b"], "encoding_format": "base64_int8", "dimensions": 2,
    }  # fmt: skip
    assert embedding_function_to_config(function) == {
        "type": "known", "name": "perplexity",
        "config": {
            "api_key_env_var": "PERPLEXITY_API_KEY", "model_name": "pplx-embed-v1-0.6b", "dimensions": 2,
        },
    }  # fmt: skip
    monkeypatch.setenv("PERPLEXITY_API_KEY", KEY)
    again = config_to_embedding_function(embedding_function_to_config(function))
    assert again(["a", "b"])[1].tolist() == [-128.0, 127.0]


@pytest.mark.parametrize("row", [{"embedding": "?"}, {"embedding": None}, {}, 3])
def test_perplexity_answers_that_are_none(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, row: Any
) -> None:
    monkeypatch.setattr(perplexity, "_URL", address(server, "/"))
    server.script = lambda request: Reply(200, {"data": [row]})
    with pytest.raises(ChromaError, match="PerplexityEmbeddingFunction: .*answer"):
        PerplexityEmbeddingFunction(KEY)(["a"])


# ---------------------------------------------------------------------------- Google


def test_palm_sends_one_text_at_a_time(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_palm, "_BASE", address(server, "/v1beta2"))
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    server.script = lambda request: Reply(200, {"embedding": {"value": vector(request.body["text"])}})
    function = GooglePalmEmbeddingFunction()
    assert [row.tolist() for row in function(["a", "bb"])] == [vector("a"), vector("bb")]
    assert {request.path for request in server.requests} == {"/v1beta2/models/embedding-gecko-001:embedText"}
    assert function.get_config() == {
        "api_key_env_var": "CHROMA_GOOGLE_PALM_API_KEY", "model_name": "models/embedding-gecko-001",
    }  # fmt: skip
    again = config_to_embedding_function(embedding_function_to_config(function))
    assert again(["a"])[0].tolist() == vector("a")
    server.script = lambda request: Reply(200, {"embedding": None})
    with pytest.raises(ChromaError, match="no `embedding`"):
        function(["a"])


# ---------------------------------------------------------------------------- Cloudflare, Baseten, Morph


def test_cloudflare_gateways(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudflare, "GATEWAY_BASE_URL", address(server, "/v1"))
    server.script = lambda request: Reply(200, {"result": {"data": [vector("a")]}})
    CloudflareWorkersAIEmbeddingFunction("@cf/baai/bge-m3", "acc", KEY, gateway_id="gate")(["a"])
    assert server.requests[0].path == "/v1/acc/gate/workers-ai/@cf/baai/bge-m3"
    for account in ("", "..", "a/../b"):
        with pytest.raises(InvalidArgumentError, match="account_id"):
            CloudflareWorkersAIEmbeddingFunction("@cf/m", account, KEY)


@pytest.mark.parametrize(
    "config",
    [
        {"name": "baseten", "config": {"api_base": "https://elsewhere.example/v1"}},
        {"name": "morph", "config": {"api_base": "https://elsewhere.example/v1", "model_name": "m"}},
        {"name": "roboflow", "config": {"api_url": "https://elsewhere.example"}},
    ],
)
def test_stored_addresses_get_no_keys(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BASETEN_API_KEY", "MORPH_API_KEY", "ROBOFLOW_API_KEY"):
        monkeypatch.setenv(variable, KEY)
    function = config_to_embedding_function({"type": "known", **config})
    with pytest.raises(AuthorizationError, match="CHROMA_EMBEDDING_HOSTS"):
        function(["a"])


def test_morph_in_base64(server: Scripted) -> None:
    def script(request: Request) -> Reply:
        assert request.body["encoding_format"] == "base64"
        answer = numbered(request.body["input"])
        for row in answer["data"]:
            row["embedding"] = base64.b64encode(np.array(row["embedding"], "<f4").tobytes()).decode()
        return Reply(200, answer)

    server.script = script
    function = MorphEmbeddingFunction(KEY, api_base=address(server), encoding_format="base64")
    assert function(["a"])[0].tolist() == vector("a")


def test_baseten_needs_an_address() -> None:
    with pytest.raises(InvalidArgumentError, match="api_base"):
        BasetenEmbeddingFunction(KEY, "")


# ---------------------------------------------------------------------------- Nomic, Chroma's service


def test_nomic_has_a_task_for_queries(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nomic, "_URL", address(server, "/"))
    monkeypatch.setenv("NOMIC_API_KEY", KEY)
    server.script = lambda request: Reply(200, {"embeddings": [vector("a")]})
    function = NomicEmbeddingFunction("m", "search_document", {"task_type": "search_query"})
    function(["a"])
    function.embed_query(["a"])
    NomicEmbeddingFunction("m", "clustering", None).embed_query(["a"])
    assert [request.body["task_type"] for request in server.requests] == [
        "search_document", "search_query", "clustering",
    ]  # fmt: skip


def test_qwen_sends_the_instruction_of_the_task(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_EMBED_URL", address(server, "/embed/"))
    monkeypatch.setenv("CHROMA_API_KEY", KEY)
    server.script = lambda request: Reply(200, {"embeddings": [vector("a")]})
    target = chroma_cloud.ChromaCloudQwenEmbeddingTarget
    model = chroma_cloud.ChromaCloudQwenEmbeddingModel.QWEN3_EMBEDDING_0p6B
    function = ChromaCloudQwenEmbeddingFunction(
        model, "mine", {"mine": {target.DOCUMENTS: "of documents", target.QUERY: "of queries"}}
    )
    function(["a"])
    function.embed_query(["a"])
    ChromaCloudQwenEmbeddingFunction(model, None)(["a"])
    assert [request.body["instructions"] for request in server.requests] == ["of documents", "of queries", ""]
    assert server.requests[0].path == "/embed/"
    headers = {name.lower(): text for name, text in server.requests[0].headers.items()}
    assert headers["x-chroma-embedding-model"] == "Qwen/Qwen3-Embedding-0.6B"
    assert function.get_config()["instructions"] == {
        "mine": {"documents": "of documents", "query": "of queries"}
    }
    with pytest.raises(
        InvalidArgumentError, match=r"expected one of 'Qwen/Qwen3-Embedding-0\.6B', got 'other'"
    ):
        ChromaCloudQwenEmbeddingFunction("other", None)


# ---------------------------------------------------------------------------- images


class Picture:
    """Stands for an image of pillow, whose file holds the shape of its pixels."""

    def __init__(self, pixels: Any) -> None:
        self.shape = pixels.shape

    def convert(self, mode: str) -> Picture:
        assert mode == "RGB"
        return self

    def save(self, file: Any, format: str) -> None:
        assert format == "JPEG"
        file.write(repr(self.shape).encode())


def test_roboflow_embeds_texts_and_images(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "as_image", lambda pixels, source: Picture(pixels))
    monkeypatch.setenv("ROBOFLOW_API_KEY", KEY)

    def script(request: Request) -> Reply:
        assert KEY not in request.path
        if request.path == "/clip/embed_text":
            return Reply(200, {"embeddings": [vector(text) for text in request.body["text"]]})
        assert request.path == "/clip/embed_image"
        assert request.body["image"]["type"] == "base64"
        return Reply(200, {"embeddings": [vector(base64.b64decode(request.body["image"]["value"]).decode())]})

    server.script = script
    function = RoboflowEmbeddingFunction(api_url=address(server))
    pixels = np.zeros((2, 3, 3), np.uint8)
    made = function(["a", pixels, "bb"])
    assert [row.tolist() for row in made] == [vector("a"), vector("(2, 3, 3)"), vector("bb")]
    for bad in ([1], [np.zeros(3)], [None]):
        with pytest.raises(InvalidTypeError, match="position 0"):
            function(bad)
    server.script = lambda request: Reply(200, {"embeddings": []})
    with pytest.raises(ChromaError, match="0 vectors for one image"):
        function([pixels])


def test_images_need_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(
        InvalidArgumentError, match="RoboflowEmbeddingFunction needs a package.*pip install pillow"
    ):
        RoboflowEmbeddingFunction(KEY)([np.zeros((2, 3, 3), np.uint8)])
