"""What single providers have besides: models, tasks, kinds of input, forms of answers."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from chroma.embedding import (
    CohereEmbeddingFunction,
    GoogleGeminiEmbeddingFunction,
    GoogleGenaiEmbeddingFunction,
    GoogleGenerativeAiEmbeddingFunction,
    HuggingFaceEmbeddingFunction,
    HuggingFaceEmbeddingServer,
    JinaEmbeddingFunction,
    MistralEmbeddingFunction,
    OllamaEmbeddingFunction,
    OpenAIEmbeddingFunction,
    VoyageAIEmbeddingFunction,
    config_to_embedding_function,
)
from chroma.embedding.providers import cohere, google, huggingface, jina, mistral, openai, voyage
from chroma.errors import ChromaError, InvalidArgumentError, InvalidTypeError, UnsupportedError
from tests.chroma.embedding.providers import KEY, numbered, vector
from tests.chroma.http.scripted import Reply, Scripted


def address(server: Scripted, path: str = "") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def bodies(server: Scripted) -> list[Any]:
    return [request.body for request in server.requests]


@pytest.fixture
def numbering(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Answers in the form of OpenAI at every provider's address."""
    server.script = lambda request: Reply(200, numbered(request.body["input"]))
    for module in (jina, mistral, voyage):
        monkeypatch.setattr(module, "_URL", address(server, "/v1/embeddings"))
    return server


# ---------------------------------------------------------------------------- OpenAI


def test_openai_sends_what_it_was_given(numbering: Scripted) -> None:
    function = OpenAIEmbeddingFunction(
        KEY, "text-embedding-3-small", "org-1", address(numbering, "/v1/"), dimensions=3,
        default_headers={"X-Team": "search", "X-Api-Key": "hidden"},
    )  # fmt: skip
    function(["a"])
    assert bodies(numbering) == [
        {"model": "text-embedding-3-small", "input": ["a"], "encoding_format": "float", "dimensions": 3}
    ]
    headers = {name.lower(): text for name, text in numbering.requests[0].headers.items()}
    assert headers["openai-organization"] == "org-1"
    assert headers["x-team"] == "search"
    assert headers["x-api-key"] == "hidden"
    stored = function.get_config()
    assert stored["default_headers"] == {"X-Team": "search"}
    assert stored["api_base"] == address(numbering, "/v1")
    assert "hidden" not in str(stored)


def test_headers_that_are_all_secret_are_not_stored() -> None:
    function = OpenAIEmbeddingFunction(KEY, default_headers={"Authorization": "Bearer other"})
    assert function.get_config()["default_headers"] is None


def test_a_header_of_the_program_replaces_that_of_the_key(numbering: Scripted) -> None:
    OpenAIEmbeddingFunction(KEY, api_base=address(numbering), default_headers={"Authorization": "Basic xyz"})(
        ["a"]
    )
    assert numbering.requests[0].headers["Authorization"] == "Basic xyz"


def test_openai_answers_in_base64(server: Scripted) -> None:
    exact = np.array([1 / 3, -2.5e-8, 3e10], "<f4")
    data = [{"index": 0, "embedding": base64.b64encode(exact.tobytes()).decode()}]
    server.script = lambda request: Reply(200, {"data": data})
    function = OpenAIEmbeddingFunction(KEY, api_base=address(server))
    assert function(["a"])[0].tobytes() == exact.tobytes()
    for broken in ("%%%", "QUJD"):  # three bytes are no float32
        data[0]["embedding"] = broken
        with pytest.raises(ChromaError, match="base64"):
            function(["a"])


def test_the_environment_names_the_server(numbering: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address(numbering, "/v1"))
    function = OpenAIEmbeddingFunction(KEY)
    function(["a"])
    assert numbering.requests[0].path == "/v1/embeddings"
    assert function.get_config()["api_base"] is None  # it belongs to this machine


def test_azure_needs_an_address_and_a_version() -> None:
    with pytest.raises(InvalidArgumentError, match="`api_base`.*`api_version`"):
        OpenAIEmbeddingFunction(KEY, api_type="azure", api_base="https://x.openai.azure.com")
    with pytest.raises(InvalidArgumentError, match="'azure' or None"):
        OpenAIEmbeddingFunction(KEY, api_type="other")


