"""The reranker over sentence-transformers, with a stand-in for that package, which is large."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import chroma
from chroma import CrossEncoderReranker, Knn, Search
from tests.support.checks import refused
from tests.support.tiny_embedding import HashEmbedding


class StandIn:
    """Scores a pair by the number of words that both texts have."""

    made: list[StandIn]

    def __init__(self, name: str, device: str | None = None, **kwargs: Any) -> None:
        self.arguments = {"name": name, "device": device, **kwargs}
        self.calls: list[dict[str, Any]] = []
        self.made.append(self)

    def predict(self, pairs: list[tuple[str, str]], **options: Any) -> Any:
        self.calls.append(options | {"pairs": len(pairs)})
        return np.array([len(set(a.split()) & set(b.split())) for a, b in pairs], np.float32)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    module = ModuleType("sentence_transformers")
    monkeypatch.setattr(StandIn, "made", [], raising=False)
    module.CrossEncoder = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    return StandIn


def test_documents_are_scored(package: type[StandIn], collection: Any) -> None:
    reranker = CrossEncoderReranker("a/model", batch_size=2, max_length=64)
    assert not package.made  # the model is loaded by the first use
    documents = ["red apple pie", "green apple", "saw", "red hammer"]
    collection.add(ids=["a", "b", "c", "d"], documents=documents)
    found = collection.query(query_texts=["red apple", "saw"], n_results=2, rerank=reranker)
    assert found["ids"][0][0] == "a" and found["ids"][1][0] == "c"
    assert found["rerank_scores"][0] == [2.0, 1.0]
    found = collection.search(Search(rank=Knn("red apple"), limit=1), rerank=reranker)
    assert found["ids"] == [["a"]]
    (model,) = package.made
    assert model.arguments == {"name": "a/model", "device": None, "max_length": 64}
    assert {call["pairs"] for call in model.calls} == {4}
    assert model.calls[0]["batch_size"] == 2 and model.calls[0]["show_progress_bar"] is False
    assert repr(reranker) == "CrossEncoderReranker('a/model')"


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with refused("CrossEncoderReranker", "chroma-arrow[sentence-transformers]"):
        CrossEncoderReranker()


@pytest.mark.parametrize("arguments", [{"model_name": ""}, {"model_name": 3}, {"batch_size": 0}])
def test_arguments_that_are_refused(package: type[StandIn], arguments: Any) -> None:
    with refused(next(iter(arguments))):
        CrossEncoderReranker(**arguments)


def test_a_bar_shows_the_progress_of_many_documents(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("chroma.internal.progress.watched", lambda: True)
    monkeypatch.setattr("chroma.internal.progress._DELAY", 0.0)
    with chroma.EphemeralClient() as client:
        things = client.get_or_create_collection("reranked", embedding_function=HashEmbedding())
        try:
            things.add(ids=[str(row) for row in range(120)], documents=[f"text {row}" for row in range(120)])
            arguments: dict[str, Any] = {"rerank": lambda text, documents: [1] * len(documents)}
            things.query(query_texts=["a"], candidates=120, **arguments)
            assert capsys.readouterr().err == ""  # one call cannot be followed
            things.query(query_texts=["a", "b"], candidates=120, **arguments)
            assert "reranking" in capsys.readouterr().err
        finally:
            client.delete_collection("reranked")
