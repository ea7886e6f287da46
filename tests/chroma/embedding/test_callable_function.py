"""Any callable as an embedding function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.embedding import CallableEmbeddingFunction, embedding_function_to_config
from chroma.errors import ChromaError, InvalidArgumentError, InvalidTypeError
from tests.chroma.embedding.providers import vector


def embed(texts: list[str]) -> Any:
    return [vector(text) for text in texts]


def test_documents_and_queries() -> None:
    function = CallableEmbeddingFunction(embed, query=lambda texts: np.zeros((len(texts), 3)))
    assert [row.tolist() for row in function(["a", "b"])] == [vector("a"), vector("b")]
    assert function(["a"])[0].dtype == np.float32
    assert function.embed_query(["a"])[0].tolist() == [0, 0, 0]
    assert CallableEmbeddingFunction(embed).embed_query(["a"])[0].tolist() == vector("a")


def test_batches() -> None:
    sizes: list[int] = []

    def counting(texts: list[str]) -> Any:
        sizes.append(len(texts))
        return embed(texts)

    CallableEmbeddingFunction(counting, batch_size=4)(["a"] * 9)
    CallableEmbeddingFunction(counting)(["a"] * 9)
    assert sizes == [4, 4, 1, 9]


def test_wrong_arguments() -> None:
    wrong: list[dict[str, Any]] = [
        {"function": 3}, {"query": "x"}, {"batch_size": 0}, {"batch_size": True}, {"space": "dot"},
    ]  # fmt: skip
    for arguments in wrong:
        with pytest.raises(InvalidArgumentError):
            CallableEmbeddingFunction(**{"function": embed, **arguments})
    with pytest.raises(InvalidArgumentError, match="at least one"):
        CallableEmbeddingFunction(embed)([])
    with pytest.raises(InvalidTypeError):
        CallableEmbeddingFunction(embed)("a")  # type: ignore[arg-type]


@pytest.mark.parametrize("result", [[[1.0]], None, (row for row in [[1.0], [2.0]]), 3])
def test_wrong_results(result: Any) -> None:
    with pytest.raises(ChromaError, match="CallableEmbeddingFunction"):
        CallableEmbeddingFunction(lambda texts: result)(["a", "b"])


def test_errors_of_the_callable_come_through() -> None:
    def broken(texts: list[str]) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        CallableEmbeddingFunction(broken)(["a"])


def test_nothing_of_it_is_stored(tmp_path: Path) -> None:
    function = CallableEmbeddingFunction(embed, space="cosine")
    assert embedding_function_to_config(function) == {"type": "legacy"}
    with chroma.PersistentClient(tmp_path) as client:
        made = client.create_collection("things", embedding_function=function)
        assert made.configuration_json["hnsw"]["space"] == "cosine"
        made.add(ids=["a"], documents=["text"])
    with chroma.PersistentClient(tmp_path) as client:
        with pytest.raises(InvalidArgumentError, match="You must provide an embedding function"):
            client.get_collection("things").query(query_texts=["text"])
        found = client.get_collection("things", embedding_function=function).query(query_texts=["text"])
        assert found["ids"] == [["a"]]
