"""Writes say what they did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma import WriteReport
from chroma.errors import InvalidArgumentError

from ..support.tiny_embedding import HashEmbedding


@pytest.fixture
def words(client: Any) -> Any:
    return client.create_collection("words", embedding_function=None)


def test_reports(words: Any) -> None:
    assert words.add(ids=["a", "b"], embeddings=np.eye(2)) == WriteReport(added=2)
    assert words.add(ids=["b", "c"], embeddings=np.eye(2)) == WriteReport(added=1, skipped=1)
    assert words.upsert(ids=["c", "d"], embeddings=np.eye(2)) == WriteReport(added=1, updated=1)
    assert words.update(ids=["d", "x"], embeddings=np.eye(2)) == WriteReport(updated=1, skipped=1)


def test_texts_that_are_stored_are_counted_as_skipped(client: Any) -> None:
    embedded = client.create_collection("texts", embedding_function=HashEmbedding())
    assert embedded.add(ids=["a", "b"], documents=["one", "two"]) == WriteReport(added=2)
    assert embedded.add(ids=["b", "c"], documents=["two", "three"]) == WriteReport(added=1, skipped=1)
    assert embedded.add(ids=["b", "c"], documents=["two", "three"]) == WriteReport(skipped=2)


def test_a_report_can_be_read_and_is_false() -> None:
    report = WriteReport(added=1200, skipped=3)
    assert str(report) == "1,200 added, 3 skipped"
    assert repr(report) == "WriteReport(added=1200, updated=0, skipped=3)"
    assert str(WriteReport()) == "no change was reported"
    assert not report  # as the None that Chroma returns


def test_an_existing_collection_says_which_settings_it_keeps(client: Any) -> None:
    configuration = {"hnsw": {"space": "cosine", "ef_search": 100}}
    client.create_collection("words", configuration={"hnsw": {"space": "l2"}}, embedding_function=None)
    with pytest.warns(UserWarning, match="'words' exists, .* space is 'l2', not 'cosine'"):
        found = client.get_or_create_collection("words", configuration=configuration, embedding_function=None)
    assert found.configuration["hnsw"]["space"] == "l2"
    with pytest.warns(UserWarning, match="space is 'l2', not 'ip'"):
        client.get_or_create_collection("words", metadata={"hnsw:space": "ip"}, embedding_function=None)


@pytest.mark.filterwarnings("error")
def test_the_same_settings_are_no_reason_to_warn(client: Any) -> None:
    settings: dict[str, Any] = {"configuration": {"hnsw": {"space": "cosine"}}, "embedding_function": None}
    client.get_or_create_collection("words", **settings)
    client.get_or_create_collection("words", **settings)
    client.get_or_create_collection("words", embedding_function=None)


def test_vectors_and_texts_are_two_questions(words: Any) -> None:
    words.add(ids=["a"], embeddings=[[1, 0]])
    for name in ("query_texts", "query_uris"):
        with pytest.raises(InvalidArgumentError, match=f"query_embeddings and {name} are both questions"):
            words.query(query_embeddings=[[1, 0]], **{name: ["x"]})
