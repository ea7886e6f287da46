"""The function over sentence-transformers, with a stand-in for that package, which is large."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from chroma.embedding import (
    SentenceTransformerEmbeddingFunction,
    config_to_embedding_function,
    embedding_function_to_config,
)
from chroma.embedding.providers import sentence_transformers as ours
from chroma.errors import InvalidArgumentError, InvalidTypeError
from tests.chroma.embedding.providers import KEY, vector


class StandIn:
    """Has the arguments and results of the package's class."""

    made: list[StandIn]
    prompts_of_model: dict[str, str]
    busy = threading.Lock()

    def __init__(self, model_name_or_path: str, device: str, **kwargs: Any) -> None:
        self.arguments = {"model_name_or_path": model_name_or_path, "device": device, **kwargs}
        self.prompts = dict(self.prompts_of_model)
        self.calls: list[dict[str, Any]] = []
        self.made.append(self)

    def encode(self, sentences: list[str], **options: Any) -> Any:
        assert self.busy.acquire(blocking=False), "two threads at once"
        try:
            self.calls.append(options)
            block = np.array([vector(text) for text in sentences], np.float32)
            if options["normalize_embeddings"]:
                block /= np.linalg.norm(block, axis=1, keepdims=True)
            return block
        finally:
            self.busy.release()


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StandIn]]:
    module = ModuleType("sentence_transformers")
    monkeypatch.setattr(StandIn, "made", [], raising=False)
    monkeypatch.setattr(StandIn, "prompts_of_model", {}, raising=False)
    module.SentenceTransformer = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    ours._models.clear()
    yield StandIn
    ours._models.clear()


def test_one_model_for_equal_functions(package: type[StandIn]) -> None:
    first = SentenceTransformerEmbeddingFunction("m", truncate_dim=3)
    assert package.made == []  # a model loads at the first call
    assert [row.tolist() for row in first(["a", "bb"])] == [vector("a"), vector("bb")]
    SentenceTransformerEmbeddingFunction("m", truncate_dim=3)(["a"])
    SentenceTransformerEmbeddingFunction("m", device="cuda", truncate_dim=3)(["a"])
    assert [model.arguments for model in package.made] == [
        {"model_name_or_path": "m", "device": "cpu", "truncate_dim": 3},
        {"model_name_or_path": "m", "device": "cuda", "truncate_dim": 3},
    ]
    assert package.made[0].calls[0] == {
        "convert_to_numpy": True, "normalize_embeddings": False, "show_progress_bar": False,
    }  # fmt: skip


def test_unit_length() -> None:
    made = SentenceTransformerEmbeddingFunction(normalize_embeddings=True)(["abc"])
    assert np.linalg.norm(made[0]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("prompts", "used"),
    [
        ({}, None),
        ({"query": "", "document": ""}, None),
        ({"query": "Find: "}, "query"),
        ({"query": "Find: ", "document": ""}, "query"),
        ({"query": "query: ", "passage": "passage: "}, None),
    ],
)
def test_prompts_of_queries(
    package: type[StandIn], monkeypatch: pytest.MonkeyPatch, prompts: dict[str, str], used: str | None
) -> None:
    monkeypatch.setattr(package, "prompts_of_model", prompts)
    function = SentenceTransformerEmbeddingFunction("m")
    function(["a"])
    function.embed_query(["a"])
    assert [call.get("prompt_name") for call in package.made[0].calls] == [None, used]


def test_configurations_round_trip() -> None:
    function = SentenceTransformerEmbeddingFunction("m", "cpu", True, truncate_dim=2, token=KEY)
    stored = embedding_function_to_config(function)
    assert stored == {
        "type": "known",
        "name": "sentence_transformer",
        "config": {
            "model_name": "m", "device": "cpu", "normalize_embeddings": True, "kwargs": {"truncate_dim": 2},
        },
    }  # fmt: skip
    again = config_to_embedding_function(stored)
    assert again.get_config() == stored["config"]
    assert again.default_space() == "cosine"
    function.validate_config_update(stored["config"], {**stored["config"], "device": "cuda"})
    with pytest.raises(InvalidArgumentError, match="comparable"):
        function.validate_config_update(stored["config"], {**stored["config"], "model_name": "n"})


@pytest.mark.parametrize(
    "argument", ["trust_remote_code", "model_kwargs", "backend", "cache_folder", "token"]
)
def test_what_a_stored_configuration_may_not_say(package: type[StandIn], argument: str) -> None:
    config = {"model_name": "m", "device": "cpu", "normalize_embeddings": False, "kwargs": {argument: True}}
    with pytest.raises(InvalidArgumentError, match=argument):
        config_to_embedding_function({"type": "known", "name": "sentence_transformer", "config": config})
    SentenceTransformerEmbeddingFunction("m", **{argument: True})(["a"])  # a program may
    assert package.made[0].arguments[argument] is True


def test_what_cannot_be_stored_is_passed_again() -> None:
    function = SentenceTransformerEmbeddingFunction("m", model_kwargs={"torch_dtype": object()})
    assert embedding_function_to_config(function) == {"type": "legacy"}
    function(["a"])


def test_wrong_arguments() -> None:
    wrong: list[dict[str, Any]] = [{"model_name": 3}, {"device": None}, {"normalize_embeddings": 1}]
    for arguments in wrong:
        with pytest.raises(InvalidTypeError):
            SentenceTransformerEmbeddingFunction(**arguments)
    with pytest.raises(InvalidArgumentError, match="at least one"):
        SentenceTransformerEmbeddingFunction()([])


def test_threads_take_turns() -> None:
    function = SentenceTransformerEmbeddingFunction("m")
    with ThreadPoolExecutor(8) as pool:
        for made in pool.map(function, [["a"] * 50] * 64):
            assert len(made) == 50


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    again = SentenceTransformerEmbeddingFunction.build_from_config({"model_name": "m"})  # a collection opens
    with pytest.raises(ValueError, match=r"pip install 'chroma-arrow\[sentence-transformers\]'"):
        again(["a"])
    with pytest.raises(ValueError, match="pip install sentence-transformers"):
        SentenceTransformerEmbeddingFunction()
