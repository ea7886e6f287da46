"""The functions over packages that run models on this machine, with stand-ins for those packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chroma.embedding import (
    ChromaLangchainEmbeddingFunction,
    GoogleVertexEmbeddingFunction,
    InstructorEmbeddingFunction,
    OpenCLIPEmbeddingFunction,
    Text2VecEmbeddingFunction,
    config_to_embedding_function,
    create_langchain_embedding,
    embedding_function_to_config,
)
from chroma.embedding.core import local_models
from chroma.embedding.providers import open_clip
from chroma.errors import InvalidArgumentError, UnsupportedError
from tests.chroma.embedding.providers import KEY, vector


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    local_models._models.clear()
    yield
    local_models._models.clear()


def package(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    module = ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


class Encoder:
    """Has the arguments and results of the classes of both packages."""

    made: list[dict[str, Any]]

    def __init__(self, **arguments: Any) -> None:
        self.made.append(arguments)

    def encode(self, texts: list[Any], convert_to_numpy: bool) -> Any:
        assert convert_to_numpy
        joined = ["|".join(text) if isinstance(text, list) else text for text in texts]
        return np.array([vector(text) for text in joined], np.float32)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> type[Encoder]:
    monkeypatch.setattr(Encoder, "made", [], raising=False)
    package(monkeypatch, "InstructorEmbedding", INSTRUCTOR=Encoder)
    package(monkeypatch, "text2vec", SentenceModel=Encoder)
    return Encoder


def reopened(function: Any, name: str, config: dict[str, Any]) -> Any:
    stored = embedding_function_to_config(function)
    assert stored == {"type": "known", "name": name, "config": config}
    return config_to_embedding_function(stored)


def test_instructor(encoder: type[Encoder]) -> None:
    function = InstructorEmbeddingFunction("m", instruction="Represent")
    assert encoder.made == []  # a model loads at the first call
    assert function(["a"])[0].tolist() == vector("Represent|a")
    assert InstructorEmbeddingFunction("m")(["a"])[0].tolist() == vector("a")
    assert encoder.made == [{"model_name_or_path": "m", "device": "cpu"}]
    again = reopened(function, "instructor", {"model_name": "m", "device": "cpu", "instruction": "Represent"})
    assert again(["a"])[0].tolist() == vector("Represent|a")
    assert again.default_space() == "cosine"
    with pytest.raises(ValueError, match="comparable"):
        function.validate_config_update(
            function.get_config(), function.get_config() | {"instruction": "other"}
        )


def test_text2vec(encoder: type[Encoder]) -> None:
    again = reopened(Text2VecEmbeddingFunction("m"), "text2vec", {"model_name": "m"})
    assert again(["a", "bb"])[1].tolist() == vector("bb")
    assert encoder.made == [{"model_name_or_path": "m"}]


@pytest.mark.parametrize(
    ("make", "module", "command", "stored"),
    [
        (InstructorEmbeddingFunction, "InstructorEmbedding", "pip install InstructorEmbedding", "instructor"),
        (Text2VecEmbeddingFunction, "text2vec", "pip install text2vec", "text2vec"),
        (OpenCLIPEmbeddingFunction, "open_clip", "pip install open-clip-torch", "open_clip"),
        (GoogleVertexEmbeddingFunction, "vertexai", "pip install google-cloud-aiplatform", "google_vertex"),
    ],
)
def test_a_missing_package_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, make: Any, module: str, command: str, stored: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"{make.__name__} needs a package that is not installed: {command}"):
        make()
    config = {"model_name": "m"} | ({"checkpoint": "c"} if stored == "open_clip" else {})
    again = config_to_embedding_function({"type": "known", "name": stored, "config": config})  # opens
    with pytest.raises(InvalidArgumentError, match=command):
        again(["a"])


# ---------------------------------------------------------------------------- CLIP


class Tensor:
    """The few methods of a tensor that the function uses."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = np.asarray(numbers, np.float32)

    def to(self, device: str) -> Tensor:
        assert device == "cpu"
        return self

    def unsqueeze(self, axis: int) -> Tensor:
        return Tensor(np.expand_dims(self.numbers, axis))

    def squeeze(self, axis: int) -> Tensor:
        return Tensor(np.squeeze(self.numbers, axis))

    def norm(self, dim: int, keepdim: bool) -> Tensor:
        return Tensor(np.linalg.norm(self.numbers, axis=dim, keepdims=keepdim))

    def __truediv__(self, other: Tensor) -> Tensor:
        return Tensor(self.numbers / other.numbers)

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return self.numbers