@pytest.mark.parametrize("host", ["x.openai.azure.com", "x.cognitiveservices.azure.com"])
def test_addresses_of_azure_are_its_own(host: str, waits: list[float]) -> None:
    config: dict[str, Any] = {
        "model_name": "m", "api_type": "azure", "api_base": f"https://{host}", "api_version": "v",
        "api_key_env_var": "AZURE_OPENAI_API_KEY",
    }  # fmt: skip
    assert openai._own(config["api_base"], True)
    for other in (f"{host}.example", f"evil.example/.{host}", "evil.example?.openai.azure.com"):
        assert not openai._own(f"https://{other}", True)
    assert not openai._own(config["api_base"], False)
    assert OpenAIEmbeddingFunction.build_from_config(config).get_config()["api_base"] == f"https://{host}"


def test_headers_that_would_redirect_the_key() -> None:
    for headers in ({"Host": "evil.example"}, {"hOST": "x"}, {"X": 3}):
        with pytest.raises(InvalidArgumentError, match="default_headers"):
            OpenAIEmbeddingFunction.build_from_config({"model_name": "m", "default_headers": headers})


def test_wrong_types_are_refused() -> None:
    wrong: list[dict[str, Any]] = [
        {"model_name": 3},
        {"dimensions": "3"},
        {"dimensions": True},
        {"default_headers": []},
    ]
    for arguments in wrong:
        with pytest.raises(InvalidTypeError):
            OpenAIEmbeddingFunction(KEY, **arguments)


# ---------------------------------------------------------------------------- documents and queries


def test_cohere_tells_queries_from_documents(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohere, "_URL", address(server))
    server.script = lambda request: Reply(
        200, {"embeddings": {"float": [vector(text) for text in request.body["texts"]]}}
    )
    function = CohereEmbeddingFunction(KEY, "embed-v4.0")
    function(["a"])
    function.embed_query(["b"])
    assert bodies(server) == [
        {
            "model": "embed-v4.0",
            "texts": ["a"],
            "input_type": "search_document",
            "embedding_types": ["float"],
        },
        {"model": "embed-v4.0", "texts": ["b"], "input_type": "search_query", "embedding_types": ["float"]},
    ]
    assert CohereEmbeddingFunction(KEY, "embed-multilingual-v2.0").default_space() == "ip"


@pytest.mark.parametrize(
    ("kind", "sent"),
    [(None, [None, None]), ("document", ["document", "query"]), ("query", ["query", "query"])],
)
def test_voyage_kinds_of_input(numbering: Scripted, kind: Any, sent: list[Any]) -> None:
    function = VoyageAIEmbeddingFunction(KEY, "voyage-3.5", input_type=kind, truncation=False)
    function(["a"])
    function.embed_query(["b"])
    assert [body.get("input_type") for body in bodies(numbering)] == sent
    assert [body["truncation"] for body in bodies(numbering)] == [False, False]


def test_voyage_knows_its_kinds() -> None:
    with pytest.raises(InvalidArgumentError, match="input_type"):
        VoyageAIEmbeddingFunction(KEY, input_type="passage")


@pytest.mark.parametrize(
    ("task", "query", "sent"),
    [
        (None, None, [None, None]),
        ("text-matching", None, ["text-matching"] * 2),
        ("retrieval.passage", None, ["retrieval.passage", "retrieval.query"]),
        ("retrieval.passage", {"task": "separation"}, ["retrieval.passage", "separation"]),
        (None, {"task": "retrieval.query"}, [None, "retrieval.query"]),
    ],
)
def test_jina_tasks(numbering: Scripted, task: Any, query: Any, sent: list[Any]) -> None:
    function = JinaEmbeddingFunction(KEY, task=task, query_config=query, dimensions=3, normalized=True)
    function(["a"])
    function.embed_query(["b"])
    assert [body.pop("task", None) for body in bodies(numbering)] == sent
    common = {"model": "jina-embeddings-v2-base-en", "dimensions": 3, "normalized": True}
    assert bodies(numbering) == [{**common, "input": ["a"]}, {**common, "input": ["b"]}]


def test_late_chunks_stay_together(numbering: Scripted) -> None:
    texts = [str(number) for number in range(600)]
    assert len(JinaEmbeddingFunction(KEY, late_chunking=True)(texts)) == 600
    assert [len(body["input"]) for body in bodies(numbering)] == [600]


def test_late_chunks_are_not_divided_by_a_refusal(numbering: Scripted) -> None:
    numbering.script = lambda request: Reply(413, {"detail": "too large"})
    with pytest.raises(InvalidArgumentError, match="too large"):
        JinaEmbeddingFunction(KEY, late_chunking=True)(["a", "b"])
    assert len(numbering.requests) == 1


