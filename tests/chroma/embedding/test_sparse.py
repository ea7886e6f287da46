"""Functions that return sparse vectors: BM25, packages (with stand-ins), Chroma's service, users' classes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chroma.embedding import (
    Bm25EmbeddingFunction,
    ChromaBm25EmbeddingFunction,
    ChromaCloudSpladeEmbeddingFunction,
    FastembedSparseEmbeddingFunction,
    HuggingFaceSparseEmbeddingFunction,
    SparseEmbeddingFunction,
    get_builtins,
    register_sparse_embedding_function,
    sparse_known_embedding_functions,
)
from chroma.embedding.core import local_models
from chroma.embedding.core.sparse import normalize_sparse_vector
from chroma.embedding.providers.chroma_bm25 import Murmur3AbsHasher
from chroma.errors import ChromaError, InvalidArgumentError, InvalidTypeError
from chroma.types import SparseVector
from tests.chroma.embedding.providers import KEY
from tests.chroma.http.scripted import Reply, Scripted


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    local_models._models.clear()
    yield
    local_models._models.clear()


def again(function: Any) -> Any:
    return sparse_known_embedding_functions[function.name()].build_from_config(function.get_config())


# ---------------------------------------------------------------------------- BM25 without a model


def test_hashes_are_those_of_murmur3() -> None:
    hasher = Murmur3AbsHasher()
    known = {"": 0, "a": 1009084850, "test": 1167338989, "hello": 613153351, "größe": 472672705}
    assert {text: hasher.hash(text) for text in known} == known


def test_bm25_is_that_of_chroma() -> None:
    """The numbers are those of chromadb 1.5.9."""
    function = ChromaBm25EmbeddingFunction(include_tokens=True)
    (found,) = function(["fox"])
    assert (found.indices, found.labels) == ([1621867415], ["fox"])
    assert found.values == pytest.approx([1.687743], abs=1e-6)
    (found,) = function(["Usain Bolt's top speed reached ~27.8 mph (44.72 km/h)"])
    assert (len(found.indices), found.indices[0], found.indices[-1]) == (12, 230246813, 1837285388)
    assert found.values == pytest.approx([1.639115] * 12, abs=1e-6)
    (found,) = function(["The quick brown foxes jump, over lazy dogs' dogs!"])
    assert sorted(found.labels or []) == ["brown", "dog", "fox", "jump", "lazi", "quick"]
    of_dogs = found.values[(found.labels or []).index("dog")]
    assert of_dogs == pytest.approx(1.8927911275415896)
    assert sorted(set(found.values) - {of_dogs}) == pytest.approx([1.6608670008846949])
    assert function.embed_query(["dog dogs"]) == function(["dog dogs"])


def test_texts_do_not_depend_on_their_neighbours() -> None:
    function = ChromaBm25EmbeddingFunction()
    texts = ["", "the of", "Apples, apples; apple-pie", "größe ΣΑΣ 日本語 \x00 zero", "apple", "a" * 41]
    assert function(texts) == [function([text])[0] for text in texts]
    assert function(texts)[0] == function(texts)[1] == function(texts)[5] == SparseVector([], [])


def test_bm25_has_settings() -> None:
    function = ChromaBm25EmbeddingFunction(k=2, b=0, stopwords=["Quick"], token_max_length=5)
    assert function.get_config() == {
        "k": 2, "b": 0, "avg_doc_length": 256.0, "token_max_length": 5, "include_tokens": False,
        "stopwords": ["Quick"],
    }  # fmt: skip
    (found,) = again(function)(["quick the the toolong"])
    assert (len(found.indices), found.labels) == (1, None)
    assert found.values == [1.5]
    assert function(["quick"]) == [SparseVector([], [])]
    assert "stopwords" not in ChromaBm25EmbeddingFunction().get_config()
    with pytest.raises(InvalidArgumentError, match="avg_doc_length"):
        ChromaBm25EmbeddingFunction(avg_doc_length=0)
    with pytest.raises(InvalidTypeError, match="'k'"):
        ChromaBm25EmbeddingFunction(k="2")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="Unknown keys"):
        ChromaBm25EmbeddingFunction.build_from_config({"c": 1})


@pytest.mark.parametrize(
    "given",
    [
        {"k": float("nan")}, {"k": -1}, {"k": 1e300}, {"b": float("inf")}, {"b": -0.1}, {"b": 1.1},
        {"avg_doc_length": 0}, {"avg_doc_length": float("nan")}, {"avg_doc_length": 1e-300},
        {"token_max_length": -1}, {"stopwords": "the"}, {"stopwords": [1]},
    ],
)  # fmt: skip
def test_settings_of_bm25_that_make_no_vectors(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(given))):
        ChromaBm25EmbeddingFunction(**given)


def test_updates_of_bm25_know_all_keys() -> None:
    function = ChromaBm25EmbeddingFunction()
    function.validate_config_update(function.get_config(), {"k": 1})
    with pytest.raises(InvalidArgumentError, match="other"):
        function.validate_config_update(function.get_config(), {"other": 1})


def test_inputs_are_texts() -> None:
    with pytest.raises(InvalidTypeError, match="single string"):
        ChromaBm25EmbeddingFunction()("a")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="at least one text"):
        ChromaBm25EmbeddingFunction()([])


# ---------------------------------------------------------------------------- packages


class Fastembed:
    made: list[dict[str, Any]]

    def __init__(self, **arguments: Any) -> None:
        self.made.append(arguments)

    def embed(self, texts: list[str]) -> Iterator[Any]:
        for text in texts:
            yield SimpleNamespace(indices=np.array([7, 3]), values=np.array([0.5, float(len(text))]))

    def query_embed(self, texts: list[str]) -> Iterator[Any]:
        for _ in texts:
            yield SimpleNamespace(indices=np.array([1]), values=np.array([1.0]))


@pytest.fixture
def fastembed(monkeypatch: pytest.MonkeyPatch) -> type[Fastembed]:
    monkeypatch.setattr(Fastembed, "made", [], raising=False)
    for name in ("fastembed", "fastembed.sparse", "fastembed.sparse.bm25"):
        module = ModuleType(name)
        module.SparseTextEmbedding = module.Bm25 = Fastembed  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    return Fastembed


def test_fastembed(fastembed: type[Fastembed]) -> None:
    function = FastembedSparseEmbeddingFunction("m", threads=2, query_config={"task": "query"})
    assert fastembed.made == []
    assert function(["abc"]) == [SparseVector([3, 7], [3.0, 0.5])]
    assert function.embed_query(["abc"]) == [SparseVector([1], [1.0])]
    assert again(function)(["abc"]) == function(["abc"])
    assert fastembed.made == [{"model_name": "m", "threads": 2}]
    assert function.get_config() == {
        "model_name": "m", "task": "document", "query_config": {"task": "query"}, "cache_dir": None,
        "threads": 2, "cuda": None, "device_ids": None, "lazy_load": None, "kwargs": {},
    }  # fmt: skip
    assert FastembedSparseEmbeddingFunction("m", task="query")(["a"]) == [SparseVector([1], [1.0])]
    with pytest.raises(InvalidArgumentError, match="'document' or 'query'"):
        FastembedSparseEmbeddingFunction("m", task="other")  # type: ignore[arg-type]


def test_bm25_of_fastembed(fastembed: type[Fastembed]) -> None:
    with pytest.warns(DeprecationWarning, match="ChromaBm25EmbeddingFunction"):
        function = Bm25EmbeddingFunction(avg_len=10, k=1.5)
    assert again(function)(["abc"]) == [SparseVector([3, 7], [3.0, 0.5])]
    assert fastembed.made == [{"model_name": "Qdrant/bm25", "avg_len": 10, "k": 1.5}]
    assert set(function.get_config()) == {
        "task", "query_config", "cache_dir", "k", "b", "avg_len", "language", "token_max_length",
        "disable_stemmer", "specific_model_path", "kwargs",
    }  # fmt: skip


@pytest.mark.parametrize("given", [{"cache_dir": "/x"}, {"specific_model_path": "/x"}, {"kwargs": {"a": 1}}])
def test_stored_configurations_name_no_files(fastembed: type[Fastembed], given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="taken from a program only"):
        sparse_known_embedding_functions["bm25"].build_from_config(given)


class SparseEncoder:
    made: list[dict[str, Any]]

    def __init__(self, **arguments: Any) -> None:
        self.made.append(arguments)

    def encode_document(self, texts: list[str]) -> Any:
        return [np.array([0.0, len(text), 0.0, 2.0]) for text in texts]

    def encode_query(self, texts: list[str]) -> Any:
        return [SimpleNamespace(to_dense=lambda: np.array([1.0, 0.0])) for _ in texts]


def test_hugging_face(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("sentence_transformers")
    module.SparseEncoder = SparseEncoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(SparseEncoder, "made", [], raising=False)
    function = HuggingFaceSparseEmbeddingFunction("m", "cpu", query_config={"task": "query"}, revision="r")
    assert function(["abc"]) == [SparseVector([1, 3], [3.0, 2.0])]
    assert function.embed_query(["abc"]) == [SparseVector([0], [1.0])]
    assert again(function)(["abc"]) == function(["abc"])
    assert SparseEncoder.made == [{"model_name_or_path": "m", "device": "cpu", "revision": "r"}]
    with pytest.raises(InvalidArgumentError, match="trust_remote_code"):
        HuggingFaceSparseEmbeddingFunction.build_from_config(
            {"model_name": "m", "device": "cpu", "kwargs": {"trust_remote_code": True}}
        )


@pytest.mark.parametrize(
    ("make", "module", "command"),
    [
        (
            lambda: HuggingFaceSparseEmbeddingFunction("m", "cpu"),
            "sentence_transformers",
            "sentence-transformers",
        ),
        (lambda: FastembedSparseEmbeddingFunction("m"), "fastembed", "fastembed"),
    ],
)
def test_a_missing_package_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, make: Any, module: str, command: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"pip install {command}"):
        make()


# ---------------------------------------------------------------------------- Chroma's service


def test_splade(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_EMBED_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("CHROMA_API_KEY", KEY)
    row = {"indices": [9, 2], "values": [0.5, 1.5], "labels": ["nine", "two"]}
    server.script = lambda request: Reply(200, {"embeddings": [row] * len(request.body["texts"])})
    function = ChromaCloudSpladeEmbeddingFunction(include_tokens=True)
    assert function(["a"] * 101) == [SparseVector([2, 9], [1.5, 0.5], ["two", "nine"])] * 101
    assert [len(request.body["texts"]) for request in server.requests] == [100, 1]
    assert server.requests[0].path == "/embed_sparse"
    assert server.requests[0].body["fetch_tokens"] == "true"
    assert ChromaCloudSpladeEmbeddingFunction()(["a"]) == [SparseVector([2, 9], [1.5, 0.5])]
    assert function.get_config() == {
        "api_key_env_var": "CHROMA_API_KEY", "model": "prithivida/Splade_PP_en_v1", "include_tokens": True,
    }  # fmt: skip
    assert again(function)(["a"]) == function(["a"])
    function.close()
    server.script = lambda request: Reply(200, {"embeddings": []})
    with pytest.raises(ChromaError, match="for each text"):
        function(["a"])


# ---------------------------------------------------------------------------- classes of users


def test_classes_of_users() -> None:
    @register_sparse_embedding_function
    class Lengths(SparseEmbeddingFunction[list[str]]):
        def __call__(self, input: list[str]) -> list[SparseVector]:
            return [SparseVector([0], [float(len(text))]) for text in input]

        @staticmethod
        def name() -> str:
            return "lengths"

    try:
        assert sparse_known_embedding_functions["lengths"] is Lengths
        assert Lengths().embed_query(["abc"]) == [SparseVector([0], [3.0])]
    finally:
        del sparse_known_embedding_functions["lengths"]

    class Dense(SparseEmbeddingFunction[list[str]]):
        def __call__(self, input: list[str]) -> Any:
            return [[1.0]]

        @staticmethod
        def name() -> str:
            return "bm25"

    with pytest.raises(InvalidArgumentError, match="one SparseVector per input"):
        Dense()(["a"])
    with pytest.raises(InvalidArgumentError, match="belongs to a built-in"):
        register_sparse_embedding_function(Dense)
    with pytest.raises(InvalidArgumentError, match="needs a subclass"):
        register_sparse_embedding_function(int)  # type: ignore[type-var]
    nameless = type("Nameless", (SparseEmbeddingFunction,), {})
    with pytest.raises(InvalidArgumentError, match="without a static method"):
        register_sparse_embedding_function(nameless)
    with pytest.raises(NotImplementedError):
        nameless()(["a"])


def test_every_name_is_known() -> None:
    others = {"chroma-bm25": "chroma_bm25"}  # what the JavaScript client calls it
    assert {name: ef_class.name() for name, ef_class in sparse_known_embedding_functions.items()} == {
        name: others.get(name, name) for name in sparse_known_embedding_functions
    }
    assert {"ChromaBm25EmbeddingFunction", "BasetenEmbeddingFunction"} <= get_builtins()


def test_sparse_vectors_are_sorted() -> None:
    assert normalize_sparse_vector([3, 1], [0.3, 0.1], ["c", "a"]) == SparseVector(
        [1, 3], [0.1, 0.3], ["a", "c"]
    )
    assert normalize_sparse_vector([], [], []) == SparseVector([], [])
    with pytest.raises(InvalidArgumentError, match="2 indices, 1 values"):
        normalize_sparse_vector([1, 2], [1.0])