class Clip:
    def to(self, device: str) -> None:
        assert device == "cpu"

    def encode_text(self, tokens: Tensor) -> Tensor:
        return Tensor(tokens.numbers * [3, 4])

    def encode_image(self, pixels: Tensor) -> Tensor:
        return Tensor(pixels.numbers * [4, 3])


def test_open_clip_embeds_texts_and_images(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def create(model_name: str, pretrained: str) -> Any:
        made.append((model_name, pretrained))
        return Clip(), None, lambda image: Tensor(np.ones(2))

    package(
        monkeypatch, "open_clip", create_model_and_transforms=create,
        get_tokenizer=lambda model_name: lambda texts: Tensor(np.ones((len(texts), 2))),
    )  # fmt: skip
    package(monkeypatch, "torch", no_grad=nullcontext)
    monkeypatch.setattr(open_clip, "as_image", lambda pixels, source: pixels)
    function = OpenCLIPEmbeddingFunction()
    rows = function(["a", np.zeros((2, 2, 3), np.uint8)])
    assert np.allclose(rows, [[0.6, 0.8], [0.8, 0.6]])
    again = reopened(
        function,
        "open_clip",
        {"model_name": "ViT-B-32", "checkpoint": "laion2b_s34b_b79k", "device": "cpu"},
    )
    assert np.allclose(again(["a"])[0], [0.6, 0.8])
    assert made == [("ViT-B-32", "laion2b_s34b_b79k")]


# ---------------------------------------------------------------------------- Vertex AI


def test_vertex(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    calls: list[list[str]] = []

    class Model:
        @staticmethod
        def from_pretrained(name: str) -> Any:
            opened.append(name)
            return Model()

        def get_embeddings(self, texts: list[str]) -> list[Any]:
            calls.append(texts)
            return [SimpleNamespace(values=vector(text)) for text in texts]

    package(monkeypatch, "vertexai", init=lambda **where: opened.append(where))
    package(monkeypatch, "vertexai.language_models", TextEmbeddingModel=Model)
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    function = GoogleVertexEmbeddingFunction(model_name="m", project_id="p", region="r")
    assert [row.tolist() for row in function(["a", "bb"])] == [vector("a"), vector("bb")]
    assert calls == [["a"], ["bb"]]
    assert opened == [{"project": "p", "location": "r"}, "m"]
    again = reopened(
        function,
        "google_vertex",
        {
            "api_key_env_var": "CHROMA_GOOGLE_VERTEX_API_KEY", "model_name": "m", "project_id": "p",
            "region": "r",
        },
    )  # fmt: skip
    assert again(["a"])[0].tolist() == vector("a")
    monkeypatch.delenv("GOOGLE_API_KEY")
    with pytest.raises(InvalidArgumentError, match="needs a key"):
        GoogleVertexEmbeddingFunction()


# ---------------------------------------------------------------------------- LangChain


class Embeddings:
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return vector(f"query {text}")


class WithImages(Embeddings):
    def embed_image(self, uris: list[str]) -> list[list[float]]:
        return [vector(uri) for uri in uris]


def test_langchain() -> None:
    function = create_langchain_embedding(WithImages())
    assert isinstance(function, ChromaLangchainEmbeddingFunction)
    assert function(["a"])[0].tolist() == vector("a")
    assert function(("images", ["u"]))[0].tolist() == vector("u")
    assert function.embed_query(["a", "b"])[1].tolist() == vector("query b")
    assert function.embed_query("a") == vector("query a")
    assert function.embed_documents(["a"]) == [vector("a")]
    assert function.name() == "langchain"
    assert embedding_function_to_config(function) == {"type": "legacy"}
    with pytest.raises(UnsupportedError, match="cannot be rebuilt"):
        config_to_embedding_function({"type": "known", "name": "chroma_langchain", "config": {}})
    with pytest.raises(InvalidArgumentError, match="embeds no images"):
        create_langchain_embedding(Embeddings())(("images", ["u"]))
    with pytest.raises(InvalidArgumentError, match="has no `embed_documents`"):
        create_langchain_embedding(len)