@pytest.mark.parametrize(
    ("function", "arguments", "sent"),
    [
        (GoogleGenerativeAiEmbeddingFunction, {}, ["RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"]),
        (GoogleGenerativeAiEmbeddingFunction, {"task_type": "CLUSTERING"}, ["CLUSTERING"] * 2),
        (GoogleGeminiEmbeddingFunction, {}, [None, None]),
        (
            GoogleGeminiEmbeddingFunction,
            {"task_type": "RETRIEVAL_DOCUMENT"},
            ["RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"],
        ),
    ],
)  # fmt: skip
def test_google_tasks(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, function: Any, arguments: Any, sent: list[Any]
) -> None:
    monkeypatch.setattr(google, "_BASE", address(server))
    server.script = lambda request: Reply(200, {"embeddings": [{"values": [1, 2]}]})
    made = function(api_key=KEY, model_name="models/embedding-x", dimension=2, **arguments)
    made(["a"])
    made.embed_query(["b"])
    requests = [body["requests"][0] for body in bodies(server)]
    assert [request.pop("taskType", None) for request in requests] == sent
    assert requests == [
        {"model": "models/embedding-x", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2}
        for text in "ab"
    ]
    assert server.requests[0].path == "/models/embedding-x:batchEmbedContents"
    assert KEY not in server.requests[0].path


def test_an_older_name_of_gemini() -> None:
    assert GoogleGenaiEmbeddingFunction is GoogleGeminiEmbeddingFunction
    config = {"model_name": "m", "vertexai": None, "project": None, "location": None}
    again = config_to_embedding_function({"type": "known", "name": "google_genai", "config": config})
    assert isinstance(again, GoogleGeminiEmbeddingFunction)


def test_vertex_is_not_offered_but_opens() -> None:
    with pytest.raises(UnsupportedError, match="vertexai"):
        GoogleGeminiEmbeddingFunction(vertexai=True, project="p")
    config = {"model_name": "m", "vertexai": True, "project": "p", "location": "l"}
    again = GoogleGeminiEmbeddingFunction.build_from_config(config)
    assert again.get_config()["project"] == "p"
    with pytest.raises(UnsupportedError, match="vertexai"):
        again(["a"])


# ---------------------------------------------------------------------------- the others


@pytest.mark.parametrize("path", ["", "/", "/api/embeddings", "/api/embed", "/behind/a/proxy"])
def test_addresses_of_ollama(server: Scripted, path: str) -> None:
    server.script = lambda request: Reply(200, {"embeddings": [[1.0]]})
    function = OllamaEmbeddingFunction(address(server, path), "m", timeout=5)
    function(["a"])
    assert server.requests[0].path == ("/behind/a/proxy/api/embed" if "proxy" in path else "/api/embed")
    assert function.get_config() == {"url": address(server, path), "model_name": "m", "timeout": 5}


def test_a_model_that_ollama_does_not_have(server: Scripted) -> None:
    server.script = lambda request: Reply(404, {"error": 'model "m" not found, try pulling it first'})
    with pytest.raises(InvalidArgumentError, match="try pulling it first"):
        OllamaEmbeddingFunction(address(server), "m")(["a"])


def test_a_model_with_a_vector_per_token(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "_ROUTER", address(server))
    server.script = lambda request: Reply(200, [[[1.0, 2.0], [3.0, 4.0]]])
    with pytest.raises(ChromaError, match="one per token"):
        HuggingFaceEmbeddingFunction(KEY)(["a"])


def test_a_server_without_a_key_gets_none(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUGGINGFACE_API_KEY", KEY)
    server.script = lambda request: Reply(200, [[1.0]])
    HuggingFaceEmbeddingServer(address(server, "/embed"))(["a"])
    assert "Authorization" not in server.requests[0].headers
    HuggingFaceEmbeddingServer(address(server, "/embed"), api_key=KEY)(["a"])
    assert server.requests[1].headers["Authorization"] == f"Bearer {KEY}"


def test_mistral_takes_few_tokens(numbering: Scripted) -> None:
    MistralEmbeddingFunction("mistral-embed", api_key=KEY)(["x" * 20_000] * 5)
    assert [len(body["input"]) for body in bodies(numbering)] == [2, 2, 1]
